"""`pose.suggest`: which frames of a video to label next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import field_validator

from neuroloom.core.audit import Finding
from neuroloom.core.errors import DataError
from neuroloom.core.files import (
    digest,
    names_apart,
    whole_if_there,
    whole_path,
    write_atomic,
    write_json,
)
from neuroloom.core.recipe import Recipe, setting

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run


@dataclass(frozen=True)
class Doubted:
    """A video, and what nets found in it.

    Parameters
    ----------
    video
        Where it lies.
    name
        What it is called: no other one is.
    numbers
        Frames that are looked at.
    doubts
        Reason -> (frame,) values of those frames; empty without tracks.
    points
        Shape (frame, individual, keypoint, 2), or None.
    frames
        How many the video has.
    keypoints, individuals
        Names, where there are tracks.
    tracks
        Their files.
    """

    video: Path
    name: str
    numbers: np.ndarray
    doubts: dict[str, np.ndarray]
    points: np.ndarray | None
    frames: int
    keypoints: tuple[str, ...] = ()
    individuals: tuple[str, ...] = ()
    tracks: tuple[Path, ...] = ()

    def take(self, rows: np.ndarray) -> Doubted:
        """Return it with some of the frames that are looked at; `rows` is a mask or an index."""
        doubts = {reason: values[rows] for reason, values in self.doubts.items()}
        points = None if self.points is None else self.points[rows]
        return replace(self, numbers=self.numbers[rows], doubts=doubts, points=points)


@dataclass(frozen=True)
class Prepared:
    """The videos, and what the audit noticed."""

    videos: list[Doubted]
    files: dict[str, str]
    findings: list[Finding] = field(default_factory=list)


class Suggest(Recipe):
    """Choose the frames of a video that are most worth labelling.

    Frames in which a net is unsure, several nets disagree, a keypoint jumps, a limb is too long or
    something is missing; and unlike each other and those labelled already. Without tracks, frames
    that stand for all. They are written as pictures and as what the program of `labels` opens, in
    which every point stands where a net has it: correct, do not begin anew.

    Examples
    --------
    >>> Suggest(frames=30).apart
    10
    """

    name: ClassVar[str] = "pose.suggest"
    summary: ClassVar[str] = "choose the frames of a video that are most worth labelling"
    data_kind: ClassVar[str] = "video of animals"

    frames: int = setting(20, "how many to choose of each video", ge=1, basic=True)
    tracks: list[str] = setting(
        [], "files of tracks of the video, one a net; default: those beside it", basic=True
    )
    labels: str | None = setting(
        None, "a project: frames like those labelled in it count less", basic=True
    )
    apart: int = setting(10, "least distance between two chosen frames", ge=1, basic=True)
    start: int = setting(0, "first frame that may be chosen", ge=0, basic=True)
    stop: int | None = setting(None, "frame before which to stop; default: the end", ge=1,
                               basic=True)  # fmt: skip
    most: int = setting(3000, "frames looked at; of longer videos every second, third …", ge=10)
    weights: dict[str, float] = setting(
        {}, "of unsure, jump, length, missing, spread; default: 1 each"
    )
    include: list[str] = setting([], "only videos whose names match one of these globs")
    seed: int = setting(1, "of the first clusters", ge=0)

    _paths_hold_anywhere = field_validator("labels")(whole_path)

    @field_validator("tracks")
    @classmethod
    def _tracks_hold_anywhere(cls, tracks: list[str]) -> list[str]:
        return [whole_if_there(name) for name in tracks]

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return a painted clip with points, the fields that fit it, and what it is."""
        from neuroloom.pose.story import demo

        return demo.clip(folder, {"frames": 4})

    def prepare(self, data: Path) -> Prepared:
        """Find the videos and read their tracks; nothing is written."""
        from neuroloom.io.labels import read_labels
        from neuroloom.io.video import pictures_beside
        from neuroloom.pose.data import hashes_of
        from neuroloom.pose.doubt.videos import find_videos

        known = {"unsure", "jump", "length", "missing", "spread"}
        if odd := set(self.weights) - known:
            raise DataError(f"weights: there is no '{min(odd)}'; there are {sorted(known)}.")
        videos = find_videos(data, self.include)
        if self.tracks and len(videos) > 1:
            raise DataError(
                f"tracks: they belong to one video, the data have {len(videos)}; narrow them "
                "with `include`."
            )
        told: list[Finding] = []
        doubted = self._doubted(videos, data, told)
        told = [*pictures_beside(data, videos), *told]
        told.insert(0, Finding("note", "Files", f"{len(doubted)} videos."))
        files = {f"{one.name}{one.video.suffix}": one.video for one in doubted}
        hashes = {name: digest(file) for name, file in files.items() if file.is_file()}
        hashes |= {f"{one.name}: {file.name}": digest(file)
                   for one in doubted for file in one.tracks}  # fmt: skip
        if self.labels:
            project = Path(self.labels)
            used = hashes_of(read_labels(project), project)
            hashes |= {f"labels: {name}": value for name, value in used.items()}
        return Prepared(doubted, hashes, told)

    def _doubted(self, videos: list[Path], data: Path, told: list[Finding]) -> list[Doubted]:
        """Return what is in doubt in each video; of several, one that cannot be read is told."""
        from neuroloom.pose.doubt.videos import read_doubts

        span = (self.start, self.stop, self.most)
        doubted = []
        for video, name in zip(videos, names_apart(videos), strict=True):
            try:
                found, notes = read_doubts((video, name), self.tracks, data, span)
            except DataError as error:
                if len(videos) == 1:
                    raise
                told.append(_left_out(video, name, error))
                continue
            doubted.append(found)
            told += notes
        if not doubted:
            raise DataError(f"{data}: none of {len(videos)} videos can be used. {told[0].detail}")
        return doubted

    def work(self, prepared: Prepared, run: Run) -> None:
        """Choose, write the frames, and report; of several videos, one that fails is left out."""
        import pandas as pd

        from neuroloom.pose.doubt.videos import not_looked_at

        videos = prepared.videos
        run.write_dataset({"files": prepared.files})
        told = _tell(run, [], prepared.findings)
        write_json(run.folder / "plan.json", {"reason": "nothing is trained"})
        run.log("plan", reason="nothing is trained")
        kept: list[Doubted] = []
        tables, covers = [], []
        for number, one in enumerate(videos, 1):
            try:
                table, cover = self.choose(one)
            except DataError as error:
                if number == len(videos) and not kept:
                    raise
                told = _tell(run, told, [_left_out(one.video, one.name, error)])
                continue
            told = _tell(run, told, not_looked_at(one, table["frame"].to_numpy()))
            kept.append(one)
            tables.append(table)
            covers.append(cover)
            place = {"role": "frames", "fit": number, "fits": len(videos)}
            run.log("fitted", name=one.name, chosen=int(table["chosen"].sum()), **place)
        whole = pd.concat(tables, ignore_index=True)
        write_atomic(run.folder / "predictions.parquet", lambda p: whole.to_parquet(p, index=False))
        self.illustrate(run, replace(prepared, videos=kept, findings=told), whole, covers)

    def choose(self, one: Doubted) -> tuple[pd.DataFrame, tuple[float, float]]:
        """Return a row a frame looked at, and the coverage of the chosen and of even steps.

        Frames that cannot be decoded have no row.
        """
        import pandas as pd

        from neuroloom.pose.doubt import choose
        from neuroloom.pose.doubt.videos import labelled_pictures, look_at

        one, small = look_at(one)
        known = labelled_pictures(self.labels, small.shape[1:]) if self.labels else small[:0]
        features = choose.features_of(np.concatenate([small, known]))
        features, known = features[: len(small)], features[len(small) :]
        doubt, reason = np.zeros(len(small)), np.full(len(small), "diversity")
        if one.doubts:
            doubt, main = choose.rank_doubts(one.doubts, self.weights or None)
            reason = np.array(list(one.doubts))[main]
        rng = np.random.default_rng(self.seed)
        options: dict[str, Any] = {"numbers": one.numbers, "apart": self.apart, "known": known}
        chosen = choose.choose_frames(features, doubt, self.frames, rng, **options)
        even = np.linspace(0, len(small) - 1, len(chosen)).round().astype(int)
        table = pd.DataFrame({"name": one.name, "frame": one.numbers, "doubt": doubt})
        table = table.assign(reason=reason, **one.doubts, chosen=False)
        table.loc[chosen, "chosen"] = True
        return table, (choose.coverage(features, chosen), choose.coverage(features, even))

    def illustrate(
        self, run: Run, prepared: Prepared, table: pd.DataFrame, covers: list[tuple[float, float]]
    ) -> None:
        """Write pictures, metrics, tables, figures and the report."""
        from neuroloom.pose.story.suggest import report_suggestions

        report_suggestions(self, run, prepared, table, covers)


def _left_out(video: Path, name: str, error: DataError) -> Finding:
    """Return what is told of a video that cannot be used where there are others."""
    detail = f"{str(error).replace(str(video), video.name)} It was left out."
    return Finding("objection", name, detail)


def _tell(run: Run, told: list[Finding], more: list[Finding]) -> list[Finding]:
    """Log further findings, and write and return them after those that were told before."""
    for found in more:
        run.log("audit", **found.as_dict())
    whole = [*told, *more]
    write_json(run.folder / "audit.json", [found.as_dict() for found in whole])
    return whole
