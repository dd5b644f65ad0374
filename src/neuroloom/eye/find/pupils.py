"""From grey frames to pupils: the net's maps, the eye's place, ellipses, confidence."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.eye.find.dark import contrast, dark_blobs
from neuroloom.eye.find.ellipse import rim
from neuroloom.eye.find.rims import RAYS, fit_robust, rim_of_map, sample, sharpen, within

if TYPE_CHECKING:
    from neuroloom.eye.nets import EyeNet

SHIPPED = Path(__file__).parents[1] / "weights" / "eyes.safetensors"
SIDE = 128
CHUNK = 16
MARGIN = 0.08  # by which the worth of the dark blob must beat that of the net's
TRUST = 2.0  # what confidence is worth beside contrast
SMALLEST = 12.0  # pixels of the map that a pupil covers at least
DOUBT = 0.1  # a blink that is so far from sure is looked at again
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Found:
    """What was found in each of n frames.

    Attributes
    ----------
    ellipse
        The pupil's whole rim, (n, 5): x, y, half axes (px), angle (radians); NaN where none.
    confidence
        0 to 1, (n,); 0 where there is no pupil.
    eye, blink
        Probability that there is an eye, and that its lids cover the pupil, (n,).
    seen
        Share of the rim that was seen, (n,).
    """

    ellipse: np.ndarray
    confidence: np.ndarray
    eye: np.ndarray
    blink: np.ndarray
    seen: np.ndarray


@cache
def load_net(path: Path = SHIPPED) -> EyeNet:
    """Return a net with the weights of a file; the shipped ones by default.

    Raises
    ------
    DataError
        If the file is missing or holds other weights.

    Examples
    --------
    >>> load_net().training
    False
    """
    import torch
    from safetensors.torch import load_file

    from neuroloom.eye.nets import EyeNet

    try:
        state = {name: value.float() for name, value in load_file(path).items()}
        net = EyeNet(state["down.0.0.0.weight"].shape[0])
        net.load_state_dict(state)
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        told = str(error).splitlines()[0]
        raise DataError(f"{path}: these are no weights of the eye net ({told}).") from None
    except Exception as error:  # safetensors' own error derives from Exception alone
        raise DataError(f"{path}: no safetensors file ({error}).") from None
    return net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def digest_of(net: EyeNet) -> str:
    """Return a hash of a net's weights, 16 hex digits.

    Examples
    --------
    >>> digest_of(load_net()) == digest_of(load_net(SHIPPED))
    True
    """
    found = hashlib.sha256()
    for weights in net.state_dict().values():
        found.update(weights.contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def working_shape(shape: tuple[int, int], side: int = SIDE) -> tuple[int, int]:
    """Return the height and width at which the net sees a picture: multiples of 16.

    Examples
    --------
    >>> working_shape((240, 320))
    (96, 128)
    """
    factor = side / max(shape)
    height, width = (max(16, 16 * round(factor * length / 16)) for length in shape)
    return height, width


def maps_of(frames: np.ndarray, net: EyeNet, side: int = SIDE) -> tuple[np.ndarray, np.ndarray]:
    """Return the probabilities of pupil, iris and eye, and of the tags.

    Parameters
    ----------
    frames
        Grey, (n, y, x), 0 to 255.
    net
        From `load_net`.
    side
        Longest side of the maps, px.

    Returns
    -------
    tuple
        Maps (n, 3, y', x') with the shape of `working_shape`, and tags (n, 2): present, blink.
    """
    import torch
    from torch.nn.functional import interpolate

    from neuroloom.eye.nets import normalise

    shape = working_shape(frames.shape[1:], side)
    maps, tags = [], []
    with torch.inference_mode():
        for start in range(0, len(frames), CHUNK):
            part = torch.from_numpy(np.ascontiguousarray(frames[start : start + CHUNK])).float()
            small = interpolate(part[:, None], shape, mode="bilinear", antialias=True)[:, 0]
            x = normalise(small).contiguous(memory_format=torch.channels_last)
            logits, told = net(x)
            maps.append(torch.sigmoid(logits).contiguous().numpy())
            tags.append(torch.sigmoid(told).numpy())
    return np.concatenate(maps), np.concatenate(tags)


def _looked_at_again(frames: np.ndarray, net: EyeNet, side: int, blink: np.ndarray) -> np.ndarray:
    """Return the probabilities of a blink, where in doubt the mean with two further looks.

    One is into a mirror, one at pixels a quarter finer. Of 1,600 rendered eyes of the kind that the
    net learnt from, F1 rose from 0.810 to 0.830; an eye in five is in doubt there.
    """
    rows = np.flatnonzero((blink > DOUBT) & (blink < 1 - DOUBT))
    if not len(rows):
        return blink
    mirrored = maps_of(frames[rows][..., ::-1], net, side)[1][:, 1]
    finer = maps_of(frames[rows], net, side * 5 // 4)[1][:, 1]
    settled = blink.copy()
    settled[rows] = (blink[rows] + mirrored + finer) / 3
    return settled


def find_eye(frames: np.ndarray, net: EyeNet) -> Box | None:
    """Return where the eye is in frames that show it in one place: left, top, width, height (px).

    None where it fills most of the picture, or no frame shows one.

    Parameters
    ----------
    frames
        Some frames of a video, (n, y, x).
    net
        From `load_net`.
    """
    maps, tags = maps_of(frames, net, 2 * SIDE)
    boxes = [_box(map_) for map_, tag in zip(maps[:, 2], tags, strict=True) if tag[0] > 0.5]
    known = np.array([box for box in boxes if box is not None])
    if not len(known):
        return None
    ratio = np.array(frames.shape[1:])[::-1] / np.array(maps.shape[2:])[::-1]
    low = np.percentile(known[:, :2], 15, axis=0) * ratio
    high = np.percentile(known[:, 2:], 85, axis=0) * ratio
    margin = 0.25 * (high - low).max()
    limit = np.array(frames.shape[1:])[::-1]
    low, high = np.maximum(low - margin, 0), np.minimum(high + margin, limit)
    left, top = np.floor(low).astype(int)
    width, height = np.ceil(high).astype(int) - (left, top)
    if width * height > 0.7 * limit.prod():
        return None
    return int(left), int(top), int(width), int(height)


def _box(map_: np.ndarray) -> tuple[float, float, float, float] | None:
    """Return left, top, right, bottom of the weightiest blob of a map."""
    blob = _blob(map_)
    if blob is None:
        return None
    rows, columns = np.nonzero(blob)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def _blob(map_: np.ndarray) -> np.ndarray | None:
    """Return the component of a map above one half that holds most of its weight."""
    from scipy.ndimage import label

    labels, count = label(map_ > 0.5)
    if count == 0:
        return None
    if count == 1:
        return labels == 1
    return labels == np.argmax(np.bincount(labels.ravel(), map_.ravel())[1:]) + 1


def find_pupils(
    frames: np.ndarray,
    net: EyeNet,
    *,
    roi: Box | None = None,
    invert: bool = False,
    side: int = SIDE,
) -> Found:
    """Find the pupil in each frame.

    The net's map gives a first ellipse; its rim, where no lid covers it, is then moved onto the
    edge in the frame itself, at full resolution.

    Parameters
    ----------
    frames
        Grey, (n, y, x) uint8.
    net
        From `load_net`.
    roi
        Left, top, width and height of the part to look at (px); None: everywhere.
    invert
        Look at the negative.
    side
        Longest side of the net's maps, px.

    Examples
    --------
    >>> black = np.zeros((1, 60, 80), np.uint8)
    >>> bool(np.isnan(find_pupils(black, load_net()).ellipse).all())
    True
    """
    left, top, width, height = roi or (0, 0, frames.shape[2], frames.shape[1])
    part = frames[:, top : top + height, left : left + width]
    part = 255 - part if invert else part
    maps, tags = maps_of(part, net, side)
    tags[:, 1] = _looked_at_again(part, net, side, tags[:, 1])
    ratio = np.array(part.shape[1:])[::-1] / np.array(maps.shape[2:])[::-1]
    n = len(frames)
    ellipse, confidence, seen = np.full((n, 5), np.nan), np.zeros(n), np.zeros(n)
    guesses = [_Guess(part, maps, ratio, [_blob(map_) for map_ in maps[:, 0]])]
    if not invert:
        guesses.append(_Guess(part, maps, ratio, dark_blobs(_shrink(part, maps.shape[2:]), maps)))
    best = np.full(n, -np.inf)
    for number, guess in enumerate(guesses):
        if not len(guess.rows):
            continue
        found, share, score = guess.measure()
        sure = _confidence(found, share, maps[guess.rows], guess.masks, tags[guess.rows], ratio)
        # contrast alone would take a dark lid for a pupil; the net's own guess stays unless the
        # other is clearly better
        worth = score + TRUST * np.nan_to_num(sure)
        better = worth - MARGIN * number > best[guess.rows]
        rows = guess.rows[better]
        best[rows] = worth[better]
        found[:, :2] += (left, top)
        ellipse[rows], confidence[rows], seen[rows] = found[better], sure[better], share[better]
    lost = ~np.isfinite(ellipse).all(axis=1)
    confidence[lost] = 0
    return Found(ellipse, confidence, tags[:, 0], tags[:, 1], seen)


def _large(blob: np.ndarray | None) -> bool:
    return blob is not None and blob.sum() >= SMALLEST


def _shrink(frames: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    import torch
    from torch.nn.functional import interpolate

    whole = torch.from_numpy(np.ascontiguousarray(frames))[:, None].float()
    return interpolate(whole, tuple(shape), mode="bilinear", antialias=True)[:, 0].numpy()


class _Guess:
    """Blobs that may be pupils, in those frames that have one."""

    def __init__(
        self, frames: np.ndarray, maps: np.ndarray, ratio: np.ndarray,
        blobs: list[np.ndarray | None],
    ) -> None:  # fmt: skip
        self.rows = np.array([k for k, blob in enumerate(blobs) if _large(blob)], int)
        held = [blob for k in self.rows if (blob := blobs[k]) is not None]
        self.masks = np.stack(held) if held else np.zeros((0, *maps.shape[2:]), bool)
        self.frames, self.maps, self.ratio = frames, maps, ratio

    def measure(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return ellipses (n, 5), the share of their rims that was seen, and their contrast."""
        frames, maps = self.frames[self.rows], self.maps[self.rows]
        found, share = _measure(frames, maps, self.masks, self.ratio)
        weights = _weights(found, maps, self.ratio)
        score, _ = contrast(frames.astype(np.float32), found, weights)
        return found, share, score


def _weights(ellipses: np.ndarray, maps: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Return how surely each of the 64 points of rims, given in px of the frames, is uncovered."""
    points = (rim(ellipses, RAYS) + 0.5) / ratio - 0.5
    return _uncovered(points, maps, (ellipses[:, :2] + 0.5) / ratio - 0.5)


def _measure(
    frames: np.ndarray, maps: np.ndarray, masks: np.ndarray, ratio: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return ellipses (n, 5) in px of the frames, and the share of the rim that was seen (n,)."""
    centres, reach = _moments(masks)
    # the map's own half-way line where the blob is the map's, the blob's border elsewhere
    points = rim_of_map(np.where(maps[:, 0] > 0.5, maps[:, 0], 0.5 + 0.2) * masks, centres, reach)
    first, _ = fit_robust(points, _uncovered(points, maps, centres))
    first = _stretch(first, ratio)
    size = np.sqrt(first[:, 2] * first[:, 3])
    found, kept = first, np.zeros((len(first), RAYS))
    grey = frames.astype(np.float32)
    for share in (0.22, 0.12, 0.08):
        lift = np.maximum(share * size, 2.5)
        again, kept = sharpen(grey, found, _weights(found, maps, ratio), lift)
        found = np.where(_plausible(again, first)[:, None], again, found)
    return found, (kept > 0.3).mean(axis=1)


def _moments(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the centres (n, 2) of masks, and a length that reaches beyond their rims (n,)."""
    height, width = masks.shape[1:]
    total = masks.sum(axis=(1, 2))
    x = (masks.sum(axis=1) * np.arange(width)).sum(axis=1) / total
    y = (masks.sum(axis=2) * np.arange(height)).sum(axis=1) / total
    rows, columns = masks.any(axis=2), masks.any(axis=1)
    reach = np.hypot(rows.sum(axis=1), columns.sum(axis=1)) + 2
    return np.stack([x, y], axis=1), reach.astype(float)


def _uncovered(points: np.ndarray, maps: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return how surely iris, not lid or the border of the picture, lies outside rim points."""
    out = points - centres[:, None]
    out = out / np.maximum(np.linalg.norm(out, axis=-1, keepdims=True), 1e-6)
    sure = np.ones(points.shape[:-1])
    for far in (1.5, 3.0):
        place = np.nan_to_num(points + far * out)
        # near the limbus iris gives way to sclera, so that the eye's own map counts, too
        both = np.maximum(maps[:, 1], maps[:, 2])
        sure = np.minimum(sure, sample(both, place[..., 0], place[..., 1]))
    open_ = within(points[..., 0], points[..., 1], maps.shape)
    return np.clip(2 * sure - 0.6, 0.0, 1.0) * open_ + 1e-3


def _stretch(ellipses: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Return ellipses of a small picture in the px of the large one; the ratios differ a little."""
    from neuroloom.eye.find.ellipse import fit_ellipse

    points = (rim(ellipses, 16) + 0.5) * ratio - 0.5
    return fit_ellipse(points)


def _plausible(found: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Say which ellipses are near the first ones in size and place."""
    size = np.sqrt(first[:, 2] * first[:, 3])
    with np.errstate(invalid="ignore"):
        near = np.hypot(*(found[:, :2] - first[:, :2]).T) < 0.5 * size
        ratio = np.sqrt(found[:, 2] * found[:, 3]) / size
        return near & (ratio > 0.65) & (ratio < 1.55)


def _confidence(
    ellipses: np.ndarray, seen: np.ndarray, maps: np.ndarray, masks: np.ndarray,
    tags: np.ndarray, ratio: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Return how far to trust each ellipse, 0 to 1.

    The product of: an eye is present, its lids are open, the map is sure inside the blob, blob and
    ellipse agree (overlap) where no lid is, and half of the rim or more was seen.
    """
    height, width = masks.shape[1:]
    y, x = np.mgrid[:height, :width]
    places = np.stack([(x + 0.5) * ratio[0] - 0.5, (y + 0.5) * ratio[1] - 0.5], axis=-1)
    overlap = np.zeros(len(masks))
    for k, (ellipse, mask) in enumerate(zip(ellipses, masks, strict=True)):
        drawn = _inside(ellipse, places) & (maps[k, 2] > 0.5)
        overlap[k] = (drawn & mask).sum() / max((drawn | mask).sum(), 1)
    sure = (maps[:, 0] * masks).sum(axis=(1, 2)) / masks.sum(axis=(1, 2))
    rims = np.clip(seen / 0.5, 0, 1)
    product = tags[:, 0] * (1 - tags[:, 1]) * sure * overlap * rims
    return np.nan_to_num(product)


def _inside(ellipse: np.ndarray, places: np.ndarray) -> np.ndarray:
    x, y, major, minor, angle = ellipse
    dx, dy = places[..., 0] - x, places[..., 1] - y
    along = (np.cos(angle) * dx + np.sin(angle) * dy) / major
    across = (np.cos(angle) * dy - np.sin(angle) * dx) / minor
    return along**2 + across**2 <= 1
