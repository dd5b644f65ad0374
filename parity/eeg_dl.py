"""EEG-DL: the textbook's nets by name, on trials from EDF or from its own CSV tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from parity.harness import Check
from parity.studies import FISTS_FEET, FISTS_FEET_DATA, MOTOR, fists_feet, metric, scratch, study

TOOL = "EEG-DL"
EPOCHS = "120 epochs"
# Its zoo, by the names that the nets have here.
ZOO = (
    "mlp", "cnn", "res-cnn", "dense-cnn", "fcn", "siamese", "gcn", "res-gcn", "bilstm-gcn",
    "rnn", "lstm", "gru", "bi-rnn", "bi-lstm", "bi-gru", "rnn-attention", "lstm-attention",
    "gru-attention", "bi-rnn-attention", "bi-lstm-attention", "bi-gru-attention", "transformer",
    "bayes-cnn",
)  # fmt: skip
JUDGED = {
    "cnn": "CNN",
    "res-cnn": "residual CNN",
    "gcn": "graph CNN",
    "bi-lstm-attention": "BiLSTM with attention",
    "transformer": "transformer",
}
RANDOM_DATA = "random scores of 2 to 7 classes"


def reached(model: str, name: str = "accuracy") -> Callable[[Path], float]:
    """Return a measure: a score of a net for fists against feet."""
    return lambda data: metric(fists_feet(data, model=model, budget=EPOCHS), name)


def nets_that_learn(data: Path) -> float:
    """Return how many nets of the zoo take a step on real trials that lowers their loss.

    The trials have 64 channels and 480 samples, as EEG-DL's have; every weight must get a gradient.
    """
    from neuroloom.signals import Decode

    fields = FISTS_FEET | {"rate": 160.0}
    found = Decode(model="cnn", **fields).read(data / "eeg" / "eegmmidb").labelled()
    return float(sum(_learns(name, found) for name in ZOO))


def _learns(name: str, found: Any) -> bool:
    import torch

    from neuroloom.learn.model import find_model
    from neuroloom.learn.training.fit import FitJob

    facts = found.facts | {"n_times": 480}
    learner = find_model(name).make(facts, "classification", 2, crop=1.0, crops=1, lr=1e-3)
    x, y = learner.begin(found.x[..., :480], found.y, FitJob(seed=0))
    x, y = torch.tensor(x), torch.tensor(y)
    learner.model.tell("adapt", x, y)
    generator = torch.Generator().manual_seed(0)
    loss = learner.model.train().loss(x, y, generator)
    loss.backward()
    weights = [p for p in learner.model.parameters() if p.requires_grad]
    if not all(p.grad is not None and bool(p.grad.isfinite().all()) for p in weights):
        return False
    history = learner.fit(found.x[..., :480], found.y, job=FitJob(seed=0, epochs=3))
    losses = [epoch["loss"] for epoch in history.epochs]
    return bool(np.isfinite(losses).all() and losses[-1] < losses[0])


def largest_difference_from_sklearn(_: Path) -> float:
    """Return how far any metric is from scikit-learn's, over 2 to 7 classes."""
    from sklearn import metrics as theirs

    from neuroloom.learn.scoring import metrics as ours

    worst, rng = 0.0, np.random.default_rng(0)
    for n_classes in range(2, 8):
        y = np.arange(300) % n_classes
        p = rng.dirichlet(np.ones(n_classes), size=len(y))
        p[np.arange(len(y)), y] += 0.3
        p /= p.sum(1, keepdims=True)
        guess = p.argmax(1)
        many = {"multi_class": "ovr", "average": "macro"} if n_classes > 2 else {}
        score = p if n_classes > 2 else p[:, 1]
        hot = np.eye(n_classes)[y]
        pairs = [
            (ours.accuracy(y, guess), theirs.accuracy_score(y, guess)),
            (ours.balanced_accuracy(y, guess), theirs.balanced_accuracy_score(y, guess)),
            (ours.kappa(y, guess), theirs.cohen_kappa_score(y, guess)),
            (ours.auc(y, p), theirs.roc_auc_score(y, score, **many)),
            (
                ours.average_precision(y, p),
                theirs.average_precision_score(hot, p, average="macro")
                if n_classes > 2
                else theirs.average_precision_score(y, score),
            ),
            (ours.log_loss(y, p), theirs.log_loss(y, p)),
        ]
        worst = max([worst, *(abs(float(a) - float(b)) for a, b in pairs)])
    return worst


def lost_by_its_tables(data: Path) -> float:
    """Return how much the accuracy on R14 differs when the trials come from EEG-DL's CSV tables."""
    from neuroloom.signals import Decode

    fields = FISTS_FEET | {"picks": MOTOR, "model": "csp-lda"}
    found = Decode(**fields).read(data / "eeg" / "eegmmidb").labelled()
    folder = scratch() / "eeg-dl"
    if not folder.is_dir():
        folder.mkdir()
        held_out = found.table["path"].str.contains("R14").to_numpy()
        for name, rows in (("training", ~held_out), ("test", held_out)):
            flat = found.x[rows].reshape(rows.sum(), -1) * 1e6
            np.savetxt(folder / f"{name}_set.csv", flat, delimiter=",", fmt="%.9g")
            np.savetxt(folder / f"{name}_label.csv", found.y[rows], fmt="%d")
        said = {
            "SamplingFrequency": found.facts["rate"],
            "Units": "uV",
            "ChannelNames": list(found.facts["channels"]),
        }
        (folder / "eeg.json").write_text(json.dumps(said), encoding="utf-8")
    recorded = study(
        "signals.decode", data / "eeg" / "eegmmidb", **(fields | {"test": ["S001R14*"]})
    )
    own = study("signals.decode", folder, model="csp-lda", test=["test*"])
    return abs(metric(recorded, "accuracy") - metric(own, "accuracy"))


CHECKS = [
    *(
        Check(
            TOOL, f"accuracy of the {name}, fists/feet", ">= 0.8", reached(model), FISTS_FEET_DATA
        )
        for model, name in JUDGED.items()
    ),
    Check(
        TOOL, "accuracy of the Siamese net, five examples of each class, fists/feet", ">= 0.75",
        reached("siamese"), FISTS_FEET_DATA,
    ),
    Check(
        TOOL, "calibration error of the Bayesian CNN on held-out runs", "<= 0.1",
        reached("bayes-cnn", "ece"), FISTS_FEET_DATA,
    ),
    Check(
        TOOL, f"nets of its zoo that learn from 64 x 480 trials, of {len(ZOO)}", f"== {len(ZOO)}",
        nets_that_learn, FISTS_FEET_DATA,
    ),
    Check(
        TOOL, "largest difference of any metric from scikit-learn's", "<= 1e-9",
        largest_difference_from_sklearn, RANDOM_DATA,
    ),
    Check(
        TOOL, "difference in accuracy between trials from EDF and from its CSV tables", "<= 0",
        lost_by_its_tables, "PhysioNet eegmmidb S001 R06 R10, tested on R14",
    ),
]  # fmt: skip
