"""How well identities were kept: MOTA, IDF1 and HOTA of tracks beside the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.pose.alike import body_scale, distance_between

ALPHAS = np.arange(0.05, 0.99, 0.05)


@dataclass(frozen=True)
class IdentityScores:
    """Counts over all frames, from which every score follows.

    Parameters
    ----------
    truths, found
        True and found bodies, summed over frames.
    misses, false, switches
        Of the frame-wise matching that MOTA counts (Bernardin & Stiefelhagen 2008).
    idtp
        Bodies right under the best one-to-one naming of whole tracks (Ristani et al. 2016).
    hota
        Higher order tracking accuracy, mean over 19 levels of similarity (Luiten et al. 2021).
    """

    truths: int
    found: int
    misses: int
    false: int
    switches: int
    idtp: int
    hota: float

    @property
    def mota(self) -> float:
        """1 - (misses + false + switches) / truths."""
        return 1 - (self.misses + self.false + self.switches) / self.truths

    @property
    def idf1(self) -> float:
        """Share of bodies that bear the right name: 2 IDTP / (truths + found)."""
        return 2 * self.idtp / (self.truths + self.found)

    @property
    def idp(self) -> float:
        """Of the found bodies, the share that bears the right name."""
        return self.idtp / max(self.found, 1)

    @property
    def idr(self) -> float:
        """Of the true bodies, the share that bears the right name."""
        return self.idtp / self.truths


def score_identities(
    truth: np.ndarray, found: np.ndarray, within: float | None = None
) -> IdentityScores:
    """Compare tracks with the truth.

    Parameters
    ----------
    truth
        Shape (time, animal, keypoint, 2), px, NaN where absent.
    found
        Shape (time, track, keypoint, 2).
    within
        px of mean keypoint distance within which a body can be the same; half a body's size if
        not given.

    Raises
    ------
    DataError
        If the numbers of frames or keypoints differ, or there is no truth.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.uniform(0, 9, (20, 1, 2, 2)) + np.array([0.0, 500.0]).reshape(1, 2, 1, 1)
    >>> found = truth.copy()
    >>> found[10:] = found[10:, ::-1]
    >>> scores = score_identities(truth, found)
    >>> scores.switches, scores.idf1, scores.mota
    (2, 0.5, 0.95)
    """
    counts = count_identities(truth, found, within)
    total = {name: int(values.sum()) for name, values in counts.items()}
    return IdentityScores(**total, hota=hota(truth, found, within))


def count_identities(
    truth: np.ndarray, found: np.ndarray, within: float | None = None
) -> dict[str, np.ndarray]:
    """Return the counts of each frame, so that parts of a recording can be summed up.

    Parameters
    ----------
    truth, found, within
        As for `score_identities`.

    Returns
    -------
    Arrays (time,) of truths, found, misses, false, switches and idtp.

    Examples
    --------
    >>> truth = np.zeros((3, 1, 2, 2)) + np.array([[0.0, 0.0], [9.0, 0.0]])
    >>> count_identities(truth, truth[:, :, :] + [[[[1.0, 0.0]]]])["idtp"].tolist()
    [1, 1, 1]
    """
    apart, there, here, within = _compare(truth, found, within)
    near = np.isfinite(apart) & (apart <= within)
    matched = _match_frames(apart, near)
    right = (matched >= 0).sum(1)
    truths, all_found = there.sum(1), here.sum(1)
    return {
        "truths": truths,
        "found": all_found,
        "misses": truths - right,
        "false": all_found - right,
        "switches": _switches(matched),
        "idtp": _identity_matches(near),
    }


def _compare(
    truth: np.ndarray, found: np.ndarray, within: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return distances (time, animal, track), who is there, who was found, and the limit."""
    if len(truth) != len(found) or truth.shape[2:] != found.shape[2:]:
        raise DataError(
            f"The truth has {len(truth)} frames of {truth.shape[2]} keypoints, the tracks "
            f"{len(found)} of {found.shape[2]}; give the same frames and keypoints."
        )
    there, here = (np.isfinite(x).all(-1).any(-1) for x in (truth, found))
    if not there.any():
        raise DataError("The truth has no body in any frame.")
    apart = np.stack([distance_between(a, b) for a, b in zip(truth, found, strict=True)])
    return apart, there, here, within if within is not None else body_scale(truth) / 2


def _match_frames(apart: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Return (time, animal): the track matched, -1 for none; pairs are kept while they fit."""
    from scipy.optimize import linear_sum_assignment

    out = np.full(near.shape[:2], -1)
    last = np.full(near.shape[1], -1)
    for frame, (cost, allowed) in enumerate(zip(apart, near, strict=True)):
        row = out[frame]
        kept = np.flatnonzero((last >= 0) & allowed[np.arange(len(last)), last])
        # Of two animals that had the same track last, the later frame's pair counts: first come.
        for i in kept:
            if last[i] not in row:
                row[i] = last[i]
        a = np.flatnonzero(row < 0)
        b = np.setdiff1d(np.arange(near.shape[2]), row)
        table = np.where(allowed[np.ix_(a, b)], cost[np.ix_(a, b)], 1e9)
        for i, j in zip(*linear_sum_assignment(table), strict=True):
            if table[i, j] < 1e9:
                row[a[i]] = b[j]
        last = np.where(row >= 0, row, last)
    return out


def _switches(matched: np.ndarray) -> np.ndarray:
    """Return (time,): animals whose track is another than the one they were matched to before."""
    out = np.zeros(len(matched), int)
    for column in matched.T:
        frames = np.flatnonzero(column >= 0)
        own = column[frames]
        out[frames[1:][own[1:] != own[:-1]]] += 1
    return out


def _identity_matches(near: np.ndarray) -> np.ndarray:
    """Return (time,): the bodies that are right under the best naming of whole tracks."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(-near.sum(0))
    return near[:, rows, columns].sum(1)


def hota(truth: np.ndarray, found: np.ndarray, within: float | None = None) -> float:
    """Return HOTA: the mean over levels of likeness of how well bodies and names are found.

    Likeness falls from 1 to 0 over twice `within`.

    Parameters
    ----------
    truth, found, within
        As for `score_identities`.
    """
    from scipy.optimize import linear_sum_assignment

    apart, there, here, within = _compare(truth, found, within)
    alike = np.where(np.isfinite(apart), np.maximum(1 - apart / (2 * within), 0), 0.0)
    # Which pairs go together over the whole recording steers the matching of each frame.
    total = alike.sum(2, keepdims=True) + alike.sum(1, keepdims=True) - alike
    shared = np.divide(alike, total, out=np.zeros_like(alike), where=total > 0).sum(0)
    ever = there.sum(0)[:, None] + here.sum(0)[None]
    tied = shared / np.maximum(ever - shared, 1e-12)
    pairs = []
    for frame, table in enumerate(alike):
        rows, columns = linear_sum_assignment(-tied * table)
        pairs += [(frame, i, j, table[i, j]) for i, j in zip(rows, columns, strict=True)]
    i, j = (np.array([p[n] for p in pairs], int) for n in (1, 2))
    level = np.array([p[3] for p in pairs])
    scores = []
    for alpha in ALPHAS:
        right = level >= alpha - 1e-9
        count = np.zeros(tied.shape)
        np.add.at(count, (i[right], j[right]), 1)
        tp = int(right.sum())
        detection = tp / max(int(there.sum() + here.sum()) - tp, 1)
        association = (count * count / np.maximum(ever - count, 1)).sum() / max(tp, 1)
        scores.append(np.sqrt(detection * association))
    return float(np.mean(scores))
