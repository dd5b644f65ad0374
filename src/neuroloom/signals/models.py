"""The models behind `signals.decode --model`: what each is, wants, and is made of."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from neuroloom.learn.model import Model

BROAD, MOTOR = (4.0, 38.0), (8.0, 30.0)


def _net(name: str, place: str, training: dict[str, Any], **words: Any) -> Model:
    """Describe a net; torch is imported when a learner is made."""

    def net() -> Callable[..., Any]:
        module, _, attribute = place.partition(":")
        return getattr(import_module(module), attribute)

    def make(facts: dict[str, Any], task: str, n_outputs: int, **options: Any) -> Any:
        from neuroloom.learn.learner import NetLearner, Training

        return NetLearner(
            name,
            net(),
            n_channels=len(facts["channels"]),
            n_times=facts["n_times"],
            n_outputs=n_outputs,
            rate=facts["rate"],
            training=Training(**(training | options)),
            task=task,
        )

    def rebuild(spec: dict[str, Any]) -> Any:
        from neuroloom.learn.learner import NetLearner

        return NetLearner.from_spec(spec, net())

    return Model(name, is_net=True, make=make, rebuild=rebuild, **words)


def _estimator(name: str, cls: str, **words: Any) -> Model:
    """Describe an estimator of `signals.classical`."""

    def build(**arguments: Any) -> Any:
        return getattr(import_module("neuroloom.signals.classical"), cls)(**arguments)

    def make(facts: dict[str, Any], task: str, n_outputs: int, **options: Any) -> Any:
        return build(n_outputs=n_outputs if task == "classification" else None)

    def rebuild(spec: dict[str, Any]) -> Any:
        return build(**{key: value for key, value in spec.items() if key != "name"})

    return Model(name, is_net=False, make=make, rebuild=rebuild, **words)


eegnet = _net(
    "eegnet",
    "neuroloom.signals.nets.eegnet:EEGNet",
    {"epochs": 150, "lr": 0.01, "members": 3, "threads": 1},
    summary="compact net of temporal, depthwise spatial and separable convolutions; 4-38 Hz",
    source="Lawhern et al. (2018), J. Neural Eng. 15, 056013",
    likes={"band": BROAD, "oversampling": 2.5},
)
shallow = _net(
    "shallow",
    "neuroloom.signals.nets.shallow:ShallowConvNet",
    {"epochs": 150, "lr": 0.005, "crop": 0.67, "crops": 5, "threads": 1},
    summary="ShallowConvNet: learnt filters, squared and pooled like log band power; 4-38 Hz",
    source="Schirrmeister et al. (2017), Hum. Brain Mapp. 38, 5391-5420",
    likes={"band": BROAD, "oversampling": 2.5},
)
deep4 = _net(
    "deep4",
    "neuroloom.signals.nets.deep4:DeepConvNet",
    {"epochs": 100, "lr": 0.002, "crop": 0.8, "crops": 5, "threads": 1},
    summary="DeepConvNet: four blocks of convolution and max pooling; 4-38 Hz",
    source="Schirrmeister et al. (2017), Hum. Brain Mapp. 38, 5391-5420",
    likes={"band": BROAD, "oversampling": 2.5},
)
csp_lda = _estimator(
    "csp-lda",
    "CspLda",
    summary="common spatial patterns, log variance, linear discriminant analysis; 8-30 Hz",
    source="Blankertz et al. (2008), IEEE Signal Process. Mag. 25(1), 41-56",
    tasks=("classification",),
    likes={"band": MOTOR},
)
riemann = _estimator(
    "riemann",
    "Riemann",
    summary="covariances in the Riemannian tangent space, logistic (or ridge) regression; 8-30 Hz",
    source="Barachant et al. (2012), IEEE Trans. Biomed. Eng. 59(4), 920-928",
    likes={"band": MOTOR},
)
