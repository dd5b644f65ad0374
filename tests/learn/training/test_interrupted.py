"""A run that is killed without warning and resumed ends as one that was left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from neuroloom.core.run import Run
from tests import makers

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
EPOCHS = 10


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "neuroloom", *map(str, words)]


def decode(data: Path, out: Path, epochs: int) -> list[str]:
    fields = ["--stop", "1", "--split", "run", "--budget", f"{epochs} epochs", "--out", out]
    return command("run", "signals.decode", data, "--model", "eegnet", "--json", *fields)


def finish(words: list[str]) -> None:
    subprocess.run(words, env=ENVIRONMENT, check=True, capture_output=True, timeout=300)


def kill_at(share: float, words: list[str], epochs: int) -> None:
    """Start a run and kill it once that share of its epochs is done."""
    with subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        for text in process.stdout:
            line = json.loads(text)
            if line["event"] == "progress" and line["role"] == "model":
                done = (line["fit"] - 1) * epochs + line["epoch"]
                if done >= share * line["fits"] * epochs:
                    process.send_signal(signal.SIGKILL)
                    break
    assert process.returncode == -signal.SIGKILL


def same(a: Path, b: Path) -> bool:
    names = ("model.safetensors", "baseline.safetensors", "metrics.json", "predictions.parquet")
    return all((a / name).read_bytes() == (b / name).read_bytes() for name in names)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return makers.write_runs(tmp_path_factory.mktemp("data"), runs=3)


@pytest.mark.long
def test_a_killed_run_resumes_to_the_same_weights_and_metrics(data, tmp_path):
    finish(decode(data, tmp_path / "whole", EPOCHS))
    kill_at(0.5, decode(data, tmp_path / "cut", EPOCHS), EPOCHS)
    assert Run(tmp_path / "cut").state == "running"
    finish(command("resume", tmp_path / "cut"))
    assert Run(tmp_path / "cut").state == "done"
    assert same(tmp_path / "whole", tmp_path / "cut")
    assert not (tmp_path / "cut/work").exists()


@pytest.mark.long
def test_a_run_killed_three_times_within_its_fits_does_too(data, tmp_path):
    epochs = 400
    finish(decode(data, tmp_path / "whole", epochs))
    resume = [*command("resume", tmp_path / "cut"), "--json"]
    for share, words in (
        (0.3, decode(data, tmp_path / "cut", epochs)),
        (0.5, resume),
        (0.7, resume),
    ):
        kill_at(share, words, epochs)
        assert list((tmp_path / "cut/work").glob("*.checkpoint.safetensors"))
    finish(command("resume", tmp_path / "cut"))
    assert same(tmp_path / "whole", tmp_path / "cut")
