"""What happens to a signal before it is decoded; a file a kind.

`filters` band-pass, notch, resample · `reference` · `eyes` what blinks and eye movements leave ·
`montage` any cap on a fixed set of 10-10 places · `standardise` by the training examples or by what
went before · `trials` alignment and rejection. None of these looks at a class label.
"""

from neuroloom.signals.steps.eyes import EyeICA, EyeRegression
from neuroloom.signals.steps.filters import BandPass, Notch, Resample
from neuroloom.signals.steps.montage import MapMontage
from neuroloom.signals.steps.reference import Reference
from neuroloom.signals.steps.standardise import MovingStandardize, Standardize
from neuroloom.signals.steps.trials import euclidean_align, reject_by_amplitude

__all__ = [
    "BandPass",
    "EyeICA",
    "EyeRegression",
    "MapMontage",
    "MovingStandardize",
    "Notch",
    "Reference",
    "Resample",
    "Standardize",
    "euclidean_align",
    "reject_by_amplitude",
]
