"""Keypoints in videos and pictures that nobody labelled: streamed, resumable, in any format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import digest, write_atomic, write_json
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
    import pandas as pd

    from neuroloom.learn.scan import folder_to_go_on

    if not inputs:
        raise ConfigError("predict needs a video, a folder of pictures, or a picture.")
    folder = None if out is None else folder_to_go_on(Path(out))
    ensemble = study.load_model(run)
    key = digest(run.folder / "model.safetensors")[:16]
    videos = [video for source in inputs for video in videos_of(source)]
    tables = [predict_video(ensemble, video, folder, key) for video in videos]
    table = pd.concat(tables, ignore_index=True)
    if folder is not None:
        write_atomic(folder / "predictions.parquet", lambda p: table.to_parquet(p, index=False))
        facts = {"run": run.folder.name, "videos": len(tables), "rows": len(table)}
        write_json(folder / "status.json", {"state": "done", "recipe": "predict", **facts})
    return table


def videos_of(source: Path) -> list[Video]:
    """Return the videos at a path: a file, a folder of pictures, or all videos of a folder.

    Raises
    ------
    DataError
        If there is none.
    """
    from neuroloom.io.video import PICTURES, Video, is_video

    source = Path(source)
    if not source.exists():
        raise DataError(f"{source}: there is no such file or folder.")
    if is_video(source) or (source.is_file() and source.suffix.lower() in PICTURES):
        return [Video(source)]
    inside = sorted(path for path in source.rglob("*") if is_video(path)) if source.is_dir() else []
    if not inside:
        raise DataError(
            f"{source}: is no video, picture or folder of them; known are .mp4, .avi, .mov, .png …"
        )
    return [Video(path) for path in inside]


def predict_video(
    ensemble: Ensemble, video: Video, folder: Path | None, key: str = ""
) -> pd.DataFrame:
    """Find keypoints in every frame of a video; with a folder, write tracks and a labelled video.

    Parameters
    ----------
    key
        What the results depend on beside the video: the digest of the model.
    """
    import tempfile

    from neuroloom.learn.scan import read_scan, scan

    finder = found_by(ensemble)
    with tempfile.TemporaryDirectory() as none:
        place = Path(none) if folder is None else folder / "scans" / video.path.name
        place.mkdir(parents=True, exist_ok=True)
        found = read_scan(scan(video, finder, place, block=BLOCK, key=key))["found"]
    table = table_of(ensemble, video, found)
    if folder is not None:
        tracks = tracks_of(ensemble, video, table)
        write_results(ensemble, video, tracks, folder)
    return table


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


def table_of(ensemble: Ensemble, video: Video, found: np.ndarray) -> pd.DataFrame:
    """Return a row a frame, individual and keypoint, with calibrated expectations."""
    import pandas as pd

    axes = ensemble.facts["axes"]
    n, animals, points, _ = found.shape
    frame = np.repeat(np.arange(n), animals * points)
    flat = found.reshape(-1, 4)
    table = pd.DataFrame(
        {
            "video": video.path.name,
            "frame": frame,
            "time_s": np.asarray(video.times)[frame],
            "individual": np.tile(np.repeat(axes["individuals"][:animals], points), n),
            "keypoint": np.tile(axes["keypoints"], n * animals),
            "x": flat[:, 0], "y": flat[:, 1], "near": flat[:, 2], "raw_px": flat[:, 3],
        }
    )  # fmt: skip
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
    return tracks(
        xy.transpose(0, 1, 3, 2), names, animals[: xy.shape[2]], video.rate,
        confidence=sure.transpose(0, 2, 1), unit="px", source=video.path.name,
    )  # fmt: skip


def write_results(
    ensemble: Ensemble, video: Video, tracks: xr.DataArray, folder: Path
) -> list[Path]:
    """Write tracks in the project's own format and as a table, and a labelled video."""
    from neuroloom.io.tracks import ending_of, write_tracks
    from neuroloom.learn.overlay import labelled_video

    axes = ensemble.facts["axes"]
    name = video.path.stem
    written = [folder / f"{name}{ending_of(str(axes.get('source', 'dlc')))}"]
    write_tracks(tracks, written[0])
    if len(video) > 1:
        edges = [(int(a), int(b)) for a, b in axes.get("edges", [])]
        path = folder / f"{name}_labelled.mp4"
        written.append(labelled_video(video, tracks, path, edges, sure=SURE))
    return written
