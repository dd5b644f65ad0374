"""Points, bones and ellipses drawn on frames: for reports, and for a video to look at.

Places are those of the data: (0, 0) is the centre of the top-left pixel.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

    from neuroloom.io.video import Video

Colour = tuple[int, int, int]
Edges = Sequence[tuple[int, int]]
_TURN = 0.61803398875  # of the hue from one colour to the next: neighbours differ most
_TRUTH: Colour = (255, 255, 255)


def colours(count: int) -> list[Colour]:
    """Return colours that are told apart, bright enough for a dark frame.

    Examples
    --------
    >>> colours(2)
    [(255, 64, 64), (64, 120, 255)]
    """
    hues = [(i * _TURN) % 1.0 for i in range(count)]
    return [_rgb(hue) for hue in hues]


def _rgb(hue: float) -> Colour:
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.75, 1.0))
    return red, green, blue


def draw_points(
    frame: np.ndarray,
    points: np.ndarray,
    edges: Edges = (),
    truth: np.ndarray | None = None,
    zoom: float = 1.0,
    radius: float | None = None,
) -> np.ndarray:
    """Return a colour picture of a frame with points on it.

    Parameters
    ----------
    frame
        Shape (y, x, channel), uint8.
    points
        Shape (keypoint, 2), or (individual, keypoint, 2) px; NaN is not drawn. One animal has a
        colour a point, several have a colour each.
    edges
        Bones.
    truth
        As `points`: drawn as rings, with a line to the point that was found.
    zoom
        Size of the picture over that of the frame.
    radius
        Of a point, px of the picture.

    Raises
    ------
    DataError
        If the shapes do not fit.

    Examples
    --------
    >>> drawn = draw_points(np.zeros((40, 40, 1), np.uint8), np.array([[20.0, 10.0]]), radius=2)
    >>> drawn.shape, drawn[10, 20].tolist(), drawn[20, 10].tolist()
    ((40, 40, 3), [255, 64, 64], [0, 0, 0])
    """
    from PIL import ImageDraw

    found = _per_animal(points)
    canvas = _canvas(frame, zoom)
    pen = ImageDraw.Draw(canvas)
    size = round(max(2.0, 0.008 * max(canvas.size)) if radius is None else radius)
    if truth is not None:
        _draw_truth(pen, _placed(_per_animal(truth), zoom), _placed(found, zoom), size)
    inks = colours(found.shape[1] if len(found) == 1 else len(found))
    for who, animal in enumerate(_placed(found, zoom)):
        ink = inks if len(found) == 1 else [inks[who]] * len(animal)
        _draw_animal(pen, animal, edges, ink, size)
    return np.asarray(canvas)


def draw_ellipses(
    frame: np.ndarray, ellipses: np.ndarray, zoom: float = 1.0, width: int = 1
) -> np.ndarray:
    """Return a colour picture of a frame with ellipses on it.

    Parameters
    ----------
    frame
        Shape (y, x, channel), uint8.
    ellipses
        Shape (n, 5): centre x, y, half axes a, b (px), angle of `a` from the x axis (rad),
        towards y. NaN is not drawn.
    zoom
        Size of the picture over that of the frame.
    width
        Of the line, px of the picture.

    Examples
    --------
    >>> drawn = draw_ellipses(np.zeros((40, 40, 1), np.uint8), np.array([[20, 20, 8, 4, 0.0]]))
    >>> drawn[20, 28].max(), drawn[28, 20].max()
    (np.uint8(255), np.uint8(0))
    """
    from PIL import ImageDraw

    canvas = _canvas(frame, zoom)
    pen = ImageDraw.Draw(canvas)
    shapes = np.asarray(ellipses, float).reshape(-1, 5)
    for (x, y, a, b, angle), ink in zip(shapes, colours(len(shapes)), strict=True):
        if not np.isfinite([x, y, a, b, angle]).all():
            continue
        turn = np.linspace(0, 2 * np.pi, 73)
        long, short = a * np.cos(turn), b * np.sin(turn)
        line = np.stack(
            [
                x + long * np.cos(angle) - short * np.sin(angle),
                y + long * np.sin(angle) + short * np.cos(angle),
            ],
            axis=1,
        )
        pen.line([tuple(place) for place in _placed(line, zoom)], fill=ink, width=width)
    return np.asarray(canvas)


def sheet(pictures: Sequence[np.ndarray], columns: int = 4, gap: int = 4) -> np.ndarray:
    """Return pictures in rows and columns on white, (y, x, 3); they may differ in size.

    Examples
    --------
    >>> sheet([np.zeros((10, 20, 3), np.uint8)] * 3, columns=2, gap=2).shape
    (22, 42, 3)
    """
    if not pictures:
        raise DataError("A sheet needs at least one picture.")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    height = max(len(picture) for picture in pictures)
    width = max(picture.shape[1] for picture in pictures)
    page = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for place, picture in enumerate(pictures):
        top, left = place // columns * (height + gap), place % columns * (width + gap)
        page[top : top + len(picture), left : left + picture.shape[1]] = picture
    return page


def labelled_video(
    video: Video,
    tracks: xr.DataArray,
    path: str | Path,
    edges: Edges = (),
    sure: float = 0.0,
    zoom: float = 1.0,
) -> Path:
    """Write a video with its tracks drawn on it, in constant memory; frames keep their times.

    Parameters
    ----------
    video
        What was tracked.
    tracks
        A `tracks` recording in px; its coordinate `frame` says which frame a row is.
    path
        The new video, .mp4.
    edges
        Bones.
    sure
        Points of less confidence are left out.
    zoom
        Size of the new video over that of the old one.

    Raises
    ------
    DataError
        If the tracks are in another unit.
    """
    from neuroloom.io.video import write_video

    if tracks.attrs.get("unit") != "px" or tracks.sizes["space"] != 2:
        raise DataError(
            f"{video.path.name}: only tracks in px with x and y can be drawn, these are in "
            f"{tracks.attrs.get('unit')} with {tracks.sizes['space']} axes."
        )
    drawn = _drawn(video, tracks, edges, sure, zoom)
    return write_video(path, drawn, video.rate, video.times)


def _drawn(
    video: Video, tracks: xr.DataArray, edges: Edges, sure: float, zoom: float
) -> Iterator[np.ndarray]:
    points = tracks.transpose("time", "individuals", "keypoints", "space").values
    trust = tracks.confidence.transpose("time", "individuals", "keypoints").values
    points = np.where((trust < sure)[..., None], np.nan, points)  # unknown confidence stays
    row = {int(number): place for place, number in enumerate(tracks.frame.values)}
    for first, frames in video.blocks(16):
        for number, frame in enumerate(frames, start=first):
            if number in row:
                yield draw_points(frame, points[row[number]], edges, zoom=zoom)
            else:
                yield np.asarray(_canvas(frame, zoom))


def _per_animal(points: np.ndarray) -> np.ndarray:
    points = np.asarray(points, float)
    points = points[None] if points.ndim == 2 else points
    if points.ndim != 3 or points.shape[-1] != 2:
        raise DataError(f"expected points (individual, keypoint, 2), got {points.shape}.")
    return points


def _placed(points: np.ndarray, zoom: float) -> np.ndarray:
    """Return places on the picture: centres of pixels stay centres of the larger ones.

    Pillow would cut fractions off, which moves everything up and left.
    """
    return np.rint((points + 0.5) * zoom - 0.5)


def _canvas(frame: np.ndarray, zoom: float) -> Any:
    from PIL import Image

    if frame.ndim != 3 or frame.shape[-1] not in (1, 3) or frame.dtype != np.uint8:
        raise DataError(f"expected a frame (y, x, 1 or 3) of uint8, got {frame.shape}.")
    pixels = np.repeat(frame, 3, axis=-1) if frame.shape[-1] == 1 else frame
    canvas = Image.fromarray(np.ascontiguousarray(pixels))
    if zoom == 1:
        return canvas
    height, width = frame.shape[:2]
    return canvas.resize((max(1, round(width * zoom)), max(1, round(height * zoom))))


def _draw_animal(
    pen: Any, points: np.ndarray, edges: Edges, inks: Sequence[Colour], size: float
) -> None:
    for start, end in edges:
        if np.isfinite(points[[start, end]]).all():
            pen.line([tuple(points[start]), tuple(points[end])], fill=inks[end], width=1)
    for (x, y), ink in zip(points, inks, strict=True):
        if np.isfinite([x, y]).all():
            pen.ellipse([x - size, y - size, x + size, y + size], fill=ink)


def _draw_truth(pen: Any, truth: np.ndarray, found: np.ndarray, size: float) -> None:
    """Draw rings where points are, and lines to where they were found."""
    wide = size + 1
    for place in np.ndindex(truth.shape[:2]):
        x, y = truth[place]
        if not np.isfinite([x, y]).all():
            continue
        pen.ellipse([x - wide, y - wide, x + wide, y + wide], outline=_TRUTH)
        if truth.shape == found.shape and np.isfinite(found[place]).all():
            pen.line([(x, y), tuple(found[place])], fill=_TRUTH, width=1)
