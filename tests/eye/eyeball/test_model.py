from dataclasses import replace

import numpy as np
import pytest

from neuroloom.core.errors import DataError
from neuroloom.eye.eyeball.model import Eyeball, fit_eyeball, gaze_of, read_eyeball, write_eyeball
from neuroloom.eye.find.ellipse import fit_ellipse
from neuroloom.eye.render import HUMAN, draw_scene
from neuroloom.eye.render.optics import outline, set_up

SHAPE, ORIGIN = (240, 320), (159.5, 119.5)


def rims(seed, index=1.336, noise=0.1, n=150):
    """Ellipses of one subject as the renderer's optics give them, and the true geometry."""
    rng = np.random.default_rng(seed)
    ranges = replace(HUMAN, ragged=(0, 0), index=(index, index))
    geometry = set_up(draw_scene(n, ranges, rng, spread=20.0), SHAPE)
    ellipses = fit_ellipse(outline(geometry, 24).numpy())
    ellipses[:, :4] += rng.normal(0, noise, (n, 4))
    ellipses[:, 2:4] = np.sort(ellipses[:, 2:4], axis=1)[:, ::-1]
    return ellipses, geometry


def angle(found, geometry):
    cosine = (found.vector * geometry.gaze.numpy()).sum(1)
    return np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))


@pytest.mark.parametrize(
    ("index", "limit"), [pytest.param(1.0, 0.5, marks=pytest.mark.long), (1.336, 0.5)]
)
def test_gaze_of_unknown_subjects(index, limit):
    errors, depths = [], []
    for seed in range(4):
        ellipses, geometry = rims(seed, index)
        focal = float(geometry.focal[0])
        like = Eyeball(focal, ORIGIN, (0, 0, 1), index=index)
        model = fit_eyeball(ellipses, focal, ORIGIN, like=like)
        errors.append(np.median(angle(gaze_of(ellipses, model), geometry)))
        truth = float(geometry.centre[0, 2] / geometry.radius[0])
        depths.append(model.centre[2] / model.radius / truth)
    assert np.median(errors) <= 0.2
    assert max(errors) <= limit
    assert np.abs(np.array(depths) - 1).max() < 0.05


@pytest.mark.long
def test_leaving_out_refraction_costs_degrees():
    ellipses, geometry = rims(1)
    focal = float(geometry.focal[0])
    flat = fit_eyeball(ellipses, focal, ORIGIN, like=Eyeball(focal, ORIGIN, (0, 0, 1), index=1.0))
    bent = fit_eyeball(ellipses, focal, ORIGIN)
    plain, good = (np.median(angle(gaze_of(ellipses, model), geometry)) for model in (flat, bent))
    assert plain > 3 * good


def test_a_tenth_of_wrong_ellipses_does_no_harm():
    ellipses, geometry = rims(2)
    rng = np.random.default_rng(0)
    wrong = ellipses.copy()
    wrong[::10, :2] += rng.uniform(-40, 40, (15, 2))
    wrong[::10, 3] *= 0.6
    model = fit_eyeball(wrong, float(geometry.focal[0]), ORIGIN)
    assert np.median(angle(gaze_of(ellipses, model), geometry)) < 0.4
    far = gaze_of(wrong, model).residual
    assert np.median(far[::10]) > 5 * np.median(far[1::10])


def test_an_eye_that_stares_gives_no_eyeball():
    ellipses, geometry = rims(3)
    with pytest.raises(DataError, match="hardly moves"):
        fit_eyeball(np.tile(ellipses[:1], (40, 1)), float(geometry.focal[0]), ORIGIN)
    with pytest.raises(DataError, match="12 frames"):
        fit_eyeball(ellipses[:5], float(geometry.focal[0]), ORIGIN)


def test_an_eyeball_is_kept_as_json(tmp_path):
    eyeball = Eyeball(400.0, ORIGIN, (1.0, 2.0, 50.0), frames=9, residual=0.25, size=(320, 240))
    assert read_eyeball(write_eyeball(tmp_path / "e.json", eyeball)) == eyeball
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(DataError, match="no eyeball model"):
        read_eyeball(tmp_path / "x.json")


def test_rows_without_a_pupil_have_no_gaze():
    ellipses, geometry = rims(4)
    model = fit_eyeball(ellipses, float(geometry.focal[0]), ORIGIN)
    ellipses[3] = np.nan
    found = gaze_of(ellipses, model)
    assert np.isnan(found.vector[3]).all()
    assert np.isfinite(found.vector[4]).all()
