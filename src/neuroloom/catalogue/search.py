"""Find a tool of the review by what one has and wants, and what does its job here."""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields
from functools import cache

from neuroloom.catalogue.parity import HERE, NOT_YET, state
from neuroloom.catalogue.words import matches, tokens
from neuroloom.core import registry
from neuroloom.core.errors import ConfigError, nearest

# What to add to a recipe's command so that it does what that tool is known for.
OPTIONS = {
    "braindecode": "--model shallow --mode cropped",
    "DN3": "--model tidnet --align euclidean --split subject",
    "DeLINEATE": "--over whole --seeds 3",
    "DeepEEG": "--model erp",
    "CDeep3M2": "--views sixteen",
    "DLTK": "--kind autoencoder",
    "EEG-DL": "--model bi-lstm-attention",
    "ExBrainable": "--model sccnet",
    "GaNDLF": "--model unet",
    "MIScnn": "--model unet --folds 3",
    "MONAI": "--model segresnet",
    "NiftyNet": "--model highresnet",
    "NiftyTorch": "--model attention-unet",
    "SANTIA": "--model artifact-cnn",
    "Volume Segmantics": "--views twelve",
    "gumpy": "--model voting",
    "ivadomed": "--configuration 2d --missing hemis",
    "nnU-Net": "--folds 5",
}
# The recipe that does what that tool is known for, where it is not the first of its row.
KNOWN_FOR = {
    "Allen Cell Structure Segmenter": "microscopy.threshold",
    "DLTK": "volumes.synthesize",
    "DeepBehavior": "pose.track",
}
# What does a tool's job but is no recipe.
APPS = {"studio": "neuroloom studio", "models": "neuroloom models"}


@dataclass(frozen=True)
class Tool:
    """One row of the catalogue: facts of the review, and which of our recipes does the job."""

    name: str
    group: str
    area: str
    data: str
    datasets: str
    task: str
    models: str
    framework: str
    customization: str
    language: str
    interface: str
    mode: str
    maintenance: str
    source: str
    stars: str
    forks: str
    contributors: str
    reference: str
    neuroloom: str
    licence: str

    @property
    def recipes(self) -> list[str]:
        """The recipes and apps that do its job here, built or planned."""
        return self.neuroloom.split()

    @property
    def ready(self) -> list[str]:
        """The recipes among them that exist."""
        return [recipe for recipe in self.recipes if recipe in registry.table("recipe")]

    @property
    def online(self) -> bool:
        """Whether the review calls it usable while data arrive."""
        return "Online" in self.mode

    @property
    def parity(self) -> str:
        """Say "passed (date, figures)", with the recipes that are still to come, or "not yet"."""
        shown = state(self.name)
        missing = [name for name in self.recipes if name not in (*self.ready, *APPS)]
        if shown == NOT_YET or not missing:
            return shown
        return f"{shown}; {NOT_YET}: {' '.join(missing)}"

    @property
    def text(self) -> str:
        """Everything that a full-text search looks at."""
        return " ".join(str(getattr(self, field.name)) for field in fields(self))


@cache
def load_tools() -> tuple[Tool, ...]:
    """Return all tools in the order of the review.

    Examples
    --------
    >>> len(load_tools())
    72
    """
    with (HERE / "tools.csv").open(encoding="utf-8", newline="") as handle:
        return tuple(Tool(**row) for row in csv.DictReader(handle))


def search(
    text: str | None = None,
    *,
    area: str | None = None,
    data: str | None = None,
    task: str | None = None,
    model: str | None = None,
    framework: str | None = None,
    interface: str | None = None,
    online: bool | None = None,
    licence: str | None = None,
    upkeep: str | None = None,
    language: str | None = None,
) -> list[Tool]:
    """Return the tools that fit all that is asked, those named in `text` first.

    Parameters
    ----------
    text
        Plain words over all columns; fillers ("I have … and want …") are ignored, synonyms
        (electroencephalography) and word endings understood.
    area, data, task, model, framework, interface, licence, upkeep, language
        Words that must stand in that column. `upkeep` is "active" or "inactive", as the review
        found it.
    online
        True: usable while data arrive; False: only offline.

    Examples
    --------
    >>> [tool.name for tool in search("I have EEG and want explanations")]
    ['ExBrainable']
    """
    asked = {
        "area": area, "data": data, "task": task, "models": model, "framework": framework,
        "interface": interface, "licence": licence, "language": language,
    }  # fmt: skip
    found = [
        tool
        for tool in load_tools()
        if (not text or matches(text, tool.text))
        and all(matches(words, getattr(tool, column)) for column, words in asked.items() if words)
        and (online is None or tool.online == online)
        and (not upkeep or tool.maintenance.lower() == upkeep.lower())
    ]
    said = set(tokens(text or ""))
    return sorted(found, key=lambda tool: not _is_named(tool, said))


def find_tool(name: str) -> Tool:
    """Return the tool of that name, whatever its case; rows that hold two tools answer to each.

    Raises
    ------
    ConfigError
        If the catalogue has no such tool; the message suggests the nearest.

    Examples
    --------
    >>> find_tool("sleap").name
    'LEAP, SLEAP'
    """
    by_name = {alias.lower(): tool for tool in load_tools() for alias in _aliases(tool)}
    if name.strip().lower() not in by_name:
        known = [alias for tool in load_tools() for alias in _aliases(tool)]
        raise ConfigError(
            f"The catalogue has no tool called '{name}'.{nearest(name, known)} "
            "`neuroloom tools` lists all 72."
        )
    return by_name[name.strip().lower()]


def _is_named(tool: Tool, said: set[str]) -> bool:
    return any(set(tokens(alias)) <= said for alias in _aliases(tool))


def _aliases(tool: Tool) -> list[str]:
    parts = tool.name.replace("(", ",").replace(")", "").split(",")
    return [*(part.strip() for part in parts), tool.name]


def like(name: str) -> str:
    """Return the command that does here what the tool `name` does, or say that none does yet.

    Examples
    --------
    >>> like("braindecode")
    'neuroloom run signals.decode DATA --model shallow --mode cropped --out runs/braindecode'
    """
    tool = find_tool(name)
    if tool.recipes[0] in APPS:
        return APPS[tool.recipes[0]]
    if not tool.ready:
        planned = " and ".join(tool.recipes)
        return f"{NOT_YET}: {tool.name} is to be matched by {planned}, which does not exist yet."
    slug = "-".join(tokens(_aliases(tool)[0])[:1])
    recipe, options = KNOWN_FOR.get(tool.name, tool.ready[0]), OPTIONS.get(tool.name, "")
    return " ".join(
        part for part in ("neuroloom run", recipe, "DATA", options, f"--out runs/{slug}") if part
    )
