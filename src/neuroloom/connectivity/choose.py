"""Which family of models the data call for, and its lag and penalty: by unseen frames alone.

Two kinds of evidence say which way an edge points, and both are differences of log-likelihoods of
frames that were not fitted (nats a frame):

- *time*: forecasts of the network from its past, against the same forecasts of the recording
  played backwards. Causes come before effects, so that innovations are independent forwards only;
  smoothing (as by blood flow) forecasts as well in either direction (time-reversed Granger
  causality: Haufe et al. 2013, Winkler et al. 2016).
- *shape*: independent non-Gaussian sources mixed at the same moment, against a Gaussian of any
  covariance, which fits either direction equally well (Shimizu et al. 2006), and against the same
  sources unmixed: nodes that are not Gaussian and have nothing to do with each other say nothing.

The true graph is never looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroloom.connectivity.data import Signals
from neuroloom.connectivity.linear import forecast_errors, own_errors
from neuroloom.connectivity.static import shrunk_covariance

Floats = NDArray[np.float64]

LAGS = (1, 2, 3)
RIDGE = (1.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
SPARSE = (0.01, 0.03, 0.1)
BLOCKS = 4
# Standard errors that evidence must lie above nought. A LiNGAM pays for its many weights on unseen
# frames: on Gaussian data the evidence of shape is negative, not nought.
SURE_TIME, SURE_SHAPE = 1.5, 1.0


@dataclass(frozen=True)
class Evidence:
    """Mean gain in log-likelihood of unseen frames, nats a frame, and its standard error."""

    value: float
    error: float
    least: float = SURE_TIME

    @property
    def holds(self) -> bool:
        """Tell whether it lies clearly above nought: by `least` standard errors."""
        return self.value > self.least * self.error


@dataclass(frozen=True, eq=False)
class Choice:
    """What was chosen for a network and why.

    Attributes
    ----------
    model
        Name of the method.
    lags, penalty, sparse
        Order and penalty of the forecaster; penalty of the LiNGAM.
    time, shape
        The two kinds of evidence; None where they were not asked for.
    table
        Every candidate that was tried: family, lags, penalty, score (nats a frame, higher is
        better), chosen.
    reasons
        Sentences for the report.
    """

    model: str
    lags: int = 1
    penalty: float = 100.0
    sparse: float = 0.03
    time: Evidence | None = None
    shape: Evidence | None = None
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    reasons: tuple[str, ...] = ()

    @property
    def direction(self) -> bool:
        """Tell whether the data support any direction at all."""
        known = [one for one in (self.time, self.shape) if one is not None]
        return any(one.holds for one in known)


@dataclass(frozen=True, eq=False)
class Forecast:
    """The best lag and penalty, its squared errors (recording, fold, node), all that was tried."""

    lags: int
    penalty: float
    errors: Floats
    table: pd.DataFrame


def choose_forecast(
    recordings: Sequence[Signals],
    lags: Sequence[int] = LAGS,
    penalties: Sequence[float] = RIDGE,
) -> Forecast:
    """Choose lag and ridge penalty of a network by forecasts of later, unseen spans.

    Parameters
    ----------
    recordings
        Standardised, of one network.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(2, 300))
    >>> x[1, 2:] += x[0, :-2]
    >>> choose_forecast([Signals(x, ("a", "b"))]).lags
    2
    """
    most = max(lags)
    rows, scores = [], []
    for lag in lags:
        errors = np.array([forecast_errors(one, lag, penalties, most) for one in recordings])
        for column, penalty in enumerate(penalties):
            scores.append(errors[:, column])
            rows.append({"family": "lagged", "lags": lag, "penalty": penalty})
    table = pd.DataFrame(rows).assign(score=[_log_likelihood(one) for one in scores])
    best = int(table["score"].argmax())
    table["chosen"] = np.arange(len(table)) == best
    row = table.iloc[best]
    return Forecast(int(row["lags"]), float(row["penalty"]), scores[best], table)


def _log_likelihood(errors: Floats) -> float:
    """Return the Gaussian log-likelihood a frame of independent innovations.

    Parameters
    ----------
    errors
        Mean squared errors (recording, fold, node).
    """
    return float(-0.5 * np.log(np.maximum(errors.mean(1), 1e-12)).sum(1).mean())


def time_evidence(
    recordings: Sequence[Signals], forward: Forecast, most: int
) -> tuple[Evidence, Evidence]:
    """Return how much better the network is forecast forwards than backwards, and than alone.

    The first is no larger than the second, the gain over forecasts of every node from its own past:
    without it there are no edges to direct.
    """
    backward = choose_forecast(
        [_backwards(one) for one in recordings], sorted({forward.lags, most}), RIDGE
    )
    own = np.array([own_errors(one, forward.lags, most) for one in recordings])
    beyond_own = _gain(forward.errors, own)
    both = (_gain(forward.errors, backward.errors), beyond_own)
    return min(both, key=lambda one: one.value), beyond_own


def _gain(ours: Floats, theirs: Floats) -> Evidence:
    """Return by how much our forecasts are likelier; its error by the jackknife over folds."""

    def value(a: Floats, b: Floats) -> float:
        return _log_likelihood(a) - _log_likelihood(b)

    count, folds = ours.shape[:2]
    spread = 0.0
    for k in range(count):
        a, b = ours[k : k + 1], theirs[k : k + 1]
        parts = [value(np.delete(a, f, 1), np.delete(b, f, 1)) for f in range(folds)]
        spread += (folds - 1) * float(np.var(parts))
    return Evidence(value(ours, theirs), float(np.sqrt(spread) / count))


def _backwards(signals: Signals) -> Signals:
    turned = None if signals.inputs is None else signals.inputs[:, ::-1].copy()
    return replace(signals, values=signals.values[:, ::-1].copy(), inputs=turned)


def shape_evidence(mixing: Mixing) -> Evidence:
    """Return how much better mixed sources explain unseen frames than the better of their rivals.

    The rivals are a Gaussian, and the same sources unmixed.
    """

    def summed(gain: Floats) -> Evidence:
        flat = gain.mean(0) if gain.shape[1] >= BLOCKS else gain.ravel()
        error = float(flat.std(ddof=1) / np.sqrt(flat.size))
        return Evidence(float(flat.mean()), error, SURE_SHAPE)

    both = (summed(mixing.over_gaussian), summed(mixing.over_unmixed))
    return min(both, key=lambda one: one.value)


@dataclass(frozen=True, eq=False)
class Mixing:
    """The best penalty of a LiNGAM, its gains (block, recording) over two rivals, and the table.

    `within` is what a Gaussian gains from what nodes share within a frame (nats).
    """

    penalty: float
    over_gaussian: Floats
    over_unmixed: Floats
    within: float
    table: pd.DataFrame


def choose_mixing(recordings: Sequence[Signals], penalties: Sequence[float] = SPARSE) -> Mixing:
    """Choose the penalty of a cyclic LiNGAM by blocks of time that were not fitted.

    Parameters
    ----------
    recordings
        Standardised, of one network; cut to the shortest.

    Examples
    --------
    >>> x = np.random.default_rng(0).exponential(size=(2, 400))
    >>> x[1] += x[0]
    >>> bool(choose_mixing([Signals(x, ("a", "b")).standardised()]).over_gaussian.mean() > 0)
    True
    """
    from neuroloom.connectivity.nets.lingam import fit_lingam

    x = stack_values(recordings)
    count, _, time = x.shape
    blocks = np.arange(time) * BLOCKS // time
    unseen = np.array([blocks == block for block in range(BLOCKS)])
    frames = np.tile(np.repeat(~unseen, count, axis=0), (len(penalties), 1)).astype(float)
    price = np.repeat(np.asarray(penalties, float), BLOCKS * count)
    fitted = fit_lingam(
        np.tile(x, (len(penalties) * BLOCKS, 1, 1)), price, may=recordings[0].allowed(),
        frames=frames,
    )  # fmt: skip
    score = fitted.outside.reshape(len(penalties), BLOCKS, count)
    plain = np.array([[_gaussian(one, test) for one in x] for test in unseen])
    table = pd.DataFrame({"family": "contemporaneous", "lags": 0, "penalty": list(penalties)})
    first = slice(BLOCKS * count)
    alone = fit_lingam(
        np.tile(x, (BLOCKS, 1, 1)), 0.0, may=np.zeros_like(recordings[0].allowed()),
        frames=frames[first],
    ).outside.reshape(BLOCKS, count)  # fmt: skip
    table["score"] = (score - plain).mean((1, 2))
    best = int(table["score"].argmax())
    table["chosen"] = np.arange(len(table)) == best
    apart = np.array([[_gaussian(one, test, alone=True) for one in x] for test in unseen])
    within = float((plain - apart).mean())
    return Mixing(float(penalties[best]), score[best] - plain, score[best] - alone, within, table)


def _gaussian(x: Floats, test: NDArray[np.bool_], *, alone: bool = False) -> float:
    """Return the log-likelihood a frame of unseen frames under a Gaussian, of nodes `alone`."""
    cov = shrunk_covariance(x[:, ~test])
    cov = np.diag(np.diag(cov)) if alone else cov
    off = x[:, test] - x[:, ~test].mean(1, keepdims=True)
    size = (off * np.linalg.solve(cov, off)).sum(0).mean()
    return float(-0.5 * (size + np.linalg.slogdet(cov)[1] + len(x) * np.log(2 * np.pi)))


def stack_values(recordings: Sequence[Signals]) -> Floats:
    """Return standardised values (recording, node, time), inputs taken out, cut to the shortest."""
    time = min(one.values.shape[1] for one in recordings)
    rows = []
    for one in recordings:
        x = one.values
        if one.inputs is not None:
            columns = np.concatenate([one.inputs, np.ones((1, x.shape[1]))])
            basis, _ = np.linalg.qr(columns.T)
            x = x - (x @ basis) @ basis.T
        x = x[:, :time] - x[:, :time].mean(1, keepdims=True)
        rows.append(x / np.maximum(x.std(1, keepdims=True), 1e-12))
    return np.array(rows)


def choose_family(recordings: Sequence[Signals], lags: Sequence[int] = LAGS) -> Choice:
    """Choose between forecasts from the past, non-Gaussian mixing, and no direction at all.

    Parameters
    ----------
    recordings
        Standardised, of one network.
    lags
        Orders to try.

    Returns
    -------
    Choice
        Model "ridge-var" or "cyclic-lingam"; where neither kind of evidence holds, "ridge-var" or
        "partial" by whether more is foretold by the past or shared within a frame.
    """
    forecast = choose_forecast(recordings, lags)
    mixing = choose_mixing(recordings)
    time, beyond_own = time_evidence(recordings, forecast, max(lags))
    shape = shape_evidence(mixing)
    if time.holds and (time.value >= shape.value or not shape.holds):
        model = "ridge-var"
    elif shape.holds:
        model = "cyclic-lingam"
    else:
        model = "ridge-var" if beyond_own.value > max(mixing.within, 0.0) else "partial"
    table = pd.concat([forecast.table, mixing.table], ignore_index=True)
    return Choice(
        model, forecast.lags, forecast.penalty, mixing.penalty, time, shape, table,
        tuple(explain(model, time, shape)),
    )  # fmt: skip


def explain(model: str, time: Evidence, shape: Evidence) -> list[str]:
    """Say in sentences what the two kinds of evidence are and what follows."""
    follows = {
        "ridge-var": "Edges are therefore drawn from forecasts: what a source did before helps to "
        "foretell a target.",
        "cyclic-lingam": "Edges are therefore drawn from effects within a frame: only their "
        "non-Gaussian shape tells which way they point.",
        "partial": f"Neither lies clearly above nought: {UNSUPPORTED}, and edges are drawn without "
        "one (partial correlation).",
    }
    told = [_time(time), _shape(shape)]
    if model == "ridge-var" and not time.holds:
        return [*told, f"Neither lies clearly above nought: {UNSUPPORTED}. What the past foretells "
                "exceeds what is shared within a frame, so that forecasts draw the edges; read "
                "them as ties, not as arrows."]  # fmt: skip
    return [*told, follows[model]]


UNSUPPORTED = "direction is unsupported by these data"


def explain_time(model: str, time: Evidence) -> list[str]:
    """Say what the evidence of time is for a method that was asked for by name."""
    if time.holds:
        return [_time(time)]
    return [_time(time), f"That is not clearly above nought: {UNSUPPORTED} as far as time goes, "
            f"though {model} gives one."]  # fmt: skip


def explain_shape(model: str, shape: Evidence) -> list[str]:
    """Say what the evidence of shape is for a method that was asked for by name."""
    if model in ("partial", "correlation"):
        return [_shape(shape), f"{model.capitalize()} has no direction whatever the data."]
    if shape.holds:
        return [_shape(shape)]
    return [_shape(shape), f"That is not clearly above nought: {UNSUPPORTED}, though {model} "
            "gives one."]  # fmt: skip


def _time(evidence: Evidence) -> str:
    return (
        "Time: beyond each node's own past, the network forecasts unseen frames "
        f"{_nats(evidence)} better forwards than backwards."
    )


def _shape(evidence: Evidence) -> str:
    return (
        "Shape: independent non-Gaussian sources that act on each other explain unseen frames "
        f"{_nats(evidence)} better than a Gaussian or than sources that do not."
    )


def _nats(evidence: Evidence) -> str:
    return f"{evidence.value:+.3f} ± {evidence.error:.3f} nats a frame"
