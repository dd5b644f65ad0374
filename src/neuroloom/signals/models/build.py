"""Describe a signal model without importing what it is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from neuroloom.learn.model import Model

BROAD, MOTOR = (4.0, 38.0), (8.0, 30.0)


def net(
    name: str,
    place: str,
    training: dict[str, Any],
    *,
    wants: Sequence[str] = (),
    fixed: dict[str, Any] | None = None,
    **words: Any,
) -> Model:
    """Describe a net; torch is imported when a learner is made.

    Parameters
    ----------
    name
        Behind `--model`.
    place
        "module:Class" of the net.
    training
        Fields of `Training` that differ from its defaults.
    wants
        Facts of the dataset, such as "positions", that the net takes beside the shape.
    fixed
        Further arguments of the net.
    words
        `summary`, `source` and so on of `Model`.
    """

    def build() -> Callable[..., Any]:
        module, _, attribute = place.partition(":")
        return getattr(import_module(module), attribute)

    def make(facts: dict[str, Any], task: str, n_outputs: int, **options: Any) -> Any:
        from neuroloom.learn.learner import NetLearner, Training

        return NetLearner(
            name,
            build(),
            n_channels=len(facts["channels"]),
            n_times=facts["n_times"],
            n_outputs=n_outputs,
            rate=facts["rate"],
            training=Training(**(training | options)),
            task=task,
            options=(fixed or {}) | {want: facts[want] for want in wants},
        )

    def rebuild(spec: dict[str, Any]) -> Any:
        from neuroloom.learn.learner import NetLearner

        return NetLearner.from_spec(spec, build())

    return Model(name, is_net=True, make=make, rebuild=rebuild, **words)


def estimator(name: str, place: str, *, fixed: dict[str, Any] | None = None, **words: Any) -> Model:
    """Describe an estimator: `place` is "module:Class", `fixed` are arguments of its own."""

    def build(**arguments: Any) -> Any:
        module, _, attribute = place.partition(":")
        return getattr(import_module(module), attribute)(**arguments)

    def make(facts: dict[str, Any], task: str, n_outputs: int, **options: Any) -> Any:
        return build(n_outputs=n_outputs if task == "classification" else None, **(fixed or {}))

    def rebuild(spec: dict[str, Any]) -> Any:
        return build(**{key: value for key, value in spec.items() if key != "name"})

    return Model(name, is_net=False, make=make, rebuild=rebuild, **words)
