"""Named arrays with facts in one file."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from neuroloom.core.errors import RunError
from neuroloom.learn.store import read_arrays, require_room, write_arrays


def test_facts_keep_their_order(tmp_path):
    """Of regions it says which output of a net is which."""
    facts = {"parts": {"whole": [1, 2], "core": [2]}, "a": 1}
    file = write_arrays(tmp_path / "model.safetensors", {"w": np.zeros(2)}, facts)
    assert list(read_arrays(file)[1]["parts"]) == ["whole", "core"]


def test_what_a_disk_cannot_hold_is_refused_with_both_sizes(tmp_path, monkeypatch):
    """What lies there from work that was stopped is a part of what is needed."""
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=3e6))
    with pytest.raises(RunError, match=r"for masks: .* 5\.0 MB more are needed, .* 3\.0 MB.* rest"):
        require_room(tmp_path / "work", 5e6, "masks", "rest")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "half.npy").write_bytes(bytes(2_000_000))
    require_room(tmp_path / "work", 5e6, "masks", "rest")
