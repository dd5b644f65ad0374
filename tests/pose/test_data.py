"""What a run keeps of its pictures, so that others are seen as its net learnt."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from neuroloom.core.errors import DataError
from neuroloom.io.video import write_video
from neuroloom.pose.data import read_frames
from neuroloom.pose.predict import Job
from tests.io.labels.makers import dlc_project


def project(root, *values):
    """A project whose pictures are of 16 bits."""
    made = dlc_project(root, files=(".csv",))
    for number, value in enumerate(values):
        picture = Image.fromarray(np.full((48, 64), value, np.uint16))
        picture.save(made / f"labeled-data/a/img{number:04d}.png")
    return made


def test_tables_of_labels_are_among_the_files_of_a_run(tmp_path):
    made = dlc_project(tmp_path / "a", files=(".csv",))
    table = "labeled-data/a/CollectedData_me.csv"
    assert table in read_frames(made, []).extra["hashes"]


def test_clips_of_one_name_have_hashes_of_their_own(tmp_path):
    made = dlc_project(tmp_path / "a", files=(".csv",))
    for number, place in enumerate(("s[1]", "s[2]")):
        frames = np.full((3, 32, 32, 1), 90 * number, np.uint8)
        (made / place).mkdir()
        write_video(made / place / "v.mp4", frames, 10.0)
    hashes = read_frames(made, [], clips=["s[1]/v.mp4", "s[2]/v.mp4"]).extra["hashes"]
    assert len({hashes["s[1]_v.mp4"], hashes["s[2]_v.mp4"]}) == 2


def test_a_folder_of_projects_names_them(tmp_path):
    for name in ("a", "b"):
        dlc_project(tmp_path / name, files=(".csv",))
    with pytest.raises(DataError, match=r"holds projects or files of labels \(.*\); name one"):
        read_frames(tmp_path, [])


def test_dark_pictures_are_seen_as_the_net_learnt_bright_ones(tmp_path, monkeypatch):
    learnt = read_frames(project(tmp_path / "a", 100, 4000, 900, 1600), [])
    assert learnt.facts["depth"] == 12
    dark = project(tmp_path / "b", 100, 200, 300, 160)
    assert read_frames(dark, []).x[0].max() == 100 >> 2
    assert read_frames(dark, [], learnt.facts).x[0].max() == learnt.x[0].max() == 100 >> 4
    seen = []

    def scan(video, *_, **__):
        seen.append(video.read([0]).max())
        raise DataError("enough")

    monkeypatch.setattr("neuroloom.learn.scan.scan", scan)
    (dark / "labeled-data/a/CollectedData_me.csv").unlink()
    job = Job(SimpleNamespace(members={}, facts={"axes": learnt.facts}), None)
    with pytest.raises(DataError, match="enough"):
        list(job.of(dark / "labeled-data/a", "a"))
    assert seen == [100 >> 4]
