"""`eye.pupil`: the size and place of the pupil in every frame of videos; blinks, light reflexes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import field_validator

from neuroloom.core.files import digest, whole_path, write_json
from neuroloom.core.recipe import Recipe, setting
from neuroloom.eye import videos
from neuroloom.eye.videos import Videos, View

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.eye.nets import EyeNet


@dataclass(frozen=True)
class Seen:
    """One video: how it was looked at, and a row a frame."""

    name: str
    file: Path
    view: View
    table: pd.DataFrame


class Pupil(Recipe):
    """Measure pupils in videos, frame by frame: size, place, shape, confidence, blinks.

    Bright pupils (two-photon microscopy) are found as dark ones are. From the trace: blinks, light
    reflexes with latency, amplitude, speed and redilation, saccades.

    Examples
    --------
    >>> Pupil(roi=[10, 20, 200, 150], scale=0.05).invert
    'auto'
    """

    name: ClassVar[str] = "eye.pupil"
    summary: ClassVar[str] = "measure pupils in videos; find blinks, light reflexes, saccades"
    data_kind: ClassVar[str] = "video of eyes"
    ships: ClassVar[str] = "finds pupils in videos of eyes: a net trained on rendered eyes"

    roi: list[int] | None = setting(
        None, "left, top, width, height of the eye; default: found", unit="px", basic=True
    )
    invert: Literal["auto", "yes", "no"] = setting(
        "auto", "look at the negative; auto: if the pupil is then surer", basic=True
    )
    scale: float | None = setting(
        None, "millimetres a pixel at the eye, for sizes in mm", unit="mm", gt=0, basic=True
    )
    stimuli: list[float] | None = setting(
        None, "times of light flashes; default: every constriction counts", unit="s", basic=True
    )
    overlay: bool = setting(True, "write a video with the pupils drawn on it", basic=True)
    weights: str | None = setting(None, "net of `eye.train`; default: the shipped one", basic=True)
    sure: float = setting(0.5, "confidence from which a pupil counts", ge=0, le=1, basic=True)
    constriction: float = setting(0.1, "share of the diameter that is a reflex", gt=0, lt=1)
    side: int = setting(128, "longest side of what the net sees", unit="px", ge=64, le=512)
    include: list[str] = setting([], "only videos whose names match one of these globs")
    seed: int = setting(1, "of the bootstrap", ge=0)

    _paths_hold_anywhere = field_validator("weights")(whole_path)

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return a rendered video to try this on, the fields that fit it, and what it is."""
        from neuroloom.eye.story.demo import demo

        data, fields, what = demo(folder)
        return data, {name: fields[name] for name in fields if name in cls.model_fields}, what

    def prepare(self, data: Path) -> Videos:
        """Find the videos, the region and the net; nothing is written."""
        roi = videos.check_roi(self.roi)
        found = videos.find_videos(data, self.include)
        for file, size in found.sizes.items():
            videos.check_inside(roi, size, file.name)
        videos.net_of(self.weights)
        return found

    def work(self, prepared: Videos, run: Run) -> None:
        """Measure video after video, then write tables, events, overlays and the report."""
        begin(prepared, run, videos.weights_of(self.weights))
        net, seen = videos.net_of(self.weights), []
        for name, file in prepared.files.items():
            seen.append(self.measure(name, file, net, run.work_folder / name, run.telling(name)))
            place = {"role": "pupils", "fit": len(seen), "fits": len(prepared.files)}
            run.log("fitted", name=name, frames=len(seen[-1].table), **place)
        self.illustrate(run, seen)

    def measure(
        self, name: str, file: Path, net: EyeNet, folder: Path,
        told: Callable[[int, int], object] | None = None,
    ) -> Seen:  # fmt: skip
        """Measure one video; `folder` keeps what is done, so that a second call goes on."""
        from neuroloom.io.video import Video

        with Video(file, grey=True, patch=True) as video:
            view = videos.look_at(video, net, videos.check_roi(self.roi), self.invert)
            videos.scan_pupils(video, view, net, folder, side=self.side, told=told)
            return Seen(name, file, view, videos.pupil_table(video, folder, self.scale))

    def illustrate(self, run: Run, seen: list[Seen]) -> None:
        """Write tables, metrics, figures, overlays and the report."""
        from neuroloom.eye.story.pupil import report_pupils

        report_pupils(self, run, seen)


def begin(prepared: Videos, run: Run, beside: Mapping[str, Path]) -> None:
    """Write what stands at the head of a run; refuse files that changed since it began.

    Parameters
    ----------
    beside
        Name -> file of what the results depend on beside the videos, such as weights.
    """
    files = {f"{name}{file.suffix}": file for name, file in prepared.files.items()}
    files |= beside
    hashes = {name: digest(file) for name, file in files.items()}
    run.write_dataset({"files": hashes, "videos": list(prepared.files)})
    write_json(run.folder / "audit.json", [found.as_dict() for found in prepared.findings])
    for found in prepared.findings:
        run.log("audit", **found.as_dict())
    write_json(run.folder / "plan.json", {"reason": "nothing is trained"})
    run.log("plan", reason="nothing is trained")
