"""Learners that make images of images, and the plain ones that stand beside them."""

from __future__ import annotations

from typing import Any

import numpy as np

from neuroloom.core.errors import RunError
from neuroloom.learn.grids.learner import GridLearner
from neuroloom.learn.training.fit import FitJob, History


class ImageLearner(GridLearner):
    """A net from images (n, channel, *axes) to images, which tells its own loss.

    Examples
    --------
    >>> from neuroloom.nets.generators import AutoEncoder
    >>> x = np.random.default_rng(0).normal(size=(6, 1, 8, 8)).astype("float32")
    >>> learner = ImageLearner("autoencoder", AutoEncoder, n_channels=1, shape=(8, 8), n_outputs=1,
    ...     task="synthesis", learning={"augment": "none"})
    >>> _ = learner.fit(x, x, job=FitJob(epochs=1))
    >>> learner.predict_scores(x).shape
    (6, 1, 8, 8)
    """

    @classmethod
    def from_spec(cls, spec: dict[str, Any], net: Any) -> ImageLearner:
        """Build the learner that `spec` describes; its weights come with `load`."""
        from neuroloom.learn.training.fit import Training

        rest = {key: value for key, value in spec.items() if key not in ("name", "training")}
        return cls(spec["name"], net, training=Training(**spec["training"]), **rest)

    def fresh(self) -> ImageLearner:
        """Return an untrained learner of the same kind."""
        return ImageLearner.from_spec(self.spec, self.net)

    def _measure(self, x: np.ndarray, y: np.ndarray) -> None:
        """Take nothing from the examples: each image is standardised by itself."""

    def _tensors(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        kind = np.int64 if y.ndim == 1 else np.float32
        return np.ascontiguousarray(x, np.float32), np.ascontiguousarray(y, kind)

    def predict_scores(self, x: np.ndarray) -> np.ndarray:
        """Make images (n, channel, *axes), float32; members are averaged.

        A net that makes images of noise makes as many, of the classes in turn.
        """
        import torch

        model: Any = self.model.eval()
        if hasattr(model.nets[0], "made"):
            place = np.arange(len(x))
            return self.draw(place % self.n_outputs, place // self.n_outputs)
        batch = self.predict_batch
        with torch.inference_mode():
            parts = [
                model(torch.as_tensor(np.asarray(x[i : i + batch], np.float32))).mean(0)
                for i in range(0, len(x), batch)
            ]
        return torch.cat(parts).numpy() if parts else np.empty((0, *x.shape[1:]), np.float32)

    def draw(self, label: np.ndarray, number: np.ndarray, seed: int = 0) -> np.ndarray:
        """Make images of noise (n, channel, *axes), float32.

        Parameters
        ----------
        label, number
            Class index and number within the class of each image, (n,); with `seed` they fix its
            noise, whatever else is made.
        """
        import torch

        net: Any = self.model.eval().nets[0]  # type: ignore[index]
        keys = [[seed, int(c), int(k)] for c, k in zip(label, number, strict=True)]
        noise = np.array([np.random.default_rng(key).standard_normal(net.code) for key in keys])
        code = torch.as_tensor(noise.reshape(-1, net.code), dtype=torch.float32)
        classes, batch = torch.as_tensor(np.asarray(label, np.int64)), self.predict_batch
        with torch.inference_mode():
            parts = [
                net.made(code[i : i + batch], classes[i : i + batch])
                for i in range(0, len(code), batch)
            ]
        shape = (0, self.n_channels, *self.shape)
        return torch.cat(parts).numpy() if parts else np.empty(shape, np.float32)


class Plain:
    """Base of makers of images without epochs.

    Parameters
    ----------
    name
        What the model is called.
    """

    validates = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.arrays: dict[str, np.ndarray] = {}

    @property
    def spec(self) -> dict[str, Any]:
        """Everything to build this learner again."""
        return {"name": self.name}

    def fit(self, x: np.ndarray, y: np.ndarray, *, job: FitJob | None = None) -> History:
        """Learn what there is to learn."""
        self._learn(np.asarray(x, np.float32), np.asarray(y, np.float32))
        return History(stopped="solved")

    def _learn(self, x: np.ndarray, y: np.ndarray) -> None:
        self.arrays = {}

    def predict_scores(self, x: np.ndarray) -> np.ndarray:
        """Make images (n, channel, *axes)."""
        raise NotImplementedError

    def state(self) -> dict[str, np.ndarray]:
        """Return all that was learnt as named arrays."""
        return dict(self.arrays) or {"nothing": np.zeros(1)}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Take over what `state` returned.

        Raises
        ------
        RunError
            If it is empty.
        """
        if not state:
            raise RunError(f"The saved state of '{self.name}' is empty.")
        self.arrays = dict(state)


class Drawn(Plain):
    """Draws images of the training, always the same ones: 200 of them are kept at most.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(5, 1, 4, 4))
    >>> model = Drawn("real-images")
    >>> _ = model.fit(x, x)
    >>> model.predict_scores(x[:3]).shape
    (3, 1, 4, 4)
    """

    def _learn(self, x: np.ndarray, y: np.ndarray) -> None:
        kept = np.random.default_rng(0).permutation(len(x))[:200]
        self.arrays = {"images": x[kept]}

    def predict_scores(self, x: np.ndarray) -> np.ndarray:
        """Return as many of the images as are asked for."""
        return self.arrays["images"][np.arange(len(x)) % len(self.arrays["images"])]


class Components(Plain):
    """Principal components of whole images: the linear autoencoder (Bourlard & Kamp 1988).

    As many components as the training images span, 100 at most.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(5, 1, 4, 4))
    >>> model = Components("pca-images")
    >>> _ = model.fit(x, x)
    >>> bool(np.allclose(model.predict_scores(x), x, atol=1e-4))
    True
    """

    def _learn(self, x: np.ndarray, y: np.ndarray) -> None:
        flat = x.reshape(len(x), -1)
        mean = flat.mean(0)
        _, _, axes = np.linalg.svd(flat - mean, full_matrices=False)
        self.arrays = {"mean": mean, "axes": axes[: min(100, len(x) - 1)]}

    def predict_scores(self, x: np.ndarray) -> np.ndarray:
        """Make images of their components."""
        flat = np.asarray(x, np.float32).reshape(len(x), -1) - self.arrays["mean"]
        axes = self.arrays["axes"]
        return (flat @ axes.T @ axes + self.arrays["mean"]).reshape(x.shape).astype(np.float32)


class Cubic(Plain):
    """Cubic spline interpolation to a grid twice as fine.

    Examples
    --------
    >>> Cubic("cubic").predict_scores(np.ones((1, 1, 3, 4))).shape
    (1, 1, 6, 8)
    """

    def predict_scores(self, x: np.ndarray) -> np.ndarray:
        """Interpolate (n, channel, *axes) to (n, channel, *2 axes)."""
        from scipy.ndimage import zoom

        words: dict[str, Any] = {"order": 3, "mode": "nearest", "grid_mode": True}
        return np.stack([[zoom(np.asarray(c, np.float32), 2, **words) for c in one] for one in x])


class Intensities(Plain):
    """Each place by its own intensities alone: a cubic polynomial of the given channels.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(4, 1, 5, 5))
    >>> model = Intensities("intensities")
    >>> _ = model.fit(x, 1 - x**2)
    >>> bool(np.allclose(model.predict_scores(x), 1 - x**2, atol=1e-3))
    True
    """

    def _learn(self, x: np.ndarray, y: np.ndarray) -> None:
        gram: Any = 0.0
        right: Any = 0.0
        for one, made in zip(x, y, strict=True):
            powers = _powers(one)
            gram = gram + powers @ powers.T
            right = right + powers @ made.reshape(len(made), -1).T.astype(np.float64)
        self.arrays = {"weights": np.linalg.lstsq(gram, right, rcond=None)[0]}

    def predict_scores(self, x: np.ndarray) -> np.ndarray:
        """Make images (n, made channel, *axes)."""
        made = [(self.arrays["weights"].T @ _powers(one)).reshape(-1, *one.shape[1:]) for one in x]
        return np.stack(made).astype(np.float32)


def _powers(image: np.ndarray) -> np.ndarray:
    flat = np.asarray(image, np.float64).reshape(len(image), -1)
    return np.concatenate([np.ones((1, flat.shape[1])), flat, flat**2, flat**3])
