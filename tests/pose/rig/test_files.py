"""Calibration files: round trips, MATLAB's conventions, and what is no calibration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.pose.rig import read_rig, write_rig
from tests.pose.rig.rigs import ring

RIG = ring(3, lens=(-0.2, 0.05, 0.001, 0.002, -0.01))


@pytest.mark.parametrize("name", ["calibration.toml", "calibration.json", "my_dannce.mat"])
def test_what_is_written_is_read_again(tmp_path, name):
    write_rig(RIG, tmp_path / name)
    again = read_rig(tmp_path)
    assert again.names == RIG.names
    assert again.unit == "mm"
    for mine, theirs in zip(RIG, again, strict=True):
        assert mine.size == theirs.size
        for part in ("K", "R", "t", "distortion"):
            np.testing.assert_allclose(getattr(theirs, part), getattr(mine, part), atol=1e-12)


@pytest.mark.parametrize("name", ["calibration.toml", "calibration.json"])
@pytest.mark.parametrize("unit", ["units", "cm"])
def test_a_unit_is_what_was_stated(tmp_path, name, unit):
    file = write_rig(replace(RIG, unit=unit), tmp_path / name)
    assert read_rig(file).unit == unit
    file.write_text(file.read_text().replace('"unit"', '"length"').replace("unit =", "length ="))
    assert read_rig(file).unit == "units"
    assert read_rig(file, "um").unit == "um"


@pytest.mark.parametrize("word", ["mm", "MM", "millimeters", "Millimetre"])
def test_a_unit_is_known_however_it_is_spelt(tmp_path, word):
    file = write_rig(RIG, tmp_path / "calibration.toml")
    file.write_text(file.read_text().replace('"mm"', f'"{word}"'))
    assert read_rig(file, "mm").unit == read_rig(file).unit == "mm"
    with pytest.raises(DataError, match=r"calibration\.toml: states that it is in mm"):
        read_rig(file, "m")


def test_aniposes_own_file_is_read(test_data):
    rig = read_rig(test_data / "pose/anipose-minimal/calibration.toml")
    assert rig.unit == "units"
    assert rig.names == ("back", "mid", "side", "top")
    assert rig.cameras[0].size == (1280, 1024)
    assert rig.cameras[0].K[0, 0] == pytest.approx(769.8864926727645)


def test_dannces_skew_is_kept(test_data):
    rig = read_rig(test_data / "pose/dannce/mm1_label3d_dannce.mat")
    assert rig.names[0] == "Camera1"
    assert rig.cameras[0].K[0, 1] == pytest.approx(-5.81529732)
    # MATLAB's first pixel is (1, 1).
    assert rig.cameras[0].K[0, 2] == pytest.approx(602.881804)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.toml", "", "at least one camera"),
        ("c.toml", "[cam_0]\nmatrix = [[1, 2", "no TOML"),
        ("c.toml", "[cam_0]\nname = 'a'\nmatrix = [[8, 0, 1], [0, 8, 1], [0, 0, 1]]", "rotation"),
        ("c.json", "{", "no JSON"),
        ("c.json", "{}", "cameras"),
        ("c.mat", "MATLAB", "no .mat"),
        ("c.tom", "", "Did you mean '.toml'"),
    ],
)
def test_what_is_no_calibration_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message) as told:
        read_rig(tmp_path / name)
    assert name in str(told.value)


def test_a_cut_file_is_named(tmp_path, test_data):
    whole = (test_data / "pose/dannce/mm1_label3d_dannce.mat").read_bytes()
    (tmp_path / "cut_dannce.mat").write_bytes(whole[:90_000])
    with pytest.raises(DataError, match="cut_dannce.mat"):
        read_rig(tmp_path)


def test_a_folder_must_hold_one(tmp_path):
    with pytest.raises(DataError, match="no calibration is there"):
        read_rig(tmp_path)
    write_rig(RIG, tmp_path / "calib_a.toml")
    write_rig(RIG, tmp_path / "calib_b.toml")
    with pytest.raises(DataError, match="several calibrations"):
        read_rig(tmp_path)
    with pytest.raises(ConfigError, match="ends in"):
        write_rig(RIG, tmp_path / "c.yaml")
