"""Animals as dark or bright blobs before a still background: found without any training.

For a dish seen from above this is enough to say where animals are; where they touch, the blob is
shared out among them. `pose.track` then keeps their names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroloom.core.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

    from neuroloom.io.video import Video

SAMPLED = 60  # frames from which the background is learnt
BLOCK = 64
ROUNDS = 12
LEAST = 8.0  # grey levels that an animal differs from the background by, at least
NAMES = ("front", "middle", "back")


def still_background(video: Video, sampled: int = SAMPLED) -> np.ndarray:
    """Return what the frames show when no animal is there (y, x): their median in time.

    Frames are first brought to the same light.

    Parameters
    ----------
    video
        Opened.
    sampled
        Frames, in even steps.
    """
    frames = _sample(video, sampled)
    bright = np.median(frames, (1, 2))
    frames *= (np.median(bright) / np.maximum(bright, 1.0)).astype(np.float32)[:, None, None]
    return np.median(frames, 0).astype(np.float32)


def _sample(video: Video, count: int = SAMPLED) -> np.ndarray:
    """Return frames in even steps (n, y, x), grey, without those that cannot be decoded."""
    numbers = np.unique(np.linspace(0, len(video) - 1, count).astype(int))
    frames = video.read(numbers).mean(-1, dtype=np.float32)
    sound: np.ndarray = frames[~video.damaged[numbers]]
    return sound


def same_light(frames: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return frames (…, y, x) as bright as the background, by the ratio of most pixels.

    Examples
    --------
    >>> background = np.full((4, 4), 100.0)
    >>> float(same_light(background * 0.5, background).mean())
    100.0
    """
    # Every fourth pixel tells as much of the light as all do.
    some = np.median(frames[..., ::4, ::4], (-2, -1), keepdims=True)
    share = np.median(background[::4, ::4]) / np.maximum(some, 1.0)
    return frames * share.astype(frames.dtype)


def find_blobs(
    frame: np.ndarray,
    background: np.ndarray,
    animals: int,
    threshold: float,
    area: float,
) -> np.ndarray:
    """Return the front, middle and back of each animal of a frame (animal, 3, 2), px.

    Parameters
    ----------
    frame
        Shape (y, x), grey, in the light of the background.
    background
        Shape (y, x).
    animals
        How many there are; NaN where fewer are seen.
    threshold
        Difference from the background from which a pixel is animal, grey levels.
    area
        Of an animal, px; smaller blobs than a third of it are none, and larger ones are shared.

    Notes
    -----
    Front and back are the ends of the long axis; which is which is decided by `orient`.
    """
    from scipy.ndimage import binary_opening, label

    mask = binary_opening(np.abs(frame - background) > threshold)
    names, count = label(mask)
    out = np.full((animals, len(NAMES), 2), np.nan)
    if not count:
        return out
    sizes = np.bincount(names.ravel())[1:]
    kept = np.flatnonzero(sizes >= area / 3)
    kept = kept[np.argsort(-sizes[kept], kind="stable")][:animals]
    shares = _shares(sizes[kept], animals, area)
    found = []
    for own, share in zip(kept, shares, strict=True):
        y, x = np.nonzero(names == own + 1)
        found += _ends(np.column_stack([x, y]).astype(float), share)
    for row, ends in zip(out, found, strict=False):
        row[:] = ends
    return out


def _shares(sizes: np.ndarray, animals: int, area: float) -> np.ndarray:
    """Return how many animals each blob is: one, and more of the large ones while some lack."""
    shares = np.ones(len(sizes), int)
    while len(sizes) and shares.sum() < animals:
        largest = int((sizes / shares).argmax())
        if sizes[largest] / shares[largest] < 1.4 * area:
            break
        shares[largest] += 1
    return shares


def _ends(points: np.ndarray, share: int) -> list[np.ndarray]:
    """Return the ends and middles of the animals that a blob's pixels (n, 2) are."""
    own = np.zeros(len(points), int)
    if share > 1:
        # k-means along the blob: first centres in even steps of its long axis.
        axis = _long_axis(points)
        order = np.argsort((points - points.mean(0)) @ axis)
        centres = points[order[((np.arange(share) + 0.5) / share * len(points)).astype(int)]]
        for _ in range(ROUNDS):
            own = ((points[:, None] - centres) ** 2).sum(-1).argmin(1)
            centres = np.stack(
                [points[own == k].mean(0) if (own == k).any() else centres[k] for k in range(share)]
            )
    out = []
    for k in range(share):
        part = points[own == k]
        if len(part) < 3:
            continue
        middle, axis = part.mean(0), _long_axis(part)
        along = (part - middle) @ axis
        low, high = np.quantile(along, [0.02, 0.98])
        out.append(np.stack([middle + high * axis, middle, middle + low * axis]))
    return out


def _long_axis(points: np.ndarray) -> np.ndarray:
    spread = np.cov((points - points.mean(0)).T)
    axis: np.ndarray = np.linalg.eigh(spread)[1][:, -1]
    return axis


def orient(points: np.ndarray) -> np.ndarray:
    """Return tracks whose fronts lead: ends keep their sides, and animals go forwards mostly.

    Parameters
    ----------
    points
        Shape (time, animal, 3, 2): front, middle, back, in any order from frame to frame.

    Examples
    --------
    >>> body = np.array([[4.0, 0.0], [0.0, 0.0], [-4.0, 0.0]])
    >>> path = body + np.arange(6.0)[:, None, None, None] * [3.0, 0.0]
    >>> path[2] = path[2][:, ::-1]
    >>> bool((orient(path)[:, 0, 0] > orient(path)[:, 0, 2]).all(0)[0])
    True
    """
    out = points.copy()
    for animal in range(points.shape[1]):
        track = out[:, animal]
        last = None
        for frame in range(len(track)):
            axis = track[frame, 0] - track[frame, 2]
            if not np.isfinite(axis).all():
                continue
            if last is not None and axis @ last < 0:
                track[frame] = track[frame, ::-1]
                axis = -axis
            last = axis
        speed = np.diff(track[:, 1], axis=0)
        ahead = np.nansum(speed * (track[1:, 0] - track[1:, 2]))
        if ahead < 0:
            out[:, animal] = track[:, ::-1]
    return out


def detect_blobs(
    video: Video,
    animals: int,
    *,
    threshold: float | None = None,
    area: float | None = None,
    rate: float | None = None,
) -> xr.DataArray:
    """Find the animals of a video before its still background, as detections without names.

    Parameters
    ----------
    video
        Opened; it is read once, a block at a time.
    animals
        How many there are.
    threshold
        Grey levels; from the frames if not given (Otsu 1979).
    area
        Of an animal, px; from the frames if not given.
    rate
        Frames a second, Hz, at which they were taken, where the video is shown at another rate.

    Returns
    -------
    A `tracks` recording of the keypoints front, middle and back at the times of the video, NaN
    where a frame cannot be decoded. `pose.link.track.link` names the animals, `orient` tells front
    from back.

    Raises
    ------
    DataError
        If nothing differs from the background.
    """
    from skimage.filters import threshold_otsu

    from neuroloom.core.recording import tracks
    from neuroloom.io.video import frames_at_once

    background = still_background(video)
    off = np.abs(same_light(_sample(video), background) - background)
    if threshold is None:
        threshold = max(float(threshold_otsu(off)), LEAST)
    if area is None:
        sizes = (off > threshold).sum((1, 2)) / animals
        area = float(np.median(sizes))
    if not area >= 4:
        raise DataError(
            f"{video.path.name}: nothing differs from the background by {threshold:.0f} grey "
            "levels; animals that never move are part of it. Give a threshold, or train a net."
        )
    found: list[Any] = []
    for _, block in video.blocks(frames_at_once(video.shape, BLOCK)):
        grey = same_light(block.mean(-1, dtype=np.float32), background)
        found += [find_blobs(frame, background, animals, threshold, area) for frame in grey]
    points = np.stack(found).transpose(0, 3, 2, 1)
    points[video.damaged] = np.nan
    individuals = [f"slot_{number}" for number in range(animals)]
    times = video.times if rate is None else None
    source = video.path.name
    return tracks(points, NAMES, individuals, rate or video.rate, source=source, times=times)
