"""What decoding takes from a pretraining run: its encoder, its features, and what it has seen."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.core.dataset import Dataset
from neuroloom.core.errors import ConfigError
from neuroloom.core.files import read_json
from neuroloom.core.split import Fold
from neuroloom.signals.classical.base import Arrays, Estimator, Features, is_regression
from neuroloom.signals.classical.linear import Linear, linear_classes, moments, ridge, unscaled

RECIPE = "signals.pretrain"
PENALTY = 0.1
PREFIX = "encoder."


def load_pretrained(init: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the sizes of a run's encoder, and its weights.

    Raises
    ------
    ConfigError
        If it is no finished run of `signals.pretrain`.
    """
    from neuroloom.learn.store import read_arrays

    arrays, facts = read_arrays(pretrained_run(init) / "model.safetensors")
    own = {n.removeprefix(PREFIX): a for n, a in arrays.items() if n.startswith(PREFIX)}
    sizes = facts["encoder"]
    return sizes | {"band": tuple(sizes["band"])}, own


def pretrained_run(init: str) -> Path:
    """Return the folder of a finished pretraining run.

    Raises
    ------
    ConfigError
        If it is none.
    """
    folder = Path(init)
    status = folder / "status.json"
    if not status.is_file():
        raise ConfigError(
            f"init={init} is no run folder. Name the --out of a `{RECIPE}` run, or 'random'."
        )
    known = read_json(status)
    if known.get("recipe") != RECIPE:
        raise ConfigError(
            f"init={init} is a run of {known.get('recipe', 'another recipe')}, not of {RECIPE}."
        )
    if known.get("state") != "done":
        raise ConfigError(
            f"init={init}: its pretraining is not done (state '{known.get('state')}'). "
            f"`neuroloom resume {init}` finishes it."
        )
    return folder


def likes_of(init: str | None) -> dict[str, Any]:
    """Return the band and the rate of the encoder that `init` names; nothing for random ones."""
    if init is None or init == "random":
        return {}
    sizes, _ = load_pretrained(init)
    return {"band": sizes["band"], "rate": sizes["rate"]}


def refuse_seen(init: str, tested: dict[str, str]) -> None:
    """Refuse test files that the encoder has learnt from.

    Parameters
    ----------
    tested
        Path -> hash of the files that score.

    Raises
    ------
    ConfigError
        Naming the file.
    """
    facts = read_json(pretrained_run(init) / "dataset.json")
    seen = {facts["files"][path] for path in facts["learnt"]}
    for path, value in tested.items():
        if value in seen:
            raise ConfigError(
                f"init={init} was pretrained on {path}, which is tested here: its score would not "
                "be honest. Pretrain with `--exclude` naming it, or leave it out by `include`."
            )


def fewer_labels(folds: list[Fold], dataset: Dataset, count: int, seed: int) -> list[Fold]:
    """Keep so many training examples of each fold, as alike in number a class as can be.

    Raises
    ------
    ConfigError
        If a fold has fewer, or more classes than that.
    """
    return [_fewer(fold, dataset, count, np.random.default_rng([seed, number]))
            for number, fold in enumerate(folds)]  # fmt: skip


def _fewer(fold: Fold, dataset: Dataset, count: int, rng: np.random.Generator) -> Fold:
    if count > len(fold.train):
        raise ConfigError(
            f"labels={count}: fold '{fold.name}' has only {len(fold.train)} labelled examples to "
            "learn from."
        )
    order = rng.permutation(fold.train)
    if dataset.task == "classification":
        y = dataset.y[order]
        classes = np.unique(y)
        if count < len(classes):
            raise ConfigError(
                f"labels={count} is less than one for each of {len(classes)} classes."
            )
        # The turn of each example within its class; the first turns of all classes come first.
        turn = np.array([np.sum(y[:k] == label) for k, label in enumerate(y)])
        order = order[np.argsort(turn, kind="stable")]
    return replace(fold, train=np.sort(order[:count]))


class EncoderFeatures(Features):
    """The mean token of every trial: log power of learnt sources in learnt bands.

    Parameters
    ----------
    settings
        `encoder` (sizes), `places` (matrix), `n_times`, `rate`, `seed` of random weights.
    weights
        Of a pretrained encoder; None: random, drawn with the seed.
    """

    def __init__(self, settings: dict[str, Any], weights: dict[str, np.ndarray] | None) -> None:
        from neuroloom.signals.nets.powertokens import check_windows

        check_windows(settings["encoder"], settings["n_times"], settings["rate"])
        self.settings, self.weights = settings, weights

    @cached_property
    def encoder(self) -> Any:
        """The module; its weights are put in by `of`."""
        from neuroloom.learn.training.fit import own_randomness
        from neuroloom.signals.nets.powertokens import PowerTokens, load_encoder

        with own_randomness(self.settings["seed"]):
            module = PowerTokens(**self.settings["encoder"])
        if self.weights is not None:
            load_encoder(module, self.weights)
        return module.eval()

    def learn(self, x: np.ndarray, y: np.ndarray) -> Arrays:
        """Measure the amplitude of the training trials; the encoder stays as it is."""
        used = np.array(self.settings["places"]).any(0)
        wide = x[:, used].astype(np.float64)
        amplitude = np.sqrt(np.mean((wide - wide.mean(2, keepdims=True)) ** 2)) or 1.0
        weights = {f"{PREFIX}{k}": v.numpy().copy() for k, v in self.encoder.state_dict().items()}
        return weights | {"amplitude": np.array([amplitude])}

    def of(self, x: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return features (n, source x band)."""
        import torch

        from neuroloom.learn.training.fit import own_threads
        from neuroloom.signals.nets.powertokens import load_encoder

        own = {n.removeprefix(PREFIX): a for n, a in arrays.items() if n.startswith(PREFIX)}
        load_encoder(self.encoder, own)
        centred = x - x.mean(2, keepdims=True)
        placed = np.einsum("pc,nct->npt", self.settings["places"], centred / arrays["amplitude"])
        with torch.inference_mode(), own_threads(1):
            tokens = self.encoder(torch.as_tensor(placed, dtype=torch.float32))
            return tokens.mean(2).double().numpy()


class Probe(Linear):
    """Logistic regression on standardised features; ridge regression for numbers."""

    def learn(self, features: np.ndarray, y: np.ndarray) -> Arrays:
        """Return weights and bias in the unit of the features."""
        from sklearn.linear_model import LogisticRegression

        if is_regression(y):
            return ridge(features, y)
        mean, scale = moments(features)
        model = LogisticRegression(C=PENALTY, max_iter=1000).fit((features - mean) / scale, y)
        return unscaled(linear_classes(model), mean, scale)


def make_probe(settings: dict[str, Any], weights: dict[str, np.ndarray] | None) -> Estimator:
    """Return an untrained linear probe; `settings` are those of `EncoderFeatures`."""
    known = {key: value for key, value in settings.items() if key != "n_outputs"}
    features = EncoderFeatures(known, weights)
    return Estimator("probe", features, Probe(), settings["n_outputs"], known)
