"""Two layers of filters computed as one are the two layers of the paper."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.functional import conv2d, pad  # noqa: E402

from neuroloom.signals.nets.eegnet import same_padding  # noqa: E402
from neuroloom.signals.nets.eegnex import TwiceFilteredSources, compose  # noqa: E402


def textbook(layer: TwiceFilteredSources, x: torch.Tensor) -> torch.Tensor:
    """Filter every channel, normalise, filter the maps, normalise, weigh the channels."""
    norms = [nn.BatchNorm2d(n.num_features).to(x) for n in (layer.first_norm, layer.second_norm)]
    for norm, own in zip(norms, (layer.first_norm, layer.second_norm), strict=True):
        norm.load_state_dict(own.state_dict())
        norm.train(layer.training)
    zeros = same_padding(layer.first.shape[1])
    maps = norms[0](conv2d(pad(x[:, None], zeros), layer.first[:, None, None]))
    maps = norms[1](conv2d(pad(maps, zeros), layer.second[:, :, None]))
    return torch.einsum("nfct,fdc->nfdt", maps, layer.spatial).flatten(1, 2)


def drifting(n_times: int) -> torch.Tensor:
    torch.manual_seed(2)
    return (torch.randn(5, 3, n_times).cumsum(-1) / 5 + torch.randn(5, 3, n_times) + 1).double()


def shaken(kernel: int) -> TwiceFilteredSources:
    torch.manual_seed(3)
    layer = TwiceFilteredSources(3, (4, 6), 2, kernel).double()
    with torch.no_grad():
        for norm in (layer.first_norm, layer.second_norm):
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.normal_()
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2.0)
    return layer


@pytest.mark.parametrize(("kernel", "n_times"), [(8, 60), (9, 60), (16, 16), (2, 5), (1, 7)])
@pytest.mark.parametrize("training", [True, False])
def test_sources_equal_textbook(kernel, n_times, training):
    layer, x = shaken(kernel).train(training), drifting(n_times)
    expected = textbook(layer, x)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_gradients_equal_textbook():
    layer, x = shaken(8), drifting(60)
    parameters = [layer.first, layer.second, layer.spatial, layer.first_norm.weight]
    weights = torch.randn(5, 12, 60, dtype=torch.float64)
    expected = torch.autograd.grad((textbook(layer, x) * weights).sum(), parameters[:3])
    mine = torch.autograd.grad((layer(x) * weights).sum(), parameters[:3])
    for one, other in zip(mine, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_running_moments_equal_textbook():
    layer, x = shaken(8), drifting(60)
    layer.first_norm.momentum = layer.second_norm.momentum = 1.0
    layer(x)
    maps = conv2d(pad(x[:, None], same_padding(8)), layer.first[:, None, None])
    torch.testing.assert_close(
        layer.first_norm.running_mean, maps.mean((0, 2, 3)), atol=1e-6, rtol=1e-5
    )
    norm = nn.BatchNorm2d(4).double()
    norm.load_state_dict(layer.first_norm.state_dict())
    maps = conv2d(pad(norm(maps), same_padding(8)), layer.second[:, :, None])
    torch.testing.assert_close(
        layer.second_norm.running_mean, maps.mean((0, 2, 3)), atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(
        layer.second_norm.running_var, maps.var((0, 2, 3)), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("kernel", [1, 4, 5])
def test_composed_kernels_filter_as_both_layers_do(kernel):
    first, second = torch.randn(2, kernel), torch.randn(3, 2, kernel)
    impulse = torch.zeros(1, 1, 41)
    impulse[..., 20] = 1.0
    zeros = same_padding(kernel)
    maps = nn.functional.conv1d(pad(impulse, zeros), first[:, None])
    expected = nn.functional.conv1d(pad(maps, zeros), second)[0]
    product = compose(first, second)
    mine = nn.functional.conv1d(pad(impulse, same_padding(product.shape[1])), product[:, None])[0]
    torch.testing.assert_close(mine, expected, atol=1e-6, rtol=1e-5)
