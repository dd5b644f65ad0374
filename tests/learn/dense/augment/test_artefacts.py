"""Scanner faults against their Fourier formulae; the other changes by hand; ways back."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from neuroloom.core.errors import ConfigError, DataError

torch = pytest.importorskip("torch")

from neuroloom.learn.dense.augment import (  # noqa: E402  # noqa: E402
    Augmenter,
    Canvas,
    Drawn,
    artefacts,
    augmentation_names,
    axiswise,
    intensity,
    parse_augment,
    regrid,
)
from neuroloom.learn.dense.augment.histogram import Histogram, Landmarks  # noqa: E402
from neuroloom.learn.dense.augment.spatial import Affine, Elastic  # noqa: E402

SHAPES = [(2, 1, 13, 16, 11), (3, 2, 17, 12)]
NEEDS_MORE = ("histogram", "mixup")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(shape, seed=0):
    """Blocks of three labels, and an image that shows them, with some noise."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape[2:]], indexing="ij")
    far = np.sqrt(sum(a**2 for a in axes))
    y = np.broadcast_to(np.digitize(-far, [-0.8, -0.5]), (shape[0], *shape[2:])).copy()
    x = y[:, None] + rng.normal(0, 0.1, shape)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.uint8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", [n for n in augmentation_names() if n not in NEEDS_MORE])
def test_seed_replay_and_labels(name, shape):
    x, y = batch(shape)
    augmenter = Augmenter(
        parse_augment([name]), Canvas(shape[1], shape[2:], (2.0,) * (len(shape) - 2))
    )
    first, again = (augmenter(x, y, seeded(3)) for _ in range(2))
    drawn = Drawn.from_plain(augmenter.draw(len(x), seeded(3)).to_plain())
    replayed = augmenter.apply(x, y, drawn)
    for other in (again, replayed):
        assert torch.equal(first[0], other[0])
        assert torch.equal(first[1], other[1])
    assert first[0].dtype == torch.float32
    assert torch.isfinite(first[0]).all()
    assert set(first[1].unique().tolist()) <= {0, 1, 2}
    if not augmenter.transforms[0].moves:
        assert torch.equal(first[1], y)
        assert not torch.equal(first[0], x)


def test_ghosts_by_fourier():
    x, _ = batch((2, 1, 12, 15, 10))
    params = {
        "strength": torch.tensor([0.7, 1.0]), "ghosts": torch.tensor([4, 3]),
        "axis": torch.tensor([1, 2]),
    }  # fmt: skip
    found = axiswise.Ghosting(centre=0.1).change(x, None, params)[0]
    for i, (axis, size, strength, ghosts) in enumerate([(1, 15, 0.7, 4), (2, 10, 1.0, 3)]):
        weight = np.ones(size)
        weight[::ghosts] = 1 - strength
        half = max(1, round(0.1 * size)) // 2
        weight[size // 2 - half : size // 2 + half + 1] = 1
        spectrum = np.fft.fftshift(np.fft.fftn(x[i, 0].numpy()))
        spectrum *= weight.reshape([-1 if a == axis else 1 for a in range(3)])
        told = np.fft.ifftn(np.fft.ifftshift(spectrum)).real
        np.testing.assert_allclose(found[i, 0], told, atol=1e-5)


def test_motion_by_fourier():
    x, _ = batch((1, 1, 14, 16, 12))
    params = artefacts.Motion(15.0, 2.0).draw(1, Canvas.of(x), seeded(5))
    found = artefacts.Motion().change(x, None, params)[0][0, 0]
    body, axis = x[0, 0].numpy().astype(float), int(params["axis"][0])
    size = body.shape[axis]
    number = np.searchsorted(params["times"][0].numpy(), (np.arange(size) + 0.5) / size, "right")
    middle = (np.array(body.shape) - 1) / 2
    places = np.indices(body.shape).reshape(3, -1)
    moved = []
    for k in range(2):
        matrix, shift = (params[key][0, k].double().numpy() for key in ("matrix", "shift"))
        points = middle[:, None] + shift[:, None] + matrix @ (places - middle[:, None])
        moved.append(map_coordinates(body, points, order=1, mode="nearest").reshape(body.shape))
    still = number[size // 2]
    bodies = {still: body} | dict(zip([k for k in range(3) if k != still], moved, strict=True))
    spectrum = sum(
        np.fft.fftshift(np.fft.fftn(own))
        * (number == k).reshape([-1 if a == axis else 1 for a in range(3)])
        for k, own in bodies.items()
    )
    told = np.fft.ifftn(np.fft.ifftshift(spectrum)).real
    np.testing.assert_allclose(found, told, atol=2e-3)


def test_a_spike_is_a_point_of_k_space():
    x, _ = batch((1, 1, 8, 12, 10))
    params = {"cycles": torch.tensor([[[2.0, -3.0, 1.0]]]), "strength": torch.tensor([[0.4]])}
    found = artefacts.Spike().change(x, None, params)[0][0, 0].numpy()
    spectrum = np.fft.fftn(x[0, 0].numpy())
    spectrum[2, -3, 1] += 0.4 * np.abs(spectrum).max()
    np.testing.assert_allclose(found, np.fft.ifftn(spectrum).real, atol=1e-5)


def test_a_bias_field_is_the_exponential_of_its_polynomial():
    x, _ = batch((2, 2, 9, 7, 8))
    change = intensity.BiasField(0.5, 3)
    params = change.draw(2, Canvas.of(x), seeded(1))
    terms = params["terms"].numpy()
    z, y, w = np.meshgrid(*[np.linspace(-1, 1, n) for n in x.shape[2:]], indexing="ij")
    for i in range(2):
        field = sum(
            terms[i, a, b, c] * z**a * y**b * w**c
            for a in range(4) for b in range(4) for c in range(4)
        )  # fmt: skip
        assert all(terms[i, a, b, c] == 0 for a, b, c in np.ndindex(4, 4, 4) if a + b + c > 3)
        told = x[i].numpy() * np.exp(field)
        np.testing.assert_allclose(change.change(x, None, params)[0][i], told, rtol=1e-4, atol=1e-5)


def test_bending_is_scipys_spline():
    shape = (1, 1, 20, 24)
    x, _ = batch(shape)
    bend = Elastic(2.0, 9)
    params = bend.draw(1, Canvas.of(x), seeded(2))
    shifts = bend.shifts(params, x)[0].numpy()
    knots = np.meshgrid(*[np.linspace(1, 7, n) for n in shape[2:]], indexing="ij")
    for axis in range(2):
        # Without a prefilter, the lattice holds the coefficients of the B-spline.
        told = map_coordinates(
            params["lattice"][0, axis].numpy(), knots, order=3, prefilter=False, mode="constant"
        )
        np.testing.assert_allclose(shifts[axis], told, atol=1e-4)
    assert np.abs(shifts).max() > 0.3


def test_bending_never_folds():
    x, _ = batch((20, 1, 24, 24))
    bend = Elastic(100.0)
    z, y = bend.points(bend.draw(20, Canvas.of(x), seeded(2)), x)
    determinant = z.diff(dim=1)[:, :, :-1] * y.diff(dim=2)[:, :-1] - (
        z.diff(dim=2)[:, :-1] * y.diff(dim=1)[:, :, :-1]
    )
    assert (determinant > 0).all()


def test_a_lookup_keeps_the_order_or_mixes_it():
    x, _ = batch((40, 1, 16, 16))
    for free, kept in ((0.0, True), (1.0, False)):
        change = intensity.Lookup(free=free, turn=0.0)
        found = change.change(x, None, change.draw(40, Canvas.of(x), seeded(1)))[0]
        rising = [
            bool((np.diff(b[np.argsort(a)]) >= -1e-5).all())
            for a, b in zip(x.flatten(1).numpy(), found.flatten(1).numpy(), strict=True)
        ]
        assert np.mean(rising) == 1 if kept else np.mean(rising) < 0.2
        torch.testing.assert_close(found.mean((1, 2, 3)), x.mean((1, 2, 3)), atol=1e-4, rtol=0)
        torch.testing.assert_close(found.std((1, 2, 3)), x.std((1, 2, 3)), atol=1e-3, rtol=0)


def test_mixup_blends_image_and_labels_alike():
    x, y = batch(SHAPES[1])
    change = artefacts.Mixup(0.5, classes=3)
    params = change.draw(3, Canvas.of(x), seeded(1))
    mixed, shares = change.change(x, y, params)
    own = np.eye(3)[y.numpy()].transpose(0, 3, 1, 2)
    share, partner = params["share"].numpy()[:, None, None, None], params["partner"].numpy()
    told = share * x.numpy() + (1 - share) * x.numpy()[partner]
    np.testing.assert_allclose(mixed, told, atol=1e-5)
    np.testing.assert_allclose(shares, share * own + (1 - share) * own[partner], atol=1e-6)
    with pytest.raises(ConfigError, match="how many classes"):
        artefacts.Mixup().change(x, y, params)


def test_landmarks_merge_and_standardise():
    rng = np.random.default_rng(0)
    images = [rng.gamma(2, size=(2, 9, 10)) * k for k in (1, 5, 30)]
    whole, parts = Landmarks(2), [Landmarks(2) for _ in images]
    for part, image in zip(parts, images, strict=True):
        whole.update(image)
        part.update(image)
    merged = parts[0].merge(Landmarks(2)).merge(parts[1].merge(parts[2]))
    np.testing.assert_allclose(merged.finalize(), whole.finalize(), rtol=1e-12)
    again = Landmarks.from_state(whole.state())
    np.testing.assert_array_equal(again.finalize(), whole.finalize())
    change = Histogram(tuple(map(tuple, whole.finalize().tolist())))
    image = torch.tensor(images[2], dtype=torch.float32)[None]
    found = change.change(image, None, {})[0][0, 1].numpy()
    percentiles = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99)
    marks = np.percentile(images[2][1], percentiles)
    inside = (images[2][1] > marks[0]) & (images[2][1] < marks[-1])
    told = np.interp(images[2][1], marks, whole.finalize()[1])
    np.testing.assert_allclose(found[inside], told[inside], atol=1e-2)
    with pytest.raises(DataError, match="nearly all voxels are equal"):
        whole.update(np.zeros((2, 4, 4)))
    with pytest.raises(ConfigError, match="Fit them first"):
        Histogram().change(image, None, {})


def test_quantiles_of_rescale():
    x = torch.arange(101.0).reshape(1, 1, 1, 101)
    found = intensity.Rescale(0.1).change(x, None, {})[0].flatten()
    assert found[:11].tolist() == [-1.0] * 11
    assert found[50].item() == pytest.approx(0, abs=1e-6)


def dice(a, b):
    return min(
        2 * float(((a == k) & (b == k)).sum()) / float((a == k).sum() + (b == k).sum())
        for k in b.unique().tolist()
    )


@pytest.mark.parametrize(
    "name", ["affine", "rotate=10", "elastic", "flip", "resample=0.8", "crop-pad"]
)
@pytest.mark.parametrize("shape", [(2, 1, 40, 44, 36), (2, 1, 64, 48)])
def test_labels_come_back(name, shape):
    x, y = batch(shape)
    augmenter = Augmenter(parse_augment([name]), Canvas.of(x))
    scores = []
    for seed in range(4):
        drawn = augmenter.draw(2, seeded(seed))
        moved = augmenter.apply(x, y, drawn)
        back, labels = augmenter.invert(*moved, drawn)
        assert back.shape == x.shape
        assert labels.shape == y.shape
        scores.append(dice(labels, y))
    assert np.mean(scores) >= 0.99


def test_images_come_back():
    x, y = batch((1, 1, 40, 44, 36))
    x = intensity.ZNormalise().change(
        axiswise.Blur().change(x, y, {"sigma": torch.full((1, 1, 3), 2.0)})[0], y, {}
    )[0]
    inner = (..., slice(12, 28), slice(12, 32), slice(12, 24))
    for change in (Affine(10), Elastic(2.0)):
        params = change.draw(1, Canvas.of(x), seeded(1))
        back = change.revert(*change.change(x, y, params), params)[0]
        assert (back - x)[inner].abs().max() < 0.1


def test_a_grid_keeps_its_place_in_space():
    canvas = Canvas(1, (10, 12), (2.0, 1.0))
    for change in (regrid.Resample(0.7), regrid.CropPad(9)):
        after = change.after(canvas)
        matrix = change.regrid(canvas.axes, after.axes).numpy()
        ramp = torch.arange(10.0)[:, None].expand(10, 12)[None, None].contiguous()
        moved = change.change(ramp, None, change.draw(1, canvas, seeded()))[0][0, 0]
        inner = slice(2, -2)
        told = (
            matrix
            @ np.array([np.arange(after.axes[0]), np.zeros(after.axes[0]), np.ones(after.axes[0])])
        )[0]
        np.testing.assert_allclose(moved[inner, 4], told[inner], atol=1e-3)
