"""The report of `pose.track`: how well names were kept, where they are in doubt, and the paths."""

from __future__ import annotations

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
    from neuroloom.pose.track import Prepared, Track, Tracked

RESAMPLES = 1000
BLOCKS = 20  # of neighbouring frames in a file, which the bootstrap draws
SHOWN = 4  # files that are drawn
SCORES = ("idf1", "mota", "hota", "switches_per_1000")
COUNTS = ("truths", "found", "misses", "false", "switches", "idtp")
_CITED = [
    "Ristani E et al. (2016). ECCV Workshops, 17-35 (IDF1).",
    "Bernardin K, Stiefelhagen R (2008). J Image Video Process 246309 (MOTA).",
    "Luiten J et al. (2021). Int J Comput Vis 129, 548-578 (HOTA).",
]


def report_tracks(recipe: Track, run: Run, prepared: Prepared, done: list[Tracked]) -> None:
    """Write the counts of every frame, metrics, tables, figures and the page."""
    shelf = Shelf(run.folder / "artifacts")
    table = pd.concat([_frame_rows(recipe, one) for one in done], ignore_index=True)
    write_atomic(run.folder / "predictions.parquet", partial(table.to_parquet, index=False))
    metrics = summarise(table, _hotas(recipe, done), recipe.seed)
    write_json(run.folder / "metrics.json", metrics)
    columns = ["fold", "seed", "metric", "value", "low", "high", "baseline", "chance"]
    rows = [{"fold": "all", "seed": "all", "metric": name} | row for name, row in metrics.items()]
    tidy = pd.DataFrame(rows, columns=columns)
    write_atomic(run.folder / "metrics.parquet", partial(tidy.to_parquet, index=False))
    run.log("scored", examples=len(done))
    suspects = suspect_table(done)
    shelf.add_table(
        "suspects", suspects, title="Where names may have been swapped",
        caption="The likeliest first. `swap_from(tracks, frame, one, other)` puts one right.",
    )  # fmt: skip
    shelf.add_table("animals", animal_table(done), title="Each animal", section="data")
    for number, one in enumerate(done[:SHOWN]):
        _add_figures(shelf, one, number)
    for one in done:
        file = recipe.file_of(one.pair)
        name = f"tracks-{done.index(one)}"
        shelf.add_file(name, "tracks", file, title=f"Tracks of {one.pair.name}", section="data")
        if recipe.overlay:
            film = recipe.overlay_of(one.pair)
            shelf.add_file(f"overlay-{done.index(one)}", "movie", film, section="data",
                           title=f"{one.pair.name} with its animals, a colour each")  # fmt: skip
    write_facts(run.folder, Facts(**_facts(recipe, prepared, done, suspects, metrics)))
    run.log("reported", report=write_report(run.folder).name)


def _frame_rows(recipe: Track, one: Tracked) -> pd.DataFrame:
    """Return a row a frame and model; without a truth the counts are of what was found alone."""
    from neuroloom.pose.link.measures import count_identities

    frames = np.asarray(one.recording.coords["frame"].values)[one.judged]
    head = {"name": one.pair.name, "frame": frames, "model": "tracker"}
    if one.truth is None or one.plain is None:
        seen = np.isfinite(one.points).all(-1).any(-1).sum(1)
        return pd.DataFrame(head | {"role": "model", "found": seen})
    parts = []
    for role, whole in (("model", one.points), ("baseline", one.plain)):
        tracks = whole[one.judged]
        counts = count_identities(one.truth, tracks, recipe.within)
        who = {"role": role, "model": "tracker" if role == "model" else "nearest"}
        parts.append(pd.DataFrame(head | who | counts))
    return pd.concat(parts, ignore_index=True)


def _hotas(recipe: Track, done: list[Tracked]) -> dict[str, float]:
    """Return HOTA by role, the mean over files that have a truth."""
    from neuroloom.pose.link.measures import hota

    ours, plain = [], []
    for one in done:
        if one.truth is not None and one.plain is not None:
            ours.append(hota(one.truth, one.points[one.judged], recipe.within))
            plain.append(hota(one.truth, one.plain[one.judged], recipe.within))
    if not ours:
        return {}
    return {"model": float(np.mean(ours)), "baseline": float(np.mean(plain))}


def summarise(
    table: pd.DataFrame, hotas: dict[str, float], seed: int
) -> dict[str, dict[str, float | None]]:
    """Return IDF1, MOTA, HOTA and switches a thousand frames, with intervals and baseline.

    The interval is a bootstrap over blocks of neighbouring frames, each file cut into twenty; HOTA
    has none, as it is not a sum over frames.

    Parameters
    ----------
    table
        Columns name, frame, role and the counts; rows without a truth are left out.
    hotas
        HOTA by role.
    seed
        Of the bootstrap.
    """
    if "truths" not in table or not hotas:
        return {}
    table = table[table["truths"].notna()]
    table = table.assign(row=table.groupby(["role", "name"]).cumcount())
    size = table.groupby(["role", "name"])["row"].transform("max") + 1
    table = table.assign(block=table["row"] * BLOCKS // size, frames=1)
    keys = ["name", "block"]
    sums = {
        role: own.groupby(keys)[[*COUNTS, "frames"]].sum().to_numpy(float)
        for role, own in table.groupby("role")
    }
    ours, plain = _scores(sums["model"].sum(0)), _scores(sums["baseline"].sum(0))
    blocks = len(sums["model"])
    drawn = np.random.default_rng(seed).integers(blocks, size=(RESAMPLES, blocks))
    draws = _scores(sums["model"][drawn].sum(1).T)
    out: dict[str, dict[str, float | None]] = {}
    for name in SCORES:
        entry: dict[str, float | None] = dict.fromkeys(("value", "low", "high"))
        if name == "hota":
            entry |= {"value": hotas["model"], "baseline": hotas["baseline"], "chance": None}
        else:
            value, known = float(ours[name]), draws[name][np.isfinite(draws[name])]
            low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (value, value)
            entry = {"value": value, "low": float(min(low, value)), "high": float(max(high, value))}
            entry |= {"baseline": float(plain[name]), "chance": None}
        out[name] = entry
    return out


def _scores(sums: np.ndarray) -> dict[str, Any]:
    """Return the scores of summed counts (count, …)."""
    truths, found, misses, false, switches, idtp, frames = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "idf1": 2 * idtp / (truths + found),
            "mota": 1 - (misses + false + switches) / truths,
            "switches_per_1000": 1000 * switches / frames,
        }


def suspect_table(done: list[Tracked]) -> pd.DataFrame:
    """Return where names may have been swapped, over all files, the likeliest first."""
    parts = []
    for one in done:
        names = np.array(one.names)
        swaps = one.linked.swaps
        frames = np.asarray(one.recording.coords["frame"].values)
        at = np.clip(swaps["frame"].to_numpy(int), 0, len(frames) - 1)
        parts.append(
            pd.DataFrame(
                {
                    "name": one.pair.name,
                    "frame": frames[at].astype(int),
                    "seconds": one.recording.coords["time"].values[at],
                    "one": names[swaps["one"].to_numpy(int)],
                    "other": names[swaps["other"].to_numpy(int)],
                    "p_swap": swaps["p_swap"].to_numpy(float),
                    "kind": swaps["kind"].astype(str),
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    return table.sort_values("p_swap", ascending=False, kind="stable", ignore_index=True)


def animal_table(done: list[Tracked]) -> pd.DataFrame:
    """Return a row an animal: frames in which it was found, the longest gap, how far it went."""
    from neuroloom.pose.alike import body_centres

    rows = []
    for one in done:
        middles = body_centres(one.points)
        for number, name in enumerate(one.names):
            seen = np.flatnonzero(np.isfinite(middles[:, number, 0]))
            path = middles[seen, number]
            gap = int(np.diff(seen).max() - 1) if len(seen) > 1 else 0
            way = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
            rows.append((one.pair.name, name, len(seen), len(middles), gap, round(way, 1)))
    columns = ["name", "animal", "found", "frames", "longest_gap", "path_px"]
    return pd.DataFrame(rows, columns=columns)


def _add_figures(shelf: Shelf, one: Tracked, number: int) -> None:
    suspects = one.linked.swaps
    shelf.add_figure(
        f"paths-{number}", paths(one), title=f"Paths of {one.pair.name}",
        caption="The middle of each body; circles are where names may have been swapped.",
        section="data", alt=f"Paths of {one.linked.animals} animals.",
    )  # fmt: skip
    shelf.add_figure(
        f"times-{number}", times(one), title=f"Who was seen when: {one.pair.name}",
        caption="A bar where an animal was found; above it, how likely a swap is.",
        alt=f"{len(suspects)} places where two names may have been swapped.",
    )  # fmt: skip


@styled
def paths(one: Tracked) -> Figure:
    """Draw the path of each animal in the plane of the video."""
    from neuroloom.pose.alike import body_centres

    middles = body_centres(one.points)
    figure, axes = canvas(3.6)
    for number in range(one.linked.animals):
        axes.plot(*middles[:, number].T, lw=1, color=colour(number), label=f"{number + 1}")
    for row in one.linked.swaps.itertuples():
        place = middles[min(int(row.frame), len(middles) - 1), [row.one, row.other]]
        size = 4 + 10 * float(row.p_swap)
        axes.plot(*np.nanmean(place, 0), "o", mfc="none", mec="black", ms=size)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    axes.set(xlabel="x (px)", ylabel="y (px)")
    if one.linked.animals <= 10:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


@styled
def times(one: Tracked) -> Figure:
    """Draw when each animal was found, and how likely a swap was over time."""
    frames = one.recording.coords["time"].values
    seen = np.isfinite(one.points).all(-1).any(-1)
    figure, (above, below) = canvas(3.4, rows=2, sharex=True, height_ratios=[1, 2])
    for row in one.linked.swaps.itertuples():
        above.vlines(frames[min(int(row.frame), len(frames) - 1)], 0, row.p_swap, color="black")
    above.set(ylim=(0, 0.55), ylabel="P(swap)")
    for number in range(one.linked.animals):
        at = frames[seen[:, number]]
        below.plot(at, np.full(len(at), number + 1), "|", ms=9, color=colour(number))
    below.set(xlabel="Time (s)", ylabel="Animal", ylim=(0.4, one.linked.animals + 0.6))
    below.set_yticks(range(1, one.linked.animals + 1))
    return figure


def _facts(
    recipe: Track,
    prepared: Prepared,
    done: list[Tracked],
    suspects: pd.DataFrame,
    metrics: dict[str, Any],
) -> dict[str, Any]:
    likely = int((suspects["p_swap"] > 0.05).sum())
    rows = {
        "Files": str(len(done)),
        "Frames": f"{sum(len(one.points) for one in done):,}",
        "Animals": ", ".join(str(one.linked.animals) for one in done[:9]),
        "Keypoints": ", ".join(map(str, done[0].recording.coords["keypoints"].values)),
        "Likely swaps": f"{likely} of more than 5 %, {len(suspects)} looked at",
        "Expected swaps": f"{suspects['p_swap'].sum():.1f}",
    }
    notes = [f"{found.title}: {found.detail}" for found in prepared.findings]
    if not metrics:
        notes.append("There is no truth, so that nothing is scored; see the likely swaps.")
    return {
        "title": "Identities over time",
        "question": "Which animal is which in every frame, and where is that in doubt?",
        "primary": "idf1",
        "example": "file",
        "baseline": "nearest neighbour",
        "how_sure": "The interval is a bootstrap over twenty blocks of frames a file."
        if metrics
        else "",
        "data": [{"label": label, "value": value} for label, value in rows.items()],
        "notes": notes,
        "method": [
            f"Linked with neuroloom {__version__}. Each body has a Kalman filter of constant "
            "velocity whose noise is read from the detections. Where exchanging two animals costs "
            "little, both histories are kept (at most 24) until one is clearly worse or both are "
            "the same but for names; the odds between them are the probability of a swap. "
            f"Tracklets that end after {recipe.patience} frames unseen are stitched by a min-cost "
            "flow. "
            + (
                "Looks of the bodies before and after each meeting and gap are compared with how "
                "much they change in one animal and differ between animals of this very recording: "
                "names are exchanged where they outweigh motion. "
                if recipe.shape or recipe.video
                else ""
            )
            + ("Paths are then drawn smooth by penalised least squares. " if recipe.smooth else "")
            + f"Gaps of up to {recipe.fill} frames are filled in a straight line."
        ],
        "citations": _CITED,
        "meanings": {
            "idf1": "Share of bodies that bear the right name over the whole recording: 1 is "
            "perfect. The baseline gives each animal the nearest detection.",
            "mota": "1 less the share of misses, false bodies and switches of names.",
            "hota": "How well bodies and names are found, in equal parts: 1 is perfect.",
            "switches_per_1000": "How often an animal gets another track, in a thousand frames.",
        },
    }
