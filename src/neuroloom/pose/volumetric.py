"""`pose.volumetric`: points in space from all cameras at once, by a net that sees a volume."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import field_validator

from neuroloom.core.audit import Finding
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json, write_json
from neuroloom.core.recipe import Recipe, setting

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.pose.volume.kept import Kept
    from neuroloom.pose.volume.learn import Course
    from neuroloom.pose.volume.project import Project
    from neuroloom.pose.volume.views import Shape, Views

FEWEST = 5


class Volumetric(Recipe):
    """Learn points in space from labelled moments of several cameras, as DANNCE does.

    A small net finds the animal. What each camera sees is cast into a cube of voxels round it, so
    that views help each other out before anything is decided: a point that one camera cannot see
    is found by the rest. Beside it stands the usual way, each camera alone and then triangulation,
    with the same 2-D net.

    Examples
    --------
    >>> Volumetric(budget="300 steps").grid
    24
    """

    name: ClassVar[str] = "pose.volumetric"
    summary: ClassVar[str] = "learn points in space from all cameras at once (a volume net)"
    data_kind: ClassVar[str] = "video of animals"

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

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return a painted scene, the fields of a short run, and what it is."""
        from neuroloom.pose.story import demo

        return demo.scene(folder, {"budget": "60 steps", "grid": 8, "batch": 2})

    @field_validator("budget")
    @classmethod
    def _readable(cls, text: str) -> str:
        from neuroloom.learn.training.budget import readable_budget

        return readable_budget(text)

    def prepare(self, data: Path) -> Project:
        """Read films, cameras and labels; nothing is written."""
        from neuroloom.pose.rig.check import require_possible
        from neuroloom.pose.volume.project import read_project

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
        from neuroloom.pose.volume import judge, kept

        held, rest = self.begin(project, run)
        made = self.fit(rest, project, run, len(held))
        rows = judge.judge(made, project.views.take(held), project.frames[held], project.keypoints)
        rows = judge.with_expectation(rows, made.reach)
        made = replace(made, calibration=judge.calibration_of(rows, made.reach))
        kept.save(made, run.folder)
        run.log("scored", examples=len(held))
        self.illustrate(run, project, made, rows)

    def begin(self, project: Project, run: Run) -> tuple[np.ndarray, Views]:
        """Write what stands at the head of a run; return the rows held out, and what is learnt."""
        n = len(project.frames)
        held = np.arange(n - max(1, round(self.held_out * n)), n)
        run.write_dataset({"files": project.hashes, "moments": n, "held_out": len(held)})
        rest = project.views.take(np.arange(held[0]))
        told = [Finding("note", "Split", f"The last {len(held)} of {n} moments judge the net.")]
        if project.damaged:
            detail = f"{project.damaged} labelled moments cannot be decoded and were left out."
            told.append(Finding("warning", "Frames", detail))
        never = ~np.isfinite(rest.points).all(-1).any(0)
        if never.any():
            names = ", ".join(np.array(project.keypoints)[never])
            told.append(Finding("warning", "Never labelled", f"{names}: not learnt, not found."))
        write_json(run.folder / "audit.json", [found.as_dict() for found in told])
        for found in told:
            run.log("audit", **found.as_dict())
        return held, rest

    def fit(self, views: Views, project: Project, run: Run, held: int) -> Kept:
        """Return trained nets; a run that was killed goes on from its checkpoints."""
        from neuroloom.pose.volume import centre, kept, learn
        from neuroloom.pose.volume.views import mean_pose, measure_shape

        shape = measure_shape(views, self.grid)
        course = self.course(views, shape, run, held)
        place, nets, finders = learn.Place(run.work_folder, run.tell), [], []
        for number, seed in enumerate(range(self.seed, self.seed + self.seeds), start=1):
            finders.append(centre.make_finder(seed))
            job = place.job("centre", seed, course.centre)
            centre.train_finder(finders[-1], views, course.batch, job)
            nets.append(learn.make_net(views.points.shape[1], seed))
            learn.train(nets[-1], views, shape, course, seed, place)
            run.log("fitted", seed=seed, role="model", fit=number, fits=self.seeds)
        facts = {"keypoints": list(project.keypoints)}
        room = centre.room_of(views.points)
        return kept.Kept(nets, finders, project.rig, shape, project.shrink, mean_pose(views.points),
                         room, extra=facts)  # fmt: skip

    def course(self, views: Views, shape: Shape, run: Run, held: int) -> Course:
        """Return the stored plan, or settle one by measured speed."""
        from neuroloom.learn.training.budget import parse_budget, seconds_to_train
        from neuroloom.pose.volume.learn import Course, settle

        file, budget = run.folder / "plan.json", parse_budget(self.budget)
        if file.is_file():
            return Course(**{k: v for k, v in read_json(file).items() if k != "reason"})
        left = max(seconds_to_train(budget.seconds or 0.0, run.elapsed), 1.0) / self.seeds
        course, reason = settle(budget, left, views, shape, self.batch, held)
        write_json(file, asdict(course) | {"reason": reason})
        run.log("plan", **asdict(course), reason=reason)
        return course

    def illustrate(self, run: Run, project: Project, kept: Kept, rows: pd.DataFrame) -> None:
        """Write tables, metrics, figures and the page."""
        from neuroloom.pose.story.volumetric import report_volumes

        report_volumes(self, run, project, kept, rows)

    def predict(self, run: Run, inputs: list[Path], out: Path | str | None = None) -> pd.DataFrame:
        """Find points in every moment of new films; see `pose.volume.predict.predict`."""
        from neuroloom.pose.volume.predict import predict

        return predict(run, inputs, out)

    def evaluate(
        self, run: Run, data: Path, out: Path | str | None = None, include: list[str] | None = None
    ) -> pd.DataFrame:
        """Score the run's nets on the labelled moments of another project.

        Returns
        -------
        DataFrame
            The metrics, tidy; also written to `out` with the predictions.
        """
        from neuroloom.pose.volume.evaluate import evaluate

        if include:
            raise ConfigError("include means nothing here: name the project to be scored.")
        return evaluate(run, data, out, self.seed)
