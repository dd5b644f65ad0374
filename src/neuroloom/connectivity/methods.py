"""Every way to draw a graph, by name; each takes the recordings of one network all at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from neuroloom.connectivity import linear, static
from neuroloom.connectivity.choose import Choice, stack_values
from neuroloom.connectivity.data import Signals
from neuroloom.core.errors import ConfigError, nearest

Floats = NDArray[np.float64]

LAGGED = (
    "vardnn-di", "vardnn-gc", "lstm-var", "transformer-var", "ridge-var", "lasso-var", "pc-var",
    "mvgc", "pwgc", "pcmci",
)  # fmt: skip
NETS = ("vardnn-di", "vardnn-gc", "lstm-var", "transformer-var")
CONTEMPORANEOUS = ("cyclic-lingam", "skew")
UNDIRECTED = ("partial", "correlation")
MODELS = (*LAGGED, *CONTEMPORANEOUS, *UNDIRECTED)


@dataclass(frozen=True, eq=False)
class Drawn:
    """Graphs of several recordings.

    Attributes
    ----------
    strength
        Shape (recording, target, source): what edges are ranked by.
    tested
        The same shape: what is compared with surrogates. The two differ where the ranking also
        leans on something that has no direction.
    p
        Analytic p-values of that shape; None where surrogates must tell.
    """

    strength: Floats
    tested: Floats
    p: Floats | None = None


@dataclass(frozen=True)
class Options:
    """Of the nets: hidden units (None: the paper's rule), decay, epochs, how many, first seed."""

    hidden: int | None = None
    decay: float = 1.0
    epochs: int = 50
    seeds: int = 1
    seed: int = 1


Method = Callable[[Sequence[Signals], Choice, Options], Drawn]


def draw_graphs(
    recordings: Sequence[Signals], choice: Choice, options: Options | None = None
) -> Drawn:
    """Draw the graph of every recording of one network by the chosen method.

    Parameters
    ----------
    recordings
        Standardised, with the same nodes.
    choice
        `choice.model` is a name of `MODELS`; lag and penalty as chosen.
    options
        Of the nets.

    Raises
    ------
    ConfigError
        If there is no such method, or its library is not installed.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(2, 300))
    >>> x[1, 1:] += x[0, :-1]
    >>> one = Signals(x, ("a", "b")).standardised()
    >>> graph = draw_graphs([one], Choice("ridge-var", penalty=1.0)).strength[0]
    >>> bool(graph[1, 0] > graph[0, 1])
    True
    """
    check_model(choice.model)
    drawn = _METHODS[choice.model](recordings, choice, options or Options())
    may = np.array([one.allowed() for one in recordings])
    return Drawn(drawn.strength * may, drawn.tested * may, drawn.p)


def check_model(name: str) -> None:
    """Refuse a method that does not exist here."""
    if name not in MODELS:
        known = ", ".join(MODELS)
        raise ConfigError(f"model: there is no '{name}'.{nearest(name, MODELS)} Known: {known}.")
    if name == "pcmci" and find_spec("tigramite") is None:
        raise ConfigError(
            "model: pcmci needs tigramite, which is not installed. `pip install tigramite` brings "
            "it; of what is here, mvgc (conditional Granger causality) is the nearest."
        )


def _same(graphs: Sequence[Floats] | Floats) -> Drawn:
    stacked = np.asarray(graphs, dtype=float)
    return Drawn(stacked, stacked)


def _ridge(recordings: Sequence[Signals], choice: Choice, options: Options) -> Drawn:
    fits = [linear.ridge_var(one, choice.lags, choice.penalty) for one in recordings]
    return _same([linear.strength(weights) for weights in fits])


def _lasso(recordings: Sequence[Signals], choice: Choice, options: Options) -> Drawn:
    """Use an L1 penalty that is as strong as the chosen ridge for a weight of the usual size."""
    fits = [linear.lasso_var(one, choice.lags, choice.sparse) for one in recordings]
    return _same([linear.strength(weights) for weights in fits])


def _pc(recordings: Sequence[Signals], choice: Choice, options: Options) -> Drawn:
    fits = [linear.pc_var(one, choice.lags) for one in recordings]
    return _same([linear.strength(weights) for weights in fits])


def _granger(pairwise: bool) -> Method:
    def draw(recordings: Sequence[Signals], choice: Choice, options: Options) -> Drawn:
        found = [linear.granger(one, choice.lags, pairwise) for one in recordings]
        ratio = np.array([one.log_ratio for one in found])
        return Drawn(ratio, ratio, np.array([one.p for one in found]))

    return draw


def _correlation(recordings: Sequence[Signals], choice: Choice, options: Options) -> Drawn:
    return _same([static.correlation(one.values) for one in recordings])


def _partial(recordings: Sequence[Signals], choice: Choice, options: Options) -> Drawn:
    return _same([static.partial_correlation(one.values, one.inputs) for one in recordings])


def _skew(recordings: Sequence[Signals], choice: Choice, options: Options) -> Drawn:
    return _same([static.skew_graph(one.values) for one in recordings])


def _lingam(recordings: Sequence[Signals], choice: Choice, options: Options) -> Drawn:
    """Add partial correlation: what has no direct tie at all stands last.

    The sum was chosen on the thirteen nets of simulated BOLD of Sanchez-Romero et al. (2019).
    """
    from neuroloom.connectivity.nets.lingam import fit_lingam

    x = stack_values(recordings)
    weights = np.abs(fit_lingam(x, choice.sparse, may=recordings[0].allowed()).weights)
    return Drawn(weights + static.partial_correlation(x), weights)


def _pcmci(recordings: Sequence[Signals], choice: Choice, options: Options) -> Drawn:
    """Run PCMCI with partial correlation (Runge et al. 2019) through tigramite."""
    from tigramite import data_processing
    from tigramite.independence_tests.parcorr import ParCorr
    from tigramite.pcmci import PCMCI

    strength, p = [], []
    for one in recordings:
        frame = data_processing.DataFrame(one.values.T.copy(), var_names=list(one.names))
        found = PCMCI(dataframe=frame, cond_ind_test=ParCorr(), verbosity=0).run_pcmci(
            tau_min=1, tau_max=choice.lags, pc_alpha=0.2
        )
        # tigramite has (source, target, lag); the surest lag counts, times how many there are.
        best = found["p_matrix"][:, :, 1:].min(-1).T * choice.lags
        strength.append(np.abs(found["val_matrix"][:, :, 1:]).max(-1).T)
        p.append(np.minimum(best, 1.0))
    return Drawn(np.array(strength), np.array(strength), np.array(p))


def _net(name: str) -> Method:
    def draw(recordings: Sequence[Signals], choice: Choice, options: Options) -> Drawn:
        from neuroloom.connectivity.nets.draw import draw_nets

        return _same(draw_nets(name, recordings, choice, options))

    return draw


_METHODS: dict[str, Method] = {
    "ridge-var": _ridge,
    "lasso-var": _lasso,
    "pc-var": _pc,
    "mvgc": _granger(False),
    "pwgc": _granger(True),
    "pcmci": _pcmci,
    "correlation": _correlation,
    "partial": _partial,
    "skew": _skew,
    "cyclic-lingam": _lingam,
    **{name: _net(name) for name in NETS},
}
