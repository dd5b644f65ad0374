"""Figures of a judged model: one look for all domains, readable at phone width.

Each function returns a `matplotlib.figure.Figure` that no global state knows; the artifact shelf
saves and closes it. Figures are 5 inches wide with 10 pt type, so that they stay readable where a
phone scales them to its width. Titles and captions stand on the page, not in the figure.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from neuroloom.core.artifact import Shelf
    from neuroloom.core.split import Fold

WIDTH = 5.0
INK, SOFT, LINE = "#1d2327", "#565e64", "#dcdedb"
MODEL, BASELINE, CHANCE = "#0b6e69", "#7a5c00", "#565e64"
# Okabe and Ito's colours, told apart with any kind of colour vision (jfly.uni-koeln.de/color).
CLASSES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5b5b5b")
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "path",
}
MANY = 30


def styled(draw: Callable[..., Any]) -> Callable[..., Any]:
    """Let a drawing function use the common style, whatever the user's own settings are."""

    @functools.wraps(draw)
    def drawn(*args: Any, **kwargs: Any) -> Any:
        import matplotlib as mpl

        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(STYLE)
            return draw(*args, **kwargs)

    return drawn


def canvas(height: float, *, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """Return an empty figure of the common width and its axes.

    Parameters
    ----------
    height
        In inches.
    rows, columns, **options
        As in `Figure.subplots`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained", facecolor="white")
    return figure, figure.subplots(rows, columns, **options)


def colour(index: int) -> str:
    """Return the colour of the class with this index."""
    return CLASSES[index % len(CLASSES)]


@styled
def confusion(counts: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw a confusion matrix: counts, and the share of each true class.

    Parameters
    ----------
    counts
        Shape (true class, predicted class); means over seeds need not be whole.
    classes
        Names, in the order of `counts`.
    """
    from matplotlib.colors import LinearSegmentedColormap

    counts = np.asarray(counts, float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)
    figure, axes = canvas(1.7 + min(0.75 * len(classes), 3.6))
    tint = LinearSegmentedColormap.from_list("share", ["#ffffff", MODEL])
    axes.imshow(shares, cmap=tint, vmin=0, vmax=1, aspect="auto")
    if len(classes) <= 8:
        _write_cells(axes, counts, shares)
    ticks = range(len(classes))
    axes.set_xticks(
        ticks, [_short(name) for name in classes], rotation=0 if len(classes) < 6 else 90
    )
    axes.set_yticks(ticks, [_short(name) for name in classes])
    axes.set(xlabel="Predicted class", ylabel="True class")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def _write_cells(axes: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        shown = f"{count:.0f}" if abs(count - round(count)) < 1e-9 else f"{count:.1f}"
        gap = "\n" if len(counts) > 3 else "  "
        axes.text(
            column, row, f"{shown}{gap}({100 * share:.0f} %)", ha="center", va="center",
            color="white" if share > 0.55 else INK, fontsize=11 if len(counts) <= 3 else 9,
        )  # fmt: skip


@styled
def reliability(right: np.ndarray, confidence: np.ndarray, *, repeats: int = 1) -> Figure:
    """Draw how often the model was right at each confidence, with 95 % intervals.

    Bins hold equally many examples, so that each point is equally sure.

    Parameters
    ----------
    right
        Shape (n,), bool: was the likeliest class the true one?
    confidence
        Shape (n,), probability of the likeliest class.
    repeats
        How often each example occurs (seeds): they count once in the intervals.

    Notes
    -----
    Wilson, *JASA* 22:209 (1927).
    """
    right, confidence = np.asarray(right, float), np.asarray(confidence, float)
    bins = int(np.clip(len(right) // repeats // 15, 2, 10))
    parts = np.array_split(np.argsort(confidence, kind="stable"), bins)
    figure, (axes, below) = canvas(4.2, rows=2, sharex=True, height_ratios=[4, 1])
    line = {"color": CHANCE, "linestyle": "--", "linewidth": 1}
    axes.plot([0, 1], [0, 1], label="perfectly calibrated", **line)
    for part in parts:
        low, high = wilson(right[part].sum() / repeats, len(part) / repeats)
        axes.plot([confidence[part].mean()] * 2, [low, high], color=MODEL, alpha=0.45, linewidth=3)
    middles = [(confidence[part].mean(), right[part].mean()) for part in parts]
    axes.plot(*zip(*middles, strict=True), "o-", color=MODEL, linewidth=1, markersize=6)
    start = max(0.0, np.floor(10 * confidence.min()) / 10 - 0.05)
    axes.set(ylabel="Share that was right", xlim=(start, 1.01), ylim=(0, 1.03))
    axes.legend(loc="lower left")
    below.hist(
        confidence, bins=20, range=(start, 1), color=LINE, weights=np.full(len(right), 1 / repeats)
    )
    below.set(xlabel="Stated confidence (probability of the predicted class)", ylabel="Count")
    return figure


def wilson(successes: float, n: float, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share.

    Examples
    --------
    >>> [round(end, 3) for end in wilson(43, 45)]
    [0.852, 0.988]
    """
    share, spread = successes / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * np.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


@styled
def learning_curves(histories: Sequence[Sequence[Mapping[str, Any]]]) -> Figure:
    """Draw the loss over the epochs: a thin line for each fit, a bold one for their mean.

    Parameters
    ----------
    histories
        One list of epochs for each fit; each epoch has `loss` and may have `val_loss`.
    """
    figure, axes = canvas(3.1)
    for key, name, tint in (("loss", "training", MODEL), ("val_loss", "validation", CLASSES[1])):
        lists = [[e[key] for e in fit if e.get(key) is not None] for fit in histories]
        curves = [np.asarray(values, float) for values in lists if values]
        if not curves:
            continue
        for curve in curves:
            axes.plot(np.arange(1, len(curve) + 1), curve, color=tint, alpha=0.3, linewidth=0.8)
        # Past the end of the shortest fit a mean would be one over fewer and fewer fits.
        shared = min(map(len, curves))
        mean = np.mean([curve[:shared] for curve in curves], axis=0)
        axes.plot(np.arange(1, shared + 1), mean, color=tint, linewidth=2.2, label=name)
    axes.set(xlabel="Epoch", ylabel="Loss")
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.legend(loc="upper right")
    return figure


@styled
def unit_dots(
    units: pd.DataFrame,
    label: str,
    *,
    chance: float | None = None,
    percent: bool = True,
    unit: str = "",
) -> Figure:
    """Draw the score of each unit (run, subject) with its interval, beside the baseline's.

    Parameters
    ----------
    units
        Columns unit, value, low, high, and optionally baseline and n.
    label
        Name of the score.
    chance
        Chance level, drawn as a dashed line.
    percent
        Scores are shares, shown in %.
    unit
        What a unit is: "run", "subject".
    """
    shown = units if len(units) <= MANY else units.sort_values("value")
    factor = 100 if percent else 1
    figure, axes = canvas(1.1 + min(0.32 * max(len(shown), 2), 7.0))
    rows = np.arange(len(shown))[::-1]
    axes.hlines(rows, factor * shown["low"], factor * shown["high"], color=MODEL, alpha=0.4, lw=3)
    axes.plot(factor * shown["value"], rows, "o", color=MODEL, label="model")
    if "baseline" in shown:
        axes.plot(
            factor * shown["baseline"], rows, "D", color=BASELINE, markersize=9,
            markerfacecolor="none", label="baseline",
        )  # fmt: skip
    if chance is not None:
        axes.axvline(factor * chance, color=CHANCE, linestyle="--", linewidth=1, label="chance")
    axes.set_ylabel(unit.capitalize())
    _name_rows(axes, rows, shown)
    axes.set_xlabel(f"{label} (%)" if percent else label)
    if percent:
        axes.set_xlim(min(0, axes.get_xlim()[0]), 102)
    figure.legend(loc="outside upper left", ncols=3)
    return figure


def _name_rows(axes: Axes, rows: np.ndarray, units: pd.DataFrame) -> None:
    if len(units) > MANY:
        axes.set(yticks=[], ylabel=f"{len(units)} units, sorted")
        return
    counts = units["n"] if "n" in units else [None] * len(units)
    pairs = zip(units["unit"], counts, strict=True)
    axes.set_yticks(rows, [f"{_short(u)} (n={n})" if n else _short(u) for u, n in pairs])
    axes.set_ylim(-0.6, len(units) - 0.4)
    axes.tick_params(axis="y", length=0)


@styled
def fold_map(counts: pd.DataFrame, unit: str = "") -> Figure:
    """Draw which unit is trained on and which is tested in each fold.

    Parameters
    ----------
    counts
        Columns unit, fold, train, test (numbers of examples), as `count_folds` makes them.
    unit
        What a unit is: "run", "subject".
    """
    from matplotlib.colors import LinearSegmentedColormap

    train = counts.pivot_table(
        index="unit", columns="fold", values="train", fill_value=0, sort=False
    )
    test = counts.pivot_table(index="unit", columns="fold", values="test", fill_value=0, sort=False)
    both = (train + test).to_numpy(float)
    shares = np.where(both > 0, test.to_numpy(float) / np.maximum(both, 1), np.nan)
    figure, axes = canvas(1.0 + min(0.36 * max(len(test), 2), 6.0))
    tint = LinearSegmentedColormap.from_list("test", ["#e6e9e4", MODEL])
    axes.imshow(shares, cmap=tint, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    if len(test) <= 12 and test.shape[1] <= 8:
        _write_folds(axes, train.to_numpy(), test.to_numpy())
    few = len(test) <= MANY
    axes.set_yticks(range(len(test)) if few else [], [_short(u) for u in test.index] if few else [])
    axes.set_ylabel(unit.capitalize() if few else f"{len(test)} {unit or 'unit'}s")
    axes.set_xticks(range(test.shape[1]), [str(fold) for fold in test.columns])
    axes.set_xlabel("Fold")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    _rule_cells(axes, test.shape)
    return figure


def _rule_cells(axes: Axes, shape: tuple[int, int]) -> None:
    for edge in range(1, shape[1]):
        axes.axvline(edge - 0.5, color="white", linewidth=3)
    if shape[0] <= MANY:
        for edge in range(1, shape[0]):
            axes.axhline(edge - 0.5, color="white", linewidth=3)


def _write_folds(axes: Axes, train: np.ndarray, test: np.ndarray) -> None:
    for (row, column), held in np.ndenumerate(test):
        rest = train[row, column]
        words = f"test {held:.0f}" if not rest else f"train {rest:.0f}"
        if held and rest:
            words = f"train {rest:.0f}\ntest {held:.0f}"
        white = held and held >= rest
        size = 9 if test.shape[1] <= 5 else 8
        axes.text(
            column, row, words if held or rest else "", ha="center", va="center", fontsize=size,
            color="white" if white else INK,
        )  # fmt: skip


def count_folds(units: Sequence[str], folds: Iterable[Fold]) -> pd.DataFrame:
    """Count the train and test examples of each unit in each fold, for `fold_map`.

    Parameters
    ----------
    units
        The unit (run, subject) of every example.
    folds
        Each with `train` and `test`, the indices of its examples.
    """
    import pandas as pd

    names = np.asarray(units, dtype=str)
    rows = []
    for number, fold in enumerate(folds, start=1):
        train, test = names[np.asarray(fold.train, int)], names[np.asarray(fold.test, int)]
        for unit in dict.fromkeys(names.tolist()):
            held = {"train": int((train == unit).sum()), "test": int((test == unit).sum())}
            rows.append({"unit": unit, "fold": number, **held})
    return pd.DataFrame(rows, columns=["unit", "fold", "train", "test"])


@styled
def scatter(y_true: np.ndarray, y_pred: np.ndarray, label: str = "Target") -> Figure:
    """Draw predicted against true numbers, with the line of perfect prediction.

    Parameters
    ----------
    y_true, y_pred
        Shape (n,).
    label
        What was predicted, with its unit.
    """
    figure, axes = canvas(4.4)
    y_true, y_pred = np.asarray(y_true, float), np.asarray(y_pred, float)
    ends = [min(y_true.min(), y_pred.min()), max(y_true.max(), y_pred.max())]
    axes.plot(ends, ends, color=CHANCE, linestyle="--", linewidth=1, label="perfect")
    alpha = float(np.clip(60 / len(y_true), 0.15, 0.8))
    axes.plot(y_true, y_pred, "o", color=MODEL, markersize=5, alpha=alpha, mew=0, rasterized=True)
    axes.set(xlabel=f"{label}, true", ylabel=f"{label}, predicted")
    axes.set_aspect("equal", adjustable="datalim")
    axes.legend(loc="upper left")
    return figure


def score_units(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the share of right answers of each unit, with Wilson's interval, and the baseline's.

    Of a segmentation: the mean Dice of the unit's cases, with the worst and best of them.

    Parameters
    ----------
    predictions
        The run's table of predictions of classes; seeds count once in the intervals.

    Returns
    -------
    DataFrame
        Columns unit, value, low, high, n and, where there is one, baseline.
    """
    import pandas as pd

    from neuroloom.learn.dense.measures.judge import MARKS, score_units_of_cases

    if set(predictions.columns) >= MARKS:
        return score_units_of_cases(predictions)
    marked = predictions.assign(right=predictions["y_true"] == predictions["y_pred"])
    mine = marked[marked["role"] == "model"]
    theirs = marked[marked["role"] == "baseline"].groupby("unit")["right"].mean()
    rows = []
    for unit, part in mine.groupby("unit", sort=False):
        n = part["example"].nunique()
        low, high = wilson(part["right"].mean() * n, n)
        rows.append({"unit": unit, "value": part["right"].mean(), "low": low, "high": high, "n": n})
    table = pd.DataFrame(rows, columns=["unit", "value", "low", "high", "n"])
    return table.assign(baseline=table["unit"].map(theirs)) if len(theirs) else table


def add_result_figures(
    shelf: Shelf,
    predictions: pd.DataFrame,
    classes: Sequence[str],
    *,
    histories: Sequence[Sequence[Mapping[str, Any]]] = (),
    chance: float | None = None,
    target: str = "Target",
    unit: str = "unit",
) -> None:
    """Put all figures that the predictions and the fits of a study allow on its shelf.

    Parameters
    ----------
    shelf
        The run's artifacts.
    predictions
        The run's `predictions.parquet`.
    classes
        Class names; empty for a regression.
    histories
        The epochs of each fit; empty for models that have none.
    chance
        Chance level of the accuracy.
    target
        What a regression predicts, with its unit.
    unit
        What the split keeps together: "run", "subject".
    """
    from neuroloom.learn.dense.measures.judge import MARKS

    mine = predictions[predictions["role"] == "model"]
    if len(mine) and set(mine.columns) >= MARKS:
        _add_units(shelf, predictions, None, unit, "Dice")
    elif len(mine) and len(classes):
        _add_class_figures(shelf, mine, classes)
        _add_units(shelf, predictions, chance, unit)
    elif len(mine):
        shelf.add_figure(
            "scatter",
            scatter(mine["y_true"], mine["y_pred"], target),
            title="Predicted and true",
            caption="One dot is one example, unseen in training.",
            section="result",
        )
    add_learning_curves(shelf, histories)


def add_learning_curves(shelf: Shelf, histories: Sequence[Sequence[Mapping[str, Any]]]) -> None:
    """Put the learning curves on a shelf, if any fit has epochs.

    Parameters
    ----------
    histories
        The epochs of each fit; empty for models that have none.
    """
    if any(len(fit) for fit in histories):
        shelf.add_figure(
            "learning-curves",
            learning_curves(histories),
            title="Learning curves",
            caption="Thin: each fit. Bold: their mean, as far as all fits ran.",
            section="training",
        )


def _add_class_figures(shelf: Shelf, mine: pd.DataFrame, classes: Sequence[str]) -> None:
    import pandas as pd

    names = [str(name) for name in classes]
    seeds = max(int(mine["seed"].nunique()), 1)
    counts = pd.crosstab(mine["y_true"].astype(str), mine["y_pred"].astype(str))
    counts = counts.reindex(index=names, columns=names, fill_value=0).to_numpy() / seeds
    told = [
        f"{name}: {counts[k, k]:.0f} of {counts[k].sum():.0f} right" for k, name in enumerate(names)
    ]
    shelf.add_figure(
        "confusion",
        confusion(counts, names),
        title="Confusion matrix",
        caption="Rows are true classes and sum to 100 %."
        + (f" Counts are means over {seeds} seeds." if seeds > 1 else ""),
        alt="Confusion matrix. " + "; ".join(told) + ".",
        section="result",
    )
    columns = [f"p_{name}" for name in names]
    if set(columns) <= set(mine):
        p = mine[columns].to_numpy(float)
        right = np.asarray(names)[p.argmax(axis=1)] == mine["y_true"].astype(str).to_numpy()
        shelf.add_figure(
            "calibration",
            reliability(right, p.max(axis=1), repeats=seeds),
            title="Calibration",
            caption="Points on the dashed line: the stated confidence can be taken at its word. "
            "Each point holds equally many examples; bars are 95 % intervals.",
            section="result",
        )


def _add_units(
    shelf: Shelf,
    predictions: pd.DataFrame,
    chance: float | None,
    unit: str,
    label: Literal["Accuracy", "Dice"] = "Accuracy",
) -> None:
    units = score_units(predictions)
    unit = "held-out part" if unit in ("time", "random") else unit
    share = label == "Accuracy"
    form = (lambda v: f"{100 * v:.0f} %") if share else "{:.3f}".format
    told = [f"{row.unit}: {form(row.value)}" for row in units.head(MANY).itertuples()]
    bars = "are its own 95 % interval" if share else "reach from its worst to its best case"
    shelf.add_figure(
        "units",
        unit_dots(units, label, chance=chance, percent=share, unit=unit),
        title=f"Each {unit} on its own",
        caption=f"{label} on each {unit} while held out; bars {bars}.",
        alt=f"{label} of each {unit}. " + "; ".join(told) + ".",
        section="result",
    )
    shelf.add_table("unit-scores", units, title=f"Scores of each {unit}", section="result")


def _short(name: object, longest: int = 18) -> str:
    text = str(name)
    return text if len(text) <= longest else f"{text[: longest - 1]}\N{HORIZONTAL ELLIPSIS}"
