"""Frames of one moment in several views stay on one side; names of videos say whose they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.core.split import Split, make_folds
from neuroloom.io.labels import Labels
from neuroloom.io.labels.model import Skeleton
from neuroloom.pose.data import frame_table
from neuroloom.pose.units import views_told, whole_moments


def labels_of(source: str, rows: list[dict]) -> Labels:
    points = np.ones((len(rows), 1, 2, 2))
    keypoints = Skeleton(("nose", "tail"), (), ())
    return Labels(keypoints, pd.DataFrame(rows), points, ("a",), Path(), source)


def views(source: str) -> Labels:
    rows = []
    for view in ("left", "right"):
        for moment in range(11):
            row = {"video": f"day1_{view}", "frame": 3 * moment}
            row["image"] = f"labeled-data/day1_{view}/img{3 * moment}.png"
            more = {"moment": moment} if source == "label3d" else {"table": f"{view}.csv"}
            rows.append(row | more)
    return labels_of(source, rows)


@pytest.mark.parametrize("source", ["label3d", "lightning-pose"])
@pytest.mark.parametrize("rule", [Split("time"), Split("time", 4), Split("random", 3)])
def test_views_of_one_moment_stay_on_one_side(source, rule):
    table = frame_table(views(source))
    assert set(table["path"]) == {"day1_left + day1_right"}
    folds = whole_moments(make_folds(table, rule), table)
    moment = table["moment"].to_numpy()
    for fold in folds:
        assert not set(moment[fold.train]) & set(moment[fold.test])
        assert len(fold.units) == len(fold.test) == 2 * len(set(moment[fold.test]))
    if rule.folds:
        assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(22))


@pytest.mark.parametrize("source", ["label3d", "lightning-pose"])
def test_a_moment_that_lacks_a_view_is_of_the_same_recording(source):
    whole = views(source)
    table = frame_table(whole.take(np.arange(len(whole)) != 15))
    assert set(table["path"]) == {"day1_left + day1_right"}
    assert table["moment"].nunique() == 11
    for fold in whole_moments(make_folds(table, Split()), table):
        moment = table["moment"].to_numpy()
        assert not set(moment[fold.train]) & set(moment[fold.test])
        assert len(fold.train) > len(fold.test)
    assert "day1_left + day1_right: taken for views" in views_told(table)[0].detail


def test_tables_of_two_animals_are_no_views():
    def table(*names):
        rows = [{"video": name, "frame": 100 * n, "image": f"labeled-data/{name}/img{n}.png",
                 "table": f"CollectedData_{word}.csv"}
                for word, name in names for n in range(3)]  # fmt: skip
        return frame_table(labels_of("lightning-pose", rows))

    apart = table(("mouseA", "mouseA"), ("mouseB", "mouseB"))
    assert set(apart["path"]) == {"mouseA", "mouseB"}
    assert "moment" not in apart
    assert not views_told(apart)
    two = table(*[(view, f"s{k}_{view}") for view in ("Cam-A", "Cam-B") for k in (1, 2)])
    assert set(two["path"]) == {"s1_Cam-A + s1_Cam-B", "s2_Cam-A + s2_Cam-B"}
    assert two["moment"].nunique() == 6


def test_dots_in_names_are_no_endings_unless_videos_or_pictures_have_them():
    rows = [{"video": "rat1_2021.a12", "frame": 0, "image": ""},
            {"video": "rat2_2022.MP4", "frame": 0, "image": ""}]  # fmt: skip
    found = frame_table(labels_of("dlc", rows), "{subject}_{session}")
    assert found["session"].tolist() == ["2021.a12", "2022"]


def test_a_pattern_says_whose_frames_are():
    films = [f"m{k}_d{day}_{view}.avi"
             for k in (1, 2) for day in (1, 2) for view in ("top", "side")]  # fmt: skip
    rows = [{"video": film, "frame": n, "image": ""} for film in films for n in range(3)]
    table = frame_table(labels_of("dlc", rows), "{subject}_{session}_*.avi")
    assert len(make_folds(table, Split("subject"))) == 2
    assert len(make_folds(table, Split("session"))) == 4
    assert "moment" not in table
    by_run = frame_table(labels_of("dlc", rows), "{subject}_{run}_*")
    assert by_run["path"].nunique() == 4
    assert by_run["moment"].nunique() == 12
    with pytest.raises(ConfigError, match=r"matches none of m1_d1_top, m1"):
        frame_table(labels_of("dlc", rows), "{subject}-{session}")
    with pytest.raises(ConfigError, match="'view' is no key; known are subject, session, run"):
        frame_table(labels_of("dlc", rows), "{subject}_{session}_{view}")


def test_pictures_without_numbers_are_no_one_moment():
    rows = [{"video": "v", "frame": 0, "image": f"{k}.png"} for k in range(6)]
    assert frame_table(labels_of("coco", rows))["onset"].tolist() == [0, 1, 2, 3, 4, 5]
