"""One input for each kind of setting; each holds plain data, and None where nothing is given."""

from __future__ import annotations

import html
from collections.abc import Callable
from functools import partial
from typing import Any

from nicegui.element import Element

from neuroloom.apps.studio.form import FormField
from neuroloom.apps.studio.pages.pieces import Tag, attend, box, button

Changed = Callable[[], Any]
GIVE = "(e) => emit(e.target.type === 'checkbox' ? e.target.checked : e.target.value)"


class Input:
    """A setting on the page: label, unit, help, the control, and what is wrong with it.

    It can hold a value, and a problem, before it is drawn.
    """

    def __init__(self, field: FormField, changed: Changed) -> None:
        self.field, self._changed = field, changed
        self.value: Any = field.default
        self.drawn, self._problem = False, ""
        self.controls: list[Element] = []

    def draw(self) -> None:
        """Put it where the page is now."""
        field, self.drawn = self.field, True
        with box(f"field{' wide' if field.kind == 'pairs' else ''}"):
            with Tag("label" if self._single else "span", "", "label") as head:
                Tag("span", field.label)
                if field.unit:
                    Tag("span", f" ({field.unit})", "unit")
                if field.required:
                    Tag("span", " needed", "unit")
            attend(head, id=f"label-{field.name}")
            if self._single:
                attend(head, **{"for": f"in-{field.name}"})
            self._place = box("stack")
            self._wrong = Tag("div", "", "wrong", id=f"wrong-{field.name}", role="alert")
            self._wrong.set_visibility(False)
            Tag("div", self._help(), "help", id=f"help-{field.name}")
        self.set(self.value)
        self.say(self._problem)

    @property
    def _single(self) -> bool:
        return self.field.kind not in ("numbers", "pairs")

    @property
    def changed(self) -> bool:
        """Whether it holds something else than the default."""
        return self.value != self.field.default

    def set(self, value: Any) -> None:
        """Show another value."""
        self.value = list(value) if isinstance(value, tuple) else value
        if not self.drawn:
            return
        self._place.clear()
        self.controls = []
        with self._place:
            MAKERS[self.field.kind](self)

    def say(self, problem: str) -> None:
        """Show what is wrong, or nothing."""
        self._problem = problem
        if not self.drawn:
            return
        self._wrong.set_text(problem)
        self._wrong.set_visibility(bool(problem))
        for control in self.controls:
            attend(control, aria_invalid="true" if problem else None)

    def give(self, value: Any) -> None:
        """Take over what was typed."""
        self.value = value
        self._changed()

    def add(self, tag: str, part: str = "", **attributes: Any) -> Tag:
        """Return a control that is tied to label, help and problem."""
        name = self.field.name
        made = Tag(tag, "", id=f"in-{name}{part}", **attributes)
        attend(made, aria_describedby=f"help-{name} wrong-{name}")
        if not self._single:
            attend(made, aria_label=f"{self.field.label}, {part.strip('-') or 'value'}")
        self.controls.append(made)
        return made

    def _help(self) -> str:
        said = self.field.help
        if self.field.kind == "list":
            said += "; several are separated by commas"
        ends = _range(self.field)
        return f"{said}. {ends}" if ends else f"{said}."


def _switch(one: Input) -> None:
    control = one.add("input", type="checkbox")
    attend(control, checked="checked" if one.value else None)
    control.on("change", lambda e: one.give(bool(e.args)), js_handler=GIVE)


def _number(one: Input) -> None:
    field = one.field
    control = one.add("input", type="text", inputmode="decimal", autocomplete="off")
    attend(control, value=_text(one.value), placeholder=_if_emptied(field))
    listen(control, lambda text: one.give(parsed(text, field)))


def _text_field(one: Input) -> None:
    control = one.add("input", type="text", autocomplete="off", spellcheck="false")
    attend(control, value=one.value or "", placeholder=_if_emptied(one.field))
    listen(control, lambda text: one.give(text or emptied(one.field)))


def _choice(one: Input) -> None:
    control = one.add("select")
    options = [(choice, choice, choice == one.value) for choice in one.field.choices]
    if one.field.optional or one.field.default not in one.field.choices:
        word = "automatic" if one.field.default is None else "none"
        options.insert(0, ("", word, one.value in (None, "")))
    control.props["innerHTML"] = "".join(_option(*option) for option in options)
    control.on("change", lambda e: one.give(e.args or emptied(one.field)), js_handler=GIVE)


def _option(value: str, text: str, chosen: bool) -> str:
    """Return an option as HTML: as elements of their own, dozens would slow the page."""
    selected = " selected" if chosen else ""
    return f'<option value="{html.escape(value)}"{selected}>{html.escape(text)}</option>'


def _list(one: Input) -> None:
    field = one.field
    control = one.add("input", type="text", autocomplete="off", spellcheck="false")
    shown = ", ".join(map(str, one.value or []))
    attend(control, value=shown, placeholder=", ".join(map(str, field.default or [])) or "not set")
    listen(control, lambda text: one.give(parsed_list(text, field)))


def _numbers(one: Input) -> None:
    values = list(one.value or [None] * one.field.length)

    def take(k: int, text: str) -> None:
        values[k] = parsed(text, one.field, None)
        empty = all(value is None for value in values)
        one.give(None if empty else [("" if value is None else value) for value in values])

    words = ("from", "to") if one.field.length == 2 else tuple("123456789")
    with box("row"):
        for k, value in enumerate(values):
            with box("grow"):
                control = one.add(
                    "input", f"-{words[k]}", type="text", inputmode="decimal", autocomplete="off"
                )
            attend(control, value=_text(value), placeholder=words[k])
            listen(control, partial(take, k))


def _pairs(one: Input) -> None:
    pairs = [[str(key), value] for key, value in (one.value or {}).items()]
    place = box("stack")

    def take(k: int, part: int, text: str) -> None:
        pairs[k][part] = (
            parsed(text, one.field, "") if part and one.field.item == "number" else text
        )
        one.give({key: value for key, value in pairs if key})

    def remove(k: int) -> None:
        del pairs[k]
        draw()
        one.give({key: value for key, value in pairs if key})

    def draw() -> None:
        place.clear()
        one.controls = []
        with place:
            for k, (key, value) in enumerate(pairs):
                with box("pair"):
                    left = one.add("input", f"-name-{k + 1}", type="text", list="known-labels")
                    attend(left, value=key, placeholder="name")
                    listen(left, partial(take, k, 0))
                    right = one.add("input", f"-value-{k + 1}", type="text")
                    attend(right, value=_text(value), placeholder="value")
                    listen(right, partial(take, k, 1))
                    label = f"Remove {one.field.label}, row {k + 1}"
                    button("Remove", lambda k=k: remove(k), "plain", aria_label=label)
            button("Add a row", add, "plain", aria_label=f"Add a row to {one.field.label}")

    def add() -> None:
        pairs.append(["", ""])
        draw()

    draw()


MAKERS: dict[str, Callable[[Input], None]] = {
    "switch": _switch,
    "number": _number,
    "choice": _choice,
    "text": _text_field,
    "list": _list,
    "numbers": _numbers,
    "pairs": _pairs,
}


def listen(control: Tag, take: Callable[[str], Any]) -> None:
    """Call `take` with the text, a moment after typing pauses and when the control is left."""
    control.on(
        "input",
        lambda e: take(str(e.args)),
        js_handler=GIVE,
        throttle=0.1,
        leading_events=False,
    )


def parsed(text: str, field: FormField, default: Any = ...) -> Any:
    """Return the number that a text says; the text itself where it says none (it is then refused).

    Examples
    --------
    >>> from neuroloom.apps.studio.form import fields_of
    >>> from neuroloom.core import registry
    >>> rate = fields_of(registry.load("recipe", "signals.simulate"))[6]
    >>> parsed("160,5", rate), parsed("many", rate), parsed("", rate)
    (160.5, 'many', 160.0)
    """
    text = text.strip().replace(",", ".")
    if not text:
        return emptied(field) if default is ... else default
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if value.is_integer() and (field.whole or "." not in text) else value


def emptied(field: FormField) -> Any:
    """Return what a control without text says: none where a setting may be none, else the default.

    Examples
    --------
    >>> from neuroloom.apps.studio.form import fields_of
    >>> from neuroloom.core import registry
    >>> fields = {one.name: one for one in fields_of(registry.load("recipe", "signals.detect"))}
    >>> fields["threshold"].default, emptied(fields["threshold"]), emptied(fields["iou"])
    (0.5, None, 0.2)
    """
    return None if field.optional else field.default


def _if_emptied(field: FormField) -> str:
    """Return what stands in a control without text."""
    return _text(emptied(field)) or ("not set" if field.default is None else "none")


def parsed_list(text: str, field: FormField) -> Any:
    """Return the items of a text with commas; the default if it is empty."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        return field.default
    return [parsed(word, field) for word in words] if field.item == "number" else words


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _range(field: FormField) -> str:
    """Say the range of a number in words."""
    low = f"from {field.low:g}" if field.low is not None else ""
    low = f"more than {field.above:g}" if field.above is not None else low
    high = f"to {field.high:g}" if field.high is not None else ""
    high = f"less than {field.below:g}" if field.below is not None else high
    said = " ".join(part for part in (low, high) if part)
    return f"{said[0].upper()}{said[1:]}." if said else ""
