"""The gate of tracks: dims, names, unit, space and time."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import DataError
from neuroloom.core.recording import check, tracks


def made(times=6, space=2, keypoints=("nose", "tail"), individuals=("a", "b"), **more):
    points = np.arange(times * space * len(keypoints) * len(individuals), dtype=float)
    points = points.reshape(times, space, len(keypoints), len(individuals))
    return tracks(points, keypoints, individuals, **{"rate": 30.0, "source": "a.h5"} | more)


def test_dims_names_times_and_attributes():
    recording = made(space=3, unit="mm")
    assert recording.dims == ("time", "space", "keypoints", "individuals")
    assert list(recording.space.values) == ["x", "y", "z"]
    assert float(recording.time[3]) == pytest.approx(0.1)
    assert recording.confidence.dims == ("time", "keypoints", "individuals")
    assert np.isnan(recording.confidence.values).all()
    assert recording.attrs == {"kind": "tracks", "rate": 30.0, "unit": "mm", "source": "a.h5"}
    assert float(recording.sel(keypoints="tail", individuals="b", space="x")[0]) == 3


def test_frames_that_are_left_out_keep_their_time():
    recording = made(3)
    assert list(recording.frame.values) == [0, 1, 2]
    late = tracks(np.zeros((3, 2, 1, 1)), ["nose"], rate=10.0, frames=np.array([5, 7, 20]))
    assert list(late.time.values) == pytest.approx([0.5, 0.7, 2.0])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"keypoints": ("nose", "nose")}, "nose stands twice"),
        ({"individuals": ("a", "a")}, "a stands twice"),
        ({"unit": "inch"}, "unit of px"),
        ({"rate": 0.0}, "above 0"),
        ({"space": 4}, "2 or 3"),
        ({"confidence": np.zeros((6, 2))}, r"confidence of shape \(6, 2, 2\)"),
        ({"frames": np.array([0, 1, 1, 2, 3, 4])}, "row 2"),
        ({"individuals": ()}, "they have none|is empty"),
    ],
)
def test_what_does_not_fit_is_refused(more, said):
    with pytest.raises(DataError, match=said):
        made(**more)


def test_a_foreign_array_needs_the_coordinates():
    bare = made().drop_vars("confidence")
    with pytest.raises(DataError, match="confidence"):
        check(bare, "tracks")
    with pytest.raises(DataError, match="dims"):
        check(made().transpose("space", ...), "tracks")
