"""connectivity.graphs as a whole: planted modules, confounds, types of nodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroloom.connectivity import Graphs
from neuroloom.connectivity.connectomes.confounds import association, within_levels
from neuroloom.core.errors import ConfigError
from neuroloom.core.files import read_json
from tests import wired

FIELDS = {"folds": 3, "budget": "3 epochs"}


def stack(folder: Path, planted: wired.Planted) -> Path:
    """Write all connectomes in one file."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "all.npz", corr=planted.x, label=planted.y, site=planted.site)
    return folder / "all.npz"


def titles(run) -> dict[str, str]:
    return {row["title"]: row["severity"] for row in read_json(run.folder / "audit.json")}


@pytest.fixture(scope="module")
def planted_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    planted = wired.plant(120, 24, module=6, d=1.0, seed=3)
    fields = FIELDS | {"model": "ridge"}
    return planted, Graphs(**fields).run(stack(folder, planted), folder / "run")


def test_a_planted_module_is_found_with_its_regions(planted_run):
    planted, run = planted_run
    metrics = read_json(run.folder / "metrics.json")
    assert metrics["auc"]["value"] > 0.85
    regions = pd.read_csv(run.folder / "artifacts/regions.csv")
    assert set(regions["region"][:6]) == set(planted.module)
    sure = regions["region"][regions["p (corrected)"] < 0.05]
    assert len(set(sure) - set(planted.module)) <= 1
    edges = pd.read_csv(run.folder / "artifacts/edges.csv").head(6)
    inside = edges["from"].isin(planted.module) & edges["to"].isin(planted.module)
    assert inside.sum() >= 5


def test_sites_in_balance_are_no_confound(planted_run):
    _, run = planted_run
    assert "A confound: site" not in titles(run)
    metrics = read_json(run.folder / "metrics.json")
    assert abs(metrics["auc/within site"]["value"] - metrics["auc"]["value"]) < 0.1


def test_a_confounded_set_is_objected_to_and_stamped(tmp_path):
    planted = wired.plant(120, 16, module=4, d=0.0, confounded=0.9, seed=1)
    run = Graphs(**FIELDS, model="ridge").run(stack(tmp_path, planted), tmp_path / "run")
    assert titles(run)["A confound: site"] == "objection"
    metrics = read_json(run.folder / "metrics.json")
    assert metrics["auc"]["value"] > 0.75
    assert metrics["auc/site alone"]["value"] > 0.75
    assert metrics["auc/within site"]["low"] <= 0.5
    notes = " ".join(read_json(run.folder / "facts.json")["notes"])
    assert "what was learnt is the site" in notes
    assert "A confound: site" in (run.folder / "report.html").read_text()


def test_a_column_that_is_the_label_is_an_objection(tmp_path):
    wired.write_connectomes(tmp_path / "d", n=40)
    table = pd.read_csv(tmp_path / "d/participants.tsv", sep="\t")
    table["atlas"] = table["diagnosis"].map({"control": "C57", "patient": "BTBR"})
    table.to_csv(tmp_path / "d/participants.tsv", sep="\t", index=False)
    run = Graphs(**FIELDS, model="degree", target="diagnosis").run(tmp_path / "d", tmp_path / "r")
    assert titles(run)["A confound: atlas"] == "objection"
    assert "The class is the file" not in titles(run)
    assert "Label and column say the same" in (run.folder / "audit.json").read_text()


def test_sites_are_left_out_whole(tmp_path):
    planted = wired.plant(60, 8, module=4, d=1.5)
    fields = {"model": "ridge", "split": "site", "explain": False}
    run = Graphs(**fields).run(stack(tmp_path, planted), tmp_path / "run")
    folds = read_json(run.folder / "dataset.json")["split"]["folds"]
    assert [fold["name"] for fold in folds] == [f"site {k}" for k in range(4)]
    where = dict(zip((f"{k:02d}" for k in range(60)), planted.site, strict=True))
    assert all(len({where[name] for name in fold["test"]}) == 1 for fold in folds)


def test_leave_one_out_is_flagged(tmp_path):
    data = stack(tmp_path, wired.plant(24, 6, module=3))
    run = Graphs(model="degree", folds=24, explain=False).run(data, tmp_path / "run")
    assert titles(run)["Leave-one-out is biased"] == "warning"


def test_nothing_planted_is_nothing_found(tmp_path):
    planted = wired.plant(120, 16, module=4, d=0.0, seed=5)
    run = Graphs(**FIELDS, model="ridge").run(stack(tmp_path, planted), tmp_path / "run")
    assert read_json(run.folder / "metrics.json")["auc"]["low"] < 0.5
    regions = pd.read_csv(run.folder / "artifacts/regions.csv")
    assert (regions["p (corrected)"] < 0.05).sum() <= 1


@pytest.mark.parametrize(
    "model", ["gcn", "gat", "gin", "brainnetcnn", "braingnn", "transformer", "dual"]
)
def test_every_net_learns_a_class_and_a_number(model):
    from neuroloom.learn.model import find_model
    from neuroloom.learn.training.fit import FitJob

    planted = wired.plant(80, 10, module=5, d=1.5, seed=2)
    facts = {"nodes": list("abcdefghij"), "directed": False, "level": "graph"}
    for task, y in (("classification", planted.y), ("regression", planted.y + 0.01)):
        learner = find_model(model, "graph").make(facts, task, 2 if task[0] == "c" else 1)
        learner.fit(planted.x[:60], y[:60], job=FitJob(epochs=3))
        scores = learner.predict_scores(planted.x[60:])
        told = scores[:, 1] - scores[:, 0] if scores.ndim == 2 else scores
        assert np.corrcoef(told, planted.y[60:])[0, 1] > 0.4, task
        again = find_model(model, "graph").rebuild(learner.spec)
        again.load(learner.state())
        assert np.array_equal(again.predict_scores(planted.x[60:]), scores)


def test_association_agrees_with_scipy():
    from scipy.stats import contingency

    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 3, 3000), rng.integers(0, 2, 3000)
    b[a == 0] = 0
    wanted = contingency.association(pd.crosstab(a, b).to_numpy(), method="cramer")
    found = association(pd.Series(a).astype(str), pd.Series(b).astype(str))[0]
    assert abs(found - wanted) < 0.01  # the correction of Bergsma is small here


def test_within_sites_a_pure_site_score_is_chance():
    rng = np.random.default_rng(0)
    site = rng.integers(0, 2, 400)
    y = (rng.random(400) < 0.2 + 0.6 * site).astype(int)
    value, low, high = within_levels(y, site + 0.01 * rng.random(400), site, rng)
    assert low < 0.5 < high
    assert abs(value - 0.5) < 0.1


def test_models_of_the_other_level_are_refused(tmp_path):
    data = stack(tmp_path, wired.plant(24, 6, module=3))
    with pytest.raises(ConfigError, match="types does not learn whole graphs"):
        Graphs(model="types").run(data, tmp_path / "run")


@pytest.fixture(scope="module")
def two_graphs(tmp_path_factory) -> Path:
    """Two graphs of three types in blocks, of unlike size."""
    folder = tmp_path_factory.mktemp("types")
    rng = np.random.default_rng(0)
    rate = np.array([[0.2, 3.0, 0.1], [0.3, 0.2, 2.0], [1.0, 0.1, 0.5]])
    for side, n in (("left", 60), ("right", 66)):
        kind = np.arange(n) % 3
        np.savetxt(folder / f"{side}_adjacency.csv", rng.poisson(rate[kind][:, kind]), fmt="%d")
        (folder / f"{side}_labels.csv").write_text("\n".join("KPO"[k] for k in kind) + "\n")
    return folder


@pytest.mark.parametrize("model", ["auto", "gat", "knn", "forest"])
def test_types_carry_over_to_another_graph(two_graphs, tmp_path, model):
    run = Graphs(model=model, budget="30 epochs").run(two_graphs, tmp_path / "run")
    metrics = read_json(run.folder / "metrics.json")
    assert metrics["accuracy"]["value"] > 0.9
    assert {"recall/K", "recall/O", "recall/P", "accuracy/degree"} <= set(metrics)
    assert run.predict(two_graphs)["predicted"].isin(list("KPO")).all()


@pytest.mark.long
@pytest.mark.parametrize(("train", "test"), [("left", "right"), ("right", "left")])
def test_the_mushroom_body_from_one_side_to_the_other(tmp_path, test_data, train, test):
    data = test_data / "graphs/drosophila_mb"
    run = Graphs(test=[f"{test}_adjacency.csv"]).run(data, tmp_path / "run")
    metrics = read_json(run.folder / "metrics.json")
    assert metrics["accuracy"]["value"] >= 0.95
    assert metrics["recall/I"]["value"] >= 0.80
    assert metrics["recall/O"]["value"] >= 0.80


@pytest.mark.long
@pytest.mark.parametrize("model", ["auto", "gcn", "transformer"])
def test_planted_connectomes_of_full_size(tmp_path, model):
    planted = wired.plant(seed=11)
    data = stack(tmp_path, planted)
    run = Graphs(model=model, split="site", budget="10min").run(data, tmp_path / "run")
    auc = read_json(run.folder / "metrics.json")["auc"]
    assert auc["value"] >= auc["baseline"] - 0.01
    regions = pd.read_csv(run.folder / "artifacts/regions.csv").head(12)
    assert regions["region"].isin(planted.module).sum() >= 9
