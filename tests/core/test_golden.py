"""Runs of older versions still open: each folder in `tests/golden` was left by one of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from neuroloom.core.run import Run
from tests import makers

GOLDEN = sorted((Path(__file__).parents[1] / "golden").iterdir())


@pytest.fixture(params=GOLDEN, ids=lambda folder: folder.name)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    shutil.copytree(request.param, tmp_path / "run")
    return Run(tmp_path / "run")


def test_its_state_settings_and_scores_are_read(golden: Run) -> None:
    assert golden.state == "done"
    assert golden.recipe.name == "signals.decode"
    assert {"accuracy", "auc"} <= set(golden.metrics["metric"])
    assert len(golden.predictions)


def test_its_model_still_decodes(golden: Run, tmp_path: Path) -> None:
    new = makers.write(makers.recording(77), tmp_path / "new_eeg.edf")
    table = golden.predict(new)
    assert (table["label"] == table["decoded"]).mean() >= 0.8


def test_its_report_is_written_anew(golden: Run) -> None:
    assert "<html" in golden.report().read_text(encoding="utf-8")
