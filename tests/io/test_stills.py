"""Pictures as frames: one bit depth for all of them, and the pages of TIFF."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from PIL import Image

from neuroloom.core.errors import DataError
from neuroloom.io.labels import read_labels
from neuroloom.io.labels.pictures import depth_of, load_picture
from neuroloom.io.video import Video
from tests.io.labels.makers import dlc_project

DARK, BRIGHT = 200, 4000  # of a camera of 12 bits


def deep(path, *values):
    """Write a picture of 16 bits, or TIFF with a page for each value."""
    first, *more = (Image.fromarray(np.full((48, 64), value, np.uint16)) for value in values)
    first.save(path, **({"save_all": True, "append_images": more} if more else {}))


def test_a_folder_of_twelve_bits_keeps_its_grey_levels(tmp_path):
    for number, value in enumerate((DARK, BRIGHT, 1008)):
        deep(tmp_path / f"{number}.png", value)
    with Video(tmp_path) as video:
        assert video.depth == 12
        assert video.read([0, 1, 2])[:, 0, 0, 0].tolist() == [DARK >> 4, BRIGHT >> 4, 63]
        assert any("hold values of 12;" in note for note in video.notes)
    with Video(tmp_path, depth=16) as video:  # as a net learnt it
        assert video.read([1]).max() == BRIGHT >> 8
    with Video(tmp_path, depth=10) as video:
        assert video.read([1]).max() == BRIGHT >> 4
        assert any("10 were expected" in note for note in video.notes)


def test_labelled_pictures_and_a_video_of_them_are_read_alike(tmp_path):
    project = dlc_project(tmp_path, files=(".csv",))
    folder = project / "labeled-data/a"
    for number, value in enumerate((DARK, BRIGHT, 1008, 90)):
        deep(folder / f"img{number:04d}.png", value)
    labels = read_labels(project)
    assert labels.depth == 12
    assert any("hold values of 12;" in note for note in labels.notes)
    (folder / "CollectedData_me.csv").unlink()
    with Video(folder) as video:
        for row, frame in enumerate(video.read(range(4))):
            np.testing.assert_array_equal(labels.image(row), frame)


def test_pictures_in_hdf5_have_one_depth(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        pixels = np.multiply.outer([DARK, BRIGHT], np.ones((6, 8), int))
        file["pixels"], file["few"] = pixels.astype(np.uint16), pixels.astype(np.uint8)
    addresses = ["a.h5::pixels::0", "a.h5::pixels::1"]
    depth = depth_of(tmp_path, addresses)
    assert [load_picture(tmp_path, one, depth).max() for one in addresses] == [12, 250]
    assert depth_of(tmp_path, ["a.h5::few::0", "gone.png", "a.h5::gone::1"]) is None


def test_pages_of_tiff_are_frames(tmp_path):
    pages = [Image.new("L", (8, 6), value) for value in range(40)]
    pages[0].save(tmp_path / "s2.tif", save_all=True, append_images=pages[1:30])
    pages[30].save(tmp_path / "s10.tif", save_all=True, append_images=pages[31:])
    with Video(tmp_path / "s2.tif") as alone:
        assert len(alone) == 30
    with Video(tmp_path) as video:
        assert len(video) == len(video.times) == 40
        assert video.read([39, 0, 31, 5])[:, 0, 0, 0].tolist() == [39, 0, 31, 5]
        found = np.concatenate([part for _, part in video.blocks(7)])
        assert found[:, 0, 0, 0].tolist() == list(range(40))


def test_pages_of_twelve_bits(tmp_path):
    deep(tmp_path / "a.tif", DARK, BRIGHT)
    assert load_picture(tmp_path, "a.tif::0", depth_of(tmp_path, ["a.tif::0"])).max() == DARK >> 4


def test_a_stack_among_very_many_pictures_is_refused(tmp_path):
    for number in range(70):
        Image.new("L", (8, 6), number).save(tmp_path / f"{number}.tif")
    pages = [Image.new("L", (8, 6), 9)] * 3
    pages[0].save(tmp_path / "1.tif", save_all=True, append_images=pages[1:])
    with Video(tmp_path) as video, pytest.raises(DataError, match=r"1\.tif: has 3 pages"):
        video.read([1])


def test_a_smaller_copy_of_a_picture_is_no_frame(tmp_path):
    copy = Image.new("L", (4, 3), 9)
    copy.encoderinfo = {"tiffinfo": {254: 1}}
    Image.new("L", (8, 6), 9).save(tmp_path / "a.tif", save_all=True, append_images=[copy])
    with Video(tmp_path / "a.tif") as video:
        assert (len(video), video.shape) == (1, (6, 8, 1))


def test_a_stack_of_imagej_without_links_is_refused(tmp_path):
    said = "ImageJ=1.54f\nimages=5000\nslices=5000\n"
    Image.new("L", (8, 6)).save(tmp_path / "a.tif", tiffinfo={270: said})
    with pytest.raises(DataError, match="ImageJ wrote 5000 pictures"):
        Video(tmp_path / "a.tif")
