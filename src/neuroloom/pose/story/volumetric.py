"""The report of `pose.volumetric`: errors in space beside those of triangulating each camera."""

from __future__ import annotations

from dataclasses import asdict
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
    from neuroloom.pose.rig.project import Project
    from neuroloom.pose.rig.volumetric import Shape, VolumeNet
    from neuroloom.pose.volumetric import Volumetric

RESAMPLES = 1000


def report_volumes(
    recipe: Volumetric,
    run: Run,
    project: Project,
    held: np.ndarray,
    nets: list[VolumeNet],
    shape: Shape,
) -> None:
    """Judge on the moments held out, and write everything down."""
    shelf = Shelf(run.folder / "artifacts")
    rows = judge(project, held, nets, shape)
    write_atomic(run.folder / "predictions.parquet", partial(rows.to_parquet, index=False))
    metrics = summarise(rows, recipe.seed)
    write_json(run.folder / "metrics.json", metrics)
    tidy = pd.DataFrame(
        [{"fold": "all", "seed": "all", "metric": name} | row for name, row in metrics.items()]
    )
    write_atomic(run.folder / "metrics.parquet", partial(tidy.to_parquet, index=False))
    _store(run, nets, shape, project)
    run.log("scored", examples=len(held))
    table = rows.groupby("keypoint")[["error", "two_step", "two_step_robust"]].mean()
    shelf.add_table("keypoints", table.reset_index(), title="Mean error by keypoint")
    shelf.add_figure("errors", errors(rows), title="Distance from the labelled points")
    write_facts(run.folder, Facts(**_facts(recipe, project, held, shape)))
    run.log("reported", report=write_report(run.folder).name)


def judge(project: Project, held: np.ndarray, nets: list[VolumeNet], shape: Shape) -> pd.DataFrame:
    """Return a row a held-out moment and keypoint: where it is, where it was found, and errors.

    `two_step` is each camera alone by the same 2-D net, then linear triangulation;
    `two_step_robust` leaves views out that do not fit; `mean_pose` is the mean of the training
    moments round the animal's centre. Errors are in the rig's unit.
    """
    from neuroloom.pose.rig.volumetric import centres_of, predict_volume, two_step

    views = project.views.take(held)
    rest = project.views.points[np.setdiff1d(np.arange(len(project.frames)), held)]
    centres = centres_of(views.points)
    done = [predict_volume(net, views, centres, shape) for net in nets]
    found = np.mean([places for places, _ in done], axis=0)
    spread = np.mean([spread for _, spread in done], axis=0)
    mean = np.nanmean(rest - centres_of(rest)[:, None], axis=0) + centres[:, None]
    others = {
        "two_step": np.mean([two_step(net, views, centres, shape) for net in nets], axis=0),
        "two_step_robust": np.mean(
            [two_step(net, views, centres, shape, "robust") for net in nets], axis=0
        ),
        "mean_pose": mean,
    }
    moment, keypoint = (a.ravel() for a in np.indices(found.shape[:2]))
    table: dict[str, Any] = {"frame": project.frames[held][moment], "keypoint": keypoint}
    for axis, letter in enumerate("xyz"):
        table[letter] = found[..., axis].ravel()
        table[f"{letter}_true"] = views.points[..., axis].ravel()
    table["spread"] = spread.ravel()
    for name, places in ({"error": found} | others).items():
        table[name] = np.linalg.norm(places - views.points, axis=-1).ravel()
    return pd.DataFrame(table)


def summarise(rows: pd.DataFrame, seed: int) -> dict[str, dict[str, float | None]]:
    """Return mean and median error with intervals over moments, beside two steps and mean pose."""
    known = rows[rows["error"].notna()]
    parts = [part for _, part in known.groupby("frame")]
    drawn = np.random.default_rng(seed).integers(len(parts), size=(RESAMPLES, len(parts)))
    out: dict[str, dict[str, float | None]] = {}
    for name, of in (("mean_error_mm", np.nanmean), ("median_error_mm", np.nanmedian)):
        values = [part["error"].to_numpy() for part in parts]
        draws = [of(np.concatenate([values[i] for i in row])) for row in drawn]
        value = float(of(known["error"]))
        low, high = np.quantile(draws, [0.025, 0.975])
        out[name] = {
            "value": value, "low": min(value, float(low)), "high": max(value, float(high)),
            "baseline": float(of(known["two_step"])), "chance": float(of(known["mean_pose"])),
        }  # fmt: skip
    return out


def _store(run: Run, nets: list[VolumeNet], shape: Shape, project: Project) -> None:
    from safetensors.torch import save_file

    state = {
        f"{number}.{name}": value.detach().contiguous().clone()
        for number, net in enumerate(nets)
        for name, value in net.state_dict().items()
    }
    write_atomic(run.folder / "model.safetensors", lambda path: save_file(state, str(path)))
    facts = asdict(shape) | {"shrink": project.shrink, "keypoints": project.views.points.shape[1]}
    write_json(run.folder / "model.json", facts | {"nets": len(nets)})


@styled
def errors(rows: pd.DataFrame) -> Figure:
    """Draw the share of points within a distance, of the net and of two steps."""
    figure, axes = canvas(3.2)
    names = {"error": "volume net", "two_step": "two steps", "two_step_robust": "two steps, robust"}
    for number, (column, label) in enumerate(names.items()):
        values = np.sort(rows[column].dropna().to_numpy())
        axes.plot(values, np.linspace(0, 1, len(values)), color=colour(number), label=label)
    axes.set(xlabel="Distance (mm)", ylabel="Share of points", ylim=(0, 1))
    axes.set_xlim(0, max(float(rows["error"].quantile(0.98)), 1e-6))
    axes.legend(loc="lower right")
    return figure


def _facts(recipe: Volumetric, project: Project, held: np.ndarray, shape: Shape) -> dict[str, Any]:
    views = project.views
    rows = {
        "Cameras": ", ".join(views.rig.names),
        "Moments": f"{len(project.frames)}, {len(held)} of them held out",
        "Points": str(views.points.shape[1]),
        "Images": f"{project.shrink} times smaller than the films; crops of {shape.crop} px",
        "Cube": f"{shape.cube:.0f} {views.rig.unit}, {shape.grid} voxels along a side",
    }
    return {
        "title": "Points in space, by a volume net",
        "question": "Where in space are the animal's points, judged by all cameras at once?",
        "primary": "mean_error_mm",
        "example": "moment",
        "baseline": "each camera alone, then triangulation",
        "how_sure": "Intervals are bootstraps over the moments held out.",
        "data": [{"label": label, "value": value} for label, value in rows.items()],
        "split": [f"The last {len(held)} moments, in their order, judge the net."],
        "notes": ["The cube is laid round the mean of the labelled points, also where the net is "
                  "judged; the two-step way gets the same crops."],
        "method": [
            f"Learnt with neuroloom {__version__}. A 2-D U-Net gives each view's probability of "
            "every point; sums of their logarithms over the views, unprojected into a cube, are "
            "corrected by a 3-D net; the point is the expected place (AVG)."
        ],
        "citations": ["Dunn TW et al. (2021). Nat Methods 18, 564-573 (DANNCE)."],
        "meanings": {
            "mean_error_mm": "Mean distance from the labelled points, in the rig's unit.",
            "median_error_mm": "Their median distance.",
        },
    }  # fmt: skip
