"""`signals.pretrain`: mixed recordings, a fair judgement, resume, and use by `signals.decode`."""

from pathlib import Path

import numpy as np
import pytest
import torch

from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json
from neuroloom.core.recording import signal
from neuroloom.core.run import Run
from neuroloom.signals import Decode, Pretrain
from neuroloom.signals.nets.powertokens import MaskedPlaces, PowerTokens, PretrainedNet, there
from neuroloom.signals.pretraining.places import place_matrix, place_name, read_pieces
from neuroloom.signals.pretraining.reconstruction import hidden_groups, interpolate
from neuroloom.signals.steps.montage import TEN_TEN
from tests import makers

SMALL = {"budget": "12 steps", "sources": 4, "bands": 2, "windows": 6}
DECODE = {"start": 0.0, "stop": 1.0, "split": "run"}


def mixture(seed: int, channels: tuple[str, ...], rate: float, seconds: float = 24.0):
    """Channels of four rhythms that spread over all places, in volts."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    hums = np.stack([np.sin(2 * np.pi * f * time + rng.uniform(0, 6)) for f in (6, 10, 14, 20)])
    hums *= 1 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.05, 0.2, (4, 1)) * time)
    spread = np.random.default_rng(7).normal(size=(64, 4))
    rows = [TEN_TEN.index(name) for name in channels]
    data = spread[rows] @ hums + 0.1 * rng.normal(size=(len(rows), len(time)))
    return signal(1e-5 * data, channels, rate)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> Path:
    """Four recordings of three montages and three rates."""
    folder = tmp_path_factory.mktemp("mixed")
    wide = tuple(TEN_TEN[::3])
    makers.write(mixture(0, wide, 160.0), folder / "sub-1_run-1_eeg.edf")
    makers.write(mixture(1, wide, 160.0), folder / "sub-1_run-2_eeg.edf")
    makers.write(mixture(2, ("AF7", "AF8", "Cz", "Oz"), 256.0), folder / "sub-2_run-1_eeg.edf")
    makers.write(mixture(3, ("Cz",), 128.0), folder / "sub-3_run-1_eeg.edf")
    return folder


@pytest.fixture(scope="module")
def pretrained(mixed, tmp_path_factory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "pre"
    return Pretrain(**SMALL, hold_out=["sub-1_run-2*"]).run(mixed, out)


@pytest.fixture(scope="module")
def trials(tmp_path_factory) -> Path:
    return makers.write_runs(tmp_path_factory.mktemp("trials"), runs=3, trials=12)


def test_electrodes_are_known_by_their_places():
    assert [place_name(n) for n in ("CZ-A1", "C3-A1", "T3", "fp1")] == ["Cz", "C3", "T7", "Fp1"]
    matrix = place_matrix(["Cz", "ECG", "C3-A2"], "file")
    assert matrix.sum() == 2
    assert matrix[TEN_TEN.index("C3"), 2] == 1
    with pytest.raises(DataError, match=r"x\.edf.*10-10"):
        place_matrix(["ECG", "Fp1-F7"], "x.edf")


def test_mixed_recordings_come_to_one_rate_and_scale_and_nothing_is_invented(mixed):
    from neuroloom.io.recordings.find import find

    pieces = read_pieces(find(mixed, [], None), window=4.0, rate=100.0, band=(2.0, 40.0))
    assert pieces.x.shape[1:] == (64, 400)
    assert sorted(pieces.rates.values()) == [128.0, 160.0, 160.0, 256.0]
    for path, rows in pieces.table.groupby("path"):
        x = pieces.x[rows.index]
        alive = {TEN_TEN[k] for k in np.flatnonzero(np.abs(x).max((0, 2)) > 0)}
        assert alive == set(pieces.places[path])
        assert 0.7 < x[:, [TEN_TEN.index(name) for name in alive]].std() < 1.3


def test_no_more_windows_of_a_recording_than_asked_for(mixed):
    from neuroloom.io.recordings.find import find

    pieces = read_pieces(find(mixed, [], None), window=4.0, rate=100.0, band=(2.0, 40.0), most=3)
    assert pieces.table["path"].value_counts().tolist() == [3, 3, 3, 3]
    assert pieces.table["onset"].max() == 20.0


def test_a_token_is_the_log_power_in_a_band():
    """One source, one place: a sine of 10 Hz falls into the filter around it, by Parseval."""
    encoder = PowerTokens(n_places=1, rate=100.0, sources=1, bands=2, band=(2.0, 40.0))
    time = torch.arange(300) / 100
    quiet, loud = (a * torch.sin(2 * torch.pi * 10 * time)[None, None] for a in (1.0, 2.0))
    gain = encoder(loud) - encoder(quiet)
    assert torch.allclose(gain[:, 0], torch.full((1, 5), np.log(4.0)), atol=0.02)


def test_missing_places_are_weighed_up():
    encoder = PowerTokens(sources=3)
    x = torch.randn(2, 64, 200)
    seen = torch.zeros(2, 64)
    seen[:, :16] = 1
    by_hand = torch.einsum("sp,npt->nst", encoder.spatial[:, :16], x[:, :16]) * 2
    by_hand /= encoder.spatial.norm(dim=1)[None, :, None]
    assert torch.allclose(encoder.sources(x, seen), by_hand, atol=1e-5)
    x[:, 16:] = 0
    assert there(x).sum(1).tolist() == [16, 16]


def test_the_loss_falls_and_finds_the_subspace(mixed):
    """Four rhythms over 22 places: four sources put a hidden place together from the others."""
    run = Pretrain(
        budget="300 steps", sources=4, bands=2, separate=0.0, hold_out=["sub-1_run-2*"],
        include=["sub-1*"],
    )  # fmt: skip
    with torch.random.fork_rng():
        prepared = run.prepare(mixed)
        from neuroloom.learn.training.fit import FitJob, fit
        from neuroloom.signals.pretrain import TRAINING
        from neuroloom.signals.pretraining.reconstruction import _squares

        module = run.module(1)
        y = prepared.learnt.table["recording"].to_numpy(np.int64, copy=True)
        history = fit(module, prepared.learnt.x, y, TRAINING, FitJob(steps=200))
    assert history.epochs[-1]["loss"] < 0.3 * history.epochs[0]["loss"]
    found = _squares(module, prepared.held_out.x, 0)
    assert found["model"].sum() < 0.3 * found["there"].sum()


def test_every_place_is_hidden_once():
    groups = hidden_groups(np.arange(3, 25), 1)
    assert sorted(np.concatenate(groups).tolist()) == list(range(3, 25))
    assert all(len(group) < 22 for group in groups)
    assert hidden_groups(np.array([5]), 0) == []


def test_the_splines_agree_with_mne():
    import mne

    rng = np.random.default_rng(0)
    data = rng.normal(size=(64, 50))
    info = mne.create_info(list(TEN_TEN), 100.0, "eeg")
    raw = mne.io.RawArray(data, info, verbose="error")
    raw.set_montage("standard_1005", verbose="error")
    hidden = np.array([TEN_TEN.index("Cz")])
    seen = np.setdiff1d(np.arange(64), hidden)
    raw.info["bads"] = ["Cz"]
    raw.interpolate_bads(verbose="error", origin=(0.0, 0.0, 0.04))
    ours = interpolate(data[None], seen, hidden)[0, 0]
    assert np.corrcoef(ours, raw.get_data(["Cz"])[0])[0, 1] > 0.95


def test_the_run_holds_what_it_promises(pretrained):
    entry = read_json(pretrained.folder / "metrics.json")["explained_variance"]
    assert list(entry) == ["value", "low", "high", "baseline", "chance"]
    table = pretrained.predictions
    assert set(table["path"]) == {"sub-1_run-2_eeg.edf"}
    mine = table[table["role"] == "model"]
    assert entry["value"] == pytest.approx(1 - mine["missed"].sum() / mine["there"].sum())
    facts = read_json(pretrained.folder / "dataset.json")
    assert "sub-1_run-2_eeg.edf" not in facts["learnt"]
    text = (pretrained.folder / "report.html").read_text()
    assert "Hidden places" in text
    for name in ("card.md", "model.safetensors", "artifacts/reconstructed.png"):
        assert (pretrained.folder / name).is_file(), name


def test_features_of_new_recordings(pretrained, mixed, tmp_path):
    table = pretrained.predict(mixed / "sub-2_run-1_eeg.edf", out=tmp_path / "p")
    assert table.shape == (6, 3 + 8)
    assert np.isfinite(table.iloc[:, 3:].to_numpy()).all()
    assert (tmp_path / "p/predictions.csv").is_file()


def test_resume_after_a_kill_ends_with_the_same_bits(mixed, pretrained, tmp_path, monkeypatch):
    from neuroloom.learn.training import fit as fitting

    recipe = Pretrain(**SMALL, hold_out=["sub-1_run-2*"])
    real = fitting._Fit._train_step

    def killed(self):
        real(self)
        if self.step == 7:
            self.save(self.job.checkpoint)
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fitting._Fit, "_train_step", killed)
        with pytest.raises(KeyboardInterrupt):
            recipe.run(mixed, tmp_path / "cut")
    assert Run(tmp_path / "cut").state == "stopped"
    again = Run(tmp_path / "cut").resume()
    for name in ("model.safetensors", "metrics.json"):
        assert (again.folder / name).read_bytes() == (pretrained.folder / name).read_bytes()


def test_excluded_files_are_not_read(mixed):
    prepared = Pretrain(**SMALL, exclude=["sub-3*"], hold_out=["sub-1_run-2*"]).prepare(mixed)
    assert not any("sub-3" in path for path in prepared.hashes)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"window": 100.0}, "longer than the longest recording"),
        ({"exclude": ["nothing*"]}, "exclude: 'nothing.*' matches none"),
        ({"exclude": ["*"]}, "leaves none of 4 recordings"),
        ({"hold_out": ["*"]}, "others to judge by"),
        ({"hold_out": ["sub-9*"]}, "hold_out: 'sub-9.*' matches none"),
        ({"include": ["sub-3*"]}, "others to judge by"),
    ],
)
def test_bad_requests_are_refused_before_anything_is_written(mixed, tmp_path, fields, said):
    with pytest.raises(ConfigError, match=said):
        Pretrain(**SMALL | fields).run(mixed, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_without_recordings_is_refused(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/notes.md").write_text("nothing")
    with pytest.raises(DataError):
        Pretrain(**SMALL).run(tmp_path / "data", tmp_path / "run")


def test_a_rate_too_low_for_the_band_is_refused():
    with pytest.raises(ConfigError, match="cannot hold the band"):
        Pretrain(rate=64.0)


@pytest.mark.parametrize("model", ["probe", "finetune"])
@pytest.mark.parametrize("init", ["pretrained", "random"])
def test_decode_starts_from_it(pretrained, trials, tmp_path, model, init):
    init = str(pretrained.folder) if init == "pretrained" else init
    with makers.no_report():
        run = Decode(**DECODE, model=model, init=init, labels=6, budget="2 epochs").run(
            trials, tmp_path / "run"
        )
    folds = read_json(run.folder / "dataset.json")["split"]["folds"]
    assert [fold["train"] for fold in folds] == [6, 6, 6]
    known = run.predict(trials)
    assert len(known) == 36
    assert str(pretrained.folder).encode() not in (run.folder / "model.safetensors").read_bytes()


def test_the_probe_leaves_the_encoder_as_it_was(pretrained, trials):
    decode = Decode(**DECODE, model="probe", init=str(pretrained.folder))
    dataset = decode.read(trials).labelled()
    learner = decode._maker(_model("probe"), dataset)()
    learner.fit(dataset.x, dataset.y)
    from neuroloom.learn.store import read_arrays

    stored, _ = read_arrays(pretrained.folder / "model.safetensors")
    for name in ("spatial", "spectral"):
        assert np.array_equal(learner.state()[f"encoder.{name}"], stored[f"encoder.{name}"])


def _model(name):
    from neuroloom.learn.model import find_model

    return find_model(name)


def test_fewer_labels_are_drawn_evenly_and_by_the_seed(trials):
    drawn = []
    for seed in (0, 0, 1):
        decode = Decode(**DECODE, model="probe", labels=5, seed=seed)
        dataset = decode.read(trials).labelled()
        folds = decode._split(dataset, "run")
        assert [np.bincount(dataset.y[fold.train]).max() for fold in folds] == [3, 3, 3]
        drawn.append([fold.train.tolist() for fold in folds])
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_file_that_was_learnt_from_does_not_score(trials, tmp_path):
    pre = Pretrain(**SMALL, hold_out=["*run-3*"]).run(trials, tmp_path / "pre")
    with pytest.raises(ConfigError, match=r"pretrained on sub-1_run-1_eeg\.edf"):
        Decode(**DECODE, model="probe", init=str(pre.folder)).run(trials, tmp_path / "run")
    with makers.no_report():
        Decode(
            **DECODE | {"split": None}, test=["*run-3*"], model="probe", init=str(pre.folder)
        ).run(trials, tmp_path / "run")


def test_wrong_starts_are_refused(pretrained, trials, tmp_path):
    def refused(said, **fields):
        with pytest.raises(ConfigError, match=said):
            Decode(**DECODE | fields).run(trials, tmp_path / "run")

    own = str(pretrained.folder)
    refused("is no run folder", model="probe", init=str(tmp_path))
    refused("init means nothing to model=eegnet", init=own)
    refused("pretrained at 100 Hz", model="probe", init=own, rate=90.0)
    refused("shorter than one token", model="probe", init=own, stop=0.5)
    refused("only 24 labelled examples", model="probe", labels=30)
    refused("choose one", model="probe", labels=4, folds=0)


def test_another_recipes_run_is_no_start(trials, tmp_path):
    with makers.no_report():
        run = Decode(**DECODE, model="lda").run(trials, tmp_path / "lda")
    with pytest.raises(ConfigError, match=r"is a run of signals\.decode"):
        Decode(**DECODE, model="probe", init=str(run.folder)).run(trials, tmp_path / "run")


def test_finetuning_moves_every_weight():
    net = PretrainedNet(3, 200, 2, 100.0, places=place_matrix(["C3", "Cz", "C4"], "x").tolist())
    x = torch.randn(6, 3, 200)
    net.adapt(x, torch.zeros(6))
    torch.nn.init.normal_(net.output.weight)
    net(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_a_hidden_place_does_not_tell_itself():
    module = MaskedPlaces({"sources": 3})
    x = torch.randn(2, 64, 200)
    seen = torch.ones(2, 64)
    seen[:, 5] = 0
    changed = x.clone()
    changed[:, 5] += 100
    assert torch.equal(module.reconstruct(x, seen), module.reconstruct(changed, seen))
