"""`pose.volumetric`: points in space from all cameras at once, by a net that sees a volume."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import field_validator

from neuroloom.core.audit import Finding
from neuroloom.core.errors import DataError
from neuroloom.core.files import read_json, write_json
from neuroloom.core.recipe import Recipe, setting
from neuroloom.core.run import data_error_if_changed

if TYPE_CHECKING:
    from neuroloom.core.run import Run
    from neuroloom.pose.rig.project import Project
    from neuroloom.pose.rig.volumetric import Course, Shape, VolumeNet

FEWEST = 5
SHARES = (0.65, 0.25)  # of a time budget: views alone, then the volume; the rest reads and judges


class Volumetric(Recipe):
    """Learn points in space from labelled moments of several cameras, as DANNCE does.

    What each camera sees is cast into a cube of voxels round the animal, where views help each
    other out before anything is decided: a point that one camera cannot see is found by the rest.
    Beside it stands the usual way, each camera alone and then triangulation, with the same 2-D net.

    Examples
    --------
    >>> Volumetric(budget="300 steps").grid
    24
    """

    name: ClassVar[str] = "pose.volumetric"
    summary: ClassVar[str] = "learn points in space from all cameras at once (a volume net)"
    data_kind: ClassVar[str] = "Video"

    budget: str = setting(
        "10min", "wall time of the whole command, or '400 steps' of the views", basic=True
    )
    grid: int = setting(24, "voxels along a side of the cube", ge=8, le=64, basic=True)
    shrink: int | None = setting(
        None, "make images so many times smaller; default: animals of 64 px", ge=1, basic=True
    )
    held_out: float = setting(
        0.2, "share of moments, the last, that judge the net", gt=0, lt=0.8, basic=True
    )
    batch: int = setting(4, "moments in a step", ge=2)
    seeds: int = setting(1, "how many nets, whose mean is taken", ge=1)
    seed: int = setting(0, "the first seed", ge=0)

    @field_validator("budget")
    @classmethod
    def _readable(cls, text: str) -> str:
        from neuroloom.learn.budget import readable_budget

        return readable_budget(text)

    def prepare(self, data: Path) -> Project:
        """Read films, cameras and labels; nothing is written."""
        from neuroloom.pose.rig.check import require_possible
        from neuroloom.pose.rig.project import read_project

        project = read_project(data, self.shrink)
        require_possible(project.views.rig)
        if len(project.frames) < FEWEST:
            raise DataError(
                f"{data.name}: {len(project.frames)} moments are labelled; at least {FEWEST} are "
                "needed to learn from some and judge by others."
            )
        return project

    def work(self, project: Project, run: Run) -> None:
        """Train, judge on the moments held out, store, and report."""
        from neuroloom.learn.fit import own_threads
        from neuroloom.pose.rig.volumetric import measure_shape

        file = run.folder / "dataset.json"
        if file.is_file():
            data_error_if_changed(read_json(file)["files"], project.hashes)
        n = len(project.frames)
        held = np.arange(n - max(1, round(self.held_out * n)), n)
        rest = project.views.take(np.arange(held[0]))
        write_json(file, {"files": project.hashes, "moments": n, "held_out": len(held)})
        note = Finding("note", "Split", f"The last {len(held)} of {n} moments judge the net.")
        write_json(run.folder / "audit.json", [note.as_dict()])
        run.log("audit", **note.as_dict())
        with own_threads(None):
            shape = measure_shape(rest, self.grid)
            course = self.course(project, shape, run)
            nets = [self.fit(rest, shape, course, seed, run)
                    for seed in range(self.seed, self.seed + self.seeds)]  # fmt: skip
            self.illustrate(run, project, held, (nets, shape))

    def course(self, project: Project, shape: Shape, run: Run) -> Course:
        """Return the stored plan, or settle one by measured speed."""
        from neuroloom.learn.budget import parse_budget
        from neuroloom.pose.rig.volumetric import Course, make_net, seconds_per_step

        file = run.folder / "plan.json"
        if file.is_file():
            return Course(**{k: v for k, v in read_json(file).items() if k != "reason"})
        budget = parse_budget(self.budget)
        steps = budget.steps or budget.epochs
        if steps:
            course = Course(steps, max(1, steps // 4), self.batch)
            reason = f"as asked for ({self.budget})"
        else:
            trial = Course(1, 1, self.batch)
            net = make_net(project.views.points.shape[1], self.seed)
            took = seconds_per_step(net, project.views, shape, trial)
            left = max((budget.seconds or 0.0) - run.elapsed, 1.0) / self.seeds
            views, volume = (
                max(1, int(left * share / s)) for share, s in zip(SHARES, took, strict=True)
            )
            course = Course(views, volume, self.batch)
            reason = f"{took[0]:.2f} s a step of the views, {took[1]:.2f} s of the volume"
        write_json(file, asdict(course) | {"reason": reason})
        run.log("plan", **asdict(course), reason=reason)
        return course

    def fit(self, views: Any, shape: Shape, course: Course, seed: int, run: Run) -> VolumeNet:
        """Return a trained net."""
        from neuroloom.pose.rig.volumetric import make_net, train

        net = make_net(views.points.shape[1], seed)
        train(net, views, shape, course, np.random.default_rng(seed), run.tell)
        place = {"role": "model", "fit": seed - self.seed + 1, "fits": self.seeds}
        run.log("fitted", seed=seed, **place)
        return net

    def illustrate(self, run: Run, project: Project, held: np.ndarray, made: Any) -> None:
        """Judge and store the nets; write tables, metrics, figures and the page."""
        from neuroloom.pose.story.volumetric import report_volumes

        report_volumes(self, run, project, held, *made)
