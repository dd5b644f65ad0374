"""The report: one self-contained page, made from the files of a run folder alone.

The page knows no domain. What the data are, and what was asked of them, it reads from `facts.json`
(see `Facts`); pictures and tables come from the shelf of artifacts.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from neuroloom import __version__
from neuroloom.core.artifact import Artifact, Shelf
from neuroloom.core.errors import RunError
from neuroloom.core.files import read_json, write_json, write_text
from neuroloom.core.meaning import MINUS, THIN, Meaning, meaning_of, number

ROWS = 24
_MIME = {".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg"}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Fact(_Strict):
    """One line of a list: what it is, and its value with unit."""

    label: str
    value: str


class ClassCount(_Strict):
    """How many examples of a class were kept and rejected, and why."""

    name: str = Field(alias="class")
    kept: int
    rejected: int = 0
    reasons: str = ""


class Facts(_Strict):
    """What a recipe tells the report about its data and its question: `facts.json`.

    Every field but `title` may stay empty; the page then leaves out what it cannot say.

    Examples
    --------
    >>> Facts(title="Fists or feet", primary="accuracy", example="trial").examples
    'trials'
    """

    title: str = Field(description="Title of the page")
    question: str = Field("", description="What was asked of the data, one or two sentences")
    primary: str = Field("", description="Key of the metric in the headline; else the first")
    example: str = Field("example", description="What one row of the predictions is: 'trial'")
    plural: str = Field("", description="Its plural, where an s does not make it")
    unit: str = Field("", description="What the split keeps together: 'run', 'subject'")
    model: str = Field("", description="Name of the model; else from predictions.parquet")
    baseline: str = Field("", description="Name of the baseline; else from predictions.parquet")
    how_sure: str = Field("", description="What so many examples allow one to say")
    data: list[Fact] = Field([], description="Files, channels, rate, filter, …")
    trials: list[ClassCount] = Field([], description="Kept and rejected, by class")
    split: list[str] = Field([], description="How the split was made, sentences")
    training: list[Fact] = Field([], description="Plan, epochs, why it stopped")
    where: list[str] = Field([], description="What the explanation shows, sentences")
    method: list[str] = Field([], description="Paragraphs for a paper")
    citations: list[str] = Field([], description="References of the method")
    notes: list[str] = Field([], description="What a reader must bear in mind, shown on top")
    meanings: dict[str, str] = Field({}, description="Explanations of the recipe's own metrics")

    @property
    def examples(self) -> str:
        """The plural of `example`."""
        return self.plural or f"{self.example}s"


@dataclass(frozen=True)
class MetricRow:
    """A metric as the page shows it: formatted numbers, and places (%) on its scale."""

    key: str
    label: str
    text: str
    value: str
    interval: str
    baseline: str
    chance: str
    scale: tuple[str, str]
    places: dict[str, float]
    rising: bool

    @property
    def spoken(self) -> str:
        """The row as a sentence, for those who cannot see the plot."""
        parts = [f"{self.label} {self.value}", self.interval and f"interval {self.interval}"]
        parts += [self.baseline and f"baseline {self.baseline}"]
        parts += [self.chance and f"chance {self.chance}"]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Shown:
    """An artifact ready for the page: an image as a data URI, a table as rows, a text."""

    artifact: Artifact
    uri: str = ""
    columns: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    total: int = 0
    text: str = ""


def write_facts(folder: Path, facts: Facts) -> Path:
    """Write `facts.json` into a run folder."""
    return write_json(Path(folder) / "facts.json", facts.model_dump(by_alias=True))


def write_report(folder: Path) -> Path:
    """Write `report.html` of a run folder, from what lies in it; missing pieces are left out.

    The page needs no network and no script: styles and images are inside it.

    Parameters
    ----------
    folder
        A run folder.

    Returns
    -------
    Path
        The page, `folder/report.html`.

    Raises
    ------
    RunError
        If a file of the folder cannot be read as what it should be.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = write_facts(folder, Facts(title="Fists or feet"))
    >>> write_report(folder).name
    'report.html'
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("neuroloom.core", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(read_page(Path(folder)))
    return write_text(Path(folder) / "report.html", page)


def read_page(folder: Path) -> dict[str, Any]:
    """Gather all that the page shows from a run folder, as plain values for the template."""
    facts = _facts(folder)
    counts = _counts(folder)
    metrics = _metric_rows(_read(folder / "metrics.json", {}), facts)
    primary = next((row for row in metrics if row.key == facts.primary), None)
    primary = primary or (metrics[0] if metrics else None)
    audit = _read(folder / "audit.json", None)
    return {
        "facts": facts,
        "counts": counts,
        "metrics": metrics,
        "primary": primary,
        "verdict": _verdict(primary),
        "margin": _margin(_read(folder / "metrics.json", {}), primary),
        "model": facts.model or counts.get("model", ""),
        "baseline": facts.baseline or counts.get("baseline", ""),
        "status": _read(folder / "status.json", {}),
        "audit": audit,
        "objections": [row for row in audit or [] if row.get("severity") == "objection"],
        "shown": _shown(Shelf(folder / "artifacts")),
        "folds": _fold_table(folder),
        "files": _files(_read(folder / "dataset.json", {})),
        "plan": _lines(_read(folder / "plan.json", {})),
        "environment": _lines(_read(folder / "environment.json", {})),
        "recipe": _private(_text(folder / "recipe.yaml")),
        "name": folder.resolve().name,
        "version": __version__,
    }


def _facts(folder: Path) -> Facts:
    found = _read(folder / "facts.json", {"title": folder.resolve().name})
    try:
        return Facts.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RunError(f"facts.json: field '{where}': {first['msg'].lower()}.") from error


def _read(path: Path, otherwise: Any) -> Any:
    if not path.exists():
        return otherwise
    try:
        return read_json(path)
    except ValueError as error:
        raise RunError(f"{path.name}: expected JSON, {error}. Write the run anew.") from error


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _private(recipe: str) -> str:
    """Leave of the absolute path of the data only its name: the page is sent to others."""
    return re.sub(r"(?m)^(data:\s*).*[/\\]([^/\\\s].*)$", r"\1\2", recipe)


def _counts(folder: Path) -> dict[str, Any]:
    """Count examples, units, folds and seeds; name the model and its baseline."""
    path = folder / "predictions.parquet"
    if not path.exists():
        return {}
    import pandas as pd

    table = pd.read_parquet(path)
    counts: dict[str, Any] = {}
    for role in ("baseline", "model"):
        named = table.loc[table["role"] == role, "model"].unique() if "role" in table else []
        counts[role] = ", ".join(map(str, named))
    mine = table[table["role"] == "model"] if "role" in table else table
    for key in ("example", "unit", "fold", "seed"):
        counts[key] = int(mine[key].nunique()) if key in mine else 0
    return counts


def _metric_rows(metrics: Mapping[str, Mapping[str, Any]], facts: Facts) -> list[MetricRow]:
    rows = []
    for key, numbers in metrics.items():
        meaning = meaning_of(key)
        if numbers.get("value") is not None:
            rows.append(_metric_row(key, meaning, numbers, facts.meanings.get(key, meaning.text)))
    return rows


def _metric_row(key: str, meaning: Meaning, numbers: Mapping[str, Any], text: str) -> MetricRow:
    given = {name: numbers.get(name) for name in ("value", "low", "high", "baseline", "chance")}
    known = {name: float(value) for name, value in given.items() if value is not None}
    start, end = _scale(meaning, list(known.values()))
    between = [number(given[end], meaning) for end in ("low", "high")]
    return MetricRow(
        key=key,
        label=meaning.label,
        text=text,
        value=number(given["value"], meaning),
        interval=" to ".join(between) if all(between) else "",
        baseline=number(given["baseline"], meaning),
        chance=number(given["chance"], meaning),
        scale=(_end(start, meaning), _end(end, meaning)),
        places={name: 100 * (value - start) / (end - start) for name, value in known.items()},
        rising=meaning.rising,
    )


def _scale(meaning: Meaning, values: list[float]) -> tuple[float, float]:
    """Choose round ends of the scale that hold every value and, where it has one, zero."""
    biggest = max(map(abs, values)) or 1.0
    step = 10.0 ** math.floor(math.log10(biggest)) / 2
    low, high = meaning.low, meaning.high
    if low is None:
        low = min(0.0, step * math.floor(min(values) / step))
    if high is None:
        high = step * math.ceil(max(values) / step)
    return min(low, *values), max(high, *values, low + 1e-9)


def _end(value: float, meaning: Meaning) -> str:
    shown = f"{100 * value:.3g}{THIN}%" if meaning.percent else f"{value:.3g}"
    return shown.replace("-", MINUS)


def _verdict(row: MetricRow | None) -> str:
    """Say what the interval allows one to say about chance."""
    if row is None or not {"low", "high", "chance"} <= set(row.places):
        return ""
    low, high, chance = (row.places[name] for name in ("low", "high", "chance"))
    if low <= chance <= high:
        return "Chance lies inside the interval: these data do not show more than guessing."
    better = (low > chance) == row.rising
    return (
        "The whole interval is better than chance."
        if better
        else "The whole interval is worse than chance: check the labels and the split."
    )


def _margin(metrics: Mapping[str, Mapping[str, Any]], row: MetricRow | None) -> str:
    """Say how far the interval reaches from the value, in points where it is a share."""
    numbers = metrics.get(row.key, {}) if row else {}
    if row is None or numbers.get("low") is None or numbers.get("high") is None:
        return ""
    up, down = numbers["high"] - numbers["value"], numbers["value"] - numbers["low"]
    share = meaning_of(row.key).percent
    factor, form, unit = (100, ".0f", " points") if share else (1, ".2g", "")
    if abs(up - down) <= 0.25 * max(up, down):
        return f"±{factor * (up + down) / 2:{form}}{unit}"
    return f"+{factor * up:{form}} / {MINUS}{factor * down:{form}}{unit}"


def _shown(shelf: Shelf) -> dict[str, list[Shown]]:
    """Group what the shelf holds by section; a file that is gone is said to be gone."""
    sections: dict[str, list[Shown]] = {}
    for artifact in shelf:
        sections.setdefault(artifact.section, []).append(_show(shelf, artifact))
    return sections


def _show(shelf: Shelf, artifact: Artifact) -> Shown:
    path = shelf.path(artifact)
    if not path.exists():
        return Shown(artifact, text=f"The file {artifact.file} is gone from the run.")
    if artifact.kind == "figure" and path.suffix in _MIME:
        data = base64.b64encode(path.read_bytes()).decode()
        return Shown(artifact, uri=f"data:{_MIME[path.suffix]};base64,{data}")
    if artifact.kind == "table":
        table = shelf.read(artifact.name)
        return Shown(artifact, total=len(table), **_cells(table))
    text = shelf.read(artifact.name) if artifact.kind == "text" else ""
    return Shown(artifact, text=text or f"Kept in the run as artifacts/{artifact.file}.")


def _cells(table: Any) -> dict[str, Any]:
    shown = table.head(ROWS).astype(object)
    rows = shown.where(shown.notna(), None).itertuples(index=False)
    return {
        "columns": [str(column).replace("_", " ") for column in table.columns],
        "rows": [[_cell(value) for value in row] for row in rows],
    }


def _cell(value: Any) -> str:
    if value is None or value != value:
        return ""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.{3 if abs(value) < 1 else 5}g}".replace("-", MINUS)


def _fold_table(folder: Path) -> Shown | None:
    """Show the metrics by fold and seed."""
    path = folder / "metrics.parquet"
    if not path.exists():
        return None
    import pandas as pd

    table = pd.read_parquet(path)
    artifact = Artifact("folds", "table", "By fold and seed", file="metrics.parquet")
    return Shown(artifact, total=len(table), **_cells(table))


def _files(dataset: Any) -> Shown | None:
    """List the files of `dataset.json`: a list of rows, or a mapping that has one."""
    rows = dataset
    if isinstance(dataset, dict):
        rows = next((dataset[key] for key in ("files", "rows") if key in dataset), [])
    if isinstance(rows, dict):
        rows = [{"path": path, "sha256": hashed} for path, hashed in rows.items()]
    import pandas as pd

    table = pd.DataFrame([row for row in rows if isinstance(row, dict)])
    if table.empty:
        return None
    if "path" in table:
        table = table.drop_duplicates("path")
    artifact = Artifact("files", "table", "Files", file="dataset.json")
    return Shown(artifact, total=len(table), **_cells(table))


def _lines(mapping: Any, before: str = "") -> list[Fact]:
    """Flatten a small nested mapping to lines: `packages.torch: 2.13.0`."""
    if not isinstance(mapping, dict):
        return []
    lines: list[Fact] = []
    for key, value in mapping.items():
        name = f"{before}{key}"
        if isinstance(value, dict):
            lines += _lines(value, f"{name} \N{MIDDLE DOT} ")
        elif isinstance(value, list):
            lines.append(Fact(label=name, value=", ".join(map(_cell, value))))
        else:
            lines.append(Fact(label=name, value=_cell(value)))
    return [Fact(label=x.label.replace("_", " "), value=x.value) for x in lines if x.value]
