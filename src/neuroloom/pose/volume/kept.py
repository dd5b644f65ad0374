"""A trained model of a run: nets, cameras, sizes; and what all of it finds in views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroloom.learn.store import read_arrays, write_arrays
from neuroloom.pose.rig.cameras import Rig
from neuroloom.pose.rig.files import read_rig, write_rig
from neuroloom.pose.volume.centre import find_centres, make_finder
from neuroloom.pose.volume.find import predict_volume
from neuroloom.pose.volume.learn import make_net
from neuroloom.pose.volume.views import Shape, Views

if TYPE_CHECKING:
    from torch import nn

    from neuroloom.pose.confidence import Calibration
    from neuroloom.pose.volume.nets.volume import ViewNet, VolumeNet

Floats = NDArray[np.float64]
LOOKS = 2  # the cube is laid anew round what the first look found


@dataclass(frozen=True, eq=False)
class Kept:
    """What a run leaves to find points with.

    Attributes
    ----------
    nets, finders
        Of the points and of the animal's centre, one each a seed; their means are taken.
    rig
        Cameras of the films in their full size.
    shape
        Of crops and cubes in small images.
    shrink
        How many times smaller images are than the films.
    mean
        Mean pose round its centre, shape (keypoint, 3).
    room
        Low and high corner of where the animal can be, shape (2, 3).
    calibration
        What a spread means in moments held out; None before it is known.
    reach
        Confidence is the probability of an error below it, in the rig's unit.
    """

    nets: Sequence[VolumeNet]
    finders: Sequence[ViewNet]
    rig: Rig
    shape: Shape
    shrink: int
    mean: Floats
    room: Floats
    calibration: Calibration | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def to(self, device: str) -> Kept:
        """Move the nets to a device."""
        every: list[nn.Module] = [*self.nets, *self.finders]
        for net in every:
            net.to(device)
        return self

    @property
    def reach(self) -> float:
        """A twentieth of the cube, which is some tenth of the animal."""
        return self.shape.cube / 20


@dataclass(frozen=True, eq=False)
class Found:
    """Points of moments: (moment, keypoint, 3) and spread (moment, keypoint); NaN where nothing is.

    `centres` (moment, 3) and `sure` (moment,) are those of the animal as it was found; `cubes`
    (moment, 3) is where the last cubes were laid.
    """

    places: Floats
    spread: Floats
    centres: Floats
    sure: Floats
    cubes: Floats


def find(kept: Kept, views: Views) -> Found:
    """Find the animal, then its points in a cube round it, then again round those points."""
    centres, sure = find_centres(kept.finders, views, kept.room)
    n, keypoints, cubes = len(centres), len(kept.mean), centres.copy()
    places, spread = np.full((n, keypoints, 3), np.nan), np.full((n, keypoints), np.nan)
    rows = np.flatnonzero(sure > 0)
    for look in range(LOOKS if len(rows) else 0):
        if look:
            cubes[rows] = np.nanmean(places[rows], axis=1)
        places[rows], spread[rows] = find_around(kept, views.take(rows), cubes[rows])
    return Found(places, spread, centres, sure, cubes)


def find_around(kept: Kept, views: Views, centres: Floats) -> tuple[Floats, Floats]:
    """Return the points in cubes round known centres: places and spreads, means over the nets.

    A point that was never labelled was not learnt: NaN.
    """
    done = [predict_volume(net, views, centres, kept.shape) for net in kept.nets]
    places = np.mean([one for one, _ in done], axis=0)
    places[:, ~np.isfinite(kept.mean).all(-1)] = np.nan
    apart = np.mean([((one - places) ** 2).sum(-1) for one, _ in done], axis=0)
    return places, np.sqrt(np.mean([spread**2 for _, spread in done], axis=0) + apart)


def save(kept: Kept, folder: Path) -> None:
    """Write model.safetensors and calibration.json, the cameras, into a run's folder."""
    arrays: dict[str, np.ndarray] = {"mean": kept.mean, "room": kept.room}
    for kind, nets in (("net", kept.nets), ("finder", kept.finders)):
        for number, net in enumerate(nets):
            arrays |= {f"{kind}/{number}/{key}": one for key, one in _state(net).items()}
    calibration = None if kept.calibration is None else kept.calibration.as_dict()
    facts = {"shape": asdict(kept.shape), "shrink": kept.shrink, "nets": len(kept.nets)}
    facts |= {"calibration": calibration, "extra": kept.extra}
    write_arrays(folder / "model.safetensors", arrays, facts)
    write_rig(kept.rig, folder / "calibration.json")


def load(folder: Path) -> Kept:
    """Read what `save` wrote.

    Raises
    ------
    RunError
        If a file is missing or cut.
    """
    from neuroloom.pose.confidence import Calibration

    arrays, facts = read_arrays(folder / "model.safetensors")
    nets, finders, keypoints = [], [], len(arrays["mean"])
    for number in range(facts["nets"]):
        nets.append(_filled(make_net(keypoints, 0), arrays, f"net/{number}/"))
        finders.append(_filled(make_finder(0), arrays, f"finder/{number}/"))
    known = facts["calibration"]
    calibration = None if known is None else Calibration.from_dict(known)
    shape = Shape(**facts["shape"])
    rig = read_rig(folder / "calibration.json")
    return Kept(nets, finders, rig, shape, facts["shrink"], arrays["mean"], arrays["room"],
                calibration, facts["extra"])  # fmt: skip


def _state(net: nn.Module) -> dict[str, np.ndarray]:
    return {key: value.detach().cpu().numpy() for key, value in net.state_dict().items()}


def _filled(net: Any, arrays: dict[str, np.ndarray], prefix: str) -> Any:
    import torch

    own = {key: value for key, value in arrays.items() if key.startswith(prefix)}
    net.load_state_dict({k.removeprefix(prefix): torch.as_tensor(v) for k, v in own.items()})
    return net.eval()
