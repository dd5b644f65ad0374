"""Models: own and shipped ones with their cards; drop a file on one and get the result."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import quote

from nicegui import ui

from neuroloom.apps.studio import views
from neuroloom.apps.studio.look import kind_of
from neuroloom.apps.studio.pages import outcome
from neuroloom.apps.studio.pages.frame import frame
from neuroloom.apps.studio.pages.picker import dropzone, pick
from neuroloom.apps.studio.pages.pieces import (
    Tag,
    aside,
    attend,
    badge,
    box,
    button,
    empty,
    guarded,
    later,
    link,
    loading,
    note,
    title,
)
from neuroloom.apps.studio.pages.runs import headline
from neuroloom.apps.studio.pages.site import Site
from neuroloom.apps.studio.service import Studio
from neuroloom.core.errors import NeuroloomError

EVERY = 1.0
FIRST = 9  # cards that are drawn at once
WORKING = ("waiting", "running", "stopping")


def register(studio: Studio, page: Site) -> None:
    """Make the pages."""

    @page("/models")
    def models() -> None:
        with frame(studio, "Models", "/models"):
            title(
                "Models",
                "What your runs have learnt, and what comes with neuroloom. Open one and drop a "
                "file on it.",
            )
            later("Collecting the models", studio.models, _list)

    @page("/models/{id}")
    def model(id: str) -> None:
        with frame(studio, id, "/models"):
            later("Opening the card", lambda: studio.model(id), partial(_show, studio), _no_model)

    @page("/predictions/{id}")
    def prediction(id: str) -> None:
        with frame(studio, id, "/models"):
            title("Prediction")
            try:
                Prediction(studio, id)
            except NeuroloomError as error:
                empty("There is no such prediction", str(error), ("All models", "/models"))


def _list(found: list[dict[str, Any]]) -> None:
    own = [model for model in found if model["own"]]
    Tag("h2", "Yours")
    if not own:
        empty(
            "No model of your own yet",
            "A finished run that has trained a model appears here.",
            ("Find a recipe", "/"),
        )
    _cards(own)
    Tag("h2", "Shipped with neuroloom")
    _cards([model for model in found if not model["own"]])


def _no_model(message: str) -> None:
    empty("There is no such model", message, ("All models", "/models"))


def _cards(models: list[dict[str, Any]]) -> None:
    with box("cards") as place:
        for model in models[:FIRST]:
            _card(model)
    if len(models) <= FIRST:
        return

    def all_of_them() -> None:
        with place:
            for model in models[FIRST:]:
                _card(model)
        more.delete()

    more = button(f"Show {len(models) - FIRST} more", all_of_them)


def _card(model: dict[str, Any]) -> None:
    with box("card", "article"):
        Tag("h3", model["id"])
        Tag("p", model["summary"], "small")
        with box("row small"):
            Tag("span", model["recipe"], "mono")
            Tag("span", model["data"], "tag")
        if model["headline"]:
            Tag("p", headline(model), "small quiet")
        with box("row foot"):
            link("Open", f"/models/{quote(model['id'])}", "button main",
                 aria_label=f"Open {model['id']}")  # fmt: skip


def _show(studio: Studio, model: dict[str, Any]) -> None:
    title(model["id"], model["summary"])

    async def apply(data: str) -> None:
        made = await aside(studio.predict, model["id"], data)
        run = made["kind"] == "run" if "kind" in made else False
        ui.navigate.to(f"/{'runs' if run else 'predictions'}/{quote(made['id'])}")

    async def choose() -> None:
        chosen = await pick(studio)
        if chosen:
            await guarded(apply, chosen)

    with box("two reading"):
        with box("stack"):
            with box("card", "section"):
                Tag("h2", "Try it on a file")
                dropzone(studio, f"Drop a file here ({model['data']})", apply)
                with box("row"):
                    button("Choose from the workspace", choose)
            _earlier(studio, model["id"])
        with box("card", "section"):
            Tag("h2", "Card")
            if model["own"]:
                # Names of files hold underscores, which are no emphasis here.
                card = ui.markdown(model["card"], extras=["tables", "code-friendly"])
                card.classes("text")
                attend(card, tabindex="0", role="region", aria_label=f"Card of {model['id']}")
                link("The run that made it", f"/runs/{quote(model['id'])}")
            else:
                Tag("p", model["card"])
                link("Its settings", f"/recipe/{model['recipe']}")


def _earlier(studio: Studio, id: str) -> None:
    known = [one for one in studio.predictions() if one["model"] == id]
    if not known:
        return
    with box("card", "section"):
        Tag("h2", "Earlier results")
        for one in known[:20]:
            with box("row between"):
                link(one["data"] or one["id"], f"/predictions/{quote(one['id'])}")
                badge(one["state"])


class Prediction:
    """One visitor's view of a prediction."""

    def __init__(self, studio: Studio, id: str) -> None:
        self.studio, self.id, self._state = studio, id, ""
        line = studio.prediction(id)
        with box("row"):
            link(line["model"], f"/models/{quote(line['model'])}")
            Tag("span", "on", "quiet")
            Tag("span", line["data"], "mono")
        self._place = box("stack")
        self.draw(line)
        ui.timer(EVERY, self.refresh)

    async def refresh(self) -> None:
        """Draw it anew when its state changes."""
        if self.studio.queue.get(self.id).state != self._state:
            self.draw(await aside(self.studio.prediction, self.id))

    def draw(self, line: dict[str, Any]) -> None:
        """Show a prediction."""
        self._state = line["state"]
        self._place.clear()
        with self._place:
            badge(line["state"])
            if line["state"] in WORKING:
                loading("Waiting for its turn" if line["state"] == "waiting" else "Predicting")
                return
            if line["message"]:
                note(line["message"], "good" if line["state"] == "done" else "wrong")
            self._results(line)
            if line["files"]:
                self._files(line["files"])

    def _results(self, line: dict[str, Any]) -> None:
        rows = line["shown"]
        if rows:
            outcome.first_shown(self.studio, rows, "The result")
        if len(rows) > 1:
            outcome.ways(rows, "All results", line["model"])
        if line["table"]:
            with box("card", "section"):
                Tag("h2", "What the model says")
                views.load("table").show(self.studio, line["table"])

    def _files(self, files: list[str]) -> None:
        with box("card", "section"):
            Tag("h2", "Files")
            with box("plain stack", "ul"):
                for file in files:
                    with box("row between", "li"):
                        name = file.rpartition("/")[2]
                        Tag("span", name, "mono")
                        with box("row small"):
                            if views.view_of(kind_of(self.studio.file(file))):
                                link("Look", f"/view?path={quote(file)}",
                                     aria_label=f"Look at {name} alone")  # fmt: skip
                            link("Download", f"/api/files?path={quote(file)}", download=name,
                                 aria_label=f"Download {name}")  # fmt: skip
