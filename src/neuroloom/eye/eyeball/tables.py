"""From tables of pupils to tables of gaze."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.eye.eyeball.model import Eyeball, fit_eyeball, gaze_of
from neuroloom.eye.videos import ellipses_of

if TYPE_CHECKING:
    import pandas as pd

GUESS = 1.25  # focal length, widths of the picture: 6 mm before a sensor of 4.8 mm
GRID, EACH = 12, 4
WHOLE = 0.6  # share of the rim that a frame must show for the eyeball to be fitted to it
LOOSE = 4.0  # times the median residual that a gaze may have and still be consistent
FINEST = 0.01  # residual that is always consistent, share of the pupil's diameter


def choose_frames(table: pd.DataFrame, sure: float) -> np.ndarray:
    """Return the rows that an eyeball is fitted to: clear pupils, from all places they were in.

    The picture is divided in 12 x 12 fields over the places of the pupil; the four surest of each
    count, so that an eye that mostly looked ahead does not rule the fit.
    """
    good = np.flatnonzero((table["confidence"] >= sure) & (table["rim"] >= WHOLE))
    if len(good) == 0:
        return good
    places = table[["x_px", "y_px"]].to_numpy()[good]
    low, high = places.min(axis=0), places.max(axis=0)
    cell = np.minimum((GRID * (places - low) / np.maximum(high - low, 1e-9)).astype(int), GRID - 1)
    field = cell[:, 0] * GRID + cell[:, 1]
    order = good[np.lexsort((-table["confidence"].to_numpy()[good], field))]
    sorted_field = np.sort(field)
    rank = np.arange(len(order)) - np.searchsorted(sorted_field, sorted_field)
    return np.sort(order[rank < EACH])


def fit_table(
    table: pd.DataFrame, shape: tuple[int, int], sure: float, focal: float | None, like: Eyeball
) -> Eyeball:
    """Fit an eyeball to a table of pupils.

    Parameters
    ----------
    table
        From `videos.pupil_table`.
    shape
        Height and width of the video, px.
    sure
        Confidence from which a pupil counts.
    focal
        px; None: 1.25 widths.
    like
        Radius and refraction to assume.

    Raises
    ------
    DataError
        If there are too few clear pupils, or the eye hardly moves.
    """
    rows = choose_frames(table, sure)
    origin = ((shape[1] - 1) / 2, (shape[0] - 1) / 2)
    chosen = table.iloc[rows]
    found = fit_eyeball(
        ellipses_of(chosen), focal or GUESS * shape[1], origin,
        weights=chosen["confidence"].to_numpy(), like=like,
    )  # fmt: skip
    return replace(found, size=(shape[1], shape[0]))


def gaze_table(table: pd.DataFrame, eyeball: Eyeball, sure: float) -> pd.DataFrame:
    """Return a table of pupils with the gaze of each frame beside.

    Frames of less confidence than `sure` get no gaze.

    Returns
    -------
    DataFrame
        The columns of `table`, and gaze_x_deg, gaze_y_deg (to the right and down, as the camera
        sees it; 0, 0 is into its lens' direction), gaze_x, gaze_y, gaze_z (unit vector), pupil_mm
        (true diameter behind the cornea), residual_px (rim against model), consistent.
    """
    ellipses = ellipses_of(table)
    ellipses[table["confidence"].to_numpy() < sure] = np.nan
    found = gaze_of(ellipses, eyeball)
    limit = np.maximum(LOOSE * eyeball.residual, FINEST * table["diameter_px"].to_numpy())
    with np.errstate(invalid="ignore"):
        consistent = found.residual <= np.nan_to_num(limit, nan=0.0)
    columns = {
        "gaze_x_deg": found.angles[:, 0], "gaze_y_deg": found.angles[:, 1],
        "gaze_x": found.vector[:, 0], "gaze_y": found.vector[:, 1], "gaze_z": found.vector[:, 2],
        "pupil_mm": 2 * found.pupil_mm, "residual_px": found.residual, "consistent": consistent,
    }  # fmt: skip
    return table.assign(**columns)


def deepvog_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of gaze under the column names of DeepVOG's files; pupils alone without gaze.

    Raises
    ------
    DataError
        If there are no pupils in it.
    """
    names = {
        "frame": "frame", "x_px": "pupil2D_x", "y_px": "pupil2D_y", "gaze_x_deg": "gaze_x",
        "gaze_y_deg": "gaze_y", "confidence": "confidence", "consistent": "consistence",
    }  # fmt: skip
    if "x_px" not in table:
        raise DataError(f"expected a table of pupils with x_px, got {', '.join(table.columns)}.")
    kept = {own: name for own, name in names.items() if own in table}
    return table[list(kept)].rename(columns=kept)
