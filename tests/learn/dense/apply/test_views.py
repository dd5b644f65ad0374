"""Every view is turned back to where it came from."""

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.learn.dense.apply.views import VIEWS, View, predict_views, slabs

VOLUME = np.random.default_rng(0).normal(size=(2, 5, 7, 6)).astype(np.float32)


@pytest.mark.parametrize("views", [*VIEWS, [View(2, 1, flip=True, backwards=True)]])
@pytest.mark.parametrize("merge", ["mean", "max"])
@pytest.mark.parametrize("slab", [1, 3])
def test_an_identity_returns_the_volume(views: str, merge: str, slab: int) -> None:
    middle = 2 * (slab // 2)
    said = predict_views(
        lambda x: x[:, middle : middle + 2],
        VOLUME,
        views,
        merge=merge,
        slab=slab,
        chunk=3,
    )
    np.testing.assert_allclose(said, VOLUME, atol=1e-6)


@pytest.mark.parametrize(
    ("views", "n"), [("one", 1), ("three", 3), ("twelve", 12), ("sixteen", 16)]
)
def test_every_view_differs(views: str, n: int) -> None:
    """What a net sees first of an asymmetric cube, from every side."""
    cube = np.random.default_rng(1).normal(size=(1, 4, 4, 4))
    seen = []
    predict_views(lambda x: seen.append(x[0].tobytes()) or x[:, :1], cube, views, slab=3)
    assert len(seen) == len(set(seen)) == n


def test_the_mean_is_over_views() -> None:
    """A predictor that knows only its slice's column says what each view has there."""
    ramp = lambda x: np.broadcast_to(np.arange(x.shape[3], dtype=float), x[:, :1].shape)  # noqa: E731
    said = predict_views(ramp, np.zeros((1, 3, 4, 5)), "three")
    z, y, x = np.mgrid[:3, :4, :5]
    np.testing.assert_allclose(said[0], (x + x + y) / 3, atol=1e-6)
    assert predict_views(ramp, np.zeros((1, 3, 4, 5)), "three", merge="max")[0, 0, 3, 0] == 3
    assert z.shape == said[0].shape


@pytest.mark.parametrize(("views", "ways", "calls"), [
    ("twelve", 8, 3), ("twelve", 4, 6), ("sixteen", 8, 1), ("sixteen", 4, 2),
])  # fmt: skip
def test_what_the_predictor_averages_itself_is_not_asked_again(views, ways, calls):
    """It sees edges along one axis only, so turns matter, until it averages over them."""
    volume = np.random.default_rng(1).random((1, 5, 6, 7))
    asked = []

    def once(x):
        return np.abs(np.diff(x, axis=-1, append=0)) * np.arange(x.shape[-2])[:, None]

    def every_way(x):
        asked.append(len(x))
        found = [once(x[..., ::a, ::b])[..., ::a, ::b] for a in (1, -1) for b in (1, -1)]
        if ways == 8:
            turned = x.swapaxes(-1, -2)
            found += [
                once(turned[..., ::a, ::b])[..., ::a, ::b].swapaxes(-1, -2)
                for a in (1, -1)
                for b in (1, -1)
            ]
        return np.mean(found, axis=0)

    few = predict_views(every_way, volume, views, ways=ways)
    assert len(asked) == calls
    np.testing.assert_allclose(few, predict_views(every_way, volume, views), atol=1e-5)


def test_slabs_along_every_axis() -> None:
    for axis in range(3):
        made = slabs(VOLUME, axis, 5)
        assert made.shape[:2] == (VOLUME.shape[axis + 1], 10)
        moved = np.moveaxis(VOLUME, axis + 1, 0)
        np.testing.assert_array_equal(made[:, 4:6], moved)
        np.testing.assert_array_equal(made[2:, :2], moved[:-2])
        np.testing.assert_array_equal(made[0, :2], moved[0])


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'three'"):
        predict_views(lambda x: x, VOLUME, "thre")
    with pytest.raises(ConfigError, match="odd"):
        slabs(VOLUME, 0, 2)
    with pytest.raises(ConfigError, match="merge"):
        predict_views(lambda x: x, VOLUME, merge="vote")
    with pytest.raises(ConfigError, match="empty"):
        predict_views(lambda x: x, VOLUME, [])
    with pytest.raises(DataError, match="expected"):
        predict_views(lambda x: x, VOLUME[0])
