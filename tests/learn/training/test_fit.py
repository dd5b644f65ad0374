"""The training loop: reproducible, resumable after a kill, stopping early, leaving no trace."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError, RunError
from neuroloom.learn.training.cost import cost_of_fit
from neuroloom.learn.training.epochs import device_name
from neuroloom.learn.training.fit import (
    FitJob,
    Training,
    count_steps,
    learning_rate,
    read_checkpoint,
)

torch = pytest.importorskip("torch")

from neuroloom.learn.training.learner import NetLearner  # noqa: E402
from neuroloom.signals.nets.eegnet import EEGNet  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

TRAINING = Training(
    epochs=40, batch=8, crop=0.8, crops=2, augment=("noise", "mask"), average=0.9, members=2
)


def windows(n=20):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 3, 100)).astype(np.float32), np.arange(n) % 2


def make(training=TRAINING):
    return NetLearner(
        "eegnet", EEGNet, n_channels=3, n_times=100, n_outputs=2, rate=100.0, training=training
    )


def equal_states(first, second):
    return first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name]) for name in first
    )


def test_same_seed_same_numbers_whatever_was_drawn_before():
    learners = [make() for _ in range(3)]
    torch.rand(5)
    histories = [
        learner.fit(*windows(), job=FitJob(seed=seed, epochs=3))
        for learner, seed in zip(learners, (4, 4, 5), strict=True)
    ]
    assert equal_states(learners[0].state(), learners[1].state())
    assert histories[0].epochs == histories[1].epochs
    assert not equal_states(learners[0].state(), learners[2].state())


def test_global_randomness_is_put_back():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    make().fit(*windows(), job=FitJob(epochs=1))
    cost_of_fit(make(), *windows())
    assert torch.equal(torch.get_rng_state(), before)


class InterruptedFitError(Exception):
    pass


@pytest.mark.parametrize("stop_at", [1, 5])
def test_resume_is_bit_equal(tmp_path, stop_at):
    x, y = windows()
    job = FitJob(seed=2, epochs=8, validation=windows(8), checkpoint=None)
    whole = make()
    expected = whole.fit(x, y, job=job)

    def interrupt(entry):
        if entry["epoch"] == stop_at:
            raise InterruptedFitError

    path = tmp_path / "fit.safetensors"
    broken = FitJob(seed=2, epochs=8, validation=windows(8), checkpoint=path, every_s=0)
    broken.progress = interrupt
    with pytest.raises(InterruptedFitError):
        make().fit(x, y, job=broken)
    broken.progress = None
    resumed = make()
    history = resumed.fit(x, y, job=broken)
    assert equal_states(resumed.state(), whole.state())
    assert history.epochs == expected.epochs
    assert history.stopped == expected.stopped


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.learn.training.test_fit import FitJob, make, windows
job = FitJob(seed=2, epochs=60, checkpoint=Path(sys.argv[1]), every_s=0.05, threads=1)
make().fit(*windows(), job=job)
"""


def test_resume_after_kill_9_is_bit_equal(tmp_path):
    path = tmp_path / "fit.safetensors"
    script = SCRIPT.format(root=str(Path(__file__).parents[3]))
    child = subprocess.Popen([sys.executable, "-c", script, str(path)])
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "the fit ended before it could be killed"
    _, facts = read_checkpoint(path)
    assert 0 < facts["pace"]["steps"] < 180

    resumed, whole = make(), make()
    resumed.fit(*windows(), job=FitJob(seed=2, epochs=60, checkpoint=path))
    whole.fit(*windows(), job=FitJob(seed=2, epochs=60))
    assert equal_states(resumed.state(), whole.state())


def test_finished_checkpoint_returns_the_result_at_once(tmp_path):
    job = FitJob(epochs=3, checkpoint=tmp_path / "fit.safetensors")
    first, second = make(), make()
    history = first.fit(*windows(), job=job)
    seen = []
    job.progress = seen.append
    assert second.fit(*windows(), job=job).epochs == history.epochs
    assert equal_states(first.state(), second.state())
    assert not seen


def test_checkpoint_of_another_fit_is_refused(tmp_path):
    path = tmp_path / "fit.safetensors"
    make().fit(*windows(), job=FitJob(epochs=1, checkpoint=path))
    with pytest.raises(RunError, match=r"fit\.safetensors.*another fit"):
        make().fit(*windows(), job=FitJob(epochs=1, seed=9, checkpoint=path))


def test_broken_checkpoint_is_named(tmp_path):
    path = tmp_path / "fit.safetensors"
    path.write_bytes(b"\x10\x00\x00")
    with pytest.raises(RunError, match=r"fit\.safetensors.*not a whole checkpoint"):
        make().fit(*windows(), job=FitJob(epochs=1, checkpoint=path))


def test_checkpoint_holds_no_pickle(tmp_path):
    path = tmp_path / "fit.safetensors"
    make().fit(*windows(), job=FitJob(epochs=1, checkpoint=path))
    tensors, facts = read_checkpoint(path)
    assert {"rng.torch", "rng.fit", "order"} <= tensors.keys()
    assert facts["pace"]["steps"] == 3
    assert [file.name for file in tmp_path.iterdir()] == ["fit.safetensors"]


def test_stops_when_validation_is_flat_and_keeps_the_best():
    x, y = windows()
    job = FitJob(epochs=200, patience=5, validation=(x, 1 - y))
    learner = make()
    history = learner.fit(x, y, job=job)
    losses = [entry["val_loss"] for entry in history.epochs]
    best = int(np.argmin(losses)) + 1
    assert len(losses) == best + 5
    assert history.stopped == f"validation flat since epoch {best}"
    scores = learner.predict_scores(x)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("balance", [False, True])
def test_validation_goes_through_the_net_in_batches_and_says_the_same(balance, monkeypatch):
    y, other = (np.arange(20) % 4 == 0).astype(int), (np.arange(19) % 5 > 2).astype(int)
    job = FitJob(epochs=2, validation=(windows(19)[0], other))
    sizes, usual = [], EEGNet.forward

    def forward(net, x):
        sizes.append(len(x))
        return usual(net, x)

    monkeypatch.setattr(EEGNet, "forward", forward)
    learner = make(replace(TRAINING, balance=balance, crop=1.0, crops=1))
    epochs = learner.fit(windows()[0], y, job=job).epochs
    assert max(sizes) <= TRAINING.batch
    whole = learner._tensors(windows(19)[0], other)
    with torch.no_grad():
        loss = learner.model.loss(*(torch.as_tensor(part) for part in whole), None)
    best = min(entry["val_loss"] for entry in epochs)
    assert best == pytest.approx(float(loss), rel=1e-5)


def test_unknown_places_count_nothing_in_a_validation():
    members = make(replace(TRAINING, balance=True)).model
    members.class_weight = torch.tensor([1.0, 3.0])
    assert members.counts(torch.tensor([[0, -1, 1], [-1, -1, 1]])) == 7.0
    assert members.counts(torch.full((2, 3), -1)) == 0.0


def test_steps_win_over_epochs():
    assert count_steps(20, TRAINING, FitJob()) == (120, 3)
    assert count_steps(20, TRAINING, FitJob(epochs=2)) == (6, 3)
    history = make().fit(*windows(), job=FitJob(steps=4, epochs=9))
    assert [entry["step"] for entry in history.epochs] == [3, 4]


def test_progress_sees_every_epoch():
    seen = []
    history = make().fit(*windows(), job=FitJob(epochs=3, progress=seen.append))
    assert [entry["epoch"] for entry in seen] == [1, 2, 3]
    assert {"loss", "lr", "step", "steps"} <= seen[0].keys()
    assert history.stopped == "all 9 steps done"


def test_rate_rises_and_falls_once():
    rates = [learning_rate(step, 100, Training(lr=1.0)) for step in range(100)]
    peak = int(np.argmax(rates))
    assert peak == 25
    assert rates[peak] == 1.0
    assert np.all(np.diff(rates[:peak]) > 0)
    assert np.all(np.diff(rates[peak:]) < 0)
    assert rates[-1] < 0.01


@pytest.mark.parametrize(
    ("field", "value"), [("epochs", 0), ("crop", 1.5), ("average", 1.0), ("standardise", "none")]
)
def test_training_names_the_setting_at_fault(field, value):
    with pytest.raises(ConfigError, match=rf"Training\.{field} .*{value}"):
        Training(**{field: value})


def test_the_cost_of_a_fit_is_positive_and_leaves_the_learner_alone():
    learner = make()
    before = learner.state()
    cost = cost_of_fit(learner, *windows())
    assert 0 < cost.epoch < 5
    assert 0 <= cost.around < 5
    assert cost.steps == -(-len(windows()[0]) // learner.training.batch)
    assert equal_states(before, learner.state())


def test_nets_compute_in_the_numbers_that_were_asked_for():
    seen = []

    class Watched(EEGNet):
        def forward(self, x):
            seen.append(torch.is_autocast_enabled(device_name()))
            return super().forward(x)

    for precision in ("32-true", "bf16-mixed"):
        learner = NetLearner(
            "eegnet", Watched, n_channels=3, n_times=100, n_outputs=2, rate=100.0,
            training=Training(epochs=1, batch=8),
        )  # fmt: skip
        learner.fit(*windows(), job=FitJob(steps=2, precision=precision))
    assert (seen[0], seen[-1]) == (False, False)  # the first fit, and the moments of the last
    assert True in seen


def test_nets_learn_where_their_data_are(monkeypatch):
    from lightning_fabric.accelerators.mps import MPSAccelerator

    monkeypatch.setattr(MPSAccelerator, "is_available", staticmethod(lambda: True))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    kinds = []

    class Watched(EEGNet):
        def forward(self, x):
            kinds.append(next(self.parameters()).device.type)
            return super().forward(x)

    learner = NetLearner(
        "eegnet", Watched, n_channels=3, n_times=100, n_outputs=2, rate=100.0,
        training=Training(epochs=1, batch=8),
    )  # fmt: skip
    learner.fit(*windows(), job=FitJob(steps=2))
    assert set(kinds) == {device_name()}
