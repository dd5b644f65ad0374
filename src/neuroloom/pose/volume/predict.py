"""Points in space of new films: streamed, gone on with after an interruption, written as tracks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import digest, names_apart, write_atomic, write_json
from neuroloom.io.video import is_video
from neuroloom.learn.scan import folder_to_go_on, read_scan, scan
from neuroloom.learn.training.epochs import device_name
from neuroloom.pose.rig.cameras import Rig
from neuroloom.pose.rig.files import NAMES, read_rig
from neuroloom.pose.volume.films import Films, find_film
from neuroloom.pose.volume.judge import expect
from neuroloom.pose.volume.kept import Kept, find, load
from neuroloom.pose.volume.project import sized
from neuroloom.pose.volume.views import Views

if TYPE_CHECKING:
    import xarray as xr

    from neuroloom.core.run import Run

BLOCK = 8  # moments that are decoded and looked at together


def predict(run: Run, inputs: list[Path], out: Path | str | None = None) -> pd.DataFrame:
    """Find points in space in every moment of new films.

    Parameters
    ----------
    run
        A finished run.
    inputs
        Folders with a film a camera; with a calibration of their own, or the cameras are the run's.
    out
        Where results go: predictions.parquet, and for each folder tracks.nc (movement's netCDF) and
        save_data_AVG.mat (DANNCE's). One that was interrupted is gone on with. None writes nothing.

    Returns
    -------
    DataFrame
        A row a moment and keypoint: x, y, z and expected_error in the rig's unit, confidence. Where
        the animal is not found, or a frame cannot be decoded, the places are NaN and the confidence
        0.

    Raises
    ------
    ConfigError, DataError
        If nothing is named, a film is missing, or the films do not belong to the cameras.
    """
    if not inputs:
        raise ConfigError("predict needs a folder with a film of each camera.")
    kept, key = load(run.folder).to(device_name()), digest(run.folder / "model.safetensors")[:16]
    folders = [_folder_of(source) for source in inputs]
    films = [films_of(source, kept) for source in inputs]
    given = dict(zip(names_apart(folders), films, strict=True))
    folder = None if out is None else folder_to_go_on(Path(out))
    tables = [
        look_through(kept, *one, folder, name, key, run.telling(name))
        for name, one in given.items()
    ]
    table = pd.concat(tables, ignore_index=True)
    if folder is not None:
        write_atomic(folder / "predictions.parquet", partial(table.to_parquet, index=False))
        notes = [note for films, _ in given.values() for note in films.notes]
        facts = {"run": run.folder.name, "films": len(tables), "rows": len(table), "notes": notes}
        write_json(folder / "status.json", {"state": "done", "recipe": "predict", **facts})
    return table


def _folder_of(source: Path) -> Path:
    """Return the folder of films; a calibration file stands for its own."""
    if not source.exists():
        raise DataError(f"{source}: there is no such folder.")
    if is_video(source):
        raise DataError(f"{source}: is one film; name the folder with a film of each camera.")
    return source if source.is_dir() else source.parent


def films_of(source: Path, kept: Kept) -> tuple[Films, Rig]:
    """Return the films of a folder, and their cameras in the films' full size.

    Raises
    ------
    DataError
        If a camera's film is missing, or is not of the size that its calibration is of; if that
        states another unit than the run's.
    """
    folder = _folder_of(source)
    own = source.is_file() or any(list(folder.glob(name)) for name in NAMES)
    rig = read_rig(source, kept.rig.unit) if own else kept.rig
    films = Films([find_film(folder, name) for name in rig.names], kept.shrink)
    return films, sized(rig, films, kept.shrink)


def look_through(
    kept: Kept, films: Films, rig: Rig, folder: Path | None, name: str, key: str,
    told: Callable[[int, int], object] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return the rows of one folder's films; with `folder`, write its tracks there.

    `told` is called with (moments done, all moments).
    """
    import tempfile

    small = rig.scaled(1 / kept.shrink)
    cameras = json.dumps([[c.K.tolist(), c.pose.tolist(), c.distortion.tolist()] for c in rig])
    key += hashlib.sha256(cameras.encode()).hexdigest()[:16]
    with tempfile.TemporaryDirectory() as none:
        place = Path(none) if folder is None else folder / "scans" / name
        place.mkdir(parents=True, exist_ok=True)
        found = read_scan(scan(films, partial(_found, kept, small), place, block=BLOCK,
                               keep=64 * BLOCK, key=key, told=told))  # fmt: skip
    films.damaged |= found["damaged"]  # a scan that goes on has not seen all of them itself
    for part in ("places", "spread", "centres"):
        found[part][films.damaged] = np.nan
    found["sure"][films.damaged] = 0
    there, sure = expect(kept.calibration, found["spread"])
    sure = sure * (found["sure"] > 0)[:, None]
    if folder is not None:
        write_results(kept, films, rig, found, sure, folder / name)
    return _table(kept, films, name, found["places"], there, sure)


def _found(kept: Kept, rig: Rig, images: np.ndarray) -> dict[str, np.ndarray]:
    unknown = np.full((len(images), len(kept.mean), 3), np.nan)
    found = find(kept, Views(rig, images, unknown))
    return {name: getattr(found, name) for name in ("places", "spread", "centres", "sure")}


def _table(
    kept: Kept, films: Films, name: str, places: np.ndarray, there: np.ndarray, sure: np.ndarray
) -> pd.DataFrame:
    moment, keypoint = (a.ravel() for a in np.indices(sure.shape))
    columns: dict[str, Any] = {
        "films": name,
        "frame": moment,
        "time_s": films.times[moment],
        "keypoint": np.array(kept.extra["keypoints"], object)[keypoint],
    }
    columns |= {letter: places[..., axis].ravel() for axis, letter in enumerate("xyz")}
    columns |= {"expected_error": there.ravel(), "confidence": sure.ravel()}
    return pd.DataFrame(columns)


def write_results(
    kept: Kept, films: Films, rig: Rig, found: dict[str, np.ndarray], sure: np.ndarray, folder: Path
) -> None:
    """Write tracks.nc, and save_data_AVG.mat with DANNCE's names."""
    from scipy.io import savemat

    from neuroloom.io.tracks import write_tracks

    folder.mkdir(parents=True, exist_ok=True)
    write_tracks(tracks_of(kept, films, rig, found["places"], sure), folder / "tracks.nc")
    pred = found["places"].transpose(0, 2, 1)
    held = {
        "pred": pred, "data": np.full_like(pred, np.nan), "p_max": sure,
        "sampleID": np.arange(len(pred))[None], "com": found["centres"],
        "metadata": {"written_by": "neuroloom", "unit": rig.unit, "com_confidence": found["sure"]},
    }  # fmt: skip
    write_atomic(
        folder / "save_data_AVG.mat",
        lambda path: savemat(str(path), held, do_compression=True, appendmat=False),
    )


def tracks_of(
    kept: Kept, films: Films, rig: Rig, places: np.ndarray, sure: np.ndarray
) -> xr.DataArray:
    """Return points as a `tracks` recording."""
    from neuroloom.core.recording import tracks

    return tracks(
        places.transpose(0, 2, 1)[..., None], kept.extra["keypoints"], rate=films.rate,
        confidence=sure[..., None], unit=rig.unit,
        source=films.path.name,
    )  # fmt: skip
