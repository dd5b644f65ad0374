"""Videos: every seek gives the frame that a sequential decode gives; streams; bad files."""

from __future__ import annotations

import threading
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from neuroloom.core.errors import DataError
from neuroloom.io import videoindex
from neuroloom.io.video import Video, is_video, write_video
from neuroloom.io.videoindex import open_video
from neuroloom.learn.scan import read_scan, scan

REAL = (
    "pose/sleap/centered_pair_small.mp4", "pose/sleap/small_robot.mp4",
    "pose/lp-mirror-mouse/videos/test_vid.mp4", "pose/dlc-openfield/videos/m3v1_first1000.mp4",
    "pose/anipose-minimal/top/calibration.MOV", "eye/deepvog/demo.mp4", "eye/meye/2p_mouse.mp4",
)  # fmt: skip


def numbered(count=60, shape=(48, 64, 3)):
    """Frames whose brightness and a moving bar tell their number."""
    for number in range(count):
        frame = np.full(shape, 40 + 3 * (number % 60), np.uint8)
        frame[:, number % shape[1] // 2 * 2 : number % shape[1] // 2 * 2 + 6] = 255
        yield frame


def encode(path, codec, options=None, stamps=None, count=60, pix_fmt="yuv420p", **kwargs):
    """Encode with PyAV directly, at chosen time stamps (ms)."""
    with av.open(str(path), "w", **kwargs) as container:
        stream = container.add_stream(codec, 25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        stream.options = options or {}
        if stamps is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number, pixels in enumerate(numbered(count)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if stamps is not None:
                frame.pts, frame.time_base = int(stamps[number]), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def sequential(path):
    """Decode from the first to the last frame, without our code."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"bf": "3", "g": "12"}),
        ("open.mp4", "libx264", {"bf": "3", "g": "10", "x264-params": "open-gop=1"}),
        ("a.mkv", "libx264", {"bf": "2", "g": "250"}),
        ("a.avi", "mpeg4", {"g": "15"}),
        ("b.avi", "mjpeg", {}),
        ("a.mov", "libx264", {"bf": "3", "g": "12"}),
        ("a.ts", "libx264", {"bf": "3", "g": "12"}),
        ("a.mpg", "mpeg2video", {"bf": "2", "g": "12"}),
        ("c.avi", "libx264", {"bf": "3", "g": "12"}),
        ("e.avi", "mpeg4", {"bf": "2", "g": "15"}),
        ("r.h264", "libx264", {"bf": "3", "g": "12"}),
    ],
)
def test_any_frame_by_its_number(tmp_path, name, codec, options):
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    encode(tmp_path / name, codec, options, pix_fmt=pix_fmt)
    truth = sequential(tmp_path / name)
    with Video(tmp_path / name) as video:
        assert len(video) == len(truth)
        order = np.random.default_rng(0).permutation(len(truth))
        np.testing.assert_array_equal(video.read(order), truth[order])
        for number in (*order[:12], 0, len(truth) - 1, 0):
            np.testing.assert_array_equal(video.read([number])[0], truth[number])
        streamed = list(video.blocks(7, 5, 50))
        assert [first for first, _ in streamed] == list(range(5, 50, 7))
        np.testing.assert_array_equal(np.concatenate([part for _, part in streamed]), truth[5:50])
        assert video.rate == pytest.approx(25, rel=0.02)


def test_frames_without_time_stamps_are_counted_and_it_is_said(tmp_path):
    for name in ("c.avi", "r.h264"):
        encode(tmp_path / name, "libx264", {"bf": "3"})
        with Video(tmp_path / name) as video:
            np.testing.assert_allclose(video.times, np.arange(60) / 25)
            assert "times are those of 25 a second" in video.notes[0]
            assert f"ffmpeg -r 25 -i {name}" in video.notes[0]


def test_a_file_is_walked_through_once_until_it_is_written_anew(tmp_path, monkeypatch):
    path = encode(tmp_path / "c.avi", "libx264", {"bf": "3"})
    opened = []

    def told(path):
        opened.append(path)
        return open_video(path)

    monkeypatch.setattr(videoindex, "open_video", told)
    for _ in range(3):
        with Video(path) as video:
            assert len(video) == 60
            video.times += 1.0  # which is the caller's own
    assert video.times[0] == 1.0
    assert len(opened) == 3  # its packets, their order, and all of its frames
    encode(path, "libx264", {"bf": "3"}, count=40)
    with Video(path) as video:
        assert len(video) == 40
    assert len(opened) == 6


def test_a_raw_stream_cut_off_is_read_as_far_as_it_goes(tmp_path):
    path = encode(tmp_path / "r.h264", "libx264", {"bf": "0"})
    truth = sequential(path)
    path.write_bytes(path.read_bytes()[:1500])
    with Video(path, patch=True) as video:
        assert 10 < len(video) < 60
        found = np.concatenate([part for _, part in video.blocks(8)])
        np.testing.assert_array_equal(found[:-1], truth[: len(video) - 1])


def test_times_of_an_uneven_video_are_its_own(tmp_path):
    steps = np.where(np.arange(60) % 7 == 3, 90, 40)
    stamps = np.cumsum(steps) - steps[0]
    encode(tmp_path / "a.mkv", "libx264", {"bf": "2"}, stamps)
    with Video(tmp_path / "a.mkv") as video:
        np.testing.assert_allclose(video.times, stamps / 1000, atol=1e-3)
        assert video.rate == pytest.approx(59 / (stamps[-1] / 1000), rel=0.01)
        assert "the frame rate changes" in video.notes[0]
        np.testing.assert_array_equal(video.read([33])[0], sequential(tmp_path / "a.mkv")[33])


def test_frames_of_one_time_stamp_are_spread_and_told_apart(tmp_path):
    path = encode(tmp_path / "fast.mkv", "libx264", {"bf": "0"}, np.arange(60) // 2)
    with Video(path) as video:
        np.testing.assert_allclose(video.times, np.arange(60) / 2000, atol=3e-5)
        assert video.rate == pytest.approx(2000)
        assert "30 frames bear the time of the frame before" in video.notes[0]
        assert len(video.notes) == 1
        np.testing.assert_array_equal(video.read([33, 32]), sequential(path)[[33, 32]])
        frames = (frame for _, block in video.blocks(16) for frame in block)
        write_video(tmp_path / "a.mp4", frames, video.rate, video.times)
    with Video(tmp_path / "a.mp4") as again:
        np.testing.assert_allclose(again.times, np.arange(60) / 2000, atol=3e-5)


def test_even_videos_have_no_notes(tmp_path):
    with Video(write_video(tmp_path / "a.mp4", numbered(), 29.97)) as video:
        assert video.notes == ()
        assert video.rate == pytest.approx(29.97, rel=1e-4)
        np.testing.assert_allclose(video.times, np.arange(60) / 29.97, atol=1e-3)


def test_grey_is_the_brightness(tmp_path):
    write_video(tmp_path / "a.mp4", numbered(5), 25)
    with Video(tmp_path / "a.mp4") as colour, Video(tmp_path / "a.mp4", grey=True) as grey:
        assert grey.shape == (48, 64, 1)
        seen = np.asarray(
            [np.asarray(Image.fromarray(f).convert("L")) for f in colour.read([0, 3])]
        )
        assert np.abs(grey.read([0, 3])[..., 0].astype(int) - seen).max() <= 2


@pytest.mark.parametrize("shape", [(47, 63, 3), (48, 64, 1), (33, 34, 1)])
def test_written_frames_come_back(tmp_path, shape):
    generator = np.random.default_rng(0)
    smooth = np.cumsum(generator.uniform(0, 4, (10, *shape)), axis=2)
    frames = smooth.astype(np.uint8)[..., :1].repeat(shape[-1], axis=-1)
    path = write_video(tmp_path / "a.mp4", frames, 30)
    with Video(path) as video:
        height, width = shape[0] + shape[0] % 2, shape[1] + shape[1] % 2
        assert video.shape == (height, width, 3)
        found = video.read(range(10))[:, : shape[0], : shape[1], : shape[2]]
        assert np.abs(found.astype(int) - frames).mean() < 2
        if width > shape[1]:
            last = video.read([0])[0].astype(int)
            assert np.abs(last[:, -1] - last[:, -2]).mean() < 3
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")


def test_a_folder_of_pictures_is_a_video(tmp_path):
    for number in (10, 2, 1):
        Image.new("L", (8, 6), number).save(tmp_path / f"img{number}.png")
    assert is_video(tmp_path)
    with Video(tmp_path, rate=50) as video:
        assert (len(video), video.shape, video.rate) == (3, (6, 8, 1), 50)
        assert video.read([2, 0, 1])[:, 0, 0, 0].tolist() == [10, 1, 2]
        assert [part.max() for _, part in video.blocks(2)] == [2, 10]
    Image.new("L", (9, 6), 5).save(tmp_path / "img11.png")
    with (
        Video(tmp_path) as video,
        pytest.raises(DataError, match="frames of a video have one size"),
    ):
        video.read([3])


def test_a_folder_of_videos_with_a_picture_is_no_folder_of_pictures(tmp_path):
    Image.new("L", (8, 6), 1).save(tmp_path / "1.png")
    (tmp_path / "._1.png").write_bytes(b"what macOS leaves beside files")
    (tmp_path / "._a.mp4").write_bytes(b"and this")
    (tmp_path / ".cache").mkdir()
    assert is_video(tmp_path)
    with Video(tmp_path) as video:
        assert len(video) == 1
    (tmp_path / "a.mp4").write_bytes(b"any")
    assert not is_video(tmp_path)
    assert not is_video(tmp_path / "._a.mp4")


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "it is empty"), (b"no video at all" * 40, "cannot be read as a video")],
)
def test_what_is_no_video_is_said(tmp_path, content, said):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.mp4.*{said}"):
        Video(tmp_path / "a.mp4")


def noisy(path):
    """A video whose every frame takes its share of the file."""
    frames = np.random.default_rng(0).integers(0, 255, (60, 48, 64, 3), np.uint8)
    return write_video(path, frames, 25)


def test_a_video_cut_off_is_said(tmp_path):
    path = noisy(tmp_path / "a.mp4")
    whole, truth = path.read_bytes(), sequential(path)
    path.write_bytes(whole[: len(whole) * 2 // 3])  # its table of contents is first: it still opens
    with Video(path) as video:
        assert 20 < len(video) < 60
        assert f"tells of 60 frames, {len(video)} are there" in video.notes[0]
        found = np.concatenate([part for _, part in video.blocks(8)])
        np.testing.assert_array_equal(found, truth[: len(video)])


def test_a_frame_that_is_broken_is_said(tmp_path):
    path = noisy(tmp_path / "a.mp4")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 9000] = bytes(9000)
    path.write_bytes(content)
    with Video(path) as video:
        video.read([0])
        with pytest.raises(DataError, match=r"frame \d+ of 60 cannot be decoded"):
            list(video.blocks(8))


def test_broken_frames_can_be_patched(tmp_path):
    path = noisy(tmp_path / "a.mp4")
    truth = sequential(path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 9000] = bytes(9000)
    path.write_bytes(content)
    with Video(path, patch=True) as video:
        found = np.concatenate([part for _, part in video.blocks(8)])
        sound = ~video.damaged
        assert 1 <= video.damaged.sum() < 40
        np.testing.assert_array_equal(found[sound], truth[sound])
        first = int(np.argmax(video.damaged))
        np.testing.assert_array_equal(found[first], truth[first - 1])
        assert not video.read([first]).any()
        done = scan(video, lambda frames: {"mean": frames.mean((1, 2, 3))}, tmp_path / "s", block=8)
    np.testing.assert_array_equal(read_scan(done)["damaged"], ~sound)


def test_pictures_of_several_sizes_are_no_damage(tmp_path):
    for number, side in enumerate((32, 32, 48)):
        Image.new("L", (side, side)).save(tmp_path / f"img{number}.png")
    with Video(tmp_path, patch=True) as video, pytest.raises(DataError, match="one size"):
        list(video.blocks(2))


def test_a_broken_first_picture_is_patched(tmp_path):
    for number in range(3):
        Image.new("L", (32, 24), 90).save(tmp_path / f"img{number}.png")
    (tmp_path / "img0.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="cannot be read"):
        Video(tmp_path)
    with Video(tmp_path, patch=True) as video:
        (_, frames), *_ = video.blocks(3)
        assert video.damaged.tolist() == [True, False, False]
        assert frames.max((1, 2, 3)).tolist() == [0, 90, 90]


def test_half_a_file_is_no_video(tmp_path):
    encode(tmp_path / "b.mp4", "libx264")
    (tmp_path / "b.mp4").write_bytes((tmp_path / "b.mp4").read_bytes()[:900])
    with pytest.raises(DataError, match=r"b\.mp4"):
        Video(tmp_path / "b.mp4")


def test_what_is_out_of_reach_is_said(tmp_path):
    with Video(write_video(tmp_path / "a.mp4", numbered(5), 25)) as video:
        with pytest.raises(DataError, match="frames 0 to 4, asked for 1 to 5"):
            video.read([1, 5])
        with pytest.raises(DataError, match="asked for -1"):
            video.read([-1])
    with pytest.raises(DataError, match="no such video"):
        Video(tmp_path / "gone.mp4")
    with pytest.raises(DataError, match="no frame to write"):
        write_video(tmp_path / "b.mp4", [], 25)
    assert not list(tmp_path.glob("*b*"))
    with pytest.raises(DataError, match="frame 1 is"):
        write_video(tmp_path / "b.mp4", [np.zeros((side, 4, 1), np.uint8) for side in (4, 6)], 5)


def test_a_stream_that_is_left_ends_its_thread(tmp_path):
    before = threading.active_count()
    with Video(write_video(tmp_path / "a.mp4", numbered(), 25)) as video:
        stream = video.blocks(4)
        next(stream)
        assert threading.active_count() > before
        stream.close()
    assert threading.active_count() == before


def test_a_camera_held_turned_is_turned_back(tmp_path):
    """The flag is written into the track header by hand: a quarter turn, 9 numbers of 16.16."""
    path = encode(tmp_path / "a.mp4", "libx264")
    content = path.read_bytes()
    plain = (1).to_bytes(4, "big").replace(b"\0\0\0\1", b"\0\1\0\0")
    unit = plain + b"\0" * 12 + plain + b"\0" * 12 + b"\x40\0\0\0"
    turned = (
        b"\0" * 4 + plain + b"\0" * 4 + b"\xff\xff\0\0" + b"\0" * 4 + b"\0" * 4
        + (48 << 16).to_bytes(4, "big") + b"\0" * 4 + b"\x40\0\0\0"
    )  # fmt: skip
    at = content.rfind(unit)
    assert at > 0
    path.write_bytes(content[:at] + turned + content[at + len(unit) :])
    with Video(path) as video:
        assert video.shape == (64, 48, 3)
        # Held a quarter turn clockwise: what was the left edge is now on top.
        np.testing.assert_array_equal(video.read([7])[0], np.rot90(sequential(path)[7], -1))


@pytest.mark.long
@pytest.mark.parametrize("name", REAL)
def test_seeks_in_real_videos_are_exact(test_data, name):
    truth = [frame.sum(dtype=np.int64) for frame in sequential_frames(test_data / name)]
    with Video(test_data / name) as video:
        assert len(video) == len(truth)
        for number in np.random.default_rng(0).permutation(len(truth))[:20]:
            assert video.read([number])[0].sum(dtype=np.int64) == truth[number]
        streamed = [frame.sum(dtype=np.int64) for _, part in video.blocks(16) for frame in part]
        assert streamed == truth


def sequential_frames(path):
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def test_frames_are_written_at_their_own_times(tmp_path):
    times = np.array([0, 0.1, 0.15, 0.4, 0.9])
    frames = (np.full((32, 48, 1), 40 * i, np.uint8) for i in range(5))
    with Video(write_video(tmp_path / "a.mp4", frames, 6.0, times)) as video:
        np.testing.assert_allclose(video.times, times, atol=1e-4)
        np.testing.assert_allclose(video.read(range(5)).mean((1, 2, 3)), 40 * np.arange(5), atol=4)


def test_times_that_do_not_rise_are_written_a_tick_later(tmp_path):
    frames = (np.full((32, 48, 1), 40 * i, np.uint8) for i in range(4))
    with Video(write_video(tmp_path / "a.mp4", frames, 6.0, [0, 0.1, 0.1, 0.2])) as video:
        assert (np.diff(video.times) > 0).all()
        np.testing.assert_allclose(video.times, [0, 0.1, 0.1, 0.2], atol=1e-4)
