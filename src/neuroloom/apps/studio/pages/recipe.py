"""A recipe's form: data, at most seven basic settings, the rest folded, checked while one types."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from nicegui import ui
from nicegui.element import Element

from neuroloom.apps.studio import form
from neuroloom.apps.studio.pages.frame import frame
from neuroloom.apps.studio.pages.inputs import Input, listen
from neuroloom.apps.studio.pages.picker import pick
from neuroloom.apps.studio.pages.pieces import (
    Copyable,
    Tag,
    aside,
    attend,
    box,
    button,
    complain,
    guarded,
    link,
    loading,
    missing,
    note,
    table,
    title,
)
from neuroloom.apps.studio.pages.site import Site
from neuroloom.apps.studio.service import Studio
from neuroloom.core.errors import NeuroloomError


def register(studio: Studio, page: Site) -> None:
    """Make the page."""

    @page("/recipe/{name}")
    def recipe(name: str, demo: str = "", like: str = "", data: str = "") -> None:
        with frame(studio, name, "/"):
            try:
                studio.recipe(name)
            except NeuroloomError as error:
                missing("There is no such recipe", str(error), ("Find another", "/"))
                return
            page = Form(studio, name)
            page.build()
            begin = partial(page.begin, demo=bool(demo), like=like, data=data)
            ui.timer(0.01, begin, once=True)


@dataclass
class Form:
    """What one visitor has typed so far."""

    studio: Studio
    name: str
    inputs: dict[str, Input] = field(default_factory=dict)
    data: str = ""
    ready: bool = False

    def __post_init__(self) -> None:
        self.recipe = self.studio.recipe(self.name)

    @property
    def fields(self) -> dict[str, Any]:
        """The settings that differ from their defaults."""
        return {name: one.value for name, one in self.inputs.items() if one.changed}

    def build(self) -> None:
        """Build the page's elements."""
        summary = self.recipe.summary
        title(summary[:1].upper() + summary[1:], form.about(self.recipe))
        self.told = box("stack")
        with box("two"):
            with box("stack"):
                if self.recipe.needs_data:
                    self._data_card()
                self._settings_card()
            with box("stack"):
                self._start_card()
        self.planned = box("stack")
        Tag("datalist", "", id="known-labels").set_visibility(False)

    def _data_card(self) -> None:
        with box("card", "section"):
            Tag("h2", "Data")
            with box("field"):
                head = Tag("label", "File or folder")
                attend(head, **{"for": "in-data"})
                self.path = box("")
                self._draw_path("")
                Tag("div", f"This recipe reads {self.recipe.data_kind}.", "help", id="help-data")
            with box("row"):
                button("Browse", self._browse)
                if hasattr(self.recipe, "demo"):
                    button("Use demo data", self.use_demo, "plain")
            self.seen = box("stack")

    def _draw_path(self, data: str) -> None:
        self.path.clear()
        with self.path:
            typed = Tag("input", "", id="in-data", type="text", autocomplete="off", value=data)
        attend(typed, placeholder="choose, or type a path", spellcheck="false")
        attend(typed, aria_describedby="help-data")
        listen(typed, self._typed)

    def _settings_card(self) -> None:
        fields = form.fields_of(self.recipe)
        with box("card", "section"):
            Tag("h2", "Settings")
            with box("fields"):
                for one in fields:
                    if one.basic:
                        self.inputs[one.name] = Input(one, self.check)
                        self.inputs[one.name].draw()
            rest = [one for one in fields if not one.basic]
            if rest:
                self._folded([Input(one, self.check) for one in rest])

    def _folded(self, rest: list[Input]) -> None:
        """Build the settings that few need: drawn when they are unfolded, and no sooner."""
        self.inputs |= {one.field.name: one for one in rest}
        with box("", "details") as fold:
            Tag("summary", f"{len(rest)} more settings")
            place = box("fields")

        def unfold() -> None:
            with place:
                for one in rest:
                    if not one.drawn:
                        one.draw()

        fold.on("toggle", unfold)

    def _start_card(self) -> None:
        with box("card", "section"):
            Tag("h2", "Start")
            self.wrong = note("", "wrong")
            self.wrong.set_visibility(False)
            self.lacking = Tag(
                "p", "Choose data first; everything else may stay as it is.", "quiet"
            )
            with box("row"):
                self.go = button("Run", self.start, "main", id="run-button")
                self.first = button("Check first", self.rehearse, id="check-button")
                button("Back to defaults", self.reset, "plain")
            self.outlined = box("stack")
            self._earlier()
        with box("card", "section"):
            Tag("h2", "The same without a browser")
            self.command = Copyable("Command line")
            self.yaml = Copyable("Study file (YAML)")

    def _earlier(self) -> None:
        """Offer the settings of earlier runs of this recipe."""
        runs = [run for run in self.studio.runs() if run["recipe"] == self.name][:30]
        if not runs:
            return
        with box("field"):
            head = Tag("label", "Settings of an earlier run")
            attend(head, **{"for": "in-earlier"})
            with Tag("select", "", id="in-earlier") as chosen:
                Tag("option", "choose one", value="")
                for run in runs:
                    Tag("option", run["id"], value=run["id"])
            take = "(e) => emit(e.target.value)"
            chosen.on("change", lambda e: guarded(self.take_over, str(e.args)), js_handler=take)

    async def begin(self, *, demo: bool, like: str, data: str) -> None:
        """Fill in what the address asked for."""
        self.ready = True
        if like:
            await guarded(self.take_over, like)
        elif demo and hasattr(self.recipe, "demo"):
            await self.use_demo()
        elif data:
            self.set_data(data)
        self.check()

    def take_over(self, id: str) -> None:
        """Fill the form with the settings of an earlier run."""
        if not id:
            return
        known = self.studio.settings(id)
        self.fill(known["fields"])
        if self.recipe.needs_data and known["data"]:
            self.set_data(known["data"])

    async def use_demo(self) -> None:
        """Make demo data, and fill the form with what fits them."""
        self.told.clear()
        with self.told:
            waiting = loading("Making demo data; this takes some seconds, once.")
        try:
            made = await aside(self.studio.demo, self.name)
        except NeuroloomError as error:
            complain(str(error))
            return
        finally:
            waiting.delete()
        with self.told:
            note(made["what"], "good", "Demo data are ready; press Run.")
        self.fill(made["fields"])
        self.set_data(made["data"])

    def fill(self, fields: dict[str, Any]) -> None:
        """Show these settings, all others at their defaults."""
        for name, one in self.inputs.items():
            one.set(fields.get(name, one.field.default))
        self.check()

    def reset(self) -> None:
        """Show the defaults again."""
        self.fill({})

    def set_data(self, data: str) -> None:
        """Show another path, and what lies there."""
        self._draw_path(data)
        self._typed(data)

    def _typed(self, text: str) -> None:
        self.data = text.strip()
        self.check()
        asyncio.get_running_loop().create_task(self._look(self.data))

    async def _look(self, data: str) -> None:
        """Say in a line what was recognised; offer its labels where names are typed."""
        if not data:
            self.seen.clear()
            return
        try:
            found = await aside(self.studio.look, data)
        except NeuroloomError as error:
            said, bad, labels = str(error), True, {}
        else:
            said, bad, labels = found.layout, not found.counts, found.labels
        if data != self.data:
            return
        self.seen.clear()
        with self.seen:
            note(said, "warning" if bad else "good")
            if labels:
                words = ", ".join(f"{name} ({n})" for name, n in list(labels.items())[:12])
                Tag("p", f"Events: {words}", "small quiet")
            if not bad:
                link("Look at these data", f"/data?path={data}", "small")

    async def _browse(self) -> None:
        chosen = await pick(self.studio)
        if chosen:
            self.set_data(chosen)

    def check(self) -> None:
        """Show what is wrong, and the same as a command and as YAML."""
        if not self.ready:
            return
        found = self.studio.check(self.name, self.fields, self.data)
        for name, one in self.inputs.items():
            one.say(found.problems.get(name, ""))
        others = [text for name, text in found.problems.items() if name not in self.inputs]
        folded = [n for n in found.problems if n in self.inputs and not self.inputs[n].field.basic]
        others += [f"Among the folded settings: {', '.join(folded)}."] if folded else []
        _tell(self.wrong, " ".join(others))
        lacking = self.recipe.needs_data and not self.data
        self.lacking.set_visibility(lacking)
        bad = bool(found.problems) or lacking
        for way in (self.go, self.first):
            attend(way, disabled="disabled" if bad else None)
        self.command.set(found.command)
        self.yaml.set(found.yaml)

    async def rehearse(self) -> None:
        """Read and audit the data, and show what a run would do with them."""
        self.outlined.clear()
        self.planned.clear()
        with self.outlined:
            waiting = loading("Every file is read once; nothing is trained.")
        try:
            found = await aside(self.studio.outline, self.name, self.data or None, self.fields)
        except NeuroloomError as error:
            with self.outlined:
                note(str(error), "wrong", "A run would not begin")
            return
        finally:
            waiting.delete()
        with self.outlined:
            _show_findings(found["findings"])
        if found["outline"]:
            with self.planned, box("card", "section"):
                Tag("h2", "What a run would do")
                table(["What", "Value", "Why"], found["outline"], "What a run would do")

    async def start(self) -> None:
        """Start the run and go to its page."""
        made = await guarded(self.studio.start, self.name, self.data or None, self.fields)
        if made:
            ui.navigate.to(f"/runs/{made['id']}")


def _show_findings(findings: list[dict[str, str]]) -> None:
    """Show what the audit noticed, gravest first."""
    grave = ("objection", "warning", "note")
    for one in sorted(findings, key=lambda one: grave.index(one["severity"])):
        note(one["detail"], "" if one["severity"] == "note" else one["severity"], one["title"])
    note("Nothing stands in the way of a run.", "good")


def _tell(place: Element, text: str) -> None:
    place.clear()
    with place:
        Tag("div", text)
    place.set_visibility(bool(text))
