"""The report of `pose.triangulate`: tracks in space, and the error of every camera and keypoint."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neuroloom import __version__
from neuroloom.core.artifact import Shelf
from neuroloom.core.files import write_atomic, write_json
from neuroloom.core.report import Facts, write_facts, write_report
from neuroloom.learn.figures import canvas, colour, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuroloom.core.run import Run
    from neuroloom.pose.rig.lift import Lifted, Seen
    from neuroloom.pose.triangulate import Prepared, Triangulate

BLOCKS = 20
RESAMPLES = 500
_CITED = [
    "Hartley R, Zisserman A (2004). Multiple View Geometry in Computer Vision, 2nd ed.",
    "Biderman D et al. (2024). Nat Methods 21, 1316-1328 (ensemble Kalman smoother).",
    "Karashchuk P et al. (2021). Cell Rep 36, 109730 (anipose).",
]


def report_places(
    recipe: Triangulate,
    run: Run,
    prepared: Prepared,
    lifted: Lifted,
    told: tuple[np.ndarray, np.ndarray],
) -> None:
    """Write tracks, tables, metrics, figures and the page."""
    from neuroloom.pose.rig.lift import agreement

    seen = prepared.seen
    shelf = Shelf(run.folder / "artifacts")
    rows = _rows(recipe, seen, lifted, told[1])
    write_atomic(run.folder / "predictions.parquet", partial(rows.to_parquet, index=False))
    own = seen.combined(recipe.least)[0]
    together = agreement(told[0], own) if len(seen.rig) > 2 else np.full(len(seen.rig), np.nan)
    metrics = _summarise(rows, seen, recipe.seed)
    write_json(run.folder / "metrics.json", metrics)
    tidy = pd.DataFrame(
        [{"fold": "all", "seed": "all", "metric": name} | row for name, row in metrics.items()]
    )
    write_atomic(run.folder / "metrics.parquet", partial(tidy.to_parquet, index=False))
    run.log("scored", examples=len(seen.frames))
    _write_tracks(seen, lifted, shelf)
    shelf.add_table(
        "cameras", _cameras(rows, seen, together), title="Each camera",
        caption="left_out_px and correlation: the camera as told by the others.",
    )  # fmt: skip
    shelf.add_table("keypoints", _keypoints(rows), title="Reprojection error by keypoint, px")
    shelf.add_figure(
        "errors", errors(rows), title="Distance of seen from projected points",
        caption="Median and 95th percentile, by camera and keypoint.",
    )  # fmt: skip
    write_facts(run.folder, Facts(**_facts(recipe, prepared, lifted)))
    run.log("reported", report=write_report(run.folder).name)


def _rows(recipe: Triangulate, seen: Seen, lifted: Lifted, left_out: np.ndarray) -> pd.DataFrame:
    """Return a row a frame, point and camera."""
    from neuroloom.pose.rig.triangulate import reprojection_error

    own, _ = seen.combined(recipe.least)
    error = reprojection_error(seen.rig, lifted.places, own)
    camera, frame, point = (a.ravel() for a in np.indices(error.shape))
    individual, keypoint = zip(*seen.points, strict=True)
    table = {
        "frame": seen.frames[frame],
        "camera": _named(camera, seen.rig.names),
        "individual": _named(point, individual),
        "keypoint": _named(point, keypoint),
        "x": lifted.places[frame, point, 0],
        "y": lifted.places[frame, point, 1],
        "z": lifted.places[frame, point, 2],
        "used": lifted.used.ravel(),
        "error_px": error.ravel(),
        "left_out_px": left_out.ravel(),
    }
    if seen.truth is not None:
        off = np.linalg.norm(lifted.places - seen.truth, axis=-1)
        table["error_mm"] = off[frame, point]
    return pd.DataFrame(table)


def _named(numbers: np.ndarray, names: Sequence[str]) -> pd.Categorical:
    """Return the names that numbers stand for; each is kept once, as rows may be millions."""
    once = list(dict.fromkeys(names))
    codes = np.array([once.index(name) for name in names])
    return pd.Categorical.from_codes(codes[numbers], once)


def _summarise(rows: pd.DataFrame, seen: Seen, seed: int) -> dict[str, dict[str, float | None]]:
    """Return medians with intervals: a bootstrap over blocks of neighbouring moments."""
    order = pd.factorize(rows["frame"], sort=True)[0]
    block = order * min(BLOCKS, order.max() + 1) // (order.max() + 1)
    columns = {"reprojection_px": ("error_px", 0.5), "reprojection_p95_px": ("error_px", 0.95)}
    if len(seen.rig) > 2:
        columns["left_out_px"] = ("left_out_px", 0.5)
        columns["left_out_p95_px"] = ("left_out_px", 0.95)
    if "error_mm" in rows:
        columns["error_mm"] = ("error_mm", 0.5)
    out = {}
    for name, (column, q) in columns.items():
        known = rows[column].notna().to_numpy()
        values, unit = rows.loc[known, column].to_numpy(float), block[known]
        entry: dict[str, float | None] = dict.fromkeys(
            ("value", "low", "high", "baseline", "chance")
        )
        if len(values):
            value = float(np.quantile(values, q))
            draws = _draws(values, unit, q, seed)
            low, high = np.quantile(draws, [0.025, 0.975])
            entry |= {"value": value, "low": min(float(low), value),
                      "high": max(float(high), value)}  # fmt: skip
        out[name] = entry
    return out


def _draws(values: np.ndarray, unit: np.ndarray, q: float, seed: int) -> list[float]:
    rng = np.random.default_rng(seed)
    parts = [values[unit == number] for number in np.unique(unit)]
    # Of many values an even share is enough for the interval of a quantile.
    most = max(1, 20_000 // len(parts))
    parts = [np.sort(part)[:: max(1, len(part) // most)] for part in parts]
    drawn = rng.integers(len(parts), size=(RESAMPLES, len(parts)))
    return [float(np.quantile(np.concatenate([parts[i] for i in row]), q)) for row in drawn]


def _cameras(rows: pd.DataFrame, seen: Seen, together: np.ndarray) -> pd.DataFrame:
    out = []
    for name, r in zip(seen.rig.names, together, strict=True):
        own = rows[rows["camera"] == name]
        out.append({
            "camera": name,
            "points": int(own["error_px"].notna().sum()),
            "used": float(own.loc[own["error_px"].notna(), "used"].mean()),
            "median_px": own["error_px"].median(),
            "p95_px": own["error_px"].quantile(0.95),
            "left_out_px": own["left_out_px"].median(),
            "left_out_p95_px": own["left_out_px"].quantile(0.95),
            "correlation": r,
        })  # fmt: skip
    return pd.DataFrame(out)


def _keypoints(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the median error of each keypoint in each camera, px."""
    table = rows.pivot_table(
        index="keypoint", columns="camera", values="error_px", aggfunc="median", observed=True
    )
    return table.set_axis([str(name) for name in table], axis=1).reset_index()


def _write_tracks(seen: Seen, lifted: Lifted, shelf: Shelf) -> None:
    """Write the places as a table, and as netCDF that `movement` opens."""
    from neuroloom.core.recording import tracks
    from neuroloom.io.tracks import write_tracks

    individuals = list(dict.fromkeys(name for name, _ in seen.points))
    keypoints = list(dict.fromkeys(name for _, name in seen.points))
    n = len(seen.frames)
    shape = (n, len(individuals), len(keypoints))
    places = lifted.places.reshape(*shape, 3).transpose(0, 3, 2, 1)
    seen_by = lifted.used.mean(0).reshape(shape).transpose(0, 2, 1)
    recording = tracks(
        places, keypoints, individuals, seen.rate, seen_by, seen.rig.unit, "points3d", seen.frames
    )
    shelf.folder.mkdir(parents=True, exist_ok=True)
    write_tracks(recording, shelf.folder / "points3d.nc", "movement")
    shelf.add_file(
        "points3d", "tracks", "points3d.nc", title="Points in space", section="data",
        caption="Confidence is the share of cameras that a point was made from.",
    )  # fmt: skip
    frame, point = (a.ravel() for a in np.indices(lifted.places.shape[:2]))
    individual, keypoint = zip(*seen.points, strict=True)
    table = pd.DataFrame({"frame": seen.frames[frame], "individual": _named(point, individual),
                          "keypoint": _named(point, keypoint)})  # fmt: skip
    for axis, letter in enumerate("xyz"):
        table[letter] = lifted.places[..., axis].ravel()
        table[f"{letter}_sd"] = lifted.deviation[..., axis].ravel()
    table["cameras"] = lifted.used.sum(0).ravel()
    table["bridged"] = lifted.bridged.ravel()
    shelf.add_table("places", table, title="Points in space, frame by frame", section="data")


@styled
def errors(rows: pd.DataFrame) -> Figure:
    """Draw the median and 95th percentile of the error of every keypoint, by camera."""
    names, cameras = list(rows["keypoint"].unique()), list(rows["camera"].unique())
    figure, axes = canvas(max(3.0, 0.22 * len(names) + 1.2))
    for number, camera in enumerate(cameras):
        own = rows[rows["camera"] == camera].groupby("keypoint", observed=True)["error_px"]
        middle, high = own.median().reindex(names), own.quantile(0.95).reindex(names)
        y = np.arange(len(names)) + (number - (len(cameras) - 1) / 2) * 0.7 / len(cameras)
        axes.plot(middle, y, "o", ms=4, color=colour(number), label=camera)
        axes.hlines(y, middle, high, color=colour(number), lw=1)
    axes.set(xlabel="Distance (px)", yticks=np.arange(len(names)), yticklabels=names)
    axes.set_xlim(left=0)
    axes.invert_yaxis()
    axes.legend(loc="best")
    return figure


def _facts(recipe: Triangulate, prepared: Prepared, lifted: Lifted) -> dict[str, Any]:
    seen, how = prepared.seen, recipe.how(prepared)
    lost = float((~np.isfinite(lifted.places[..., 0])).mean())
    there = np.isfinite(seen.combined(recipe.least)[0]).all(-1).sum()
    rows = {
        "Cameras": ", ".join(seen.rig.names),
        "Networks": str(seen.pixels.shape[1]),
        "Moments": f"{len(seen.frames):,}",
        "Points": ", ".join(dict.fromkeys(name for _, name in seen.points)),
        "Without a place": f"{lost:.1%}",
        "Bridged in short gaps": f"{lifted.bridged.mean():.1%}",
        "Pixels left out": f"{1 - lifted.used.sum() / max(there, 1):.1%}",
    }  # fmt: skip
    smoothed = (
        f"Tracks were smoothed (random walk, ratio {how['smooth']:g}"
        f"{'' if recipe.smooth is not None else ', chosen by how well what was not used is told'}) "
        "by a Kalman smoother over all cameras, with Student's t against gross errors. Where two "
        f"cameras do not see a point for up to {recipe.fill} frames its path is bridged; over "
        "longer gaps, and before and after it is seen, it has no place."
        if how["smooth"] else "Each moment was lifted by itself."
    )  # fmt: skip
    return {
        "title": "Points in space",
        "question": "Where in space are the points that the cameras saw?",
        "primary": "error_mm" if seen.truth is not None else "reprojection_px",
        "example": "moment",
        "how_sure": "Intervals are bootstraps over twenty blocks of neighbouring moments.",
        "data": [{"label": label, "value": value} for label, value in rows.items()],
        "notes": [f"{found.title}: {found.detail}" for found in prepared.findings],
        "method": [
            f"Lifted with neuroloom {__version__}, method {recipe.method}: linear triangulation "
            "of undistorted pixels, then least squares of the distances in the images. " + smoothed
        ],
        "citations": _CITED,
        "meanings": {
            "reprojection_px": "Median distance of seen from projected points.",
            "reprojection_p95_px": "Its 95th percentile.",
            "left_out_px": "Median distance of what a camera saw from what the others tell.",
            "left_out_p95_px": "Its 95th percentile.",
            "error_mm": "Median distance from the stored points in space, in the rig's unit.",
        },
    }
