"""Find: say what you have and want, or the name of a tool you used to use."""

from __future__ import annotations

from functools import partial

from neuroloom.apps.studio.pages.frame import frame
from neuroloom.apps.studio.pages.pieces import Tag, attend, box, empty, later, link, title
from neuroloom.apps.studio.pages.site import Site
from neuroloom.apps.studio.service import Studio
from neuroloom.catalogue.answers import Answer

EXAMPLES = (
    "I have EEG and want to decode imagined movement",
    "find sleep spindles",
    "segment a structure in MRI",
    "track a mouse in video",
    "DeepLabCut",
)


def register(studio: Studio, page: Site) -> None:
    """Make the page."""

    @page("/")
    def find(q: str = "") -> None:
        with frame(studio, "Find", "/"):
            title(
                "What do you want to find out?",
                "Say what data you have and what you want to know, or name a tool that you used "
                "before. Each answer can be tried at once.",
            )
            with box("search", "form") as form:
                attend(form, role="search", method="get", action="/")
                asked = Tag("input", "", type="search", name="q", value=q, autocomplete="off")
                attend(asked, aria_label="Your question", placeholder=EXAMPLES[0], maxlength=500)
                Tag("button", "Find", "main", type="submit")
            if not q:
                with box("row small"):
                    Tag("span", "For example:", "quiet")
                    for example in EXAMPLES[1:]:
                        link(example, f"/?q={example.replace(' ', '+')}")
            later("Looking through the catalogue", lambda: studio.find(q), partial(_show, q))


def _show(question: str, found: list[Answer]) -> None:
    if not found:
        empty(
            "Nothing fits these words",
            "Try fewer or other words: the kind of data (EEG, MRI, video, microscopy) and what "
            "you want (classify, segment, track, measure).",
            ("Show everything", "/"),
        )
        return
    Tag("h2", f"{len(found)} ways to do it, best first" if question else "Everything there is")
    with box("cards"):
        for answer in found:
            _card(answer)


def _card(answer: Answer) -> None:
    with box("card", "article"):
        Tag("h3", answer.summary[:1].upper() + answer.summary[1:])
        with box("row small"):
            Tag("span", answer.recipe, "mono")
            Tag("span", answer.data, "tag")
        if answer.like:
            Tag("p", f"Does what {answer.like} does.", "small")
        elif answer.tools:
            Tag("p", f"The job of {_few(answer.tools)}.", "small quiet")
        if answer.because:
            Tag("p", f"Fits: {', '.join(answer.because)}.", "small quiet")
        with box("row foot"):
            link(
                "Open",
                f"/recipe/{answer.recipe}",
                "button main",
                aria_label=f"Open {answer.recipe}",
            )
            if answer.demo:
                link(
                    "Try with demo data", f"/recipe/{answer.recipe}?demo=1", "button",
                    aria_label=f"Try with demo data: {answer.recipe}",
                )  # fmt: skip


def _few(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:4])
    return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown
