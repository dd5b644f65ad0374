"""Named arrays with facts in one file."""

from __future__ import annotations

import numpy as np

from neuroloom.learn.store import read_arrays, write_arrays


def test_facts_keep_their_order(tmp_path):
    """Of regions it says which output of a net is which."""
    facts = {"parts": {"whole": [1, 2], "core": [2]}, "a": 1}
    file = write_arrays(tmp_path / "model.safetensors", {"w": np.zeros(2)}, facts)
    assert list(read_arrays(file)[1]["parts"]) == ["whole", "core"]
