"""Augmentations keep shape and seed; crops lie where they should."""

from __future__ import annotations

import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.learn.augment import AUGMENTATIONS, crop_evenly, crop_randomly, resolve

torch = pytest.importorskip("torch")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def windows(n=200, n_times=100):
    return torch.randn(n, 3, n_times, generator=seeded(9))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_same_seed_same_windows_and_shape(name):
    x = windows()
    function = AUGMENTATIONS[name]
    first, again, other = (function(x.clone(), seeded(seed)) for seed in (1, 1, 2))
    assert first.shape == x.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, x)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_global_generator_is_not_touched(name):
    before = torch.get_rng_state()
    AUGMENTATIONS[name](windows(), seeded())
    assert torch.equal(torch.get_rng_state(), before)


def test_sizes_are_as_stated():
    x = windows(n=2000)
    assert (AUGMENTATIONS["noise"](x, seeded()) - x).std() == pytest.approx(0.1, abs=0.005)
    assert (AUGMENTATIONS["channels"](x, seeded()) == 0).all(-1).float().mean() == pytest.approx(
        0.1, abs=0.02
    )
    assert (AUGMENTATIONS["mask"](x, seeded()) == 0).float().mean() == pytest.approx(0.2, abs=0.01)
    flipped = (AUGMENTATIONS["sign"](x, seeded()) == -x).all(-1).all(-1).float().mean()
    assert flipped == pytest.approx(0.5, abs=0.05)


def test_phase_shuffle_keeps_spectra_and_covariance():
    x = windows(n=20)
    shuffled = AUGMENTATIONS["phase"](x, seeded())
    power = torch.fft.rfft(x).abs()[..., 1:-1]
    assert torch.allclose(torch.fft.rfft(shuffled).abs()[..., 1:-1], power, atol=1e-3)
    inner = slice(1, -1)
    cross, cross_after = (
        torch.einsum("ncf,ndf->ncd", s[..., inner], s[..., inner].conj()).real
        for s in (torch.fft.rfft(x), torch.fft.rfft(shuffled))
    )
    assert torch.allclose(cross, cross_after, rtol=1e-3, atol=1e-2 * cross.abs().max())


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'noise'"):
        resolve(["noize"])


def test_random_crops_are_pieces_of_their_window():
    x = torch.arange(50.0).repeat(300, 2, 1) + 1000 * torch.arange(300.0)[:, None, None]
    pieces = crop_randomly(x, 20, seeded())
    start = pieces[:, 0, 0] - 1000 * torch.arange(300.0)
    assert pieces.shape == (300, 2, 20)
    assert set(start.int().tolist()) == set(range(31))
    assert torch.equal(pieces[:, 1] - pieces[:, 1, :1], torch.arange(20.0).repeat(300, 1))


def test_even_crops_reach_both_ends():
    x = torch.arange(50.0).repeat(2, 1, 1)
    assert crop_evenly(x, 20, 4)[:, 0, 0, 0].tolist() == [0, 10, 20, 30]
    assert crop_evenly(x, 20, 1)[:, 0, 0, 0].tolist() == [15]
    assert crop_evenly(x, 50, 5).shape == (1, 2, 1, 50)
