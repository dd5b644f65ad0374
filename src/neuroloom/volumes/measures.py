"""The table of measures by name, a case measured by it, and many cases summed up.

The names are pymia's (Jungo et al. 2021, Comput. Methods Programs Biomed. 198:105796), so that its
results can be put beside ours: all 39 agree to 1e-6 (parity/pymia.py). Where something is empty
pymia gives infinities or -1; here the rules of `learn.dense.measures.overlap.EMPTY_RULES` hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import ConfigError, nearest
from neuroloom.learn.dense.measures import overlap, surface
from neuroloom.learn.dense.measures.overlap import Classes, Counts
from neuroloom.volumes.agreement import counts, likeness

NaN = float("nan")
USUAL = (
    "DICE", "JACRD", "SNSVTY", "PRCISON", "VOLSMTY", "HDRFDST95", "ASSD", "SURFDICE", "REFVOL",
    "PREDVOL",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Pair:
    """A true and a predicted mask; what several measures need is computed once.

    Attributes
    ----------
    truth, predicted
        Masks (*axes).
    spacing
        Size of a voxel along each axis, in mm or um.
    tolerance
        Within which surfaces agree, in that unit.
    beta
        How much recall counts against precision in FMEASR.
    slice_number
        Of the areas, along the first axis; None is the middle one.
    left_out
        Voxels that count nowhere; both masks are empty there.
    voxel_volume
        Volume of a voxel; None: the product of the spacing, as axes at right angles have it.
    """

    truth: NDArray[np.bool_]
    predicted: NDArray[np.bool_]
    spacing: tuple[float, ...]
    tolerance: float = 1.0
    beta: float = 1.0
    slice_number: int | None = None
    left_out: int = 0
    voxel_volume: float | None = None

    @cached_property
    def counts(self) -> Counts:
        """True and false positives, false and true negatives."""
        tp, fp, fn, tn = (int(part[1]) for part in overlap.counts(self.truth, self.predicted, 2))
        return Counts(tp, fp, fn, tn - self.left_out)

    @cached_property
    def distances(self) -> surface.SurfaceDistances:
        """Distances between the surfaces."""
        return surface.surface_distances(self.truth, self.predicted, self.spacing)

    @property
    def voxel(self) -> float:
        """Volume of a voxel."""
        return float(np.prod(self.spacing)) if self.voxel_volume is None else self.voxel_volume


@dataclass(frozen=True)
class Measure:
    """One measure of the table.

    Attributes
    ----------
    title
        Plain name.
    compute
        From a `Pair`, or from reference and image.
    of
        "mask", or "image" where grey values are compared.
    unit
        "" for a share or index; "mm" stands for the unit of the spacing.
    rising
        True: larger is better; False: smaller; None: neither.
    """

    title: str
    compute: Callable[..., float]
    of: Literal["mask", "image"] = "mask"
    unit: str = ""
    rising: bool | None = True


def _counted(function: Callable[..., Any], pair: Pair) -> float:
    return float(function(*pair.counts))


def _agreed(function: Callable[[Counts], float], pair: Pair) -> float:
    return function(pair.counts)


def _f_measure(pair: Pair) -> float:
    return float(overlap.f_beta(*pair.counts, beta=pair.beta))


def _hausdorff(percentile: float, pair: Pair) -> float:
    return surface.hausdorff(pair.distances, percentile)


def _surface_dice(pair: Pair) -> float:
    return surface.nsd(pair.distances, pair.tolerance)


def _surface_overlap(pair: Pair) -> float:
    return surface.surface_overlap(pair.distances, pair.tolerance)[1]


def _assd(pair: Pair) -> float:
    return surface.average_symmetric(pair.distances)


def average_distance(pair: Pair) -> float:
    """Return the mean distance of the voxels of one mask from the other mask, mean of both ways.

    Voxels inside both count as 0: the average Hausdorff distance of ITK, and through it of pymia
    (whose documentation has the larger of the two ways), not a distance of surfaces.

    Examples
    --------
    >>> average_distance(Pair(np.array([[1, 0, 0]]) > 0, np.array([[1, 0, 1]]) > 0, (1, 1)))
    0.5
    """
    from scipy.ndimage import distance_transform_edt

    masks = pair.truth, pair.predicted
    if not all(mask.any() for mask in masks):
        return NaN if any(mask.any() for mask in masks) else 0.0
    ways = [
        distance_transform_edt(~other, sampling=pair.spacing)[mask].mean()
        for mask, other in (masks, masks[::-1])
    ]
    return float(np.mean(ways))


def mahalanobis(pair: Pair) -> float:
    """Return the distance of the two centres in units of the masks' common spread (eq. 35-36).

    NaN where a mask is empty or lies in a plane.

    Examples
    --------
    >>> mask = np.ones((3, 3), bool)
    >>> mahalanobis(Pair(mask, mask, (1, 1)))
    0.0
    """
    places = [np.argwhere(mask).astype(float) for mask in (pair.truth, pair.predicted)]
    n = [len(own) for own in places]
    if min(n) == 0:
        return NaN if max(n) else 0.0
    if min(n) == 1:
        return NaN
    spread = np.average([np.cov(own.T) for own in places], axis=0, weights=n)
    if np.linalg.matrix_rank(spread) < spread.shape[0]:
        return NaN
    apart = places[0].mean(0) - places[1].mean(0)
    return float(np.sqrt(apart @ np.linalg.solve(spread, apart)))


def _count(place: int, pair: Pair) -> float:
    return float(pair.counts[place])


def _volume(which: str, pair: Pair) -> float:
    return float(getattr(pair, which).sum()) * pair.voxel


def _area(which: str, pair: Pair) -> float:
    mask = getattr(pair, which)
    if mask.ndim == 2:
        return float(mask.sum()) * pair.voxel
    middle = mask.shape[0] // 2 if pair.slice_number is None else pair.slice_number
    return float(mask[middle].sum() * pair.spacing[1] * pair.spacing[2])


def _of_counts(title: str, function: Callable[..., Any], rising: bool = True) -> Measure:
    return Measure(title, partial(_counted, function), rising=rising)


def _of_agreement(title: str, function: Callable[[Counts], float], rising: bool = True) -> Measure:
    return Measure(title, partial(_agreed, function), rising=rising)


def _of_image(title: str, function: Callable[..., float], rising: bool, unit: str = "") -> Measure:
    return Measure(title, function, "image", unit, rising)


METRICS: dict[str, Measure] = {
    "DICE": _of_counts("Dice", overlap.dice),
    "JACRD": _of_counts("Jaccard", overlap.jaccard),
    "VOLSMTY": _of_counts("volume similarity", overlap.volume_similarity),
    "AUC": _of_agreement("area under the curve", counts.auc),
    "KAPPA": _of_agreement("Cohen's kappa", counts.kappa),
    "RNDIND": _of_agreement("Rand index", counts.rand_index),
    "ADJRIND": _of_agreement("adjusted Rand index", counts.adjusted_rand_index),
    "ICCORR": _of_agreement("intraclass correlation", counts.intraclass_correlation),
    "MUTINF": _of_agreement("mutual information (bit)", counts.mutual_information),
    "SURFOVLP": Measure("share of predicted surface within tolerance", _surface_overlap),
    "SURFDICE": Measure("surface Dice (NSD)", _surface_dice),
    "HDRFDST": Measure("Hausdorff distance", partial(_hausdorff, 100.0), unit="mm", rising=False),
    "AVGDIST": Measure(
        "average Hausdorff distance of voxels", average_distance, unit="mm", rising=False
    ),
    "MAHLNBS": Measure("Mahalanobis distance of the centres", mahalanobis, rising=False),
    "VARINFO": _of_agreement(
        "variation of information (bit)", counts.variation_of_information, False
    ),
    "GCOERR": _of_agreement("global consistency error", counts.consistency_error, False),
    "PROBDST": _of_agreement("probabilistic distance", counts.probabilistic_distance, False),
    "SNSVTY": _of_counts("sensitivity", overlap.sensitivity),
    "SPCFTY": _of_counts("specificity", overlap.specificity),
    "PRCISON": _of_counts("precision", overlap.precision),
    "FMEASR": Measure("F-measure", _f_measure),
    "ACURCY": _of_counts("accuracy of voxels", overlap.accuracy),
    "FALLOUT": _of_counts("false positive rate", overlap.fallout, False),
    "FNR": _of_counts("false negative rate", overlap.false_negative_rate, False),
    **{
        name: Measure(title, partial(_count, place), unit="voxels", rising=rising)
        for place, (name, title, rising) in enumerate(
            (
                ("TP", "true positives", None),
                ("FP", "false positives", False),
                ("FN", "false negatives", False),
                ("TN", "true negatives", None),
            )
        )
    },
    "REFVOL": Measure("true volume", partial(_volume, "truth"), unit="mm3", rising=None),
    "PREDVOL": Measure("predicted volume", partial(_volume, "predicted"), unit="mm3", rising=None),
    "REFAREA": Measure("true area of one slice", partial(_area, "truth"), unit="mm2", rising=None),
    "PREDAREA": Measure(
        "predicted area of one slice", partial(_area, "predicted"), unit="mm2", rising=None
    ),
    "R2": _of_image("explained variance of voxels", likeness.explained, True),
    "MAE": _of_image("mean absolute error", likeness.mean_absolute_error, False, "image"),
    "MSE": _of_image("mean squared error", likeness.mean_squared_error, False, "image2"),
    "RMSE": _of_image("root mean squared error", likeness.root_mean_squared_error, False, "image"),
    "NRMSE": _of_image("error per range of the reference", likeness.normalised_error, False),
    "PSNR": _of_image("peak signal-to-noise ratio", likeness.signal_to_noise, True, "dB"),
    "SSIM": _of_image("structural similarity", likeness.structural_similarity, True),
}
MORE: dict[str, Measure] = {
    "HDRFDST95": Measure(
        "Hausdorff distance at 95 %", partial(_hausdorff, 95.0), unit="mm", rising=False
    ),
    "ASSD": Measure("mean distance of surfaces", _assd, unit="mm", rising=False),
}


def kind_of(names: Sequence[str]) -> Literal["mask", "image"]:
    """Return what measures are of.

    Raises
    ------
    ConfigError
        If some are of masks and some of images.

    Examples
    --------
    >>> kind_of(["DICE"]), kind_of(["SSIM", "mae"])
    ('mask', 'image')
    """
    known = METRICS | MORE
    kinds = {known[name.upper()].of: name.upper() for name in names if name.upper() in known}
    if len(kinds) > 1:
        raise ConfigError(
            f"metrics: {kinds['mask']} compares masks, {kinds['image']} images; measure masks and "
            "images in runs of their own."
        )
    return next(iter(kinds), "mask")


def find_measures(names: Sequence[str], of: str = "mask") -> dict[str, Measure]:
    """Return measures by name, in that order; case does not matter.

    Raises
    ------
    ConfigError
        If a name is unknown, or measures something else.

    Examples
    --------
    >>> list(find_measures(["dice", "HDRFDST95"]))
    ['DICE', 'HDRFDST95']
    """
    known = METRICS | MORE
    out = {}
    for name in names:
        measure = known.get(name.upper())
        if measure is None:
            fitting = [key for key, own in known.items() if own.of == of]
            raise ConfigError(f"No measure is called '{name}'.{nearest(name.upper(), fitting)}")
        if measure.of != of:
            raise ConfigError(f"{name.upper()} measures an {measure.of}; asked for of a {of}.")
        out[name.upper()] = measure
    return out


def measure_case(
    truth: ArrayLike,
    predicted: ArrayLike,
    spacing: Sequence[float],
    metrics: Sequence[str] = USUAL,
    classes: Classes | None = None,
    ignore: int | None = None,
    **options: Any,
) -> list[dict[str, Any]]:
    """Return a row for each class of one case: class, then every measure by name.

    Parameters
    ----------
    truth, predicted
        Integer labels (*axes) of two or three axes on one grid.
    spacing
        Size of a voxel along each axis, in mm or um.
    metrics
        Names of `METRICS` and `MORE` that measure masks.
    classes
        Name -> label or labels; None: every label but 0 that either has, by its number.
    ignore
        Label of the truth whose voxels count nowhere.
    options
        tolerance, beta, slice_number, voxel_volume: see `Pair`.

    Examples
    --------
    >>> truth, predicted = np.zeros((2, 6, 6), int)
    >>> truth[1:3, 1:3], predicted[1:3, 1:4] = 1, 1
    >>> measure_case(truth, predicted, (1, 1), ["DICE", "FP"])
    [{'class': '1', 'DICE': 0.8, 'FP': 2.0}]
    """
    a, b = overlap.without_ignored(truth, predicted, ignore)
    left_out = 0 if ignore is None else int((np.asarray(truth) == ignore).sum())
    chosen = find_measures(metrics)
    held = np.setdiff1d(np.union1d(a, b), 0)
    named: Classes = {str(k): int(k) for k in held} if classes is None else classes
    rows = []
    for name, labels in named.items():
        masks = overlap.mask_of(a, labels), overlap.mask_of(b, labels)
        pair = Pair(*masks, tuple(float(s) for s in spacing), left_out=left_out, **options)
        rows.append({"class": name} | {key: own.compute(pair) for key, own in chosen.items()})
    return rows


def measure_image(
    reference: ArrayLike,
    image: ArrayLike,
    metrics: Sequence[str] = ("R2", "MAE", "MSE", "RMSE", "NRMSE", "PSNR", "SSIM"),
) -> dict[str, float]:
    """Return the measures of an image beside its reference, by name.

    Examples
    --------
    >>> measure_image([0.0, 4.0], [1.0, 4.0], ["MAE", "NRMSE"])["MAE"]
    0.5
    """
    return {
        name: measure.compute(reference, image)
        for name, measure in find_measures(metrics, "image").items()
    }


def aggregate(
    table: pd.DataFrame,
    by: Sequence[str] = ("class",),
    metrics: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Sum up many cases: a row for each group and measure.

    Parameters
    ----------
    table
        Rows of cases, as `measure_case` gives them, with any columns to group by.
    by
        Columns whose combinations are the groups; none: all rows together. What has no value in
        them is a group, too.
    metrics
        Columns to sum up; None: all that are named as a measure.

    Returns
    -------
    The columns of `by`, metric, n (defined values), n_undefined, mean, sd (n - 1), median, q05,
    q25, q75, q95, low, high. Undefined values are left out of all but their count.

    Examples
    --------
    >>> rows = pd.DataFrame({"class": ["a", "a", "b"], "DICE": [0.5, 1.0, float("nan")]})
    >>> aggregate(rows)[["class", "n", "n_undefined", "mean"]].values.tolist()
    [['a', 2, 0, 0.75], ['b', 0, 1, nan]]
    """
    missing = [name for name in by if name not in table]
    if missing:
        held = ", ".join(map(str, table.columns))
        raise ConfigError(f"There is no column '{missing[0]}' to group by; the table has {held}.")
    names = [c for c in table.columns if c in METRICS | MORE] if metrics is None else list(metrics)
    groups = table.groupby(list(by), sort=False, dropna=False) if by else [((), table)]
    rows = []
    for key, part in groups:
        head = dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True))
        rows += [head | {"metric": name} | _summed(part[name]) for name in names]
    return pd.DataFrame(rows)


def _summed(values: pd.Series[Any]) -> dict[str, Any]:
    known = values[np.isfinite(values.astype(float))].to_numpy(dtype=float)
    out: dict[str, Any] = {"n": len(known), "n_undefined": len(values) - len(known)}
    if not len(known):
        return out | dict.fromkeys(_STATISTICS, NaN)
    quantiles = np.quantile(known, (0.5, 0.05, 0.25, 0.75, 0.95, 0, 1))
    spread = float(known.std(ddof=1)) if len(known) > 1 else NaN
    return out | dict(zip(_STATISTICS, (known.mean(), spread, *quantiles), strict=True))


_STATISTICS = ("mean", "sd", "median", "q05", "q25", "q75", "q95", "low", "high")


def reason_of(row: Mapping[str, Any]) -> str:
    """Say why a row has undefined values; "" if it has none or nothing is empty.

    Parameters
    ----------
    row
        With REFVOL and PREDVOL.

    Examples
    --------
    >>> reason_of({"REFVOL": 0.0, "PREDVOL": 3.0})
    'the truth is empty'
    """
    empty = [name for name, key in (("truth", "REFVOL"), ("prediction", "PREDVOL")) if not row[key]]
    return f"the {empty[0]} is empty" if len(empty) == 1 else "both are empty" if empty else ""
