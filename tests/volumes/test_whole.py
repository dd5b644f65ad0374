"""Classification and regression of whole images: grids, targets, splits, choosing, objections."""

from __future__ import annotations

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import zoom

from neuroloom.core.dataset import Dataset
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json
from neuroloom.core.recording import image, volume
from neuroloom.io.cases import find_cases
from neuroloom.io.images import read_image, write_image
from neuroloom.volumes.classify import Classify
from neuroloom.volumes.regress import Regress
from neuroloom.volumes.whole.checks import audit_whole
from neuroloom.volumes.whole.columns import read_columns
from neuroloom.volumes.whole.data import Wish, read_whole
from neuroloom.volumes.whole.frames import Frame, choose_frame, put_mask_on, put_on
from neuroloom.volumes.whole.targets import labels_of
from tests.grids import blob, write_blobs, write_contrasts, write_slices

SLICES = {"pattern": "{subject}_{slice}", "budget": "1 epochs", "size": 16}


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    return write_blobs(tmp_path_factory.mktemp("blobs"), cases=9)


@pytest.fixture(scope="module")
def slices(tmp_path_factory):
    return write_slices(tmp_path_factory.mktemp("slices"))


def test_a_common_grid_holds_all_but_outliers():
    same = [(1.0, 1.0, 1.0)] * 4
    assert choose_frame([(30, 50, 30), (34, 40, 38), (32, 44, 30), (30, 40, 30)], same).shape == (
        34, 50, 38,
    )  # fmt: skip
    assert choose_frame([(30, 50, 30)] * 3 + [(30, 500, 30)], same).shape[1] < 76
    coarse = choose_frame([(256, 256, 40)], [(1.0, 1.0, 4.0)], longest=64)
    assert coarse.spacing == (4.0, 4.0, 4.0)
    assert coarse.shape == (64, 64, 40)
    with pytest.raises(DataError, match="2-D"):
        choose_frame([(4, 4), (4, 4, 4)], [(1, 1), (1, 1, 1)])


def test_averaging_is_the_mean_over_blocks_and_enlarging_interpolates():
    image = np.random.default_rng(0).normal(size=(1, 8, 6)).astype(np.float32)
    small = put_on(image, (1.0, 1.0), Frame((4, 3), (2.0, 2.0)))
    np.testing.assert_allclose(small, image.reshape(1, 4, 2, 3, 2).mean((2, 4)), atol=1e-6)
    large = put_on(image, (1.0, 1.0), Frame((16, 12), (0.5, 0.5)))[0]
    expected = zoom(image[0], 2, order=1, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(large[1:-1, 1:-1], expected[1:-1, 1:-1], atol=1e-5)


def test_a_mask_keeps_its_volume_on_a_coarser_grid():
    _, mask = blob(3, (24, 20, 22))
    frame = Frame((12, 10, 11), (2.0, 2.0, 2.0))
    share = put_mask_on(mask, (1.0, 1.0, 1.0), frame) / 255
    assert share.sum() * frame.place == pytest.approx(mask.sum(), rel=0.01)


def test_volumes_are_counted_on_the_labels_own_grid(tmp_path):
    data = write_blobs(tmp_path, cases=3, spacing=2.0)
    found = find_cases(data)
    whole = read_whole(found, Wish("regression", "label:volume", size=8, maps=True))
    expected = [blob(k)[1].sum() * 8.0 for k in range(3)]
    np.testing.assert_allclose(whole.table["label"], expected)
    np.testing.assert_allclose(whole.y, expected)
    maps = whole.from_maps().y
    summed = maps.reshape(3, -1).sum(1) / 255 * whole.facts["unit_volume"]
    np.testing.assert_allclose(summed, expected, rtol=0.02)
    with pytest.raises(DataError, match="no class 'front'"):
        read_whole(found, Wish("regression", "label:volume:front"))
    with pytest.raises(ConfigError, match="only its volume"):
        read_whole(found, Wish("regression", "label:surface"))


def test_sizes_in_um_are_brought_to_the_unit_of_the_others_and_of_the_run(tmp_path):
    data = write_blobs(tmp_path / "d", cases=3, spacing=2.0)
    wish = Wish("regression", "label:volume", size=8)
    plain = read_whole(find_cases(data), wish)
    for half in ("images", "labels"):
        path = data / half / "case_02.nii.gz"
        voxels = read_image(path).values
        write_image(
            path.with_name("case_02.tif"), volume(voxels, np.diag([2e3] * 3 + [1]), unit="um")
        )
        path.unlink()
    mixed = read_whole(find_cases(data), wish)
    assert mixed.facts["unit"] == "mm"
    np.testing.assert_allclose(mixed.x, plain.x, atol=1e-4)
    np.testing.assert_allclose(mixed.table["label"], plain.table["label"])
    kept = plain.facts | {"classes": []}
    alone = read_whole(find_cases(data, ["case_02*"]), wish, kept)
    np.testing.assert_allclose(alone.x, plain.x[2:], atol=1e-4)
    write_image(data / "images/case_02.tif", volume(voxels, np.eye(4), unit="px"))
    with pytest.raises(DataError, match="case_02: its pixels are in px"):
        read_whole(find_cases(data, ["case_02*"]), wish, kept)
    with pytest.raises(DataError, match="one unit is needed"):
        read_whole(find_cases(data), wish)


def test_new_images_need_no_label_where_the_run_had_globs_of_them(tmp_path):
    source = write_blobs(tmp_path / "d", cases=3)
    globs = {"images": ["images/*"], "labels": ["labels/*"]}
    study = Regress(target="label:volume", size=8, **globs)
    learnt = study.read(source)
    for path in (source / "labels").iterdir():
        path.unlink()
    new = study.read_new({"axes": learnt.facts, "classes": []}, source)
    np.testing.assert_allclose(new.x, learnt.x)
    assert new.table["label"].isna().all()
    with pytest.raises(DataError, match=r"nothing matches images/\*"):
        study.read_new({"axes": learnt.facts, "classes": []}, source / "images")


def test_columns_of_a_table_join_the_image(blobs):
    table = pd.read_csv(blobs / "ages.csv")
    table["sex"] = ["F", "M", ""] * 3
    table.to_csv(blobs / "more.csv", index=False)
    found = find_cases(blobs / "more.csv")
    whole = read_whole(found, Wish("classification", "sex", tabular=("age",)))
    assert len(whole.labelled()) == 6
    assert whole.classes == ["F", "M"]
    np.testing.assert_allclose(whole.x[:, 1, 0, 0, 0], table["age"], rtol=1e-6)
    assert np.ptp(whole.x[:, 1].reshape(9, -1), axis=1).max() == 0
    with pytest.raises(DataError, match="no column 'agee'.*'age'"):
        read_whole(found, Wish("classification", "sex", tabular=("agee",)))
    with pytest.raises(DataError, match="no number"):
        read_whole(found, Wish("regression", "sex"))


def test_the_target_cannot_join_the_image(blobs):
    found = find_cases(blobs / "ages.csv")
    for target in ("age", None):  # a table of one column has no other target
        with pytest.raises(ConfigError, match="'age' is what is to be learnt"):
            read_whole(found, Wish("regression", target, tabular=("age",)))


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_columns_that_give_the_target_away_are_warned_of(task):
    rng = np.random.default_rng(0)
    numbers = rng.normal(50, 9, 60)
    grades = np.arange(60) % 3
    rows = pd.DataFrame({"name": [str(k) for k in range(60)], "label": numbers})
    copies = {"copy": numbers * 12, "other": rng.normal(size=60)}
    if task == "classification":
        rows["label"] = [f"g{grade}" for grade in grades]
        copies = {"copy": grades, "second": grades == 1, "other": rng.normal(size=60)}
    copies["copy"] = np.where(np.arange(60) == 7, np.nan, copies["copy"])
    x = np.ones((60, 1 + len(copies), 4, 4), np.float32) * rng.normal(size=(60, 1, 4, 4))
    x[:, 1:] = np.stack(list(copies.values()), 1)[..., None, None]
    facts = {"channels": ["image"], "columns": [[name, []] for name in copies]}
    classes = ["g0", "g1", "g2"] if task == "classification" else []
    titles = [one.title for one in audit_whole(Dataset(rows, x, task, classes, facts))]
    given = ["copy", "second"] if task == "classification" else ["copy"]
    assert titles == [f"The column {name} gives the answer away" for name in given]
    facts["columns"] = [["copy", ["g0", "g1", "g2"]]]
    x[:, 1:3] = (grades[:, None] == [1, 2])[..., None, None]
    if task == "classification":  # two indicators are one column
        assert len(audit_whole(Dataset(rows, x, task, classes, facts))) == 1


def test_all_cases_that_cannot_serve_are_listed_at_once(tmp_path):
    data = write_blobs(tmp_path, cases=6)
    bad, mask = blob(1)
    bad[0, 0, 0] = np.nan
    write_image(data / "images/case_01.nii.gz", volume(bad.T, np.eye(4)))
    flipped = volume(mask.T.astype(np.uint8), np.diag([-1.0, 1.0, 1.0, 1.0]))
    write_image(data / "labels/case_04.nii.gz", flipped)
    with pytest.raises(DataError, match=r"(?s)case_01.*1 of 2016 voxels are NaN.*case_04.*flipped"):
        Regress(target="label:volume").prepare(data)
    with pytest.raises(DataError, match=r"1 problem in 1 case;.*\n- case_01"):
        Regress(target="age").prepare(data / "ages.csv")


def test_slices_stay_with_their_subject_unless_random_is_asked_for(slices):
    prepared = Classify(**SLICES).prepare(slices)
    assert "The class is the file" not in {found.title for found in prepared.findings}
    subjects = prepared.dataset.table["subject"].to_numpy()
    assert prepared.by == "subject"
    assert all(not set(subjects[f.train]) & set(subjects[f.test]) for f in prepared.folds)
    random = Classify(**SLICES, split="random").prepare(slices)
    assert [f.severity for f in random.findings if "Random" in f.title] == ["objection"]
    with pytest.raises(DataError, match="subject s0 on both sides"):
        Classify(**SLICES, test=["s*_0.png"]).prepare(slices)
    with pytest.raises(DataError, match="both sides"):
        Classify(**SLICES, split="run").prepare(slices)


def test_a_split_column_is_followed_unless_it_tears_a_subject_apart(slices):
    rows = [
        {"image": str(path.relative_to(slices)), "subject": path.name[:2], "kind": path.parent.name,
         "split": "test" if path.name[1] in "67" else "train"}
        for path in sorted(slices.rglob("*.png"))
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    table.to_csv(slices / "good.csv", index=False)
    table.loc[table["subject"] == "s6", "split"] = ["train", "test"]
    table.to_csv(slices / "torn.csv", index=False)
    prepared = Classify(target="kind", budget="1 epochs").prepare(slices / "good.csv")
    assert len(prepared.folds) == 1
    assert set(prepared.folds[0].units) == {"s6", "s7"}
    with pytest.raises(DataError, match="subject s6 on both sides"):
        Classify(target="kind", budget="1 epochs").prepare(slices / "torn.csv")


def test_one_subject_is_no_evidence(slices):
    one = Classify(split="random", budget="1 epochs", size=16).prepare(slices)
    assert "One subject: no evidence" in [
        f.title for f in one.findings if f.severity == "objection"
    ]
    with pytest.raises(DataError, match=r"Say what is to be learnt"):
        Classify().prepare(slices / "disc")


def test_models_are_chosen_inside_each_fold(tmp_path):
    slices = write_slices(tmp_path / "data", subjects=12, slices=1)
    study = Classify(**SLICES, models=["vgg", "pca"], folds=2, inner_folds=2)
    run = study.run(slices, tmp_path / "run")
    assert set(run.predictions.query("role == 'model'")["model"]) == {"chosen (vgg, pca)"}
    events = pd.read_json(run.folder / "log.jsonl", lines=True)
    chosen = events[events["event"] == "chosen"]
    assert len(chosen) == 2
    best = chosen[["vgg", "pca"]].idxmin(axis=1)
    assert (best == chosen["model"]).all()
    assert len(run.predict(slices)) == 12
    assert (run.folder / "card.md").read_text().startswith("# chosen (vgg, pca) (volumes.classify)")
    training = read_json(run.folder / "facts.json")["training"]
    assert {"label": "Model", "value": "chosen (vgg, pca)"} in training
    run.evaluate(slices, out=tmp_path / "new")
    scored = pd.read_parquet(tmp_path / "new/predictions.parquet")
    assert scored.groupby("role")["model"].unique().str.join("").to_dict() == {
        "baseline": "pca", "model": "chosen (vgg, pca)"
    }  # fmt: skip
    with pytest.raises(ConfigError, match="two different"):
        Classify(models=["resnet"]).prepare(slices)


def test_classes_are_weighed_alike_by_every_net_that_has_a_loss_of_classes(slices):
    examples = Classify(**SLICES).read(slices)
    for name in ("resnet", "vgg", "seresnet"):
        study = Classify(**SLICES, model=name, balance=True)
        model = study.find(name)
        study._refuse_idle_settings(model)
        if name != "seresnet":
            assert study._maker(model, examples)().training.balance
    with pytest.raises(ConfigError, match="balance means nothing to model=integral"):
        Classify(**SLICES, model="integral", balance=True).prepare(slices)
    with pytest.raises(ConfigError, match="balance is for nets and means nothing to model=pca"):
        Classify(**SLICES, model="pca", balance=True).prepare(slices)


def test_the_time_is_shared_among_candidates_and_the_refit(slices, monkeypatch):
    from neuroloom.learn.training import cost
    from neuroloom.volumes.whole.choose import plan_choice

    monkeypatch.setattr(cost, "cost_of_fit", lambda *_: cost.Cost(epoch=1.0, steps=1, around=0.5))
    fields = SLICES | {"budget": "115s", "models": ["resnet", "pca"], "folds": 2, "inner_folds": 2}
    plans = []
    for final in (None, "refit"):
        study = Classify(**fields, final=final)
        plans.append(plan_choice(study, study.prepare(slices), SimpleNamespace(elapsed=0.0)))
    # 100 s; two folds, with the refit as good as four, of two inner fits on halves and one on all
    assert [plan.epochs for plan in plans] == [21, 10]
    assert [plan.seconds for plan in plans] == pytest.approx([97 / 4, 94 / 8 * 2])


def test_labels_dealt_anew_are_not_learnt(tmp_path):
    data = write_blobs(tmp_path / "data", cases=30)
    fields = {"target": "label:volume", "model": "pca", "folds": 5, "size": 8}
    run = Classify(**fields, shuffle=True).run(data, tmp_path / "shuffled")
    auc = read_json(run.folder / "metrics.json")["auc"]
    assert auc["low"] <= 0.5 <= auc["high"]
    right = Classify(**fields).run(data, tmp_path / "right")
    assert read_json(right.folder / "metrics.json")["auc"]["low"] > 0.6


def test_small_and_large_are_told_apart_by_masks(tmp_path):
    data = write_blobs(tmp_path / "data", cases=30)
    fields = {"target": "label:volume", "folds": 3, "budget": "8 epochs", "width": 4, "size": 12}
    right = Classify(**fields).run(data, tmp_path / "right")
    auc = read_json(right.folder / "metrics.json")["auc"]
    assert auc["value"] > 0.95
    assert set(right.predictions["model"]) == {"integral", "pca"}
    found = right.predict(data / "images")
    assert len(found) == 30
    sizes = np.array([blob(k)[1].sum() for k in range(30)])
    large = found.sort_values("name")["predicted"].to_numpy() == "large"
    assert ((sizes > np.median(sizes)) == large).mean() > 0.85


def test_where_size_is_learnt_no_image_is_resized(blobs, slices):
    for data, target, resize in ((blobs, "label:volume", False), (slices, "folder", True)):
        study = Classify(**SLICES, target=target, model="resnet")
        learner = study._maker(study.find("resnet"), study.read(data))()
        assert learner.learning["resize"] == resize


def _contrasts(folder, order, **columns):
    """Write four slices in contrasts whose greys tell them apart, and a table of them."""
    rows = []
    for k in range(4):
        paths = {name: f"{name}_{k}.png" for name in order}
        for name, path in paths.items():
            steps = np.arange(64).reshape(1, 8, 8) * (k + 1) % 64
            values = steps if name == "T1" else 63 - steps if name == "T2" else steps // 2
            write_image(folder / path, image(values.astype(np.uint8)))
        rows.append({f"image_{name}": path for name, path in paths.items()})
    table = pd.DataFrame(rows).assign(subject=[f"s{k}" for k in range(4)], **columns)
    table.to_csv(folder / "cases.csv", index=False)
    return folder / "cases.csv"


def _facts(dataset):
    return {"axes": dataset.facts, "classes": dataset.classes}


def test_channels_go_by_their_names_in_new_images(tmp_path):
    for name in ("one", "two", "three", "alone"):
        (tmp_path / name).mkdir()
    ages = {"age": [20.0, 30.0, 40.0, 50.0]}
    study = Regress(target="age", size=8)
    learnt = study.read(_contrasts(tmp_path / "one", ["T1", "T2"], **ages))
    swapped = study.read_like(
        _facts(learnt), _contrasts(tmp_path / "two", ["T2", "T1"], **ages), []
    )
    np.testing.assert_array_equal(swapped.x, learnt.x)
    with pytest.raises(DataError, match="FLAIR, the run learnt T1, T2: it does not know FLAIR"):
        study.read_new(_facts(learnt), _contrasts(tmp_path / "three", ["T1", "T2", "FLAIR"]))
    _contrasts(tmp_path / "alone", ["T1"]).unlink()
    with pytest.raises(DataError, match="T1_0: has 1 channel, the run learnt from 2: T1, T2"):
        study.read_new(_facts(learnt), tmp_path / "alone")


def test_contrasts_of_a_subject_are_channels_of_one_example(tmp_path):
    data = write_contrasts(tmp_path / "bids", subjects=3)
    people = "".join(f"sub-{k}\t{20 + k}\n" for k in range(3))
    (data / "participants.tsv").write_text("participant_id\tage\n" + people)
    apart = Regress(target="age", size=8).read(data)
    assert len(apart) == 6
    assert "`channels` (T1w, T2w)" in next(
        one.detail for one in apart.findings if one.title == "Contrasts stand apart"
    )
    study = Regress(target="age", size=8, channels=["T2w", "T1w"])
    learnt = study.read(data)
    assert learnt.x.shape[:2] == (3, 2)
    assert learnt.facts["channels"] == ["T2w", "T1w"]
    assert learnt.table["label"].tolist() == [20, 21, 22]
    by_name = next(one for one in apart.table.itertuples() if one.name == "sub-0_T1w")
    np.testing.assert_allclose(learnt.x[0, 1], apart.x[by_name.Index, 0], atol=1e-6)
    new = study.read_new(_facts(learnt), write_contrasts(tmp_path / "new", subjects=2))
    np.testing.assert_allclose(new.x, learnt.x[:2], atol=1e-6)
    lacking = write_contrasts(tmp_path / "lacking", subjects=2, lacking=("sub-1_T2w",))
    with pytest.raises(DataError, match="sub-1 have fewer than the 2 channels"):
        study.read_new(_facts(learnt), lacking)


def test_contrasts_that_were_not_learnt_are_passed_over_or_warned_of(tmp_path):
    lacking = tuple(f"sub-{k}_T2w" for k in range(3))
    data = write_contrasts(tmp_path / "t1", subjects=3, lacking=lacking)
    people = "".join(f"sub-{k}\t{20 + k}\n" for k in range(3))
    (data / "participants.tsv").write_text("participant_id\tage\n" + people)
    study = Regress(target="age", size=8)
    learnt = study.read(data)
    assert learnt.facts["contrasts"] == ["T1w"]
    mixed = write_contrasts(tmp_path / "both", subjects=2)
    (broken,) = mixed.rglob("sub-1_T2w.nii*")  # an image that is passed over need not be sound
    broken.write_bytes(broken.read_bytes()[:200])
    both = study.read_new(_facts(learnt), mixed)
    assert both.table["name"].str.endswith("T1w").all()
    assert len(both.table) == 2
    assert any("were passed over: 2 of T2w" in one.detail for one in both.findings)
    other = write_contrasts(tmp_path / "t2", subjects=2, lacking=("sub-0_T1w", "sub-1_T1w"))
    found = study.read_new(_facts(learnt), other)
    assert len(found.table) == 2
    assert any("images are of T2w, the run learnt T1w" in one.detail for one in found.findings)


def test_masks_that_are_not_learnt_may_clash(tmp_path):
    data = write_contrasts(tmp_path, subjects=2)
    (data / "participants.tsv").write_text("participant_id\tage\nsub-0\t20\nsub-1\t21\n")
    for mask in list(data.rglob("*_label-lesion_mask.nii.gz")):
        for atlas in ("aseg", "aparcaseg"):
            shutil.copy(mask, mask.with_name(f"{mask.name[:5]}_desc-{atlas}_dseg.nii.gz"))
    with pytest.raises(DataError, match="would both be the label"):
        find_cases(data, channels=["T1w", "T2w"])
    read = Regress(target="age", size=8, channels=["T1w", "T2w"]).read(data)
    assert read.table["label"].tolist() == [20, 21]


def test_each_channel_has_one_name(tmp_path):
    ages = {"age": [20.0, 30.0, 40.0, 50.0]}
    table = _contrasts(tmp_path, ["T1", "T2"], **ages)
    study = Regress(target="age", size=8, channels=["first", "second"])
    learnt = study.read(table)
    assert learnt.facts["channels"] == ["first", "second"]
    swapped = pd.read_csv(table)[["image_T2", "image_T1", "subject", "age"]]
    swapped.to_csv(tmp_path / "swapped.csv", index=False)
    np.testing.assert_array_equal(
        study.read_new(_facts(learnt), tmp_path / "swapped.csv").x, learnt.x
    )
    with pytest.raises(DataError, match="2 channels, expected 1: T1, as `channels` says"):
        Regress(target="age", size=8, channels=["T1"]).read(table)


def test_flat_contrasts_of_unlike_brightness_count_alike(tmp_path):
    rng = np.random.default_rng(0)
    for name, bright in (("a", 1), ("b", 200)):
        write_image(tmp_path / f"{name}.tif", image(bright * rng.normal(size=(8, 8)) + bright))
    pd.DataFrame({"image_a": ["a.tif"], "image_b": ["b.tif"], "age": [1.0]}).to_csv(
        tmp_path / "t.csv", index=False
    )
    x = Regress(target="age", size=8).read(tmp_path / "t.csv").x
    np.testing.assert_allclose(x[0].std((1, 2)), 1, atol=1e-4)


def test_new_images_are_scored_by_what_was_learnt(tmp_path):
    study = Regress(size=8)
    learnt = study.read(_contrasts(tmp_path, ["T1"], age=[20.0, 30.0, 40.0, 50.0]))
    other = _contrasts(tmp_path, ["T1"], weight=[60.0, 70.0, 80.0, 90.0])
    with pytest.raises(DataError, match="no column 'age'.*Known: weight"):
        study.read_like(_facts(learnt), other, [])
    assert study.read_new(_facts(learnt), other).table["label"].isna().all()
    doubtful = _contrasts(tmp_path, ["T1"], age=["20", "45y", "", "50"])
    with pytest.raises(DataError, match="'45y', which is no number"):
        study.read_like(_facts(learnt), doubtful, [])
    labels = study.read_new(_facts(learnt), doubtful).table["label"]
    np.testing.assert_array_equal(labels.to_numpy(float), [20, np.nan, np.nan, 50])


def test_words_that_a_run_does_not_know_are_named(tmp_path):
    study = Classify(target="kind", tabular=["sex", "age"], size=8)
    columns = {"kind": ["a", "b", "a", "b"], "sex": ["F", "M", "F", "M"], "age": [1, 2, 3, 4]}
    learnt = study.read(_contrasts(tmp_path, ["T1"], **columns))
    for changed, says in (
        (
            {"sex": ["female", "M", "m", "F"]},
            r"'female', 'm' \(T1_0.png, T1_2.png\), known are F, M",
        ),
        ({"age": ["1", "2", "45y", "4"]}, r"'age' says '45y' \(T1_2.png\), which is no number"),
    ):
        new = _contrasts(tmp_path, ["T1"], **(columns | changed))
        with pytest.raises(DataError, match=says):
            study.read_new(_facts(learnt), new)
    strange = _contrasts(tmp_path, ["T1"], **(columns | {"kind": ["a", "c", "a", "b"]}))
    with pytest.raises(DataError, match="does not know the class 'c'; it learnt a, b"):
        study.read_like(_facts(learnt), strange, [])
    found = study.read_new(_facts(learnt), strange).table["label"]
    assert found.isna().tolist() == [False, True, False, False]


def test_none_is_a_class_and_cells_without_a_target_are_counted(tmp_path):
    data = tmp_path / "folders"
    for k, name in enumerate(["none", "mild", "unknown", "-"]):
        (data / name).mkdir(parents=True)
        write_image(data / name / f"{k}.png", image(np.arange(16, dtype=np.uint8).reshape(1, 4, 4)))
    found = find_cases(data)
    assert labels_of(found, None, numbers=False)[0].tolist() == ["-", "mild", "none", "unknown"]
    table = _contrasts(tmp_path, ["T1"], grade=["none", "n/a", "Mild", "mild"])
    read = Classify(size=8).read(table)
    assert read.classes == ["Mild", "mild", "none"]
    said = {finding.title: finding.detail for finding in read.findings}
    assert said["Examples without a target"].startswith("1 of 4 examples have no 'grade'")
    assert "'Mild' and 'mild'" in said["Words that are nearly alike"]


def test_none_is_a_class_of_participants_too(tmp_path):
    data = write_contrasts(tmp_path)
    people = {"participant_id": [f"sub-{k}" for k in range(4)], "weight": [61.5, "", "n/a", 70]}
    people["medication"] = ["None", "SSRI", "NA", "None"]
    pd.DataFrame(people).to_csv(data / "participants.tsv", sep="\t", index=False)
    read = Classify(target="medication", tabular=["weight"], channels=["T1w"], size=8).read(data)
    assert read.classes == ["None", "SSRI"]
    assert read.table["label"].isna().tolist() == [False, False, True, False]
    assert read.facts["columns"] == [["weight", []]]


def test_decimal_commas_are_no_words(tmp_path):
    for ages in (["20,5", "21", "22", "23"], ["20,5", "21,5", "22,5", "23,5"]):
        table = _contrasts(tmp_path, ["T1"], kind=["a", "b", "a", "b"], age=ages)
        with pytest.raises(DataError, match=r"'age' has commas for points. Write 20\.5 for 20,5"):
            Classify(target="kind", tabular=["age"], size=8).read(table)
    table = _contrasts(tmp_path, ["T1"], kind=["a", "b", "a", "b"], age=["1,234", "2", "3", "4"])
    with pytest.raises(DataError, match=r"Write 1234 or 1\.234 for 1,234, whichever is meant"):
        Classify(target="kind", tabular=["age"], size=8).read(table)
    values = pd.DataFrame({"site": [1, *"abcdefghij"]})
    with pytest.raises(DataError, match="11 different values that are not all numbers"):
        read_columns(values, ["site"])


def test_a_few_words_among_numbers_do_not_make_them_words():
    paths = [f"{k}.png" for k in range(5)]
    for ages, said in (
        (["45", "50", "unknown", "61", None], r"'unknown' \(2.png\)"),
        (["-", 10, 20, "?", 10], r"'-' \(0.png\), '\?' \(3.png\)"),
    ):
        with pytest.raises(DataError, match=f"'age' says {said} where most"):
            read_columns(pd.DataFrame({"path": paths, "age": ages}), ["age"])
    (column,) = read_columns(pd.DataFrame({"site": ["1", "2", "north", "south"]}), ["site"])
    assert column.levels == ("1", "2", "north", "south")
    (column,) = read_columns(pd.DataFrame({"age": ["1", "-nan", "#N/A", "NULL"]}), ["age"])
    assert column.levels == ()
    with pytest.raises(DataError, match="'mmse' is empty in all rows"):
        read_columns(pd.DataFrame({"mmse": [None, "n/a", np.nan]}), ["mmse"])


def test_what_pandas_takes_for_nothing_is_no_class_and_empty_words_are_warned_of(tmp_path):
    table = _contrasts(tmp_path, ["T1"], grade=["NULL", "None", "-", "#N/A"])
    read = Classify(target="grade", size=8).read(table)
    assert read.classes == ["-", "None"]
    said = {finding.title: finding.detail for finding in read.findings}
    assert said["Examples without a target"].startswith("2 of 4 examples")
    assert said["Words that say nothing"].startswith("Of the classes, '-' may mean")


def test_what_a_label_leaves_open_has_no_volume(tmp_path):
    data = write_blobs(tmp_path, cases=2)
    path = data / "labels/case_01.nii.gz"
    drawn = read_image(path)
    left = drawn.copy(data=drawn.values.copy())
    left.values.flat[np.flatnonzero(left.values)[:5]] = 2
    write_image(path, left)
    found = replace(find_cases(data), classes={1: "tumour"}, ignore=2)
    with pytest.raises(DataError, match=r"case_01: its label leaves 5 voxels open \(number 2\)"):
        read_whole(found, Wish("regression", "label:volume", size=8))


def test_what_is_only_predicted_may_be_there_twice_and_of_one_subject(tmp_path):
    study = Regress(target="age", size=8)
    learnt = study.read(_contrasts(tmp_path, ["T1"], age=[20.0, 30.0, 40.0, 50.0]))
    new = tmp_path / "new"
    new.mkdir()
    for name in ("a.png", "b.png"):
        shutil.copy(tmp_path / "T1_0.png", new / name)
    found = study.read_new(_facts(learnt), new)
    assert len(found) == 2
    assert "One subject: no evidence" not in [finding.title for finding in found.findings]
