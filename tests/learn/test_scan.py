"""A scan gives what one pass would give, also after a kill; its memory does not grow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from neuroloom.core.errors import DataError
from neuroloom.io.video import Video, write_video
from neuroloom.learn.scan import parts_of, read_scan, scan


def clip(path, count=50):
    frames = (np.full((32, 48, 1), number % 200, np.uint8) for number in range(count))
    return write_video(path, frames, 25)


def measured(frames):
    means = frames.astype(float).mean((1, 2, 3))
    return {"mean": means, "corner": frames[:, :2, :2, 0], "size": np.full(len(frames), 32)}


def test_the_results_are_those_of_one_pass(tmp_path):
    with Video(clip(tmp_path / "a.mp4")) as video:
        told = []
        folder = scan(video, measured, tmp_path / "s", 8, 20, told=lambda *n: told.append(n))
        whole = measured(video.read(range(50)))
    found = read_scan(folder)
    for name, values in whole.items():
        np.testing.assert_array_equal(found[name], values)
    assert [first for first, _ in parts_of(folder)] == [0, 24, 48]  # 20 is rounded up to 24
    assert told[-1] == (50, 50)


def test_a_second_call_only_fills_gaps(tmp_path):
    video, calls = Video(clip(tmp_path / "a.mp4")), []

    def counted(frames):
        calls.append(len(frames))
        return measured(frames)

    folder = scan(video, counted, tmp_path / "s", 8, 16)
    before = read_scan(folder)
    parts = sorted(folder.glob("part-*"))
    parts[1].unlink()
    parts[2].write_bytes(parts[2].read_bytes()[:100])
    calls.clear()
    with pytest.raises(DataError, match="stopped at frame 16 of 50"):
        read_scan(folder)
    scan(video, counted, folder, 8, 16)
    assert calls == [8, 8, 8, 8]
    for name, values in read_scan(folder).items():
        np.testing.assert_array_equal(values, before[name])


def test_another_scan_in_the_folder_is_refused(tmp_path):
    video = Video(clip(tmp_path / "a.mp4"))
    folder = scan(video, measured, tmp_path / "s", 8, 16, key="one net")
    with pytest.raises(DataError, match="key one net, now another"):
        scan(video, measured, folder, 8, 16, key="another")
    with pytest.raises(DataError, match="frames 50, now 40"):
        scan(Video(clip(tmp_path / "a.mp4", 40)), measured, folder, 8, 16, key="one net")
    with pytest.raises(DataError, match="no scan"):
        read_scan(tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"mean": np.zeros(3)}, {"mean": np.array([None] * 8)}, {"mean": np.float64(1)}]
)
def test_results_of_another_length_are_refused(tmp_path, wrong):
    with pytest.raises(DataError, match="expected 8 results"):
        scan(Video(clip(tmp_path / "a.mp4")), lambda frames: wrong, tmp_path / "s", 8)


SLOW = """
import sys, time
from neuroloom.io.video import Video
from neuroloom.learn.scan import scan
def slow(frames):
    time.sleep(0.15)
    return {"mean": frames.astype(float).mean((1, 2, 3))}
scan(Video(sys.argv[1]), slow, sys.argv[2], 4, 8)
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_after_a_kill_it_goes_on_to_equal_results(tmp_path):
    path = clip(tmp_path / "a.mp4")
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(path), str(tmp_path / "s")])
    until = time.monotonic() + 120
    while not list((tmp_path / "s").glob("part-*")) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(list((tmp_path / "s").glob("part-*")))
    assert 0 < done < 7

    def quick(frames):
        return {"mean": frames.astype(float).mean((1, 2, 3))}

    with Video(path) as video:
        found = read_scan(scan(video, quick, tmp_path / "s", 4, 8))
        np.testing.assert_array_equal(found["mean"], quick(video.read(range(50)))["mean"])


PEAK = """
import resource, sys
from neuroloom.io.video import Video
from neuroloom.learn.scan import scan
scan(Video(sys.argv[1]), lambda f: {"mean": f.mean((1, 2, 3))}, sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="resource")
def test_a_hundred_thousand_frames_need_no_more_memory_than_five_thousand(tmp_path):
    peaks = []
    for count in (5_000, 100_000):
        path = clip(tmp_path / f"{count}.mp4", count)
        words = [sys.executable, "-c", PEAK, str(path), str(tmp_path / f"s{count}")]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout) / 1024)
        assert len(read_scan(tmp_path / f"s{count}")["mean"]) == count
    assert peaks[1] < peaks[0] + 30, peaks  # MB
