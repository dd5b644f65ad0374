"""Results as programs keep them that have labels but no file of tracks of their own.

COCO: one file with `images`, `categories` and `annotations`, each a result (image_id, category_id,
keypoints, score) with the animal's `track_id`; where the project has categories, with the points of
its class's, else of the one that has most of what was found. DeepPoseKit: the array (frame,
keypoint, 3) of x, y and confidence that its `model.predict` returns. Label3D: `data_2d` of one
camera, whose first pixel is 1 as MATLAB counts. Tracks are written beside them as for any program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.files import write_atomic, write_json_lists

if TYPE_CHECKING:
    import xarray as xr


def write_own(recording: xr.DataArray, stem: Path, source: str) -> list[Path]:
    """Write tracks in the plane as the program of a project of labels has results.

    Parameters
    ----------
    recording
        A `tracks` recording in px; its attribute `categories` and coordinate `class` (time,
        individuals), which it need not have, are those of a project of COCO.
    stem
        The files, without ending.
    source
        Name of the format of the labels.

    Returns
    -------
    list of Path
        None where the program has files of tracks, or the format cannot hold them (several animals
        in one of DeepPoseKit or Label3D).

    Examples
    --------
    >>> import tempfile
    >>> from neuroloom.core.recording import tracks
    >>> made = tracks(np.zeros((3, 2, 1, 1)), ["nose"], ["individual_0"], 30.0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [file.name for file in write_own(made, Path(folder) / "clip", "coco")]
    ['clip.json']
    """
    write = _OWN.get(source)
    if write is None or (source != "coco" and recording.sizes["individuals"] > 1):
        return []
    points = recording.transpose("time", "individuals", "keypoints", "space").values
    sure = recording.confidence.transpose("time", "individuals", "keypoints").values
    return [write(recording, points, sure, stem)]


def _write_coco(recording: xr.DataArray, points: np.ndarray, sure: np.ndarray, stem: Path) -> Path:
    images = (
        {"id": number, "frame_id": number, "file_name": f"{stem.name}/img{number:08d}.png"}
        for number in map(int, recording.frame.values)
    )
    categories = _categories(recording)
    held = {
        "images": images,
        "annotations": _annotations(recording, points, sure, categories),
        "categories": categories,
    }
    return write_json_lists(stem.with_name(f"{stem.name}.json"), held)


def _annotations(
    recording: xr.DataArray, points: np.ndarray, sure: np.ndarray, categories: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yield one a frame and animal that is seen: a long video has millions."""
    frames, names = recording.frame.values, list(map(str, recording.keypoints.values))
    kinds = recording.coords["class"].values if "class" in recording.coords else None
    seen = np.isfinite(points).all(-1)
    for number, (row, who) in enumerate(np.argwhere(seen.any(-1)), 1):
        there = [name for name, known in zip(names, seen[row, who], strict=True) if known]
        category = _category_of(there, "" if kinds is None else str(kinds[row, who]), categories)
        about = {"id": number, "image_id": int(frames[row]), "track_id": int(who)}
        # The last place, -1, is that of points that nobody looked for.
        own = [names.index(name) if name in names else -1 for name in category["keypoints"]]
        found, trust = np.vstack([points[row, who], [[np.nan] * 2]]), np.append(sure[row, who], 0)
        yield about | {"category_id": category["id"]} | _result(found[own], trust[own])


def _categories(recording: xr.DataArray) -> list[dict[str, Any]]:
    """Return the project's categories if animals fit into them, else one of all points."""
    names = list(map(str, recording.keypoints.values))
    kept = [one for one in recording.attrs.get("categories", ()) if one.get("keypoints")]
    told = "class" in recording.coords and (recording.coords["class"] != "").any()
    held = [{point for one in kept for point in one["keypoints"]}] if told else []
    if any(set(names) <= known for known in [*held, *(set(one["keypoints"]) for one in kept)]):
        return kept
    edges = [[int(a) + 1, int(b) + 1] for a, b in recording.attrs.get("edges", ())]
    return [{"id": 1, "name": "animal", "keypoints": names, "skeleton": edges}]


def _category_of(there: list[str], kind: str, categories: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the category of an animal's class, else the one that has most of its points."""
    shown = [one for one in categories if set(there) & set(one["keypoints"])]
    named = [one for one in shown if str(one.get("name", one["id"])) == kind]
    return max(named or shown, key=lambda one: len(set(there) & set(one["keypoints"])))


def _result(points: np.ndarray, sure: np.ndarray) -> dict[str, Any]:
    """Return what was found of one animal: points (keypoint, 2) and confidence (keypoint,)."""
    seen = np.isfinite(points).all(-1)
    flat = np.where(seen[:, None], np.column_stack([points, np.full(len(points), 2)]), 0.0)
    trust = np.where(seen, np.nan_to_num(sure), 0.0)
    low, high = points[seen].min(0), points[seen].max(0)
    return {
        "keypoints": flat.ravel().tolist(),
        "keypoint_scores": trust.tolist(),
        "num_keypoints": int(seen.sum()),
        "score": float(trust[seen].mean()),
        "bbox": [*map(float, low), *map(float, high - low)],
        "area": float((high - low).prod()),
        "iscrowd": 0,
    }


def _write_deepposekit(
    recording: xr.DataArray, points: np.ndarray, sure: np.ndarray, stem: Path
) -> Path:
    array = np.concatenate([points[:, 0], sure[:, 0, :, None]], -1)

    def save(file: Path) -> None:
        with file.open("wb") as handle:
            np.save(handle, array, allow_pickle=False)

    return write_atomic(stem.with_name(f"{stem.name}.npy"), save)


def _write_label3d(
    recording: xr.DataArray, points: np.ndarray, sure: np.ndarray, stem: Path
) -> Path:
    from scipy.io import savemat

    frames = np.asarray(recording.frame.values)[None]
    edges = np.asarray(recording.attrs.get("edges", ()), float).reshape(-1, 2) + 1
    cells, camera = np.empty((1, 1), object), np.array([[stem.name]], object)
    cells[0, 0] = {
        "data_2d": points[:, 0].reshape(len(points), -1) + 1.0,
        "data_frame": frames,
        "data_sampleID": frames,
    }
    names = np.array(list(map(str, recording.keypoints.values)), object)[:, None]
    skeleton = {"joint_names": names, "joints_idx": edges}
    held = {"labelData": cells, "camnames": camera, "skeleton": skeleton, "p": sure[:, 0]}

    def save(file: Path) -> None:
        savemat(str(file), held, do_compression=True, appendmat=False)

    return write_atomic(stem.with_name(f"{stem.name}.mat"), save)


_OWN: dict[str, Callable[[xr.DataArray, np.ndarray, np.ndarray, Path], Path]] = {
    "coco": _write_coco, "deepposekit": _write_deepposekit, "label3d": _write_label3d,
}  # fmt: skip
