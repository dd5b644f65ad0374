import numpy as np
import pandas as pd
import pytest
from PIL import Image

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json
from neuroloom.core.recording import image, volume
from neuroloom.io.images import read_image, to_array, write_image
from neuroloom.volumes import measures
from neuroloom.volumes.agreement.pairs import LabelPair, find_pairs
from neuroloom.volumes.measure import Measure
from tests import grids

AFFINE = np.diag([1.0, 1.5, 2.0, 1.0])
SPACING = (2.0, 1.5, 1.0)
OF_MASKS = [name for name, own in (measures.METRICS | measures.MORE).items() if own.of == "mask"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return grids.write_predictions(tmp_path_factory.mktemp("labels"))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    recipe = Measure(
        classes={"whole": "1,2", "core": "2"}, pattern="{subject}_{visit}", lesions=True,
        by=["class", "visit"],
    )  # fmt: skip
    return recipe.run(data, tmp_path_factory.mktemp("run") / "out")


def test_rows_are_the_functions(run):
    table = pd.read_csv(run.folder / "artifacts" / "measures.csv")
    assert len(table) == 12
    label = grids.cored(3)
    found = np.roll(label, 2, axis=0)
    (row,) = measures.measure_case(label, found, SPACING, classes={"core": 2})
    mine = table[(table["case"] == "s1_v1") & (table["class"] == "core")].iloc[0]
    for name in measures.USUAL:
        assert mine[name] == pytest.approx(row[name], abs=1e-9), name
    assert mine["subject"] == "s1"
    assert mine["lesion_f1"] == 1.0


def test_metrics_are_means_over_cases(run):
    table = pd.read_parquet(run.folder / "artifacts" / "measures.parquet")
    told = read_json(run.folder / "metrics.json")
    by = table.groupby("class")["DICE"].mean()
    assert told["dice"]["value"] == pytest.approx(by.mean())
    assert told["dice/core"]["value"] == pytest.approx(by["core"])
    assert told["nsd"]["value"] == pytest.approx(table["SURFDICE"].mean())
    assert told["hd95"]["value"] == pytest.approx(table["HDRFDST95"].mean())
    rows = pd.read_parquet(run.folder / "predictions.parquet")
    assert rows["unit"].nunique() == 3
    assert told["dice"]["low"] < told["dice"]["value"] < told["dice"]["high"]


def test_what_is_summed_up_and_the_worst(run):
    summed = pd.read_csv(run.folder / "artifacts" / "summary.csv")
    table = pd.read_csv(run.folder / "artifacts" / "measures.csv")
    one = summed.set_index(["class", "visit", "metric"]).loc[("core", "v0", "DICE")]
    own = table[(table["class"] == "core") & (table["visit"] == "v0")]["DICE"]
    assert (one["n"], one["mean"], one["sd"]) == pytest.approx((3, own.mean(), own.std()))
    worst = pd.read_csv(run.folder / "artifacts" / "worst.csv")
    assert worst["dice"][0] == pytest.approx(table["DICE"].min())
    page = (run.folder / "report.html").read_text()
    assert "The worst cases" in page
    assert "Over cases" in page


def relabel(folder, half, name, array, affine=AFFINE):
    write_image(folder / half / name, volume(array.astype(np.uint8).T, affine))


def test_grids_that_differ_are_listed_at_once(tmp_path):
    folder = grids.write_predictions(tmp_path / "d")
    relabel(folder, "prediction", "s0_v0.nii.gz", np.ones((14, 16, 17)))
    relabel(folder, "prediction", "s1_v0.nii.gz", grids.cored(2), np.diag([1.0, 1.0, 2.0, 1.0]))
    moved = AFFINE.copy()
    moved[0, 3] = 9
    relabel(folder, "prediction", "s2_v1.nii.gz", grids.cored(5), moved)
    with pytest.raises(DataError) as caught:
        Measure().run(folder, tmp_path / "run")
    text = str(caught.value)
    assert "3 of 6 predictions" in text
    assert "s0_v0: truth has 14 × 16 × 18 voxels, the prediction 14 × 16 × 17" in text
    assert "s1_v0: voxels of the truth are 2 × 1.5 × 1 mm" in text
    assert "s2_v1: the two lie apart in space" in text
    assert not (tmp_path / "run").exists()


def test_a_missing_prediction_is_never_passed_over_in_silence(tmp_path):
    folder = grids.write_predictions(tmp_path / "d")
    (folder / "prediction" / "s0_v1.nii.gz").unlink()
    with pytest.raises(DataError, match="1 of 6 truths have no prediction: s0_v1"):
        Measure().run(folder, tmp_path / "run")
    empty = Measure(missing="empty").run(folder, tmp_path / "empty")
    rows = pd.read_parquet(empty.folder / "predictions.parquet").set_index(["case", "class"])
    assert rows.loc[("s0_v1", "1"), "undefined"] == "the prediction is empty"
    left = Measure(missing="skip").run(folder, tmp_path / "skip")
    scores = [read_json(r.folder / "metrics.json")["dice"]["value"] for r in (empty, left)]
    assert scores[0] == pytest.approx(scores[1] * 5 / 6)
    assert "left out" in (left.folder / "report.html").read_text()


def test_cases_without_truth_have_a_score_and_a_reason(tmp_path):
    folder = grids.write_predictions(tmp_path / "d")
    relabel(folder, "truth", "s0_v0.nii.gz", np.zeros((14, 16, 18)))
    done = Measure(lesions=True).run(folder, tmp_path / "run")
    rows = pd.read_parquet(done.folder / "predictions.parquet")
    first = rows[rows["case"] == "s0_v0"]
    assert first["undefined"].tolist() == ["the truth is empty"] * 2
    assert first["hd95"].isna().all()
    summed = pd.read_csv(done.folder / "artifacts" / "summary.csv").set_index(["class", "metric"])
    assert summed.loc[(1, "HDRFDST95"), "n_undefined"] == 1
    assert "only truth or prediction is empty" in (done.folder / "report.html").read_text()


def test_instances_in_images(tmp_path):
    for half, shift in (("masks", 0), ("pred", 1)):
        (tmp_path / "d" / half).mkdir(parents=True)
        label = np.zeros((30, 40), np.uint16)
        for k, corner in enumerate([(2, 2), (10, 20), (20, 5)]):
            place = tuple(slice(c + shift, c + shift + 6) for c in corner)
            label[place] = k + 1 + 7 * shift
        write_image(tmp_path / "d" / half / f"a_{half}.tif", image(label))
    done = Measure(instances=True).run(tmp_path / "d", tmp_path / "run")
    row = pd.read_csv(done.folder / "artifacts" / "measures.csv").iloc[0]
    iou = 25 / (72 - 25)
    assert row["f1@0.5"] == 1.0
    assert row["ap@0.7"] == 0.0
    assert row["pq"] == pytest.approx(iou)
    assert row["JACRD"] == pytest.approx(iou)
    assert row["class"] == "foreground"


def test_cases_of_a_table_have_names_and_hashes_of_their_own(tmp_path):
    rows = [{"truth": f"p{k}/truth.nii.gz", "prediction": f"p{k}/pred.nii.gz"} for k in range(3)]
    for k in range(3):
        relabel(tmp_path / f"p{k}", ".", "truth.nii.gz", grids.cored(k))
        relabel(tmp_path / f"p{k}", ".", "pred.nii.gz", grids.cored(k + 1))
    pd.DataFrame(rows).assign(site=["x", "x", None]).to_csv(tmp_path / "pairs.csv", index=False)
    done = Measure(by=["site"]).run(tmp_path / "pairs.csv", tmp_path / "run")
    told = pd.read_parquet(done.folder / "predictions.parquet")
    assert sorted(told["case"].unique()) == ["p0_truth", "p1_truth", "p2_truth"]
    assert told["unit"].nunique() == 3
    files = read_json(done.folder / "dataset.json")["files"]
    assert sorted(files) == sorted(file for row in rows for file in row.values())
    summed = pd.read_csv(done.folder / "artifacts" / "summary.csv")
    assert len(summed) == 2 * len(measures.USUAL)
    pd.DataFrame(rows).assign(name=["007", None, "b"]).to_csv(tmp_path / "pairs.csv", index=False)
    names = [pair.name for pair in find_pairs(tmp_path / "pairs.csv")[0]]
    assert names == ["007", "p1_truth", "b"]


def test_several_predictions_of_one_truth_are_one_unit(tmp_path):
    for k, name in enumerate(("a.nii.gz", "b.nii.gz")):
        relabel(tmp_path, ".", name, grids.cored(k))
        for rater in (1, 2):
            (tmp_path / f"r{rater}").mkdir(exist_ok=True)
            relabel(tmp_path, f"r{rater}", name, grids.cored(k + rater))
    truths = ["a.nii.gz", "b.nii.gz", "./a.nii.gz", "b.nii.gz"]
    found = ["r1/a.nii.gz", "r1/b.nii.gz", "r2/a.nii.gz", "r2/b.nii.gz"]
    table = pd.DataFrame({"truth": truths, "prediction": found, "rater": [1, 1, 2, 2]})
    table.to_csv(tmp_path / "pairs.csv", index=False)
    done = Measure(by=["rater"]).run(tmp_path / "pairs.csv", tmp_path / "run")
    rows = pd.read_parquet(done.folder / "predictions.parquet")
    assert sorted(rows["case"].unique()) == sorted(rows["unit"].unique()) == ["a", "b"]
    assert rows.groupby("case")["rater"].nunique().tolist() == [2, 2]
    table.assign(name=["a1", "b1", "a2", "b2"]).to_csv(tmp_path / "pairs.csv", index=False)
    pairs = find_pairs(tmp_path / "pairs.csv")[0]
    assert [pair.name for pair in pairs] == ["a1", "b1", "a2", "b2"]
    assert [pair.unit for pair in pairs] == ["a1", "b1", "a1", "b1"]


def test_labels_that_only_predictions_hold_are_measured_and_named(tmp_path):
    folder = grids.write_predictions(tmp_path / "d")
    relabel(folder, "prediction", "s1_v0.nii.gz", 3 * (grids.cored(2) > 0))
    prepared = Measure().prepare(folder)
    assert list(prepared.classes) == ["1", "2", "3"]
    assert "No truth holds 3 (in s1_v0)" in prepared.findings[-1].detail
    assert list(Measure(classes={"core": "2"}).prepare(folder).classes) == ["core"]


def test_a_class_that_no_file_holds_is_refused(tmp_path):
    folder = grids.write_predictions(tmp_path / "d", 2)
    with pytest.raises(ConfigError, match="'rim' is 3 or 4, which no truth.*hold 0, 1, 2"):
        Measure(classes={"core": "2", "rim": "3,4"}).prepare(folder)
    relabel(folder, "prediction", "s0_v1.nii.gz", 3 * (grids.cored(1) > 0))
    assert list(Measure(classes={"rim": "3,4"}).prepare(folder).classes) == ["rim"]


@pytest.mark.parametrize("instances", [False, True])
def test_what_the_truth_leaves_open_counts_nowhere(tmp_path, instances):
    truth, found = np.zeros((2, 20, 30), np.uint8)
    truth[2:8, 2:8], truth[10:16, 2:8] = 1, 2
    found[2:8, 3:9], found[10:16, 2:8] = 1, 2
    rows = {}
    for name in ("cut", "left"):
        label, other = truth.copy(), found.copy()
        if name == "cut":
            label, other = label[:, :20], other[:, :20]
        else:
            label[:, 20:], other[4:9, 20:] = 255, 2
        for half, array in (("truth", label), ("prediction", other)):
            write_image(tmp_path / name / half / "a.tif", image(array))
        recipe = Measure(metrics=OF_MASKS, ignore=255, instances=instances, lesions=True)
        prepared = recipe.prepare(tmp_path / name)
        rows[name] = recipe.measure(prepared.pairs[0], 0, prepared.classes)
    pd.testing.assert_frame_equal(*(pd.DataFrame(own["predictions"]) for own in rows.values()))
    pd.testing.assert_frame_equal(*(pd.DataFrame(own["measures"]) for own in rows.values()))


def test_a_table_and_globs_name_the_pairs(tmp_path):
    folder = grids.write_predictions(tmp_path / "d", 2)
    rows = {"truth": ["truth/s0_v0.nii.gz"], "prediction": ["prediction/s0_v1.nii.gz"]}
    pd.DataFrame(rows | {"site": "x"}).to_csv(folder / "pairs.csv", index=False)
    (pair,), _ = find_pairs(folder / "pairs.csv")
    assert (pair.keys, pair.predicted.name) == ({"site": "x"}, "s0_v1.nii.gz")
    found, _ = find_pairs(folder, "truth/*_v0*", str(folder / "prediction"))
    assert [pair.name for pair in found] == ["s0_v0"]
    assert [p.name for p in find_pairs(folder, include=["*_v1*"])[0]] == ["s0_v1"]
    pd.DataFrame({"truth": ["a"]}).to_csv(folder / "bad.csv")
    with pytest.raises(DataError, match="no column 'prediction'"):
        find_pairs(folder / "bad.csv")


def test_mistakes_are_said_before_anything_is_written(data, tmp_path):
    with pytest.raises(ConfigError, match="No measure is called 'DISE'"):
        Measure(metrics=["DISE"]).run(data, tmp_path / "a")
    with pytest.raises(ConfigError, match="no 'site' to sum up by; there are case, class"):
        Measure(by=["site"]).run(data, tmp_path / "a")
    with pytest.raises(ConfigError, match="'core' is 'two'"):
        Measure(classes={"core": "two"}).run(data, tmp_path / "a")
    with pytest.raises(DataError, match="no folder is called truth/"):
        Measure().run(data / "truth", tmp_path / "a")
    with pytest.raises(ConfigError, match="leave out one of"):
        Measure(instances=True, classes={"a": "1"}).run(data, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def write_image_pairs(folder):
    rng = np.random.default_rng(0)
    for case in range(4):
        real = rng.normal(100, 20, (2, 9, 10, 11)).astype(np.float32)
        made = real + (case + 1) * rng.normal(size=real.shape).astype(np.float32)
        write_image(
            folder / "reference" / f"s{case}.nii.gz", volume(real.transpose(0, 3, 2, 1), AFFINE)
        )
        write_image(
            folder / "made" / f"s{case}_made.nii.gz", volume(made.transpose(0, 3, 2, 1), AFFINE)
        )
    return folder


def test_images_are_measured_beside_their_references(tmp_path):
    data = write_image_pairs(tmp_path / "d")
    names = [name for name, own in measures.METRICS.items() if own.of == "image"]
    assert len(names) == 7
    done = Measure(metrics=names).run(data, tmp_path / "run")
    table = pd.read_csv(done.folder / "artifacts" / "measures.csv")
    assert len(table) == 8
    pair = [to_array(read_image(data / file)) for file in
            ("reference/s2.nii.gz", "made/s2_made.nii.gz")]  # fmt: skip
    expected = measures.measure_image(pair[0][1], pair[1][1], names)
    mine = table[table["case"] == "s2"].iloc[1]
    for name, value in expected.items():
        assert mine[name] == pytest.approx(value, rel=1e-9), name
    told = read_json(done.folder / "metrics.json")
    assert told["psnr"]["low"] < told["psnr"]["value"] < told["psnr"]["high"]
    assert set(told) == {"psnr", "ssim"}
    summed = pd.read_csv(done.folder / "artifacts" / "summary.csv")
    assert summed["channel"].nunique() == 2
    assert "reference images" in (done.folder / "report.html").read_text()


def test_a_colour_that_is_empty_tells_nothing(tmp_path):
    rng = np.random.default_rng(0)
    for case in range(3):
        for folder, noise in (("reference", 0), ("made", 5 + case)):
            picture = np.zeros((24, 20, 3), np.uint8)
            picture[..., 1] = np.add.outer(np.arange(24), np.arange(20)) * 4
            picture[..., 1] += rng.integers(0, noise + 1, (24, 20), np.uint8)
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(picture).save(tmp_path / folder / f"s{case}.png")
    told = read_json(
        Measure(metrics=["PSNR"]).run(tmp_path, tmp_path / "run").folder / "metrics.json"
    )
    assert 20 < told["psnr"]["value"] < 40
    assert 0.5 < told["ssim"]["value"] < 1


def test_images_that_cannot_be_compared_are_listed_at_once(tmp_path):
    data = write_image_pairs(tmp_path / "d")
    holed = np.full((11, 10, 9), np.nan, np.float32)
    write_image(data / "made" / "s1_made.nii.gz", volume(holed, AFFINE))
    write_image(data / "made" / "s2_made.nii.gz", volume(np.stack([holed] * 2), AFFINE))
    with pytest.raises(DataError, match=r"(?s)2 of 4 .*s1: .* 2 channels.*s2: 1980 values.*NaN"):
        Measure(metrics=["SSIM"]).run(data, tmp_path / "run")
    with pytest.raises(ConfigError, match="DICE compares masks, SSIM images"):
        Measure(metrics=["SSIM", "DICE"]).run(data, tmp_path / "run")
    with pytest.raises(ConfigError, match="compares images, to which lesions, missing=empty"):
        Measure(metrics=["SSIM"], lesions=True, missing="empty").run(data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_a_prediction_leaves_open_too_is_nothing(tmp_path):
    for name in ("truth", "predicted"):
        Image.fromarray(np.array([[0, 1, 2, 255]] * 4, np.uint8)).save(tmp_path / f"{name}.png")
    pair = LabelPair("a", tmp_path / "truth.png", tmp_path / "predicted.png")
    truth, predicted = pair.arrays(255)
    assert truth[0].tolist() == [0, 1, 2, 255]
    assert predicted[0].tolist() == [0, 1, 2, 0]
