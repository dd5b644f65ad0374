"""From a plain sentence to the recipes that do it, best first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from neuroloom.catalogue.search import OPTIONS, Tool, load_tools
from neuroloom.catalogue.words import stem, tokens, wanted
from neuroloom.core import registry
from neuroloom.core.recipe import describe

HEAD, OWN, FIELDS, TOOLS, NAMED = 4.0, 2.5, 1.0, 1.0, 6.0


@dataclass(frozen=True)
class Answer:
    """A recipe that may be what was asked for.

    Attributes
    ----------
    recipe, summary, data
        Its name, what it does, and the kind of data that it reads.
    because
        The words of the question that it fits.
    tools
        Tools of the review that do this job.
    like
        The tool that was named in the question, if one was.
    options
        What to add to the command so that it does what that tool does.
    demo
        Whether it brings data to try it on.
    """

    recipe: str
    summary: str
    data: str
    because: tuple[str, ...]
    tools: tuple[str, ...]
    like: str = ""
    options: str = ""
    demo: bool = False


def answers(question: str, most: int = 12) -> list[Answer]:
    """Return the recipes that fit a question, best first; all recipes if nothing is asked.

    A rare word counts more than a common one, a recipe's own words more than those of the tools
    whose job it does. Not every word has to fit.

    Examples
    --------
    >>> answers("I have EEG and want to score sleep")[0].recipe
    'signals.stage'
    >>> answers("braindecode")[0].recipe
    'signals.decode'
    """
    asked = wanted(question)
    named = _named(question)
    recipes = registry.names("recipe")
    if not asked:
        return [_answer(name, ()) for name in recipes] if not question.strip() else []
    hits = {name: [_fit(ways, name) for ways in asked] for name in recipes}
    weights = [_weight([hits[name][k] for name in recipes]) for k in range(len(asked))]
    scored = []
    for name in recipes:
        tool = next((tool for tool in named if name in tool.ready), None)
        score = sum(w * h for w, h in zip(weights, hits[name], strict=True))
        score += NAMED / (1 + tool.ready.index(name)) if tool else 0.0
        because = tuple(ways[0] for ways, hit in zip(asked, hits[name], strict=True) if hit)
        if score > 0:
            scored.append((score, _answer(name, because, tool)))
    scored.sort(key=lambda pair: -pair[0])
    floor = 0.25 * scored[0][0] if scored else 0.0
    return [answer for score, answer in scored if score >= floor][:most]


def _weight(hits: list[float]) -> float:
    """Return how telling a word is: those that every recipe fits tell nothing."""
    share = sum(hit > 0 for hit in hits) / len(hits)
    return math.log(1.5 / share) if share else 0.0


def _fit(ways: tuple[str, ...], name: str) -> float:
    for stems, worth in zip(_texts(name), (HEAD, OWN, FIELDS, TOOLS), strict=True):
        if any(_stands_in(way, stems) for way in ways):
            return worth
    word = stem(ways[0])
    if len(word) >= 4 and any(o.startswith(word) for stems in _texts(name) for o in stems):
        return TOOLS
    return 0.0


def _stands_in(way: str, stems: frozenset[str]) -> bool:
    return all(stem(word) in stems for word in tokens(way))


@cache
def _texts(name: str) -> tuple[frozenset[str], ...]:
    """Return the stems of a recipe's headline, its description, its settings, and its tools."""
    recipe = registry.load("recipe", name)
    about = (recipe.__doc__ or "").split("Examples")[0]
    settings = [" ".join((info.name, info.help, *info.choices)) for info in describe(recipe)]
    said = [tool.text for tool in load_tools() if name in tool.ready]
    head = f"{name} {recipe.summary} {recipe.data_kind}"
    texts = (head, about, " ".join(settings), " ".join(said))
    # A tuple of a finished list: one that grows item by item may not be seen by another thread.
    return tuple([_stems(text) for text in texts])


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(word) for word in tokens(text))


def _named(question: str) -> list[Tool]:
    """Return the tools whose names stand in the question."""
    said = set(tokens(question))
    return [
        tool
        for tool in load_tools()
        if any(set(tokens(part)) <= said for part in tool.name.split(",") if tokens(part))
    ]


def _answer(name: str, because: tuple[str, ...], tool: Tool | None = None) -> Answer:
    recipe = registry.load("recipe", name)
    tools = tuple(known.name for known in load_tools() if name in known.ready)
    like, options = (tool.name, OPTIONS.get(tool.name, "")) if tool else ("", "")
    return Answer(
        name, recipe.summary, recipe.data_kind, because, tools, like, options,
        hasattr(recipe, "demo"),
    )  # fmt: skip
