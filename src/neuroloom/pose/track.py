"""`pose.track`: which animal is which, over the whole of a video, and where that is in doubt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import field_validator

from neuroloom.core.audit import Finding
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import digest, whole_path, write_json
from neuroloom.core.recipe import Recipe, setting
from neuroloom.pose.link.pairs import (
    SUFFIXES,
    TrackPair,
    find_track_pairs,
    in_first_slots,
    to_detections,
)

if TYPE_CHECKING:
    import xarray as xr

    from neuroloom.core.run import Run
    from neuroloom.pose.link.track import Linked


ENDINGS = {
    "dlc": ".h5", "lightning-pose": ".csv", "slp": ".slp", "analysis": ".analysis.h5",
    "movement": ".nc", "nwb": ".nwb",
}  # fmt: skip
KEPT = ("video", "edges", "scorer")  # what a file says beside its tracks, written again


@dataclass(frozen=True)
class Tracked:
    """One file: what came in, who is who, and what goes out (time, animal, keypoint, 2)."""

    pair: TrackPair
    recording: xr.DataArray
    linked: Linked
    names: tuple[str, ...]  # of the animals
    points: np.ndarray
    confidence: np.ndarray
    truth: np.ndarray | None = None
    plain: np.ndarray | None = None
    judged: np.ndarray | slice = field(default_factory=lambda: slice(None))  # rows of the truth


@dataclass(frozen=True)
class Prepared:
    """The files, their tracks and truths without gaps, and what the audit noticed."""

    pairs: list[TrackPair]
    recordings: list[xr.DataArray]
    truths: list[xr.DataArray | None]  # of the frames that are judged
    findings: list[Finding] = field(default_factory=list)


class Track(Recipe):
    """Give the animals of a video their names: one track each, from detections in any order.

    Neighbouring frames are linked keeping several histories where animals meet; tracklets are then
    stitched over gaps, all at once. Where a swap of two names is likely it is listed, the worst
    first. With a truth, IDF1, MOTA and HOTA beside those of the nearest-neighbour way.

    Examples
    --------
    >>> Track(animals=2, fill=10).patience
    15
    """

    name: ClassVar[str] = "pose.track"
    summary: ClassVar[str] = "keep the identities of animals over time, and list likely swaps"
    data_kind: ClassVar[str] = "pose, tracks, video"
    beside: ClassVar[tuple[str, ...]] = ("truth",)

    animals: int | None = setting(None, "how many there are; default: counted", ge=1, basic=True)
    truth: str | None = setting(
        None, "file or folder of true tracks; default: truth/ in the data", basic=True
    )
    video: str | None = setting(
        None, "the video of the one file of tracks: animals may differ in colour", basic=True
    )
    rate: float | None = setting(
        None, "frames a second; default: the file's or the video's", unit="Hz", gt=0, basic=True
    )
    least: float = setting(0.0, "confidence below which a keypoint is missing", ge=0, le=1)
    fill: int = setting(40, "longest gap to fill in, frames; 0 fills none", ge=0, basic=True)
    smooth: bool = setting(
        False, "draw smooth paths, as stiff as tells frames that are left out best", basic=True
    )
    shape: bool = setting(
        True, "tell animals apart by the proportions of their bodies where motion cannot"
    )
    overlay: bool = setting(
        False, "write the video with its animals, a colour each; see `video`, or it lies beside"
    )
    patience: int = setting(15, "frames that an animal may be unseen before it is stitched", ge=1)
    doubtful: float = setting(
        0.65,
        "share of the usual confidence below which a whole body counts as not seen",
        ge=0,
        le=1,
    )
    within: float | None = setting(
        None, "distance within which a body is the true one, px; default: half a body", gt=0
    )
    format: Literal["dlc", "lightning-pose", "slp", "analysis", "movement", "nwb"] | None = setting(
        None, "of the files to write; default: as they came"
    )
    include: list[str] = setting([], "only tracks whose names match one of these globs")
    seed: int = setting(1, "of the bootstrap", ge=0)

    _paths_hold_anywhere = field_validator("video")(whole_path)

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return simulated detections, the fields that fit them, and what they are."""
        from neuroloom.pose.story import demo

        return demo.crossings(folder, {})

    def prepare(self, data: Path) -> Prepared:
        """Find and read the tracks and their truths; nothing is written."""
        from neuroloom.io.video import is_video

        if data.is_file() and is_video(data):
            return self._prepare_video(data)
        told: list[Finding] = []
        files = find_track_pairs(data, self.truth, self.include, told)
        told.insert(0, Finding("note", "Files", f"{len(files)} files of tracks."))
        rate = self._rate()
        every = [one for file in files for one in self._read(file, rate, told)]
        pairs = [pair for pair, _, _ in every]
        if self.video is not None and len(pairs) > 1:
            raise DataError(
                f"video: it belongs to the tracks of one video, the data have {len(pairs)}; narrow "
                "them with `include`."
            )
        if self.truth is not None and not any(pair.truth for pair in pairs):
            raise DataError(f"truth: '{self.truth}' has tracks of none of the videos.")
        without = [pair.name for pair in pairs if pair.truth is None]
        if without and len(without) < len(pairs):
            listed = ", ".join(without[:9])
            told.append(Finding("warning", "Truth", f"{len(without)} have no truth: {listed}."))
        recordings = [recording for _, recording, _ in every]
        if all(recording.attrs["rate"] == 1 for recording in recordings):
            detail = "No file says how many frames a second it has: times count frames. See `rate`."
            told.append(Finding("note", "No frame rate", detail))
        for pair, recording, _ in every:
            self._can_be_done(pair, recording)
        return Prepared(pairs, recordings, [truth for _, _, truth in every], told)

    def _can_be_done(self, pair: TrackPair, recording: xr.DataArray) -> None:
        """Refuse a drawing of a video that is not there."""
        if self.overlay:
            self.footage(pair, recording)

    def footage(self, pair: TrackPair, recording: xr.DataArray) -> Path:
        """Return the video that tracks are of.

        Raises
        ------
        DataError
            If it is not found.
        """
        from neuroloom.io.videos import video_of

        if self.video is not None or pair.file.suffix.lower() not in SUFFIXES:
            return pair.file if self.video is None else Path(self.video)
        found = video_of(pair.file, str(recording.attrs.get("video", "")))
        if found is None:
            raise DataError(
                f"overlay: the video of '{pair.name}' is not beside its tracks; put it there under "
                "the name that theirs begins with, or name it with `video`."
            )
        return found

    def _rate(self) -> float | None:
        """Return the frame rate that was stated, or that of the video, Hz."""
        from neuroloom.io.video import Video

        if self.rate is not None or self.video is None:
            return self.rate
        with Video(self.video, patch=True) as video:
            return video.rate

    def _read(
        self, file: TrackPair, rate: float | None, told: list[Finding]
    ) -> Iterator[tuple[TrackPair, xr.DataArray, xr.DataArray | None]]:
        """Yield tracks and truth of each video, with a row for every frame from first to last."""
        from neuroloom.io.tracks import read_each_video

        truths = read_each_video(file.truth, rate) if file.truth else {}
        for video, tracks in read_each_video(file.file, rate).items():
            name = f"{file.name}_{video}".replace("/", "_") if video else file.name
            pair = TrackPair(name, file.file, file.truth if video in truths else None)
            recording = _whole(tracks, name, told)
            truth = None
            if pair.truth is not None:
                truth = within(truths[video], recording, name, told)
            yield pair, recording, truth

    def _prepare_video(self, data: Path) -> Prepared:
        """Find the animals of a video before its still background; nothing is trained."""
        from neuroloom.io.tracks import read_tracks
        from neuroloom.io.video import Video
        from neuroloom.pose.blobs import detect_blobs
        from neuroloom.pose.predict import lost

        if self.animals is None:
            raise ConfigError(
                "animals: say how many there are in the video; they are found before its still "
                "background, as no net was trained. Or give tracks of `pose.estimate`."
            )
        with Video(data, patch=True) as video:
            recording = detect_blobs(video, self.animals, rate=self.rate)
            damaged = [f"{data.name}: {note}" for note in lost(np.flatnonzero(video.damaged))]
            noticed = [Finding("warning", "Video", note) for note in [*video.notes, *damaged]]
        truth = find_track_pairs(data, self.truth)[0].truth
        told = "Animals were found as what differs from the still background: front, middle, back."
        found = [Finding("note", "No tracks", told), *noticed]
        true = None
        if truth is not None:
            known = read_tracks(truth, float(recording.attrs["rate"]))
            true = within(known, recording, data.stem, found)
        return Prepared([TrackPair(data.stem, data, truth)], [recording], [true], found)

    def work(self, prepared: Prepared, run: Run) -> None:
        """Link, write the tracks, measure, and report."""
        run.write_dataset(_dataset(prepared.pairs))
        write_json(run.folder / "audit.json", [found.as_dict() for found in prepared.findings])
        for found in prepared.findings:
            run.log("audit", **found.as_dict())
        write_json(run.folder / "plan.json", {"reason": "nothing is trained"})
        run.log("plan", reason="nothing is trained")
        done = []
        every = zip(prepared.pairs, prepared.recordings, prepared.truths, strict=True)
        for pair, recording, true in every:
            done.append(self.track(pair, recording, true))
            self.write(done[-1], run.folder / "artifacts")
            if self.overlay:
                self.draw(done[-1], run.folder / "artifacts")
            place = {"role": "tracks", "fit": len(done), "fits": len(prepared.pairs)}
            run.log("fitted", name=pair.name, animals=done[-1].linked.animals, **place)
        self.illustrate(run, prepared, done)

    def track(
        self, pair: TrackPair, recording: xr.DataArray, true: xr.DataArray | None = None
    ) -> Tracked:
        """Return who is who in one file."""
        from neuroloom.pose.link.names import animals_of, keep_names
        from neuroloom.pose.link.track import arrange, drop_doubtful, link, link_nearest

        animals = animals_of(recording)
        keypoints = animals.coords["keypoints"].values
        points, sure, slots = in_first_slots(*to_detections(animals))
        points = np.where((sure >= self.least)[..., None], points, np.nan)
        points = drop_doubtful(points, sure, self.doubtful)
        sure = np.where(np.isfinite(points).all(-1), sure, 0.0)
        looks = self.looks(points, recording)
        linked = link(
            points, sure.sum(-1), animals=self.animals, patience=self.patience, looks=looks
        )
        called = [str(name) for name in animals.coords["individuals"].values]
        linked, names = keep_names(linked, called, slots)
        tracks = arrange(points, linked.identity, linked.animals)
        tracks = self.paths(tracks, keypoints, self.smooth)
        confidence = np.nan_to_num(arrange(sure, linked.identity, linked.animals))
        done = Tracked(pair, recording, linked, names, tracks, confidence)
        if true is None:
            return done
        truth = to_detections(true)[0]
        plain = arrange(points, link_nearest(points, linked.animals), linked.animals)
        judged = np.searchsorted(recording.coords["frame"].values, true.coords["frame"].values)
        baseline = self.paths(plain, keypoints, False)
        return replace(done, truth=truth, plain=baseline, judged=judged)

    def paths(self, tracks: np.ndarray, keypoints: np.ndarray, smooth: bool) -> np.ndarray:
        """Return tracks (time, animal, keypoint, 2) with the front ahead, smooth, without gaps."""
        from neuroloom.pose.blobs import NAMES, orient
        from neuroloom.pose.link.smooth import smooth_tracks
        from neuroloom.pose.link.track import fill_gaps

        # First of all: between a front and a back there is no path.
        tracks = orient(tracks) if tuple(keypoints) == NAMES else tracks
        tracks = smooth_tracks(tracks) if smooth else tracks
        return fill_gaps(tracks, self.fill)

    def looks(self, points: np.ndarray, recording: xr.DataArray) -> np.ndarray | None:
        """Return what may set animals apart (time, slot, feature), None where nothing is asked."""
        from neuroloom.io.video import Video
        from neuroloom.pose.link.looks import body_colour, body_shape

        parts = [body_shape(points)] if self.shape else []
        if self.video is not None:
            with Video(self.video, patch=True) as video:
                parts.append(body_colour(video, points, recording.coords["frame"].values))
        return np.concatenate(parts, -1) if parts else None

    def write(self, done: Tracked, folder: Path) -> None:
        """Write the tracks of one file in the format that they came in."""
        from neuroloom.io.tracks import write_tracks

        folder.mkdir(parents=True, exist_ok=True)
        file = folder / self.file_of(done.pair)
        write_tracks(to_recording(done), file, self.format or came_as(done.pair.file)[0])

    def draw(self, done: Tracked, folder: Path) -> Path:
        """Write the video of one file with its animals drawn on it, a colour each."""
        from neuroloom.io.video import Video
        from neuroloom.learn.overlay import labelled_video

        edges = [(int(a), int(b)) for a, b in done.recording.attrs.get("edges", ())]
        with Video(self.footage(done.pair, done.recording), patch=True) as video:
            return labelled_video(
                video, to_recording(done), folder / self.overlay_of(done.pair), edges
            )

    def overlay_of(self, pair: TrackPair) -> str:
        """Return the name of the video that is written for one file that came in."""
        return f"{pair.name.removesuffix('.analysis')}.tracked_labelled.mp4"

    def file_of(self, pair: TrackPair) -> str:
        """Return the name of the file that is written for one that came in."""
        ending = ENDINGS[self.format] if self.format else came_as(pair.file)[1]
        return f"{pair.name.removesuffix('.analysis')}.tracked{ending}"

    def illustrate(self, run: Run, prepared: Prepared, done: list[Tracked]) -> None:
        """Write metrics, tables, figures and the report."""
        from neuroloom.pose.story.track import report_tracks

        report_tracks(self, run, prepared, done)


def came_as(file: Path) -> tuple[str, str]:
    """Return the format of a file of tracks, and its ending; DeepLabCut's of a video.

    Examples
    --------
    >>> came_as(Path("clip.slp")), came_as(Path("clip.mp4"))
    (('slp', '.slp'), ('dlc', '.h5'))
    """
    from neuroloom.io.tracks import format_of

    name = format_of(file)
    if name is None or name == "dlc":  # whose tables have two endings
        return "dlc", file.suffix if file.suffix.lower() in SUFFIXES else ".h5"
    return name, ENDINGS.get(name, file.suffix)


def _whole(recording: xr.DataArray, name: str, told: list[Finding]) -> xr.DataArray:
    """Return tracks with a row for every frame, and say how many were left out."""
    from neuroloom.pose.link.spans import over_one_span

    to_detections(recording)
    (whole,) = over_one_span([recording])
    left_out = whole.sizes["time"] - recording.sizes["time"]
    if left_out:
        detail = f"{name}: {left_out} frames are not in the file: nobody was there."
        told.append(Finding("note", "Frames left out", detail))
    return whole


def within(
    truth: xr.DataArray, recording: xr.DataArray, name: str, told: list[Finding]
) -> xr.DataArray:
    """Return the truth of the animals in frames of the tracks that it says something of.

    Where it is not of all of them, that is told.

    Parameters
    ----------
    truth
        As it was read.
    recording
        Tracks with a row for every frame.

    Raises
    ------
    DataError
        If they share no frame, or one has a keypoint that the other has not.
    """
    from neuroloom.pose.link.names import animals_of, in_the_order_of
    from neuroloom.pose.link.spans import at_frames, labelled_frames

    to_detections(truth)
    whose = f"The truth of {name}"
    truth = in_the_order_of(animals_of(recording), animals_of(truth), whose)
    own, known = recording.coords["frame"].values, labelled_frames(truth)
    shared = known[np.isin(known, own)]
    if not len(shared):
        theirs = f"is of {known[0]} to {known[-1]}" if len(known) else "shows nobody"
        raise DataError(
            f"{name}: has tracks of the frames {own[0]} to {own[-1]}, the truth {theirs}."
        )
    if len(shared) < len(own):
        empty = int(np.isin(truth.coords["frame"].values, np.setdiff1d(own, shared)).sum())
        told.append(Finding("warning", "Truth of a part", _of_a_part(name, shared, empty)))
    if left_out := int((~np.isin(shared, truth.coords["frame"].values)).sum()):
        detail = f"{whose}: {left_out} frames are not in the file: nobody was there."
        told.append(Finding("note", "Frames left out", detail))
    return at_frames(truth, shared)


def _of_a_part(name: str, judged: np.ndarray, empty: int) -> str:
    """Say of which frames a truth is, and of how many others it has rows that show nobody."""
    every = len(judged) == judged[-1] - judged[0] + 1
    count = "the" if every else f"{len(judged)} of the"
    said = f"{name}: the truth is of {count} frames {judged[0]} to {judged[-1]}; only these are "
    if not empty:
        return f"{said}judged."
    return (
        f"{said}judged. In {empty} others it shows nobody, as in frames that nobody labelled, and "
        "what was found there costs nothing. Where all animals were away, give it as .slp or as "
        "DeepLabCut's table with a row for every frame: then they are judged."
    )


def to_recording(done: Tracked) -> xr.DataArray:
    """Return the tracks of the animals as a recording like the one that came in."""
    from neuroloom.core.recording import tracks
    from neuroloom.pose.link.names import animals_of, with_unique

    came = done.recording
    made = tracks(
        done.points.transpose(0, 3, 2, 1),
        [str(own) for own in animals_of(came).coords["keypoints"].values],
        done.names,
        float(came.attrs["rate"]),
        done.confidence.transpose(0, 2, 1),
        source=str(came.attrs.get("source", "")),
        frames=came.coords["frame"].values,
        times=came.coords["time"].values,
    )
    made.attrs |= {name: came.attrs[name] for name in KEPT if name in came.attrs}
    return with_unique(made, came)


def _dataset(pairs: list[TrackPair]) -> dict[str, Any]:
    files = {f"{pair.name}{pair.file.suffix}": digest(pair.file) for pair in pairs}
    truths = {f"truth/{pair.name}": digest(pair.truth) for pair in pairs if pair.truth}
    return {"files": files | truths, "names": [pair.name for pair in pairs]}
