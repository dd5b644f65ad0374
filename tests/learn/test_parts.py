"""A prediction that was interrupted goes on with what it found; another one is refused."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.learn.parts import PARTS, Parts, can_go_on, check_out_or_go_on

ABOUT = {"model": "a", "files": "b"}


def test_what_was_found_is_not_sought_again(tmp_path):
    first = Parts(tmp_path / "out", ABOUT)
    found = [{"volume": np.float64(0.1), "axons": np.int64(3), "lacks": float("nan"), "why": None}]
    kept = first.of(0, lambda: found)
    with pytest.raises(OSError, match="full"):
        first.of(1, lambda: (_ for _ in ()).throw(OSError("full")))
    assert can_go_on(tmp_path / "out", PARTS)
    again = Parts(tmp_path / "out", ABOUT)
    for one in (kept[0], again.of(0, lambda: pytest.fail("sought again"))[0]):
        assert np.isnan(one.pop("lacks"))
        assert one == {"volume": 0.1, "axons": 3, "why": None}
    assert again.of(1, lambda: "new") == "new"
    again.close()
    assert not can_go_on(tmp_path / "out", PARTS)


def test_another_prediction_is_refused(tmp_path):
    Parts(tmp_path, ABOUT).of(0, lambda: 1)
    with pytest.raises(ConfigError, match="of other images or by another run"):
        Parts(tmp_path, ABOUT | {"files": "c"})
    (tmp_path / "status.json").write_text("{}")
    for refused in (lambda: Parts(tmp_path, ABOUT), lambda: check_out_or_go_on(tmp_path, PARTS)):
        with pytest.raises(ConfigError, match="is not empty"):
            refused()


def test_without_a_folder_nothing_is_kept():
    parts = Parts(None, ABOUT)
    assert [parts.of(0, lambda value=value: value) for value in (1, 2)] == [1, 2]
    parts.close()
