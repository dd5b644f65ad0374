"""Three shards merged equal the pooled cases, and what is measured is what numpy measures."""

import numpy as np
import pytest

from neuroloom.core.errors import DataError
from neuroloom.learn.dense.planning.fingerprint import (
    CaseFacts,
    Fingerprint,
    measure_case,
    nonzero_box,
)


def case(seed: int, sample: int = 200) -> CaseFacts:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(5, 12, 3))
    image = rng.normal(size=(2, *shape)).astype(np.float32)
    image[:, : rng.integers(1, 3)] = 0
    return measure_case(image, rng.integers(0, 3, shape), tuple(rng.uniform(0.5, 2, 3)), sample)


def pooled(seeds: range) -> Fingerprint:
    made = Fingerprint(["CT", "T1w"])
    for seed in seeds:
        made.update(case(seed))
    return made


def same(first: object, second: object) -> None:
    if isinstance(first, dict) and isinstance(second, dict):
        assert first.keys() == second.keys()
        for key in first:
            same(first[key], second[key])
    else:
        np.testing.assert_array_equal(first, second)


def test_three_shards_equal_pooled() -> None:
    a, b, c = (pooled(range(*edge)) for edge in ((0, 3), (3, 4), (4, 9)))
    whole = pooled(range(9)).finalize()
    same(a.merge(b).merge(c).finalize(), whole)
    same(a.merge(b.merge(c)).finalize(), whole)
    same(Fingerprint(["CT", "T1w"]).merge(a).merge(b).merge(c).finalize(), whole)
    assert len(a) == 3


def test_state_is_arrays_and_comes_back() -> None:
    made = pooled(range(4))
    state = made.state()
    assert all(isinstance(value, np.ndarray) for value in state.values())
    same(Fingerprint.from_state(state).finalize(), made.finalize())
    empty = Fingerprint(["CT", "T1w"])
    assert len(Fingerprint.from_state(empty.state())) == 0


def test_intensities_are_those_of_the_foreground() -> None:
    rng = np.random.default_rng(0)
    image, label = rng.gamma(2, 50, (1, 20, 20)), rng.integers(0, 2, (20, 20))
    made = Fingerprint()
    made.update(measure_case(image, label, (1, 1)))
    found = made.finalize()["intensity"][0]
    values = image[0].astype(np.float32)[label > 0].astype(float)
    expected = [values.mean(), np.median(values), values.std(), values.min(), values.max()]
    expected += list(np.percentile(values, [0.5, 99.5]))
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-12)


def test_sampling_is_seeded_and_bounded() -> None:
    first, second = case(1, sample=50), case(1, sample=50)
    np.testing.assert_array_equal(first.values, second.values)
    assert first.values.shape == (2, 50)


def test_box_holds_the_union_of_channels() -> None:
    image = np.zeros((2, 6, 7, 8))
    image[0, 1, 2, 3] = image[1, 4, 5, 6] = -1
    assert nonzero_box(image) == ((1, 5), (2, 6), (3, 7))
    assert nonzero_box(np.zeros((1, 3, 4))) == ((0, 3), (0, 4))


@pytest.mark.parametrize(
    ("image", "label", "spacing", "words"),
    [
        (np.ones((1, 4, 4)), np.ones((4, 5)), (1, 1), "label has shape"),
        (np.ones((1, 4, 4)), None, (1, 1, 1), "3 spacings"),
        (np.ones((1, 4, 4)), None, (0, 1), "larger than zero"),
        (np.full((1, 4, 4), np.nan), None, (1, 1), "NaN"),
    ],
)
def test_bad_cases_are_refused(
    image: np.ndarray, label: np.ndarray | None, spacing: tuple[float, ...], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        measure_case(image, label, spacing)


def test_cases_that_do_not_belong_together_are_refused() -> None:
    flat = measure_case(np.ones((2, 4, 4)), None, (1, 1))
    with pytest.raises(DataError, match="do not mix"):
        pooled(range(1)).update(flat)
    with pytest.raises(DataError, match="channels"):
        Fingerprint(["CT"]).update(flat)
    with pytest.raises(DataError, match="channels"):
        Fingerprint(["CT"]).merge(Fingerprint(["T1w"]))
