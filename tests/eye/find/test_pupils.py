"""From the net's answers to what is said of a frame."""

import numpy as np
import pytest

from neuroloom.eye.find import pupils
from neuroloom.eye.find.pupils import find_pupils, load_net


def test_a_blink_in_doubt_is_looked_at_in_the_mirror_and_finer(monkeypatch):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (3, 48, 64), np.uint8)
    first = [0.02, 0.3, 0.97]
    seen = []

    def maps_of(part, net, side=pupils.SIDE):
        seen.append((part.copy(), side))
        blink = first if len(seen) == 1 else [0.6] if side == pupils.SIDE else [0.9]
        tags = np.stack([np.ones(len(part)), blink], 1).astype(np.float32)
        return np.zeros((len(part), 3, 24, 32), np.float32), tags

    monkeypatch.setattr(pupils, "maps_of", maps_of)
    found = find_pupils(frames, load_net())
    assert found.blink.tolist() == pytest.approx([0.02, (0.3 + 0.6 + 0.9) / 3, 0.97])
    assert len(seen) == 3
    np.testing.assert_array_equal(seen[1][0], frames[1:2, :, ::-1])
    np.testing.assert_array_equal(seen[2][0], frames[1:2])
    assert seen[2][1] > seen[1][1]


def test_frames_that_are_clear_are_looked_at_once(monkeypatch):
    calls = []

    def maps_of(part, net, side=pupils.SIDE):
        calls.append(side)
        return np.zeros((len(part), 3, 24, 32), np.float32), np.array([[1.0, 0.01]] * len(part))

    monkeypatch.setattr(pupils, "maps_of", maps_of)
    find_pupils(np.zeros((2, 48, 64), np.uint8), load_net())
    assert calls == [pupils.SIDE]
