"""`signals.mvpa`: many models, one tidy table, honest tests, and no cell done twice."""

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.core.files import read_json
from neuroloom.core.run import Run
from neuroloom.signals.mvpa import Mvpa
from tests import makers

FIELDS = {
    "models": ["riemann", "csp-lda"],
    "start": 0.0,
    "stop": 1.0,
    "band": (4.0, 40.0),
    "permutations": 199,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return makers.write_runs(tmp_path_factory.mktemp("mvpa"), runs=3, trials=12)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "whole"
    return Mvpa(**FIELDS, over="whole", seeds=2).run(data, out)


def artifact(run: Run, name: str) -> pd.DataFrame:
    return pd.read_csv(run.folder / "artifacts" / f"{name}.csv")


def test_one_row_a_cell(whole: Run) -> None:
    table = artifact(whole, "scores")
    assert len(table) == 2 * 2 * 3
    assert not table.duplicated(["model", "split", "seed", "fold"]).any()
    assert table["n"].eq(12).all()


def test_table_summary_metrics_and_predictions_agree(whole: Run) -> None:
    rows = whole.predictions
    right = (rows["y_true"] == rows["y_pred"]).groupby(rows["model"]).mean()
    cells = artifact(whole, "scores").groupby("model")["accuracy"].mean()
    summary = artifact(whole, "summary").set_index("model")
    metrics = read_json(whole.folder / "metrics.json")
    for model in FIELDS["models"]:
        for value in (cells[model], summary["accuracy"][model]):
            assert value == pytest.approx(right[model])
        entry = metrics[f"accuracy/{model}"]
        assert entry["value"] == pytest.approx(right[model])
        assert entry["low"] <= entry["value"] <= entry["high"]
        assert metrics[f"p/{model}"]["value"] == pytest.approx(1 / 200)
    assert metrics["accuracy"] == metrics["accuracy/riemann"]
    np.testing.assert_allclose(rows[["p_left", "p_right"]].sum(axis=1), 1, atol=1e-6)


def test_labels_without_meaning_are_not_significant(tmp_path) -> None:
    data = makers.write_runs(tmp_path / "data", runs=3, trials=12, effect=0.0)
    run = Mvpa(**FIELDS, over="time", width=0.25, step=0.25).run(data, tmp_path / "out")
    summary = artifact(run, "summary")
    assert summary["p_corrected"].min() > 0.01
    assert (summary["p_corrected"] >= summary["p"] - 1e-12).all()


def test_over_time_and_between_times(data, tmp_path) -> None:
    fields = FIELDS | {"models": ["riemann"], "start": -0.75, "width": 0.25, "step": 0.25}
    run = Mvpa(**fields, over="generalise").run(data, tmp_path / "out")
    summary = artifact(run, "summary")
    assert len(summary) == 7**2
    inside = summary[(summary["time"] > 0) & (summary["time_test"] > 0)]
    before = summary[(summary["time"] > 0) & (summary["time_test"] < 0)]
    assert inside["accuracy"].mean() > 0.75
    assert abs(before["accuracy"].mean() - 0.5) < 0.1
    assert read_json(run.folder / "metrics.json")["peak_time"]["value"] > 0
    names = {a["name"] for a in read_json(run.folder / "artifacts" / "index.json")}
    assert {"course", "generalise-riemann", "scores", "summary"} <= names


def test_a_searchlight_peaks_at_the_planted_sensors(data, tmp_path) -> None:
    fields = FIELDS | {"models": ["riemann"], "over": "sensors", "radius": 1.0}
    run = Mvpa(**fields).run(data, tmp_path / "out")
    best = artifact(run, "summary").sort_values("accuracy", ascending=False)
    assert set(best["sensor"].head(2)) == {"C3", "C4"}
    assert (run.folder / "artifacts" / "searchlight.png").is_file()


def test_a_killed_run_goes_on_with_the_cells_that_are_missing(data, tmp_path, monkeypatch) -> None:
    done: list[str] = []
    fill = Mvpa._fill

    def fails_at_the_fourth(self, cell, *rest):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(cell.key)
        return fill(self, cell, *rest)

    study = Mvpa(**FIELDS, over="whole")
    monkeypatch.setattr(Mvpa, "_fill", fails_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        study.run(data, tmp_path / "out")
    run = Run(tmp_path / "out")
    assert run.state == "stopped"
    kept = {file.name: file.stat().st_mtime_ns for file in run.work_folder.glob("*.safetensors")}
    assert len(kept) == 3
    fits: list[int] = []
    monkeypatch.setattr(Mvpa, "_fill", fill)
    from neuroloom.signals import mvpa

    original = mvpa.fit_spots
    monkeypatch.setattr(mvpa, "fit_spots", lambda *a: fits.append(1) or original(*a))
    run.resume()
    assert run.state == "done"
    assert len(fits) == 3
    whole = study.run(data, tmp_path / "again")
    pd.testing.assert_frame_equal(artifact(run, "scores"), artifact(whole, "scores"))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"models": ["svn"]}, "Did you mean 'svm'"),
        ({"models": []}, "models must name one or more"),
        ({"models": ["riemann", "riemann"]}, "each once"),
        ({"start": 1.0, "stop": 0.5}, "must come after start"),
        ({"width": 3.0}, "longer than a trial"),
        ({"splits": ["month"]}, "splits"),
    ],
)
def test_mistakes_are_named(data, tmp_path, fields, said) -> None:
    with pytest.raises(ConfigError, match=said):
        Mvpa(**(FIELDS | fields)).run(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()
