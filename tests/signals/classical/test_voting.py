"""Voting of estimators and of a net, and how the models are made and rebuilt."""

from __future__ import annotations

import json

import numpy as np
import pytest

from neuroloom.learn.model import find_model
from neuroloom.learn.scoring.metrics import auc
from neuroloom.signals.classical import CspLda, Riemann
from neuroloom.signals.classical.voting import Voting
from tests.signals.classical import planted

ESTIMATORS = [
    "band-power", "csp-lda", "emg", "erp-cov", "fbcsp", "forest", "knn", "lda", "log-rms", "mdm",
    "riemann", "sffs", "shrinkage-lda", "svm", "voting", "xdawn",
]  # fmt: skip


def facts(x, rate=128.0):
    names = [f"E{k}" for k in range(x.shape[1])]
    return {"channels": names, "rate": rate, "n_times": x.shape[2], "classes": ["a", "b"]}


def rebuilt(model, learner):
    """Return the learner as a file would give it back: spec through JSON, arrays copied."""
    again = model.rebuild(json.loads(json.dumps(learner.spec)))
    again.load({name: np.array(array) for name, array in learner.state().items()})
    return again


def test_votes_are_mean_probabilities():
    x, y, _ = planted.powers()
    learner = Voting("voting", [CspLda(n_outputs=2), Riemann(n_outputs=2)])
    learner.fit(x[:30], y[:30])
    alone = []
    for member in (CspLda(n_outputs=2), Riemann(n_outputs=2)):
        member.fit(x[:30], y[:30])
        alone.append(np.exp(member.predict_scores(x[30:])))
    np.testing.assert_allclose(
        np.exp(learner.predict_scores(x[30:])), np.mean(alone, 0), atol=1e-12
    )


def test_numbers_are_averaged():
    x, _, _ = planted.powers()
    y = np.log(x[:, 0].var(axis=1).astype(float))
    learner = Voting("both", [Riemann(), Riemann(penalty=0.1)])
    learner.fit(x, y)
    one = Riemann()
    one.fit(x, y)
    np.testing.assert_allclose(learner.predict_scores(x), one.predict_scores(x))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_models_are_made_from_facts_and_rebuilt_from_plain_data(name):
    x, y, _ = planted.powers(trials=24)
    model = find_model(name)
    learner = model.make(facts(x), "classification", 2)
    learner.fit(x, y)
    scores = learner.predict_scores(x)
    assert learner.spec["name"] == name
    np.testing.assert_allclose(np.exp(scores).sum(1), 1, atol=1e-9)
    np.testing.assert_array_equal(rebuilt(model, learner).predict_scores(x), scores)


def test_features_that_the_user_names_are_taken():
    x, _, _ = planted.powers()
    learner = find_model("svm").make(facts(x), "classification", 2, features="rms")
    assert learner.spec["features"] == "rms"


def test_the_vote_on_evoked_responses_holds_a_net(monkeypatch):
    from neuroloom.signals.classical import evoked_net

    monkeypatch.setitem(evoked_net.TRAINING, "epochs", 6)
    monkeypatch.setitem(evoked_net.TRAINING, "members", 1)
    x, y, _ = planted.responses(trials=180, rate=160.0)
    model = find_model("erp")
    learner = model.make(facts(x, 160.0), "classification", 2)
    learner.fit(x[:120], y[:120])
    scores = learner.predict_scores(x[120:])
    assert auc(y[120:], scores) > 0.8
    again = rebuilt(model, learner)
    np.testing.assert_allclose(again.predict_scores(x[120:]), scores, atol=1e-9)
    net = learner.members[-1]
    assert (net.width, net.net.n_times, net.net.rate) == (2, 60, 80.0)
    given = np.exp(net.predict_scores(x[:120])).mean(0)
    np.testing.assert_allclose(given, [2 / 3, 1 / 3], atol=0.15)
