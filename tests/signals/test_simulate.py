"""The simulated experiment: what was planted is there, and it is the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from neuroloom.core.errors import ConfigError
from neuroloom.core.recording import check
from neuroloom.signals.classical import CspLda
from neuroloom.signals.simulate import Levels, simulate_motor, write_demo
from neuroloom.signals.steps import BandPass


@pytest.fixture(scope="module")
def made():
    return simulate_motor()


def cut(recordings):
    """Trials of 1-4 s in 8-30 Hz, whether right, and session."""
    xs, ys, sessions = [], [], []
    for session, recording in enumerate(recordings):
        filtered = BandPass(8, 30).apply(recording).values
        for row in recording.attrs["annotations"].itertuples():
            if row.label != "rest":
                first = round((row.onset + 1) * 160)
                xs.append(filtered[:, first : first + 480])
                ys.append(int(row.label == "right"))
                sessions.append(session)
    return np.stack(xs), np.array(ys), np.array(sessions)


def leave_one_session_out(x, y, sessions) -> float:
    right = []
    for session in np.unique(sessions):
        held = sessions == session
        learner = CspLda()
        learner.fit(x[~held], y[~held])
        right.append(learner.predict_scores(x[held]).argmax(1) == y[held])
    return float(np.concatenate(right).mean())


def test_three_sessions_that_pass_the_gate(made):
    assert len(made.recordings) == 3
    for recording in made.recordings:
        check(recording, "signal")
        labels = recording.attrs["annotations"].label.value_counts()
        assert labels.to_dict() == {"rest": 24, "left": 12, "right": 12}
        assert np.isfinite(recording.x.values).all()


def test_amplitudes_are_those_of_eeg(made):
    for recording in made.recordings:
        microvolts = recording.values.std(axis=1) * 1e6
        assert 5 < np.median(microvolts) < 20
        assert 60 < np.ptp(recording.sel(channel="Fp1").values) * 1e6 < 400


def test_the_spectrum_falls_and_has_the_hum(made):
    from scipy.signal import welch

    freqs, power = welch(made.recordings[0].values, 160.0, nperseg=640)
    power = power.mean(axis=0)
    near = {freq: power[np.abs(freqs - freq) < 0.6].mean() for freq in (3, 30, 45, 50)}
    assert near[3] > 5 * near[30]
    assert near[50] > 5 * near[45]


def test_difficulty_is_honest(made):
    assert 0.78 <= leave_one_session_out(*cut(made.recordings)) <= 0.97


def test_no_effect_no_skill():
    scores = [
        leave_one_session_out(*cut(simulate_motor(seed, effect=0.0).recordings)) for seed in (1, 2)
    ]
    assert 0.3 < np.mean(scores) < 0.66


def test_the_planted_sources_are_found():
    quiet = Levels(background=2.0, alpha=0.5, blink_peak=0.0, line=0.0, sensor=0.2)
    made = simulate_motor(effect=0.8, levels=quiet)
    x, y, _ = cut(made.recordings)
    learner = CspLda(n_components=2)
    learner.fit(x, y)
    strongest = np.abs(learner.patterns()).argmax(axis=1)
    names = {str(made.recordings[0].channel.values[k]) for k in strongest}
    assert names == set(made.truth["nearest"].values())


def test_same_seed_same_data(made):
    again = simulate_motor(n_sessions=1)
    np.testing.assert_array_equal(again.recordings[0].values, made.recordings[0].values)
    other = simulate_motor(2, n_sessions=1)
    assert other.recordings[0].shape[0] == made.recordings[0].shape[0]
    assert not np.array_equal(
        other.recordings[0].values[:, :1000], made.recordings[0].values[:, :1000]
    )


def test_demo_files(tmp_path, made):
    import mne

    paths = write_demo(tmp_path)
    assert [path.name for path in paths] == [
        f"sub-01_ses-{k}_task-motor_eeg.edf" for k in (1, 2, 3)
    ]
    assert len(list(tmp_path.iterdir())) == 3
    raw = mne.io.read_raw_edf(paths[0], preload=True, verbose="ERROR")
    ours = made.recordings[0]
    table = ours.attrs["annotations"]
    assert raw.ch_names == list(ours.channel.values)
    assert raw.info["sfreq"] == 160.0
    assert list(raw.annotations.description) == list(table.label)
    np.testing.assert_allclose(raw.annotations.onset, table.onset, atol=1e-6)
    np.testing.assert_allclose(raw.get_data(), ours.values[:, : raw.n_times], atol=1e-8)


@pytest.mark.parametrize(
    "settings",
    [{"n_sessions": 0}, {"effect": 2.0}, {"rate": 50.0}, {"channels": ["C3", "C4", "Nose"]}],
)
def test_refuses(settings):
    with pytest.raises(ConfigError):
        simulate_motor(**settings)
