"""Keypoints in videos and pictures that nobody labelled: streamed, resumable, in any format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.audit import Finding, keep_findings
from neuroloom.core.errors import ConfigError, DataError, in_words, is_disk_full
from neuroloom.core.files import check_there, digest, names_apart, write_atomic, write_json
from neuroloom.pose.animals import taken_for
from neuroloom.pose.held_out import calibrated, together
from neuroloom.pose.nets.frames import plain

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from neuroloom.core.run import Run
    from neuroloom.io.video import Video
    from neuroloom.learn.store import Ensemble
    from neuroloom.pose.estimate import Estimate

BLOCK = 64
KEPT = "found, apart"  # of each block of frames, by the scan
SURE = 0.3  # confidence below which a point is not drawn


def predict(
    study: Estimate, run: Run, inputs: list[Path], out: Path | str | None = None
) -> pd.DataFrame:
    """See `Estimate.predict`."""
    from neuroloom.io.video import pictures_beside
    from neuroloom.learn.scan import folder_to_go_on

    if not inputs:
        raise ConfigError("predict needs a video, a folder of pictures, or a picture.")
    folder = None if out is None else folder_to_go_on(Path(out))
    ensemble = study.load_model(run)
    found = [(Path(source), videos_of(source)) for source in inputs]
    files, findings = readable(list(dict.fromkeys(file for _, own in found for file in own)))
    findings = [note for one in found for note in pictures_beside(*one)] + findings
    named = dict(zip(names_apart(files), files, strict=True))
    key = f"{digest(run.folder / 'model.safetensors')[:16]} {KEPT}"
    job = Job(ensemble, folder, key, telling=run.telling)
    if folder is None:
        return joined([table for name, file in named.items() for table in job.of(file, name)])
    write_atomic(
        folder / "predictions.parquet",
        lambda path: write_tables(
            path, (table for name, file in named.items() for table in job.of(file, name))
        ),
    )
    keep_findings(findings + job.findings, folder)
    videos = job.videos()
    facts = {"run": run.folder.name, "videos": len(files), "rows": int(videos["rows"].sum())}
    write_json(folder / "status.json", {"state": "done", "recipe": "predict", **facts})
    return videos


def readable(files: list[Path]) -> tuple[list[Path], list[Finding]]:
    """Return the videos that can be opened, and what is wrong with the others.

    Raises
    ------
    DataError
        If none can be.
    """
    from neuroloom.io.video import Video

    good, findings = [], []
    for file in files:  # before hours are spent on the first
        try:
            Video(file, patch=True).close()
            good.append(file)
        except DataError as error:
            if len(files) == 1:
                raise
            told = f"{str(error).replace(str(file), file.name)} It was left out."
            findings.append(Finding("objection", "Video", told))
    if not good:
        raise DataError(f"None of {len(files)} videos can be read. {findings[0].detail}")
    if findings:
        told = f"{len(findings)} of {len(files)} videos cannot be read and are left out."
        findings.insert(0, Finding("warning", "Videos left out", told))
    return good, findings


def write_tables(path: Path, tables: Iterator[pd.DataFrame]) -> None:
    """Write tables into one file, each as soon as it is there."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    first = _as_arrow(next(tables))
    with ParquetWriter(path, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(pa.Table.from_batches(_as_arrow(table).to_batches(), first.schema))


def _as_arrow(table: pd.DataFrame) -> Any:
    """Return a table whose words are numbered widely enough for any count of videos."""
    import pyarrow as pa

    made = pa.Table.from_pandas(table, preserve_index=False)
    for place, column in enumerate(made.schema):
        if pa.types.is_dictionary(column.type):
            wide = pa.dictionary(pa.int32(), pa.string())
            made = made.set_column(place, column.name, made.column(place).cast(wide))
    return made.replace_schema_metadata(None)


def joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return tables of several videos as one; columns of few words stay as compact as they were."""
    import pandas as pd
    from pandas.api.types import union_categoricals

    words = [name for name in tables[0] if isinstance(tables[0][name].dtype, pd.CategoricalDtype)]
    whole = pd.concat([table.drop(columns=words) for table in tables], ignore_index=True)
    for place, name in enumerate(words):
        whole.insert(place, name, union_categoricals([table[name] for table in tables]))
    return whole[list(tables[0])]


def videos_of(source: Path) -> list[Path]:
    """Return the videos at a path: a file, a folder of pictures, or all videos of a folder.

    Raises
    ------
    DataError
        If there is none.
    """
    from neuroloom.io.stills import PICTURES
    from neuroloom.io.video import is_video
    from neuroloom.io.videos import videos_inside

    source = Path(source)
    check_there(source)
    if is_video(source) or (source.is_file() and source.suffix.lower() in PICTURES):
        return [source]
    inside = videos_inside(source) if source.is_dir() else []
    if not inside:
        raise DataError(
            f"{source}: is no video, picture or folder of them; known are .mp4, .avi, .mov, .png …"
        )
    return inside


@dataclass
class Job:
    """A model at work on videos.

    Attributes
    ----------
    ensemble, folder
        The model; where results go, None for nowhere.
    key
        What results depend on beside the video: the digest of the model, and what is kept.
    findings
        What is to be known of the videos done so far.
    telling
        By the name of a video, what is called with (frames done, all frames).
    """

    ensemble: Ensemble
    folder: Path | None
    key: str = ""
    findings: list[Finding] = field(default_factory=list)
    done: list[dict[str, Any]] = field(default_factory=list)
    telling: Callable[[str], Callable[[int, int], object]] | None = None

    def of(self, file: Path, name: str) -> Iterator[pd.DataFrame]:
        """Yield rows of a video, a stretch at a time; then write its tracks and labelled video.

        Parameters
        ----------
        name
            What the video's results are called: no other one's are.

        Yields
        ------
        A row a frame, individual and keypoint.
        """
        import tempfile

        from neuroloom.io.video import Video, frames_at_once
        from neuroloom.learn.scan import parts_of, scan

        places, kinds, damaged = [], [], []
        depth = self.ensemble.facts["axes"].get("depth")
        with (
            Video(file, patch=True, depth=depth) as video,
            tempfile.TemporaryDirectory() as none,
        ):
            place = Path(none) if self.folder is None else self.folder / "scans" / name
            place.mkdir(parents=True, exist_ok=True)
            block = frames_at_once(video.shape, BLOCK)
            told = None if self.telling is None else self.telling(name)
            scan(video, found_by(self.ensemble), place, block=block, key=self.key, told=told)
            for first, held in parts_of(place):
                found = np.where(held["damaged"][:, None, None, None], np.nan, held["found"])
                table = table_of(self.ensemble, video, name, found, held["apart"], first)
                damaged.append(first + np.flatnonzero(held["damaged"]))
                if self.folder is not None:
                    places.append(table[["x", "y", "confidence"]].to_numpy(float))
                    kinds.append(classes_in(self.ensemble, found))
                yield table
            if self.folder is not None:
                self._write(video, name, np.concatenate(places), np.concatenate(kinds))
            self._note(video, f"{name}{file.suffix}", np.concatenate(damaged), places)

    def _write(self, video: Video, name: str, places: np.ndarray, kinds: np.ndarray) -> None:
        """Write the tracks and the labelled video; if that fails the rows are kept all the same.

        A full disk ends the prediction, which goes on from its scans: the rows need room, too.
        """
        assert self.folder is not None
        try:
            made = tracks_of(self.ensemble, video, places, kinds)
            write_results(self.ensemble, video, made, self.folder / name)
        except Exception as error:  # whatever a library of some format or codec raises
            if is_disk_full(error):
                raise
            why = error if isinstance(error, DataError) else in_words(error)
            told = f"{name}{video.path.suffix}: has rows in the table, its tracks failed: {why}"
            self.findings.append(Finding("objection", "Tracks", told))

    def _note(self, video: Video, name: str, damaged: np.ndarray, places: list[np.ndarray]) -> None:
        notes = [*video.notes, *lost(damaged)]
        self.findings += [Finding("warning", "Video", f"{name}: {note}") for note in notes]
        rows = sum(len(part) for part in places)
        found = sum(int(np.isfinite(part[:, 0]).sum()) for part in places)
        self.done.append({"video": name, "frames": len(video), "rows": rows, "found": found})

    def videos(self) -> pd.DataFrame:
        """Return a row a video: its name, frames, rows of its table, and points found."""
        import pandas as pd

        return pd.DataFrame(self.done)


def lost(frames: np.ndarray) -> list[str]:
    """Say that some frames of a video, by number, cannot be decoded."""
    if not len(frames):
        return []
    return [
        f"{len(frames)} frames cannot be decoded, the first is {frames[0]}: nothing was looked for "
        "there."
    ]


def found_by(ensemble: Ensemble) -> Any:
    """Return the function from frames (n, y, x, channel) to what all members find in them."""
    members = [one for group in ensemble.members.values() for one in group]

    def function(frames: np.ndarray) -> dict[str, np.ndarray]:
        pictures = [plain(frame) for frame in frames]
        found, apart = together([_found(member, pictures) for member in members])
        return {"found": found, "apart": apart}

    return function


def _found(member: Any, pictures: list[np.ndarray]) -> np.ndarray:
    if hasattr(member, "find_in"):
        found: np.ndarray = member.find_in(pictures)
        return found
    return np.asarray(member.predict_scores(pictures))


def table_of(
    ensemble: Ensemble,
    video: Video,
    name: str,
    found: np.ndarray,
    apart: np.ndarray,
    first: int = 0,
) -> pd.DataFrame:
    """Return a row a frame, from `first` on, individual and keypoint, with calibrated errors.

    Parameters
    ----------
    found, apart
        As `together` gives them, of the frames from `first` on.
    """
    import pandas as pd

    axes = ensemble.facts["axes"]
    n, animals, points, width = found.shape
    frame = np.repeat(np.arange(first, first + n), animals * points)
    flat = found.reshape(-1, width)
    who, what = np.divmod(np.arange(animals * points), points)
    one = (np.zeros(len(frame), np.int8), [f"{name}{video.path.suffix}"])
    table = pd.DataFrame(
        {
            "video": pd.Categorical.from_codes(*one),
            "frame": frame,
            "time_s": np.asarray(video.times)[frame],
            "individual": pd.Categorical.from_codes(np.tile(who, n), axes["individuals"][:animals]),
            "keypoint": pd.Categorical.from_codes(np.tile(what, n), axes["keypoints"]),
            "x": flat[:, 0], "y": flat[:, 1], "near": flat[:, 2], "raw_px": flat[:, 3],
            "apart_px": apart.ravel(),
        }
    )  # fmt: skip
    if classes := axes.get("kinds"):
        number = {own: k for k, own in enumerate(classes)}
        codes = [number.get(own, -1) for own in classes_in(ensemble, found).ravel()]
        table["class"] = pd.Categorical.from_codes(np.repeat(codes, points), classes)
    done = calibrated(table, ensemble.facts.get("calibration"))
    return done.drop(columns=["near", "raw_px", "apart_px"])


def classes_in(ensemble: Ensemble, found: np.ndarray) -> np.ndarray:
    """Return the class of each animal (frame, individual), "" where none was learnt or told."""
    return taken_for(found, ensemble.facts["axes"].get("kinds") or [])


def tracks_of(
    ensemble: Ensemble, video: Video, places: np.ndarray, kinds: np.ndarray
) -> xr.DataArray:
    """Return a `tracks` recording of a whole video, with COCO's categories where there are some.

    Parameters
    ----------
    places
        Shape (row, 3): x, y and confidence of the rows of its table.
    kinds
        Shape (frame, individual): class of each animal, which becomes the coordinate `class`.
    """
    from neuroloom.core.recording import tracks

    axes = ensemble.facts["axes"]
    names, animals = axes["keypoints"], axes["individuals"]
    grid = places.reshape(len(video), -1, len(names), 3).transpose(0, 3, 2, 1)
    made = tracks(
        grid[:, :2], names, animals[: grid.shape[3]], video.rate, confidence=grid[:, 2],
        unit="px", source=video.path.name, times=video.times,
    )  # fmt: skip
    edges = [[int(start), int(end)] for start, end in axes.get("edges", [])]
    made.attrs |= {"video": str(video.path.resolve()), "edges": edges}
    made.attrs |= {"categories": axes.get("categories", [])}
    return made.assign_coords({"class": (("time", "individuals"), kinds.astype(str))})


def write_results(ensemble: Ensemble, video: Video, tracks: xr.DataArray, stem: Path) -> list[Path]:
    """Write tracks in the project's own format, and a labelled video, as `stem` and an ending."""
    from neuroloom.io.tracks import ending_of, write_own, write_tracks
    from neuroloom.learn.overlay import labelled_video

    source = str(ensemble.facts["axes"].get("source", "dlc"))
    written = [stem.with_name(f"{stem.name}{ending_of(source)}")]
    write_tracks(tracks, written[0])
    written += write_own(tracks, stem, source)
    if len(video) > 1:
        path = stem.with_name(f"{stem.name}_labelled.mp4")
        edges = [(start, end) for start, end in tracks.attrs["edges"]]
        written.append(labelled_video(video, tracks, path, edges, sure=SURE))
    return written
