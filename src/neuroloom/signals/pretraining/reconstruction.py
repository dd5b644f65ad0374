"""How well hidden places are put together from the others, beside splines and the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.files import write_atomic, write_json
from neuroloom.signals.splines import directions, solve_spline, spline_matrix

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.signals.pretrain import Pretrain
    from neuroloom.signals.pretraining.places import Pieces

GROUPS, FEWEST = 4, 4
METRIC = "explained_variance"


def hidden_groups(own: np.ndarray, seed: int) -> list[np.ndarray]:
    """Divide the places of a recording so that each is hidden once, and others stay.

    Parameters
    ----------
    own
        Indices of its places.

    Examples
    --------
    >>> sorted(group.tolist() for group in hidden_groups(np.array([3, 8]), 0))
    [[3], [8]]
    """
    if len(own) < 2:
        return []
    shuffled = np.random.default_rng([seed, len(own)]).permutation(own)
    return [np.sort(g) for g in np.array_split(shuffled, min(GROUPS, len(own)))]


def interpolate(x: np.ndarray, seen: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Return hidden places by spherical splines from those seen; of three or fewer, their mean.

    Parameters
    ----------
    x
        Windows (n, place, time) of the 64 places.
    seen, hidden
        Indices of places.

    References
    ----------
    Perrin et al. (1989), Electroencephalogr. Clin. Neurophysiol. 72(2), 184-187.
    """
    from neuroloom.io.recordings.electrodes import template_positions
    from neuroloom.signals.steps.montage import TEN_TEN

    if len(seen) < FEWEST:
        return np.repeat(x[:, seen].mean(1, keepdims=True), len(hidden), axis=1)
    units = directions(template_positions([TEN_TEN[k] for k in [*seen, *hidden]]))
    known, wanted = units[: len(seen)], units[len(seen) :]
    weights = spline_matrix(wanted, known, solve_spline(known))
    return np.einsum("hs,nst->nht", weights, x[:, seen])


def judge(module: Any, pieces: Pieces, recipe: Pretrain, run: Run) -> pd.DataFrame:
    """Hide every place of the held-out recordings once; write predictions and metrics.

    Returns
    -------
    DataFrame
        A row a window and role: `missed` and `there`, the mean squares of what was not and of what
        should have been reconstructed.
    """
    import pandas as pd

    rows = []
    for path, part in pieces.table.groupby("path", sort=False):
        x = pieces.x[part.index]
        squares = _squares(module, x, recipe.seed)
        if squares is None:
            continue
        for role, name in (("model", "masked-places"), ("baseline", "spherical-splines")):
            head = part[["name", "path", "onset", "stop"]].assign(example=part.index)
            extra = {"fold": 0, "seed": recipe.seed, "unit": path, "role": role, "model": name}
            rows.append(head.assign(**extra, missed=squares[role], there=squares["there"]))
    if not rows:
        raise DataError(
            "The held-out recordings have a single place of the montage each: nothing can be "
            "hidden in them. Name others by `hold_out`."
        )
    table = pd.concat(rows, ignore_index=True)
    write_atomic(run.folder / "predictions.parquet", lambda p: table.to_parquet(p, index=False))
    _write_metrics(table, recipe.seed, run)
    return table


def _squares(module: Any, x: np.ndarray, seed: int) -> dict[str, np.ndarray] | None:
    """Return the mean squares, window by window, over every place hidden once."""
    own = np.flatnonzero(np.abs(x).max((0, 2)) > 0)
    found = {key: np.zeros(len(x)) for key in ("model", "baseline", "there")}
    groups = hidden_groups(own, seed)
    for hidden in groups:
        seen = np.setdiff1d(own, hidden)
        guesses = {
            "model": reconstruct(module, x, seen)[:, hidden],
            "baseline": interpolate(x, seen, hidden),
        }
        truth, share = x[:, hidden].astype(float), len(hidden) / len(own)
        for role, guess in guesses.items():
            found[role] += share * ((guess - truth) ** 2).mean((1, 2))
        found["there"] += share * (truth**2).mean((1, 2))
    return found if groups else None


def reconstruct(module: Any, x: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return windows (n, place, time) as the model puts them together from the places `seen`."""
    import torch

    shown = torch.zeros(len(x), x.shape[1])
    shown[:, torch.as_tensor(seen)] = 1
    with torch.inference_mode():
        return module.reconstruct(torch.as_tensor(x), shown).numpy()


def _write_metrics(table: pd.DataFrame, seed: int, run: Run) -> None:
    """Write the share of hidden signal that was explained, with a bootstrap over recordings."""
    import pandas as pd

    from neuroloom.learn.scoring.intervals import bounds

    parts = {role: rows.reset_index(drop=True) for role, rows in table.groupby("role")}
    mine = parts["model"]
    missed, signal = mine["missed"].to_numpy(), mine["there"].to_numpy()
    value = 1 - missed.sum() / signal.sum()
    low, high = bounds(lambda w: 1 - (w @ missed) / (w @ signal), value, mine["unit"], seed)
    other = parts["baseline"]
    entry = {
        "value": float(value), "low": low, "high": high,
        "baseline": float(1 - other["missed"].sum() / other["there"].sum()), "chance": 0.0,
    }  # fmt: skip
    write_json(run.folder / "metrics.json", {METRIC: entry})
    tidy = pd.DataFrame([{"fold": 0, "seed": seed, "metric": METRIC, **entry}])
    write_atomic(run.folder / "metrics.parquet", lambda p: tidy.to_parquet(p, index=False))
