"""A net that looks from all cameras at once: features of each view, cast into a grid of voxels.

After DANNCE (Dunn et al. 2021): images are unprojected into a cube round the animal, a small 3-D
net joins the views, and each keypoint is the expected place under a softmax over the voxels. Here
the 2-D net gives each view's log-probability of every keypoint, so that their sum over views is
already a product of experts; the 3-D net starts from that sum and learns what to change.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDE = 2
FINE, HALF = 11, 1.25  # points along a side of the closer look, and half of it in voxels


def layer(dims: int, given: int, wanted: int) -> nn.Sequential:
    """Return a convolution of 3 with group norm, in 2-D or 3-D.

    Examples
    --------
    >>> layer(2, 3, 8)(torch.zeros(1, 3, 10, 12)).shape
    torch.Size([1, 8, 10, 12])
    """
    conv = nn.Conv2d if dims == 2 else nn.Conv3d
    return nn.Sequential(
        conv(given, wanted, 3, padding=1, bias=False), nn.GroupNorm(4, wanted), nn.SiLU()
    )


def _block(given: int, wanted: int) -> nn.Sequential:
    return nn.Sequential(layer(2, given, wanted), layer(2, wanted, wanted))


class ViewNet(nn.Module):
    """A small U-Net: from crops (n, 1, y, x) to log-probabilities of keypoints over the crop.

    Returns them (n, keypoint, y/2, x/2), the log-probability (n, keypoint) that a keypoint is not
    in the crop, and features (n, width, y/2, x/2).

    Examples
    --------
    >>> told, absent, features = ViewNet(5, 8)(torch.zeros(2, 1, 32, 32))
    >>> told.shape, absent.shape, features.shape
    (torch.Size([2, 5, 16, 16]), torch.Size([2, 5]), torch.Size([2, 8, 16, 16]))
    """

    def __init__(self, keypoints: int, width: int = 16) -> None:
        super().__init__()
        w = width
        self.stem = nn.Sequential(nn.Conv2d(1, w, 5, STRIDE, 2, bias=False), nn.GroupNorm(4, w),
                                  nn.SiLU())  # fmt: skip
        self.down = nn.ModuleList([_block(w, w), _block(w, 2 * w), _block(2 * w, 4 * w),
                                   _block(4 * w, 4 * w)])  # fmt: skip
        self.up = nn.ModuleList([_block(8 * w, 2 * w), _block(4 * w, w), _block(2 * w, w)])
        self.head = nn.Conv2d(w, keypoints, 1)
        self.absent_head = nn.Linear(4 * w, keypoints)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Look at crops of unit variance."""
        x, kept = self.stem(crops), []
        for number, down in enumerate(self.down):
            x = down(x if number == 0 else F.max_pool2d(x, 2))
            kept.append(x)
        absent = self.absent_head(x.mean((-2, -1)))
        for up, skip in zip(self.up, kept[-2::-1], strict=True):
            wide = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = up(torch.cat([wide, skip], 1))
        heat = self.head(x)
        told = F.log_softmax(torch.cat([heat.flatten(2), absent[..., None]], -1), -1)
        return told[..., :-1].unflatten(2, heat.shape[-2:]), told[..., -1], x


class VolumeNet(nn.Module):
    """From the crops of all cameras to places in a cube of voxels.

    Parameters
    ----------
    keypoints
        How many.
    width
        Channels of the 2-D net's first level.
    mix
        Channels of the 3-D net's first level.

    Examples
    --------
    >>> net = VolumeNet(5, 8, 8)
    >>> grid = torch.rand(1, 2, 8**3, 2) * 16
    >>> voxels = torch.rand(1, 8**3, 3)
    >>> net(torch.zeros(1, 2, 1, 32, 32), grid, voxels)[0].shape
    torch.Size([1, 5, 3])
    """

    def __init__(self, keypoints: int, width: int = 16, mix: int = 16) -> None:
        super().__init__()
        self.view = ViewNet(keypoints, width)
        self.few = nn.Conv2d(width, 8, 1)
        self.enter = nn.Sequential(nn.Conv3d(2 * keypoints + 16, mix, 1), layer(3, mix, mix))
        self.middle = nn.Sequential(layer(3, mix, 2 * mix), layer(3, 2 * mix, mix))
        self.leave = layer(3, 2 * mix, mix)
        self.head = nn.Conv3d(mix, keypoints, 1)
        self.sharp = nn.Parameter(torch.zeros(keypoints))
        self.sharp_near = nn.Parameter(torch.zeros(keypoints))
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(
        self, crops: Tensor, pixels: Tensor, voxels: Tensor, seen: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Find the keypoints.

        Parameters
        ----------
        crops
            Shape (n, camera, 1, y, x), unit variance.
        pixels
            Where each voxel is in each crop, shape (n, camera, voxel, 2), px of the crop.
        voxels
            Where each voxel is in space, shape (n, voxel, 3); the voxels fill a cube in order.
        seen
            Which cameras to use, shape (n, camera); all if not given.

        Returns
        -------
        Places (n, keypoint, 3); log-probabilities (n, keypoint, voxel); and those of each view,
        (n, camera, keypoint, y/2, x/2).
        """
        n, cameras = crops.shape[:2]
        # The views have learnt alone; what joins them must not make them surer than they are.
        with torch.no_grad():
            told, absent, features = self.view(crops.flatten(0, 1))
        # Where a voxel is larger than a cell, the best cell within its reach counts.
        across = reach(pixels)
        best = F.max_pool2d(told, across, 1, across // 2)
        outside = absent - math.log(told.shape[-1] * told.shape[-2])
        where = pixels.flatten(0, 1)
        cast = torch.cat([sample(best, where, outside), sample(self.few(features), where)], 1)
        cast = cast.unflatten(0, (n, cameras))
        weight = torch.ones(n, cameras, device=crops.device) if seen is None else seen.float()
        k, side = told.shape[1], round(voxels.shape[1] ** (1 / 3))
        total, joined = self._join(cast, weight[:, :, None, None], k)
        change = self._change(joined.unflatten(2, (side,) * 3))
        volume = F.log_softmax(total + change.flatten(2), -1)
        told = told.unflatten(0, (n, cameras))
        outside = outside.unflatten(0, (n, cameras))
        places = self._close((told, outside), change, volume, pixels, voxels, weight)
        return places, volume, told

    def _join(self, cast: Tensor, weight: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return the sums of log-probabilities, and what the 3-D net sees."""
        count = weight.sum(1).clamp(min=1)
        mean = (cast * weight).sum(1) / count
        spread = (((cast - mean[:, None]) ** 2 * weight).sum(1) / count + 1e-6).sqrt()
        total = mean[:, :k] * count * self.sharp.exp()[:, None]
        # Of log-probabilities what matters is how far below the best they are.
        relative = (mean[:, :k] - mean[:, :k].amax(-1, keepdim=True)) / 4
        return total, torch.cat([relative, mean[:, k:], spread[:, :k] / 4, spread[:, k:]], 1)

    def _close(
        self, views: tuple[Tensor, Tensor], change: Tensor, volume: Tensor, pixels: Tensor,
        voxels: Tensor, weight: Tensor,
    ) -> Tensor:  # fmt: skip
        """Look closer round each keypoint's best voxel, at the views themselves.

        Voxels are coarser than what views tell. Where a point between voxels is seen varies almost
        as a straight line, so it is interpolated.
        """
        (told, outside), (n, k), side = views, change.shape[:2], change.shape[-1]
        line = torch.linspace(-HALF, HALF, FINE, device=told.device)
        near = torch.stack(torch.meshgrid(line, line, line, indexing="ij"), -1).reshape(-1, 3)
        middle = peak(volume.detach().unflatten(2, (side,) * 3)).clamp(HALF, side - 1 - HALF)
        index = middle[:, :, None] + near  # (n, k, point, 3), in voxels of the cube
        known = torch.cat([pixels.transpose(1, 2).flatten(2), voxels], -1).transpose(1, 2)
        between = within(known.unflatten(2, (side,) * 3), index.flatten(1, 2))
        between = between.unflatten(2, (k, -1))  # (n, 2 cameras + 3, k, point)
        cameras = told.shape[1]
        where = between[:, :-3].unflatten(1, (cameras, 2)).permute(0, 1, 3, 4, 2)
        maps = told.flatten(0, 2)[:, None]
        heat = sample(maps, where.flatten(0, 2), outside.flatten()[:, None])
        heat = heat[:, 0].unflatten(0, (n, cameras, k))
        total = (heat * weight[:, :, None, None]).sum(1) * self.sharp_near.exp()[:, None]
        more = within(change.flatten(0, 1)[:, None], index.flatten(0, 1))[:, 0].unflatten(0, (n, k))
        share = F.softmax(total + more, -1)
        return torch.einsum("nkp,nckp->nkc", share, between[:, -3:])

    def _change(self, joined: Tensor) -> Tensor:
        fine = self.enter(joined)
        coarse = self.middle(F.max_pool3d(fine, 2))
        wide = F.interpolate(coarse, size=fine.shape[2:], mode="trilinear", align_corners=False)
        return self.head(self.leave(torch.cat([fine, wide], 1)))


def sample(maps: Tensor, pixels: Tensor, outside: Tensor | None = None) -> Tensor:
    """Return what maps (n, c, y, x) at half resolution have at pixels (n, m, 2) of the crop.

    The centre of a map's first cell lies between the crop's first two pixels. Beyond the border is
    `outside` (n, c); if it is not given, the border's value goes on.

    Examples
    --------
    >>> sample(torch.arange(4.0).reshape(1, 1, 2, 2), torch.tensor([[[2.5, 0.5]]])).item()
    1.0
    """
    size = torch.tensor(maps.shape[:-3:-1], device=maps.device, dtype=maps.dtype) * STRIDE
    place = (2 * pixels + 1) / size - 1
    got = F.grid_sample(maps, place[:, :, None], padding_mode="border", align_corners=False)
    if outside is None:
        return got[..., 0]
    beyond = (place.abs() > 1).any(-1)
    return torch.where(beyond[:, None], outside[..., None], got[..., 0])


def reach(pixels: Tensor) -> int:
    """Return how many cells across a voxel is, an odd number, of its pixels (n, camera, voxel, 2).

    Examples
    --------
    >>> line = torch.arange(4) * 3.0
    >>> cube = torch.stack(torch.meshgrid(line, line, line, indexing="ij"), -1).reshape(1, 1, -1, 3)
    >>> reach(cube[..., :2]), reach(cube[..., :2] / 6)
    (3, 1)
    """
    side = round(pixels.shape[2] ** (1 / 3))
    cubes = pixels.unflatten(2, (side,) * 3)
    if side < 2:
        return 1
    gaps = [cubes.diff(dim=axis).norm(dim=-1).mean() for axis in (2, 3, 4)]
    return 1 + 2 * round(float(torch.stack(gaps).max()) / STRIDE / 2)


def within(volume: Tensor, index: Tensor) -> Tensor:
    """Return what a volume (n, c, a, b, c) has at places (n, m, 3) between its voxels, (n, c, m).

    Examples
    --------
    >>> volume = torch.arange(8.0).reshape(1, 1, 2, 2, 2)
    >>> within(volume, torch.tensor([[[0.5, 0.0, 1.0]]])).item()
    3.0
    """
    size = torch.tensor(volume.shape[2:], device=index.device, dtype=index.dtype)
    place = (index * 2 / (size - 1).clamp(min=1) - 1).flip(-1)
    got = F.grid_sample(volume, place[:, :, None, None], padding_mode="border", align_corners=True)
    return got[..., 0, 0]


def peak(volume: Tensor) -> Tensor:
    """Return where log-probabilities (n, k, a, a, a) are best, in voxels, (n, k, 3).

    It is the mean of the best voxel and its neighbours, weighted by their probabilities.

    Examples
    --------
    >>> volume = torch.full((1, 1, 4, 4, 4), -99.0)
    >>> volume[0, 0, 1, 2, 2:] = 0.0
    >>> peak(volume).tolist()
    [[[1.0, 2.0, 2.5]]]
    """
    side = volume.shape[-1]
    flat = volume.flatten(2)
    best = flat.argmax(-1, keepdim=True)
    line = torch.arange(side, device=volume.device)
    places = torch.stack(torch.meshgrid(line, line, line, indexing="ij"), -1).reshape(-1, 3)
    near = ((places - places[best]).abs() <= 1).all(-1)
    share = (flat - flat.amax(-1, keepdim=True)).exp() * near
    return share @ places.to(share.dtype) / share.sum(-1, keepdim=True)


def target_heat(pixels: Tensor, shape: tuple[int, int], sigma: float = 1.5) -> Tensor:
    """Return probabilities (n, keypoint, y/2, x/2) round true pixels (n, keypoint, 2) of crops.

    Points that are missing (NaN) or outside the crop have none: all zero.

    Examples
    --------
    >>> target_heat(torch.tensor([[[2.5, 0.5]]]), (4, 4), 0.1).argmax().item()
    1
    """
    height, width = shape[0] // STRIDE, shape[1] // STRIDE
    y = torch.arange(height, device=pixels.device) * STRIDE + (STRIDE - 1) / 2
    x = torch.arange(width, device=pixels.device) * STRIDE + (STRIDE - 1) / 2
    far = (y[:, None] - pixels[..., 1, None, None]) ** 2
    far = far + (x - pixels[..., 0, None, None]) ** 2
    heat = torch.exp(-far / (2 * sigma**2))
    size = torch.tensor([shape[1], shape[0]], device=pixels.device)
    inside = (pixels > -0.5).all(-1) & (pixels < size - 0.5).all(-1)
    heat = torch.where(inside[..., None, None], heat, torch.zeros_like(heat))
    return heat / heat.sum((-2, -1), keepdim=True).clamp(min=1e-6)


def decode(told: Tensor, reach: int = 2) -> tuple[Tensor, Tensor]:
    """Return pixels (n, keypoint, 2) and confidence (n, keypoint) of log-probabilities.

    The pixel is the mean within `reach` cells of the peak; the confidence the probability there.

    Examples
    --------
    >>> heat = target_heat(torch.tensor([[[9.0, 6.0]]]), (24, 24)).log()
    >>> decode(heat)[0].round(decimals=1).tolist()
    [[[9.0, 6.0]]]
    """
    p = told.exp()
    height, width = p.shape[-2:]
    peak = p.flatten(2).argmax(-1)
    y = torch.arange(height, device=p.device)
    x = torch.arange(width, device=p.device)
    near = ((y[:, None] - (peak // width)[..., None, None]).abs() <= reach) & (
        (x - (peak % width)[..., None, None]).abs() <= reach
    )
    p = p * near
    mass = p.sum((-2, -1))
    down = (p.sum(-1) * y).sum(-1) / mass.clamp(min=1e-12)
    across = (p.sum(-2) * x).sum(-1) / mass.clamp(min=1e-12)
    return torch.stack([across, down], -1) * STRIDE + (STRIDE - 1) / 2, mass
