import numpy as np
import pytest

from neuroloom.eye.eyeball.circles import middle_of, unproject
from neuroloom.eye.find.ellipse import distance, fit_ellipse, from_conic, rim, to_conic
from neuroloom.eye.find.rims import fit_robust, sharpen


def drawn(n, seed):
    rng = np.random.default_rng(seed)
    axes = np.sort(rng.uniform(4, 40, (n, 2)))[:, ::-1]
    return np.column_stack([rng.uniform(20, 90, (n, 2)), axes, rng.uniform(0, np.pi, n)])


def test_an_ellipse_is_found_again_from_its_rim():
    truth = drawn(40, 0)
    found = fit_ellipse(rim(truth, 30))
    np.testing.assert_allclose(found[:, :4], truth[:, :4], atol=1e-6)
    apart = (found[:, 4] - truth[:, 4] + np.pi / 2) % np.pi - np.pi / 2
    assert np.abs(apart).max() < 1e-5


def test_the_fit_agrees_with_that_of_opencv():
    """cv2.fitEllipseDirect is Fitzgibbon's fit as others wrote it; its angle is another."""
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(1)
    for truth in drawn(8, 2):
        points = (rim(truth, 60) + rng.normal(0, 0.3, (60, 2))).astype(np.float32)
        (x, y), axes, _ = cv2.fitEllipseDirect(points)
        ours = fit_ellipse(points)
        np.testing.assert_allclose(ours[:4], [x, y, max(axes) / 2, min(axes) / 2], rtol=2e-3)


def test_conics_go_there_and_back():
    truth = drawn(20, 3)
    np.testing.assert_allclose(from_conic(to_conic(truth)), truth, atol=1e-8)
    np.testing.assert_allclose(distance(truth, rim(truth, 9)), 0, atol=1e-9)


def test_too_few_points_are_no_ellipse():
    assert np.isnan(fit_ellipse(np.zeros((3, 5, 2)))).all()


def test_a_quarter_of_wrong_points_does_not_move_it():
    rng = np.random.default_rng(4)
    truth = drawn(10, 5)
    points = rim(truth, 64) + rng.normal(0, 0.1, (10, 64, 2))
    points[:, :12] += rng.uniform(3, 8, (10, 12, 2))
    found, kept = fit_robust(points, np.ones((10, 64)))
    assert np.hypot(*(found - truth)[:, :2].T).max() < 0.2
    assert kept[:, :12].mean() < 0.1 * kept[:, 12:].mean()


@pytest.mark.parametrize("sign", [1, -1])
def test_an_edge_is_found_to_a_tenth_of_a_pixel(sign):
    y, x = np.mgrid[:80, :100].astype(float)
    truth = np.array([[47.3, 41.6, 19.2, 15.1, 0.7]])
    far = distance(truth, np.stack([x.ravel(), y.ravel()], -1)[None]).reshape(1, 80, 100)
    picture = 120 + sign * 60 * np.tanh(far / 1.2)
    picture += np.random.default_rng(6).normal(0, 4, picture.shape)
    start = truth + np.array([1.0, -1.0, 1.2, -0.8, 0.1])
    for reach in (4.0, 2.5):
        start, _ = sharpen(picture.astype(np.float32), start, np.ones((1, 64)), np.array([reach]))
    assert np.abs(start - truth)[0, :4].max() < 0.1


def test_one_of_the_two_circles_is_the_true_one():
    rng = np.random.default_rng(7)
    focal, origin = 300.0, (80.0, 60.0)
    for _ in range(20):
        normal = np.append(rng.uniform(-0.5, 0.5, 2), -1.0)
        normal /= np.linalg.norm(normal)
        centre = np.append(rng.uniform(-5, 5, 2), rng.uniform(20, 40))
        one, other = np.linalg.svd(normal[None])[2][1:]
        turn = np.linspace(0, 2 * np.pi, 50)[:-1, None]
        points = centre + np.cos(turn) * one + np.sin(turn) * other
        ellipse = fit_ellipse(focal * points[:, :2] / points[:, 2:] + origin)
        centres, normals = unproject(ellipse[None], focal, origin)
        best = np.abs(normals[0] - normal).sum(1).argmin()
        np.testing.assert_allclose(normals[0, best], normal, atol=1e-5)
        np.testing.assert_allclose(centres[0, best], centre, rtol=1e-5, atol=1e-4)


def test_short_axes_meet_in_the_image_of_the_middle():
    middle = np.array([50.0, 40.0])
    turn = np.linspace(0, 5, 12)
    places = middle + 20 * np.stack([np.cos(turn), np.sin(turn)], 1)
    ellipses = np.column_stack(
        [places, np.full(12, 9.0), np.full(12, 6.0), (turn + np.pi / 2) % np.pi]
    )
    np.testing.assert_allclose(middle_of(ellipses, np.ones(12)), middle, atol=1e-3)
