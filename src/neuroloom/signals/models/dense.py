"""What labels traces: events at every sample, sleep stages at every epoch."""

from __future__ import annotations

from typing import Any

from neuroloom.learn.model import Model
from neuroloom.signals.models.build import net

unet = net(
    "unet",
    "neuroloom.nets.unet:UNet",
    {
        "epochs": 8, "batch": 16, "lr": 0.005, "average": 0.98, "members": 3, "threads": 1,
        "validate": False,
    },
    dense="plain",
    tasks=("dense",),
    summary="U-Net along time: a class at every sample, seconds of context, Dice loss",
    source="Ronneberger et al. (2015), MICCAI, 234-241; Perslev et al. (2019), NeurIPS 32 (U-Time)",
)  # fmt: skip


def _make_rms(facts: dict[str, Any], task: str, n_outputs: int, **options: Any) -> Any:
    from neuroloom.signals.classical.rms import RmsThreshold

    return RmsThreshold(n_outputs, facts["rate"])


def _rebuild_rms(spec: dict[str, Any]) -> Any:
    from neuroloom.signals.classical.rms import RmsThreshold

    return RmsThreshold(**{key: value for key, value in spec.items() if key != "name"})


rms_threshold = Model(
    "rms-threshold",
    "amplitude in the event's band above a threshold, both chosen on the training recordings",
    "Mölle et al. (2002), J. Neurosci. 22(24), 10941-10947",
    is_net=False,
    make=_make_rms,
    rebuild=_rebuild_rms,
    tasks=("dense",),
)

stage_cnn = net(
    "stage-cnn",
    "neuroloom.signals.nets.stagecnn:StageCNN",
    {
        "epochs": 15, "batch": 32, "lr": 0.003, "average": 0.98, "members": 3, "threads": 1,
        "validate": False,
    },
    tasks=("classification",),
    summary="small convolutional net for sleep stages: half-second filters, global pooling",
    source="after Sors et al. (2018), Biomed. Signal Process. Control 42, 107-114",
)  # fmt: skip


def _make_stage_lda(facts: dict[str, Any], task: str, n_outputs: int, **options: Any) -> Any:
    return _rebuild_stage_lda(
        {
            "n_outputs": n_outputs, "rate": facts["rate"], "places": facts.get("places", 1),
            "dense": task == "dense",
        }
    )  # fmt: skip


def _rebuild_stage_lda(spec: dict[str, Any]) -> Any:
    from neuroloom.signals.classical.stages import StageLda, StageLdaSequence

    kind = StageLdaSequence if spec.get("dense") else StageLda
    return kind(spec["n_outputs"], spec["rate"], spec["places"])


stage_lda = Model(
    "stage-lda",
    "power in the bands of sleep, linear discriminant analysis with equal priors",
    "Fisher (1936), Ann. Eugenics 7(2), 179-188",
    is_net=False,
    make=_make_stage_lda,
    rebuild=_rebuild_stage_lda,
    tasks=("classification", "dense"),
)
