"""The plain model beside every dense net: each voxel by its neighbourhood and its place.

Blurred intensities, edges and blobs at three scales, and where in the image a voxel lies, go into a
multinomial logistic regression: what interactive pixel classifiers do (Sommer et al. 2011, ilastik;
Berg et al. 2019), and an atlas of where a structure tends to be, in one model without a net.

It stands beside a net and must leave it the time: images that are too large for that are seen in
blocks of voxels, as coarse as they must be.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.blocks import block_means
from neuroloom.learn.dense.apply.large import room, slabs
from neuroloom.learn.dense.data.cases import DenseCases
from neuroloom.learn.dense.training.learner import Wishes

if TYPE_CHECKING:
    from neuroloom.learn.training.fit import FitJob

SCALES = (1.0, 2.0, 4.0)
SAMPLE = 24_000
CASES = 40  # from so many it learns, evenly spread: more teach a linear model nothing
MARGIN = int(4 * SCALES[-1])
SHARE = 0.1  # of the time of a fit
USUAL_S = 3600.0  # of a fit whose length is given in steps
FEWEST = 2**17  # voxels that any image keeps
COST_S = {2: 0.9e-6, 3: 1.8e-6}  # of the features of a voxel and channel, by axes
CLASS_S = 5e-9  # of a class of a voxel that is predicted, on the grid of the image
IN_CACHE = 2**18  # voxels that are brought out of blocks at a time


class VoxelLearner:
    """Logistic regression on features of single voxels.

    Parameters
    ----------
    name, wishes
        Of the model; classes, regions and the label that is left out, and the time of a fit, of
        which it takes a tenth: voxels of larger images are joined to blocks. How many voxels that
        leaves follows from the time and the number of cases, not from a clock.
    """

    validates = False

    def __init__(self, name: str, wishes: Wishes) -> None:
        self.name, self.wishes = name, wishes
        self.arrays: dict[str, np.ndarray] = {}

    @property
    def spec(self) -> dict[str, Any]:
        """Everything to build this learner again."""
        return {"name": self.name, "wishes": dataclasses.asdict(self.wishes)}

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> VoxelLearner:
        """Build the learner that `spec` describes."""
        return cls(spec["name"], Wishes.from_dict(spec["wishes"]))

    @property
    def classes(self) -> list[int]:
        """Label values, the background first."""
        return sorted(value for value in self.wishes.classes if value != self.wishes.ignore)

    def fit(self, x: DenseCases, y: Any = None, *, job: FitJob | None = None) -> Any:
        """Learn from voxels drawn of every case, half of them from its classes."""
        from neuroloom.learn.training.fit import History

        rng = np.random.default_rng(job.seed if job else 0)
        chosen = x[np.unique(np.linspace(0, len(x) - 1, min(len(x), CASES)).astype(int))]
        each = max(40, SAMPLE // len(chosen))
        held_out = job.held_out if job else 0
        self.arrays = {"most": np.array(self._bearable(chosen, held_out))}
        parts = [self._draw(case, each, rng) for case in chosen]
        features = np.concatenate([part for part, _ in parts])
        values = np.concatenate([part for _, part in parts])
        mean, scale = features.mean(0), features.std(0) + 1e-6
        self.arrays |= self._as_arrays(*_fitted((features - mean) / scale, values), mean, scale)
        self._balance(chosen, values)
        return History(stopped="solved directly")

    def _bearable(self, chosen: DenseCases, held_out: int) -> int:
        """Return of how many voxels an image may be, where it is not to be seen in blocks."""
        shapes = [facts.shape for facts in chosen.facts()]
        whole = float(np.mean([np.prod(shape) for shape in shapes]))
        left = SHARE * (self.wishes.budget_s or USUAL_S)
        left -= CLASS_S * len(self.classes) * whole * held_out
        cost = COST_S[len(shapes[0])] * len(self.wishes.channels) * (len(chosen) + held_out)
        return max(FEWEST, int(left / cost))

    def _in_blocks(self, image: np.ndarray) -> tuple[np.ndarray, list[int]]:
        """Return an image as it is seen, (channel, *axes), and the voxels of a block by axis."""
        edges = block_edges(image.shape[1:], float(self.arrays.get("most", np.inf)))  # of old runs
        return in_blocks(image, edges), edges

    def _draw(self, case: Any, count: int, rng: np.random.Generator) -> tuple[Any, Any]:
        truth = case.truth()
        flat = truth.ravel()
        inside = np.flatnonzero((flat > 0) & (flat != self.wishes.ignore))
        outside = np.flatnonzero(flat == 0)
        rows = np.concatenate([_some(own, count // 2, rng) for own in (inside, outside)])
        image, edges = self._in_blocks(case.image())
        places = np.unravel_index(rows, truth.shape)
        blocks = [own // edge for own, edge in zip(places, edges, strict=True)]
        return voxel_features(image, np.ravel_multi_index(blocks, image.shape[1:])), flat[rows]

    def _as_arrays(
        self, seen: Any, slopes: Any, offsets: Any, mean: Any, scale: Any
    ) -> dict[str, np.ndarray]:
        """Return weights and an offset for every class; one that was not seen is never said."""
        places = [self.classes.index(int(value)) for value in seen]
        weights = np.zeros((len(self.classes), mean.size))
        offset = np.full(len(self.classes), -30.0)
        weights[places], offset[places] = slopes, offsets
        return {"weights": weights, "offset": offset, "mean": mean, "scale": scale}

    def _balance(self, x: DenseCases, drawn: np.ndarray) -> None:
        """Give classes back how often they occur, which the drawing changed."""
        counts = dict.fromkeys(self.classes, 0.0)
        for facts in x.facts():
            for value, count in facts.labels.items():
                if value in counts:
                    counts[value] += count
        total = sum(counts.values())
        for place, value in enumerate(self.classes):
            seen = float((drawn == value).mean())
            if seen and counts[value]:
                self.arrays["offset"][place] += np.log(counts[value] / total / seen)

    def predict_scores(self, x: DenseCases) -> Iterator[np.ndarray]:
        """Yield the probabilities of each case, (class or region, *axes) float32."""
        for case in x:
            yield self._regions(self._probabilities(case.image()))

    def _probabilities(self, image: np.ndarray) -> np.ndarray:
        from scipy.special import softmax

        a = self.arrays
        weights = (a["weights"] / a["scale"]).astype(np.float32)
        offset = a["offset"] - weights @ a["mean"]
        seen, edges = self._in_blocks(image)
        out = room((len(weights), *seen.shape[1:]))
        for here, features in _in_slabs(seen):
            scores = features @ weights.T + offset.astype(np.float32)
            out[:, here] = np.moveaxis(softmax(scores, axis=-1), -1, 0)
        return out if max(edges) == 1 else out_of_blocks(out, edges, image.shape[1:])

    def _regions(self, p: np.ndarray) -> np.ndarray:
        if not self.wishes.regions:
            return p
        place = {value: k for k, value in enumerate(self.classes)}
        rows = [[place[v] for v in values] for values in self.wishes.regions.values()]
        return np.stack([p[row].sum(0) for row in rows])

    def state(self) -> dict[str, np.ndarray]:
        """Return the weights as named arrays."""
        return dict(self.arrays)

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over what `state` returned."""
        self.arrays = {name: np.array(value) for name, value in state.items()}


def _fitted(features: np.ndarray, values: np.ndarray) -> tuple[Any, Any, Any]:
    """Return the values that occur, slopes (value, feature) and offsets (value,) of each."""
    from sklearn.linear_model import LogisticRegression

    seen = np.unique(values)
    if len(seen) == 1:
        return seen, 0.0, 0.0
    model = LogisticRegression(C=1.0, max_iter=200).fit(features, values)
    slopes, offsets = model.coef_, model.intercept_
    if len(seen) == 2:
        slopes, offsets = (np.concatenate([-one, one]) / 2 for one in (slopes, offsets))
    return seen, slopes, offsets


def block_edges(shape: Sequence[int], most: float) -> list[int]:
    """Return how many voxels a block has along every axis, so that there are at most so many.

    The axis along which an image has most is thinned first.

    Examples
    --------
    >>> block_edges((512, 512, 60), 2e6), block_edges((60, 50), 2e6)
    ([3, 3, 1], [1, 1])
    """
    edges = [1] * len(shape)
    while np.prod(left := [-(-n // edge) for n, edge in zip(shape, edges, strict=True)]) > most:
        edges[int(np.argmax(left))] += 1
    return edges


def in_blocks(image: np.ndarray, edges: Sequence[int]) -> np.ndarray:
    """Return the mean of every block, (channel, *axes) float32; the last may be smaller.

    Examples
    --------
    >>> in_blocks(np.array([[1.0, 3.0, 5.0]]), [2]).tolist()
    [[2.0, 5.0]]
    """
    starts = [np.arange(0, n, edge) for n, edge in zip(image.shape[1:], edges, strict=True)]
    return np.asarray(block_means(image, starts), np.float32)


def out_of_blocks(p: np.ndarray, edges: Sequence[int], shape: Sequence[int]) -> np.ndarray:
    """Return what blocks hold, (class, *axes), for every voxel, linear between their centres.

    Weighted sums of neighbours, the first axis last: a matrix an axis takes several times as long,
    with a hundred classes longer than everything else.

    Examples
    --------
    >>> out_of_blocks(np.array([[1.0, 3.0]], "f4"), [2], [4]).tolist()
    [[1.0, 1.5, 2.5, 3.0]]
    """
    out = room((len(p), *shape))
    for k, own in enumerate(p):
        for axis in range(own.ndim - 1, 0, -1):
            own = _between(own, axis, edges[axis], slice(shape[axis]))
        for here in slabs(shape, IN_CACHE):
            out[k, here] = _between(own, 0, edges[0], here)
    return out


def _between(blocks: np.ndarray, axis: int, edge: int, here: slice) -> np.ndarray:
    """Return some voxels of an axis, linear between blocks of `edge` voxels, float32."""
    last = blocks.shape[axis] - 1
    places = np.clip((np.arange(here.start or 0, here.stop) + 0.5) / edge - 0.5, 0, last)
    low = places.astype(int)
    shape = [-1 if k == axis else 1 for k in range(blocks.ndim)]
    share = (places - low).astype(np.float32).reshape(shape)
    found = np.take(blocks, low, axis).astype(np.float32)
    if edge > 1:
        step = np.take(blocks, np.minimum(low + 1, last), axis) - found
        step *= share
        found += step
    return found


def voxel_features(image: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the features of some voxels, (n, feature) float32.

    Parameters
    ----------
    image
        (channel, *axes); each channel is first brought to mean 0 and deviation 1.
    rows
        (n,) numbers of voxels, as they lie in memory.

    Examples
    --------
    >>> image = np.random.default_rng(0).random((1, 8, 9)).astype("f4")
    >>> voxel_features(image, np.array([0, 71])).shape
    (2, 23)
    """
    order = np.argsort(rows, kind="stable")
    across, parts = int(np.prod(image.shape[2:])), []
    for here, features in _in_slabs(image):
        low, high = np.searchsorted(rows[order], (here.start * across, here.stop * across))
        inside = rows[order[low:high]] - here.start * across
        parts.append(features.reshape(-1, features.shape[-1])[inside])
    found = np.concatenate(parts)
    return found[np.argsort(order, kind="stable")]


def _in_slabs(image: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (rows of the first axis, features of all voxels there), thin enough for memory."""
    image = np.nan_to_num(image)  # a channel that a case lacks is flat
    mean = image.reshape(len(image), -1).mean(1)
    spread = image.reshape(len(image), -1).std(1) + 1e-6
    for here in slabs(image.shape[1:]):
        low, high = max(0, here.start - MARGIN), min(image.shape[1], here.stop + MARGIN)
        inner = slice(here.start - low, here.stop - low)
        layers: list[np.ndarray] = []
        for channel, m, s in zip(image, mean, spread, strict=True):
            part = ((channel[low:high] - m) / s).astype(np.float32)
            layers += [layer[inner] for layer in _filtered(part)]
        layers += _places(image.shape[1:], here.start, here.stop)
        yield here, np.stack(layers, axis=-1)


def _filtered(a: np.ndarray) -> list[np.ndarray]:
    from scipy import ndimage

    found = [a, a**2]
    for scale in SCALES:
        blurred = ndimage.gaussian_filter(a, scale)
        edges = ndimage.gaussian_gradient_magnitude(a, scale)
        blobs = ndimage.gaussian_laplace(a, scale)
        variance = np.maximum(ndimage.gaussian_filter(a**2, scale) - blurred**2, 0)
        found += [blurred, blurred**2, edges, blobs, np.sqrt(variance)]
    return found


def _places(shape: tuple[int, ...], start: int, stop: int) -> list[np.ndarray]:
    """Return the place of each voxel within the image, from -1 to 1, its squares and products."""
    lines = [np.linspace(-1, 1, n, dtype=np.float32) for n in shape]
    lines[0] = lines[0][start:stop]
    axes = np.meshgrid(*lines, indexing="ij")
    products = [axes[i] * axes[j] for i in range(len(axes)) for j in range(i, len(axes))]
    cubes = [a * (b**2) for a in axes for b in axes] if len(axes) > 2 else []
    radius = [np.sqrt(sum(a**2 for a in axes))]
    return [np.asarray(part, np.float32) for part in (*axes, *products, *cubes, *radius)]


def _some(places: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return places if places.size <= count else rng.choice(places, count, replace=False)
