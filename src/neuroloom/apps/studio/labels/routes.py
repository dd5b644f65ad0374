"""Labelling over HTTP: the pages have no other door."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel, Field

from neuroloom.apps.studio.labels.desk import Desk


class LabellingWanted(BaseModel):
    """What to label, and how."""

    kind: str
    data: str
    name: str = Field("", max_length=120)
    options: dict[str, Any] = Field(default_factory=dict)
    who: str = Field("", max_length=80)


class Edits(BaseModel):
    """Corrections; each kind of labelling says what one holds."""

    edits: list[dict[str, Any]]
    who: str = Field("", max_length=80)


class Training(BaseModel):
    """A run on what has been labelled."""

    recipe: str = ""
    fields: dict[str, Any] = Field(default_factory=dict)


class Looking(BaseModel):
    """A model that is to look at the pictures."""

    model: str


class Frames(BaseModel):
    """Frames to add: by number, evenly spaced, or those that stand for all."""

    data: str = ""
    how: str = "even"
    count: int = Field(10, ge=1, le=500)
    numbers: list[int] = Field(default_factory=list, max_length=500)


def labels(desk: Desk) -> APIRouter:
    """Return the routes of beginning, looking, correcting, and of learning from it."""
    api = APIRouter(tags=["labels"])
    api.include_router(_corrections(desk))
    api.include_router(_learning(desk))

    @api.get("/labels")
    def list_labels() -> list[dict[str, Any]]:
        """List the pieces of labelling, the last touched first, with their progress."""
        return desk.all()

    @api.get("/label-offers")
    def offers(path: str = ".") -> list[dict[str, Any]]:
        """List what can be labelled under a path of the workspace."""
        return desk.offers(path)

    @api.post("/labels", status_code=201)
    def begin(wanted: LabellingWanted) -> dict[str, Any]:
        """Begin to label a file or folder: a copy in the workspace, the source is not changed."""
        return desk.begin(wanted.kind, wanted.data, wanted.name, wanted.options, wanted.who)

    @api.get("/labels/{id}")
    def header(id: str) -> dict[str, Any]:
        """Return a piece of labelling: names, frames or events, what is labelled, progress."""
        return desk.header(id)

    @api.delete("/labels/{id}")
    @api.post("/labels/{id}/delete", operation_id="delete_label_by_post")
    def delete(id: str) -> dict[str, Any]:
        """Delete a piece of labelling; its source stays."""
        desk.delete(id)
        return {"deleted": id}

    return api


def _corrections(desk: Desk) -> APIRouter:
    api = APIRouter()

    @api.post("/labels/{id}/edits")
    def edit(id: str, wanted: Edits) -> dict[str, Any]:
        """Correct labels, all or none; kept and logged before the answer."""
        return desk.get(id).edit(wanted.edits, wanted.who)

    @api.get("/labels/{id}/log")
    def log(id: str, most: Annotated[int, Query(ge=1, le=2000)] = 200) -> list[dict[str, Any]]:
        """List the last corrections, the newest first."""
        return desk.get(id).log(most)

    @api.get("/labels/{id}/part/{what}", response_class=Response)
    def part(id: str, what: str, request: Request) -> Response:
        """Return a picture or a piece of the data."""
        found = desk.get(id).part(what, dict(request.query_params))
        headers = {"cache-control": "no-cache"}
        return Response(found.content, media_type=found.media_type, headers=headers)

    @api.get("/labels/{id}/export", response_class=Response)
    def export(id: str, format: str = "") -> Response:
        """Return the labels as a file in a format."""
        file = desk.get(id).export(format)
        return FileResponse(file, filename=file.name, content_disposition_type="attachment")

    return api


def _learning(desk: Desk) -> APIRouter:
    api = APIRouter()

    @api.post("/labels/{id}/train", status_code=201)
    def train(id: str, wanted: Training) -> dict[str, Any]:
        """Start a run on what has been labelled so far."""
        return desk.train(id, wanted.recipe, wanted.fields)

    @api.post("/labels/{id}/predict", status_code=201)
    def predict(id: str, wanted: Looking) -> dict[str, Any]:
        """Let a model look at the pictures."""
        return desk.predict(id, wanted.model)

    @api.get("/labels/{id}/doubts")
    def doubts(id: str) -> dict[str, Any]:
        """Return what the model found, and how doubtful each frame is."""
        return desk.doubts(id)

    @api.post("/labels/{id}/frames", status_code=201)
    def frames(id: str, wanted: Frames) -> dict[str, Any]:
        """Add frames of a video, by number, evenly spaced, or those that stand for all."""
        return desk.add_frames(id, wanted.data, wanted.model_dump())

    return api
