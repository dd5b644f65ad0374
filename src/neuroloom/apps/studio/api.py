"""The studio over HTTP: `/openapi.json` describes it; a refusal is a 4xx with `{"message": …}`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

import neuroloom
from neuroloom.apps.studio import views
from neuroloom.apps.studio.access import SANDBOX
from neuroloom.apps.studio.labels.routes import labels
from neuroloom.apps.studio.service import Studio
from neuroloom.apps.studio.workspace import BusyError, MissingError, TooLargeError
from neuroloom.core.errors import NeuroloomError
from neuroloom.core.files import to_json

STATUS: tuple[tuple[type[Exception], int], ...] = (
    (MissingError, 404), (BusyError, 409), (TooLargeError, 413), (NeuroloomError, 422),
)  # fmt: skip
VERBS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
SHOWN = {".html", ".png", ".svg", ".jpg", ".jpeg", ".txt", ".csv", ".md", ".json"}


class Json(JSONResponse):
    """JSON that can say whatever a run or a file name holds."""

    def render(self, content: Any) -> bytes:
        """Return bytes; NaN is null, and what is no Unicode is escaped."""
        return to_json(content).encode("utf-8", "backslashreplace")


class Refusal(BaseModel):
    """Why something was not done, in the command line's own words."""

    message: str


class RunWanted(BaseModel):
    """A run to start: a recipe, data in the workspace, and settings."""

    recipe: str
    data: str | None = None
    fields: dict[str, Any] = Field(default_factory=dict)


class Settings(BaseModel):
    """Settings to be checked."""

    data: str | None = None
    fields: dict[str, Any] = Field(default_factory=dict)


class FolderWanted(BaseModel):
    """A folder of this machine."""

    folder: str


class PredictionWanted(BaseModel):
    """A model and what to apply it to."""

    model: str
    data: str


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal} for status in (400, 401, 403, 404, 409, 413, 422)
}


def build_api(studio: Studio, *, may_add_folders: bool = True) -> FastAPI:
    """Return the HTTP application of a studio, without pages."""
    app = FastAPI(
        title="neuroloom studio",
        version=neuroloom.__version__,
        description="Recipes, runs, data and models of one workspace.",
        docs_url=None,
        redoc_url=None,
        default_response_class=Json,
        responses=REFUSALS,
    )
    app.state.studio = studio
    routers = (recipes(studio), runs(studio), outcomes(studio), models(studio), labels(studio.desk))
    for router in (*routers, data(studio, may_add_folders)):
        app.include_router(router, prefix="/api")
    app.add_api_route("/api/{rest:path}", _nothing_there, methods=VERBS, include_in_schema=False)
    for kind, handler in ((NeuroloomError, _refused), (RequestValidationError, _misread)):
        app.add_exception_handler(kind, handler)
    app.add_exception_handler(HTTPException, _as_message)
    return app


def recipes(studio: Studio) -> APIRouter:
    """Return what there is to do."""
    api = APIRouter(tags=["recipes"])

    @api.get("/find")
    def find(q: Annotated[str, Query(max_length=500)] = "") -> list[dict[str, Any]]:
        """Find recipes by a question in plain words, best first."""
        return [asdict(answer) for answer in studio.find(q)]

    @api.get("/recipes")
    def list_recipes() -> list[dict[str, Any]]:
        """List the recipes."""
        return studio.recipes()

    @api.get("/recipes/{name}")
    def schema(name: str) -> dict[str, Any]:
        """Describe a recipe: its fields as a form shows them, and its JSON schema."""
        return studio.schema(name)

    @api.post("/recipes/{name}/check")
    def check(name: str, settings: Settings) -> dict[str, Any]:
        """Check settings; say what is wrong, and the same as a command and as YAML."""
        return asdict(studio.check(name, settings.fields, settings.data))

    @api.post("/recipes/{name}/outline")
    def outline(name: str, settings: Settings) -> dict[str, Any]:
        """Read and audit the data; return findings and what a run would do. Trains nothing."""
        return studio.outline(name, settings.data, settings.fields)

    @api.post("/recipes/{name}/demo")
    def demo(name: str) -> dict[str, Any]:
        """Make a recipe's demo data; returns where they are and the settings that fit."""
        return studio.demo(name)

    return api


def runs(studio: Studio) -> APIRouter:
    """Return the runs."""
    api = APIRouter(tags=["runs"])

    @api.get("/state")
    def state() -> dict[str, Any]:
        """Tell how busy and how full it is."""
        return studio.state()

    @api.get("/runs")
    def list_runs() -> list[dict[str, Any]]:
        """List the runs: at work or waiting first, then the newest."""
        return studio.runs()

    @api.post("/runs", status_code=201)
    def start(wanted: RunWanted) -> dict[str, Any]:
        """Start a run, or queue it."""
        return studio.start(wanted.recipe, wanted.data, wanted.fields)

    @api.get("/runs/{id}")
    def run(id: str) -> dict[str, Any]:
        """Tell all about a run: state, progress, curves, metrics, settings, artifacts."""
        return studio.run(id)

    @api.delete("/runs/{id}")
    @api.post("/runs/{id}/delete", operation_id="delete_run_by_post")
    def delete(id: str) -> dict[str, Any]:
        """Delete a run and its folder."""
        studio.delete(id)
        return {"deleted": id}

    @api.post("/runs/{id}/stop")
    def stop(id: str) -> dict[str, Any]:
        """Stop a run; what it has done is kept."""
        return studio.stop(id)

    @api.post("/runs/{id}/resume")
    def resume(id: str) -> dict[str, Any]:
        """Go on with a run that ended early."""
        return studio.resume(id)

    return api


def outcomes(studio: Studio) -> APIRouter:
    """Return what runs left."""
    api = APIRouter(tags=["runs"])

    @api.get("/runs/{id}/settings")
    def settings(id: str) -> dict[str, Any]:
        """Return recipe, data and fields, to start another like it."""
        return studio.settings(id)

    @api.get("/runs/{id}/report", response_class=Response)
    def report(id: str) -> Response:
        """Return the report, which may be looked at and can do nothing."""
        return file_response(studio.report(id))

    @api.get("/runs/{id}/log", response_class=PlainTextResponse)
    def log(id: str) -> Response:
        """Return what the run has told so far."""
        text = studio.log(id).encode("utf-8", "replace")
        return Response(text, media_type="text/plain; charset=utf-8")

    @api.get("/runs/{id}/artifacts")
    def list_artifacts(id: str) -> list[dict[str, Any]]:
        """List the figures, tables and files that a run left."""
        found: list[dict[str, Any]] = studio.run(id)["artifacts"]
        return found

    @api.get("/runs/{id}/artifacts/{file}", response_class=Response)
    def artifact(id: str, file: str) -> Response:
        """Return one of them."""
        return file_response(studio.artifact(id, file))

    @api.get("/compare")
    def compare(first: str, second: str) -> dict[str, Any]:
        """Compare two finished runs on the examples that both scored."""
        return studio.compare(first, second)

    return api


def data(studio: Studio, may_add_folders: bool) -> APIRouter:
    """Return the data that may be read, and the way to bring more."""
    api = APIRouter(tags=["data"])

    @api.get("/data")
    def look(path: str = ".") -> dict[str, Any]:
        """Recognise a file or a folder: kinds, subjects, sessions, labels, what is odd."""
        return studio.look(path).as_dict()

    @api.get("/browse")
    def browse(path: str = ".") -> list[dict[str, Any]]:
        """List a folder."""
        return [asdict(entry) for entry in studio.workspace.browse(path)]

    @api.post("/folders")
    def add_folder(wanted: FolderWanted) -> dict[str, Any]:
        """Let another folder of this machine be read (from this machine only)."""
        if not may_add_folders:
            raise BusyError("Folders are added where the studio was started: --data FOLDER.")
        return {"path": studio.workspace.shown(studio.workspace.add_data(wanted.folder))}

    @api.post("/uploads", status_code=201, openapi_extra=_BODY)
    async def upload(request: Request, name: str, folder: str = "") -> dict[str, Any]:
        """Bring a file: the body is its content; returns its path in the workspace."""
        place = studio.workspace.place_for_upload(name, folder)
        partial = place.with_name(f".{place.name}.partial")
        size = await _stream(request, partial, studio.workspace.refuse_large)
        await run_in_threadpool(partial.replace, place)
        return {"path": studio.workspace.shown(place), "size": size}

    @api.get("/files", response_class=Response)
    def file(path: str) -> Response:
        """Return a file of the workspace or of a data folder."""
        return file_response(studio.file(path))

    @api.get("/view/{kind}")
    def header(kind: str, path: str) -> dict[str, Any]:
        """Describe what a viewer of this kind would show of a file."""
        return views.load(kind).header(studio.workspace.locate(path))

    @api.get("/view/{kind}/window", response_class=Response)
    def window(kind: str, path: str, request: Request) -> Response:
        """Return one window of a file; which part is said by further parameters."""
        asked = {key: value for key, value in request.query_params.items() if key != "path"}
        for other in views.FILES & set(asked):
            asked[other] = str(studio.workspace.locate(asked[other]))
        found = views.load(kind).window(studio.workspace.locate(path), asked)
        return Response(found.content, media_type=found.media_type)

    return api


def models(studio: Studio) -> APIRouter:
    """Return models, and what they say of new files."""
    api = APIRouter(tags=["models"])

    @api.get("/models")
    def list_models() -> list[dict[str, Any]]:
        """List own and shipped models."""
        return studio.models()

    @api.get("/models/{id}")
    def model(id: str) -> dict[str, Any]:
        """Return a model with its card."""
        return studio.model(id)

    @api.post("/predict", status_code=201)
    def predict(wanted: PredictionWanted) -> dict[str, Any]:
        """Apply a model to a file of the workspace (bring it by `POST /api/uploads`)."""
        return studio.predict(wanted.model, wanted.data)

    @api.get("/predictions")
    def predictions() -> list[dict[str, Any]]:
        """List the predictions."""
        return studio.predictions()

    @api.get("/predictions/{id}")
    def prediction(id: str) -> dict[str, Any]:
        """Return one prediction with its files."""
        return studio.prediction(id)

    return api


_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


async def _stream(request: Request, file: Path, refuse_large: Callable[[int], None]) -> int:
    """Write a body as it comes, in constant memory; whatever goes wrong leaves no file."""
    size = 0
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as handle:
            async for chunk in request.stream():
                size += len(chunk)
                refuse_large(size)
                await run_in_threadpool(handle.write, chunk)
    except OSError as error:
        file.unlink(missing_ok=True)
        raise BusyError(f"The file could not be kept ({error.strerror}).") from None
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    return size


def file_response(file: Path) -> Response:
    """Return a file that may be looked at, if it can do no harm, and downloaded otherwise."""
    shown = file.suffix.lower() in SHOWN
    kind = "inline" if shown else "attachment"
    headers = {"content-security-policy": SANDBOX, "cache-control": "no-cache"}
    name = file.name.encode("utf-8", "replace").decode()
    return FileResponse(file, filename=name, content_disposition_type=kind, headers=headers)


def status_of(error: Exception) -> int:
    """Return the HTTP status of one of our errors."""
    return next(status for kind, status in STATUS if isinstance(error, kind))


async def _nothing_there(rest: str) -> None:
    raise MissingError(f"There is no /api/{rest}; /openapi.json lists what there is.")


async def _refused(request: Request, error: Exception) -> Response:
    return Json({"message": str(error)}, status_of(error))


async def _misread(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    said = [f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors()]
    return Json({"message": "; ".join(said)}, 422)


async def _as_message(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Json({"message": str(error.detail)}, error.status_code, headers=error.headers)
