"""The two recipes as their users meet them."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json, write_json
from neuroloom.representation import Compare, Extract
from neuroloom.representation.items import parse_name, read_items
from tests.representation.shown import write_pictures, write_rdms

QUICK = {"resamples": 200, "permutations": 99}


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """A run of twelve pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    recipe = Extract(model="grid/resnet", size=32, layers=["body.?"], pool="mean", top=2)
    return recipe.run(write_pictures(folder / "p", 30, 24), folder / "run")


def write_features(folder, n=40, wide=60, voxels=15):
    """Responses of two subjects that read `good`, and features that are no use."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    good = rng.normal(size=(n, wide))
    for number in (1, 2):
        brain = good[:, :8] @ rng.normal(size=(8, voxels)) + 0.5 * rng.normal(size=(n, voxels))
        np.save(folder / f"sub-0{number}_v1.npy", brain)
    np.save(folder.parent / "good.npy", good[:, :20])
    np.save(folder.parent / "bad.npy", rng.normal(size=(n, 20)))
    return folder


def test_features_of_a_run_are_compared_layer_by_layer(features, tmp_path):
    run = Compare(method="cka").run(features.folder, tmp_path / "c")
    metrics = read_json(run.folder / "metrics.json")
    assert list(metrics) == [f"cka/resnet:body.{k}" for k in (1, 2, 3)]
    assert metrics["cka/resnet:body.1"]["value"] > metrics["cka/resnet:body.3"]["value"]


def test_what_is_read_of_a_run_must_not_change_before_a_replay(features, tmp_path):
    own = shutil.copytree(features.folder, tmp_path / "features")
    run = Compare(method="cka").run(own, tmp_path / "c")
    assert list(read_json(run.folder / "dataset.json")["files"]) == ["features/artifacts/features"]
    (own / "report.html").write_text("drawn anew")
    run.replay(tmp_path / "same")
    index = read_json(own / "artifacts" / "features" / "features.json")
    write_json(own / "artifacts" / "features" / "features.json", index | {"weights": "others"})
    with pytest.raises(DataError, match="features changed since this run began"):
        run.replay(tmp_path / "other")


def test_of_models_whose_files_are_called_alike_each_must_stay_as_it_is(tmp_path):
    """All were `features.npy` in the record, which knew the last of them alone.

    A model that was called as the reference ended the run: two columns of one name.
    """
    rng = np.random.default_rng(0)
    for place in ("data", "nets/a", "nets/b"):
        (tmp_path / place).mkdir(parents=True)
        np.save(tmp_path / place / "features.npy", rng.normal(size=(12, 6)))
    models = [str(tmp_path / "nets" / name / "features.npy") for name in "ab"]
    data = tmp_path / "data" / "features.npy"
    run = Compare(models=[*models, str(data)], **QUICK).run(data, tmp_path / "r")
    named = list(read_json(run.folder / "dataset.json")["files"])
    assert named == ["data_features.npy", "a_features.npy", "b_features.npy"]
    assert (run.folder / "predictions.parquet").is_file()
    np.save(models[0], rng.normal(size=(12, 6)))
    with pytest.raises(DataError, match="a_features.npy changed since this run began"):
        run.replay(tmp_path / "other")


def test_an_rsa_knows_the_model_from_noise(tmp_path):
    data = write_rdms(tmp_path / "d")
    metrics = read_json(
        Compare(reference=["it"], **QUICK).run(data, tmp_path / "r").folder / "metrics.json"
    )
    truth, noise = (metrics[f"by_subject/model-{name}"] for name in ("truth", "noise"))
    assert truth["low"] > 0.5
    assert noise["low"] < 0 < noise["high"]
    assert metrics["ceiling_lower"]["value"] < metrics["ceiling_upper"]["value"]
    assert truth["value"] > metrics["ceiling_lower"]["value"]


@pytest.mark.parametrize("method", ["encode", "decode", "banded"])
@pytest.mark.parametrize("regression", ["ridge", "pls"])
def test_responses_are_predicted_by_the_features_behind_them(tmp_path, method, regression):
    if method == "banded" and regression == "pls":
        pytest.skip("banded regression is ridge")
    data = write_features(tmp_path / "v")
    models = [str(tmp_path / f"{name}.npy") for name in ("good", "bad")]
    recipe = Compare(method=method, models=models, regression=regression, **QUICK)
    run = recipe.run(data, tmp_path / "run")
    metrics = read_json(run.folder / "metrics.json")
    names = ("all", "without good") if method == "banded" else ("good", "bad")
    good, bad = (next(v for k, v in metrics.items() if k.endswith(f"/{n}")) for n in names)
    # Eight of twenty features can be decoded.
    assert good["low"] > max(0.1 if method == "decode" else 0.2, bad["value"])
    assert bad["low"] < 0.1
    assert abs(good["chance"]) < 0.05
    table = pd.read_parquet(run.folder / "artifacts" / "differences.parquet")
    assert table["difference"].abs().max() > 0.3


def test_a_probe_with_a_table_of_classes(features, tmp_path):
    names = read_json(features.folder / "dataset.json")["stimuli"]
    classes = ["a" if name.startswith("a") else "b" for name in names]
    pd.DataFrame({"name": names, "class": classes}).to_csv(tmp_path / "l.csv", index=False)
    run = Compare(method="probe", labels=str(tmp_path / "l.csv"), folds=3).run(
        features.folder, tmp_path / "p"
    )
    metrics = read_json(run.folder / "metrics.json")
    entry = metrics["accuracy/resnet:body.1"]
    assert entry["chance"] == 0.5
    assert entry["low"] < 0.75  # noise pictures: there is nothing to read
    (tmp_path / "short.csv").write_text("class\na\nb\n")
    with pytest.raises(DataError, match="2 classes for 30 stimuli"):
        Compare(method="probe", labels=str(tmp_path / "short.csv")).run(
            features.folder, tmp_path / "q"
        )


def test_odd_ones_are_chosen_by_features(tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(40, 2))
    np.save(tmp_path / "x.npy", np.hstack([truth, 0.5 * rng.normal(size=(40, 6))]))
    drawn = np.array([rng.permutation(40)[:3] for _ in range(2000)])
    alike = truth @ truth.T
    pairs = np.stack([alike[drawn[:, a], drawn[:, b]] for a, b in ((0, 1), (0, 2), (1, 2))], 1)
    orders = np.array([[0, 1, 2], [0, 2, 1], [1, 2, 0]])[pairs.argmax(1)]
    np.savetxt(tmp_path / "t.csv", np.take_along_axis(drawn, orders, 1), "%d", delimiter=",")
    run = Compare(method="odd-one-out", labels="t.csv").run(tmp_path / "x.npy", tmp_path / "r")
    metrics = read_json(run.folder / "metrics.json")
    assert metrics["agreement/x"]["low"] > metrics["agreement/x"]["chance"]
    assert metrics["agreement/x, aligned"]["value"] >= metrics["agreement/x"]["value"] - 0.05


def test_stimuli_are_matched_by_name(tmp_path):
    rng = np.random.default_rng(0)
    names, values = [f"s{k}" for k in range(12)], rng.normal(size=(12, 5))
    order = rng.permutation(12)
    for file, rows in (("a", np.arange(12)), ("b", order)):
        table = pd.DataFrame(values[rows], columns=list("vwxyz"))
        table.insert(0, "stimulus", [names[k] for k in rows])
        table.to_csv(tmp_path / f"{file}.csv", index=False)
    run = Compare(models=["b.csv"], **QUICK).run(tmp_path / "a.csv", tmp_path / "r")
    assert read_json(run.folder / "metrics.json")["similarity/b"]["value"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "say which one|with the first|only"),
        ({"reference": ["itt"]}, "Did you mean 'it'"),
        ({"models": ["nothing.npy"], "reference": ["it"]}, "no such file"),
        ({"method": "encode", "reference": ["it"]}, "needs features"),
        ({"method": "probe"}, "needs `labels`"),
        ({"reference": ["it"], "layers": ["x*"], "models": ["few.npy"]}, "hold|holds no"),
    ],
)
def test_a_mistake_is_answered(tmp_path, fields, says):
    data = write_rdms(tmp_path / "d")
    np.save(tmp_path / "d" / "few.npy", np.zeros((5, 3)))
    (tmp_path / "d" / "few.npy").rename(tmp_path / "few.npy")
    if "few.npy" in fields.get("models", ()):
        fields = fields | {"models": [str(tmp_path / "few.npy")]}
    if not fields:
        Compare(**QUICK).run(data, tmp_path / "r")  # all with all
        return
    with pytest.raises((ConfigError, DataError), match=says):
        Compare(**fields, **QUICK).run(data, tmp_path / "r")


def test_counts_of_stimuli_that_differ_are_named(tmp_path):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(9, 4)))
    np.save(tmp_path / "b.npy", np.random.default_rng(0).normal(size=(8, 4)))
    with pytest.raises(DataError, match="'b' has 8 stimuli"):
        Compare(models=["b.npy"], **QUICK).run(tmp_path / "a.npy", tmp_path / "r")


def test_what_can_be_seen_is_in_the_run(tmp_path):
    recipe = Extract(
        model="grid/resnet", size=32, layers=["body.1", "body.3"], shown=1, fields=True,
        maps=["grad-cam", "saliency", "guided", "smooth", "occlusion"], synthesise=1,
    )  # fmt: skip
    run = recipe.run(write_pictures(tmp_path / "p"), tmp_path / "run")
    folder = run.folder / "artifacts"
    for kind in recipe.maps:
        with np.load(folder / f"maps-{kind}.npz") as maps:
            assert all(maps[key].shape == (1, 32, 32) for key in maps.files), kind
    fields = pd.read_parquet(folder / "fields.parquet")
    assert fields["can see"].tolist()[0] != fields["can see"].tolist()[1]


def test_wrong_layers_and_masks_stop_before_anything_is_written(tmp_path):
    data = write_pictures(tmp_path / "p")
    for fields, says in (
        ({"layers": ["body.7"]}, "Did you mean"),
        ({"mask": "none.csv"}, "no file"),
        ({"tokens": "cls", "layers": ["body.1"]}, "has no tokens"),
        ({"weights": "none.pt"}, "no file"),
    ):
        with pytest.raises((ConfigError, DataError), match=says):
            Extract(model="grid/resnet", size=32, **fields).run(data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_names_tell_subjects_and_sessions():
    assert parse_name("simJudge | subject1") == ("simJudge", "subject1")
    assert parse_name("sub-03_ses-1_hIT") == ("hIT", "03")
    assert parse_name("plain") == ("plain", "")


def test_the_behaviour_of_sixteen_people(test_data):
    items = read_items(test_data / "cognition/rsa92/92_behavRDMs.mat")
    assert len(items) == 16
    assert {item.group for item in items} == {"simJudge"}
    assert all(item.count == 92 for item in items)
