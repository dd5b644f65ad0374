"""Tables that the pages do not type: recipes from their types, models, tools, parity."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from docutils import nodes
from markdown_it import MarkdownIt
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from neuroloom.catalogue.parity import load_parity
from neuroloom.catalogue.search import load_tools
from neuroloom.core import registry
from neuroloom.core.recipe import FieldInfo, describe


class Settings(SphinxDirective):
    """`.. settings:: signals.decode` shows a recipe's fields as its types declare them."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return a table of the basic fields and one of the rest."""
        recipe = registry.load("recipe", self.arguments[0])
        fields = describe(recipe)
        lines = [recipe.summary, ""]
        for title, basic in (("Basic", True), ("Advanced", False)):
            lines += [f"**{title}**", ""]
            lines += table(
                ("field", "default", "what"),
                (row(field) for field in fields if field.basic == basic),
            )
        return self.parse_text_to_nodes("\n".join(lines))


def row(field: FieldInfo) -> tuple[str, str, str]:
    """Return the cells of one field."""
    default = "required" if field.required else f"``{field.default!r}``"
    unit = f" ({field.unit})" if field.unit else ""
    choices = f" One of {', '.join(f'``{choice}``' for choice in field.choices)}."
    what = re.sub(r"\*|_(?=\W)", r"\\\g<0>", field.help)
    return f"``{field.name}``", default, what + unit + (choices if field.choices else "")


class Models(SphinxDirective):
    """`.. models:: conv` shows the models of a file of `signals/models`.

    `grids.models` names a file elsewhere by the end of its module.
    """

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table of the family's models, in the order of the registry."""
        places = registry.table("model").items()
        family = [n for n, place in places if f".{self.arguments[0]}:" in place]
        if not family:
            raise self.error(f"no model is registered in {self.arguments[0]}")
        models = [registry.load("model", name) for name in family]
        rows = (
            (f"``{model.name.rpartition('/')[2]}``", model.summary, model.source)
            for model in models
        )
        return self.parse_text_to_nodes("\n".join(table(("name", "what", "source"), rows)))


class Tasks(SphinxDirective):
    """`.. tasks::` shows the library of cognitive tasks; an argument keeps those of one tag."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table of the tasks, as they declare themselves."""
        from neuroloom.cognition.task import task, tasks

        kept = [task(name) for name in tasks()]
        if self.arguments:
            kept = [one for one in kept if self.arguments[0] in one.tags]
        rows = (
            (f"``{one.name}``", one.summary, one.source,
             f"{len(one.inputs)}, {len(one.outputs)}, {one.actions}")
            for one in kept
        )  # fmt: skip
        head = ("name", "what is done", "source", "inputs, outputs, actions")
        return self.parse_text_to_nodes("\n".join(table(head, rows)))


class Augmentations(SphinxDirective):
    """`.. augmentations::` shows what may stand behind `augment=`; `grid` names a family."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table of registered augmentations, with what their docstrings begin with."""
        family = self.arguments[0] if self.arguments else ""
        found = [
            (name, registry.load("augmentation", registry.key("augmentation", name, family)))
            for name in registry.names("augmentation", family)
        ]
        rows = (
            (f"``{name}``", (inspect.getdoc(function) or "").partition("\n")[0])
            for name, function in found
        )
        return self.parse_text_to_nodes("\n".join(table(("name", "what"), rows)))


class Tools(SphinxDirective):
    """`.. tools::` shows the catalogue with the state of parity."""

    def run(self) -> list[nodes.Node]:
        """Return the table of the 72 tools."""
        rows = (
            (tool.name, tool.data, tool.task, f"``{tool.neuroloom}``", tool.parity)
            for tool in load_tools()
        )
        head = ("tool", "data", "task", "here", "parity")
        return self.parse_text_to_nodes("\n".join(table(head, rows)))


class Parity(SphinxDirective):
    """`.. parity::` shows the rows that `make parity` wrote."""

    def run(self) -> list[nodes.Node]:
        """Return the table of checks."""
        rows = [
            (check.tool, check.claim, check.figure, check.bar, check.date)
            for check in load_parity()
        ]
        head = ("tool", "claim", "figure", "bar", "date")
        lines = table(head, rows) if rows else ["No check has run yet."]
        return self.parse_text_to_nodes("\n".join(lines))


class Markdown(SphinxDirective):
    """`.. markdown:: ../CONTRIBUTING.md` shows a page of the repository, less its title."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the page as HTML."""
        _, path = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(path)
        text = Path(path).read_text(encoding="utf-8").partition("\n")[2]
        return [nodes.raw("", MarkdownIt().enable("table").render(text), format="html")]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of an RST list-table."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for cells in (head, *rows):
        for number, cell in enumerate(cells):
            lines.append(f"   {'* ' if number == 0 else '  '}- {cell or ' '}")
    return [*lines, ""]


def escape_marks(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Let shapes such as `(class, *axes)` and `|a - b|` in docstrings be text."""
    for number, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...", "..")):
            lines[number] = re.sub(r"(?<=[(\s])\*(?=\w+[),])|\|(?=\w[^|]*\|)", r"\\\g<0>", line)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    for name, directive in (
        ("settings", Settings), ("models", Models), ("augmentations", Augmentations),
        ("tasks", Tasks),
        ("tools", Tools), ("parity", Parity), ("markdown", Markdown),
    ):  # fmt: skip
        app.add_directive(name, directive)
    app.connect("autodoc-process-docstring", escape_marks, priority=600)
    return {"parallel_read_safe": True}
