"""Frames of several animals: ideal maps give the animals back, and a short fit finds most."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroloom.core.errors import ConfigError
from neuroloom.core.files import read_json
from neuroloom.io.labels import read_labels
from neuroloom.learn.training.fit import FitJob
from neuroloom.pose.data import read_frames
from neuroloom.pose.estimate import Estimate
from neuroloom.pose.group import affinity_targets
from neuroloom.pose.nets.find import Scene
from neuroloom.pose.nets.frames import PoseFrames
from neuroloom.pose.nets.learner import PoseLearner, PoseWishes
from neuroloom.pose.nets.many import (
    WIDTH,
    _peak_targets,
    coarse_bodies,
    filled,
    many_loss,
    peaks_of,
)
from neuroloom.pose.nets.who import who_loss
from tests.animals import NAMES, write_herd

torch.set_num_threads(1)
EDGES = ((0, 3), (3, 4))
MIRROR = (0, 2, 1, 3, 4)


def ideal(bodies: torch.Tensor, shape: tuple[int, int], edges=EDGES) -> torch.Tensor:
    """What a perfect net would say: logits of the peaks, and the fields."""
    peaks, _ = _peak_targets(bodies, shape, 2, 2.0)
    logits = torch.logit(peaks.clamp(1e-4, 1 - 1e-4))
    return torch.cat([logits, affinity_targets(bodies, edges, shape, 2, WIDTH)], 1)


@pytest.fixture(scope="module")
def herd(tmp_path_factory):
    return read_labels(write_herd(tmp_path_factory.mktemp("herd") / "project", frames=16))


def test_ideal_maps_cost_least(herd):
    bodies = torch.tensor(herd.points[1:4])
    best = ideal(bodies, (48, 64))
    cost = float(many_loss(best, bodies, EDGES, 2, 2.0))
    for wrong in (best.roll(3, -1), best * 0 - 4, torch.zeros_like(best)):
        assert float(many_loss(wrong, bodies, EDGES, 2, 2.0)) > 2 * cost


def test_the_loss_bears_missing_animals_and_those_beyond_the_view(herd):
    bodies = torch.tensor(herd.points[:3])
    bodies[2] += 500
    maps = torch.zeros(3, 5 + 4, 48, 64, requires_grad=True)
    loss = many_loss(maps, bodies, EDGES, 2, 2.0)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(maps.grad).all()
    nothing = torch.full_like(bodies, torch.nan)
    assert float(many_loss(maps.detach(), nothing, EDGES, 2, 2.0)) >= 0


def test_peaks_are_found_to_a_part_of_a_cell(herd):
    bodies = torch.tensor(herd.points[1:2])
    maps = ideal(bodies, (48, 64))[:, :5].sigmoid()
    found = peaks_of(maps, 2, 6)[0]
    for kind in range(5):
        own = found[found[:, 0] == kind][:, 1:3]
        apart = np.linalg.norm(own[:, None] - herd.points[1, :, kind], axis=-1).min(0)
        assert (apart < 0.8).all()


class Perfect(torch.nn.Module):
    """A net that knows the truth of the frames it is shown, in the pixels of its view."""

    stride = 2

    def __init__(self, bodies: torch.Tensor, shape: tuple[int, int], edges) -> None:
        super().__init__()
        self.maps = ideal(bodies, shape, edges)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.maps


def learner_of(herd, steps: int | None = None) -> tuple[PoseLearner, PoseFrames]:
    frames = PoseFrames(herd)
    learner = PoseLearner("unet", PoseWishes(NAMES, MIRROR, len(herd.individuals)))
    if steps:
        learner.fit(frames, job=FitJob(steps=steps, seed=1))
    else:
        learner.plan = learner.make_plan(frames)
    return learner, frames


def test_perfect_maps_give_all_animals_in_px_of_the_frame(herd):
    learner, frames = learner_of(herd)
    plan = learner.plan
    size = plan.coarse.size
    scale = np.array([128 / size[1], 96 / size[0]])
    in_view = (herd.points + 0.5) / scale - 0.5
    cells = (size[0] // 2, size[1] // 2)
    learner.nets["coarse"] = Perfect(torch.tensor(in_view), cells, plan.edges)
    pictures = [frames[row] for row in range(len(herd))]
    rows, bodies = coarse_bodies(learner, Scene(pictures, 1), [(96, 128)] * len(herd))
    assert np.bincount(rows).tolist() == [1] + [2] * 15
    for row, body in zip(rows, bodies, strict=True):
        off = np.linalg.norm(herd.points[row] - body[:, :2], axis=-1)
        assert np.nanmin(off.max(1)) < 1.6 * scale.max()


def test_without_crops_perfect_maps_are_put_together(herd):
    frames = PoseFrames(herd)
    wishes = PoseWishes(NAMES, MIRROR, len(herd.individuals), keys={"crop": "no"})
    learner = PoseLearner("unet", wishes)
    learner.plan = plan = learner.make_plan(frames)
    assert plan.coarse is None
    assert plan.grouping == "fine"
    size = plan.fine.size
    in_view = (herd.points + 0.5) / np.array([128 / size[1], 96 / size[0]]) - 0.5
    cells = (size[0] // 2, size[1] // 2)
    learner.nets["fine"] = Perfect(torch.tensor(in_view), cells, plan.edges)
    found = learner.find_in([frames[row] for row in range(len(herd))][:16])
    off = np.linalg.norm(herd.points[:16, :, None] - found[:, None, ..., :2], axis=-1)
    seen = np.isfinite(herd.points[:16]).all((-1, -2))
    assert np.nan_to_num(off, nan=99.0).max(-1).min(2)[seen].max() < 2
    assert np.nanmin(found[..., 3]) > 0


def test_missing_keypoints_are_filled_in_where_the_shape_has_them():
    shape = np.array([[10.0, 0.0], [0.0, 4.0], [0.0, -4.0], [-10.0, 0.0]])
    turned = shape @ np.array([[0.0, 1.0], [-1.0, 0.0]]) + [50, 60]
    body = np.concatenate([turned, np.ones((4, 1))], 1)[None]
    body[0, 3] = [np.nan, np.nan, 0]
    whole = filled(body, shape)
    assert np.allclose(whole[0, 3, :2], turned[3], atol=1e-6)
    assert whole[0, 3, 2] < 0.1


def test_a_plan_of_several_animals_has_crops_and_edges(herd):
    plan = learner_of(herd)[0].plan
    assert plan.coarse is not None
    assert plan.individuals == 2
    assert {i for edge in plan.edges for i in edge} == set(range(5))
    again = type(plan).from_dict(plan.as_dict())
    assert again == plan


@pytest.mark.long
def test_a_short_fit_finds_most_animals(herd):
    learner, frames = learner_of(herd, steps=240)
    found = learner.predict_scores(frames)
    off = np.linalg.norm(
        herd.points[:, :, None] - found[:, None, ..., :2], axis=-1
    ).mean(-1).min(-1)  # fmt: skip
    assert np.nanmedian(off) < 4
    assert (np.isfinite(found[..., 0]).all(-1).sum(1) <= 2).all()


def test_a_study_of_several_animals_runs_and_is_judged(tmp_path):
    data = write_herd(tmp_path / "project")
    run = Estimate(budget="4 steps", folds=1).run(data, tmp_path / "run")
    metrics = read_json(run.folder / "metrics.json")
    assert {"mean_error_px", "oks_map"} <= set(metrics)
    assert run.predictions["individual"].str.startswith("animal").any()
    stored = read_json(run.folder / "plan.json")
    assert stored
    table = run.predict(tmp_path / "project-pictures")
    assert table.groupby("frame")["keypoint"].count().max() <= 2 * 5


def test_a_run_that_finds_nothing_ends_and_says_so(tmp_path, monkeypatch):
    found = PoseLearner.predict_scores
    monkeypatch.setattr(
        PoseLearner, "predict_scores", lambda self, x: np.full_like(found(self, x), np.nan)
    )
    data = write_herd(tmp_path / "project")
    run = Estimate(budget="2 steps", folds=1).run(data, tmp_path / "run")
    assert read_json(run.folder / "status.json")["state"] == "done"
    assert "No animal was found" in (run.folder / "report.html").read_text()


def test_crops_are_left_out_as_the_command_line_says(tmp_path):
    data = write_herd(tmp_path / "project")
    for said, stage in (("yes", "coarse"), ("no", "fine")):
        study = Estimate(plan={"crop": said})
        frames = read_frames(data, [])
        wishes = PoseWishes(NAMES, MIRROR, len(frames.facts["individuals"]), **study.options())
        learner = PoseLearner("unet", wishes)
        assert learner.make_plan(frames.x).grouping == stage
    with pytest.raises(ConfigError, match=r"identity is told by the looks of a crop"):
        Estimate(identity=True, plan={"crop": "no"}).prepare(data)


def test_animals_of_a_project_with_names_are_told_apart_in_the_metrics(tmp_path):
    data = write_herd(tmp_path / "project", marked=True)
    small = {"batch": "4", "widths": "8,8,8,8"}
    run = Estimate(budget="4 steps", folds=2, identity=True, plan=small).run(data, tmp_path / "run")
    row = read_json(run.folder / "metrics.json")["identity_accuracy"]
    assert row["chance"] == 0.5
    assert row["low"] <= row["value"] <= row["high"]
    assert row["baseline"] is None


def test_a_project_of_deeplabcut_says_whether_names_mean_somebody(tmp_path):
    data = write_herd(tmp_path / "project")
    assert not read_frames(data, []).facts["identity"]
    config = data / "config.yaml"
    config.write_text(config.read_text().replace("identity: false", "identity: true"))
    assert read_frames(data, []).facts["identity"]
    assert not read_frames(data, [], identity=False).facts["identity"]


def test_names_need_several_animals(tmp_path):
    data = write_herd(tmp_path / "project", animals=1)
    with pytest.raises(ConfigError, match="one animal only"):
        Estimate(budget="4 steps", identity=True).run(data, tmp_path / "run")


@pytest.mark.long
def test_marked_animals_are_called_by_their_names_wherever_they_are(tmp_path):
    """The net is judged on frames that it has not seen, in which animals have changed places."""
    data = write_herd(tmp_path / "project", frames=60, marked=True)
    run = Estimate(budget="300 steps", folds=1, identity=True).run(data, tmp_path / "run")
    metrics = read_json(run.folder / "metrics.json")
    assert metrics["identity_accuracy"]["value"] > 0.9
    assert metrics["mean_error_px"]["value"] < 6


def test_the_loss_of_names_reads_maps_where_the_keypoints_lie():
    points = torch.tensor([[[3.0, 3.0], [9.0, 3.0], [99.0, 3.0]], [[3.0, 9.0], [9.0, 9.0], [0, 0]]])
    maps = torch.zeros(2, 2, 8, 8, requires_grad=True)
    right = torch.tensor([0, 1])
    loss = who_loss(maps, points, right, 2)
    assert loss.item() == pytest.approx(0.5 * np.log(2))
    loss.backward()
    assert int((maps.grad.abs().sum(1) > 0).sum()) == 2 + 3
    better = maps.detach() - 3 * torch.sign(maps.grad)
    assert float(who_loss(better, points, right, 2)) < 0.05
