"""ExBrainable: train a net without code, and see what it learnt."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from neuroloom.core import registry
from neuroloom.core.run import Run
from parity.harness import Check
from parity.studies import FISTS_FEET, FISTS_FEET_DATA, fists_feet, metric, scratch, study, table

TOOL = "ExBrainable"
# The three nets that it offers.
NETS = ("sccnet", "eegnet", "shallow")
EPOCHS = "150 epochs"
MOTOR_CORTEX = {"C3", "Cz", "C4"}
CONVOLUTIONAL = (
    "eegnet", "eegnex", "shallow", "deep4", "eeg-tcnet", "eeg-itnet", "eeg-inception", "sccnet",
    "fbcnet", "tidnet", "bd-tcn", "atcnet", "conformer", "ctnet", "fcn",
)  # fmt: skip


def trained(net: str, data: Path) -> Run:
    """Train a net on all 64 channels; the report shows what it learnt."""
    return fists_feet(data, model=net, picks=(), budget=EPOCHS)


def nets_that(shows: Callable[[Run], bool]) -> Callable[[Path], float]:
    """Return a measure: for how many of the three nets `shows` holds."""
    return lambda data: float(sum(shows(trained(net, data)) for net in NETS))


def looks_at_motor_cortex(run: Run) -> bool:
    """Tell whether C3, Cz or C4 is among the ten sensors that count most."""
    best = table(run, "relevance-by-channel").nlargest(10, "relevance")
    return bool(MOTOR_CORTEX & set(best["channel"]))


def looks_at_mu_and_beta(run: Run) -> bool:
    """Tell whether the band that counts most lies within 8 to 30 Hz."""
    best = table(run, "relevance-by-band").nlargest(1, "relevance").iloc[0]
    return bool(best["low"] >= 8 and best["high"] <= 30)


def shows_its_kernels(run: Run) -> bool:
    """Tell whether the report holds spatial filters as scalp maps and spectra of kernels."""
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    drawn = [
        (run.folder / "artifacts" / f"{name}.png").is_file()
        for name in ("kernel-spectra", "kernel-maps")
    ]
    told = all(
        title in page
        for title in ("Which frequencies the first kernels pass", "Which sensors the first filters")
    )
    return all(drawn) and told


def nets_with_kernels(_: Path) -> float:
    """Return of how many convolutional nets the temporal and the spatial filters can be read."""
    from neuroloom.io.recordings.electrodes import template_positions
    from neuroloom.signals.explanation.kernels import read_kernels
    from neuroloom.signals.steps.montage import TEN_TEN

    facts = {
        "channels": list(TEN_TEN), "types": ["eeg"] * 64, "rate": 100.0, "n_times": 400,
        "positions": template_positions(TEN_TEN).tolist(),
    }  # fmt: skip
    count = 0
    for name in CONVOLUTIONAL:
        learner = registry.load("model", name).make(facts, "classification", 2, crop=1.0, crops=1)
        found = read_kernels(learner.model.nets[0].eval(), 64, 400)
        count += found is not None and found.temporal.shape[1] > 1 and len(found.spatial) > 0
    return float(count)


def largest_error_of_a_sum(data: Path) -> float:
    """Return how far the probabilities of any trial are from summing to 1."""
    worst = 0.0
    for net in NETS:
        rows = trained(net, data).predictions
        p = rows[[name for name in rows if name.startswith("p_")]].to_numpy(float)
        worst = max(worst, float(np.abs(p.sum(1) - 1).max()))
    return worst


def lost_by_its_mat(data: Path) -> float:
    """Return how much the accuracy on R14 differs when the trials come from ExBrainable's .mat."""
    from scipy.io import savemat

    from neuroloom.signals import Decode

    fields = FISTS_FEET | {"model": "csp-lda"}
    found = Decode(**fields).read(data / "eeg" / "eegmmidb").labelled()
    folder = scratch() / "exbrainable"
    folder.mkdir(exist_ok=True)
    held_out = found.table["path"].str.contains("R14").to_numpy()
    savemat(
        folder / "trials.mat",
        {
            "x_train": found.x[~held_out] * 1e6, "y_train": found.y[~held_out],
            "x_test": found.x[held_out] * 1e6, "y_test": found.y[held_out],
            "srate": found.facts["rate"], "ch_names": list(found.facts["channels"]),
        },
    )  # fmt: skip
    place = data / "eeg" / "eegmmidb"
    recorded = study("signals.decode", place, **fields, test=["S001R14*"])
    own = study("signals.decode", folder / "trials.mat", model="csp-lda", test=["test"])
    return abs(metric(recorded, "accuracy") - metric(own, "accuracy"))


_of_three = partial(Check, TOOL, bar="== 3", data=FISTS_FEET_DATA)

CHECKS = [
    _of_three(
        claim="nets (SCCNet, EEGNet, Shallow) with C3, Cz or C4 among their ten sensors of 64",
        measure=nets_that(looks_at_motor_cortex),
    ),
    _of_three(
        claim="nets (SCCNet, EEGNet, Shallow) whose band that counts most is within 8-30 Hz",
        measure=nets_that(looks_at_mu_and_beta),
    ),
    _of_three(
        claim="nets (SCCNet, EEGNet, Shallow) with filters as scalp maps and spectra in the report",
        measure=nets_that(shows_its_kernels),
    ),
    Check(
        TOOL, f"convolutional nets whose first filters can be read, of {len(CONVOLUTIONAL)}",
        f"== {len(CONVOLUTIONAL)}", nets_with_kernels,
    ),
    Check(
        TOOL, "how far probabilities of a trial are from summing to 1", "<= 1e-6",
        largest_error_of_a_sum, FISTS_FEET_DATA,
    ),
    Check(
        TOOL, "difference in accuracy between trials from EDF and from its .mat", "<= 0",
        lost_by_its_mat, "PhysioNet eegmmidb S001 R06 R10, tested on R14",
    ),
]  # fmt: skip
