"""Fill bad stretches of a trace by a learned forecaster that sees both sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neuroloom.core.errors import DataError

MOST_EXAMPLES = 10_000
FEWEST_EXAMPLES = 200


class GapFiller:
    """Learns, from clean traces alone, to predict what lies in a gap.

    Parameters
    ----------
    rate
        Of the traces, Hz.
    context
        Seconds seen on each side of a gap.
    gaps
        Lengths that are learnt, s; a shorter gap is filled by the next longer one.
    epochs
        Passes over the training stretches.

    Notes
    -----
    Traces are channels on their own: a filler learnt on some channels serves others of its kind.
    All must be centred (and scaled) in one way, as `signals.examples.traces` does.

    Examples
    --------
    >>> t = np.arange(4000) / 100
    >>> wave = np.sin(2 * np.pi * 7 * t) + 0.1 * np.random.default_rng(0).normal(size=4000)
    >>> filler = GapFiller(100.0, gaps=(0.1,), epochs=1).fit([wave[:3000]])
    >>> bad = np.zeros(1000, bool); bad[500:508] = True
    >>> filled, left = filler.fill(wave[3000:], bad)
    >>> bool(np.abs(filled[500:508] - np.sin(2 * np.pi * 7 * t[3500:3508])).max() < 0.5), left
    (True, [])
    """

    def __init__(
        self,
        rate: float,
        context: float = 1.0,
        gaps: Sequence[float] = (0.1, 0.2, 0.4, 0.8),
        epochs: int = 3,
    ) -> None:
        from neuroloom.signals.nets.gap import GapNet

        self.rate, self.context_s, self.gaps, self.epochs = rate, context, tuple(gaps), epochs
        self.context = max(1, round(context * rate))
        self.lengths = sorted({max(1, round(gap * rate)) for gap in gaps})
        self.nets = {length: GapNet(self.context, length).eval() for length in self.lengths}

    @property
    def spec(self) -> dict[str, Any]:
        """Everything to build this filler again."""
        return {
            "rate": self.rate, "context": self.context_s, "gaps": list(self.gaps),
            "epochs": self.epochs,
        }  # fmt: skip

    def fit(self, traces: Sequence[np.ndarray], seed: int = 0) -> GapFiller:
        """Learn from clean, gap-free traces (time,).

        Raises
        ------
        DataError
            If there is too little to learn from.
        """
        import torch

        from neuroloom.learn.training.fit import FitJob, Training, fit, own_randomness
        from neuroloom.signals.nets.gap import GapNet

        training = Training(
            epochs=self.epochs, batch=256, lr=1e-3, weight_decay=0.1, warmup=0.2, threads=1
        )
        for length in self.lengths:
            x = self.stretches(traces, length, seed)
            with own_randomness(seed):
                net = self.nets[length] = GapNet(self.context, length)
            net.solve(torch.as_tensor(x))
            fit(net, x, np.zeros(len(x), np.float32), training, FitJob(seed=seed))
            net.eval()
        return self

    def stretches(
        self,
        traces: Sequence[np.ndarray],
        length: int,
        seed: int = 0,
        most: int | None = None,
        fewest: int = FEWEST_EXAMPLES,
    ) -> np.ndarray:
        """Return stretches of both sides and a gap, (n, 2 * context + length), float32.

        All there are, or `most` (10,000) at random places.
        """
        whole = 2 * self.context + length
        views = [
            np.lib.stride_tricks.sliding_window_view(np.asarray(trace, np.float32), whole)
            for trace in traces
            if len(trace) >= whole
        ]
        counts = np.array([len(view) for view in views], int)
        if counts.sum() < fewest:
            raise DataError(
                f"Only {counts.sum()} stretches of {whole / self.rate:g} s without artefact: too "
                "little to learn what belongs into a gap. Lower `context`, or do not replace."
            )
        most = most or MOST_EXAMPLES
        owner = np.repeat(np.arange(len(views)), counts)
        place = np.concatenate([np.arange(count) for count in counts])
        if len(owner) > most:
            rows = np.sort(np.random.default_rng(seed).choice(len(owner), most, replace=False))
            owner, place = owner[rows], place[rows]
        return np.stack([views[o][p] for o, p in zip(owner, place, strict=True)])

    def split(self, stretches: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Return both sides of each gap (n, 2 * context), and what is in it (n, length)."""
        c = self.context
        sides = np.concatenate([stretches[:, :c], stretches[:, c + length :]], axis=1)
        return sides, stretches[:, c : c + length]

    def predict(self, sides: np.ndarray, length: int) -> np.ndarray:
        """Return the gap (n, length) between both sides (n, 2 * context)."""
        import torch

        with torch.inference_mode():
            return self.nets[length](torch.as_tensor(sides, dtype=torch.float32)).numpy()

    def predict_linear(self, sides: np.ndarray, length: int) -> np.ndarray:
        """Return what the linear part alone says: two-sided ridge regression."""
        return np.asarray(sides, np.float32) @ self.nets[length].linear.numpy()

    def fill(self, trace: np.ndarray, bad: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int]]]:
        """Replace the bad samples of a trace.

        Parameters
        ----------
        trace
            Shape (time,), at `rate`.
        bad
            Shape (time,), boolean.

        Returns
        -------
        filled
            The trace; stretches are filled from left to right, so that one sees its neighbours
            mended. Until then other bad samples are bridged by a straight line.
        left
            Stretches (first, last) that are longer than the longest gap, or nearer to an end than
            the context, and were left as they are: nobody can know what belongs there.
        """
        filled = np.asarray(trace, float).copy()
        good = np.flatnonzero(~bad)
        if len(good) == 0:
            return filled, runs_of(bad)
        places = np.flatnonzero(bad)
        filled[places] = np.interp(places, good, filled[good])
        left = []
        for first, last in runs_of(bad):
            length = next((n for n in self.lengths if n >= last - first), None)
            begin = first - (0 if length is None else (length - (last - first)) // 2)
            if length is None or begin < self.context or begin + length + self.context > len(trace):
                left.append((first, last))
                continue
            before = filled[begin - self.context : begin]
            after = filled[begin + length : begin + length + self.context]
            inside = self.predict(np.concatenate([before, after])[None], length)[0]
            filled[first:last] = inside[first - begin : last - begin]
        for first, last in left:
            filled[first:last] = trace[first:last]
        return filled, left

    def state(self) -> dict[str, np.ndarray]:
        """Return what was learnt as named arrays."""
        return {
            f"{length}/{name}": value.detach().numpy().copy()
            for length, net in self.nets.items()
            for name, value in net.state_dict().items()
        }

    def load(self, state: dict[str, np.ndarray]) -> GapFiller:
        """Take back what `state` gave."""
        import torch

        for length, net in self.nets.items():
            own = {k: v for k, v in state.items() if k.startswith(f"{length}/")}
            net.load_state_dict(
                {k.partition("/")[2]: torch.as_tensor(np.asarray(v)) for k, v in own.items()}
            )
        return self


def runs_of(mask: np.ndarray) -> list[tuple[int, int]]:
    """Return the stretches (first, last) where `mask` holds, `last` not included.

    Examples
    --------
    >>> runs_of(np.array([0, 1, 1, 0, 1], bool))
    [(1, 3), (4, 5)]
    """
    edges = np.diff(np.concatenate([[0], np.asarray(mask, int), [0]]))
    return list(
        zip(np.flatnonzero(edges > 0).tolist(), np.flatnonzero(edges < 0).tolist(), strict=True)
    )
