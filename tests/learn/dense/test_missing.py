"""Channels that some cases lack, and contrasts that training did not have."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.recording import volume
from neuroloom.io.cases import find_cases
from neuroloom.io.images import write_image
from neuroloom.learn.dense.data.match import match_channels
from neuroloom.learn.dense.data.read import find_new
from neuroloom.learn.dense.nets.conditioning import build_bearing
from neuroloom.learn.dense.planning.fingerprint import measure_case
from neuroloom.learn.dense.training.voxel import voxel_features
from neuroloom.volumes.segment import Segment
from tests import grids

SMALL = {
    "budget": "12 steps", "folds": 2, "plan": {"patch": "8,8,8", "features": "4", "batch": "4"},
}  # fmt: skip

ONE = volume(np.zeros((1, 5, 6, 7), np.float32), np.eye(4))


@pytest.fixture
def data(tmp_path):
    """Five cases of two channels; one lacks the second, one the first, the last has no label."""
    made = grids.write_nnunet(tmp_path / "Dataset001_Toy", cases=5)
    (made / "imagesTr/toy_001_0001.nii.gz").unlink()
    (made / "imagesTr/toy_002_0000.nii.gz").unlink()
    return made


def test_a_lacking_channel_is_nan_and_in_its_place(data):
    cases = find_cases(data, incomplete=True).cases
    assert [case.missing for case in cases] == [(), (1,), (0,), (), ()]
    assert np.isnan(cases[1].image()).all((1, 2, 3)).tolist() == [False, True]
    assert np.isnan(cases[2].image()).all((1, 2, 3)).tolist() == [True, False]
    with pytest.raises(DataError, match=r"toy_001, toy_002 have fewer than the 2 .*missing=hemis"):
        find_cases(data)


def test_an_empty_cell_of_a_table_is_a_lacking_channel(data, tmp_path):
    rows = [
        {"image_T1": f"{data}/imagesTr/toy_{k:03d}_0000.nii.gz",
         "image_T2": "" if k == 3 else f"{data}/imagesTr/toy_{k:03d}_0001.nii.gz"}
        for k in (0, 3)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "cases.csv", index=False)
    found = find_cases(tmp_path / "cases.csv", incomplete=True)
    assert found.channels == ["T1", "T2"]
    assert [case.missing for case in found.cases] == [(), (1,)]


def test_contrasts_of_bids_are_channels_that_may_lack(tmp_path):
    data = grids.write_contrasts(tmp_path / "bids", subjects=4, lacking=("sub-1_T2w",))
    asked = {**SMALL, "channels": ["T1w", "T2w"]}
    with pytest.raises(DataError, match=r"sub-1 have fewer than the 2 .*\(T2w\).*missing=hemis"):
        Segment(**asked).prepare(data)
    run = Segment(**asked, missing="film").run(data, tmp_path / "r")
    assert run.predictions.query("role == 'model'")["example"].nunique() == 4
    new = grids.write_contrasts(tmp_path / "new", subjects=1, lacking=("sub-0_T1w",))
    assert run.predict(new)["name"].tolist() == ["sub-0"]


def new_cases(data, labelled=True, **fields):
    trained = {"channels": ["T1", "T2"], "called": ["T1", "T2"]}
    study = Segment(missing="hemis", **fields)
    found = find_new(study, data, [], trained["channels"], labelled=labelled)
    order = match_channels(found.channels, trained, incomplete=True)
    cases = found.changed(order=order).cases
    return {case.name: np.isnan(case.image()).all((1, 2, 3)).tolist() for case in cases}


def test_new_data_of_globs_may_lack_a_channel(tmp_path):
    globs = {"images": {"T1": "*_t1.nii.gz", "T2": "*_t2.nii.gz"}, "labels": {"x": "*_seg.nii.gz"}}
    grids.write_case(tmp_path / "p1_t1.nii.gz", tmp_path / "p1_seg.nii.gz", 1)
    for labelled in (True, False):
        assert new_cases(tmp_path, labelled, **globs) == {"p1": [False, True]}
    with pytest.raises(DataError, match=r"nothing matches \*_t2.nii.gz"):
        Segment(missing="hemis", **globs).read(tmp_path)


def test_new_cases_of_nnunet_may_lack_a_channel(data):
    (data / "imagesTr").rename(data / "imagesTs")
    found = new_cases(data, labelled=False)
    assert list(found.values())[:3] == [[False, False], [False, True], [True, False]]
    (data / "dataset.json").unlink()
    assert new_cases(data / "imagesTs", labelled=False) == found
    channels = {"channels": ["T1", "T2"], "called": ["T1", "T2"]}
    facts = {"axes": channels | {"unit": "mm", "dims": 3, "classes_of": None}}
    with pytest.raises(DataError, match="has 1 channel, expected 2"):
        Segment().read_like(facts, data / "imagesTs", [], labelled=False)


@pytest.mark.parametrize("numbers", [(1, 2, 3), (0, 1, 2), (1, 2, 3, 4), (0, 1, 2, 3)])
def test_people_that_are_counted_are_not_the_channels_of_one(numbers, tmp_path):
    """Three patients were stacked to one of twelve channels, and one label was made of them."""
    for number in numbers:
        pixels = np.full((4, 5, 6, 7), number, np.float32)
        write_image(tmp_path / f"patient_{number:04d}.nii.gz", volume(pixels, np.eye(4)))
    found = find_cases(tmp_path, incomplete=True, n_channels=4, labelled=False)
    assert [case.name for case in found.cases] == [f"patient_{n:04d}" for n in numbers]
    assert {case.image().shape for case in found.cases} == {(4, 7, 6, 5)}


def test_people_of_a_file_each_from_1_on_are_not_the_channels_of_one(tmp_path):
    for number in (1, 2, 3):
        write_image(tmp_path / f"patient_{number:04d}.nii.gz", ONE)
    found = find_cases(tmp_path, incomplete=True, n_channels=4, labelled=False)
    assert len(found.cases) == 3
    write_image(tmp_path / "patient_0000.nii.gz", ONE)
    (tmp_path / "patient_0002.nii.gz").unlink()
    found = find_cases(tmp_path, incomplete=True, n_channels=4, labelled=False)
    assert [case.missing for case in found.cases] == [(2,)]
    assert "There are files of fewer channels than 4 of patient." in found.notes


def test_all_new_cases_may_lack_a_declared_channel(data):
    for file in (data / "imagesTr").glob("*_0001.nii.gz"):
        file.unlink()
    (data / "labelsTr/toy_002.nii.gz").unlink()
    assert set(map(tuple, new_cases(data).values())) == {(False, True)}


def test_films_beside_drawn_anatomy_are_passed_over(tmp_path):
    for subject in range(2):
        content, mask = grids.blob(subject)
        here, stem = tmp_path / f"sub-{subject}", f"sub-{subject}"
        write_image(here / f"anat/{stem}_T1w.nii.gz", volume(content.T, np.eye(4)))
        drawn = f"derivatives/labels/{stem}/anat/{stem}_T1w_label-lesion_mask.nii.gz"
        write_image(tmp_path / drawn, volume(mask.T.astype(np.uint8), np.eye(4)))
        for run in (1, 2):
            film = np.full((3, 4, 5, 6), run + 2 * subject, np.float32)
            bold = here / f"func/{stem}_task-rest_run-{run}_bold.nii.gz"
            write_image(bold, volume(film, np.eye(4)))
    write_image(tmp_path / "sub-2/anat/sub-2_T1w.nii.gz", volume(2 * content.T, np.eye(4)))
    dataset = Segment().read(tmp_path)
    assert dataset.table["name"].tolist() == [f"sub-{subject}_T1w" for subject in range(3)]
    assert dataset.facts["contrasts"] == ["T1w"]
    assert "were passed over: 4 of bold." in dataset.findings[0].detail


def test_what_lacks_is_not_measured():
    image = np.zeros((2, 4, 5), np.float32)
    image[0, 1:3, 1:4], image[1] = 3.0, np.nan
    facts = measure_case(image, None, (1, 1))
    assert facts.cropped == (2, 3)
    assert facts.values[0].tolist() == [3.0] * 6
    assert np.isfinite(voxel_features(image, np.arange(20))).all()


@pytest.mark.parametrize("way", ["hemis", "film"])
def test_a_study_learns_from_what_is_there(way, data, tmp_path):
    run = Segment(**SMALL, missing=way).run(data, tmp_path / "r")
    assert run.predictions.query("role == 'model'")["example"].nunique() == 4
    table = run.predict(data)
    assert set(table["name"]) == {f"toy_{k:03d}" for k in range(5)}
    assert np.isfinite(table["doubt"]).all()


@pytest.mark.parametrize("way", ["hemis", "film"])
def test_a_lacking_channel_does_not_reach_the_answer(way):
    """Whatever stands for a channel that lacks, the answer is that of the others."""
    sizes = {"patch": (8, 8), "strides": (1, 2, 2), "kernels": (3, 3, 3), "features": (4, 8, 16)}
    net = build_bearing(way, "dynunet", dims=2, in_channels=2, out_channels=2, **sizes).eval()
    x = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = net(x)
    x[:, 1] = torch.nan
    lacking = net(x)
    assert lacking.isfinite().all()
    assert not torch.allclose(whole, lacking)


def test_it_is_said_where_it_cannot_be(data, tmp_path):
    with pytest.raises(ConfigError, match="planned net"):
        Segment(**SMALL, missing="film", model="segresnet").run(data, tmp_path / "r")
    with pytest.raises(DataError, match="fewer than the 2 channels"):
        Segment(**SMALL).run(data, tmp_path / "r")


def test_random_contrasts_join_the_changes():
    from neuroloom.learn.dense.training.learner import DenseLearner, Wishes
    from tests.learn.dense.training.test_module import PLAN

    wishes = Wishes({0: "background", 1: "cell"}, contrasts="any")
    chain = DenseLearner("dynunet", wishes)._module(PLAN).chain
    assert [own.name for own in chain[:3]] == ["affine", "lookup", "bias-field"]
