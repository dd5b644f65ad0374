"""A dense study from cases to report, on toy volumes; the recipe stands for the base."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from neuroloom.core.errors import ConfigError, DataError, RunError
from neuroloom.core.files import digest, read_json
from neuroloom.core.recording import spacing, volume
from neuroloom.core.run import Run
from neuroloom.io.images import read_image, write_image
from neuroloom.learn.dense.data.audit import audit_cases, refuse_shades
from neuroloom.learn.dense.held_out import decode, keep_largest, painted
from neuroloom.learn.dense.training.voxel import VoxelLearner
from neuroloom.learn.training.fit import FitJob
from neuroloom.volumes.segment import Segment
from tests import grids

SMALL = {
    "budget": "12 steps", "folds": 2, "plan": {"patch": "8,8,8", "features": "4", "batch": "2"},
    "model": "dynunet",
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four labelled cases of two classes, and one without a label."""
    return grids.write_nnunet(tmp_path_factory.mktemp("data") / "Dataset001_Toy", cases=5)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory) -> Run:
    return Segment(**SMALL).run(data, tmp_path_factory.mktemp("run") / "r")


def test_every_case_is_judged_once_in_each_class_and_role(run):
    rows = run.predictions
    counts = rows.groupby(["role", "example", "class"]).size()
    assert (counts == 1).all()
    assert len(counts) == 2 * 4 * 2
    assert set(rows["role"]) == {"model", "baseline"}


def test_a_disk_too_small_for_the_held_out_cases_is_refused_before_training(
    data, tmp_path, monkeypatch
):
    """Probabilities of 131 CT are 185 GB: the disk was full after a day."""
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=1000))
    with pytest.raises(RunError, match=r"No space left for .* MB more are needed"):
        Segment(**SMALL).run(data, tmp_path / "r")
    assert Run(tmp_path / "r").state == "failed"
    assert not (tmp_path / "r" / "work").exists()


def test_the_metrics_are_those_of_the_contract(run):
    metrics = read_json(run.folder / "metrics.json")
    assert {"dice", "dice/big", "dice/small", "nsd", "hd95"} <= set(metrics)
    rows = run.predictions.query("role == 'model'")
    dice = 2 * rows["tp"] / (2 * rows["tp"] + rows["fp"] + rows["fn"])
    by_hand = dice.groupby(rows["example"]).mean().mean()
    assert metrics["dice"]["value"] == pytest.approx(by_hand)
    assert metrics["dice"]["baseline"] is not None


@pytest.mark.parametrize("ways", ["LPS", "RIA", "SRP"])
def test_a_scan_stored_another_way_round_gets_the_same_label(run, data, tmp_path, ways):
    image = nib.load(data / "imagesTr/toy_004_0000.nii.gz")
    orientations = nib.orientations
    turn = orientations.ornt_transform(
        orientations.io_orientation(image.affine), orientations.axcodes2ornt(ways)
    )
    folder = tmp_path / "images"
    folder.mkdir()
    for channel in range(2):
        channel_image = nib.load(data / f"imagesTr/toy_004_{channel:04d}.nii.gz")
        nib.save(channel_image.as_reoriented(turn), folder / f"toy_004_{channel:04d}.nii.gz")
    plain = run.predict(data, out=tmp_path / "plain").query("name == 'toy_004'")["file"].iloc[0]
    other = run.predict(folder, out=tmp_path / "turned")["file"].iloc[0]
    label, turned = (nib.load(tmp_path / p) for p in (f"plain/{plain}", f"turned/{other}"))
    assert nib.aff2axcodes(turned.affine) == tuple(ways)
    np.testing.assert_array_equal(
        np.asarray(label.as_reoriented(turn).dataobj), np.asarray(turned.dataobj)
    )
    assert (np.asarray(label.dataobj) > 0).any()


def test_a_prediction_lies_on_the_grid_of_its_input(run, data, tmp_path):
    told = []
    table = run.predict(data, out=tmp_path / "p", watch=told.append)
    assert [(line["done"], line["total"]) for line in told] == [(k, 5) for k in range(5)]
    assert set(table["name"]) == {f"toy_{k:03d}" for k in range(5)}
    image = nib.load(data / "imagesTr/toy_004_0000.nii.gz")
    label = nib.load(tmp_path / "p" / table.query("name == 'toy_004'")["file"].iloc[0])
    assert label.shape == image.shape
    assert (label.affine == image.affine).all()
    assert (tmp_path / "p/toy_004_picture.png").is_file()
    volume = float(abs(np.linalg.det(image.affine[:3, :3])))
    found = np.asarray(label.dataobj)
    big = table.query("name == 'toy_004' and `class` == 'big'")["volume"].iloc[0]
    assert big == pytest.approx((found == 1).sum() * volume)
    assert table["flag"].notna().all()
    assert (table["flag"] == (table["why"] != "")).all()


@pytest.mark.parametrize(
    "stopped_by", [OSError(28, "No space left on device"), KeyboardInterrupt()]
)
def test_a_prediction_that_stops_goes_on_where_it_was(
    run, data, tmp_path, monkeypatch, capsys, stopped_by
):
    from neuroloom.apps.cli.runs import predict as command
    from neuroloom.learn.dense.apply import predict as module

    whole = run.predict(data, out=tmp_path / "whole")
    write, written = module.write_label, []

    def fails(folder, name, *rest):
        if len(written) == 3:
            raise stopped_by
        written.append(name)
        write(folder, name, *rest)

    out = tmp_path / "out"
    monkeypatch.setattr(module, "write_label", fails)
    if isinstance(stopped_by, KeyboardInterrupt):
        assert command(run.folder, [data], out=out) == 130
        assert f"the same command goes on with {out}" in capsys.readouterr().err
    else:
        with pytest.raises(OSError, match="No space left"):
            run.predict(data, out=out)
    assert not (out / "status.json").exists()
    with pytest.raises(ConfigError, match="of other images or by another run"):
        run.predict(*write_visits(tmp_path, data), out=out)
    monkeypatch.setattr(
        module, "write_label", lambda *all_: (written.append(all_[1]), write(*all_))
    )
    pd.testing.assert_frame_equal(run.predict(data, out=out), whole)
    assert written == [f"toy_{k:03d}" for k in range(5)]
    assert {file.name for file in out.iterdir()} == {f.name for f in (tmp_path / "whole").iterdir()}
    with pytest.raises(ConfigError, match="is not empty"):
        run.predict(data, out=out)


def write_visits(folder: Path, data: Path) -> list[Path]:
    """Write the same scan of one name into the folders of two visits."""
    visits = [folder / visit / "anat" for visit in ("one", "two")]
    for visit in visits:
        visit.mkdir(parents=True)
        for channel in range(2):
            content = (data / f"imagesTr/toy_004_{channel:04d}.nii.gz").read_bytes()
            (visit / f"t_{channel:04d}.nii.gz").write_bytes(content)
    return visits


def test_inputs_of_one_name_get_that_of_their_folders(run, data, tmp_path):
    visits = write_visits(tmp_path, data)
    table = run.predict(*visits, out=tmp_path / "p")
    assert table["name"].unique().tolist() == ["one_anat_t", "two_anat_t"]
    assert all((tmp_path / "p" / file).is_file() for file in table["file"])
    with pytest.raises(DataError, match="Two images are called 't'; give each once"):
        run.predict(visits[0], visits[0], out=tmp_path / "q")
    assert not (tmp_path / "q").exists()


def test_to_predict_no_label_is_asked_and_copies_do_no_harm(run, data, tmp_path):
    shutil.copytree(data, tmp_path / "new")
    label = tmp_path / "new/labelsTr/toy_001.nii.gz"
    other = nib.load(label)
    nib.save(nib.Nifti1Image(np.full((3, 3, 3), 9, np.uint8), other.affine), label)
    for channel in range(2):
        images = [tmp_path / f"new/imagesTr/toy_00{k}_{channel:04d}.nii.gz" for k in (0, 3)]
        images[1].write_bytes(images[0].read_bytes())
    with pytest.raises(DataError, match="(?s)grid is .*is the same image as toy_000_0000"):
        run.evaluate(tmp_path / "new")
    assert run.predict(tmp_path / "new")["name"].nunique() == 5


def write_placeless(folder: Path, data: Path) -> Path:
    """Write a scan whose header does not say which side is left."""
    folder.mkdir()
    for channel in range(2):
        image = nib.load(data / f"imagesTr/toy_004_{channel:04d}.nii.gz")
        plain = nib.Nifti1Image(np.asarray(image.dataobj), None, image.header)
        plain.header["sform_code"] = plain.header["qform_code"] = 0
        nib.save(plain, folder / f"new_{channel:04d}.nii.gz")
    return folder


def test_what_the_audit_finds_of_new_data_is_printed_and_kept(run, data, tmp_path, capsys):
    from neuroloom.apps.cli.runs import evaluate, predict

    scan = write_placeless(tmp_path / "new", data)
    assert predict(run.folder, [scan], out=tmp_path / "p") == 0
    said = capsys.readouterr().err
    assert "WARNING: Doubtful images or labels" in said
    assert "new_0001.nii.gz: the header says neither sform nor qform" in said
    findings = read_json(tmp_path / "p/audit.json")
    assert [finding["severity"] for finding in findings] == ["note", "warning"]
    assert evaluate(run.folder, data, out=tmp_path / "e") == 0
    assert "OBJECTION: Scored on what it learnt from" in capsys.readouterr().err
    assert "raw folder" in read_json(tmp_path / "e/audit.json")[0]["detail"]


def test_labels_of_held_out_cases_stay_in_the_run_as_they_were_judged(run, data):
    from neuroloom.learn.dense.measures.overlap import counts_of

    rows = run.predictions.query("role == 'model'").set_index(["example", "class"])
    for name in ("toy_000", "toy_003"):
        kept = nib.load(run.folder / "artifacts" / "held_out" / f"{name}.nii.gz")
        truth = nib.load(data / "labelsTr" / f"{name}.nii.gz")
        assert (kept.affine == truth.affine).all()
        both = (np.asarray(one.dataobj) for one in (truth, kept))
        counts = counts_of(*both, {"big": 1, "small": 2})
        for k, part in enumerate(("big", "small")):
            row = rows.loc[(name, part)]
            assert [row["tp"], row["fp"], row["fn"]] == [int(c[k]) for c in counts[:3]]
    assert len(list((run.folder / "artifacts" / "held_out").iterdir())) == 4


def test_evaluate_scores_labelled_cases_and_counts_the_rest(run, data, tmp_path):
    metrics = run.evaluate(data, tmp_path / "e")
    assert (metrics.attrs["labelled"], metrics.attrs["unlabelled"]) == (4, 1)
    found = metrics.attrs["findings"][-1]
    assert "4 of 4 examples are of files that this model has learnt from" in found["detail"]
    found = read_json(tmp_path / "e/metrics.json")
    assert {"dice", "error_auroc", "flag_auroc"} <= set(found)
    rows = pd.read_parquet(tmp_path / "e/predictions.parquet").query("role == 'model'")
    new = run.predict(data).query("name != 'toy_004'")
    columns = ["doubt", "oddness", "flag", "why"]
    both = (one.set_index([name, "class"]).sort_index()[columns]
            for one, name in ((rows, "example"), (new, "name")))  # fmt: skip
    pd.testing.assert_frame_equal(*both, check_names=False)


def test_flags_are_measured_on_held_out_cases_and_the_report_says_so(run):
    assert "flag_auroc" in read_json(run.folder / "metrics.json")
    rows = run.predictions
    assert rows["flag"].notna().all()
    assert (rows["flag"] == (rows["why"] != "")).all()
    said = (run.folder / "report.html").read_text()
    flagged = rows.query("role == 'model'").groupby("example")["flag"].any().sum()
    assert f"Had they been new, {flagged} of 4 held-out cases would be flagged" in said


@pytest.mark.parametrize("names", [("t1_{}", "t2_{}"), ("scan{}_0000", "scan{}_0001")])
def test_images_alone_are_labelled_and_not_judged(names, run, data, tmp_path):
    """Neither the globs of a run's labels, nor its pattern, nor a copy is asked of new images."""
    for new in ("x", "y"):  # the same image twice
        for channel, name in enumerate(names):
            source = data / f"imagesTr/toy_004_000{channel}.nii.gz"
            (tmp_path / f"{name.format(new)}.nii.gz").write_bytes(source.read_bytes())
    globs = {"T1": "t1_*.nii.gz", "T2": "t2_*.nii.gz"}
    seg = {"label": "seg_*.nii.gz"}
    study = Segment(**SMALL, images=globs, labels=seg, pattern="t1_s{subject}", classes=["a", "b"])
    assert len(study.predict(run, [tmp_path])) == 2 * 2
    with pytest.raises(DataError, match="nothing matches"):
        study.model_copy(update={"pattern": None}).evaluate(run, tmp_path)


def test_files_of_a_single_slice_are_learnt_labelled_and_explained(tmp_path):
    for case in range(3):
        names = [tmp_path / "d" / half / f"c{case}.nii.gz" for half in ("images", "labels")]
        grids.write_case(*names, case)
        for path in names:
            opened = nib.load(path)
            nib.save(nib.Nifti1Image(np.asarray(opened.dataobj)[..., 5], opened.affine), path)
    plan = {"features": "4", "batch": "2"}
    done = Segment(budget="4 steps", folds=1, plan=plan).run(tmp_path / "d", tmp_path / "r")
    assert len(done.predict(tmp_path / "d", out=tmp_path / "p")) == 3 * 2
    assert read_image(tmp_path / "p/c0.nii.gz").shape == (1, 14, 12, 1)
    assert len(done.explain())


def test_images_that_the_net_is_not_for_are_named_at_once(run, data, tmp_path):
    for name in ("a", "b"):
        first = (data / "imagesTr/toy_004_0000.nii.gz").read_bytes()
        (tmp_path / f"{name}.nii.gz").write_bytes(first)
    with pytest.raises(DataError, match="a: has 1 channel, expected 2: T1, T2.\nb: has 1"):
        run.predict(tmp_path)
    grids.write_slices(tmp_path / "flat", subjects=1, slices=1)
    with pytest.raises(DataError, match="s0_0: has 2 axes, expected 3"):
        run.predict(tmp_path / "flat")


def as_stack(source: Path, path: Path, unit: str) -> None:
    """Write a volume as a TIFF stack, whose voxels are as large but said in another unit."""
    found = read_image(source)
    times = 1000.0 if unit == "um" else 1.0
    sizes = [times * size for size in spacing(found)[::-1]]
    write_image(path, volume(found.values, np.diag([*sizes, 1.0]), unit=unit))


def test_sizes_of_new_images_are_brought_to_the_unit_of_the_run(run, data, tmp_path):
    for unit in ("um", "px"):
        for channel in ("0000", "0001"):
            source = data / f"imagesTr/toy_004_{channel}.nii.gz"
            as_stack(source, tmp_path / unit / f"toy_004_{channel}.tif", unit)
    plain = run.predict(data).query("name == 'toy_004'")
    stack = run.predict(tmp_path / "um", out=tmp_path / "p")
    assert set(stack["unit"]) == {"mm"}
    np.testing.assert_allclose(stack["volume"], plain["volume"])
    assert spacing(read_image(tmp_path / "p/toy_004.tif")) == pytest.approx((2500, 1100, 800))
    with pytest.raises(DataError, match="toy_004_0000.tif: .* in px, .* in mm"):
        run.predict(tmp_path / "px")


def test_units_that_are_mixed_in_training(tmp_path):
    folder = grids.write_blobs(tmp_path / "d", cases=3)
    as_stack(folder / "images/case_02.nii.gz", folder / "images/case_02.tif", "um")
    (folder / "images/case_02.nii.gz").unlink()
    dataset = Segment(**SMALL).read(folder)
    assert dataset.facts["unit"] == "mm"
    assert [case.spacing for case in dataset.x] == [pytest.approx((1, 1, 1))] * 3
    as_stack(folder / "images/case_01.nii.gz", folder / "images/case_01.tif", "px")
    (folder / "images/case_01.nii.gz").unlink()
    with pytest.raises(DataError, match=r"case_01\.tif: .* in px, .* in mm"):
        Segment(**SMALL).read(folder)


def test_the_plan_is_in_the_run_and_says_why(run):
    plan = read_json(run.folder / "denseplan.json")
    assert plan["patch"] == [8, 8, 8]
    assert plan["reasons"]["patch"] == "given by the user"
    assert plan["channels"] == ["T1", "T2"]


@pytest.fixture
def elsewhere(monkeypatch):
    """Another machine, which would plan other nets."""
    from neuroloom.learn.dense.planning import plan as planning

    here = planning.plan
    monkeypatch.setattr(
        planning, "plan", lambda *args, **more: here(*args, **more).override(blocks=(1, 2))
    )


def test_a_fit_that_is_done_again_elsewhere_has_the_same_net(run, data, tmp_path, elsewhere):
    other = Segment(**SMALL).run(data, tmp_path / "other")
    assert digest(other.folder / "model.safetensors") != digest(run.folder / "model.safetensors")
    again = run.replay(tmp_path / "again")
    assert digest(again.folder / "model.safetensors") == digest(run.folder / "model.safetensors")


def test_a_run_that_goes_on_elsewhere_keeps_its_nets(run, data, tmp_path, monkeypatch, request):
    class PowerCutError(Exception): ...

    def cut(*args):
        raise PowerCutError

    with monkeypatch.context() as patch:
        patch.setattr(Segment, "_judge", cut)
        with pytest.raises(PowerCutError):
            Segment(**SMALL).run(data, tmp_path / "cut")
    (tmp_path / "cut/work/model-001-0.safetensors").unlink()
    request.getfixturevalue("elsewhere")
    whole = Run(tmp_path / "cut").resume()
    for name in ("model.safetensors", "metrics.json"):
        assert digest(whole.folder / name) == digest(run.folder / name)


def test_folds_0_judges_nothing_and_keeps_a_model(data, tmp_path):
    done = Segment(**SMALL | {"folds": 0}).run(data, tmp_path / "r")
    assert read_json(done.folder / "metrics.json") == {}
    assert len(done.predict(data)) == 2 * 5


@pytest.mark.parametrize(
    ("fields", "fits"),
    [
        ({}, (4, 5)),
        ({"folds": 2, "seeds": 3}, (6, 3)),
        ({"folds": 1, "final": "refit"}, (2, 2)),
        ({"test": ["toy_001"]}, (1, 2)),
        ({"folds": 0}, (1, 1)),
    ],
)
def test_nets_are_planned_for_the_time_that_a_fit_gets(data, fields, fits):
    """Of three animals each net got 5 of 16 hours, and was planned for 3: the least that fit."""
    study = Segment(**{key: v for key, v in SMALL.items() if key != "folds"} | fields)
    study = study.model_copy(update={"budget": "60s"})
    dataset = study.read(data).labelled()
    planned = [
        study._maker(study.find(name), dataset)().wishes.budget_s
        for name in ("dynunet", "voxel-logistic")
    ]
    assert planned == pytest.approx([60 / count for count in fits])
    if "folds" not in fields:
        assert len(study.prepare(data).folds) == fits[0]


def in_folders(data: Path, root: Path) -> Path:
    """Copy the labelled cases below train/ and, the last, test/."""
    for k in range(4):
        side = root / ("test" if k == 3 else "train")
        for half, own in (("images", "imagesTr"), ("labels", "labelsTr")):
            (side / half).mkdir(parents=True, exist_ok=True)
            tail = "_0000" if half == "images" else ""
            shutil.copy(data / own / f"toy_{k:03d}{tail}.nii.gz", side / half / f"c{k}.nii.gz")
    return root


def test_a_stated_test_set_is_never_learnt_from(data, tmp_path):
    folders = in_folders(data, tmp_path / "d")
    fields = {key: value for key, value in SMALL.items() if key != "folds"}
    prepared = Segment(**fields).prepare(folders)
    names = prepared.dataset.table["name"].to_numpy()
    (fold,) = prepared.folds
    assert set(names[fold.test]) == {"c3"}
    assert set(names[fold.train]) == {"c0", "c1", "c2"}
    wishes = Segment(**fields | {"budget": "100s"})._maker(
        Segment().find("dynunet"), prepared.dataset
    )
    assert wishes().wishes.budget_s == 100
    baseline = Segment(**fields | {"budget": "100s"})._maker(
        Segment().find("voxel-logistic"), prepared.dataset
    )
    assert baseline().wishes.budget_s == 50, "it is fitted on all cases after the fold"
    said = [f.title for f in Segment(**SMALL).prepare(folders).findings]
    assert "What the data call test is learnt from" in said


def test_a_fit_is_told_how_many_cases_are_held_out(data, tmp_path, monkeypatch):
    told, fit = [], VoxelLearner.fit

    def noted(self, x, y=None, *, job=None):
        told.append(job.held_out)
        return fit(self, x, y, job=job)

    monkeypatch.setattr(VoxelLearner, "fit", noted)
    Segment(**SMALL | {"model": "voxel-logistic", "plan": {}}).run(data, tmp_path / "r")
    assert told == [2, 2, 0]


def test_a_column_split_of_a_table_is_followed(data, tmp_path):
    folders = in_folders(data, tmp_path / "d")
    rows = [
        {"image": f.relative_to(folders).as_posix(), "subject": f.name[:2],
         "label": f.relative_to(folders).as_posix().replace("images", "labels"),
         "split": "test" if f.name[:2] in ("c0", "c3") else "train"}
        for f in sorted(folders.rglob("images/*"))
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folders / "table.csv", index=False)
    fields = {key: value for key, value in SMALL.items() if key != "folds"}
    prepared = Segment(**fields).prepare(folders / "table.csv")
    (fold,) = prepared.folds
    assert sorted(fold.units) == ["c0", "c3"]


def test_two_contrasts_of_one_subject_are_no_evidence(tmp_path):
    rng = np.random.default_rng(0)
    for half in ("images", "labels"):
        (tmp_path / half).mkdir()
    label = grids.two_balls(0).astype(np.uint8)
    for name in ("a", "b", "c"):
        content = rng.normal(size=label.shape).astype(np.float32)
        nib.save(nib.Nifti1Image(content, np.eye(4)), tmp_path / f"images/{name}.nii.gz")
        nib.save(nib.Nifti1Image(label, np.eye(4)), tmp_path / f"labels/{name}.nii.gz")
    with pytest.raises(DataError, match=r"same label, voxel for voxel"):
        Segment(**SMALL).run(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_tiles_that_one_class_fills_are_no_copies(tmp_path):
    rng = np.random.default_rng(0)
    for half in ("images", "labels"):
        (tmp_path / half).mkdir()
    halved = np.zeros((16, 16, 16), np.uint8)
    halved[:8] = 1
    filled = np.ones_like(halved)
    for name, label in {"a": filled, "b": filled, "c": halved, "d": halved[::-1]}.items():
        content = rng.normal(size=label.shape).astype(np.float32)
        nib.save(nib.Nifti1Image(content, np.eye(4)), tmp_path / f"images/{name}.nii.gz")
        nib.save(nib.Nifti1Image(label, np.eye(4)), tmp_path / f"labels/{name}.nii.gz")
    prepared = Segment(**SMALL).prepare(tmp_path)
    assert {unit for fold in prepared.folds for unit in fold.units} == set("abcd")
    said = " ".join(finding.detail for finding in prepared.findings)
    assert "exactly the label" not in said


def test_stains_that_share_a_polygon_of_one_class_are_copies(tmp_path):
    """All beside it is left open: its shape alone tells that the label is the same."""
    rng = np.random.default_rng(0)
    for half in ("images", "labels"):
        (tmp_path / half).mkdir()
    polygon, other = np.full((2, 16, 16, 16), 255, np.uint8)
    polygon[2:5, 2:5, 2:9] = polygon[9:12, 3:12, 2:4] = 1
    other[:8], other[8:] = 0, 1
    for name, label in {"a": polygon, "b": polygon, "c": other}.items():
        content = rng.normal(size=label.shape).astype(np.float32)
        nib.save(nib.Nifti1Image(content, np.eye(4)), tmp_path / f"images/{name}.nii.gz")
        nib.save(nib.Nifti1Image(label, np.eye(4)), tmp_path / f"labels/{name}.nii.gz")
    with pytest.raises(DataError, match=r"same label, voxel for voxel"):
        Segment(**SMALL, ignore=255).prepare(tmp_path)


def test_one_case_is_refused_in_a_sentence(data, tmp_path):
    with pytest.raises(DataError, match="nothing can be held out"):
        Segment(**SMALL, include=["toy_000*"]).run(data, tmp_path / "out")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"plan": {"pach": "8,8,8"}}, "pach"),
        ({"plan": {"batch": "four"}}, "batch is 'four'"),
        ({"plan": {"batch": "["}}, "batch is"),
        ({"plan": {"stages": "1,1,1,1"}}, "for each stage"),
        ({"plan": {"normalisation": "zscor"}}, "zscore"),
        ({"plan": {"net": "dynunett"}}, "dynunet"),
        ({"plan": {"patch": "8,8"}}, "expected 3 values"),
        ({"plan": {"normalisation": "ct,ct,ct"}}, "expected 2 values"),
        ({"plan": {"features": "4"}, "model": "vnet"}, "features means nothing to vnet"),
        ({"plan": {"features": "4", "net": "unetr"}}, "features means nothing to unetr"),
        ({"plan": {"blocks": "1"}, "model": "fcn"}, "blocks means nothing to fcn"),
        ({"plan": {"batch": "2"}, "model": "voxel-logistic"}, "plan is of nets"),
        ({"plan": {"optimiser": "sgd"}}, "one of muon, adamw"),
        ({"plan": {"lr": "0"}}, "lr holds 0"),
        ({"plan": {"options": "{dropuot: 0.1}"}}, "Did you mean 'dropout'"),
        ({"plan": {"options": "{dropout: much}"}}, "cannot have options"),
        ({"augment": ["mixup"]}, "mixup.*losses"),
        ({"augment": ["gamma", "histogram"]}, "histogram.*volumes.augment"),
        ({"augment": ["crop-pad"]}, "crop-pad.*patch"),
        ({"augment": ["blurr"]}, "blur"),
        ({"model": "dynunett"}, "dynunet"),
        ({"shuffle": True}, "shuffle"),
        ({"regions": {"whole": "1,9"}}, "regions"),
        ({"loss": "dicece"}, "dice-ce"),
    ],
)
def test_a_wrong_setting_is_named(fields, words, data, tmp_path):
    with pytest.raises(ConfigError, match=words):
        Segment(**SMALL | fields).run(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"plan": {"batch": "four"}}, {"plan": {"pach": "8"}}, {"augment": ["mixup"]},
        {"plan": {"features": "4"}, "model": "highresnet"},
    ],
)  # fmt: skip
def test_a_wrong_word_is_refused_before_anything_is_read(fields, tmp_path):
    with pytest.raises(ConfigError):
        Segment(**SMALL | fields).prepare(tmp_path / "nothing")


def test_the_background_cannot_be_left_open(data):
    with pytest.raises(ConfigError, match="ignore is 0, which is the background"):
        Segment(**SMALL, ignore=0).prepare(data)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"views": "twelve"}, "2.5 x 1.1 x 0.8 mm are more than 3 times as long"),
        ({"views": "sixteen"}, r"may be mirrored along \[2\] only"),
        ({"views": "three", "configuration": "3d_fullres"}, "views is of 2-D nets"),
        ({"views": "three", "model": "voxel-logistic"}, "views is of nets"),
    ],
)
def test_views_that_stacks_do_not_bear_are_refused(fields, words, data):
    with pytest.raises(ConfigError, match=words):
        Segment(**SMALL | {"plan": {}} | fields).prepare(data)


def test_images_have_one_side(tmp_path):
    for number in range(2):
        picture(tmp_path, f"p{number}", 255 * np.roll(np.eye(40), number, 0))
    with pytest.raises(ConfigError, match="views=three is of stacks"):
        Segment(folds=2, views="three").prepare(tmp_path)


def test_a_volume_is_learnt_from_twelve_sides_in_every_quarter_turn(tmp_path):
    prepared = Segment(folds=2).prepare(grids.write_blobs(tmp_path / "d", cases=2))
    study = Segment(folds=2, views="twelve")
    plan = study.plan_of_largest(prepared)
    assert plan.dims == 2
    assert plan.patch[0] == plan.patch[1]
    learner = study._maker(study.find("dynunet"), prepared.dataset)()
    learner.given = plan.override(features=2)
    module, bank = learner.begin(prepared.dataset.x, FitJob(), None)
    assert (module.chain[-1].name, bank.sides) == ("turn", 3)


def test_regions_are_learnt_and_scored_as_unions(data, tmp_path):
    fields = SMALL | {"regions": {"both": "1,2", "little": "small"}, "folds": 2}
    done = Segment(**fields).run(data, tmp_path / "r")
    rows = done.predictions.query("role == 'model'")
    assert set(rows["class"]) == {"both", "little"}
    truth = np.asarray(nib.load(data / "labelsTr/toy_000.nii.gz").dataobj)
    row = rows.query("example == 'toy_000' and `class` == 'both'").iloc[0]
    assert row["tp"] + row["fn"] == (truth > 0).sum()


def test_a_class_in_pieces_keeps_its_largest():
    label = np.array([[1, 1, 0, 1], [0, 0, 0, 0], [2, 0, 2, 2]])
    assert keep_largest(label, 1).tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [2, 0, 2, 2]]
    assert keep_largest(label, [1, 2]).tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_regions_are_painted_from_the_widest_on():
    facts = {"classes_of": {}, "regions": {"core": [2], "whole": [1, 2]}}
    assert painted(facts["regions"]) == [(1, 1), (0, 2)]
    p = np.array([[0.1, 0.2, 0.9], [0.2, 0.9, 0.9]])
    assert decode(p, facts).tolist() == [0, 1, 2]


def test_regions_are_painted_in_the_order_that_the_data_set_says(tmp_path):
    labels = {"background": 0, "core": 2, "whole": [1, 2]}
    folder = grids.write_nnunet(tmp_path / "d", cases=5, labels=labels)
    file = folder / "dataset.json"
    file.write_text(json.dumps(read_json(file) | {"regions_class_order": [2, 1]}))
    facts = Segment(**SMALL).prepare(folder).dataset.facts
    assert facts["painted"] == [2, 1]
    p = np.array([[0.1, 0.9, 0.9], [0.9, 0.1, 0.9]])
    assert decode(p, facts).tolist() == [1, 2, 1]
    own = Segment(**SMALL | {"regions": {"small": "2", "all": "1,2"}}).prepare(folder).dataset.facts
    assert own["painted"] == []
    assert decode(p, own).tolist() == [1, 2, 2]


def test_regions_that_overlap_in_part_give_each_voxel_the_label_of_just_these():
    rng = np.random.default_rng(0)
    regions = {"a": [1, 2, 5], "b": [2, 3], "c": [3, 4, 5]}
    truth = rng.integers(0, 6, (6, 7, 8))
    p = np.stack([np.where(np.isin(truth, own), 0.9, 0.1) for own in regions.values()])
    assert (decode(p, {"regions": regions}) == truth).all()


def test_rows_are_the_same_with_seeds_apart(data, tmp_path):
    done = Segment(**SMALL | {"seeds": 2, "budget": "3 steps"}).run(data, tmp_path / "r")
    rows = done.predictions.query("role == 'model'")
    assert isinstance(rows, pd.DataFrame)
    assert set(rows["seed"]) == {0, 1}
    assert len(rows) == 2 * 4 * 2


def test_a_dicom_series_gets_a_dicom_segmentation_without_a_name(tmp_path):
    import pydicom

    from neuroloom.io.images import read_image, write_image

    rng = np.random.default_rng(0)
    for k in range(3):
        label = grids.two_balls(k).transpose(2, 1, 0).astype(np.uint8)
        voxels = (rng.normal(0, 5, label.shape) + 40 * label + 1024).astype(np.int16)
        series = tmp_path / f"d/images/p{k}"
        grids.write_dicom(series, voxels)
        write_image(tmp_path / f"d/labels/p{k}.nii.gz", label, like=read_image(series))
    fields = SMALL | {"budget": "30 steps", "folds": 0}
    done = Segment(**fields).run(tmp_path / "d", tmp_path / "r")
    done.predict(tmp_path / "d/images", out=tmp_path / "p")
    found = [pydicom.dcmread(file) for file in (tmp_path / "p").glob("*_seg.dcm")]
    assert found
    for one in found:
        assert one.SOPClassUID.name == "Segmentation Storage"
        assert [s.SegmentLabel for s in one.SegmentSequence] == ["1", "2"]
        assert str(one.PatientName) == ""


def picture(folder, name, mask):
    image = np.random.default_rng(0).integers(0, 99, mask.shape) + mask / 2
    for word, pixels in (("image", image), ("mask", mask)):
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{name}_{word}.png")


def test_shades_that_nobody_named_are_no_classes(tmp_path):
    y, x = np.mgrid[:40, :40]
    for number in range(3):
        soft = 200 * np.exp(-((y - 20) ** 2 + (x - 15 - number) ** 2) / 60)
        picture(tmp_path, f"p{number}", soft)
    with pytest.raises(DataError, match=r"hold 70 greys, 1, 2, .* --values\.tumour 255"):
        Segment(**SMALL).prepare(tmp_path)


@pytest.mark.parametrize("first", [1, 150])
def test_an_atlas_of_many_regions_without_names_is_doubted(first, tmp_path):
    atlas = np.kron(first + np.arange(40).reshape(5, 8), np.ones((8, 5)))
    for number in range(3):
        picture(tmp_path, f"p{number}", np.pad(np.roll(atlas, number, 0), 8))
    dataset = Segment().read(tmp_path)
    refuse_shades(dataset)
    assert len(dataset.facts["parts"]) == 40
    assert "Many classes that nobody named" in [found.title for found in audit_cases(dataset)]


def test_what_is_left_open_beside_numbers(tmp_path):
    """255 is what `ignore` says, and neither white nor a class."""
    for number in range(3):
        label = np.repeat(np.array([0, 1, 2, 255], np.uint8), 10)[:, None] * np.ones((1, 40))
        image = np.random.default_rng(number).integers(0, 255, (40, 40))
        for word, pixels in (("image", image), ("mask", label)):
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"p{number}_{word}.png")
    with pytest.raises(DataError, match="holds 255 beside 1, 2.* Say ignore=255"):
        Segment(**SMALL).read(tmp_path)
    dataset = Segment(**SMALL, ignore=255).read(tmp_path)
    assert list(dataset.facts["classes_of"]) == ["0", "1", "2"]
    assert np.unique(dataset.x[0].truth()).tolist() == [0, 1, 2, 255]
