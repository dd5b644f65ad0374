"""Nets that make images: autoencoders, finer grids, other contrasts, and images out of nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import interpolate, l1_loss, leaky_relu, mse_loss

from neuroloom.nets.encoders.blocks import conv_norm, pad_to_multiple
from neuroloom.nets.layers.lean_conv import CONV

_PLAIN = {2: nn.Conv2d, 3: nn.Conv3d}  # whose gradients have gradients


class Maker(nn.Module):
    """Base of nets that are judged against an image: the loss is the mean squared error.

    `forward` maps (n, channel, *axes) to an image (n, channel, *axes).
    """

    def loss(self, x: Tensor, y: Tensor, generator: Generator | None) -> Tensor:
        """Mean squared error, and a tenth of the absolute error, which keeps edges."""
        made = self(x)
        return mse_loss(made, y) + 0.1 * l1_loss(made, y)


class AutoEncoder(Maker):
    """Squeezes an image through a code an eighth of its size and makes it again.

    Parameters
    ----------
    n_channels, shape, n_outputs
        Of an image; as many channels are made as are given.
    width
        Channels of the first level.
    code
        Channels of the code, which has a quarter of the places along each axis; default: as many
        as make an eighth of the image.

    Examples
    --------
    >>> net = AutoEncoder(1, (10, 12), 1, width=4)
    >>> net(torch.randn(2, 1, 10, 12)).shape, net.encode(torch.randn(2, 1, 10, 12)).shape
    (torch.Size([2, 1, 10, 12]), torch.Size([2, 2, 3, 3]))
    """

    def __init__(
        self,
        n_channels: int,
        shape: Sequence[int],
        n_outputs: int = 1,
        *,
        width: int = 16,
        code: int | None = None,
    ) -> None:
        super().__init__()
        dims = len(shape)
        code = code or max(1, n_channels * 4**dims // 8)
        self.shape = tuple(shape)
        self.encoder = nn.Sequential(
            conv_norm(dims, n_channels, width, stride=2),
            conv_norm(dims, width, 2 * width, stride=2),
            CONV[dims](2 * width, code, 1),
        )
        self.decoder = nn.Sequential(
            conv_norm(dims, code, 2 * width),
            conv_norm(dims, 2 * width, width * 2**dims),
            Unfold(dims),
            conv_norm(dims, width, width),
            CONV[dims](width, n_channels * 2**dims, 1),
            Unfold(dims),
        )

    def encode(self, x: Tensor) -> Tensor:
        """Return the code (n, code, *axes / 4)."""
        return self.encoder(pad_to_multiple(x, 4))

    def forward(self, x: Tensor) -> Tensor:
        """Make images (n, channel, *axes) again."""
        return _cut(self.decoder(self.encode(x)), x.shape[2:])


class SuperResolution(Maker):
    """Makes a grid twice as fine: linear interpolation, and what convolutions add to it.

    Features are made on the coarse grid and put in place at the end (sub-pixel convolution, Shi et
    al. 2016, arXiv:1609.05158); no normalisation, which costs sharpness (Lim et al. 2017).

    Parameters
    ----------
    n_channels, shape, n_outputs
        Of the coarse image.
    width, depth
        Channels and convolutions.

    Examples
    --------
    >>> SuperResolution(1, (5, 6), 1, width=4)(torch.randn(2, 1, 5, 6)).shape
    torch.Size([2, 1, 10, 12])
    """

    def __init__(
        self,
        n_channels: int,
        shape: Sequence[int],
        n_outputs: int = 1,
        *,
        width: int = 32,
        depth: int = 3,
    ) -> None:
        super().__init__()
        dims = len(shape)
        convolution = CONV[dims]
        self.mode = "bilinear" if dims == 2 else "trilinear"
        self.first = convolution(n_channels, width, 3, padding=1)
        self.layers = nn.ModuleList(convolution(width, width, 3, padding=1) for _ in range(depth))
        self.last = convolution(width, n_channels * 2**dims, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.unfold = Unfold(dims)

    def forward(self, x: Tensor) -> Tensor:
        """Map coarse images (n, channel, *axes) to (n, channel, *2 axes)."""
        features = self.first(x)
        for layer in self.layers:
            features = features + layer(features.relu())
        plain = interpolate(x, scale_factor=2, mode=self.mode, align_corners=False)
        return plain + self.unfold(self.last(features.relu()))


class Translator(Maker):
    """Makes one contrast out of others: a small U-Net (Ronneberger et al. 2015).

    Parameters
    ----------
    n_channels, shape, n_outputs
        Given channels, grid, channels that are made.
    width
        Channels of the first level.

    Examples
    --------
    >>> Translator(2, (9, 10), 1, width=4)(torch.randn(2, 2, 9, 10)).shape
    torch.Size([2, 1, 9, 10])
    """

    def __init__(
        self, n_channels: int, shape: Sequence[int], n_outputs: int = 1, *, width: int = 16
    ) -> None:
        super().__init__()
        dims = len(shape)
        self.top = conv_norm(dims, n_channels, width)
        self.middle = conv_norm(dims, width, 2 * width, stride=2)
        self.low = nn.Sequential(
            conv_norm(dims, 2 * width, 4 * width, stride=2), conv_norm(dims, 4 * width, 4 * width)
        )
        self.to_middle = conv_norm(dims, 4 * width, 2 * width, 1)
        self.up_middle = conv_norm(dims, 2 * width, 2 * width)
        self.to_top = conv_norm(dims, 2 * width, width, 1)
        self.up_top = conv_norm(dims, width, width)
        self.output = CONV[dims](width, n_outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channel, *axes) to (n, n_outputs, *axes)."""
        top = self.top(x)
        middle = self.middle(top)
        low = interpolate(self.to_middle(self.low(middle)), size=middle.shape[2:])
        middle = interpolate(self.to_top(self.up_middle(middle + low)), size=top.shape[2:])
        return self.output(self.up_top(top + middle))


class Unfold(nn.Module):
    """Put channels in place: (n, c * 2^dims, *axes) becomes (n, c, *2 axes).

    Examples
    --------
    >>> Unfold(3)(torch.ones(1, 16, 2, 3, 4)).shape
    torch.Size([1, 2, 4, 6, 8])
    """

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        """Rearrange."""
        n, channels, *axes = x.shape
        parts = x.reshape(n, channels // 2**self.dims, *(2,) * self.dims, *axes)
        first = 2
        order = [0, 1]
        for axis in range(self.dims):
            order += [first + self.dims + axis, first + axis]
        return parts.permute(order).reshape(
            n, channels // 2**self.dims, *(2 * size for size in axes)
        )


def _cut(x: Tensor, shape: Sequence[int]) -> Tensor:
    return x[(slice(None), slice(None), *(slice(0, size) for size in shape))]


class Adversary(nn.Module):
    """A generator and a critic that learn from each other, with classes if there are some.

    A Wasserstein game with a gradient penalty (Gulrajani et al. 2017, arXiv:1704.00028). Both sides
    learn in one step: the gradient is turned round on its way from the critic to the generator
    (Ganin & Lempitsky 2015, arXiv:1409.7495), so that one optimiser serves both. The game circles
    around its end, so the running mean of the weights is what should be kept.

    Parameters
    ----------
    n_channels, shape
        Of an image.
    n_outputs
        Classes; 1 without.
    width
        Channels next to the image.
    code
        Length of the noise.
    penalty
        Weight of the gradient penalty.

    Examples
    --------
    >>> net = Adversary(1, (12, 14), 2, width=4)
    >>> net.sample(torch.tensor([0, 1, 1]), torch.Generator().manual_seed(0)).shape
    torch.Size([3, 1, 12, 14])
    """

    def __init__(
        self,
        n_channels: int,
        shape: Sequence[int],
        n_outputs: int = 1,
        *,
        width: int = 16,
        code: int = 32,
        penalty: float = 10.0,
    ) -> None:
        super().__init__()
        dims = len(shape)
        self.shape, self.n_outputs = tuple(shape), n_outputs
        self.code, self.penalty = code, penalty
        self.start = [max(1, -(-size // 8)) for size in shape]
        places = int(torch.tensor(self.start).prod())
        self.seed = nn.Linear(code + n_outputs, 4 * width * places)
        self.grow = nn.Sequential(
            nn.ReLU(), _Larger(dims, 4 * width, 2 * width), _Larger(dims, 2 * width, width),
            _Larger(dims, width, width), CONV[dims](width, n_channels, 3, padding=1),
        )  # fmt: skip
        convolution = _PLAIN[dims]
        self.look = nn.Sequential(
            convolution(n_channels, width, 3, stride=2, padding=1), nn.LeakyReLU(0.2),
            convolution(width, 2 * width, 3, stride=2, padding=1), nn.LeakyReLU(0.2),
            convolution(2 * width, 4 * width, 3, stride=2, padding=1), nn.LeakyReLU(0.2),
        )  # fmt: skip
        self.verdict = nn.Linear(4 * width, n_outputs)

    def made(self, code: Tensor, label: Tensor) -> Tensor:
        """Make images of noise (n, code) and class index (n,)."""
        classes = torch.nn.functional.one_hot(label, self.n_outputs).to(code)
        small = self.seed(torch.cat([code, classes], 1))
        return _cut(self.grow(small.reshape(len(code), -1, *self.start)), self.shape)

    def sample(self, label: Tensor, generator: Generator | None) -> Tensor:
        """Make one image for each class index in `label`."""
        code = torch.randn(len(label), self.code, generator=generator, device=label.device)
        return self.made(code, label)

    def judge(self, x: Tensor, label: Tensor) -> Tensor:
        """Return the critic's verdict on each image as one of its class (n,)."""
        verdict = self.verdict(self.look(x).flatten(2).mean(2))
        return verdict.gather(1, label[:, None])[:, 0]

    def forward(self, x: Tensor) -> Tensor:
        """Return the critic's verdicts (n, class)."""
        return self.verdict(self.look(x).flatten(2).mean(2))

    def loss(self, x: Tensor, y: Tensor, generator: Generator | None) -> Tensor:
        """Return the critic's loss; its gradient reaches the generator turned round.

        Parameters
        ----------
        x, y
            Real images and their class (n,).
        """
        fake = self.sample(y, generator)
        if generator is None:
            return self.judge(fake, y).mean() - self.judge(x, y).mean()
        gap = self.judge(_turned(fake), y).mean() - self.judge(x, y).mean()
        share = torch.rand(len(x), generator=generator, device=x.device)
        share = share.reshape(-1, *(1 for _ in x.shape[1:]))
        between = (share * x + (1 - share) * fake.detach()).requires_grad_()
        (slope,) = torch.autograd.grad(self.judge(between, y).sum(), between, create_graph=True)
        return gap + self.penalty * (slope.flatten(1).norm(dim=1) - 1).square().mean()


class _Larger(nn.Module):
    def __init__(self, dims: int, given: int, made: int) -> None:
        super().__init__()
        self.layer = CONV[dims](given, made, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        larger = self.layer(interpolate(x, scale_factor=2))
        # Each place's features get the length 1 (Karras et al. 2018, 4.2): no moments of a batch,
        # which an image made alone would not have.
        return leaky_relu(larger * larger.square().mean(1, keepdim=True).add(1e-6).rsqrt(), 0.2)


def _turned(x: Tensor) -> Tensor:
    """Return `x` itself, through which gradients pass with the other sign."""
    return 2 * x.detach() - x
