"""Psychometric and chronometric curves from a table of answers, and their figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.cognition.curves import Curve, fit_chronometric, fit_psychometric
from neuroloom.core.errors import ConfigError, DataError, nearest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

STRENGTHS = (
    "coherence", "contrast", "evidence", "intensity", "rate", "size", "interval", "log odds",
)  # fmt: skip
BINS = 8
FEWEST = 40
RIGHT, TIME = ("right", "correct"), ("rt", "reaction_time", "reaction time")


@dataclass(frozen=True)
class Curves:
    """The curves of one table, over the strength of one condition."""

    x: str
    right: Curve
    time: Curve | None


def read_table(path: Path) -> pd.DataFrame:
    """Return a table of answers.

    Raises
    ------
    DataError
        If it cannot be read, or has no column "right" of 0 and 1.
    """
    import pandas as pd

    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(f"answers: {path.name} cannot be read as a table ({error}).") from error
    column = next((name for name in RIGHT if name in table), None)
    if column is None:
        raise DataError(f"answers: {path.name} has no column 'right' (0 or 1 a trial)."
                        f" It has {list(table.columns)}.")  # fmt: skip
    odd = ~table[column].isin([0, 1, True, False])
    if odd.any():
        row = int(np.argmax(odd))
        raise DataError(f"answers: {path.name}, row {row + 2}: '{column}' is "
                        f"{table[column].iloc[row]!r}, expected 0 or 1.")  # fmt: skip
    return table.rename(columns={column: "right"})


def read_answers_of(path: Path, asked: str | None) -> pd.DataFrame:
    """Return a table of answers of which curves can be fitted.

    Raises
    ------
    DataError
        If it is no table of answers, or none of its conditions has three strengths.
    ConfigError
        If the condition that was asked for is not there.
    """
    table = read_table(path)
    if fit_curves(table, asked, 0.5, 0, 0) is None:
        raise DataError(
            f"answers: {path.name} has {len(table)} rows; curves need {FEWEST}, and a condition of "
            f"three strengths or more: name it by x. It has {', '.join(map(str, table))}."
        )
    return table


def check_axis(asked: str, tables: Sequence[pd.DataFrame]) -> None:
    """Check that one of the tasks has the condition that curves are to be drawn over."""
    names = list(dict.fromkeys(str(name) for table in tables for name in table))
    if asked not in names:
        raise ConfigError(f"x: no condition is called '{asked}'.{nearest(asked, names)} "
                          f"Known: {', '.join(names)}.")  # fmt: skip


def find_strength(table: pd.DataFrame, asked: str | None) -> str | None:
    """Return the condition that the curves are drawn over, None if nothing fits.

    Raises
    ------
    ConfigError
        If the one that was asked for is not there.
    """
    if asked is not None:
        check_axis(asked, [table])
        if not np.issubdtype(table[asked].dtype, np.number):
            raise DataError(f"x: '{asked}' must hold numbers, it holds {table[asked].iloc[0]!r}.")
        return asked
    for stem in STRENGTHS:
        for name in table.select_dtypes("number"):
            if str(name).startswith(stem) and table[name].abs().nunique() >= 3:
                return str(name)
    return None


def fit_curves(
    table: pd.DataFrame, asked: str | None, chance: float, resamples: int, seed: int
) -> Curves | None:
    """Return the curves over the strength (unsigned) of a condition; None if there is none.

    Parameters
    ----------
    table
        right (0, 1), conditions and, for chronometric curves, a reaction time.
    asked
        The condition, or None to find one.
    chance
        Share that is right without any stimulus.
    """
    name = find_strength(table, asked)
    if name is None or len(table) < FEWEST:
        return None
    strength = table[name].to_numpy(float)
    if name.startswith("interval"):  # hard are those in the middle
        strength = strength - np.median(np.unique(strength))
    strength = _binned(np.abs(strength))
    if len(np.unique(strength)) < 3:
        return None
    rng = np.random.default_rng(seed)
    options: dict[str, Any] = {"resamples": resamples, "rng": rng}
    right = fit_psychometric(strength, table["right"].to_numpy(float), guess=chance, **options)
    column = next((one for one in TIME if one in table), None)
    if column is None:
        return Curves(name, right, None)
    seconds = table[column].to_numpy(float)
    told = np.isfinite(seconds) & (seconds > 0)
    return Curves(name, right, fit_chronometric(strength[told], seconds[told], **options))


def _binned(x: np.ndarray) -> np.ndarray:
    """Return values put to the means of equally full bins, where there are too many levels."""
    if len(np.unique(x)) <= 3 * BINS:
        return x
    edges = np.quantile(x, np.linspace(0, 1, BINS + 1)[1:-1])
    which = np.searchsorted(edges, x)
    return np.array([x[which == k].mean() for k in range(BINS)])[which]


def curve_rows(title: str, curves: Curves) -> list[dict[str, Any]]:
    """Return a row for each parameter of the curves, with its interval."""
    return [
        {"task": title, "curve": curve.kind, "over": curves.x, "parameter": name, "value": value,
         "low": curve.low[name], "high": curve.high[name]}
        for curve in (curves.right, curves.time) if curve is not None
        for name, value in curve.values.items()
    ]  # fmt: skip


def draw_curves(curves: Curves, chance: float) -> Figure:
    """Draw the share of right answers and, where there are, reaction times, with the fits."""
    from neuroloom.learn.figures import CHANCE, MODEL, canvas, styled, wilson

    def draw() -> Figure:
        shown = [one for one in (curves.right, curves.time) if one is not None]
        figure, axes = canvas(2.9, columns=len(shown), squeeze=False)
        for axis, curve in zip(axes.ravel(), shown, strict=True):
            fine = np.linspace(curve.x.min(), curve.x.max(), 200)
            axis.plot(fine, curve(fine), color=MODEL)
            ends = None
            if curve.kind == "psychometric":
                pairs = [wilson(s * n, n) for s, n in zip(curve.share, curve.count, strict=True)]
                ends = np.abs(np.transpose(pairs) - curve.share)
                axis.axhline(chance, color=CHANCE, ls="--", lw=0.9)
                axis.set(ylim=(0, 1.03), ylabel="Share right")
            else:
                axis.set(ylabel="Reaction time")
            axis.errorbar(curve.x, curve.share, yerr=ends, fmt="o", color=MODEL, ms=4)
            axis.set(xlabel=curves.x[0].upper() + curves.x[1:])
        return figure

    return styled(draw)()
