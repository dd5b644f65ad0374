"""`eye.gaze`: where an eye looks, by a model of the eyeball that is fitted to its own pupils."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import field_validator

from neuroloom.core.audit import Finding
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import whole_path, write_json
from neuroloom.core.recipe import Recipe, setting
from neuroloom.eye import videos
from neuroloom.eye.eyeball import tables
from neuroloom.eye.eyeball.jobs import Job, Jobs, find_jobs
from neuroloom.eye.eyeball.model import Eyeball, read_eyeball, write_eyeball
from neuroloom.eye.pupil import begin

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run

OF_THE_FIT = ("focal", "radius", "refraction")


@dataclass(frozen=True)
class Looked:
    """One job done: the eyeball, and a row a frame of the video that gaze was asked of."""

    job: Job
    eyeball: Eyeball | None
    table: pd.DataFrame | None


@dataclass
class Seen:
    """What the jobs done so far found: pupils and shape of each video, eyeballs by name."""

    videos: videos.Videos
    tables: dict[Path, tuple[pd.DataFrame, tuple[int, int]]] = field(default_factory=dict)
    eyeballs: dict[str, Eyeball] = field(default_factory=dict)


class Gaze(Recipe):
    """Find gaze in videos of an eye: the eyeball first, from all pupils, then each frame.

    Rays are followed back through the cornea, so that refraction is accounted for. DATA is a video,
    a folder of them, or a table of jobs (.csv) with the columns operation (fit, infer, both),
    fit_vid, infer_vid, eyeball_model, result, with_gaze; rows that fail are skipped and named.

    Examples
    --------
    >>> Gaze(focal=400).radius
    12.0
    """

    name: ClassVar[str] = "eye.gaze"
    summary: ClassVar[str] = "find gaze in videos of an eye by a model of the eyeball"
    data_kind: ClassVar[str] = "video of eyes"
    ships: ClassVar[str] = "finds pupils in videos of eyes: a net trained on rendered eyes"

    focal: float | None = setting(
        None, "focal length; default: 1.25 widths of the picture", unit="px", gt=0, basic=True
    )
    eyeball: str | None = setting(
        None, "artifacts/NAME_eyeball.json of a run; default: fitted to the video itself",
        basic=True,
    )  # fmt: skip
    radius: float = setting(12.0, "of the eyeball; sets the scale", unit="mm", gt=0, basic=True)
    refraction: bool = setting(True, "account for the cornea of a human eye", basic=True)
    roi: list[int] | None = setting(
        None, "left, top, width, height of the eye; default: found", unit="px", basic=True
    )
    overlay: bool = setting(True, "write videos with pupils and gaze drawn on them", basic=True)
    weights: str | None = setting(None, "net of `eye.train`; default: the shipped one", basic=True)
    invert: Literal["auto", "yes", "no"] = setting(
        "auto", "look at the negative; auto: if the pupil is then surer"
    )
    sure: float = setting(0.5, "confidence from which a pupil counts", ge=0, le=1)
    side: int = setting(128, "longest side of what the net sees", unit="px", ge=64, le=512)
    include: list[str] = setting([], "only videos whose names match one of these globs")
    seed: int = setting(1, "of the bootstrap", ge=0)

    _paths_hold_anywhere = field_validator("eyeball", "weights")(whole_path)

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return a rendered video to try this on, the fields that fit it, and what it is."""
        from neuroloom.eye.story.demo import demo

        data, fields, what = demo(folder)
        return data, {name: fields[name] for name in fields if name in cls.model_fields}, what

    def prepare(self, data: Path) -> Jobs:
        """Find videos or read the table; nothing is written."""
        roi = videos.check_roi(self.roi)
        idle = [name for name in OF_THE_FIT if name in self.settings()]
        if self.eyeball is not None and idle:
            raise ConfigError(f"{idle[0]}: the eyeball that is given has its own; leave it out.")
        jobs = find_jobs(data, self.eyeball, self.include, roi)
        videos.net_of(self.weights)
        if self.focal is not None or not any(job.fit for job in jobs.jobs):
            return jobs
        told = Finding(
            "warning", "Camera",
            "No focal length was given; 1.25 widths of the picture were assumed. Angles far from "
            "the middle are off if the camera is another.",
        )  # fmt: skip
        return replace(jobs, findings=[*jobs.findings, told])

    def work(self, prepared: Jobs, run: Run) -> None:
        """Do job after job, then write tables, eyeballs, overlays and the report."""
        beside = prepared.files | videos.weights_of(self.weights)
        begin(replace(prepared.videos, findings=prepared.findings), run, beside)
        seen = Seen(prepared.videos)
        done: list[Looked] = []
        findings = list(prepared.findings)
        for job in prepared.jobs:
            try:
                done.append(self.look(job, run, seen))
            except DataError as error:
                if not prepared.table and len(prepared.jobs) == 1:
                    raise
                run.log("skipped", name=job.name, error=str(error))
                text = videos.left_out(error, job.fit or job.infer)  # type: ignore[arg-type]
                findings.append(Finding("objection", "Video", f"{job.name}: {text}"))
                continue
            place = {"role": "gaze", "fit": len(done), "fits": len(prepared.jobs)}
            run.log("fitted", name=job.name, **place)
        if not done:
            raise DataError("None of the jobs could be done; log.jsonl says why of each.")
        write_json(run.folder / "audit.json", [found.as_dict() for found in findings])
        self.illustrate(run, replace(prepared, findings=findings), done)

    def look(self, job: Job, run: Run, seen: Seen) -> Looked:
        """Do one job; videos that were seen before are not scanned again."""
        eyeballs = seen.eyeballs
        if job.fit is not None:
            table, shape = self.pupils(job.fit, run, seen)
            like = Eyeball(1.0, (0.0, 0.0), (0.0, 0.0, 1.0), self.radius)
            like = like if self.refraction else replace(like, index=1.0)
            eyeballs[job.model] = tables.fit_table(table, shape, self.sure, self.focal, like)
            write_eyeball(run.folder / "artifacts" / self.file_of(job), eyeballs[job.model])
        elif job.with_gaze and job.model not in eyeballs:
            eyeballs[job.model] = read_eyeball(Path(job.model))
        eyeball = eyeballs.get(job.model) if job.with_gaze else None
        if job.infer is None:
            return Looked(job, eyeball, None)
        table, _ = self.pupils(job.infer, run, seen)
        found = table if eyeball is None else tables.gaze_table(table, eyeball, self.sure)
        return Looked(job, eyeball, found)

    def pupils(self, file: Path, run: Run, seen: Seen) -> tuple[pd.DataFrame, tuple[int, int]]:
        """Return the pupils of a video and the shape of its frames."""
        from neuroloom.io.video import Video

        if file not in seen.tables:
            name = seen.videos.name_of(file)
            net, folder = videos.net_of(self.weights), run.work_folder / name
            with Video(file, grey=True, patch=True) as video:
                view = videos.look_at(video, net, videos.check_roi(self.roi), self.invert)
                told = run.telling(name)
                videos.scan_pupils(video, view, net, folder, side=self.side, told=told)
                seen.tables[file] = videos.pupil_table(video, folder), video.shape[:2]
        return seen.tables[file]

    def file_of(self, job: Job) -> str:
        """Return the name under which the eyeball of a job is kept."""
        return f"{job.model}_eyeball.json"

    def illustrate(self, run: Run, prepared: Jobs, done: list[Looked]) -> None:
        """Write tables, metrics, figures, overlays and the report."""
        from neuroloom.eye.story.gaze import report_gaze

        report_gaze(self, run, prepared, done)
