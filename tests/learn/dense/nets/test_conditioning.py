"""Missing contrasts, metadata and dropout that stays on."""

from __future__ import annotations

import pytest
import torch

from neuroloom.core.errors import ConfigError
from neuroloom.learn.dense.nets.build import build_net
from neuroloom.learn.dense.nets.conditioning import FiLM, build_hemis, hide, keep_dropping

SIZES = {"strides": (1, 2, 2, 2), "kernels": (3,) * 4, "features": (4, 8, 8, 8)}
PLACES = {2: (9, 14), 3: (9, 11, 8)}
in_2d_and_3d = pytest.mark.parametrize("dims", [2, 3])


def sizes(dims: int) -> dict:
    return {"dims": dims, "out_channels": 3, "patch": PLACES[dims], **SIZES}


def images(dims: int, n: int = 2, channels: int = 3) -> torch.Tensor:
    return torch.randn(n, channels, *PLACES[dims], generator=torch.Generator().manual_seed(1))


def full(y: torch.Tensor | list) -> torch.Tensor:
    return y if isinstance(y, torch.Tensor) else y[0]


@in_2d_and_3d
@pytest.mark.parametrize("name", ["dynunet", "resenc-m"])
def test_hemis_lives_with_what_is_there(dims: int, name: str) -> None:
    net = build_hemis(name, in_channels=3, drop=0.0, **sizes(dims))
    x = images(dims)
    x[0, 1] = torch.nan
    present = torch.tensor([[True, False, True], [True, True, True]])
    y = net(x)
    assert [tuple(each.shape[:2]) for each in y] == [(2, 3)] * 2
    assert all(bool(each.isfinite().all()) for each in y)
    sum(each.square().mean() for each in y).backward()
    assert all(bool(p.grad.isfinite().all()) for p in net.parameters())
    padded = torch.nn.functional.pad(x.nan_to_num(9.0), _to_eights(dims))
    told = net.net(padded, present)[0][tuple(slice(n) for n in y[0].shape)]
    torch.testing.assert_close(told, y[0])


def _to_eights(dims: int) -> list[int]:
    return [end for n in reversed(PLACES[dims]) for end in (0, -n % 8)]


@in_2d_and_3d
def test_a_hidden_contrast_cannot_matter(dims: int) -> None:
    net = build_hemis("dynunet", in_channels=2, **sizes(dims)).eval()
    x = images(dims, channels=2)
    present = torch.tensor([[True, False]] * 2)
    place = torch.nn.functional.pad(x, _to_eights(dims))
    other = place.clone()
    other[:, 1] = 5.0
    with torch.no_grad():
        assert net.net(place, present).equal(net.net(other, present))
        assert not net.net(place).equal(net.net(other))


def test_hemis_merges_mean_and_unbiased_variance() -> None:
    from neuroloom.learn.dense.nets.conditioning import _Merge

    merge = _Merge(4, torch.nn.Conv2d(1, 1, 1))
    merge.narrow = torch.nn.Identity()
    features = torch.randn(3, 2, 4, 5, 6)
    present = torch.tensor([[True, True, True], [False, True, False]])
    mean, variance = merge(features, present).chunk(2, 1)
    torch.testing.assert_close(mean[0], features[:, 0].mean(0))
    torch.testing.assert_close(variance[0], features[:, 0].var(0))
    torch.testing.assert_close(mean[1], features[1, 1])
    assert float(variance[1].abs().max()) == 0


def test_hiding_leaves_one_and_adds_none() -> None:
    torch.manual_seed(0)
    present = torch.rand(500, 4) < 0.6
    present[:, 0] = True
    kept = hide(present, 0.5)
    assert bool((kept <= present).all())
    assert bool(kept.any(1).all())
    share = float(kept.sum() / present.sum())
    assert 0.5 < share < 0.65  # half, and the one that always stays
    assert hide(present, 0.0).equal(present)


@in_2d_and_3d
def test_film_starts_as_the_net_it_wraps(dims: int) -> None:
    net = build_net("dynunet", in_channels=3, **sizes(dims)).eval()
    film = FiLM(net, channels=3, metadata=2).eval()
    x = images(dims)
    with torch.no_grad():
        assert film(x, torch.tensor([[1.0, torch.nan]] * 2)).equal(net(x))


def test_film_tells_cases_apart() -> None:
    film = FiLM(build_net("dynunet", in_channels=3, **sizes(2)), metadata=1)
    x, age = images(2), torch.tensor([[0.2], [torch.nan]])
    full(film(x, age)).square().mean().backward()
    assert all(float(rule.bias.grad.abs().sum()) > 0 for rule in film.rules[:3])
    for rule in film.rules:
        torch.nn.init.normal_(rule.weight)
    film.eval()
    same = x[:1].expand(2, -1, -1, -1)
    with torch.no_grad():
        y = film(same, age)
    assert not y[0].allclose(y[1])
    assert bool(y.isfinite().all())


def test_film_takes_missing_contrasts() -> None:
    film = FiLM(build_net("resenc-m", in_channels=3, **sizes(2)), channels=3)
    x = images(2)
    x[:, 2] = torch.nan
    y = full(film(x))
    y.square().mean().backward()
    assert bool(y.isfinite().all())
    assert all(bool(p.grad.isfinite().all()) for p in film.parameters() if p.grad is not None)


def test_film_refuses_what_it_cannot_do() -> None:
    net = build_net("dynunet", in_channels=3, **sizes(2))
    with pytest.raises(ConfigError, match="neither"):
        FiLM(net)
    with pytest.raises(ConfigError, match="1 numbers a case"):
        FiLM(net, metadata=1)(images(2), torch.zeros(2, 4))
    with pytest.raises(ConfigError, match="planned nets"):
        FiLM(build_net("fcn", in_channels=3, **sizes(2)), metadata=1)


def test_dropout_stays_on_and_goes_off_again() -> None:
    net = build_net("dynunet", in_channels=1, options={"dropout": 0.5}, **sizes(2)).eval()
    x = images(2, channels=1)
    with torch.no_grad():
        with keep_dropping(net):
            first, second = net(x), net(x)
        assert not first.equal(second)
        assert net(x).equal(net(x))
    with (
        pytest.raises(ConfigError, match="dropout"),
        keep_dropping(build_net("dynunet", in_channels=1, **sizes(2))),
    ):
        pass
