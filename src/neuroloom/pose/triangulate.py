"""`pose.triangulate`: from what several calibrated cameras saw to points in space."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import field_validator

from neuroloom.core.audit import Finding
from neuroloom.core.files import digest, whole_path, write_json
from neuroloom.core.recipe import Recipe, setting

if TYPE_CHECKING:
    from neuroloom.core.run import Run
    from neuroloom.pose.rig.lift import Lifted, Seen


@dataclass(frozen=True)
class Prepared:
    """What the cameras saw, limbs as pairs of points, how smooth, and what the audit noticed."""

    seen: Seen
    limbs: list[tuple[int, int]]
    hashes: dict[str, str]
    findings: list[Finding] = field(default_factory=list)
    smooth: float = 0.0


class Triangulate(Recipe):
    """Lift points that several cameras saw into space.

    Views that do not fit the others are left out. Tracks are smoothed by a Kalman smoother over all
    cameras and networks, which bridges short gaps; limbs may be held to their length. Each camera
    is told from the others, so that the error is known without a truth.

    Examples
    --------
    >>> Triangulate(smooth=0.01, limbs=["nose-head"]).method
    'robust'
    """

    name: ClassVar[str] = "pose.triangulate"
    summary: ClassVar[str] = "lift points that several calibrated cameras saw into space"
    data_kind: ClassVar[str] = "pose, tracks, video"

    calibration: str | None = setting(
        None, "file of the cameras; default: the one in the data", basic=True
    )
    method: Literal["robust", "refined", "linear"] = setting(
        "robust", "robust leaves views out; refined: least squares in px; linear: at once",
        basic=True,
    )  # fmt: skip
    smooth: float | None = setting(
        None, "step variance over place variance; 0: none; default: what tells cameras best", ge=0,
        basic=True,
    )  # fmt: skip
    limbs: list[str] = setting([], "keypoints a fixed distance apart: nose-head", basic=True)
    rate: float | None = setting(
        None, "frames a second, where the files do not say", unit="Hz", gt=0, basic=True
    )
    least: float = setting(
        0.0, "confidence below which a point counts as missing", ge=0, le=1, basic=True
    )
    tolerance: float = setting(
        10.0, "within which views agree; smoothing only begins with these",
        unit="px", gt=0, basic=True,
    )  # fmt: skip
    fill: int = setting(15, "longest gap that smoothing bridges, frames; 0 bridges none", ge=0)
    unit: Literal["um", "mm", "cm", "m"] | None = setting(
        None, "of the calibration, where it states none; default: nameless units"
    )
    cameras: list[str] = setting([], "use these cameras only; default: all")
    include: list[str] = setting([], "only tracks whose names match one of these globs")
    seed: int = setting(1, "of the bootstrap", ge=0)

    _paths_hold_anywhere = field_validator("calibration")(whole_path)

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return simulated views, the fields that fit them, and what they are."""
        from neuroloom.pose.story import demo

        return demo.views(folder, {})

    def prepare(self, data: Path) -> Prepared:
        """Read the cameras and what they saw; impossible rigs are refused; nothing is written."""
        from neuroloom.pose.rig.check import require_possible
        from neuroloom.pose.rig.files import find_rig, read_rig, stated_unit
        from neuroloom.pose.rig.lift import find_seen, parse_limbs

        file = find_rig(Path(self.calibration) if self.calibration else data)
        rig = read_rig(file, self.unit)
        findings = require_possible(rig.take(self.cameras) if self.cameras else rig)
        if rig.unit == "units":
            stated = stated_unit(file)
            said = "none" if stated in ("", "units") else f"'{stated}', which is not known"
            detail = f"{file.name} states {said}: places are in units of its own. See `unit`."
            findings.append(Finding("note", "No unit of length", detail))
        seen = find_seen(data, rig, self.include, self.rate, self.cameras)
        hashes = seen.hashes | {file.name: digest(file)}
        found = [*findings, *seen.findings]
        made = Prepared(seen, parse_limbs(self.limbs, seen), hashes, found)
        return replace(made, smooth=self._smooth(made))

    def _smooth(self, prepared: Prepared) -> float:
        """Return how smooth tracks are made: as asked for, or as tells best what was not used."""
        from neuroloom.pose.rig.choose import choose_smooth

        if self.smooth is not None or not prepared.seen.follows:
            return self.smooth or 0.0
        how = self.how(prepared)
        return choose_smooth(prepared.seen, **{k: v for k, v in how.items() if k != "smooth"})

    def how(self, prepared: Prepared) -> dict[str, Any]:
        """Return what `lift` gets beside the pixels."""
        return {
            "method": self.method, "tolerance": self.tolerance, "smooth": prepared.smooth,
            "least": self.least, "limbs": prepared.limbs, "fill": self.fill,
        }  # fmt: skip

    def work(self, prepared: Prepared, run: Run) -> None:
        """Lift, tell each camera from the others, write tracks, errors and the report."""
        from neuroloom.pose.rig.lift import left_out, lift

        cameras = list(prepared.seen.rig.names)
        run.write_dataset({"files": prepared.hashes, "cameras": cameras})
        note = Finding("note", "Cameras", f"{len(prepared.seen.rig)} cameras, none impossible.")
        write_json(run.folder / "audit.json", [f.as_dict() for f in [note, *prepared.findings]])
        for found in [note, *prepared.findings]:
            run.log("audit", **found.as_dict())
        reason = f"nothing is trained; tracks are smoothed with the ratio {prepared.smooth:g}"
        write_json(run.folder / "plan.json", {"reason": reason})
        run.log("plan", reason=reason)
        lifted = lift(prepared.seen, **self.how(prepared))
        run.log("fitted", role="places", fit=1, fits=2)
        told = left_out(prepared.seen, **self.how(prepared))
        run.log("fitted", role="left out", fit=2, fits=2)
        self.illustrate(run, prepared, lifted, told)

    def illustrate(self, run: Run, prepared: Prepared, lifted: Lifted, told: Any) -> None:
        """Write tracks, tables, metrics, figures and the page."""
        from neuroloom.pose.story.triangulate import report_places

        report_places(self, run, prepared, lifted, told)
