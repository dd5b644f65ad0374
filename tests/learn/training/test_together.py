"""A batched fit ends where the fits one by one end."""

import numpy as np
import pytest
from torch import Tensor, nn

from neuroloom.core.errors import ConfigError
from neuroloom.learn.training.fit import FitJob
from neuroloom.learn.training.learner import NetLearner, Training
from neuroloom.learn.training.together import fit_together, suits


class Small(nn.Module):
    def __init__(
        self, n_channels: int, n_times: int, n_outputs: int, rate: float | None = None
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(n_channels, 4, 3)
        self.norm = nn.BatchNorm1d(4)
        self.output = nn.Linear(4 * (n_times - 2), n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.norm(self.conv(x)).relu().flatten(1))


def learner(task: str = "classification", **training: object) -> NetLearner:
    plan = Training(**({"epochs": 4, "batch": 8, "threads": 1} | training))  # type: ignore[arg-type]
    outputs = 3 if task == "classification" else 1
    return NetLearner(
        "small", Small, n_channels=2, n_times=9, n_outputs=outputs, task=task, training=plan
    )


def examples(n: int, task: str = "classification", seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([seed, n])
    x = rng.normal(rng.normal(size=(1, 2, 1)), 3, size=(n, 2, 9)).astype(np.float32)
    return x, (
        rng.permutation(np.arange(n) % 3) if task == "classification" else rng.normal(size=n)
    )


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize(
    "training", [{}, {"average": 0.9}, {"balance": True}, {"members": 2, "smoothing": 0.1}]
)
def test_batched_equals_one_by_one(task: str, training: dict[str, object]) -> None:
    sets = [examples(n, task, seed) for seed, n in enumerate([20, 20, 13, 20, 13])]
    jobs = [FitJob(seed=seed) for seed in (0, 1, 2, 0, 7)]
    alone = [learner(task, **training) for _ in sets]
    together = [learner(task, **training) for _ in sets]
    one_by_one = [one.fit(*data, job=job) for one, data, job in zip(alone, sets, jobs, strict=True)]
    batched = fit_together(together, sets, jobs)
    for one, other, (x, _) in zip(alone, together, sets, strict=True):
        np.testing.assert_allclose(other.predict_scores(x), one.predict_scores(x), atol=2e-4)
    for mine, theirs in zip(one_by_one, batched, strict=True):
        assert [e["step"] for e in mine.epochs] == [e["step"] for e in theirs.epochs]
        np.testing.assert_allclose(
            [e["loss"] for e in mine.epochs], [e["loss"] for e in theirs.epochs], rtol=1e-3
        )


def test_members_do_not_see_each_other() -> None:
    sets = [examples(16, seed=seed) for seed in range(3)]
    jobs = [FitJob(seed=seed) for seed in range(3)]
    first = [learner() for _ in sets]
    fit_together(first, sets, jobs)
    spoilt = [sets[0], (sets[1][0] * 100, sets[1][1][::-1]), sets[2]]
    second = [learner() for _ in sets]
    fit_together(second, spoilt, jobs)
    x = sets[0][0]
    np.testing.assert_allclose(first[0].predict_scores(x), second[0].predict_scores(x), atol=1e-5)
    assert not np.allclose(first[1].predict_scores(x), second[1].predict_scores(x), atol=1e-2)


def test_memory_is_bounded_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuroloom.learn.training.together.MOST_BYTES", 2 * 16 * 2 * 9 * 4)
    sets, jobs = [examples(16, seed=s) for s in range(5)], [FitJob(seed=s) for s in range(5)]
    small = [learner() for _ in sets]
    fit_together(small, sets, jobs)
    alone = learner()
    alone.fit(*sets[4], job=jobs[4])
    x = sets[4][0]
    np.testing.assert_allclose(small[4].predict_scores(x), alone.predict_scores(x), atol=2e-4)


def test_what_cannot_be_batched_is_refused() -> None:
    assert suits(learner())
    assert not suits(learner(augment=("noise",)))
    assert not suits(learner(crop=0.5))
    with pytest.raises(ConfigError, match="cannot be trained together"):
        fit_together([learner(augment=("noise",))], [examples(8)], [FitJob()])
    with pytest.raises(ConfigError, match="one kind"):
        fit_together([learner(), learner(lr=0.1)], [examples(8)] * 2, [FitJob()] * 2)
    assert fit_together([], [], []) == []
