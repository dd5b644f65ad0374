"""Cameras and the rig they make: from places in space to pixels and back to rays.

Pixels are (x, y) with the centre of the top-left one at (0, 0). A point X of the world lies at
R X + t before the camera, which looks along its own z.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from neuroloom.core.errors import ConfigError, nearest
from neuroloom.pose.rig.lens import distort, distort_slope, pad, undistort

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Camera:
    """One calibrated camera.

    Parameters
    ----------
    name
        Unique in its rig.
    K
        Shape (3, 3): focal lengths, skew and principal point, px.
    distortion
        k1, k2, p1, p2, k3 … k6, as OpenCV has them; stored as eight numbers.
    R, t
        Rotation (3, 3) and shift (3,) from world to camera; `t` in the rig's unit.
    size
        Width and height of its images, px; (0, 0) where it is not known.

    Raises
    ------
    ConfigError
        If K or R cannot be those of a camera.

    Examples
    --------
    >>> K = np.array([[800.0, 0, 320], [0, 800, 240], [0, 0, 1]])
    >>> camera = Camera("top", K, t=np.array([0.0, 0, 100]), size=(640, 480))
    >>> camera.project(np.array([10.0, 0, 0])).tolist()
    [400.0, 240.0]
    """

    name: str
    K: Floats
    distortion: Floats = field(default_factory=lambda: np.zeros(8))
    R: Floats = field(default_factory=lambda: np.eye(3))
    t: Floats = field(default_factory=lambda: np.zeros(3))
    size: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        for name, shape in (("K", (3, 3)), ("R", (3, 3)), ("t", (3,))):
            value = np.array(getattr(self, name), float)
            if value.size != np.prod(shape) or not np.isfinite(value).all():
                raise ConfigError(
                    f"camera '{self.name}': expected {name} of shape {shape} in finite numbers, "
                    f"got {value.tolist()}."
                )
            object.__setattr__(self, name, value.reshape(shape))
        object.__setattr__(self, "distortion", pad(self.distortion))
        object.__setattr__(self, "size", (int(self.size[0]), int(self.size[1])))
        _check_matrices(self)

    @property
    def centre(self) -> Floats:
        """Where the camera stands in the world, shape (3,)."""
        return -self.R.T @ self.t

    @property
    def direction(self) -> Floats:
        """Unit vector along which it looks, shape (3,)."""
        return self.R[2].copy()

    @property
    def pose(self) -> Floats:
        """[R | t], shape (3, 4)."""
        return np.column_stack([self.R, self.t])

    def project(self, points: np.ndarray) -> Floats:
        """Return the pixels (..., 2) of points (..., 3); NaN for those behind the camera."""
        local = np.asarray(points, float) @ self.R.T + self.t
        depth = np.where(local[..., 2:] > 0, local[..., 2:], np.nan)
        return self.to_pixels(distort(local[..., :2] / depth, self.distortion))

    def to_pixels(self, seen: np.ndarray) -> Floats:
        """Return the pixels of distorted x/z, y/z (..., 2)."""
        return np.asarray(seen, float) @ self.K[:2, :2].T + self.K[:2, 2]

    def undistort(self, pixels: np.ndarray) -> Floats:
        """Return the ideal x/z, y/z (..., 2) of pixels (..., 2); NaN where there is none."""
        away = np.asarray(pixels, float) - self.K[:2, 2]
        return undistort(away @ np.linalg.inv(self.K[:2, :2]).T, self.distortion)

    def unproject(self, pixels: np.ndarray, depth: float | np.ndarray = 1.0) -> Floats:
        """Return the points (..., 3) of the world that lie at `depth` before the camera."""
        ideal = self.undistort(pixels)
        far = np.broadcast_to(np.asarray(depth, float), ideal.shape[:-1])[..., None]
        local = np.concatenate([ideal * far, far], axis=-1)
        return (local - self.t) @ self.R

    def slope(self, points: np.ndarray) -> Floats:
        """Return how pixels move with the point in the world, shape (..., 2, 3), px per unit."""
        local = np.asarray(points, float) @ self.R.T + self.t
        return self.local_slope(local) @ self.R

    def local_slope(self, local: np.ndarray) -> Floats:
        """Return how pixels move with the point in the camera's own frame, shape (..., 2, 3)."""
        x, y, z = np.moveaxis(local, -1, 0)
        nil = np.zeros_like(x)
        ideal = np.stack([np.stack([1 / z, nil, -x / z**2], -1),
                          np.stack([nil, 1 / z, -y / z**2], -1)], -2)  # fmt: skip
        lens = distort_slope(local[..., :2] / z[..., None], self.distortion)
        return self.K[:2, :2] @ lens @ ideal

    def scaled(self, factor: float) -> Camera:
        """Return the camera of images shrunk (or grown) by `factor`, pixel centres kept in place.

        Examples
        --------
        >>> Camera("top", np.diag([800.0, 800, 1])).scaled(0.5).K[0].tolist()
        [400.0, 0.0, -0.25]
        """
        matrix = self.K.copy()
        matrix[:2] *= factor
        matrix[:2, 2] += (factor - 1) / 2
        width, height = self.size
        return replace(self, K=matrix, size=(round(width * factor), round(height * factor)))


def _check_matrices(camera: Camera) -> None:
    """Refuse a camera without focal length and a rotation that is none."""
    fx, fy = camera.K[0, 0], camera.K[1, 1]
    if not (fx > 0 and fy > 0) or not np.allclose(camera.K[2], [0, 0, 1]) or camera.K[1, 0]:
        raise ConfigError(
            f"camera '{camera.name}': expected K as [[fx, skew, cx], [0, fy, cy], [0, 0, 1]], got "
            f"{camera.K.tolist()}; files of MATLAB have it transposed."
        )
    if not np.allclose(camera.R @ camera.R.T, np.eye(3), atol=1e-5) or np.linalg.det(camera.R) < 0:
        raise ConfigError(
            f"camera '{camera.name}': R is no rotation, its rows are {camera.R.tolist()}."
        )


@dataclass(frozen=True, eq=False)
class Rig:
    """Several cameras in one world.

    Parameters
    ----------
    cameras
        At least one, names unique.
    unit
        Of the world: one of `TRACK_UNITS`, such as "mm"; "units" where nobody knows.

    Raises
    ------
    ConfigError
        If there is no camera, or two have one name.

    Examples
    --------
    >>> K = np.diag([800.0, 800, 1])
    >>> rig = Rig((Camera("a", K), Camera("b", K, t=np.array([-50.0, 0, 0]))))
    >>> rig.project(np.array([[0.0, 0, 100]])).tolist()
    [[[0.0, 0.0]], [[-400.0, 0.0]]]
    """

    cameras: tuple[Camera, ...]
    unit: str = "mm"

    def __post_init__(self) -> None:
        object.__setattr__(self, "cameras", tuple(self.cameras))
        if not self.cameras:
            raise ConfigError("A rig needs at least one camera, got none.")
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise ConfigError(f"Two cameras of the rig are called '{twice[0]}'; rename one.")

    def __len__(self) -> int:
        return len(self.cameras)

    def __iter__(self) -> Iterator[Camera]:
        return iter(self.cameras)

    @property
    def names(self) -> tuple[str, ...]:
        """The cameras' names in order."""
        return tuple(camera.name for camera in self.cameras)

    def take(self, names: Iterable[str]) -> Rig:
        """Return the rig of some cameras, in the order of `names`.

        Raises
        ------
        ConfigError
            If the rig has none of a name.
        """
        known = {camera.name: camera for camera in self.cameras}
        chosen = list(names)
        for name in chosen:
            if name not in known:
                raise ConfigError(
                    f"The rig has no camera '{name}'.{nearest(name, known)} It has "
                    f"{', '.join(known)}."
                )
        return Rig(tuple(known[name] for name in chosen), self.unit)

    def project(self, points: np.ndarray) -> Floats:
        """Return the pixels (camera, ..., 2) of points (..., 3)."""
        return np.stack([camera.project(points) for camera in self.cameras])

    def undistort(self, pixels: np.ndarray) -> Floats:
        """Return the ideal x/z, y/z (camera, ..., 2) of pixels (camera, ..., 2)."""
        self.expect(pixels)
        return np.stack([c.undistort(own) for c, own in zip(self.cameras, pixels, strict=True)])

    def scaled(self, factor: float) -> Rig:
        """Return the rig of images shrunk by `factor`; see `Camera.scaled`."""
        return Rig(tuple(camera.scaled(factor) for camera in self.cameras), self.unit)

    def expect(self, pixels: np.ndarray) -> None:
        """Refuse pixels that are not one (..., 2) for each camera.

        Raises
        ------
        ConfigError
            Naming both shapes.
        """
        shape = np.shape(pixels)
        if len(shape) < 2 or shape[0] != len(self) or shape[-1] != 2:
            raise ConfigError(
                f"Expected points of shape ({len(self)} cameras, ..., 2), got {shape}; the cameras "
                f"are {', '.join(self.names)}."
            )
