"""What of a result is looked at: masks lie on their scans, points on their videos."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroloom.apps.studio.shown import class_names, of_prediction, of_run
from neuroloom.core.files import write_json
from tests.animals import write_clip
from tests.grids import write_blobs
from tests.makers import recording, write

FACTS = {
    "rows": [{"name": "case_00", "path": "images/case_00.nii.gz"}],
    "axes": {"classes_of": {"0": "background", "1": "ball", "2": "ring"}},
}


@pytest.fixture
def run(place):
    """A run that was trained on blobs: its folder, with the facts that it keeps."""
    write_blobs(place.root / "blobs", cases=2)
    folder = place.runs / "seg"
    folder.mkdir()
    write_json(folder / "dataset.json", FACTS)
    return folder


def masked(place, folder, name="case_00"):
    folder.mkdir(parents=True)
    file = folder / f"{name}.nii.gz"
    file.write_bytes((place.root / "blobs" / "labels" / "case_00.nii.gz").read_bytes())
    return file


def predicted(place, table):
    """A prediction's folder with its table."""
    folder = place.predictions / "p"
    folder.mkdir(exist_ok=True)
    pd.DataFrame(table).to_csv(folder / "predictions.csv", index=False)
    return folder


def test_the_masks_of_held_out_cases_lie_on_their_scans(place, run):
    assert of_run(place, run, place.root / "blobs") == []
    masked(place, run / "artifacts" / "held_out")
    (one,) = of_run(place, run, place.root / "blobs")
    assert one.name == "case_00.nii.gz"
    assert one.path == "blobs/images/case_00.nii.gz"
    assert one.over == "runs/seg/artifacts/held_out/case_00.nii.gz"
    assert one.names == {"1": "ball", "2": "ring"} == class_names(run)


@pytest.mark.parametrize("alone", [True, False])
def test_a_predicted_mask_lies_on_what_it_was_made_of(place, run, alone):
    """Of a file or of a folder; a row a class, one thing to look at a case."""
    data = place.root / "blobs" / "images"
    path = "case_00.nii.gz" if alone else "images/case_00.nii.gz"
    data = data / path if alone else data.parent
    masked(place, place.predictions / "p")
    row = {"name": "case_00", "path": path, "file": "case_00.nii.gz"}
    folder = predicted(place, [row | {"class": "ball"}, row | {"class": "ring"}])
    (one,) = of_prediction(place, folder, data, run)
    assert one.path == "blobs/images/case_00.nii.gz"
    assert one.over == "predictions/p/case_00.nii.gz"
    assert one.names == {"1": "ball", "2": "ring"}


def test_numbered_objects_have_no_names(place, run):
    """The third cell is no class of the net that looks for interiors and rims."""
    write_json(run / "dataset.json", {"axes": FACTS["axes"] | {"objects": "cell"}})
    masked(place, place.predictions / "p")
    folder = predicted(place, [{"path": "images/case_00.nii.gz", "file": "case_00.nii.gz"}])
    (one,) = of_prediction(place, folder, place.root / "blobs", run)
    assert (one.path, one.names) == ("blobs/images/case_00.nii.gz", {})


def test_a_mask_stands_alone_where_its_scan_is_gone(place, run):
    masked(place, place.predictions / "p")
    folder = predicted(place, [{"path": "gone.nii.gz", "file": "case_00.nii.gz"}])
    (one,) = of_prediction(place, folder, place.root / "blobs", run)
    assert (one.path, one.over) == ("predictions/p/case_00.nii.gz", "")


def test_what_may_not_be_read_is_not_named(place, run, tmp_path):
    """The data of a run may lie where the studio may not look any more."""
    write_blobs(tmp_path / "elsewhere", cases=1)
    masked(place, run / "artifacts" / "held_out")
    (one,) = of_run(place, run, tmp_path / "elsewhere")
    assert "elsewhere" not in one.path + one.over


def test_points_lie_on_their_video(place, run):
    clip = write_clip(place.root / "clip")
    video, tracks = clip / "arena.mp4", clip / "arenaDLC_net.h5"
    folder = predicted(place, {"frame": np.arange(3)})
    (folder / tracks.name).write_bytes(tracks.read_bytes())
    (one,) = of_prediction(place, folder, clip, run)
    assert one.path == place.shown(video)
    assert one.over == f"predictions/p/{tracks.name}"


def test_a_recording_and_a_table_stand_for_themselves(place, run):
    folder = predicted(place, {"decoded": ["left"]})
    assert of_prediction(place, folder, place.root, run) == []
    write(recording(0, trials=2), folder / "rest_decoded_raw.fif")
    (one,) = of_prediction(place, folder, place.root, run)
    assert (one.path, one.over) == ("predictions/p/rest_decoded_raw.fif", "")
