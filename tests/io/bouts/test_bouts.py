"""Bouts: each format read back equal; real files of BORIS read to the event."""

from __future__ import annotations

import csv
from itertools import pairwise

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.io.bouts import FORMATS, Bouts, read_bouts, write_bouts

ROWS = [
    (0.04, 1.28, "groom", "mouse 1", ""),
    (1.28, 2.0, "groom", "mouse 1", ""),
    (1.0, 3.5, "groom", "mouse 2", ""),
    (1.0, 1.0, "rear, high", "mouse 1", ""),
    (2.000001, 2.5, "sniff", "", ""),
]


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_reads_back_equal(tmp_path, format):
    bouts = Bouts.of(ROWS, rate=25.0, duration=10.0, media="a.mp4")
    file = write_bouts(bouts, tmp_path / f"one{FORMATS[format][1]}", format)
    back = read_bouts(file)
    assert back.rows() == bouts.rows()
    if format in ("boris", "bento"):
        assert (back.rate, back.duration, back.media) == (25.0, 10.0, "a.mp4")


@pytest.mark.parametrize("format", ["boris", "bids", "csv"])
def test_comments_are_kept(tmp_path, format):
    rows = [(1.0, 2.0, "groom", "", 'he said "so", then'), (3.0, 3.0, "rear", "", "x")]
    file = write_bouts(Bouts.of(rows), tmp_path / f"one{FORMATS[format][1]}", format)
    assert read_bouts(file).rows() == rows


@pytest.mark.parametrize("seed", range(5))
def test_random_bouts_read_back_equal(tmp_path, seed):
    """Touching bouts, same times, many subjects: pairs of START and STOP are found again."""
    rng = np.random.default_rng(seed)
    rows = []
    for who in ("", "a", "b"):
        for what in ("x", "y", "z z"):
            ends = np.unique(rng.integers(0, 100_000, 20)) / 1000
            rows += [(s, t, what, who) for s, t in pairwise(ends)]
    bouts = Bouts.of(rows, rate=30.0, duration=101.0)
    for format in FORMATS:
        file = write_bouts(bouts, tmp_path / f"{format}{FORMATS[format][1]}", format)
        assert read_bouts(file).rows() == bouts.rows(), format


@pytest.mark.parametrize(
    "name", ["boris_multiple_behaviors", "boris_simultaneous_events",
             "e3v813a-20210610T122332-122642_boris"],
)  # fmt: skip
def test_real_files_of_boris(test_data, tmp_path, name):
    """Starts and stops, counted straight from the file, are all in the bouts."""
    path = test_data / "behavior" / "ethome_social" / f"{name}.csv"
    if not path.is_file():
        pytest.skip("the data are not here")
    lines = list(csv.reader(path.open()))
    at = next(k for k, line in enumerate(lines) if line and line[0] == "Time")
    events = [dict(zip(lines[at], line, strict=False)) for line in lines[at + 1 :] if any(line)]
    found = read_bouts(path)
    starts = sorted((float(e["Time"]), e["Behavior"]) for e in events if e["Status"] == "START")
    stops = sorted((float(e["Time"]), e["Behavior"]) for e in events if e["Status"] == "STOP")
    states = found.table[~found.is_point]
    assert sorted(zip(states["start"], states["behaviour"], strict=True)) == starts
    assert sorted(zip(states["stop"], states["behaviour"], strict=True)) == stops
    assert found.rate == float(events[0]["FPS"])
    again = write_bouts(found, tmp_path / "again.csv", "boris")
    assert read_bouts(again).rows() == found.rows()


def test_newer_layout_of_boris(tmp_path):
    file = tmp_path / "new.csv"
    file.write_text(
        "Observation id,Media duration (s),FPS (frame/s),Subject,Behavior,Behavior type,Time,"
        "Media file name,Comment\n"
        "o,60.0,25.0,No focal subject,rear,POINT,3.2,a.mp4,\n"
        "o,60.0,25.0,m1,groom,START,5.0,a.mp4,\n"
        "o,60.0,25.0,m1,groom,STOP,6.5,a.mp4,\n"
    )
    found = read_bouts(file)
    assert found.rows() == [(3.2, 3.2, "rear", "", ""), (5.0, 6.5, "groom", "m1", "")]
    assert (found.rate, found.duration, found.media) == (25.0, 60.0, "a.mp4")


def test_bento_counts_frames_from_one(tmp_path):
    """Frames 10 to 20 at 30 Hz: from the start of the 10th to the end of the 20th."""
    file = tmp_path / "one.annot"
    file.write_text(
        "Bento annotation file\nMovie file(s): m.seq\n\nStimulus name: \n"
        "Annotation start frame: 1\nAnnotation stop frame: 300\nAnnotation framerate: 30.000000\n\n"
        "List of channels:\nCh1\n\nList of annotations:\nattack\n\nCh1----------\n>attack\n"
        "Start\t Stop\t Duration\n10\t20\t10\n\n"
    )
    found = read_bouts(file)
    assert found.rows() == [(9 / 30, 20 / 30, "attack", "", "")]
    assert found.in_frames("attack", 300, 30.0).nonzero()[0].tolist() == list(range(9, 20))
    assert found.duration == 10.0


BORIS = "Observation id,o,,\n,,,\nTime,Subject,Behavior,Status\n"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", BORIS + "1,m,x,STOP\n", "row 4: 'x' stops"),
        ("a.csv", BORIS + "1,m,x,START\n2,m,x,START\n", "row 5.*row 4"),
        ("a.csv", BORIS + "1,m,x,START\n", "no STOP"),
        ("a.csv", BORIS + "one,m,x,START\n", "row 4: expected a time in s, got 'one'"),
        ("a.csv", BORIS + "1,m,x,BEGIN\n", "START, STOP or POINT, got 'BEGIN'"),
        ("a.csv", "Observation id,o\n", "Tabular events"),
        ("a.csv", "name,age\nx,3\n", "format that is known"),
        ("a.csv", "start,stop,behaviour\n3,2,x\n", "no bout"),
        ("a.csv", "start,stop,behaviour\nthree,2,x\n", "row 2"),
        ("a_events.tsv", "onset\tduration\nx\t1\n", "row 2"),
        ("a.annot", "Bento annotation file\nCh1-----\n>x\n1\t2\t1\n", "framerate"),
    ],
)
def test_what_is_wrong_is_said_with_its_row(tmp_path, name, text, says):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=says):
        read_bouts(tmp_path / name)


def test_what_a_format_cannot_hold_is_refused(tmp_path):
    with pytest.raises(DataError, match="rename"):
        write_bouts(Bouts.of([(0, 1, "a-----b")]), tmp_path / "a.annot", "bento")
    with pytest.raises(ConfigError, match="Did you mean 'boris'"):
        write_bouts(Bouts.of([(0, 1, "a")]), tmp_path / "a.csv", "borys")
