"""The report: whole, honest, escaped and self-contained, whatever the run folder lacks."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from pydantic import ValidationError

from neuroloom.core import report
from neuroloom.core.artifact import Shelf
from neuroloom.core.errors import RunError
from neuroloom.core.files import write_json, write_text
from neuroloom.core.meaning import MEANINGS, number
from neuroloom.core.report import Facts, write_facts, write_report

pytestmark = pytest.mark.usefixtures("drawn")

EVIL = "<script>alert('x')</script>"
GOOD = {"value": 0.9556, "low": 0.8667, "high": 1.0, "baseline": 0.9333, "chance": 0.5111}
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Outline(HTMLParser):
    """Check that tags are balanced and collect what the tests ask about."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[int] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """Build a small but whole run folder."""
    folder = tmp_path / "fists-feet"
    facts = Facts(
        title="Fists or feet",
        question="Which movement was imagined?",
        primary="accuracy",
        example="trial",
        unit="run",
        how_sure="Three runs of one person: nothing is said about other people.",
        data=[{"label": "Rate", "value": "160 Hz"}],
        trials=[{"class": "fists", "kept": 22, "rejected": 1, "reasons": "above 200 µV"}],
        notes=["Three models were tried on the same folds."],
    )
    write_facts(folder, facts)
    write_json(folder / "metrics.json", {"accuracy": GOOD, "log_loss": {"value": 0.2, "low": None}})
    write_json(folder / "audit.json", [])
    write_json(folder / "status.json", {"state": "done"})
    write_json(folder / "environment.json", {"python": "3.11", "packages": {"torch": "2.13"}})
    write_json(folder / "dataset.json", {"rows": [{"path": f"{EVIL}.edf", "run": "06"}]})
    write_text(folder / "recipe.yaml", "model: csp-lda\n")
    predictions(folder)
    figure = Figure(figsize=(2, 1))
    Shelf(folder / "artifacts").add_figure("confusion", figure, title="Confusion matrix")
    return folder


def predictions(folder: Path) -> None:
    rows = [
        {"example": i, "unit": f"{i % 3}", "fold": i % 3, "seed": 0, "model": name, "role": role}
        for i in range(45)
        for name, role in (("eegnet", "model"), ("csp-lda", "baseline"))
    ]
    pd.DataFrame(rows).to_parquet(folder / "predictions.parquet")


def page_of(folder: Path) -> str:
    return write_report(folder).read_text(encoding="utf-8")


def words(page: str) -> str:
    """The page as a reader meets it: no tags, no runs of blanks."""
    body = page[page.index("<body>") :]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", body)))


def test_headline_gives_value_interval_count_baseline_and_chance(run_folder: Path) -> None:
    said = words(page_of(run_folder))
    assert "Accuracy 95.6 % with eegnet, 95 % interval 86.7 % to 100.0 %" in said
    assert "on 45 unseen trials of 3 runs." in said
    assert "The baseline csp-lda reaches 93.3 %. Chance is 51.1 %." in said
    assert "The whole interval is better than chance." in said
    assert "45 trials: +4 / −9 points" in said
    assert "Three models were tried on the same folds." in said


def test_margin_is_said_once(run_folder: Path) -> None:
    write_facts(run_folder, Facts(title="x", example="trial", how_sure="45 trials: ±7 points."))
    assert words(page_of(run_folder)).count("45 trials:") == 1


@pytest.mark.parametrize("unit", ["time", "random"])
def test_what_is_no_unit_is_not_counted(run_folder: Path, unit: str) -> None:
    write_facts(run_folder, Facts(title="x", example="trial", unit=unit))
    assert "on 45 unseen trials." in words(page_of(run_folder))


def test_headings_are_in_order_and_tags_balance(run_folder: Path) -> None:
    outline = Outline(page_of(run_folder))
    assert outline.headings[0] == 1
    assert outline.headings.count(1) == 1
    pairs = zip(outline.headings, outline.headings[1:], strict=False)
    assert all(after <= before + 1 for before, after in pairs)
    assert ("html", {"lang": "en"}) in outline.seen
    assert all(attrs.get("alt") for tag, attrs in outline.seen if tag == "img")


def test_page_asks_for_nothing_outside_itself(run_folder: Path) -> None:
    outline = Outline(page_of(run_folder))
    assert not [tag for tag, _ in outline.seen if tag in {"script", "iframe", "object"}]
    sources = [attrs.get("src") or attrs.get("href") for _, attrs in outline.seen]
    assert all(source.startswith(("data:", "#")) for source in sources if source)
    assert "url(" not in page_of(run_folder)


def test_names_from_the_data_are_escaped(run_folder: Path) -> None:
    write_facts(run_folder, Facts(title=EVIL, notes=[EVIL], method=[EVIL]))
    write_json(run_folder / "audit.json", [{"severity": EVIL, "title": EVIL, "detail": EVIL}])
    shelf = Shelf(run_folder / "artifacts")
    shelf.add_text("note", EVIL, title=EVIL, caption=EVIL, alt=EVIL)
    shelf.add_table("table", pd.DataFrame({EVIL: [EVIL]}), title="T")
    page = page_of(run_folder)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("path", ["/home/jane doe/my eeg", r"C:\Users\jane doe\my eeg"])
def test_place_of_the_data_stays_at_home(run_folder: Path, path: str) -> None:
    write_text(run_folder / "recipe.yaml", f"recipe: x\ndata: {path}\nseed: 1\n")
    page = page_of(run_folder)
    assert "jane doe" not in page
    assert "data: my eeg\nseed: 1" in page


def test_folder_with_nothing_in_it_still_makes_a_page(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    Outline(page)
    assert "Nothing was judged in this run." in words(page)
    assert "No audit is stored in this run." in words(page)


@pytest.mark.parametrize(
    "missing", ["facts.json", "metrics.json", "predictions.parquet", "audit.json", "dataset.json"]
)
def test_each_piece_may_be_missing(run_folder: Path, missing: str) -> None:
    (run_folder / missing).unlink()
    Outline(page_of(run_folder))


def test_empty_metrics_say_that_nothing_was_judged(run_folder: Path) -> None:
    write_json(run_folder / "metrics.json", {})
    assert "Nothing was judged in this run." in words(page_of(run_folder))


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ({"value": 0.6, "low": 0.45, "high": 0.74, "chance": 0.51}, "do not show more than guess"),
        ({"value": 0.3, "low": 0.2, "high": 0.4, "chance": 0.51}, "worse than chance"),
        ({"value": 0.9, "low": 0.8, "high": 0.95, "chance": 0.51}, "better than chance"),
    ],
)
def test_verdict_follows_the_interval(run_folder: Path, numbers: dict, says: str) -> None:
    write_json(run_folder / "metrics.json", {"accuracy": numbers})
    assert says in words(page_of(run_folder))


def test_metric_without_chance_gets_no_verdict(run_folder: Path) -> None:
    write_json(run_folder / "metrics.json", {"mae": GOOD | {"chance": None}})
    assert "chance" not in words(page_of(run_folder)).split("The result beside")[0].lower()


def test_objection_stamps_the_top_of_the_page(run_folder: Path) -> None:
    finding = {"severity": "objection", "title": "Random split", "detail": "Trials neighbour."}
    write_json(run_folder / "audit.json", [finding])
    said = words(page_of(run_folder))
    assert said.index("Objection: Random split.") < said.index("Accuracy 95.6")


def test_run_that_failed_says_so(run_folder: Path) -> None:
    write_json(run_folder / "status.json", {"state": "failed", "error": "No space left"})
    said = words(page_of(run_folder))
    assert "This run is not finished: failed." in said
    assert "No space left" in said


def test_run_that_writes_its_own_report_is_no_failure(run_folder: Path) -> None:
    write_json(run_folder / "status.json", {"state": "running"})
    assert "not finished" not in words(page_of(run_folder))


def test_lost_figure_is_named_not_hidden(run_folder: Path) -> None:
    (run_folder / "artifacts" / "confusion.png").unlink()
    assert "confusion.png is gone" in words(page_of(run_folder))


def test_broken_file_is_named(run_folder: Path) -> None:
    write_text(run_folder / "audit.json", "[{")
    with pytest.raises(RunError, match=r"audit\.json"):
        write_report(run_folder)


def test_facts_refuse_fields_that_nothing_shows(run_folder: Path) -> None:
    with pytest.raises(ValidationError):
        Facts(title="x", headline="lost")
    write_json(run_folder / "facts.json", {"title": "x", "headline": "lost"})
    with pytest.raises(RunError, match="headline"):
        write_report(run_folder)


def test_same_folder_same_page(run_folder: Path) -> None:
    assert page_of(run_folder) == page_of(run_folder)


def test_page_knows_no_domain() -> None:
    core = Path(report.__file__).parent
    text = "".join((core / name).read_text() for name in ("report.py", "report.html.j2"))
    assert not re.search(r"\b(EEG|MEG|sensor|electrode|topomap|voxel)s?\b", text, re.IGNORECASE)


@pytest.mark.parametrize(
    ("value", "key", "shown"),
    [(0.9556, "accuracy", "95.6\u202f%"), (-0.2, "r2", "\u22120.200"), (None, "auc", "")],
)
def test_numbers_are_written_for_reading(value: float | None, key: str, shown: str) -> None:
    assert number(value, MEANINGS[key]) == shown
