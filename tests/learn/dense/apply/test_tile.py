"""Tiles put together equal the image, and MONAI's sliding window."""

import itertools
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.learn.dense.apply.tile import FLOOR, predict_tiles, tile_starts, tile_weight

pytestmark = pytest.mark.usefixtures("one_thread")


def identity(tiles: torch.Tensor) -> torch.Tensor:
    return tiles


def small_net(dims: int, classes: int = 3) -> torch.nn.Module:
    torch.manual_seed(0)
    conv = torch.nn.Conv2d if dims == 2 else torch.nn.Conv3d
    made = torch.nn.Sequential(conv(2, 4, 3, padding=1), torch.nn.Tanh(), conv(4, classes, 1))
    return made.eval().requires_grad_(requires_grad=False)


def monai_starts(shape: Sequence[int], patch: Sequence[int], step: float) -> list[list[int]]:
    """MONAI's rule: equal steps, the last tile moved back inside."""
    found = []
    for n, size in zip(shape, patch, strict=True):
        gap = int(size * step) if n != size else int(size)
        starts = range(0, max(n - size + gap, 1), max(gap, 1))
        found.append(sorted({min(start, n - size) for start in starts}))
    return found


@pytest.mark.parametrize("weight", ["gaussian", "constant"])
@pytest.mark.parametrize("overlap", [0, 0.25, 0.5, 0.75])
@pytest.mark.parametrize(
    ("shape", "patch"),
    [((37, 51), (16, 24)), ((5, 33), (16, 16)), ((19, 9, 23), (8, 12, 8)), ((8, 8, 8), (8, 8, 8))],
)
def test_an_identity_returns_the_image(
    shape: tuple[int, ...], patch: tuple[int, ...], overlap: float, weight: str
) -> None:
    image = torch.rand(2, *shape)
    back = predict_tiles(identity, image, patch, 1 - overlap, weight, batch=3)
    torch.testing.assert_close(back, image, atol=1e-6, rtol=0)


@pytest.mark.parametrize("weight", ["gaussian", "constant"])
@pytest.mark.parametrize(("shape", "patch"), [((40, 33), (16, 16)), ((21, 18, 30), (12, 24, 8))])
@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_it_equals_monai(
    shape: tuple[int, ...], patch: tuple[int, ...], overlap: float, weight: str
) -> None:
    from monai.inferers import sliding_window_inference

    image, net = torch.randn(2, *shape), small_net(len(shape))
    theirs = sliding_window_inference(image[None], patch, 4, net, overlap=overlap, mode=weight)
    ours = predict_tiles(net, image, patch, 1 - overlap, weight, positions=monai_starts)
    torch.testing.assert_close(ours, theirs[0], atol=1e-5, rtol=0)  # type: ignore[index]


def test_weights_are_monais() -> None:
    from monai.data.utils import compute_importance_map

    for patch in ((16, 20), (8, 24, 12)):
        theirs = compute_importance_map(patch, mode="gaussian")
        torch.testing.assert_close(tile_weight(patch), theirs)
        assert tile_weight(patch).min() == pytest.approx(FLOOR)
    with pytest.raises(ConfigError, match="gaussian"):
        tile_weight((8, 8), "gauss")


@pytest.mark.parametrize("step", [0.25, 0.5, 0.7, 1.0])
def test_tiles_are_spread_evenly_and_cover_everything(step: float) -> None:
    for n, size in itertools.product((16, 17, 100, 131), (1, 7, 16)):
        starts = tile_starts((n,), (size,), step)[0]
        gaps = [b - a for a, b in itertools.pairwise(starts)]
        assert (starts[0], starts[-1]) == (0, n - size)
        assert all(0 < gap <= max(1, round(size * step + 0.5)) for gap in gaps)
        assert not gaps or max(gaps) - min(gaps) <= 1


def test_mirrors_are_averaged_over_every_subset() -> None:
    image, net = torch.randn(2, 20, 20), small_net(2)
    ours = predict_tiles(net, image, (20, 20), mirror_axes=(0, 1), batch=3)
    subsets = ([], [1], [2], [1, 2])
    theirs = sum(net(image.flip(axes)[None])[0].flip(axes) for axes in subsets) / 4
    torch.testing.assert_close(ours, theirs)
    one = predict_tiles(net, image, (20, 20), mirror_axes=(1,))
    theirs = (net(image[None])[0] + net(image.flip([2])[None])[0].flip([2])) / 2
    torch.testing.assert_close(one, theirs)


def test_batches_change_nothing() -> None:
    image, net = torch.randn(2, 30, 22, 17), small_net(3)
    alone = predict_tiles(net, image, (16, 12, 8), batch=1)
    for batch in (3, 7, 100):
        torch.testing.assert_close(predict_tiles(net, image, (16, 12, 8), batch=batch), alone)


def test_a_flat_net_goes_through_a_volume_slice_by_slice() -> None:
    volume, net = torch.randn(2, 5, 30, 22), small_net(2)
    ours = predict_tiles(net, volume, (16, 16), batch=7, mirror_axes=(1,))
    for i in range(5):
        flat = predict_tiles(net, volume[:, i], (16, 16), mirror_axes=(1,))
        torch.testing.assert_close(ours[:, i], flat)


def test_every_slice_is_predicted_once() -> None:
    seen = []
    predict_tiles(lambda x: seen.append(len(x)) or x, torch.ones(1, 9, 8, 8), (8, 8))
    assert sum(seen) == 9


def test_deep_supervision_and_half_precision() -> None:
    image, net = torch.randn(2, 24, 24), small_net(2)
    full = predict_tiles(net, image, (16, 16))
    deep = predict_tiles(lambda x: [net(x), net(x)[:, :, ::2, ::2]], image, (16, 16))
    torch.testing.assert_close(deep, full)
    half = predict_tiles(net, image, (16, 16), precision="bf16")
    assert half.dtype == torch.float32
    assert 0 < (half - full).abs().max() < 0.05


def test_large_results_go_to_a_file(tmp_path: Path) -> None:
    image, net = torch.randn(2, 33, 20, 20), small_net(3)
    full = predict_tiles(net, image, (16, 16, 16))
    filed = predict_tiles(net, image, (16, 16, 16), spill=tmp_path, large_bytes=1000)
    assert filed.dtype == torch.float16
    torch.testing.assert_close(filed.float(), full, atol=2e-3, rtol=1e-3)
    assert not list(tmp_path.iterdir())


def test_finished_slabs_can_be_reduced() -> None:
    image, net = torch.randn(2, 33, 20, 20), small_net(3)
    labels = predict_tiles(
        net, image, (16, 16, 16), finish=lambda slab: slab.argmax(0, keepdim=True).byte()
    )
    assert labels.dtype == torch.uint8
    assert torch.equal(labels[0], predict_tiles(net, image, (16, 16, 16)).argmax(0).byte())


@pytest.mark.parametrize(
    ("keys", "error", "words"),
    [
        ({"step": 0}, ConfigError, "step"),
        ({"patch": (8,)}, DataError, "as many axes"),
        ({"precision": "8"}, ConfigError, "precision"),
        ({"mirror_axes": (2,)}, ConfigError, "mirror_axes"),
        ({"net": lambda x: x[..., :4]}, DataError, "same size"),
    ],
)
def test_what_cannot_be_is_refused(
    keys: dict[str, object], error: type[Exception], words: str
) -> None:
    settings = {"net": identity, "x": torch.ones(1, 9, 9, 9), "patch": (8, 8, 8)} | keys
    if keys.get("mirror_axes") or "patch" in keys:
        settings["x"] = torch.ones(1, 9, 9, 9) if "patch" in keys else torch.ones(1, 9, 9)
        settings.setdefault("patch", (8, 8))
        settings["patch"] = keys.get("patch", (8, 8))
    with pytest.raises(error, match=words):
        predict_tiles(**settings)  # type: ignore[arg-type]


CT = """
import resource, torch
from neuroloom.learn.dense.apply.tile import predict_tiles
torch.set_num_threads(1)
net = torch.nn.Sequential(torch.nn.Conv3d(1, 4, 3, padding=1), torch.nn.Conv3d(4, 3, 1)).eval()
image = torch.randn(1, 600, 512, 512)
said = predict_tiles(net, image, (128, 128, 128), batch=2)
assert said.shape == (3, 600, 512, 512) and said.isfinite().all()
whole = net(image[None, :, 292:308, 200:216, 200:216]).detach()[0, :, 4:-4, 4:-4, 4:-4]
assert torch.allclose(said[:, 296:304, 204:212, 204:212].float(), whole, atol=1e-3)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


@pytest.mark.long
def test_a_whole_ct_fits_in_eight_gigabytes() -> None:
    """512 × 512 × 600 voxels and three classes; resident memory of a process of its own."""
    done = subprocess.run([sys.executable, "-c", CT], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 8
