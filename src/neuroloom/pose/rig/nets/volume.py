"""A net that looks from all cameras at once: features of each view, cast into a grid of voxels.

After DANNCE (Dunn et al. 2021): images are unprojected into a cube round the animal, a small 3-D
net joins the views, and each keypoint is the expected place under a softmax over the voxels. Here
the 2-D net gives each view's log-probability of every keypoint, so that their sum over views is
already a product of experts; the 3-D net starts from that sum and learns what to change.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDE = 2


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

    Returns logits (n, keypoint, y/2, x/2) and features (n, width, y/2, x/2).

    Examples
    --------
    >>> heat, features = ViewNet(5, 8)(torch.zeros(2, 1, 32, 32))
    >>> heat.shape, features.shape
    (torch.Size([2, 5, 16, 16]), torch.Size([2, 8, 16, 16]))
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

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Look at crops of unit variance."""
        x, kept = self.stem(crops), []
        for number, down in enumerate(self.down):
            x = down(x if number == 0 else F.max_pool2d(x, 2))
            kept.append(x)
        for up, skip in zip(self.up, kept[-2::-1], strict=True):
            wide = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = up(torch.cat([wide, skip], 1))
        return self.head(x), x


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
            heat, features = self.view(crops.flatten(0, 1))
        told = F.log_softmax(heat.flatten(2), -1).unflatten(2, heat.shape[-2:])
        cast = sample(torch.cat([told, self.few(features)], 1), pixels.flatten(0, 1))
        cast = cast.unflatten(0, (n, cameras))
        weight = torch.ones(n, cameras, device=crops.device) if seen is None else seen.float()
        weight = weight[:, :, None, None]
        count = weight.sum(1).clamp(min=1)
        mean = (cast * weight).sum(1) / count
        spread = (((cast - mean[:, None]) ** 2 * weight).sum(1) / count + 1e-6).sqrt()
        k, side = heat.shape[1], round(voxels.shape[1] ** (1 / 3))
        total = mean[:, :k] * count * self.sharp.exp()[:, None]
        # Of log-probabilities what matters is how far below the best they are.
        relative = (mean[:, :k] - mean[:, :k].amax(-1, keepdim=True)) / 4
        joined = torch.cat([relative, mean[:, k:], spread[:, :k] / 4, spread[:, k:]], 1)
        change = self._change(joined.unflatten(2, (side,) * 3)).flatten(2)
        volume = F.log_softmax(total + change, -1)
        return volume.exp() @ voxels, volume, told.unflatten(0, (n, cameras))

    def _change(self, joined: Tensor) -> Tensor:
        fine = self.enter(joined)
        coarse = self.middle(F.max_pool3d(fine, 2))
        wide = F.interpolate(coarse, size=fine.shape[2:], mode="trilinear", align_corners=False)
        return self.head(self.leave(torch.cat([fine, wide], 1)))


def sample(maps: Tensor, pixels: Tensor) -> Tensor:
    """Return what maps (n, c, y, x) at half resolution have at pixels (n, m, 2) of the crop.

    The centre of a map's first cell lies between the crop's first two pixels. Beyond the border the
    border's value goes on.

    Examples
    --------
    >>> sample(torch.arange(4.0).reshape(1, 1, 2, 2), torch.tensor([[[2.5, 0.5]]])).item()
    1.0
    """
    size = torch.tensor(maps.shape[:-3:-1], device=maps.device, dtype=maps.dtype) * STRIDE
    place = (2 * pixels + 1) / size - 1
    got = F.grid_sample(maps, place[:, :, None], padding_mode="border", align_corners=False)
    return got[..., 0]


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
    inside = (pixels > -0.5).all(-1) & (pixels < torch.tensor([shape[1], shape[0]]) - 0.5).all(-1)
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
