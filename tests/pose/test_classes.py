"""What animals are, a mouse or a rat: any number of a frame may be of one class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from neuroloom.core.errors import DataError
from neuroloom.core.files import read_json
from neuroloom.io.labels import read_labels
from neuroloom.pose.animals import as_trained, classes_of, to_learn
from neuroloom.pose.data import read_frames
from neuroloom.pose.estimate import Estimate
from neuroloom.pose.held_out import calibrated, rows_of_frames
from neuroloom.pose.nets.frames import PoseFrames
from neuroloom.pose.nets.learner import PoseLearner, PoseWishes
from neuroloom.pose.nets.students import Mixed
from neuroloom.pose.nets.who import who_loss, with_classes
from tests.animals import NAMES, write_herd, write_kinds

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return write_kinds(tmp_path_factory.mktemp("kinds") / "project", frames=6)


def test_categories_are_classes_of_animals(project):
    labels = read_labels(project)
    assert any("mouse, rat are one set of points" in note for note in labels.notes)
    assert classes_of(labels) == ["mouse", "rat"]
    assert labels.classes[2, 0] == labels.classes[2, 1]  # two of one species in a frame
    assert labels.take([3]).classes.tolist() == [labels.classes[3].tolist()]
    with pytest.raises(DataError, match="expected classes of shape"):
        replace(labels, classes=labels.classes[:1])
    assert read_frames(project, []).facts["kinds"] == ["mouse", "rat"]
    assert read_frames(project, [], identity=True).facts["kinds"] == []


def test_the_net_of_a_study_learns_them(project):
    study = Estimate(budget="4 steps", folds=0)
    prepared = study.prepare(project)
    learner = study._maker(study.find("unet"), prepared.dataset)()
    assert learner.wishes.classes == ("mouse", "rat")
    assert learner.make_plan(prepared.dataset.x).classes == 2


def test_animals_of_one_class_have_none(tmp_path):
    labels = read_labels(write_herd(tmp_path / "herd", frames=3))
    assert labels.classes is None
    assert classes_of(labels) == []


@pytest.mark.parametrize(("animals", "learnt"), [(1, ["mouse", "rat"]), (2, [])])
def test_one_animal_of_whole_frames_has_a_class_too(project, monkeypatch, animals, learnt):
    labels = read_labels(project)
    alone = replace(labels, points=labels.points[:, :animals], classes=labels.classes[:, :animals],
                    individuals=labels.individuals[:animals])  # fmt: skip
    monkeypatch.setattr("neuroloom.io.labels.read_labels", lambda *_, **__: alone)
    dataset = Estimate(plan={"crop": "no"}).read(project)
    assert dataset.facts["kinds"] == learnt
    assert [one["name"] for one in dataset.facts["categories"]] == ["mouse", "rat"]


def test_a_class_goes_with_its_animal_to_another_place(project):
    labels = read_labels(project)
    points, classes = labels.points.copy(), labels.classes.copy()
    points[0, 0], classes[0, 0] = np.nan, ""
    last = classes[0, 1]
    fewer = replace(labels, points=points[:1], classes=classes[:1], frames=labels.frames[:1],
                    extra={"tracks": ()})  # fmt: skip
    learnt, _ = to_learn(fewer, identity=False)
    assert learnt.classes.tolist() == [[last]]
    trained = {"keypoints": list(NAMES), "individuals": ["a", "b"], "identity": False}
    moved, _ = as_trained(fewer, trained, project)
    assert moved.classes.tolist() == [[last, ""]]
    named, _ = as_trained(fewer, trained | {"identity": True}, project)
    assert named.classes.tolist() == [["", "", last]]


def test_a_net_of_classes_gives_each_animal_one(project):
    frames = PoseFrames(read_labels(project))
    learner = PoseLearner("unet", PoseWishes(NAMES, tuple(range(5)), 2, classes=("mouse", "rat")))
    plan = learner.plan = learner.make_plan(frames)
    assert (plan.names, plan.classes) == (0, 2)
    module = learner.module("fine", plan.fine, frames, 0)
    assert module.who.tolist() == [("mouse", "rat").index(name) for name in frames.classes.ravel()]
    learner.nets = {key: learner._net(plan, one) for key, one in (
        ("coarse", plan.coarse), ("fine", plan.fine))}  # fmt: skip
    assert learner.spec == PoseLearner.from_spec(learner.spec).spec
    assert learner.predict_scores(frames[[0]]).shape == (1, 2, 5, 6)
    assert learner.predict_scores(frames[[]]).shape == (0, 2, 5, 6)
    both = PoseFrames(
        Mixed(frames, [frames[0]], np.concatenate([frames.points, frames.points[:1]]))
    )
    assert both.classes[-1].tolist() == ["", ""]


def test_what_nobody_said_costs_nothing():
    points = torch.tensor([[[3.0, 3.0]], [[9.0, 9.0]]])
    maps = torch.zeros(2, 2, 8, 8)
    assert who_loss(maps, points, torch.tensor([-1, -1]), 2).item() == 0
    some = who_loss(maps, points, torch.tensor([1, -1]), 2)
    assert some.item() == pytest.approx(0.5 * np.log(2))


def test_rows_tell_what_an_animal_is_and_what_it_was_taken_for(project):
    dataset = read_frames(project, [])
    truth = dataset.truth[[2]]
    found = np.concatenate([truth, np.ones_like(truth)], -1)[0]
    found = with_classes(found, np.array([[9.0, 0.0], [9.0, 0.0]]))  # both of them mice
    table = rows_of_frames(dataset, np.array([2]), found[None], {})
    assert table["true_class"].tolist() == [read_labels(project).classes[2, 0]] * 10
    assert table["class"].tolist() == ["mouse"] * 10
    plain = rows_of_frames(dataset, np.array([2]), found[None, ..., :4], {})
    assert plain["class"].tolist() == [""] * 10


def test_classes_are_judged_on_new_frames_too(project):
    dataset = read_frames(project, [])
    truth = dataset.truth
    found = np.concatenate([truth, np.ones_like(truth)], -1)
    mice = np.tile([9.0, 0.0], (len(truth), 2, 1))
    found = np.stack([with_classes(*pair) for pair in zip(found, mice, strict=True)])
    head = {"role": "model", "seed": 0, "unit": list(map(str, range(len(truth))))}
    table = calibrated(rows_of_frames(dataset, np.arange(len(truth)), found, head), None)
    scores = Estimate().own_scores(table, dataset)
    mouse = (read_labels(project).classes == "mouse").mean()
    assert scores["class_accuracy"]["value"] == pytest.approx(mouse, abs=1e-6)
    assert "identity_accuracy" not in scores


@pytest.mark.long
def test_species_are_told_apart_however_often_they_occur(tmp_path):
    data = write_kinds(tmp_path / "project", frames=40)
    plan = {"batch": "8", "nets": "1"}
    run = Estimate(budget="140 steps", folds=1, plan=plan).run(data, tmp_path / "run")
    row = read_json(run.folder / "metrics.json")["class_accuracy"]
    assert row["value"] > 0.9
    assert row["chance"] < 0.7
    table = run.predict(data / "img002.png")
    assert table["class"].dropna().unique().tolist() == [read_labels(data).classes[2, 0]]


def test_where_nothing_is_cropped_no_class_is_told(project):
    prepared = Estimate(folds=0, plan={"crop": "no"}).prepare(project)
    assert prepared.dataset.facts["kinds"] == []
    assert "mouse and rat are told in crops" in " ".join(
        found.detail for found in prepared.dataset.findings
    )
