"""Augmentations of signals against known tones, MNE's splines and the 10-10 names."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.io.recordings.electrodes import template_positions
from neuroloom.learn.training.augment import resolve
from neuroloom.signals.augment import mirrored, mirrored_classes
from neuroloom.signals.splines import directions, solve_spline, spline_matrix

torch = pytest.importorskip("torch")

CAP = (
    "FC5 FC3 FC1 FCz FC2 FC4 FC6 C5 C3 C1 Cz C2 C4 C6 CP5 CP3 CP1 CPz CP2 CP4 CP6 Fp1 Fpz Fp2 "
    "AF7 AF3 AFz AF4 AF8 F7 F5 F3 F1 Fz F2 F4 F6 F8 FT7 FT8 T7 T8 TP7 TP8 P7 P5 P3 P1 Pz P2 P4 P6 "
    "P8 PO7 PO3 POz PO4 PO8 O1 Oz O2 Iz"
)
NAMES = CAP.split()


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def apply(name, x, y=None, seed=0, **facts):
    (found,) = resolve([name])
    y = torch.zeros(len(x), dtype=torch.int64) if y is None else y
    return found.bind(facts)(x, y, seeded(seed))


def tone(freq, n_times, rate=100.0, n=1):
    times = torch.arange(n_times) / rate
    return torch.sin(2 * torch.pi * freq * times).expand(n, 2, n_times)


def peak(x, rate=100.0):
    size = 8192
    power = torch.fft.rfft(x * torch.hann_window(x.shape[-1]), size).abs()
    return power[..., 0, :].argmax(-1) * rate / size


@pytest.mark.parametrize("n_times", [400, 401])
def test_frequency_shift_moves_a_tone(n_times):
    shifted = apply("frequency-shift", tone(10.0, n_times, n=200), rate=100.0)[0]
    found = peak(shifted)
    expected = 10 + 2 * (2 * torch.rand(200, 1, 1, generator=seeded())[:, 0, 0] - 1)
    assert (found - expected).abs().max() < 0.03
    assert found.min() < 8.1
    assert found.max() > 11.9
    middle = shifted[..., 100:-100]
    assert (middle.std(-1) * 2**0.5).sub(1).abs().max() < 0.02


@pytest.mark.parametrize("n_times", [64, 65])
def test_hilbert_transform_equals_scipy(n_times):
    from scipy.signal import hilbert as analytic

    from neuroloom.signals.augment import hilbert

    x = torch.randn(2, 3, n_times, generator=seeded(), dtype=torch.float64)
    np.testing.assert_allclose(hilbert(x).numpy(), analytic(x.numpy()).imag, atol=1e-12)


@pytest.mark.parametrize("n_times", [400, 401])
def test_band_stop_removes_one_band(n_times):
    x = torch.randn(50, 2, n_times, generator=seeded(1))
    stopped = apply("band-stop=5", x, rate=100.0)[0]
    gain = torch.fft.rfft(stopped).abs() / torch.fft.rfft(x).abs()
    gone = gain[..., :-1] < 1e-3
    width = gone.sum(-1) * 100.0 / n_times
    assert (width - 5).abs().max() <= 100.0 / n_times + 1e-6
    assert (gain[..., :-1][~gone] - 1).abs().max() < 1e-2
    assert (gone.int().diff().abs().sum(-1) <= 2).all()
    middles = gone[:, 0].float().argmax(-1) * 100 / n_times
    assert middles.min() < 5
    assert middles.max() > 40


def test_rereference_keeps_differences_between_channels():
    x = torch.randn(300, 5, 40, generator=seeded(2))
    made = apply("rereference", x)[0]
    changed = (made != x).any(-1).any(-1)
    assert changed.float().mean() == pytest.approx(0.5, abs=0.08)
    for before, after in zip(x[changed][:20], made[changed][:20], strict=True):
        # Beside the old reference (a channel of zeros), only the common part is another.
        old = torch.cat([before, torch.zeros(1, 40)])
        (chosen,) = np.flatnonzero([torch.allclose(after[k], -before[k]) for k in range(5)])
        new = old - before[chosen]
        new[[chosen, 5]] = new[[5, chosen]]
        assert torch.allclose(after, new[:5], atol=1e-6)


def test_symmetry_pairs_the_electrodes_as_their_names_do():
    order = mirrored(template_positions(NAMES))
    for name, partner in zip(NAMES, order, strict=True):
        number = name.lstrip("FCPOTAIpz")
        if not number:
            assert NAMES[partner] == name
            continue
        other = int(number) + (1 if int(number) % 2 else -1)
        assert NAMES[partner] == name.removesuffix(number) + str(other)


def test_symmetry_is_an_involution_and_swaps_sided_classes():
    positions = template_positions(NAMES).tolist()
    x = torch.randn(100, len(NAMES), 10, generator=seeded())
    y = torch.arange(100) % 3
    facts = {"positions": positions, "classes": ["left fist", "right fist", "feet"]}
    once, sided = apply("symmetry=1", x, y, **facts)
    twice, back = apply("symmetry=1", once, sided, **facts)
    assert torch.equal(once[:, NAMES.index("C3")], x[:, NAMES.index("C4")])
    assert torch.equal(twice, x)
    assert torch.equal(back, y)
    assert sided[:3].tolist() == [1, 0, 2]
    soft = torch.nn.functional.one_hot(y, 3).float()
    assert torch.equal(apply("symmetry=1", x, soft, **facts)[1].argmax(1), sided)
    dense = torch.tensor([[0, 1, -1]]).expand(100, 3)
    assert apply("symmetry=1", x, dense, **facts)[1][0].tolist() == [1, 0, -1]
    assert mirrored_classes(["Left", "RIGHT"]) == [0, 1]
    assert mirrored_classes(["Left", "Right"]) == [1, 0]


def test_splines_equal_mne():
    from mne.channels.interpolation import _make_interpolation_matrix

    units = directions(template_positions(NAMES))
    ours = spline_matrix(units[:9], units[9:], solve_spline(units[9:]))
    theirs = _make_interpolation_matrix(units[9:], units[:9])
    np.testing.assert_allclose(ours, theirs, atol=1e-8)


@pytest.mark.parametrize("axis", "xyz")
def test_rotation_shows_the_field_as_turned_electrodes_see_it(axis):
    """A smooth field on the sphere (a dipole's far view) is known at every place."""
    positions = template_positions([*NAMES, "nowhere"])
    units = directions(positions[:-1])
    source = np.array([0.3, 0.4, 0.87])
    field = np.append(np.exp(2 * (units @ source)), 7.0)
    x = torch.as_tensor(field, dtype=torch.float32)[None, :, None].expand(40, -1, 3)
    turned = apply(f"rotate-{axis}=20", x, positions=positions.tolist())[0]
    drawn = np.deg2rad(20) * (2 * torch.rand(40, 1, 1, generator=seeded()).numpy()[:, 0, 0] - 1)
    from scipy.spatial.transform import Rotation

    exact = solve_spline(units)
    inner = units[:, 2] > 0.2
    for k, angle in enumerate(drawn):
        there = Rotation.from_euler(axis, angle).apply(units)
        expected = np.exp(2 * (there @ source))
        spline = spline_matrix(there, units, exact) @ field[:-1]
        np.testing.assert_allclose(turned[k, :-1, 0].numpy(), spline, atol=0.01)
        np.testing.assert_allclose(turned[k, :-1, 0].numpy()[inner], expected[inner], atol=0.12)
    assert (turned[:, -1] == 7).all()


def test_bracelets_turn_each_by_itself():
    channels = ["L3", "L1", "L2", "X", "R1", "R2", "R3", "R4"]
    x = torch.arange(8.0)[None, :, None].expand(200, 8, 4)
    turned = apply("band-rotation", x, channels=channels)[0][..., 0].long()
    left = {tuple(channels[k] for k in row[[1, 2, 0]]) for row in turned}
    assert left == {("L1", "L2", "L3"), ("L2", "L3", "L1"), ("L3", "L1", "L2")}
    right = {tuple(row[4:].tolist()) for row in turned}
    assert right == {(4, 5, 6, 7), (5, 6, 7, 4), (7, 4, 5, 6)}
    assert (turned[:, 3] == 3).all()
    assert len({tuple(row.tolist()) for row in turned}) == 9


def test_a_model_hands_its_data_to_the_augmentations():
    from neuroloom.learn.model import find_model

    facts = {
        "channels": NAMES[:6],
        "positions": template_positions(NAMES[:6]).tolist(),
        "classes": ["left", "right"],
        "rate": 100.0,
        "n_times": 200,
    }
    model = find_model("eegnet")
    learner = model.make(facts, "classification", 2, augment=("rotate-z", "symmetry"))
    assert learner.facts == {name: facts[name] for name in ("positions", "classes")}
    assert model.rebuild(learner.spec).facts == learner.facts
