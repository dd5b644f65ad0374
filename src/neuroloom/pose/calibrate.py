"""`pose.calibrate`: the cameras of a rig, from clips in which they see a ChArUco board."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import field_validator

from neuroloom.core.audit import Finding
from neuroloom.core.errors import DataError
from neuroloom.core.files import check_there, digest, whole_path, write_json
from neuroloom.core.recipe import Recipe, setting

if TYPE_CHECKING:
    from neuroloom.core.run import Run
    from neuroloom.pose.rig.board import Detections
    from neuroloom.pose.rig.calibrate import Calibration
    from neuroloom.pose.rig.cameras import Rig


@dataclass(frozen=True)
class Prepared:
    """What the cameras saw of the board, an older calibration of theirs, and the files."""

    seen: Detections
    older: Rig | None
    hashes: dict[str, str]
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class Calibrated:
    """The rig, other starts, and what frames held out say of it."""

    whole: Calibration
    starts: list[Calibration]
    judged: Judged
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class Judged:
    """The lens, the frames held out and their errors (camera, frame, corner), px."""

    lens: tuple[str, ...]
    scores: dict[str, float]
    held: np.ndarray
    posed: np.ndarray
    lifted: np.ndarray


class Calibrate(Recipe):
    """Calibrate the cameras of a rig from clips of a ChArUco board.

    Lenses and places are fitted together, from several starts that must end in one place; frames
    held out say how well. Faulty cameras, flipped boards and too little coverage are named; so is
    what is wrong with an older calibration in the data.

    Examples
    --------
    >>> Calibrate(lens="f k1 k2").starts
    3
    """

    name: ClassVar[str] = "pose.calibrate"
    summary: ClassVar[str] = "calibrate cameras from clips of a ChArUco board"
    data_kind: ClassVar[str] = "video of a board"

    board: str | None = setting(
        None, "TOML of the board; default: board.toml or config.toml in the data", basic=True
    )
    lens: Literal["auto", "f k1 k2", "f k1 k4", "f cx cy k1 k4", "f cx cy k1 k2 p1 p2 k3"] = (
        setting("auto", "what is fitted of each lens; auto: chosen by held-out frames", basic=True)
    )
    frames: int = setting(200, "at most so many, evenly spread", ge=5, basic=True)
    starts: int = setting(3, "starts that must agree; the first is not shaken", ge=1, basic=True)
    held_out: float = setting(
        0.2, "share of frames, the last, that judge the calibration", ge=0, lt=0.8, basic=True
    )
    include: list[str] = setting([], "only clips whose names match one of these globs", basic=True)
    seed: int = setting(1, "of the shaken starts", ge=0)

    _paths_hold_anywhere = field_validator("board")(whole_path)

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return painted clips of a board, the fields that fit them, and what they are."""
        from neuroloom.pose.story import board

        return board.boards(folder, {"lens": "f k1 k2", "starts": 2})

    def prepare(self, data: Path) -> Prepared:
        """Find the board in every clip; nothing is written."""
        from neuroloom.pose.rig.board import detect_board, find_board, find_clips, read_board
        from neuroloom.pose.rig.files import find_rig, read_rig

        check_there(data)
        board_file = Path(self.board) if self.board else find_board(data)
        clips = find_clips(data, self.include)
        seen = detect_board(clips, read_board(board_file), self.frames)
        hashes = {f"{name}/{file.name}": digest(file) for name, file in clips.items()}
        try:
            older = read_rig(find_rig(data))
        except DataError:
            older = None
        if older is not None and not set(seen.names) <= set(older.names):
            older = None
        found = [Finding("warning", "Clips", note) for note in seen.notes]
        for name, lost in seen.damaged.items():
            detail = (
                f"{name}: {lost} of the frames looked at cannot be decoded; none is seen there."
            )
            found.append(Finding("warning", "Frames", detail))
        return Prepared(seen, older, hashes | {board_file.name: digest(board_file)}, found)

    def fit(self, seen: Detections) -> Calibrated:
        """Choose the lens, judge it on held-out frames, then fit to all."""
        from neuroloom.pose.rig.calibrate import calibrate

        last = round(self.held_out * len(seen.frames))
        findings = []
        try:
            judged = self.judge(seen, last)
        except DataError as error:
            detail = (
                f"The cameras cannot be calibrated without the last {last} frames, so that none "
                f"are held out to judge. {error} See `held_out`."
            )
            findings.append(Finding("warning", "No frames held out", detail))
            judged = self.judge(seen, 0)
        shaken = [None, *(np.random.default_rng([self.seed, k]) for k in range(1, self.starts))]
        starts = [calibrate(seen, judged.lens, rng=rng) for rng in shaken]
        return Calibrated(starts[0], starts, judged, findings)

    def judge(self, seen: Detections, last: int) -> Judged:
        """Choose the lens, and return the errors of a rig in the last frames, held out of both."""
        from neuroloom.pose.rig.calibrate import calibrate, choose_lens, held_out_errors
        from neuroloom.pose.rig.triangulate import reprojection_error, triangulate

        frames = np.arange(len(seen.frames))
        rest, held = np.split(frames, [len(frames) - last])
        lens: tuple[str, ...] = tuple(self.lens.split())
        scores: dict[str, float] = {}
        if self.lens == "auto":
            lens, scores = choose_lens(seen.take(rest))
        if not last:
            empty = np.full((len(seen.names), 0, len(seen.board.corners)), np.nan)
            return Judged(lens, scores, held, empty, empty)
        rig, new = calibrate(seen.take(rest), lens).rig, seen.take(held)
        lifted = reprojection_error(rig, triangulate(rig, new.corners), new.corners)
        return Judged(lens, scores, held, held_out_errors(rig, new), lifted)

    def work(self, prepared: Prepared, run: Run) -> None:
        """Calibrate, judge, check, and write calibration.toml, tables and the report."""
        from neuroloom.pose.rig.check import check_rig

        run.write_dataset({"files": prepared.hashes})
        write_json(run.folder / "plan.json", {"reason": "nothing is trained"})
        run.log("plan", reason="nothing is trained")
        done = self.fit(prepared.seen)
        run.log("fitted", role="rig", fit=1, fits=1, lens=" ".join(done.judged.lens))
        report = check_rig(done.whole.rig, prepared.seen)
        findings = [*report.findings, *self.older(prepared), *done.findings, *prepared.findings]
        if not findings:
            findings = [Finding("note", "Rig", "Cameras, boards and coverage are sound.")]
        write_json(run.folder / "audit.json", [found.as_dict() for found in findings])
        for found in findings:
            run.log("audit", **found.as_dict())
        self.illustrate(run, prepared, done, findings)

    def older(self, prepared: Prepared) -> list[Finding]:
        """Return what is wrong with the calibration that lay beside the clips."""
        from neuroloom.pose.rig.check import check_rig

        if prepared.older is None:
            return []
        report = check_rig(prepared.older, prepared.seen)
        return [
            Finding("warning", f"The older calibration: {found.title.lower()}", found.detail)
            for found in report.findings if found.severity == "objection"
        ]  # fmt: skip

    def illustrate(
        self, run: Run, prepared: Prepared, done: Calibrated, findings: list[Finding]
    ) -> None:
        """Write the calibration, tables, metrics, figures and the page."""
        from neuroloom.pose.story.calibrate import report_calibration

        report_calibration(self, run, prepared, done, findings)


def spread_of(starts: list[Any], board: np.ndarray) -> float:
    """Return how far the median errors of several starts lie apart, px."""
    medians = [float(np.nanmedian(one.errors(board))) for one in starts]
    return max(medians) - min(medians)
