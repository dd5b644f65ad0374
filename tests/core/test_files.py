"""Files are whole or absent."""

from __future__ import annotations

import ntpath
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace

import numpy as np
import pytest

from neuroloom.core import files
from neuroloom.core.files import (
    digest,
    names_apart,
    read_json,
    write_atomic,
    write_json,
    write_text,
)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = write_text(tmp_path / "a.txt", "old")

    def half(partial: Path) -> None:
        partial.write_text("ne")
        raise OSError("disk full")

    with pytest.raises(OSError, match=r"disk full"):
        write_atomic(path, half)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_holds_numpy_paths_and_no_nan(tmp_path):
    value = {1: np.float32(0.5), "b": [np.nan, np.inf], "c": np.arange(2), "d": Path("x") / "y"}
    file = write_json(tmp_path / "deep" / "a.json", value)
    assert read_json(file) == {"1": 0.5, "b": [None, None], "c": [0, 1], "d": "x/y"}


def test_a_digest_follows_the_content(tmp_path):
    a, b = write_text(tmp_path / "a", "1"), write_text(tmp_path / "b", "1")
    assert digest(a) == digest(b)
    assert len(digest(a)) == 64
    assert digest(write_text(b, "2")) != digest(a)


def test_the_digest_of_a_folder_follows_names_and_contents(tmp_path):
    for name in ("x/a", "y/a", "z/b"):
        write_text(tmp_path / name, "1")
    x, y, z = (digest(tmp_path / name) for name in "xyz")
    assert x == y != z


def test_files_of_two_disks_of_windows_are_told_apart(monkeypatch):
    monkeypatch.setattr(files, "os", SimpleNamespace(path=ntpath))
    monkeypatch.setattr(files, "Path", PureWindowsPath)
    paths = [PureWindowsPath(own) for own in ("C:/one/x.npy", "D:/two/x.npy", "D:/two/y.npy")]
    assert names_apart(paths) == ["one_x", "two_x", "y"]
