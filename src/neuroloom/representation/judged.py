"""What `representation.compare` measures: one function a method, each returns an `Outcome`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.representation.items import Group
from neuroloom.representation.rsa import infer
from neuroloom.representation.rsa.ceiling import noise_ceiling
from neuroloom.representation.rsa.cka import align_kernels, centre_kernel, kernel_of
from neuroloom.representation.rsa.rdm import gram
from neuroloom.representation.rsa.similarity import compare_rdms

if TYPE_CHECKING:
    from neuroloom.representation.compare import Compare

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Attributes
    ----------
    table
        A row a model: name, value, low, high, p, chance; `points`, a value a subject.
    scores
        A row a model and unit that was measured (subject, voxel, stimulus, judgement).
    label
        What the value is.
    ceiling
        Lower and upper bound, where there is one.
    overall
        A row a model of similarities with the mean subject, where that is something else.
    differences
        Of `infer.differences`.
    matrix, names
        All against all.
    """

    table: pd.DataFrame
    scores: pd.DataFrame
    label: str
    ceiling: tuple[float, float] | None = None
    overall: pd.DataFrame | None = None
    differences: pd.DataFrame | None = None
    matrix: Floats | None = None
    names: list[str] = field(default_factory=list)


def judge_rsa(recipe: Compare, reference: Group, models: Sequence[Group]) -> Outcome:
    """Compare the RDMs of models with those of the subjects of a reference."""
    rng = np.random.default_rng(recipe.seed)
    subjects = reference.rdms(recipe.distance)
    rows = np.stack([group.rdms(recipe.distance).mean(0) for group in models])
    names = [group.name for group in models]
    whole, each = infer.similarities(rows, subjects, recipe.similarity)
    spread = infer.spread(rows, subjects, recipe.similarity, rng, recipe.resamples)
    p = infer.permutation_test(
        rows, np.nanmean(subjects, 0), recipe.similarity, rng, recipe.permutations
    )
    overall = _rows(names, whole, np.diag(spread.mean), spread.freedom, p)
    table = _rows(names, each.mean(1), np.diag(spread.single), spread.freedom, p)
    table["points"] = [list(values) for values in each]
    scores = [
        {"model": name, "unit": unit, "value": value}
        for name, values in zip(names, each, strict=True)
        for unit, value in zip(reference.subjects, values, strict=True)
    ]
    ceiling = noise_ceiling(subjects, recipe.similarity) if len(subjects) > 1 else None
    gaps = None
    if len(models) > 1:
        gaps = infer.differences(names, each.mean(1), spread.single, spread.freedom)
    every = np.vstack([np.nanmean(subjects, 0), rows])
    matrix = compare_rdms(every, every, recipe.similarity) if len(every) <= 40 else None
    return Outcome(
        table, pd.DataFrame(scores), _name(recipe.similarity), ceiling, overall, gaps, matrix,
        [reference.name, *names],
    )  # fmt: skip


def _name(similarity: str) -> str:
    names = {"spearman": "Spearman's correlation", "pearson": "Pearson's correlation"}
    return names.get(similarity, similarity.replace("-", " ").capitalize())


def _rows(
    names: Sequence[str], values: Floats, variance: Floats, freedom: int, p: Floats
) -> pd.DataFrame:
    ends = [infer.interval(v, s, freedom) for v, s in zip(values, variance, strict=True)]
    table = pd.DataFrame({"name": list(names), "value": values})
    table["low"] = [end[0] for end in ends]
    table["high"] = [end[1] for end in ends]
    return table.assign(p=p, chance=0.0)


def judge_cka(recipe: Compare, reference: Group, models: Sequence[Group]) -> Outcome:
    """Align kernels of models with those of the subjects; intervals by the jackknife."""
    _need_features([reference, *models], "cka")
    rng = np.random.default_rng(recipe.seed)
    theirs = [kernel_of(item.data, recipe.kernel) for item in reference.items]
    rows, scores, null, kernels = [], [], [], []
    for group in models:
        each = [kernel_of(item.data, recipe.kernel) for item in group.items]
        mine = np.asarray(np.mean(each, axis=0))
        kernels.append(mine)
        values = np.array([align_kernels(mine, k, unbiased=recipe.unbiased) for k in theirs])
        left = _left_out(mine, theirs, recipe.unbiased, rng)
        variance = _jackknife(left) + (values.var(ddof=1) / len(values) if len(values) > 1 else 0)
        freedom = (len(values) if len(values) > 1 else len(mine)) - 1
        low, high = infer.interval(float(values.mean()), variance, freedom)
        drawn = _mixed(mine, theirs, recipe, rng)
        rows.append(
            {
                "name": group.name, "value": float(values.mean()), "low": low, "high": high,
                "p": infer.p_value(float(values.mean()), drawn), "chance": float(drawn.mean()),
                "points": list(values),
            }
        )  # fmt: skip
        null.append(drawn)
        units = zip(reference.subjects, values, strict=True)
        scores += [{"model": group.name, "unit": unit, "value": v} for unit, v in units]
    every = [np.asarray(np.mean(theirs, axis=0)), *kernels]
    matrix = np.array(
        [[align_kernels(a, b, unbiased=recipe.unbiased) for b in every] for a in every]
    )
    names = [reference.name, *(group.name for group in models)]
    title = f"CKA ({recipe.kernel}{', unbiased' if recipe.unbiased else ''})"
    return Outcome(pd.DataFrame(rows), pd.DataFrame(scores), title, matrix=matrix, names=names)


def _left_out(
    mine: Floats, theirs: Sequence[Floats], unbiased: bool, rng: np.random.Generator
) -> Floats:
    """Return the mean CKA with each of some groups of stimuli left out."""
    n = len(mine)
    groups = np.array_split(rng.permutation(n), min(n - 4, 50)) if n > 8 else []
    values = []
    for group in groups:
        kept = np.delete(np.arange(n), group)
        inside = np.ix_(kept, kept)
        each = [align_kernels(mine[inside], k[inside], unbiased=unbiased) for k in theirs]
        values.append(np.mean(each))
    return np.array(values)


def _jackknife(values: Floats) -> float:
    n = len(values)
    return float(values.var()) * (n - 1) if n > 1 else float("nan")


def _mixed(
    mine: Floats, theirs: Sequence[Floats], recipe: Compare, rng: np.random.Generator
) -> Floats:
    """Return CKA with the stimuli of the model in random orders."""
    n = min(recipe.permutations, 200 if len(mine) > 500 else recipe.permutations)
    a = centre_kernel(mine, unbiased=recipe.unbiased)
    others = [centre_kernel(k, unbiased=recipe.unbiased) for k in theirs]
    own = np.sqrt([float(np.vdot(a, a)) * float(np.vdot(b, b)) for b in others])
    out = np.empty(n)
    for number in range(n):
        order = rng.permutation(len(mine))
        shuffled = a[np.ix_(order, order)]
        out[number] = np.mean([float(np.vdot(shuffled, b)) for b in others] / own)
    return out


def judge_mapping(recipe: Compare, reference: Group, models: Sequence[Group]) -> Outcome:
    """Predict the reference's responses from each model's features (or, decoding, the reverse)."""
    from neuroloom.representation.mapping.ridge import compress, correlate

    decoding = recipe.method == "decode"
    _need_features([reference, *models], recipe.method)
    responses = [_table(item.data) for item in reference.items]
    rows, scores, everything = [], [], {}
    for group in models:
        own = _products(group)
        values, units = [], []
        for number, brain in enumerate(responses):
            rng = np.random.default_rng([recipe.seed, number])
            target = compress(own)[:, : recipe.components] if decoding else brain
            kernels = [brain @ brain.T] if decoding else [own]
            found = _predict(recipe, kernels, target, rng)
            r = correlate(found.predicted, target, found.fold)
            weight = np.nan_to_num(target.var(0)) if decoding else np.isfinite(r).astype(float)
            score = float((np.nan_to_num(r) * weight).sum() / max(weight.sum(), 1e-300))
            stimuli = _bootstrap(found.predicted, target, found.fold, weight, recipe, rng)
            null = _shuffled(found.predicted, target, found.fold, weight, recipe, rng)
            values.append((score, stimuli, null))
            units += [
                {"model": group.name, "unit": reference.subjects[number], "target": k, "value": v}
                for k, v in enumerate(r)
            ]
        everything[group.name] = np.mean([one[1] for one in values], axis=0)
        rows.append(_mapped_row(group.name, values, len(responses[0])))
        scores += units
    gaps = _gaps(list(everything), rows, everything, len(responses[0])) if len(rows) > 1 else None
    label = "Correlation of held-out predictions"
    return Outcome(pd.DataFrame(rows), pd.DataFrame(scores), label, differences=gaps)


def _predict(
    recipe: Compare, kernels: list[Floats], target: Floats, rng: np.random.Generator
) -> Any:
    from neuroloom.representation.mapping.latent import cross_pls
    from neuroloom.representation.mapping.ridge import cross_predict

    if recipe.regression == "pls":
        return cross_pls(kernels[0], target, recipe.folds, rng=rng)
    return cross_predict(kernels, target, recipe.folds, rng=rng)


def judge_banded(recipe: Compare, reference: Group, models: Sequence[Group]) -> Outcome:
    """Predict responses from all models together, a penalty each, and from each left out."""
    from neuroloom.representation.mapping.ridge import correlate, cross_predict

    _need_features([reference, *models], "banded")
    kernels = [_products(group) for group in models]
    names = [group.name for group in models]
    sets = {"all": list(range(len(models)))}
    if len(models) > 1:
        sets |= {
            f"without {name}": [k for k in sets["all"] if k != n] for n, name in enumerate(names)
        }
    rows, scores, drawn = [], [], {}
    for label, chosen in sets.items():
        values = []
        for number, item in enumerate(reference.items):
            rng = np.random.default_rng([recipe.seed, number])
            target = _table(item.data)
            found = cross_predict([kernels[k] for k in chosen], target, recipe.folds, rng=rng)
            r = correlate(found.predicted, target, found.fold)
            weight = np.isfinite(r).astype(float)
            score = float(np.nan_to_num(r).sum() / max(weight.sum(), 1.0))
            options = (found.predicted, target, found.fold, weight, recipe, rng)
            values.append((score, _bootstrap(*options), _shuffled(*options)))
            shares = found.shares.mean(0)
            scores += [
                {"model": label, "unit": reference.subjects[number], "target": k, "value": v}
                | {f"share of {names[c]}": shares[place, k] for place, c in enumerate(chosen)}
                for k, v in enumerate(r)
            ]
        drawn[label] = np.mean([one[1] for one in values], axis=0)
        rows.append(_mapped_row(label, values, len(kernels[0])))
    gaps = _gaps(list(drawn), rows, drawn, len(kernels[0])) if len(rows) > 1 else None
    label = "Correlation of held-out predictions"
    return Outcome(pd.DataFrame(rows), pd.DataFrame(scores), label, differences=gaps)


def _table(data: Any) -> Floats:
    return np.asarray(data, dtype=float).reshape(data.shape[0], -1)


def _products(group: Group) -> Floats:
    """Return inner products of a group's features, those of its subjects side by side."""
    return np.asarray(np.sum([gram(item.data, centre="column") for item in group.items], axis=0))


def _need_features(groups: Sequence[Group], method: str) -> None:
    for group in groups:
        if not group.has_features:
            raise ConfigError(
                f"method={method} needs features (stimulus, feature); '{group.name}' is an RDM. "
                "Take method=rsa, or name the features."
            )


def _mapped_row(name: str, values: list[tuple[float, Floats, Floats]], n: int) -> dict[str, Any]:
    points = [one[0] for one in values]
    value = float(np.mean(points))
    variance = float(np.mean([one[1] for one in values], axis=0).var(ddof=1))
    if len(points) > 1:
        variance += float(np.var(points, ddof=1)) / len(points)
    null = np.mean([one[2] for one in values], axis=0)
    low, high = infer.interval(value, variance, (len(points) if len(points) > 1 else n) - 1)
    p = infer.p_value(value, null)
    row = {"name": name, "value": value, "low": low, "high": high, "p": p}
    return row | {"chance": float(null.mean()), "points": points}


def _gaps(
    names: list[str], rows: list[dict[str, Any]], drawn: dict[str, Floats], n: int
) -> pd.DataFrame:
    values = np.array([row["value"] for row in rows])
    covariance = np.cov(np.stack([drawn[name] for name in names]))
    points = np.array([row["points"] for row in rows])
    if points.shape[1] > 1:
        return infer.differences(
            names, values, covariance + np.cov(points) / points.shape[1], points.shape[1] - 1
        )
    return infer.differences(names, values, covariance, n - 1)


def _bootstrap(
    predicted: Floats, truth: Floats, fold: NDArray[np.int64], weight: Floats, recipe: Compare,
    rng: np.random.Generator,
) -> Floats:  # fmt: skip
    """Return the score in resamples of the stimuli of each fold; the fits stay as they are."""
    total = np.zeros((recipe.resamples, truth.shape[1]))
    for number in np.unique(fold):
        rows = np.flatnonzero(fold == number)
        a, b = (x[rows] - x[rows].mean(0) for x in (predicted, truth))
        n = len(rows)
        counts = rng.multinomial(n, np.full(n, 1 / n), size=recipe.resamples).astype(float)
        means = [counts @ x / n for x in (a, b, a * b, a * a, b * b)]
        spread = [np.maximum(means[k + 3] - means[k] ** 2, 0.0) for k in (0, 1)]
        with np.errstate(invalid="ignore", divide="ignore"):
            r = (means[2] - means[0] * means[1]) / np.sqrt(spread[0] * spread[1])
        total += np.nan_to_num(r, posinf=0.0, neginf=0.0).clip(-1, 1) * n / len(fold)
    return np.asarray(total @ weight / max(weight.sum(), 1e-300))


def _shuffled(
    predicted: Floats, truth: Floats, fold: NDArray[np.int64], weight: Floats, recipe: Compare,
    rng: np.random.Generator,
) -> Floats:  # fmt: skip
    """Return the score where held-out responses have been put in random order in each fold."""
    from neuroloom.learn.scoring.intervals import permute_within
    from neuroloom.representation.mapping.ridge import standard_in_folds

    a, b = standard_in_folds(predicted, fold), standard_in_folds(truth, fold)
    n = recipe.permutations if b.size < 200_000 else min(recipe.permutations, 200)
    out = np.empty(n)
    for number, order in enumerate(permute_within(fold, n, rng)):
        out[number] = ((a * b[order]).sum(0) * weight).sum() / max(weight.sum(), 1e-300)
    return out


def judge_probe(
    recipe: Compare, models: Sequence[Group], labels: Sequence[Any], names: Sequence[str]
) -> Outcome:
    """Read classes from each model's features with logistic regression."""
    from neuroloom.representation.mapping.latent import probe

    _need_features(models, "probe")
    y = np.asarray(labels)
    counts = np.unique(y, return_counts=True)[1]
    if len(counts) < 2 or counts.min() < recipe.folds:
        raise DataError(
            f"labels: {len(counts)} classes, the rarest with {counts.min()} stimuli; expected two "
            f"or more, with {recipe.folds} (folds) or more each."
        )
    right, scores = {}, []
    for group in models:
        rng = np.random.default_rng(recipe.seed)
        own = _products(group)
        found, chances, fold = probe(
            own, y.tolist(), recipe.folds, components=recipe.components, rng=rng
        )
        right[group.name] = found == y
        scores += [
            {"model": group.name, "unit": name, "truth": str(t), "found": str(f), "fold": int(k),
             "confidence": float(c.max())}
            for name, t, f, k, c in zip(names, y, found, fold, chances, strict=True)
        ]  # fmt: skip
    chance = float(counts.max() / counts.sum())
    return _right(recipe, right, pd.DataFrame(scores), chance, "Accuracy of held-out stimuli")


def judge_triplets(recipe: Compare, models: Sequence[Group], triplets: Any) -> Outcome:
    """Compare odd ones chosen by features, as they are and aligned, with those people chose."""
    from neuroloom.representation.mapping.align import cross_align, odd_one_out, read_triplets
    from neuroloom.representation.mapping.ridge import compress

    _need_features(models, "odd-one-out")
    right, scores = {}, []
    for group in models:
        judged = read_triplets(triplets, group.items[0].count)
        features = compress(_products(group))
        kept = features[:, : recipe.components]
        rng = np.random.default_rng(recipe.seed)
        aligned, tested = cross_align(kept, judged, 3, rng=rng)
        right[group.name] = odd_one_out(features, tested)
        right[f"{group.name}, aligned"] = aligned
        scores += [
            {"model": name, "unit": "judgements", "value": right[name].mean()}
            for name in (group.name, f"{group.name}, aligned")
        ]
    label = "Odd ones chosen like people, stimuli held out"
    return _right(recipe, right, pd.DataFrame(scores), 1 / 3, label)


def _right(
    recipe: Compare, right: dict[str, NDArray[np.bool_]], scores: pd.DataFrame, chance: float,
    label: str,
) -> Outcome:  # fmt: skip
    """Sum up shares of right answers: Wilson's intervals, exact tests, paired differences."""
    from scipy.stats import binomtest

    from neuroloom.learn.figures import wilson

    rows = []
    for name, hits in right.items():
        low, high = wilson(float(hits.sum()), len(hits))
        p = float(binomtest(int(hits.sum()), len(hits), chance, alternative="greater").pvalue)
        row = {"name": name, "value": float(hits.mean()), "low": low, "high": high}
        rows.append(row | {"p": p, "chance": chance, "points": []})
    gaps = None
    if len(right) > 1:
        stacked = np.stack([hits.astype(float) for hits in right.values()])
        n = stacked.shape[1]
        gaps = infer.differences(list(right), stacked.mean(1), np.cov(stacked) / n, n - 1)
    return Outcome(pd.DataFrame(rows), scores, label, differences=gaps)


METHODS: dict[str, Callable[..., Outcome]] = {
    "rsa": judge_rsa,
    "cka": judge_cka,
    "encode": judge_mapping,
    "decode": judge_mapping,
    "banded": judge_banded,
}
