"""The recipe: what it writes, a table of answers, and what is refused beforehand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from neuroloom.cognition.task import task
from neuroloom.cognition.tasks import Tasks
from neuroloom.core.errors import ConfigError, DataError


def answers(folder, n=600):
    rng = np.random.default_rng(0)
    x = rng.choice([1.0, 2, 4, 8, 16], n)
    right = rng.random(n) < 0.5 + 0.5 * (1 - np.exp(-x / 4))
    rt = 0.4 + 0.8 / x * np.tanh(x * 0.3) + 0.05 * rng.standard_normal(n)
    path = folder / "answers.csv"
    pd.DataFrame({"coherence": x, "right": right.astype(int), "rt": rt}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    recipe = Tasks(
        task=["perceptual-decision-making", "two-step", "reaching-delay-response"],
        trials=600, dt=50.0, kept=10, resamples=10, answers=str(answers(folder)),
    )  # fmt: skip
    return recipe.run(None, folder / "run")


def test_the_arrays_are_those_of_the_task(run):
    arrays = load_file(run.folder / "artifacts" / "trials-perceptual-decision-making.safetensors")
    own = task("perceptual-decision-making")
    expected = own.trials(600, torch.Generator().manual_seed(0), 50.0)
    assert torch.equal(arrays["inputs"], expected.inputs[:, :10])
    assert torch.equal(arrays["choice"], expected.choice[:, :10])
    assert torch.equal(arrays["condition/coherence"], expected.conditions["coherence"][:10])


def test_a_reader_of_sums_solves_what_needs_no_more(run):
    table = run.metrics.set_index("metric")
    value = table.loc["accuracy/perceptual-decision-making", "value"]
    assert 0.8 < value < 0.97  # coherence 0 is a toss, a fifth of the trials
    assert table.loc["r2/reaching-delay-response", "value"] > 0.98


def test_curves_of_a_given_table_are_drawn(run):
    curves = pd.read_parquet(run.folder / "artifacts" / "curves.parquet")
    assert set(curves["curve"]) == {"psychometric", "chronometric"}
    delay = curves.set_index("parameter").loc["delay"]
    assert delay["low"] <= 0.4 + 0.03
    assert delay["high"] >= 0.4 - 0.03


def test_context_is_beyond_a_linear_reader(tmp_path):
    made = Tasks(task=["context-decision-making"], trials=2000, dt=50.0, resamples=0)
    value = made.run(None, tmp_path / "run").metrics.set_index("metric").loc["accuracy", "value"]
    assert value < 0.85


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"fix": ["stimulus=uniform 500 200"]}, "lies above"),
        ({"fix": ["decision=until 10"]}, "contradicts itself"),
        ({"fix": ["stimulus"]}, "must be written"),
        ({"task": ["go-nogoo"]}, "Did you mean 'go-nogo'"),
        ({"task": ["go-nogo", "go-nogo"]}, "different tasks"),
        ({"x": "coherense"}, "Did you mean 'coherence'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(fields, words, tmp_path):
    with pytest.raises(ConfigError, match=words):
        Tasks(trials=20, **fields).run(None, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "no column 'right'"),
        ("coherence,right\n1,3\n", "row 2"),
        ("coherence,right\n1,1\n", "name it by x"),
    ],
)
def test_a_table_that_is_none_is_refused(text, words, tmp_path):
    path = tmp_path / "answers.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        Tasks(trials=20, answers=str(path)).run(None, tmp_path / "run")
