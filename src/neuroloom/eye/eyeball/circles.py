"""Circles in space from the ellipses that a camera sees: two for each, of which one is right."""

from __future__ import annotations

import numpy as np

from neuroloom.eye.find.ellipse import rim, to_conic


def unproject(
    ellipses: np.ndarray, focal: float, origin: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the two circles of radius one that each ellipse may be the image of.

    Parameters
    ----------
    ellipses
        (n, 5), px.
    focal
        Focal length, px.
    origin
        Where the camera's axis meets the picture, px.

    Returns
    -------
    tuple
        Centres and unit normals, (n, 2, 3) each, in the camera's coordinates (x right, y down, z
        ahead); normals point towards the camera.

    References
    ----------
    Safaee-Rad et al. (1992), IEEE Trans. Robot. Autom. 8, 624-640; in the form of Chen, Wu & Wada
    (2004), ECCV, LNCS 3023, 521-533; for eyes: Swirski & Dodgson (2013), ECEM.

    Examples
    --------
    >>> centres, normals = unproject(np.array([[50.0, 40, 10, 10, 0]]), 100.0, (50.0, 40.0))
    >>> (centres[0, 0].round(3) + 0.0).tolist(), (normals[0, 0].round(3) + 0.0).tolist()
    ([0.0, 0.0, 10.0], [0.0, 0.0, -1.0])
    """
    moved = np.array(ellipses, float)
    moved[:, :2] -= origin
    moved[:, :4] /= focal
    a, b, c, d, e, f = to_conic(moved).T
    cone = np.stack([a, b / 2, d / 2, b / 2, c, e / 2, d / 2, e / 2, f], -1).reshape(-1, 3, 3)
    values, vectors = np.linalg.eigh(cone)
    # two eigenvalues are positive, one negative: largest first, the negative one last
    l1, l2, l3 = values[:, 2], values[:, 1], values[:, 0]
    axes = vectors[:, :, [2, 1, 0]]
    flat = np.sqrt(np.clip((l1 - l2) / (l1 - l3), 0, 1))
    steep = np.sqrt(np.clip((l2 - l3) / (l1 - l3), 0, 1))
    size = l2 / np.sqrt(-l1 * l3)
    centres, normals = [], []
    for sign in (1.0, -1.0):
        zero = np.zeros_like(flat)
        normal = np.stack([sign * flat, zero, -steep], -1)
        centre = size[:, None] * np.stack([sign * l3 / l2 * flat, zero, -l1 / l2 * steep], -1)
        normal = np.einsum("nij,nj->ni", axes, normal)
        centre = np.einsum("nij,nj->ni", axes, centre)
        centre *= np.sign(centre[:, 2:])
        normals.append(normal * -np.sign((normal * centre).sum(1, keepdims=True)))
        centres.append(centre)
    return np.stack(centres, 1), np.stack(normals, 1)


def middle_of(ellipses: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the point (2,) px nearest to the short axes of all ellipses: the eyeball's image.

    A disc on a ball is seen shortened along the line to the ball's middle; the more it is, the
    more that line counts. Lines far off lose their weight.
    """
    weights = weights * (1 - (ellipses[:, 3] / ellipses[:, 2]) ** 2)
    # across the short axis, the line's normal: the direction of the long one
    normal = np.stack([np.cos(ellipses[:, 4]), np.sin(ellipses[:, 4])], -1)
    level = (normal * ellipses[:, :2]).sum(1)
    kept = weights
    point = ellipses[:, :2].mean(axis=0)
    for _ in range(8):
        left = np.einsum("n,ni,nj->ij", kept, normal, normal) + 1e-9 * np.eye(2)
        point = np.linalg.solve(left, (kept * level) @ normal + 1e-9 * point)
        off = np.abs(normal @ point - level)
        limit = max(2.5 * float(np.median(off)), 1.0)
        kept = weights / np.maximum(off / limit, 1.0)
    return point


def rays(
    ellipses: np.ndarray, focal: float, origin: tuple[float, float], points: int
) -> np.ndarray:
    """Return unit vectors from the camera to points of each rim, (n, points, 3)."""
    places = (rim(ellipses, points) - origin) / focal
    whole = np.concatenate([places, np.ones((*places.shape[:-1], 1))], axis=-1)
    return whole / np.linalg.norm(whole, axis=-1, keepdims=True)
