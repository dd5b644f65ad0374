import numpy as np
import pytest
from scipy import ndimage

from neuroloom.core.errors import DataError
from neuroloom.volumes.agreement import fuse


def raters(seed=0, errors=(0.1, 0.15, 0.2, 0.3, 0.4), shape=(16, 18, 14)):
    """A truth, and raters who draw its border more or less well."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=shape), 3)
    truth = field > 0.5 * field.std()
    noise = [ndimage.gaussian_filter(rng.normal(size=shape), 1) for _ in errors]
    return truth, [
        (field / field.std() + 3 * e * n / n.std()) > 0.5
        for e, n in zip(errors, noise, strict=True)
    ]


def overlap(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_staple_is_itks():
    import SimpleITK

    _, masks = raters()
    images = [SimpleITK.GetImageFromArray(mask.astype(np.uint8)) for mask in masks]
    itk = SimpleITK.STAPLEImageFilter()
    itk.SetForegroundValue(1)
    theirs = SimpleITK.GetArrayFromImage(itk.Execute(images))
    found = fuse.staple(masks)
    np.testing.assert_allclose(found.probability, theirs, atol=1e-5)
    np.testing.assert_allclose(found.trust[:, 0], itk.GetSensitivity(), atol=1e-5)
    np.testing.assert_allclose(found.trust[:, 1], itk.GetSpecificity(), atol=1e-5)


def test_vote_is_itks():
    import SimpleITK

    rng = np.random.default_rng(0)
    labels = [rng.integers(3, size=(5, 6, 7)).astype(np.uint8) for _ in range(5)]
    theirs = SimpleITK.LabelVoting([SimpleITK.GetImageFromArray(a) for a in labels], 9)
    theirs = SimpleITK.GetArrayFromImage(theirs)
    found = fuse.majority(labels)
    decided = theirs != 9
    assert (found.label[decided] == theirs[decided]).all()
    stack = np.stack(labels)
    assert np.allclose(found.probability, (stack == found.label).mean(0))
    assert (found.label[~decided] <= 2).all()


def test_weights_decide():
    assert fuse.majority([[1], [2], [2]], [3, 1, 1]).label.tolist() == [1]


def test_simple_drops_who_saw_something_else():
    truth, masks = raters(1, (0.1, 0.15, 0.2, 0.2))
    wrong = np.roll(truth, 8, axis=0)
    found = fuse.simple([*masks, wrong, wrong])
    assert (found.trust[4:] == 0).all()
    assert found.trust[:4].max() > 0.8
    assert overlap(found.label, truth) > overlap(
        fuse.majority([*masks, wrong, wrong]).label > 0, truth
    )


def test_fusing_beats_the_mean_rater():
    for seed in range(3):
        truth, masks = raters(seed)
        mean = np.mean([overlap(mask, truth) for mask in masks])
        for how in (fuse.staple, fuse.simple):
            assert overlap(how(masks).label, truth) > mean


def test_empty_masks_and_other_grids():
    none = np.zeros((4, 4), bool)
    for how in (fuse.staple, fuse.simple):
        assert not how([none, none, none]).label.any()
    with pytest.raises(DataError, match="two labels or more"):
        fuse.majority([none])
    with pytest.raises(DataError, match=r"\(3,\)"):
        fuse.majority([none, [1, 1, 1]])
