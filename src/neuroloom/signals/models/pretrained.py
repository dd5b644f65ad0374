"""Decoders that start from a pretrained encoder: a linear probe of it, and fine-tuning."""

from __future__ import annotations

from functools import partial
from typing import Any

from neuroloom.learn.model import Model

LIKES: dict[str, Any] = {"band": (2.0, 40.0), "rate": 100.0, "signal": "rhythm"}
SOURCE = "Kostas et al. (2021), Front. Hum. Neurosci. 15, 653659 (pretrain, then probe or tune)."


def _arguments(facts: dict[str, Any], init: str) -> tuple[dict[str, Any], Any]:
    """Return what both learners are built from, and the encoder's weights or None."""
    from neuroloom.signals.pretraining.places import place_matrix
    from neuroloom.signals.pretraining.pretrained import load_pretrained

    sizes, weights = _random(facts) if init == "random" else load_pretrained(init)
    places = place_matrix(facts["channels"], "the data").tolist()
    return {"encoder": sizes, "places": places}, weights


def _random(facts: dict[str, Any]) -> tuple[dict[str, Any], None]:
    """Return the sizes of an encoder that was never trained, for the data as they come."""
    band = (facts.get("cut") or {}).get("band") or LIKES["band"]
    return {"rate": facts["rate"], "band": tuple(band)}, None


def _probe(
    facts: dict[str, Any], task: str, n_outputs: int, *, init: str = "random",
    init_seed: int = 0, **options: Any,
) -> Any:  # fmt: skip
    from neuroloom.signals.pretraining.pretrained import make_probe

    arguments, weights = _arguments(facts, init)
    settings = arguments | {
        "n_times": facts["n_times"], "rate": facts["rate"], "seed": init_seed,
        "n_outputs": n_outputs if task == "classification" else None,
    }  # fmt: skip
    return make_probe(settings, weights)


def _probe_again(spec: dict[str, Any]) -> Any:
    from neuroloom.signals.pretraining.pretrained import make_probe

    return make_probe({key: value for key, value in spec.items() if key != "name"}, None)


TUNING: dict[str, Any] = {
    "epochs": 60, "batch": 16, "lr": 2e-3, "weight_decay": 1e-2, "standardise": "all",
    "threads": 1, "validate": False,
}  # fmt: skip


def _finetune(
    facts: dict[str, Any], task: str, n_outputs: int, *, init: str = "random",
    init_seed: int = 0, **options: Any,
) -> Any:  # fmt: skip
    from neuroloom.learn.training.learner import NetLearner, Training
    from neuroloom.signals.nets.powertokens import PretrainedNet

    arguments, weights = _arguments(facts, init)
    # The weights are not among the options, which are stored with the model.
    return NetLearner(
        "finetune", partial(PretrainedNet, weights=weights), n_channels=len(facts["channels"]),
        n_times=facts["n_times"], n_outputs=n_outputs, rate=facts["rate"], task=task,
        training=Training(**(TUNING | options)), options=arguments, facts=facts,
    )  # fmt: skip


def _finetune_again(spec: dict[str, Any]) -> Any:
    from neuroloom.learn.training.learner import NetLearner
    from neuroloom.signals.nets.powertokens import PretrainedNet

    return NetLearner.from_spec(spec, PretrainedNet)


probe = Model(
    "probe", "logistic regression on the frozen features of a pretrained encoder (`init`)",
    SOURCE, is_net=False, make=_probe, rebuild=_probe_again, likes=LIKES, obeys=("init",),
)  # fmt: skip
finetune = Model(
    "finetune", "a pretrained encoder (`init`) with a linear output, trained further", SOURCE,
    is_net=True, make=_finetune, rebuild=_finetune_again, likes=LIKES, obeys=("init",),
)  # fmt: skip
