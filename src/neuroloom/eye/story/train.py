"""The report of `eye.train`: how the net does on rendered eyes that it has not seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neuroloom.core.artifact import Shelf
from neuroloom.core.report import Facts, write_facts, write_report
from neuroloom.eye.judge import f1, judge
from neuroloom.eye.story.pupil import RESAMPLES, entry, write_metrics, write_predictions
from neuroloom.learn.figures import canvas, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuroloom.core.run import Run
    from neuroloom.eye.nets import EyeNet
    from neuroloom.eye.render import Frames
    from neuroloom.eye.train import Labelled, Train

SHAPE = (120, 160)
JUDGE = 104_729  # added to the seed: eyes that no training has drawn
MEANING = {
    "dice": "Overlap of found and true visible pupil, mean over frames with one.",
    "centre_px": "Median distance of the found from the true centre.",
    "blink_f1": "F1 of frames in which lids cover the pupil.",
    "own_dice": "Overlap with one's own masks of pictures that were held out.",
}


def report_training(recipe: Train, run: Run, prepared: Labelled) -> None:
    """Judge the net on new rendered eyes and on held-out pictures, and write the page."""
    from neuroloom.eye.find.pupils import load_net

    net = load_net(run.folder / "model.safetensors")
    load_net.cache_clear()
    frames = rendered(recipe.judged, recipe.seed)
    table = judge(frames, net).assign(name="rendered", frame=np.arange(recipe.judged))
    write_predictions(run, table, "eye-net")
    metrics = summarise(table, recipe.seed)
    if prepared.test:
        metrics["own_dice"] = entry(own_dice(prepared, net), np.zeros(0))
    write_metrics(run, metrics)
    shelf = Shelf(run.folder / "artifacts")
    shelf.add_figure(
        "worst", worst_figure(frames, table, net), title="The worst frames",
        caption="Rendered eyes; green the true rim, red the one that was found.",
    )  # fmt: skip
    write_facts(run.folder, Facts(**_facts(recipe, prepared)))
    run.log("reported", report=write_report(run.folder).name)


def rendered(n: int, seed: int) -> Frames:
    """Render `n` eyes of people for judging; lids close often."""
    from neuroloom.eye.render import HUMAN, draw_eyes, render

    rng = np.random.default_rng(seed + JUDGE)
    eyes = draw_eyes(n, replace(HUMAN, closing=0.3, exposure=(-0.4, 0.4)), rng)
    return render(eyes, SHAPE, rng)


def summarise(table: pd.DataFrame, seed: int) -> dict[str, dict[str, float | None]]:
    """Return Dice, error of the centre and F1 of blinks, with intervals over frames."""
    rows = np.random.default_rng(seed).integers(len(table), size=(RESAMPLES, len(table)))
    overlap, off = table["dice"].to_numpy(), table["centre_px"].to_numpy()
    blink, told = table["blink"].to_numpy(), table["blink_found"].to_numpy()
    with np.errstate(all="ignore"):
        return {
            "dice": entry(_number(np.nanmean(overlap)), np.nanmean(overlap[rows], axis=1)),
            "centre_px": entry(_number(np.nanmedian(off)), np.nanmedian(off[rows], axis=1)),
            "blink_f1": entry(f1(blink, told), np.array([f1(blink[k], told[k]) for k in rows])),
        }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def own_dice(prepared: Labelled, net: EyeNet) -> float:
    """Return the mean Dice of the pupil on held-out labelled pictures, at their own pixels."""
    import torch
    from torch.nn.functional import interpolate

    from neuroloom.eye.find.pupils import maps_of
    from neuroloom.eye.judge import dice
    from neuroloom.eye.labelled import masks_of, open_labelled

    overlaps = []
    for image, mask in prepared.test:
        grey, label = open_labelled(image, mask, prepared.drawing.depth)
        pupil = torch.from_numpy(maps_of(grey[None], net)[0][:, :1])
        found = interpolate(pupil, grey.shape, mode="bilinear")[0, 0].numpy() > 0.5
        overlaps.append(dice(found, masks_of(label, prepared.drawing.alone)[0]))
    return float(np.mean(overlaps))


@styled
def worst_figure(frames: Frames, table: pd.DataFrame, net: EyeNet) -> Figure:
    """Draw the twelve frames with the lowest Dice, true and found rim."""
    from neuroloom.eye.find.ellipse import rim
    from neuroloom.eye.find.pupils import find_pupils

    order = np.argsort(table["dice"].fillna(2.0).to_numpy(), kind="stable")[:12]
    found = find_pupils(frames.image[order], net).ellipse
    figure, grid = canvas(3 * 1.25, rows=3, columns=4, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for axes, row, ellipse in zip(grid.ravel(), order, found, strict=False):
        axes.imshow(frames.image[row], cmap="gray", vmin=0, vmax=255)
        for one, ink in ((frames.ellipse[row], "#2ca02c"), (ellipse, "#d62728")):
            axes.plot(*rim(one, 73).T, color=ink, lw=0.8)
        axes.set(xlim=(0, frames.image.shape[2] - 1), ylim=(frames.image.shape[1] - 1, 0))
    return figure


def _facts(recipe: Train, prepared: Labelled) -> dict[str, Any]:
    rows = {
        "Steps": f"{recipe.steps} of 16 pictures",
        "From": "the shipped net" if recipe.tune else "scratch",
        "Own pictures": f"{len(prepared.train)} learnt from, {len(prepared.test)} held out",
    }
    return {
        "title": "A net that finds pupils",
        "question": "How well does it find pupils and blinks in eyes that it has not seen?",
        "primary": "dice",
        "example": "frame",
        "how_sure": f"Judged on {recipe.judged} rendered eyes; real ones may be harder.",
        "data": [{"label": label, "value": value} for label, value in rows.items()],
        "method": [
            "Eyes were rendered with random shape, gaze, lids, lashes, reflections and light; "
            "the net learnt their pupil, iris and opening, and whether lids cover the pupil."
        ],
        "citations": ["Ronneberger O et al. (2015). MICCAI, 234-241 (U-Net)."],
        "meanings": MEANING,
    }
