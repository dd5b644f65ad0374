"""What tells artefacts from signal, a window of one channel at a time."""

from __future__ import annotations

from typing import Any

from neuroloom.learn.model import Model
from neuroloom.signals.models.build import estimator, net

CLASSES = ("classification",)
TRAINING = {"epochs": 40, "batch": 64, "lr": 0.005, "balance": True, "threads": 1}
# Artefacts are short and sharp: ten times finer than what suits rhythms.
FINE = {"kernel": 0.01, "window": 0.02, "step": 0.01}
SANTIA = "Fabietti et al. (2021), Brain Inform. 8, 14"


def _fine(name: str, place: str, summary: str, **fixed: Any) -> Model:
    """Describe a net for short windows of one channel."""
    return net(
        name,
        f"neuroloom.nets.{place}",
        TRAINING,
        fixed=fixed,
        summary=summary,
        source=SANTIA,
        tasks=CLASSES,
    )


artifact_cnn = _fine(
    "artifact-cnn",
    "conv:CNN",
    "convolutions over 20-ms tokens of one channel, for artefacts",
    tokens=FINE,
)
artifact_lstm = _fine(
    "artifact-lstm",
    "recurrent:Recurrent",
    "LSTM with attention over 20-ms tokens of one channel, for artefacts",
    tokens=FINE,
    cell="lstm",
    bidirectional=True,
    attention=True,
)
artifact_mlp = _fine(
    "artifact-mlp",
    "mlp:MLP",
    "fully connected layers on the power of 10-ms pieces of one channel, for artefacts",
    piece=0.01,
    dropout=0.2,
)
power_threshold = estimator(
    "power-threshold",
    "neuroloom.signals.classical.build:pipeline",
    wants=("rate",),
    fixed={"name": "power-threshold", "features": "rms", "head": "lda"},
    summary="a threshold on the power of a window, for artefacts",
    source=SANTIA,
    tasks=CLASSES,
)
