"""Learners of tables against independent ones, and the recipe on regions of known truth."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import nibabel
import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.statistics import logrank_test
from lifelines.utils import concordance_index

from neuroloom.core import recording
from neuroloom.core.dataset import Dataset
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json
from neuroloom.io.cases import find_cases
from neuroloom.io.images import write_image
from neuroloom.io.names import says_who
from neuroloom.learn.scoring import survival
from neuroloom.learn.scoring.scores import auc
from neuroloom.volumes.radiomics.checks import audit_features
from neuroloom.volumes.radiomics.extract import Chain
from neuroloom.volumes.radiomics.outcome.courses import tell_log_rank
from neuroloom.volumes.radiomics.outcome.cox import baseline_hazard, fit_cox, predicted_survival
from neuroloom.volumes.radiomics.outcome.elastic import choose_penalty, fit_elastic
from neuroloom.volumes.radiomics.outcome.estimators import Cox, Linear, learn_scaling
from neuroloom.volumes.radiomics.outcome.forest import flatten, walk
from neuroloom.volumes.radiomics.outcome.models import linear, volume
from neuroloom.volumes.radiomics.outcome.targets import outcome_of, stratified_folds
from neuroloom.volumes.radiomics.recipe import Radiomics
from neuroloom.volumes.radiomics.story import method
from neuroloom.volumes.radiomics.table import Wish, find_channel, has_images, measure_cases
from tests.regions import write_regions

STAT = Wish(Chain(families=("morph", "stat")))
QUICK = {"families": ["morph", "stat", "cm"], "folds": 5}


def followed(n: int, seed: int, slope: float = 1.0):
    """Features, of which the first brings the event sooner, and times and events."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6))
    failed = rng.exponential(np.exp(-slope * x[:, 0]))
    left = rng.uniform(0.2, 3, n)
    return x, np.column_stack([np.minimum(failed, left) + 1e-3, failed <= left]).astype(float)


def table_of(x, y, names=None, task="classification", truth=None):
    names = names or [f"f{k}" for k in range(x.shape[1])]
    labels = [("no", "yes")[int(v)] for v in y] if task == "classification" else list(y)
    rows = pd.DataFrame({"name": [f"c{k}" for k in range(len(x))], "label": labels})
    rows = rows.assign(path="t.csv", subject=rows["name"], session="1", run="1")
    classes = ["no", "yes"] if task == "classification" else []
    return Dataset(rows, x, task, classes, facts={"features": names}, truth=truth)


@pytest.mark.parametrize("mix", [0.0, 0.5, 1.0])
def test_elastic_net_equals_scikit_learn(mix):
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    z = rng.normal(size=(80, 7))
    y = (z[:, 0] - z[:, 1] + rng.normal(size=80) > 0).astype(int)
    # Equal classes, so that equal weights of classes change nothing.
    y[:] = 0
    y[np.argsort(-(z[:, 0] - z[:, 1] + rng.normal(size=80)))[:40]] = 1
    strength = 0.05
    ours, _ = fit_elastic(z, np.eye(2)[y], strength, mix, steps=5000)
    # Two symmetric columns of weights w and -w carry the penalty of 2 w: half the ridge term.
    l1, l2 = 2 * strength * mix, 2 * strength * (1 - mix) / 4
    total = (l1 / 2 + l2) * len(y)
    theirs = LogisticRegression(
        solver="saga", l1_ratio=(l1 / 2) / (l1 / 2 + l2), C=1 / total, penalty="elasticnet",
        max_iter=20000, tol=1e-8,
    ).fit(z, y)  # fmt: skip
    np.testing.assert_allclose(ours[:, 1] - ours[:, 0], theirs.coef_[0], atol=2e-3)


def test_elastic_net_of_numbers_equals_scikit_learn():
    from sklearn.linear_model import ElasticNet

    rng = np.random.default_rng(1)
    z = rng.normal(size=(60, 5))
    y = z @ np.array([2.0, 0, -1, 0, 0.3]) + 3 + 0.2 * rng.normal(size=60)
    ours, bias = fit_elastic(z, y[:, None], 0.3, 0.7, steps=5000)
    theirs = ElasticNet(alpha=0.3, l1_ratio=0.7, tol=1e-10).fit(z, y)
    np.testing.assert_allclose(ours[:, 0], theirs.coef_, atol=1e-4)
    assert bias[0] == pytest.approx(theirs.intercept_, abs=1e-4)


def test_penalty_finds_the_feature_among_noise():
    rng = np.random.default_rng(2)
    z = rng.normal(size=(100, 200))
    y = (z[:, 17] + 0.5 * rng.normal(size=100) > 0).astype(int)
    weights, _ = choose_penalty(z, np.eye(2)[y], (0.5, 1.0))
    assert np.abs(weights).max(1).argmax() == 17
    assert (np.abs(weights).max(1) > 1e-9).sum() < 60


def test_scaling_leaves_out_what_says_nothing_new():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 50))
    gaps = np.where(np.arange(50) < 40, np.nan, b)
    x = np.column_stack([a, 3 * a + 1, np.ones(50), b, gaps])
    assert learn_scaling(x)["kept"].tolist() == [0, 3]


def test_forest_arrays_predict_as_scikit_learn_does():
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(4)
    z, new = rng.normal(size=(90, 4)), rng.normal(size=(30, 4))
    y = (z[:, 0] * z[:, 1] > 0).astype(int)
    grown = RandomForestClassifier(20, random_state=0).fit(z, y)
    ours = walk(new, flatten([tree.tree_ for tree in grown.estimators_]))
    np.testing.assert_allclose(ours, grown.predict_proba(new), atol=1e-12)


def test_concordance_groups_and_curves_equal_lifelines():
    x, y = followed(120, 5)
    time, event = y[:, 0], y[:, 1]
    ours = survival.c_index(time, event, x[:, 0])
    assert ours == pytest.approx(concordance_index(time, -x[:, 0], event))
    tied = np.round(x[:, 0])
    assert survival.c_index(time, event, tied) == pytest.approx(
        concordance_index(time, -tied, event)
    )
    at, share = survival.kaplan_meier(time, event)
    theirs = KaplanMeierFitter().fit(time, event).survival_function_at_times(at)
    np.testing.assert_allclose(share, theirs)
    high = x[:, 0] > np.median(x[:, 0])
    p = logrank_test(time[high], time[~high], event[high], event[~high]).p_value
    assert survival.log_rank_p(time, event, high) == pytest.approx(p)


def test_weighted_concordance_counts_repeated_cases():
    x, y = followed(30, 6)
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 30, 30)
    weights = np.bincount(rows, minlength=30)
    plain = survival.c_index(y[rows, 0], y[rows, 1], x[rows, 0])
    # Copies of one case tie in time: no pair.
    assert survival.c_index(y[:, 0], y[:, 1], x[:, 0], weights) == pytest.approx(plain)
    both = survival.c_index(y[:, 0], y[:, 1], x[:, 0], np.stack([weights, np.ones(30)]))
    assert both.shape == (2,)


def test_survival_curves_equal_those_of_lifelines():
    x, y = followed(150, 7)
    weights = fit_cox(x, y, 0.0)["weights"]
    at, hazard = baseline_hazard(y, x @ weights)
    frame = pd.DataFrame(x).assign(time=y[:, 0], event=y[:, 1])
    theirs = CoxPHFitter().fit(frame, "time", "event")
    # At the time of an event: between events lifelines interpolates.
    when = float(at[len(at) // 2])
    expected = theirs.predict_survival_function(frame.iloc[:5], times=[when]).to_numpy()[0]
    ours = predicted_survival({"times": at, "hazard": hazard}, x[:5] @ weights, when)
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_cox_finds_the_feature_and_reloads():
    x, y = followed(150, 8)
    learner = Cox("cox", task="survival", n_outputs=1, columns=[])
    learner.fit(x, y)
    assert survival.c_index(y[:, 0], y[:, 1], learner.predict_scores(x)) > 0.7
    assert np.abs(learner.state()["weights"]).argmax() == 0
    again = linear.rebuild(learner.spec)
    again.load(learner.state())
    np.testing.assert_array_equal(again.predict_scores(x), learner.predict_scores(x))


def test_a_flag_that_one_patient_has_does_not_end_a_survival_study():
    x, y = followed(40, 9)
    x = np.column_stack([x[:, :2], np.arange(40) == 17])
    learner = Cox("cox", task="survival", n_outputs=1, columns=[])
    learner.fit(x, y)
    assert np.isfinite(learner.predict_scores(x)).all()
    flat = np.column_stack([x[:, :2], np.full(40, 0.1)])
    weights = fit_cox(flat, y, 0.1)["weights"]
    np.testing.assert_allclose(weights, [*fit_cox(x[:, :2], y, 0.1)["weights"], 0])
    assert fit_cox(flat[:, 2:], y, 0.1)["weights"].tolist() == [0]


@pytest.mark.parametrize("model", [linear, volume])
def test_risks_of_all_folds_count_from_the_median_that_was_learnt_from(model):
    x, y = followed(60, 12)
    x[:, 0] = np.exp(x[:, 0])
    learner = model.make({"features": ["volume", *"abcde"]}, "survival", 1)
    learner.fit(x, y)
    risk = learner.predict_scores(x)
    assert np.median(risk) == pytest.approx(0)
    assert np.ptp(risk) > 0.5
    if model is linear:
        # What was to be expected of each adds up to the events that there were (Breslow).
        pairs = zip(risk, y[:, 0], strict=True)
        lives = [predicted_survival(learner.state(), one, when) for one, when in pairs]
        assert -np.log(lives).sum() == pytest.approx(y[:, 1].sum())


def test_left_out_one_by_one_the_riskier_half_is_still_told_apart():
    x, y = followed(10, 13, slope=3)
    risk = np.zeros(10)
    for case in range(10):
        learner = volume.make({"features": ["volume", *"abcde"]}, "survival", 1)
        learner.fit(np.delete(x, case, 0), np.delete(y, case, 0))
        risk[case] = learner.predict_scores(x[[case]])[0]
    assert 3 <= (risk > 0).sum() <= 7
    assert "cases unseen: p = " in tell_log_rank(y[:, 0], y[:, 1], risk > 0)
    assert "one of the two groups is empty" in tell_log_rank(y[:, 0], y[:, 1], risk > 99)
    apart = tell_log_rank(np.array([1.0, 2, 3]), np.array([0, 0, 1]), np.array([True, True, False]))
    assert apart.startswith("No log-rank test: nobody had the event while both")


def test_volume_alone_sees_the_volume_only():
    rng = np.random.default_rng(9)
    x = rng.normal(size=(60, 3))
    y = (x[:, 0] > 0).astype(int)
    facts = {"features": ["cm_contrast_3D_comb", "morph_volume", "stat_mean"]}
    learner = volume.make(facts, "classification", 2)
    learner.fit(x, y)
    moved = x.copy()
    moved[:, [0, 2]] += 5
    np.testing.assert_array_equal(learner.predict_scores(x), learner.predict_scores(moved))
    names = ["stat_mean", "a:morph_volume", "T1_original_shape_MeshVolume"]
    both = volume.make({"features": names}, "classification", 2)
    both.fit(x, y)
    assert both.state()["kept"].tolist() == [1, 2]
    none = volume.make({"features": ["a", "b", "c"]}, "classification", 2)
    none.fit(x, y)
    assert np.ptp(none.predict_scores(x), axis=0).max() == 0


def test_folds_hold_each_class_alike():
    rng = np.random.default_rng(10)
    y = np.arange(60) % 4 == 0
    dataset = table_of(rng.normal(size=(60, 2)), y)
    folds = stratified_folds(dataset, "subject", 5, seed=0)
    assert [int(y[fold.test].sum()) for fold in folds] == [3] * 5
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(60))


@pytest.mark.long
def test_permuted_labels_lie_at_chance():
    """Selection, scaling and penalty inside the fold: noise must not look like knowledge."""
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(60, 40))
        y = rng.permutation(np.arange(60) % 2)
        dataset = table_of(x, y)
        scores = np.zeros((60, 2))
        for fold in stratified_folds(dataset, "subject", 5, seed):
            learner = Linear("linear", task="classification", n_outputs=2, columns=[])
            learner.fit(x[fold.train], y[fold.train])
            scores[fold.test] = learner.predict_scores(x[fold.test])
        found.append(auc(y, np.exp(scores)))
    # The mean of twenty has a standard error of about 0.015.
    assert np.mean(found) == pytest.approx(0.5, abs=0.05)


def test_audit_names_the_answer_the_volume_and_the_numbers():
    rng = np.random.default_rng(11)
    y = np.arange(40) % 2
    size = rng.lognormal(size=40)
    x = np.column_stack([size, size**2, rng.normal(size=(40, 20)), y + 0.01 * rng.normal(size=40)])
    names = ["morph_volume", "szm_glnu_3D", *[f"f{k}" for k in range(20)], "leak"]
    found = {finding.title: finding.detail for finding in audit_features(table_of(x, y, names))}
    assert "leak (AUC 1.000)" in found["A feature gives the answer away"]
    assert "szm_glnu_3D" in found["Features that are the volume"]
    assert (
        "20 cases of the rarest class stand against 23"
        in (found["Few events for so many features"])
    )
    assert "No test-retest" in found
    names[:3] = ["szm_glnu_3D", "b:original_shape_VoxelVolume", "a:morph_volume"]
    found = {finding.title: finding.detail for finding in audit_features(table_of(x, y, names))}
    assert "szm_glnu_3D" in found["Features that are the volume"]
    found = {finding.title: finding.detail for finding in audit_features(table_of(x[:, 3:], y))}
    assert "one prediction for all" in found["No volume among the features"]


def test_selection_is_inside_the_fold_for_one_permutation_too():
    """Features picked on all rows would order noise nearly perfectly."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 60)), np.arange(40) % 2
    scores = np.zeros((40, 2))
    for fold in stratified_folds(table_of(x, y), "subject", 4, 0):
        learner = Linear("linear", task="classification", n_outputs=2, mixes=(0.5,))
        learner.fit(x[fold.train], y[fold.train])
        scores[fold.test] = learner.predict_scores(x[fold.test])
    assert 0.2 < auc(y, np.exp(scores)) < 0.8


@pytest.fixture(scope="module")
def regions(tmp_path_factory):
    return write_regions(tmp_path_factory.mktemp("regions"), n=30)


def test_texture_is_told_beside_the_volume(regions, tmp_path):
    run = Radiomics(target="grade", **QUICK).run(regions, tmp_path / "run")
    found = read_json(run.folder / "metrics.json")["auc"]
    assert found["value"] > 0.8
    assert found["value"] > found["baseline"]
    titles = {row["title"] for row in read_json(run.folder / "audit.json")}
    assert {"No test-retest", "Few events for so many features"} <= titles
    weights = pd.read_parquet(run.folder / "artifacts" / "weights.parquet")
    assert weights["feature"].iloc[:3].str.startswith("cm_").any()
    new = run.predict(regions)
    assert list(new) == ["name", "path", "subject", "label", "predicted", "p_high", "p_low"]


def test_features_alone_make_a_table(regions, tmp_path):
    recipe = Radiomics(families=["stat"], filters=["mean:3", "log:2"])
    run = recipe.run(regions, tmp_path / "run")
    table = pd.read_csv(run.folder / "artifacts" / "features.csv")
    assert len(table) == 30
    assert {"stat_mean", "mean:3/stat_mean", "log:2/stat_var", "subject"} <= set(table)
    np.testing.assert_allclose(table["stat_mean"], 100, rtol=1e-4)
    assert read_json(run.folder / "metrics.json") == {}
    with pytest.raises(ConfigError, match="learnt nothing"):
        run.predict(regions)


def test_survival_of_a_real_table(tmp_path):
    """432 prisoners followed for a year (Rossi et al. 1980, in lifelines)."""
    from lifelines.datasets import load_rossi

    table = tmp_path / "rossi.csv"
    load_rossi().to_csv(table, index=False)
    run = Radiomics(time="week", event="arrest", folds=3).run(table, tmp_path / "run")
    found = read_json(run.folder / "metrics.json")["c_index"]
    # lifelines' own Cox model with all features has 0.64 on the very data that it was fitted to.
    assert 0.57 < found["value"] < 0.67
    assert found["low"] < found["value"] < found["high"]
    assert (found["baseline"], found["chance"]) == (0.5, 0.5)
    names = {path.name for path in (run.folder / "artifacts").iterdir()}
    assert {"kaplan-meier.png", "calibration.png"} <= names
    assert run.predict(table)["predicted"].notna().all()
    assert len(run.evaluate(table)) > 0


def spoilt(folder, **columns):
    manifest = write_regions(folder, n=4)
    table = pd.read_csv(manifest)
    for name, value in columns.items():
        table.loc[1, name] = value
    table.to_csv(manifest, index=False)
    return manifest


def test_every_case_that_cannot_be_measured_is_named_at_once(tmp_path):
    manifest = write_regions(tmp_path / "data", n=6)
    masks = [tmp_path / f"data/case{case:03d}_mask.nii.gz" for case in range(6)]
    whole = nibabel.load(masks[0])
    drawn = np.asarray(whole.dataobj)
    moved = whole.affine.copy()
    moved[0, 3] += 3
    nibabel.save(nibabel.Nifti1Image(0 * drawn, whole.affine), masks[1])
    nibabel.save(nibabel.Nifti1Image(drawn[:-1], whole.affine), masks[2])
    nibabel.save(nibabel.Nifti1Image(drawn, whole.affine @ np.diag([-1, 1, 1, 1])), masks[3])
    nibabel.save(nibabel.Nifti1Image(drawn, moved), masks[4])
    with pytest.raises(DataError) as error:
        Radiomics().run(manifest, tmp_path / "run")
    says = ("label is empty", "the label's grid", "it is flipped", "lies elsewhere")
    for case, words in enumerate(says, start=1):
        assert re.search(f"case{case:03d}_mask.nii.gz: .*{words}", str(error.value))
    assert not (tmp_path / "run").exists()


def test_one_image_may_have_several_regions_and_no_value_beside_them(tmp_path):
    manifest = write_regions(tmp_path / "data", n=2)
    path = tmp_path / "data" / "case000_image.nii.gz"
    whole = nibabel.load(tmp_path / "data/case000_mask.nii.gz")
    first = np.asarray(whole.dataobj) > 0
    content = np.where(first, np.asarray(nibabel.load(path).dataobj), np.nan)
    half = (first & (np.arange(first.shape[2]) < first.shape[2] // 2)).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(content, whole.affine), path)
    nibabel.save(nibabel.Nifti1Image(half, whole.affine), tmp_path / "data/half.nii.gz")
    table = pd.read_csv(manifest)
    table.loc[1, ["image", "label"]] = [table["image"][0], "half.nii.gz"]
    table.assign(name=["whole", "half"]).to_csv(manifest, index=False)
    found = Radiomics(families=["morph", "stat"]).measure(manifest)
    assert found.features.notna().all(axis=None)
    volumes = found.features["morph_vol_approx"]
    assert 0.3 < volumes[1] / volumes[0] < 0.7


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"time": "months"}, "Survival needs both"),
        ({"target": "grade", "time": "months", "event": "event"}, "exclude each other"),
        ({"families": ["glcm"]}, "'glcm' is none of"),
        ({"range": (5, 1)}, "low < high"),
        ({"filters": ["sobel"]}, "'sobel' is no filter"),
        ({"target": "grades"}, "no column 'grades'"),
        ({"time": "grade", "event": "event"}, "'low', which is no number"),
        ({"rois": ["liver"]}, "no class 'liver'"),
        ({"target": "grade", "model": "cox"}, "cannot learn classification"),
    ],
)
def test_what_the_user_can_mend(fields, says, regions, tmp_path):
    with pytest.raises((ConfigError, DataError), match=says):
        Radiomics(**fields).run(regions, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_times_and_events_are_checked(tmp_path):
    manifest = spoilt(tmp_path, months=-3.0)
    with pytest.raises(DataError, match="months is -3; a time must be positive"):
        Radiomics(time="months", event="event", families=["stat"]).run(manifest, tmp_path / "run")


def rows_of(**columns):
    count = len(next(iter(columns.values())))
    return pd.DataFrame({"name": [f"row {k + 2}" for k in range(count)], **columns})


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"months": ["34,5", 12], "event": [1, 0]}, "row 2: .*'34,5', .*Write 34.5 for 34,5"),
        ({"months": [34.5, "60+"], "event": [1, 0]}, "row 3: the column 'months' says '60[+]'"),
        ({"months": [34.5, 60], "event": ["yes", "n/a"]}, "'yes', .*an event is 1, none is 0"),
        ({"months": [34.5, 60], "event": [0, 0]}, "no case has the event"),
    ],
)
def test_follow_up_that_cannot_be_read_is_named_and_unknown_where_only_predicted(columns, says):
    rows = rows_of(**columns)
    with pytest.raises(DataError, match=says):
        outcome_of(rows, None, "months", "event")
    labels, truth, _ = outcome_of(rows, None, "months", "event", "survival", labelled=False)
    read = [
        float(months) if isinstance(months, (int, float)) else None for months in rows["months"]
    ]
    expected = [m if isinstance(e, int) else None for m, e in zip(read, rows["event"], strict=True)]
    assert labels == expected
    assert truth.shape == (2, 2)


def test_a_cohort_without_an_event_is_judged():
    rows = rows_of(months=[3.0, 4.0], event=[0, 0])
    assert outcome_of(rows, None, "months", "event", "survival")[0] == [3.0, 4.0]


def test_a_word_among_numbers_is_named_and_unknown_where_only_predicted():
    rows = rows_of(score=[*(k / 7 for k in range(12)), "pending", None])
    with pytest.raises(DataError, match="row 14: the column 'score' says 'pending'"):
        outcome_of(rows, "score", None, None)
    labels, _, task = outcome_of(rows, "score", None, None, "regression", labelled=False)
    assert (labels[-2:], task) == ([None, None], "regression")


def test_none_is_a_class_of_a_table(tmp_path):
    rng = np.random.default_rng(0)
    grade = ["None", "none", "NA", "mild"] * 3
    table = pd.DataFrame({"grade": grade, "a": rng.normal(size=12), "b": rng.normal(size=12)})
    table["b"] = table["b"].astype(object).where(table.index != 4, "NULL")
    table.to_csv(tmp_path / "t.csv", index=False)
    read = Radiomics(target="grade").read(tmp_path / "t.csv")
    assert read.classes == ["None", "mild", "none"]
    assert read.facts["features"] == ["a", "b"]
    said = {finding.title: finding.detail for finding in read.findings}
    assert said["Examples without a target"].startswith("3 of 12 examples have no 'grade'")
    assert "'None' and 'none'" in said["Words that are nearly alike"]


def test_words_that_say_nothing_are_missing_or_warned_of(tmp_path):
    table = pd.DataFrame({"grade": ["NULL", "#N/A", "unknown", "mild"] * 3, "a": range(12)})
    table["b"] = table["a"].astype(object).where(table.index != 4, "-nan")
    table["c"] = table["a"].astype(object).where(table.index != 5, "pending")
    table["d"] = [f"{k},5" for k in range(12)]
    table.to_csv(tmp_path / "t.csv", index=False)
    read = Radiomics(target="grade").read(tmp_path / "t.csv")
    assert read.classes == ["mild", "unknown"]
    assert read.facts["features"] == ["a", "b"]
    said = {finding.title: finding.detail for finding in read.findings}
    assert said["Examples without a target"].startswith("6 of 12 examples")
    assert "'unknown' may mean that nothing is known" in said["Words that say nothing"]
    assert "c says 'pending' (row 7); d says '0,5'" in said["Columns that were left out"]


def test_tables_are_read_as_manifests_are(tmp_path):
    data = tmp_path / "t.csv"
    for text, images in (
        ("Image,Label,age\na.png,b.png,3", True), (" image ;label;age\na.png;b.png;3", True),
        ("Image_T1\tage\na.nii.gz\t3", True), ("Age;Grade\n3;low", False), ("images\na.png", False),
        ("Image,Mask,original_x\na.nii.gz,m.nii.gz,3", False), ("Image,Label\na.nii,1", False),
        ("Image_Quality,grade\n3,low", False),
    ):  # fmt: skip
        data.write_text(f"{text}\n")
        assert has_images(data) == images
    data.write_text("Grade ; a;Split\n" + "low;1;train\nhigh;2;test\n" * 3)
    read = Radiomics(target="Grade").read(data)
    assert read.facts["features"] == ["a"]
    assert (read.classes, read.table["split"].nunique()) == (["high", "low"], 2)
    data.write_text("a, a,grade\n1,2,low\n")
    with pytest.raises(DataError, match=r"t.csv: several columns are called a; leave one"):
        Radiomics(target="grade").read(data)


def test_what_a_mask_leaves_open_is_no_part_of_a_region(tmp_path):
    found = find_cases(write_regions(tmp_path, n=2))
    whole = measure_cases(found, STAT).features["morph_vol_approx"]
    path = tmp_path / "case001_mask.nii.gz"
    mask = nibabel.load(path)
    drawn = np.asarray(mask.dataobj).copy()
    drawn[: drawn.shape[0] // 2] *= 2
    nibabel.save(nibabel.Nifti1Image(drawn, mask.affine), path)
    left = measure_cases(replace(found, ignore=2), STAT).features["morph_vol_approx"]
    assert left[0] == whole[0]
    assert left[1] == (drawn == 1).sum() * 2


def test_features_do_not_hang_on_the_order_of_a_files_axes(tmp_path):
    found = find_cases(write_regions(tmp_path / "a", n=1))
    manifest = write_regions(tmp_path / "b", n=1)
    for kind in ("image", "mask"):
        path = tmp_path / f"b/case000_{kind}.nii.gz"
        whole = nibabel.load(path)
        swapped = whole.as_reoriented([[2, -1], [0, 1], [1, 1]])
        nibabel.save(nibabel.Nifti1Image(np.asarray(swapped.dataobj), swapped.affine), path)
    other = find_cases(manifest)
    assert other.cases[0].shape != found.cases[0].shape
    wish = Wish(Chain(spacing=(2.0, 1.0, 1.5), families=("morph", "cm"), modes=("2D_avg",)))
    ours, theirs = (measure_cases(each, wish).features for each in (found, other))
    pd.testing.assert_frame_equal(ours, theirs)


def test_a_run_that_turned_nothing_measures_new_volumes_as_they_lie(tmp_path):
    manifest = write_regions(tmp_path, n=4)
    for path in tmp_path.glob("case*.nii.gz"):
        whole = nibabel.load(path)
        swapped = whole.as_reoriented([[2, -1], [0, 1], [1, 1]])
        nibabel.save(nibabel.Nifti1Image(np.asarray(swapped.dataobj), swapped.affine), path)
    study = Radiomics(target="grade", families=["cm"], modes=["2D_avg"])
    read = study.read(manifest)
    facts = {"task": read.task, "classes": read.classes, "axes": dict(read.facts)}
    assert facts["axes"]["upright"]
    np.testing.assert_array_equal(study.read_new(facts, manifest).x, read.x)
    del facts["axes"]["upright"]
    lying = measure_cases(find_cases(manifest), study.wish(), upright=False).features
    np.testing.assert_array_equal(study.read_new(facts, manifest).x, lying)
    assert not np.allclose(lying, read.x)


def write_in(folder, unit, size):
    """Write the regions of a manifest anew as TIFF, their voxels `size` (x, y, z) of a unit."""
    manifest = write_regions(folder, n=4)
    for path in folder.glob("case*.nii.gz"):
        held = np.asarray(nibabel.load(path).dataobj)
        whole = recording.volume(held, np.diag([*size, 1.0]), unit=unit)
        write_image(path.with_name(path.name.replace(".nii.gz", ".tif")), whole)
        path.unlink()
    manifest.write_text(manifest.read_text().replace(".nii.gz", ".tif"))
    return manifest


def test_lengths_are_in_mm_whatever_unit_the_files_have(tmp_path):
    study = Radiomics(target="grade", families=["morph"])
    read = study.read(write_regions(tmp_path / "mm", n=4))
    facts = {"task": read.task, "classes": read.classes, "axes": dict(read.facts)}
    other = write_in(tmp_path / "um", "um", (1e3, 1e3, 2e3))
    np.testing.assert_allclose(study.read_new(facts, other).x, read.x, rtol=1e-6)
    np.testing.assert_allclose(study.read(other).x, read.x, rtol=1e-6)
    resampled = study.model_copy(update={"resample": (1.0, 1.0, 1.0)})
    np.testing.assert_allclose(
        resampled.measure(other).features,
        resampled.measure(tmp_path / "mm" / "cases.csv").features, rtol=1e-6,
    )  # fmt: skip
    del facts["axes"]["unit"]
    volumes = read.x[:, read.facts["features"].index("morph_volume")]
    own = study.read_new(facts, other).x[:, read.facts["features"].index("morph_volume")]
    np.testing.assert_allclose(own, 1e9 * volumes, rtol=1e-6)


def test_voxels_without_a_size_are_told_and_not_resampled(tmp_path):
    data = write_in(tmp_path, "px", (1.0, 1.0, 1.0))
    study = Radiomics(target="grade", families=["morph"])
    told = [one.detail for one in study.measure(data).findings if "without a size" in one.title]
    assert len(told) == 1
    assert "lengths, areas and volumes count voxels there" in told[0]
    with pytest.raises(DataError, match="cannot be resampled to mm"):
        study.model_copy(update={"resample": (1.0, 1.0, 1.0)}).measure(data)


def test_copies_are_refused_where_they_are_learnt_from(tmp_path):
    found = find_cases(write_regions(tmp_path, n=2))
    shutil.copy(tmp_path / "case000_image.nii.gz", tmp_path / "case001_image.nii.gz")
    with pytest.raises(DataError, match="is a copy of"):
        measure_cases(found, STAT)
    assert len(measure_cases(found, STAT, learnt=False).features) == 2


def test_a_column_that_is_a_feature_stands_once_in_the_table(tmp_path):
    table = pd.DataFrame({"age": [31, 47, 58], "kind": ["a", "b", "a"]})
    table.to_csv(tmp_path / "t.csv", index=False)
    run = Radiomics().run(tmp_path / "t.csv", tmp_path / "run")
    made = pd.read_csv(run.folder / "artifacts" / "features.csv")
    assert made["age"].tolist() == [31, 47, 58]
    assert "kind" in made


def test_the_curve_of_a_ct_is_in_its_unit(tmp_path):
    manifest = write_regions(tmp_path, n=2)
    # The first step, or the middle of the first bin, above what nine tenths of the voxels have.
    for kind, most in (("definite", 1.01), ("width", 3.76)):
        recipe = Radiomics(families=["stat", "ivh"], ivh=kind)
        found = recipe.measure(manifest).features
        assert (found["ivh_i10"] - found["stat_p90"]).abs().max() < most
        assert "the intensity-volume curve is" in method(recipe)
    bins = Radiomics(families=["ivh"]).measure(manifest).features
    assert (bins["ivh_i10"] > 500).all()


def test_a_column_of_numbers_and_words_holds_words(tmp_path):
    manifest = write_regions(tmp_path / "data", n=3)
    more = {"grade": ["2", "3a", "1"], "site": ["01", "10", "2"], "age": ["45", "n/a", "6.5"]}
    pd.read_csv(manifest).assign(**more).to_csv(manifest, index=False)
    run = Radiomics(families=["stat"]).run(manifest, tmp_path / "run")
    table = pd.read_parquet(run.folder / "predictions.parquet")
    assert table["grade"].tolist() == ["2", "3a", "1"]
    assert table["site"].tolist() == ["01", "10", "2"]
    np.testing.assert_array_equal(table["age"], [45, np.nan, 6.5])


@pytest.mark.parametrize(
    "column", ["patient_id", "PatientID", "participant_id", "subject_id", "Subject", "ID"]
)
def test_rows_of_one_patient_stay_on_one_side(column, tmp_path):
    table = pd.DataFrame({"grade": ["a", "b"] * 8, "a": range(16), column: np.arange(16) // 2})
    table.to_csv(tmp_path / "t.csv", index=False)
    prepared = Radiomics(target="grade").prepare(tmp_path / "t.csv")
    assert prepared.dataset.facts["features"] == ["a"]
    first = int(says_who(column))
    assert prepared.dataset.table["subject"].tolist() == [str(k // 2 + first) for k in range(16)]
    assert [fold.test.tolist() for fold in prepared.folds[:2]] == [[0, 1], [2, 3]]
    assert f"its column {column} says" in prepared.dataset.facts["layout"]
    torn = f"test has 1 subject on both sides: {1 + first} [(]row 4, row 5[)]"
    with pytest.raises(DataError, match=torn):
        Radiomics(target="grade", test=["row 2", "row 3", "row 4"]).prepare(tmp_path / "t.csv")
    table[column] = table[column].astype(object).where(table.index != 3, "")
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match=f"t.csv: row 5: the {column} is empty"):
        Radiomics(target="grade").read(tmp_path / "t.csv")


def test_rows_of_one_patient_that_lie_apart_are_brought_together(tmp_path):
    table = pd.DataFrame({"grade": ["a", "b"] * 6, "a": range(12), "subject": list("pqrstu") * 2})
    table.to_csv(tmp_path / "t.csv", index=False)
    dataset = Radiomics(target="grade").read(tmp_path / "t.csv")
    assert dataset.table["name"].tolist()[:4] == ["row 2", "row 8", "row 3", "row 9"]
    assert dataset.x[:4, 0].tolist() == [0, 6, 1, 7]


def test_a_table_of_a_spreadsheet_keeps_ids_and_decimals(tmp_path):
    file = tmp_path / "t.csv"
    rows = "subject;größe;grade\n007;1,5;x\n010;3,5;x\n7;2,25;y\n"
    file.write_bytes(rows.encode("cp1252"))
    table = Radiomics(target="grade").measure(file)
    assert table.rows["subject"].tolist() == ["007", "010", "7"]
    assert table.features["größe"].tolist() == [1.5, 3.5, 2.25]


def test_a_column_that_is_learnt_does_not_say_whose_a_row_is(tmp_path):
    table = pd.DataFrame({"patient": ["no", "yes"] * 6, "a": range(12)})
    table.to_csv(tmp_path / "t.csv", index=False)
    read = Radiomics(target="patient").read(tmp_path / "t.csv")
    assert (read.classes, read.table["subject"].nunique()) == (["no", "yes"], 12)
    assert "Each row counts as a subject" in {finding.title for finding in read.findings}


def test_the_channel_that_was_measured_is_found_by_its_name():
    assert find_channel(["T2", "t1"], "T1", 0) == 1
    assert find_channel(["channel 0", "channel 1"], "T1", 0) == 0
    assert find_channel(["T2", "T1"], "", 0) == 0
    with pytest.raises(DataError, match="The channels are FLAIR, the run measured T1"):
        find_channel(["FLAIR"], "T1", 0)


def test_what_says_who_somebody_is_is_no_feature(tmp_path):
    table = pd.DataFrame({"grade": ["a", "b"] * 6, "a": range(12), "year of birth": 1950})
    table.assign(**{"Patient Name": "Mustermann"}).to_csv(tmp_path / "t.csv", index=False)
    read = Radiomics(target="grade").read(tmp_path / "t.csv")
    assert read.facts["features"] == ["a"]
    assert "Mustermann" not in read.table.to_csv()
    wanted = Radiomics(target="grade", columns=["year of birth", "a"]).read(tmp_path / "t.csv")
    assert wanted.facts["features"] == ["year of birth", "a"]


def test_an_organ_is_measured_with_the_lesion_that_lies_in_it(tmp_path):
    for name in ("s1", "s2"):
        folder = tmp_path / name / "segmentations"
        folder.mkdir(parents=True)
        image = np.arange(12**3, dtype=np.float32).reshape(12, 12, 12)
        nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), tmp_path / name / "ct.nii.gz")
        for kind, (low, high) in {"lesion": (4, 6), "liver": (2, 10)}.items():
            mask = np.zeros((12, 12, 12), np.uint8)
            mask[low:high, low:high, low:high] = 1
            nibabel.save(nibabel.Nifti1Image(mask, np.eye(4)), folder / f"{kind}.nii.gz")
    found = Radiomics(families=["morph"], rois=["liver", "lesion"]).measure(tmp_path)
    volumes = found.features[["liver:morph_vol_approx", "lesion:morph_vol_approx"]]
    assert volumes.iloc[0].tolist() == [8.0**3, 2.0**3]
