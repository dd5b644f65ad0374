"""Describe a signal model without importing what it is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Literal

from neuroloom.learn.model import Model, find_model

BROAD, MOTOR = (4.0, 38.0), (8.0, 30.0)
EVOKED: dict[str, Any] = {"band": (1.0, 30.0), "signal": "evoked"}
RHYTHM: dict[str, Any] = {"band": MOTOR, "signal": "rhythm"}
SPECTRUM: dict[str, Any] = {"band": (1.0, 45.0), "signal": "rhythm"}
MUSCLE: dict[str, Any] = {"signal": "muscle"}
FEATURES_LIKE = {
    "time": EVOKED,
    "bandpower": SPECTRUM,
    "variance": RHYTHM,
    "rms": MUSCLE,
    "muscle": MUSCLE,
    "covariance": RHYTHM,
    "wavelet": SPECTRUM,
    "stft": SPECTRUM,
}
DENSE_WINDOW = 1.0


def net(
    name: str,
    place: str,
    training: dict[str, Any],
    *,
    wants: Sequence[str] = (),
    fixed: dict[str, Any] | None = None,
    around: str | None = None,
    dense: Literal["slid", "own", "plain"] = "slid",
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
    around
        "module:Class" of a net that takes this one as its `encoder`, such as `nets.sequence`'s.
    dense
        How it labels the places of a trace: "slid" over it (`nets.slide`), or "own": the net takes
        `places` (a fact of the dataset, the labels in an example; a dense task without it has one
        a sample) and `dense` (True: all of them; False: that in the middle); or "plain": it labels
        every sample and nothing else.
    words
        `summary`, `source` and so on of `Model`.

    Notes
    -----
    `make` of the model takes, beside fields of `Training`, the arguments `window` and `stride` (s)
    of a net that is slid; where the dataset has `places`, it looks at each of them once.
    """
    words = {"tasks": ("classification", "regression", "dense")} | words

    def build(task: str) -> Callable[..., Any]:
        made = find(place)
        if around:
            made = partial(find(around), encoder=made)
        if task == "dense" and dense == "slid":
            made = partial(find("neuroloom.signals.nets.slide:Slide"), net=made)
        return made

    def make(
        facts: dict[str, Any],
        task: str,
        n_outputs: int,
        *,
        window: float | None = None,
        stride: float | None = None,
        **options: Any,
    ) -> Any:
        from neuroloom.learn.training.learner import NetLearner, Training

        whole = {"crop": 1.0, "crops": 1} if task == "dense" else {}
        arguments = (fixed or {}) | {want: facts[want] for want in wants}
        if dense == "own":
            places = facts.get("places") or (facts["n_times"] if task == "dense" else 1)
            arguments |= {"places": places, "dense": task == "dense"}
        elif task == "dense" and dense == "slid":
            arguments |= looks(facts, window, stride)
        return NetLearner(
            name,
            build(task),
            n_channels=len(facts["channels"]),
            n_times=facts["n_times"],
            n_outputs=n_outputs,
            rate=facts["rate"],
            training=Training(**(training | whole | options)),
            task=task,
            options=arguments,
            facts=facts,
        )

    def rebuild(spec: dict[str, Any]) -> Any:
        from neuroloom.learn.training.learner import NetLearner

        return NetLearner.from_spec(spec, build(spec["task"]))

    return Model(name, is_net=True, make=make, rebuild=rebuild, **words)


def find(place: str) -> Callable[..., Any]:
    """Import what "module:attribute" names."""
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


def looks(facts: dict[str, Any], window: float | None, stride: float | None) -> dict[str, Any]:
    """Return the window and the stride (s) of a net that is slid over traces of a dataset.

    Examples
    --------
    >>> looks({"n_times": 3000, "rate": 100.0, "places": 10}, None, None)
    {'window': 3.0, 'stride': 3.0, 'places': 10}
    >>> looks({"n_times": 3000, "rate": 100.0}, 0.5, None)
    {'window': 0.5, 'stride': None}
    """
    places = facts.get("places")
    if not places:
        return {"window": window or DENSE_WINDOW, "stride": stride}
    each = facts["n_times"] / facts["rate"] / places
    return {"window": window or each, "stride": stride or each, "places": places}


def estimator(
    name: str,
    place: str,
    *,
    wants: Sequence[str] = (),
    obeys: Sequence[str] = (),
    fixed: dict[str, Any] | None = None,
    **words: Any,
) -> Model:
    """Describe an estimator; scikit-learn is imported when it is fitted.

    Parameters
    ----------
    name
        Behind `--model`.
    place
        "module:Class", or a function that returns the learner.
    wants
        Facts of the dataset, such as "rate", that it takes.
    obeys
        Settings of the recipe that it takes where the user gives them.
    fixed
        Further arguments.
    words
        `summary`, `source` and so on of `Model`.
    """

    def build(**arguments: Any) -> Any:
        module, _, attribute = place.partition(":")
        return getattr(import_module(module), attribute)(**arguments)

    def make(facts: dict[str, Any], task: str, n_outputs: int, **options: Any) -> Any:
        given = {want: facts[want] for want in wants}
        given |= {key: options[key] for key in obeys if key in options}
        count = n_outputs if task == "classification" else None
        return build(n_outputs=count, **(fixed or {}) | given)

    def rebuild(spec: dict[str, Any]) -> Any:
        # What is built under several names is told its own.
        told = {} if "name" in (fixed or {}) else {"name"}
        return build(**{key: value for key, value in spec.items() if key not in told})

    return Model(name, is_net=False, make=make, rebuild=rebuild, obeys=tuple(obeys), **words)


def learner(name: str, place: str, **words: Any) -> Model:
    """Describe a learner that is fitted like an estimator and asks for the facts of the data.

    Parameters
    ----------
    place
        "module:Class" with `of(name, facts, task, n_outputs)` and `from_spec(spec)`.
    """

    def build() -> Any:
        module, _, attribute = place.partition(":")
        return getattr(import_module(module), attribute)

    def make(facts: dict[str, Any], task: str, n_outputs: int, **options: Any) -> Any:
        return build().of(name, facts, task, n_outputs)

    def rebuild(spec: dict[str, Any]) -> Any:
        return build().from_spec(spec)

    return Model(name, is_net=False, make=make, rebuild=rebuild, **words)


def voting(name: str, members: Sequence[str], **words: Any) -> Model:
    """Describe models, by name, that are fitted side by side and vote."""

    def make(facts: dict[str, Any], task: str, n_outputs: int, **options: Any) -> Any:
        from neuroloom.signals.classical.voting import Voting

        learners = [find_model(member).make(facts, task, n_outputs) for member in members]
        return Voting(name, learners)

    def rebuild(spec: dict[str, Any]) -> Any:
        from neuroloom.signals.classical.voting import Voting

        return Voting.from_spec(spec)

    return Model(name, is_net=False, make=make, rebuild=rebuild, **words)
