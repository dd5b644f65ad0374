"""Every verb, from a recording to a report and back."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import mne
import pandas as pd
import pytest
import yaml

import neuroloom as package
from neuroloom.apps import cli
from neuroloom.apps.cli import fetch, runs, show
from neuroloom.apps.cli.app import HELP
from neuroloom.core import registry
from neuroloom.core.files import read_json, write_json
from neuroloom.core.recipe import Recipe
from neuroloom.core.run import Run
from tests import makers
from tests.apps.conftest import CSP, DECODE, snapshot

KEYS = {
    "accuracy", "balanced_accuracy", "auc", "average_precision", "kappa", "log_loss", "ece",
}  # fmt: skip
CHILD = {**os.environ, "OMP_NUM_THREADS": "1"}
# What the command runs. With `python -m`, Python itself ends by the signal (130 to a shell, too)
# where an interrupt has passed through `exec`; what it came through is chance.
COMMAND = "import sys; from neuroloom.apps.cli import main; sys.exit(main())"


@pytest.fixture
def new(tmp_path) -> Path:
    """A recording that no run has seen."""
    return makers.write(makers.recording(99), tmp_path / "new.edf")


# -- run --------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["csp", "net"])
def test_run_leaves_all_that_the_folder_promises(request, which):
    run = request.getfixturevalue(which)
    there = {path.name for path in run.iterdir()}
    assert there >= {
        "recipe.yaml", "dataset.json", "environment.json", "plan.json", "log.jsonl",
        "predictions.parquet", "metrics.json", "metrics.parquet", "audit.json",
        "model.safetensors", "baseline.safetensors", "card.md", "artifacts", "report.html",
        "status.json",
    }  # fmt: skip
    assert not there & {".lock", ".ballast", "work"}
    status = read_json(run / "status.json")
    assert status["state"] == "done"
    assert "pid" not in status
    assert set(read_json(run / "metrics.json")) == KEYS


def test_run_prints_the_metrics_and_where_the_report_is(neuroloom, data, tmp_path):
    answer = neuroloom(*DECODE, data, *CSP, "--out", tmp_path / "out")
    assert answer.code == 0
    assert "95 % interval" in answer.out
    assert str(tmp_path / "out/report.html") in answer.out


def test_quiet_says_nothing_and_json_lines_are_json(neuroloom, data, tmp_path):
    words = (*DECODE, data, "--model", "eegnet", "--stop", "1", "--budget", "1 epochs")
    quiet = neuroloom(*DECODE, data, *CSP, "--out", tmp_path / "a", "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    spoken = neuroloom(*words, "--out", tmp_path / "b", "--json")
    lines = [json.loads(line) for line in spoken.out.splitlines()]
    assert {"plan", "progress", "fitted", "scored", "reported", "done"} <= {
        line["event"] for line in lines
    }
    assert spoken.err == ""


def test_a_study_file_with_another_word_on_the_command_line(neuroloom, data, csp, tmp_path):
    study = tmp_path / "study.yaml"
    fields = {"recipe": "signals.decode", "data": str(data), "model": "riemann", "stop": 1.0}
    study.write_text(yaml.safe_dump(fields | {"split": "run"}))
    answer = neuroloom("run", study, "--model", "csp-lda", "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    written = yaml.safe_load((tmp_path / "out/recipe.yaml").read_text())
    assert written["model"] == "csp-lda"
    same = (tmp_path / "out/metrics.json").read_text() == (csp / "metrics.json").read_text()
    assert same


def test_the_recipe_of_a_run_is_a_study(neuroloom, csp, tmp_path):
    answer = neuroloom("run", csp / "recipe.yaml", "--out", tmp_path / "out", "--quiet")
    assert answer.code == 0
    assert (tmp_path / "out/recipe.yaml").read_text() == (csp / "recipe.yaml").read_text()


def test_names_of_files_are_escaped_in_the_report(neuroloom, tmp_path):
    folder = tmp_path / "größe & <script>"
    for k in range(2):
        makers.write(makers.recording(k), folder / f"lauf {k} <script>alert(1)<b>é.edf")
    answer = neuroloom(*DECODE, folder, *CSP, "--out", tmp_path / "out", "--quiet")
    assert answer.code == 0, answer.err
    html = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "<b>é" not in html
    assert "&lt;script&gt;alert(1)&lt;b&gt;é" in html


# -- what a run is good for -------------------------------------------------------------------


@pytest.mark.parametrize("which", ["csp", "net"])
def test_predict_writes_a_table_and_a_copy_that_mne_opens(request, neuroloom, new, tmp_path, which):
    out = tmp_path / "out"
    answer = neuroloom("predict", request.getfixturevalue(which), new, "--out", out)
    assert answer.code == 0, answer.err
    assert "16 examples decoded, 16 of them labelled" in answer.out
    table = pd.read_csv(out / "predictions.csv")
    assert table[["p_left", "p_right"]].sum(axis=1).round(6).eq(1).all()
    raw = mne.io.read_raw_fif(out / "new_decoded_raw.fif", verbose="ERROR")
    assert raw.annotations.description.tolist() == table["decoded"].tolist()


@pytest.mark.parametrize("verb", ["predict", "evaluate", "explain"])
def test_what_is_done_with_a_run_shows_its_progress(
    neuroloom, csp, new, tmp_path, monkeypatch, verb
):
    seen = []
    monkeypatch.setattr(Run, "_ask", lambda run, *_, **__: seen.append(run._watch) or 1 / 0)
    neuroloom(verb, csp, *(() if verb == "explain" else (new, "--out", tmp_path / "out")))
    assert callable(seen[0])


def test_predict_beside_the_run_if_no_place_is_named(neuroloom, csp, new, tmp_path):
    run = shutil.copytree(csp, tmp_path / "run")
    assert neuroloom("predict", run, new).code == 0
    assert (tmp_path / "run-predict/predictions.parquet").is_file()


def test_predict_from_inside_the_run(neuroloom, csp, new, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(csp, tmp_path / "run"))
    answer = neuroloom("predict", ".", new)
    assert answer.code == 0, answer.err
    assert (tmp_path / "run-predict/predictions.parquet").is_file()


def test_home_is_meant_by_a_tilde_that_no_shell_has_replaced(
    neuroloom, csp, new, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    answer = neuroloom("predict", csp, "~/new.edf", "--out=~/found")
    assert answer.code == 0, answer.err
    assert (tmp_path / "found/predictions.parquet").is_file()


def test_evaluate_writes_metrics_of_the_same_keys(neuroloom, csp, new, tmp_path):
    answer = neuroloom("evaluate", csp, new, "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert "16 labelled examples scored, 0 without a label" in answer.out
    assert set(read_json(tmp_path / "out/metrics.json")) == KEYS
    assert "OBJECTION" not in answer.err


def test_evaluate_on_what_was_learnt_from_says_so(neuroloom, csp, data, tmp_path):
    answer = neuroloom("evaluate", csp, data, "--out", tmp_path / "out")
    assert answer.code == 0
    assert "OBJECTION: Scored on what it learnt from." in answer.err


@pytest.mark.parametrize("which", ["csp", "net"])
def test_explain_and_report(request, neuroloom, tmp_path, which):
    run = shutil.copytree(request.getfixturevalue(which), tmp_path / "run")
    (run / "report.html").unlink()
    answer = neuroloom("explain", run)
    assert answer.code == 0, answer.err
    assert "relevance" in answer.out
    assert (run / "report.html").is_file()
    (run / "report.html").unlink()
    assert neuroloom("report", run).out.strip() == str(run / "report.html")
    assert "<html" in (run / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("which", ["csp", pytest.param("net", marks=pytest.mark.long)])
def test_replay_gives_the_same_numbers(request, neuroloom, tmp_path, which):
    answer = neuroloom("replay", request.getfixturevalue(which), "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert "identical" in answer.out


def test_replay_compares_weights_where_nothing_was_judged(neuroloom, data, tmp_path):
    out = tmp_path / "out"
    assert neuroloom(*DECODE, data, *CSP, "--folds", 0, "--out", out, "--quiet").code == 0
    answer = neuroloom("replay", out)
    assert (answer.code, "weights (nothing was judged) are identical" in answer.out) == (0, True)
    (out / "model.safetensors").write_bytes(b"other weights")
    answer = neuroloom("replay", out)
    assert (answer.code, "are NOT the same" in answer.out) == (1, True)


def test_resume_of_a_finished_run_changes_nothing(neuroloom, csp):
    before = snapshot(csp)
    answer = neuroloom("resume", csp)
    assert (answer.code, "done already" in answer.err) == (0, True)
    assert snapshot(csp) == before


def test_compare_two_runs_and_three(neuroloom, csp, net, tmp_path):
    two = neuroloom("compare", csp, net)
    assert two.code == 0, two.err
    assert "48 paired trials" in two.out
    assert "optimistic" not in two.out + two.err
    third = shutil.copytree(csp, tmp_path / "third")
    three = neuroloom("compare", csp, net, third)
    assert three.out.count("48 paired trials") == 2
    assert "3 models were tried" in three.err
    assert "optimistic" in three.err


@pytest.mark.parametrize(
    ("metric", "values", "said"),
    [("accuracy", (0.7, 0.9, 0.8), "best ({}/b/run) scored 90.0 %"), ("r2", (0.7, 0.9, 0.8), ""),
     ("accuracy", (0.7, None, 0.8), "")],
)  # fmt: skip
def test_the_best_of_three_is_told_of_accuracies_only(
    monkeypatch, tmp_path, capsys, metric, values, said
):
    folders = [tmp_path / name / "run" for name in "abc"]
    for folder, value in zip(folders, values, strict=True):
        write_json(folder / "metrics.json", {metric: {"value": value}})
    found = SimpleNamespace(text="", n_examples=40)
    monkeypatch.setattr(runs, "finished", lambda it: SimpleNamespace(folder=it, predictions=None))
    monkeypatch.setattr("neuroloom.learn.scoring.compare.compare", lambda *_: found)
    runs.compare(folders)
    err = capsys.readouterr().err
    assert said.format(tmp_path) in err
    assert bool(err) == bool(said)


# -- what there is ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--version",), (package.__version__,)),
        (("recipes",), ("signals.decode",)),
        (("recipes", "--data", "EEG"), ("signals.decode",)),
        (("describe", "signals.decode"), ("* events", "one of artifact-cnn", "5min)")),
        (("models",), ("eegnet", "Lawhern", "csp-lda")),
        (("models", "riemann"), ("Barachant",)),
        (("tools", "--like", "braindecode"), ("neuroloom run signals.decode",)),
        (("tools", "--data", "EEG", "--online"), ("tool", "parity")),
        (("tools", "EEG", "classification"), ("tool",)),
        (
            ("doctor",),
            ("torch", "nibabel", "All that signals need is here", "volumes need is here"),
        ),
    ],
    ids=" ".join,
)
def test_looking_things_up(neuroloom, words, says):
    answer = neuroloom(*words)
    assert answer.code == 0, answer.err
    for word in says:
        assert word in answer.out


LISTED = {
    "microscopy": {f"microscopy.{job}" for job in ("segment", "threshold", "curate", "measure")}
    | {"volumes.measures"},
    "MRI": {"volumes.segment", "volumes.classify", "volumes.regress", "volumes.synthesize"},
    "eye": {"eye.pupil", "eye.gaze", "eye.train"},
    "video": {"eye.pupil", "pose.estimate", "pose.track"},
}


@pytest.mark.parametrize("data", LISTED)
def test_recipes_are_listed_by_what_people_call_their_data(neuroloom, data):
    found = {line.split()[0] for line in neuroloom("recipes", "--data", data).out.splitlines()}
    assert found >= LISTED[data]


def test_no_recipe_is_listed_for_a_part_of_a_word(neuroloom):
    assert "connectivity.graphs" not in neuroloom("recipes", "--data", "ct").out


def test_a_sign_that_the_code_page_lacks_is_printed_as_an_escape(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(cli, "_carry_out", lambda words: print("é: \N{MINUS SIGN}0.1", end=""))
    assert not cli.main([])
    out.flush()
    assert out.buffer.getvalue() == b"\xe9: \\u22120.1"


def test_metrics_are_read_as_they_were_written(tmp_path, monkeypatch, capsys):
    entry = dict.fromkeys(("value", "low", "high", "baseline", "chance"), 0.5)
    write_json(tmp_path / "metrics.json", {"dice/névrome": entry})
    monkeypatch.setattr(io, "text_encoding", lambda encoding, *more: encoding or "cp1252")
    show.announce(SimpleNamespace(folder=tmp_path))
    assert "dice/névrome" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("folds", "trained", "said"),
    [(0, True, "fitted on everything (folds=0)"), (0, False, "nothing to judge"),
     (None, True, "nothing to judge")],
)  # fmt: skip
def test_a_run_without_metrics_says_why(tmp_path, capsys, folds, trained, said):
    write_json(tmp_path / "metrics.json", {})
    if trained:
        (tmp_path / "model.safetensors").touch()
    show.announce(SimpleNamespace(folder=tmp_path, recipe=SimpleNamespace(folds=folds)))
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("verb", sorted(HELP))
def test_every_verb_has_help(neuroloom, verb):
    answer = neuroloom(verb, "--help")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("Usage: neuroloom")
    assert "--no-" not in answer.out.replace("--no-browser", "")
    assert "--empty-" not in answer.out


def test_help_of_a_recipe_shows_the_settings_first(neuroloom):
    text = neuroloom(*DECODE, "--help").out
    heads = ["─ Data ─", "─ Settings ─", "─ Output ─", "─ More settings ─"]
    places = [text.index(head) for head in heads]
    assert places == sorted(places)
    assert "a file, a folder, or a manifest CSV" in text
    assert "csp-lda" in text
    basic = text[places[1] : places[2]]
    assert basic.count("│ --") <= 7
    assert "--events" in basic


@pytest.mark.parametrize("name", registry.names("recipe"))
def test_help_asks_for_data_where_a_recipe_reads_some(neuroloom, name):
    text, reads = neuroloom("run", name, "--help").out, registry.load("recipe", name).needs_data
    assert (f"Usage: neuroloom run {name} DATA" in text) == reads
    assert ("a manifest CSV" in text) == reads


@pytest.mark.parametrize(
    ("name", "on"), [("eye.pupil", "overlay"), ("representation.compare", "unbiased")]
)
def test_a_switch_that_is_on_by_itself_can_be_turned_off(neuroloom, monkeypatch, name, on):
    made = []
    cls = registry.load("recipe", name)
    monkeypatch.setattr(cls, "prepare", lambda recipe, data: made.append(recipe.settings()))
    assert neuroloom("check", name, "x", f"--no-{on}").code == 0
    assert neuroloom("check", name, "x", f"--{on}").code == 0
    assert made == [{on: False}, {}]
    text = neuroloom("run", name, "--help").out
    assert f"--no-{on}" in text
    assert text.count("--no-") == 1


def test_check_says_what_a_run_would_do_and_writes_nothing(neuroloom, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = neuroloom("check", *DECODE[1:], data, *CSP)
    assert answer.code == 0, answer.err
    assert "learns from" in answer.out
    assert "csp-lda" in answer.out
    assert "nothing was written" in answer.out
    assert not list(tmp_path.iterdir())


def test_check_refuses_as_run_does(neuroloom, tmp_path):
    answer = neuroloom("check", *DECODE[1:], tmp_path / "nowhere", *CSP)
    assert answer.code == 2
    assert "nowhere" in answer.err
    assert neuroloom("check", *DECODE[1:]).code == 2
    assert str(Path.home()) in neuroloom("check", *DECODE[1:], "~/nowhere", *CSP).err


# -- open data --------------------------------------------------------------------------------


def test_data_get_from_a_mirror_is_checked(neuroloom, tmp_path, monkeypatch, test_data):
    source = test_data / "eeg/eegmmidb/S001R06.edf"
    if not source.is_file():
        pytest.skip(f"no {source}")
    mirror = tmp_path / "mirror/S001"
    mirror.mkdir(parents=True)
    shutil.copy(source, mirror)
    monkeypatch.setenv("NEUROLOOM_MIRROR", str(tmp_path / "mirror"))
    words = ("data", "get", "eegbci", "--subject", 1, "--runs", 6, "--out", tmp_path / "data")
    answer = neuroloom(*words)
    assert answer.code == 0, answer.err
    got = tmp_path / "data/eegbci/S001R06.edf"
    assert answer.out.strip() == str(got)
    got.unlink()
    (mirror / "S001R06.edf").write_bytes(b"another file")
    answer = neuroloom(*words)
    assert answer.code == 2
    assert "SHA-256" in answer.err
    assert not got.exists()


def test_demo_without_a_network_says_so_and_simulates(neuroloom, tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROLOOM_MIRROR", str(tmp_path / "no mirror"))
    out = tmp_path / "runs/demo"
    answer = neuroloom("demo", "--out", out, "--model", "csp-lda", "--budget", "20s")
    assert answer.code == 0, answer.err
    assert "simulated" in answer.err
    assert read_json(out / "status.json")["state"] == "done"
    assert (out / "report.html").is_file()


@pytest.mark.parametrize("name", registry.names("recipe"))
def test_each_recipe_takes_its_demo_or_says_why_it_has_none(neuroloom, tmp_path, monkeypatch, name):
    cls, seen = registry.load("recipe", name), []
    monkeypatch.setenv("NEUROLOOM_MIRROR", str(tmp_path / "no mirror"))
    monkeypatch.setattr(Recipe, "run", lambda recipe, data, *_, **__: seen.append((recipe, data)))
    monkeypatch.setattr(fetch, "announce", lambda _: None)
    answer = neuroloom("demo", name, "--out", tmp_path / "demo")
    if not hasattr(cls, "demo"):
        assert answer.code == 2
        assert f"neuroloom run {name}" in answer.err
        return
    assert answer.code == 0, answer.err
    ((recipe, data),) = seen
    assert data.exists()
    assert name in data.parts
    assert getattr(recipe, "budget", "60s") == ("50 epochs" if name.endswith("causal") else "60s")


def test_a_demo_is_refused_a_setting_that_its_recipe_lacks(neuroloom, tmp_path):
    for words in (("eye.pupil", "--budget", "9s"), ("signals.decode", "--budget", "soon")):
        answer = neuroloom("demo", *words, "--out", tmp_path / "demo")
        assert answer.code == 2
        assert "budget" in answer.err
    assert not list(tmp_path.iterdir())


# -- interrupted ------------------------------------------------------------------------------


def heed_ctrl_c() -> None:
    """Undo what a shell does to its background jobs: they ignore Ctrl-C, and pass that on."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def begin(data: Path, out: Path) -> subprocess.Popen[str]:
    """Start a run that takes long, and wait until it trains."""
    words = ["--model", "eegnet", "--stop", "1", "--budget", "3000 epochs", "--quiet"]
    child = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *DECODE, str(data), *words, "--out", str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=CHILD,
        preexec_fn=None if os.name == "nt" else heed_ctrl_c,
    )  # fmt: skip
    until = time.monotonic() + 120
    while not (out / "plan.json").is_file():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < until
        time.sleep(0.1)
    return child


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, id="Ctrl-C"),
        pytest.param(signal.SIGTERM, id="SIGTERM", marks=pytest.mark.long),
    ],
)
def test_a_stopped_run_names_resume_and_resumes(neuroloom, data, tmp_path, number):
    out = tmp_path / "out"
    child = begin(data, out)
    busy = neuroloom("resume", out)
    assert busy.code == 2
    assert f"process {child.pid}" in busy.err
    child.send_signal(number)
    printed, said = child.communicate(timeout=60)
    assert child.returncode == 130
    assert printed == ""
    assert said == f"neuroloom: stopped; `neuroloom resume {out}` goes on with it.\n"
    assert read_json(out / "status.json")["state"] == "stopped"
    plan = read_json(out / "plan.json")
    (out / "plan.json").write_text(json.dumps(plan | {"epochs": 2}))
    for checkpoint in (out / "work").glob("*.checkpoint*"):
        checkpoint.unlink()
    answer = neuroloom("resume", out, "--quiet")
    assert answer.code == 0, answer.err
    assert read_json(out / "status.json")["state"] == "done"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_killed_run_is_told_from_a_living_one(neuroloom, data, tmp_path):
    out = tmp_path / "out"
    child = begin(data, out)
    child.kill()
    child.communicate()
    assert read_json(out / "status.json")["state"] == "running"
    answer = neuroloom("predict", out, data)
    assert answer.code == 2
    assert "was interrupted" in answer.err


def test_a_bar_shows_what_counts_frames_and_fits_nothing():
    with show.watching() as tell:
        assert tell is not None
        tell({"event": "progress", "name": "eye.mp4", "done": 3, "total": 10})
        tell({"event": "progress", "done": 4, "total": 10, "loss": 0.5})


def test_a_bar_follows_fits_planned_in_steps_or_in_epochs(monkeypatch):
    shown = []
    with show.watching() as tell:
        assert tell is not None
        bar = tell.__self__
        monkeypatch.setattr(bar.progress, "update", lambda task, **said: shown.append(said))
        fit = {"role": "model", "fit": 2, "fits": 5}
        for plan, at in (({"epochs": None}, {"epoch": 3, "step": 30, "steps": 60}),
                         ({"epochs": 8}, {"epoch": 4, "step": 40, "steps": 80})):  # fmt: skip
            tell({"event": "plan", "reason": "", **plan})
            tell({"event": "progress", **fit, **at})
            tell({"event": "fitted", **fit})
    assert [(one["completed"], one["total"]) for one in shown] == [(1.5, 5), (2.0, 5)] * 2


def test_an_interrupt_that_a_destructor_swallows_comes_again(monkeypatch, capsys):
    class Swallows:
        def __del__(self):
            raise KeyboardInterrupt

    def work(words):
        held = Swallows()
        del held
        until = time.monotonic() + 20
        while time.monotonic() < until:
            time.sleep(0.01)
        return 0

    monkeypatch.setattr(cli, "_carry_out", work)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job's may be ignored
    try:
        assert cli.main(["run"]) == cli.STOPPED
    finally:
        signal.signal(signal.SIGINT, before)
    assert "stopped" in capsys.readouterr().err
