"""Videos read and written beside the decoders that others use: PyAV bare, and OpenCV.

    python benchmarks/video.py [--turns 5]

Every frame as RGB, in order, of one real clip; the sides take turns in one process. Ours also
counts frames, finds key frames and checks each frame's number, which neither peer does. The
smallest wall time of each is compared. Written are the same frames, codec and settings the same.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import decode  # noqa: E402

CLIP = Path("pose", "dlc-openfield", "videos", "m3v1_first1000.mp4")
DATA = Path(os.environ.get("NEUROLOOM_TEST_DATA", HERE.parents[1] / "shared" / "data"))


def main() -> None:
    turns = parse().turns
    clip = DATA / CLIP
    rows = []
    for peer, read in {f"av {version('av')}": by_av, f"opencv {opencv()}": by_opencv}.items():
        rows.append(row("read", peer, *take_turns(by_neuroloom, read, clip, turns)))
    frames, rate = some_frames(clip)
    rows.append(
        row(
            "write", f"av {version('av')}",
            *take_turns(write_ours, write_by_av, (frames, rate), turns),
        )
    )  # fmt: skip
    decode.write(rows)


def opencv() -> str:
    import cv2

    return str(cv2.__version__)


def row(job: str, peer: str, ours: float, theirs: float) -> dict[str, object]:
    line = decode.row(job, [{"s": ours}], [{"s": theirs}], "s")
    return line | {
        "benchmark": f"video: {job} the frames of {CLIP.name} beside {peer}",
        "peer": peer,
    }


def take_turns(
    ours: Callable[[Any], object], theirs: Callable[[Any], object], what: Any, turns: int
) -> tuple[float, float]:
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(turns):
        for side, work in zip(times, (ours, theirs), strict=True):
            start = time.perf_counter()
            work(what)
            side.append(time.perf_counter() - start)
    return min(times[0]), min(times[1])


def by_neuroloom(clip: Path) -> int:
    from neuroloom.io.video import Video

    with Video(clip) as video:
        return sum(len(frames) for _, frames in video.blocks(32))


def by_av(clip: Path) -> int:
    import av

    with av.open(str(clip)) as opened:
        stream = opened.streams.video[0]
        stream.thread_type = "AUTO"
        return sum(len(frame.to_ndarray(format="rgb24")) > 0 for frame in opened.decode(stream))


def by_opencv(clip: Path) -> int:
    import cv2

    capture, count = cv2.VideoCapture(str(clip)), 0
    while True:
        known, frame = capture.read()
        if not known:
            return count
        cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        count += 1


def some_frames(clip: Path, count: int = 300) -> tuple[np.ndarray, float]:
    from neuroloom.io.video import Video

    with Video(clip) as video:
        return video.read(range(count)), float(video.rate)


def write_ours(what: tuple[np.ndarray, float]) -> None:
    from neuroloom.io.video import write_video

    with TemporaryDirectory() as folder:
        write_video(Path(folder) / "made.mp4", what[0], what[1])


def write_by_av(what: tuple[np.ndarray, float]) -> None:
    from fractions import Fraction

    import av

    frames, rate = what
    with TemporaryDirectory() as folder, av.open(str(Path(folder) / "made.mp4"), "w") as made:
        stream = made.add_stream("libx264", rate=Fraction(rate).limit_denominator(1000))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "18", "preset": "veryfast"}
        for frame in frames:
            made.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        made.mux(stream.encode(None))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--turns", type=int, default=5, help="calls of each side")
    return parser.parse_args()


if __name__ == "__main__":
    main()
