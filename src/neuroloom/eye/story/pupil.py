"""The report of `eye.pupil`: traces, events, frames with the pupils drawn on them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neuroloom.core.artifact import Shelf
from neuroloom.core.files import write_atomic, write_json
from neuroloom.core.report import Facts, write_facts, write_report
from neuroloom.eye.measures import SHUT, clean_trace, find_blinks, find_reflexes, find_saccades
from neuroloom.eye.videos import drawn, ellipses_of, meye_table
from neuroloom.learn.figures import canvas, colour, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuroloom.core.run import Run
    from neuroloom.eye.pupil import Pupil, Seen

RESAMPLES, BLOCKS = 1000, 20
SHOWN = 4  # videos that are drawn
UNKNOWN = 0.1  # share of frames without a speed from which it is told
PICTURES = 12
MEANING = {
    "confident": "Share of all frames in which the pupil was found with enough confidence.",
    "diameter": "Median diameter of the pupil (long axis of its ellipse) in those frames.",
    "blinks_per_minute": "Closures of the lids of 30 ms to 3 s.",
}
_CITED = [
    "Mazziotti R et al. (2021). eNeuro 8(5), ENEURO.0122-21.2021 (MEYE: maps and a blink from one "
    "small net).",
    "Halir R, Flusser J (1998). WSCG 98, 125-132 (ellipses).",
    "Hall CA, Chilcott RP (2018). Diagnostics 8, 19 (light reflexes).",
    "Engbert R, Kliegl R (2003). Vision Res 43, 1035-1045 (saccades).",
]


def report_pupils(recipe: Pupil, run: Run, seen: list[Seen]) -> None:
    """Write the table of frames, metrics, events, figures, overlays and the page."""
    shelf = Shelf(run.folder / "artifacts")
    table = pd.concat([one.table.assign(name=one.name) for one in seen], ignore_index=True)
    write_predictions(run, table, "eye-net")
    write_metrics(run, summarise(table, recipe.sure, recipe.seed))
    shelf.add_table(
        "pupils", table, title="Each frame", section="data",
        caption="Places from the centre of the top-left pixel; axes and diameter are whole.",
    )  # fmt: skip
    events = [events_of(one.table, recipe) for one in seen]
    for kind, title in (("blinks", "Blinks"), ("reflexes", "Light reflexes"),
                        ("saccades", "Quick movements of the pupil")):  # fmt: skip
        rows = [found[kind].assign(name=one.name) for one, found in zip(seen, events, strict=True)]
        shelf.add_table(kind, pd.concat(rows, ignore_index=True), title=title)
    for number, (one, found) in enumerate(zip(seen, events, strict=True)):
        _add_video(shelf, recipe, one, found, number)
    write_facts(run.folder, Facts(**_facts(recipe, seen, events)))
    run.log("reported", report=write_report(run.folder).name)


def write_predictions(run: Run, table: pd.DataFrame, model: str) -> None:
    """Write the table of all frames as the run's predictions."""
    rows = table.assign(
        unit=table["name"], model=model, role="model", example=np.arange(len(table))
    )
    write_atomic(run.folder / "predictions.parquet", partial(rows.to_parquet, index=False))


def write_metrics(run: Run, metrics: dict[str, dict[str, float | None]]) -> None:
    """Write `metrics.json` and the tidy table."""
    write_json(run.folder / "metrics.json", metrics)
    columns = ["fold", "seed", "metric", "value", "low", "high", "baseline", "chance"]
    rows = [{"fold": "all", "seed": "all", "metric": name} | row for name, row in metrics.items()]
    tidy = pd.DataFrame(rows, columns=columns)
    write_atomic(run.folder / "metrics.parquet", partial(tidy.to_parquet, index=False))
    run.log("scored", metrics=len(metrics))


def block_of(table: pd.DataFrame) -> pd.Series:
    """Return in which of twenty blocks of its video each row lies: what a bootstrap draws."""
    videos = table.groupby("name")
    return videos.cumcount() * BLOCKS // videos["frame"].transform("size")


def summarise(table: pd.DataFrame, sure: float, seed: int) -> dict[str, dict[str, float | None]]:
    """Return the share of confident frames and the median diameter, with 95 % intervals.

    The bootstrap draws blocks of neighbouring frames, twenty a video.
    """
    good = (table["confidence"] >= sure).to_numpy()
    wide = table[f"diameter_{unit_of(table)}"].to_numpy()
    block = table.groupby(["name", block_of(table)], sort=False).ngroup()
    parts = [np.flatnonzero(block == one) for one in block.unique()]
    shares = np.array([good[part].mean() for part in parts])
    sizes = np.array([len(part) for part in parts], float)
    middles = np.array([np.median(wide[part][good[part]]) if good[part].any() else np.nan
                        for part in parts])  # fmt: skip
    rng = np.random.default_rng(seed)
    drawn_ = rng.integers(len(parts), size=(RESAMPLES, len(parts)))
    share_draws = (shares * sizes)[drawn_].sum(1) / sizes[drawn_].sum(1)
    with np.errstate(all="ignore"):
        kept = np.where(np.isfinite(middles[drawn_]).any(1))[0]
        wide_draws = np.array([np.nanmedian(middles[drawn_[k]]) for k in kept])
    minutes = (
        sum(
            float(own["time_s"].iloc[-1] - own["time_s"].iloc[0])
            for _, own in table.groupby("name")
        )
        / 60
    )
    blinks = sum(len(find_blinks(own["blink"].to_numpy(), own["time_s"].to_numpy()))
                 for _, own in table.groupby("name"))  # fmt: skip
    middle = float(np.median(wide[good])) if good.any() else None
    return {
        "confident": entry(float(good.mean()), share_draws),
        "diameter": entry(middle, wide_draws),
        "blinks_per_minute": entry(blinks / minutes if minutes > 0 else None, np.zeros(0)),
    }


def unit_of(table: pd.DataFrame) -> str:
    """Return what diameters are measured in: "mm" where a scale was given, else "px"."""
    return "mm" if "diameter_mm" in table else "px"


def entry(value: float | None, draws: np.ndarray) -> dict[str, float | None]:
    """Return a metric with the 95 % interval of its draws; none of what there is none of."""
    low = high = None
    if value is not None and len(draws):
        low, high = (float(end) for end in np.quantile(draws, [0.025, 0.975]))
        low, high = min(low, value), max(high, value)
    return {"value": value, "low": low, "high": high, "baseline": None, "chance": None}


def events_of(table: pd.DataFrame, recipe: Pupil) -> dict[str, pd.DataFrame]:
    """Return the clean trace of one video, its blinks, light reflexes and saccades."""
    times, blink = table["time_s"].to_numpy(), table["blink"].to_numpy()
    trusted = table["confidence"].to_numpy() >= recipe.sure
    unit = unit_of(table)
    trace = clean_trace(table[f"diameter_{unit}"].to_numpy(), times, trusted, blink > SHUT)
    x, y = (np.where(trusted, table[name].to_numpy(), np.nan) for name in ("x_px", "y_px"))
    return {
        "trace": pd.DataFrame({"time_s": times, "diameter": trace}),
        "blinks": find_blinks(blink, times),
        "reflexes": find_reflexes(trace, times, recipe.stimuli, recipe.constriction).assign(
            unit=unit
        ),
        "saccades": find_saccades(x, y, times),
    }


def _add_video(
    shelf: Shelf, recipe: Pupil, one: Seen, found: dict[str, pd.DataFrame], number: int
) -> None:
    from neuroloom.io.video import Video, write_video

    meye = meye_table(one.table)
    file = shelf.folder / f"{one.name}_meye.csv"
    write_atomic(file, partial(meye.to_csv, index=False))
    if number < SHOWN:
        shelf.add_figure(
            f"trace-{number}", trace_figure(one.table, found, recipe.sure), section="result",
            title=f"Pupil of {one.name}",
            caption="Grey: lids closed. Lines: light reflexes begin; triangles: smallest pupils.",
        )  # fmt: skip
    with Video(one.file, patch=True) as video:
        if number < SHOWN:
            shelf.add_figure(
                f"frames-{number}", frames_figure(video, one.table, recipe.sure), section="data",
                title=f"Frames of {one.name}",
                caption="Evenly over the video; the number is the confidence.",
            )  # fmt: skip
        if recipe.overlay:
            target = shelf.folder / f"{one.name}_overlay.mp4"
            write_video(target, drawn(video, one.table, recipe.sure), video.rate, video.times)
            shelf.add_file(f"overlay-{number}", "movie", target.name, section="data",
                           title=f"{one.name} with its pupils")  # fmt: skip


@styled
def trace_figure(table: pd.DataFrame, found: dict[str, pd.DataFrame], sure: float) -> Figure:
    """Draw diameter and place of the pupil over time, with the events."""
    figure, (top, below) = canvas(4.6, rows=2, sharex=True)
    good = table["confidence"] >= sure
    unit, times = unit_of(table), table["time_s"]
    top.plot(times[good], table[f"diameter_{unit}"][good], ".", ms=2, color=colour(0), alpha=0.4)
    top.plot(times, found["trace"]["diameter"], color=colour(0), lw=1.2)
    for row in found["reflexes"].dropna(subset=["onset_s"]).itertuples():
        top.axvline(row.onset_s, color=colour(1), lw=0.8)
        top.plot(row.onset_s + row.time_to_minimum_s, row.minimum, "v", color=colour(1), ms=5)
    below.plot(times, table["x_px"].where(good), color=colour(0), lw=0.8, label="x")
    below.plot(times, table["y_px"].where(good), color=colour(1), lw=0.8, label="y")
    for axes in (top, below):
        for row in found["blinks"].itertuples():
            axes.axvspan(row.onset_s, row.offset_s, color="0.85", lw=0)
    top.set(ylabel=f"Diameter ({unit})")
    below.set(xlabel="Time (s)", ylabel="Place (px)")
    below.legend(loc="best")
    return figure


@styled
def frames_figure(video: Any, table: pd.DataFrame, sure: float) -> Figure:
    """Draw frames from all over a video with their pupils."""
    from neuroloom.learn.overlay import draw_ellipses

    numbers = np.unique(np.linspace(0, len(video) - 1, PICTURES).astype(int))
    ellipses, trust = ellipses_of(table), table["confidence"].to_numpy()
    ellipses[trust < sure] = np.nan
    columns = min(4, len(numbers))
    rows = -(-len(numbers) // columns)
    height = rows * (1.2 * video.shape[0] / video.shape[1] + 0.35)
    figure, grid = canvas(height, rows=rows, columns=columns, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for axes, number, frame in zip(grid.ravel(), numbers, video.read(numbers), strict=False):
        axes.imshow(draw_ellipses(frame, ellipses[number : number + 1], width=2))
        axes.set_title(f"{number}: {trust[number]:.2f}", fontsize=7)
    return figure


def _notes(recipe: Pupil, seen: list[Seen], events: list[dict[str, pd.DataFrame]]) -> list[str]:
    """Say in which videos pupils are often missing, and where no saccade can be found."""
    shares = [float((one.table["confidence"] >= recipe.sure).mean()) for one in seen]
    poor = [one.name for one, share in zip(seen, shares, strict=True) if share < 0.5]
    notes = [f"In fewer than half of the frames of {', '.join(poor[:9])} was a pupil found."]
    unknown = [float(found["saccades"].attrs.get("unknown", 0.0)) for found in events]
    return (notes if poor else []) + [
        f"No speed is known in {share:.0%} of the frames of {one.name}, beside a missing pupil or "
        "a pause of the recording: no quick movement can be found there."
        for one, share in zip(seen, unknown, strict=True) if share > UNKNOWN
    ]  # fmt: skip


def _facts(
    recipe: Pupil, seen: list[Seen], events: list[dict[str, pd.DataFrame]]
) -> dict[str, Any]:
    wide = f"{MEANING['diameter'][:-1]}, {unit_of(seen[0].table)}."
    rows = {"Videos": str(len(seen)), "Frames": str(sum(len(one.table) for one in seen))}
    if lost := sum(one.table.attrs.get("damaged", 0) for one in seen):
        rows["Frames that cannot be decoded"] = str(lost)
    for one in seen[:SHOWN]:
        where = "the whole picture" if one.view.roi is None else f"region {list(one.view.roi)}"
        rows[one.name] = where + (", negative" if one.view.invert else "")
    return {
        "title": "Pupils",
        "question": "How wide is the pupil, where is it, and when are the lids closed?",
        "primary": "confident",
        "example": "frame",
        "unit": "video",
        "how_sure": "Intervals are bootstraps over blocks of neighbouring frames, twenty a video.",
        "data": [{"label": label, "value": value} for label, value in rows.items()],
        "notes": _notes(recipe, seen, events),
        "method": [
            "A small net marks pupil, iris and opening of the lids. An ellipse is fitted to the "
            "rim of the pupil where no lid covers it, and moved onto the steepest edge there; "
            "points off the others' ellipse lose their weight."
        ],
        "citations": _CITED,
        "meanings": MEANING | {"diameter": wide},
    }
