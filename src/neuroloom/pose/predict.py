"""Keypoints in videos and pictures that nobody labelled: streamed, resumable, in any format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.audit import Finding, keep_findings
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import digest, names_apart, write_atomic, write_json
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
SURE = 0.3  # confidence below which a point is not drawn


def predict(
    study: Estimate, run: Run, inputs: list[Path], out: Path | str | None = None
) -> pd.DataFrame:
    """See `Estimate.predict`."""
    from neuroloom.io.video import Video, pictures_beside
    from neuroloom.learn.scan import folder_to_go_on

    if not inputs:
        raise ConfigError("predict needs a video, a folder of pictures, or a picture.")
    folder = None if out is None else folder_to_go_on(Path(out))
    ensemble = study.load_model(run)
    key = digest(run.folder / "model.safetensors")[:16]
    found = [(Path(source), videos_of(source)) for source in inputs]
    files = list(dict.fromkeys(file for _, own in found for file in own))
    for file in files:  # before hours are spent on the first
        Video(file, patch=True).close()
    tables, findings = [], [note for one in found for note in pictures_beside(*one)]
    for name, file in zip(names_apart(files), files, strict=True):
        with Video(file, patch=True) as video:
            table, told = predict_video(ensemble, video, name, folder, key)
            tables.append(table)
            whose = f"{name}{file.suffix}"
            findings += [Finding("warning", "Video", f"{whose}: {note}") for note in told]
    whole = joined(tables)
    if folder is not None:
        write_atomic(folder / "predictions.parquet", lambda p: whole.to_parquet(p, index=False))
        keep_findings(findings, folder)
        facts = {"run": run.folder.name, "videos": len(files), "rows": len(whole)}
        write_json(folder / "status.json", {"state": "done", "recipe": "predict", **facts})
    return whole


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
    from neuroloom.io.video import PICTURES, is_video
    from neuroloom.io.videos import videos_inside

    source = Path(source)
    if not source.exists():
        raise DataError(f"{source}: there is no such file or folder.")
    if is_video(source) or (source.is_file() and source.suffix.lower() in PICTURES):
        return [source]
    inside = videos_inside(source) if source.is_dir() else []
    if not inside:
        raise DataError(
            f"{source}: is no video, picture or folder of them; known are .mp4, .avi, .mov, .png …"
        )
    return inside


def predict_video(
    ensemble: Ensemble, video: Video, name: str, folder: Path | None, key: str = ""
) -> tuple[pd.DataFrame, list[str]]:
    """Find keypoints in every frame of a video; with a folder, write tracks and a labelled video.

    Parameters
    ----------
    name
        What the video's results are called: no other one's are.
    key
        What the results depend on beside the video: the digest of the model.

    Returns
    -------
    A row a frame, individual and keypoint; and what is to be known of the video, a sentence each.
    """
    import tempfile

    from neuroloom.learn.scan import read_scan, scan

    finder = found_by(ensemble)
    with tempfile.TemporaryDirectory() as none:
        place = Path(none) if folder is None else folder / "scans" / name
        place.mkdir(parents=True, exist_ok=True)
        held = read_scan(scan(video, finder, place, block=BLOCK, key=key))
        found = np.where(held["damaged"][:, None, None, None], np.nan, held["found"])
    table = table_of(ensemble, video, name, found)
    if folder is not None:
        write_results(ensemble, video, tracks_of(ensemble, video, table), folder / name)
    return table, [*video.notes, *lost(np.flatnonzero(held["damaged"]))]


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
        return {"found": together([_found(member, pictures) for member in members])}

    return function


def _found(member: Any, pictures: list[np.ndarray]) -> np.ndarray:
    if hasattr(member, "find_in"):
        found: np.ndarray = member.find_in(pictures)
        return found
    return np.asarray(member.predict_scores(pictures))


def table_of(ensemble: Ensemble, video: Video, name: str, found: np.ndarray) -> pd.DataFrame:
    """Return a row a frame, individual and keypoint, with calibrated expectations."""
    import pandas as pd

    axes = ensemble.facts["axes"]
    n, animals, points, width = found.shape
    frame = np.repeat(np.arange(n), animals * points)
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
        }
    )  # fmt: skip
    if classes := axes.get("classes"):
        number = {own: k for k, own in enumerate(classes)}
        codes = [number.get(own, -1) for own in taken_for(found, classes).ravel()]
        table["class"] = pd.Categorical.from_codes(np.repeat(codes, points), classes)
    done = calibrated(table, ensemble.facts.get("calibration"))
    return done.drop(columns=["near", "raw_px"])


def tracks_of(ensemble: Ensemble, video: Video, table: pd.DataFrame) -> xr.DataArray:
    """Return the table as a `tracks` recording."""
    from neuroloom.core.recording import tracks

    axes = ensemble.facts["axes"]
    names, animals = axes["keypoints"], axes["individuals"]
    shape = (len(video), -1, len(names))
    xy = np.stack([table[c].to_numpy(float).reshape(shape) for c in ("x", "y")], 1)
    sure = table["confidence"].to_numpy(float).reshape(shape)
    made = tracks(
        xy.transpose(0, 1, 3, 2), names, animals[: xy.shape[2]], video.rate,
        confidence=sure.transpose(0, 2, 1), unit="px", source=video.path.name, times=video.times,
    )  # fmt: skip
    edges = [[int(start), int(end)] for start, end in axes.get("edges", [])]
    made.attrs |= {"video": str(video.path), "edges": edges}
    return made


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
