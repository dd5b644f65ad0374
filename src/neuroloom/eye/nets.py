"""The net that finds pupil, iris and eye in a grey picture, and tells a blink."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

MASKS = ("pupil", "iris", "eye")
TAGS = ("present", "blink")
STRIDE = 16


class EyeNet(nn.Module):
    """A small U-Net with two kinds of answers: three masks, and two tags of the whole picture.

    The masks are nested: the disc within the limbus holds the pupil, the opening between the lids
    holds both. What comes from below is narrowed and added, not put beside (as in LinkNet), so that
    a picture of 128 x 128 takes about ten milliseconds on one core.

    Parameters
    ----------
    width
        Channels at half the resolution; they grow with each level.

    References
    ----------
    Ronneberger et al. (2015), MICCAI, 234-241; Chaurasia & Culurciello (2017), arXiv:1707.03718.
    Maps and tags from one net: Mazziotti et al. (2021), eNeuro 8 (MEYE); masks for gaze: Yiu et al.
    (2019), J. Neurosci. Methods 324, 108307 (DeepVOG).

    Examples
    --------
    >>> maps, tags = EyeNet()(torch.zeros(2, 1, 64, 96))
    >>> tuple(maps.shape), tuple(tags.shape)
    ((2, 3, 64, 96), (2, 2))
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        sizes = [width // 2, width, 2 * width, 3 * width, 5 * width]
        self.stem = _convolve(1, sizes[0])
        self.down = nn.ModuleList(
            nn.Sequential(_convolve(a, b, stride=2), _convolve(b, b))
            for a, b in itertools.pairwise(sizes)
        )
        deep = sizes[-1]
        self.deep = nn.Sequential(_convolve(deep, deep, spread=2), _convolve(deep, deep, spread=3))
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in itertools.pairwise(sizes))
        self.merge = nn.ModuleList(_convolve(size, size) for size in sizes[:-1])
        self.maps = nn.Conv2d(sizes[0], len(MASKS), 1)
        self.tags = nn.Linear(2 * deep, len(TAGS))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits of masks (n, 3, y, x) and of tags (n, 2).

        Parameters
        ----------
        x
            Normalised pictures (n, 1, y, x); both sides multiples of 16.
        """
        levels = [self.stem(x)]
        for step in self.down:
            levels.append(step(levels[-1]))
        x = levels[-1] = levels[-1] + self.deep(levels[-1])
        tags = self.tags(torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1))
        for skip, narrow, merge in zip(levels[-2::-1], self.narrow[::-1], self.merge[::-1],
                                       strict=True):  # fmt: skip
            up = interpolate(narrow(x), skip.shape[2:], mode="bilinear", align_corners=False)
            x = merge(up + skip)
        return self.maps(x), tags


def _convolve(inputs: int, outputs: int, stride: int = 1, spread: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=spread, dilation=spread, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def normalise(images: Tensor) -> Tensor:
    """Return grey pictures (n, y, x), 0 to 255, as the net wants them, (n, 1, y, x).

    Each is centred and scaled by its own spread, but not by less than ten grey values: a picture
    that is black stays flat.

    Examples
    --------
    >>> normalise(torch.zeros(1, 16, 16)).abs().max().item()
    0.0
    """
    x = images.float()
    spread, mean = torch.std_mean(x, dim=(1, 2), keepdim=True)
    return ((x - mean) / spread.clamp(min=10.0))[:, None]
