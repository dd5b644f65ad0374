import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neuroloom.core.errors import DataError
from neuroloom.core.mergeable import Confusion, Gram, Histogram, Moments

values = st.floats(-1e3, 1e3, width=32)
tables = hnp.arrays(np.float64, st.tuples(st.integers(0, 20), st.just(4)), elements=values)
cuts = st.tuples(st.integers(0, 20), st.integers(0, 20))


def moments(x):
    made = Moments((x.shape[1],), nan="skip")
    made.update(x)
    return made


def histogram(x):
    made = Histogram([-100.0, -1.0, 0.0, 1.0, 100.0])
    made.update(x)
    return made


def confusion(x):
    made = Confusion(3)
    made.update(np.abs(x[:, 0]) % 3, np.abs(x[:, 1]) % 3)
    return made


def gram(x):
    made = Gram(2, 2)
    made.update(x[:, :2], x[:, 2:])
    return made


MAKERS = [moments, histogram, confusion, gram]


def close(a, b, scale=1.0):
    a, b = a.state(), b.state()
    assert a.keys() == b.keys()
    for key in a:
        size = max(1.0, float(np.abs(a[key]).max(initial=0)), scale if key != "n" else 1.0)
        np.testing.assert_allclose(a[key], b[key], rtol=1e-10, atol=1e-10 * size)


@pytest.mark.parametrize("make", MAKERS)
@settings(max_examples=40, deadline=None)
@given(x=tables, cut=cuts)
def test_three_shards_merged_equal_pooled_in_any_grouping(make, x, cut):
    parts = [make(p) for p in np.split(x, sorted(min(c, len(x)) for c in cut))]
    scale = float((np.nan_to_num(x) ** 2).sum())
    left = parts[0].merge(parts[1]).merge(parts[2])
    right = parts[0].merge(parts[1].merge(parts[2]))
    close(left, make(x), scale)
    close(left, right, scale)
    close(parts[2].merge(parts[0]).merge(parts[1]), left, scale)


@pytest.mark.parametrize("make", MAKERS)
@settings(max_examples=20, deadline=None)
@given(x=tables)
def test_an_empty_part_changes_nothing_and_state_round_trips(make, x):
    full, empty = make(x), make(x[:0])
    close(full.merge(empty), full)
    close(empty.merge(full), full)
    close(type(full).from_state(full.state()), full)


@pytest.mark.parametrize("make", MAKERS)
def test_merge_leaves_its_parts_alone(make):
    a, b = make(np.ones((3, 4))), make(np.full((2, 4), 2.0))
    before = {key: np.array(value) for key, value in a.state().items()}
    both = a.merge(b)
    both.merge(both)
    for key, value in before.items():
        np.testing.assert_array_equal(a.state()[key], value)


def test_moments_match_numpy_also_far_from_zero():
    x = 1e6 + np.random.default_rng(0).normal(size=(300, 2, 3))
    m = Moments((2, 3))
    for part in np.array_split(x, 7):
        m.update(part)
    np.testing.assert_allclose(m.finalize()["mean"], x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(m.finalize(ddof=1)["variance"], x.var(0, ddof=1), rtol=1e-9)


def test_moments_nan_policy():
    x = np.array([[1.0, np.nan], [3.0, np.nan]])
    skip = Moments((2,), nan="skip")
    skip.update(x)
    assert skip.finalize()["mean"][0] == 2
    assert np.isnan(skip.finalize()["mean"][1])
    refuse = Moments((2,))
    with pytest.raises(DataError, match=r"\(0, 1\) is NaN"):
        refuse.update(x)
    assert refuse.count.sum() == 0
    with pytest.raises(ValueError, match="'refuse' or 'skip'"):
        Moments(nan="maybe")


def test_histogram_matches_numpy():
    x = np.random.default_rng(0).normal(size=500)
    edges = np.linspace(-1, 1, 9)
    h = Histogram(edges)
    h.update(np.append(x, np.nan))
    out = h.finalize()
    np.testing.assert_array_equal(out["counts"], np.histogram(x, edges)[0])
    assert (out["below"], out["above"], out["nan"]) == ((x < -1).sum(), (x > 1).sum(), 1)
    assert out["counts"].sum() + out["below"] + out["above"] + out["nan"] == 501


def test_confusion_matches_sklearn():
    from sklearn.metrics import confusion_matrix

    y, h = np.random.default_rng(0).integers(4, size=(2, 100))
    c = Confusion(4)
    c.update(y, h)
    np.testing.assert_array_equal(c.finalize()["counts"], confusion_matrix(y, h))
    assert np.isnan(Confusion(2).finalize()["accuracy"])


def test_gram_gives_sklearns_ridge_and_the_raw_products():
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 5)) + 100, rng.normal(size=(60, 2))
    g = Gram(5, 2)
    for xs, ys in zip(np.array_split(x, 3), np.array_split(y, 3), strict=True):
        g.update(xs, ys)
    weights, intercept = g.ridge(2.0)
    reference = Ridge(alpha=2.0).fit(x, y)
    np.testing.assert_allclose(weights, reference.coef_.T, rtol=1e-8)
    np.testing.assert_allclose(intercept, reference.intercept_, rtol=1e-8)
    np.testing.assert_allclose(g.finalize()["xx"], x.T @ x, rtol=1e-10)
    np.testing.assert_allclose(g.finalize()["xy"], x.T @ y, rtol=1e-8)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Moments((2,)).update(np.zeros((3, 4))),
        lambda: Moments((2,)).merge(Moments((3,))),
        lambda: Histogram([0, 1]).merge(Histogram([0, 2])),
        lambda: Confusion(2).update([0, 2], [0, 0]),
        lambda: Confusion(2).update([0, -1], [0, 0]),
        lambda: Confusion(2).update([0], [0, 0]),
        lambda: Confusion(2).merge(Confusion(3)),
        lambda: Gram(1, 1).update([[np.nan]], [[1.0]]),
        lambda: Gram(1, 1).update([[1.0, 2.0]], [[1.0]]),
        lambda: Gram(1, 1).merge(Gram(2, 1)),
    ],
)
def test_what_does_not_fit_is_refused(wrong):
    with pytest.raises(DataError):
        wrong()


def test_edges_must_rise():
    with pytest.raises(ValueError, match="rising"):
        Histogram([1.0, 0.0])
