"""Every mistake of a user's first hour: exit code 2, one sentence, nothing written."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import makers
from tests.apps.conftest import CSP, DECODE, snapshot

FILE = "sub-1_run-1_eeg.edf"


# -- damaged and strange files ---------------------------------------------------------------


def three(folder: Path, damage) -> Path:
    """Write three recordings and let `damage` spoil the last."""
    makers.write_runs(folder)
    damage(folder / "sub-1_run-3_eeg.edf")
    return folder


def cut_at(share: float):
    return lambda path: path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:100]), "cut in its header"),
        (lambda path: path.write_bytes(path.read_bytes()[:700]), "cut in its header"),
        (cut_at(0.5), "cut in its data"),
        (lambda path: path.write_text("Dear diary, the cap was wet.\n" * 40), "is no EDF file"),
    ],
    ids=["header", "table", "data", "text"],
)
def test_a_damaged_edf_is_named(refused, tmp_path, damage, says):
    refused(
        *DECODE, three(tmp_path / "d", damage), *CSP, "--out", tmp_path / "out",
        says=("sub-1_run-3_eeg.edf", says),
    )  # fmt: skip


def flat(made):
    made[1] = 0.0


def holed(made):
    made[1, 500:600] = np.nan


@pytest.mark.parametrize(
    ("spoil", "suffix", "says"),
    [(flat, ".edf", "channel Cz is flat"), (holed, ".fif", "channel Cz is not a number from 3.9")],
    ids=["flat", "nan"],
)
def test_a_dead_channel_is_named_with_the_way_out(refused, tmp_path, spoil, suffix, says):
    makers.write_runs(tmp_path / "d", runs=2, suffix=suffix)
    made = makers.recording(9)
    spoil(made)
    makers.write(made, tmp_path / f"d/sub-1_run-3_eeg{suffix}")
    refused(
        *DECODE, tmp_path / "d", *CSP, "--out", tmp_path / "out",
        says=("sub-1_run-3_eeg", says, "--picks '!Cz'"),
    )  # fmt: skip


def test_channels_that_differ_are_named(refused, tmp_path):
    makers.write_runs(tmp_path / "d", runs=2)
    other = makers.recording(9, channels=(*makers.CHANNELS[:-1], "O2"))
    makers.write(other, tmp_path / "d/sub-1_run-3_eeg.edf")
    refused(
        *DECODE, tmp_path / "d", *CSP, "--out", tmp_path / "out",
        says=("sub-1_run-3_eeg.edf", "lacks Oz", "has besides O2", "picks"),
    )  # fmt: skip


def test_a_copy_under_another_name_is_refused(refused, tmp_path):
    makers.write_runs(tmp_path / "d", runs=2)
    shutil.copy(tmp_path / "d" / FILE, tmp_path / "d/sub-1_run-3_eeg.edf")
    refused(
        *DECODE, tmp_path / "d", *CSP, "--out", tmp_path / "out",
        says=("sub-1_run-3_eeg.edf is a copy of", FILE),
    )  # fmt: skip


def test_different_sampling_rates_work(neuroloom, tmp_path):
    makers.write_runs(tmp_path / "d", runs=2)
    makers.write(makers.recording(9, rate=160.0), tmp_path / "d/sub-1_run-3_eeg.edf")
    answer = neuroloom(*DECODE, tmp_path / "d", *CSP, "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert "accuracy" in answer.out


# -- data that hold too little ----------------------------------------------------------------


def empty(folder: Path) -> None:
    folder.mkdir()


def notes_only(folder: Path) -> None:
    folder.mkdir()
    (folder / "notes.txt").write_text("the cap was wet")


def one_class(folder: Path) -> None:
    makers.write_runs(folder, labels=("left",))


def one_run(folder: Path) -> None:
    makers.write_runs(folder, runs=1)


def unmarked(folder: Path) -> None:
    made = makers.recording(0)
    made.attrs["annotations"] = made.attrs["annotations"][:0]
    makers.write(made, folder / FILE)


@pytest.mark.parametrize(
    ("fill", "says"),
    [
        (empty, ("d: the folder is empty", ".edf")),
        (notes_only, ("no recording among its 1 files (notes.txt)", ".edf")),
        (lambda folder: None, ("no such file or folder",)),
        (one_class, ("two classes", "only 'left'")),
        (one_run, ("split=run needs two runs", "split by time")),
        (unmarked, (FILE, "no annotations", "target")),
    ],
    ids=["empty", "no recording", "missing", "one class", "one run", "no events"],
)
def test_too_little_data(refused, tmp_path, fill, says):
    fill(tmp_path / "d")
    refused(*DECODE, tmp_path / "d", *CSP, "--out", tmp_path / "out", says=says)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("path,subject\nd/{file},1\nd/gone.edf,2\n", ("row 3", "d/gone.edf")),
        ("path,subject\nd/{file},1\nd/{file},2\n", ("row 3", "second time")),
        ("file,subject\nd/{file},1\n", ("column 'path'", "file, subject")),
        ("path,subject\n", ("no rows",)),
        ("", ("cannot be read as a table",)),
    ],
    ids=["missing file", "twice", "no path", "no rows", "nothing"],
)
def test_a_wrong_manifest(refused, tmp_path, table, says):
    makers.write_runs(tmp_path / "d", runs=1)
    manifest = tmp_path / "list.csv"
    manifest.write_text(table.format(file=FILE))
    refused(*DECODE, manifest, *CSP, "--out", tmp_path / "out", says=("list.csv", *says))


# -- settings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--model eegnett", ("eegnett", "Did you mean 'eegnet'")),
        ("--modle eegnet", ("--modle", "Did you mean '--model'")),
        ("--start abc", ("--start", "a number", "'abc'")),
        ("--folds two", ("--folds", "a whole number", "'two'")),
        ("--split runs", ("--split", "'runs'", "Did you mean 'run'")),
        ("--band 30 8", ("band", "30.0, 8.0")),
        ("--band 8", ("--band needs 2 values",)),
        ("--band 8 300", ("8-300 Hz", "Nyquist", "64 Hz")),
        ("--rate 20 --band 8 30", ("rate=20", "30 Hz", "75 Hz")),
        ("--budget tomorrow", ("budget", "'10min'", "got 'tomorrow'.")),
        ("--folds 99 --split run", ("folds=99", "3 runs")),
        ("--folds 99 --split time", ("folds=99", "16 examples")),
        ("--split run --test zz*", ("zz*", "no example", FILE)),
        ("--split run --test sub-*", ("sub-*", "every example")),
        ("--events.lefft l --events.right r", ("lefft", "Did you mean 'left'")),
        ("--events.left", ("--events.left needs a value",)),
        ("--events left", ("--events.left VALUE",)),
        ("--stop 300", ("stop", "300 s", "34 s")),
        ("--start 2 --stop 1", ("stop (1 s)", "start (2 s)")),
        ("--stop 0.01", ("1 samples at 128 Hz", "stop")),
        ("--picks XX*", ("'XX*'", "C3")),
        ("--picks C33", ("'C33'", "Did you mean 'C3'")),
        ("--picks !C33", ("'C33' to leave out", "Did you mean 'C3'")),
        ("--include zz*", ("zz*", FILE)),
        ("--pattern {subject}R{run}.edf", ("matches no file", FILE)),
        ("--target handedness --window 1", ("'handedness'", "subject, session, run")),
        ("--target run", ("window",)),
        ("--target run --window 1 --events.left l", ("exclude each other",)),
        ("--target run --window 200", ("200 s", "34 s", "Lower `window`")),
        ("--window -1", ("window", "greater than 0")),
        ("--reject 0.001 --stop 1", ("48 above 0.001 µV", "Raise `reject`")),
        ("--reference A1", ("'A1'", "average")),
        ("--model eegnet --stop 0.1 --budget 2epochs", ("EEGNet", "at least 24 samples")),
        ("--model deep4 --stop 1 --budget 2epochs", ("DeepConvNet", "at least 178 samples")),
        ("--model eegnet --augment shaek --budget 2epochs", ("shaek", "Known: band-rotation")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_setting(refused, data, tmp_path, options, says):
    model = () if "--model" in options else ("--model", "csp-lda")
    refused(*DECODE, data, *model, *options.split(), "--out", tmp_path / "out", says=says)


def test_settings_are_checked_before_data_are_looked_for(refused, tmp_path):
    refused(*DECODE, tmp_path / "nowhere", "--model", "eegnett", says="eegnett")
    refused(*DECODE, tmp_path / "nowhere", "--budget", "tomorrow", says="tomorrow")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("rnu", "x"), ("'rnu'", "Did you mean 'run'")),
        (("run",), ("run needs RECIPE",)),
        (("run", "signals.decoed", "x"), ("signals.decoed", "Did you mean 'signals.decode'")),
        (("run", "signals.decode"), ("needs DATA",)),
        (("run", "cognition.train", "go-nogo"), ("takes no DATA", "'go-nogo'", "`task`")),
        (("check", "eye.train", "mine", "--tune"), ("takes no DATA", "'mine'", "`labelled`")),
        (("run", "signals.decode", "x", "y"), ("'y'", "too many", "DATA is one")),
        (("run", "eye.pupil", "x", "--overlay", "false"), ("'false'", "no value", "--no-NAME")),
        (("run", "."), ("'.' is data", "run RECIPE .")),
        (
            ("run", "--out", "a", "signals.decode", "."),
            ("--out stands before", "RECIPE DATA --out"),
        ),
        (("check", "--json", "signals.decode", "."), ("check RECIPE DATA --json",)),
        (("data", "gett"), ("'gett'", "Did you mean 'get'")),
        (("data", "get", "eegbic"), ("eegbic", "Did you mean 'eegbci'")),
        (("data", "get", "eegbci", "--subject", "300"), ("1 to 109", "300")),
        (("describe", "signals.decoed"), ("Did you mean 'signals.decode'",)),
        (("models", "eegnett"), ("Did you mean 'eegnet'",)),
        (("recipes", "--data", "smell"), ("smell",)),
        (("recipes", "--data", "mouse"), ("No recipe reads mouse",)),
        (("tools", "--like", "braindecod"), ("Did you mean 'braindecode'",)),
        (("tools", "qqqq"), ("Use fewer words",)),
        (("compare", "x"), ("two runs",)),
        (("studio", "--at-once", "0"), ("--at-once must be 1 or more",)),
    ],
    ids=" ".join,
)
def test_a_wrong_command(refused, words, says):
    refused(*words, says=says)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"recipe: signals.decode\nmodle: eegnet\n", ("modle", "Did you mean 'model'")),
        (b"recipe: signals.decoed\n", ("Did you mean 'signals.decode'",)),
        (b"recipe: [open\n", ("not valid YAML", "line 2")),
        (b"just words\n", ("recipe: NAME",)),
        (b"", ("recipe: NAME",)),
        (b"recipe: signals.decode\nversion: 99\n", ("version 99", "up to 1")),
        (b"recipe: signals.decode\nevents: [T1, T2]\n", ("events", "['T1', 'T2']")),
        (b"recipe: signals.decode\ndata: 5\n", ("data must be a path",)),
        (b"recipe: \xff\xfe\n", ("UTF-8",)),
    ],
    ids=["field", "recipe", "syntax", "words", "empty", "newer", "type", "data", "binary"],
)
def test_a_wrong_study(refused, data, tmp_path, text, says):
    (tmp_path / "study.yaml").write_bytes(text)
    refused("run", tmp_path / "study.yaml", data, says=("study.yaml", *says))


# -- where it goes ----------------------------------------------------------------------------


def test_a_folder_with_something_in_it_is_left_alone(refused, data, csp, tmp_path):
    (tmp_path / "thesis.docx").write_text("years of work")
    refused(*DECODE, data, *CSP, "--out", tmp_path, says="is not empty")
    refused(*DECODE, data, *CSP, "--out", tmp_path / "thesis.docx", says="is a file")
    refused(*DECODE, data, *CSP, "--out", tmp_path / "thesis.docx/run", says="is a file")
    refused(*DECODE, data, *CSP, "--out", csp, says="finished run")
    refused(*DECODE, data, *CSP, "--out", data, says="is not empty")


def test_an_unfinished_run_is_named_for_resume(refused, data, csp, tmp_path):
    half = unfinished(csp, tmp_path / "half")
    refused(*DECODE, data, *CSP, "--out", half, says=f"neuroloom resume {half}")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_no_permission_to_write(refused, data):
    refused(*DECODE, data, *CSP, "--out", "/proc/run", says=("/proc/run", "cannot be written"))


def test_a_read_only_disk(refused, data, disk):
    place = disk("-t", "tmpfs", "-o", "ro", "tmpfs")
    refused(*DECODE, data, *CSP, "--out", place / "run", says=("Read-only", "another folder"))


def test_a_disk_full_from_the_start_exits_1(neuroloom, data, disk):
    place = disk("-t", "tmpfs", "-o", "size=8k", "tmpfs")
    (place / "holiday.jpg").write_bytes(bytes(8000))
    answer = neuroloom(*DECODE, data, *CSP, "--out", place / "run")
    assert answer.code == 1
    assert "No space left" in answer.err
    assert "Traceback" not in answer.err
    assert not (place / "run").exists()


@pytest.mark.parametrize("kilobytes", [48, 100, 180])
def test_a_disk_that_fills_up_leaves_its_state(neuroloom, data, disk, kilobytes):
    place = disk("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs")
    answer = neuroloom(*DECODE, data, *CSP, "--out", place / "run", "--quiet")
    assert answer.code == 1
    assert "No space left" in answer.err
    assert "a fault of neuroloom" not in answer.err
    status = (place / "run/status.json").read_text()
    assert '"failed"' in status
    assert "No space left" in status
    assert not (place / "run/report.html").exists()


@pytest.mark.parametrize("kilobytes", [4, 60])
def test_predict_on_a_full_disk_says_so(neuroloom, data, csp, disk, kilobytes):
    place = disk("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs")
    answer = neuroloom("predict", csp, data, "--out", place / "new")
    assert answer.code == 1
    assert "predict failed: No space left" in answer.err
    assert "a fault of neuroloom" not in answer.err


# -- runs -------------------------------------------------------------------------------------


def unfinished(run: Path, copy: Path) -> Path:
    shutil.copytree(run, copy)
    text = (copy / "status.json").read_text().replace('"done"', '"stopped"')
    (copy / "status.json").write_text(text)
    return copy


VERBS = ("predict", "evaluate", "explain", "report", "replay", "resume", "compare")


def more_words(verb: str, data: Path, run: Path) -> list[Path]:
    return {"predict": [data], "evaluate": [data], "compare": [run]}.get(verb, [])


@pytest.mark.parametrize("verb", VERBS)
def test_a_folder_that_is_no_run(refused, data, csp, tmp_path, verb):
    for folder in (data, tmp_path / "nowhere"):
        refused(verb, folder, *more_words(verb, data, csp), says=(str(folder), "no run folder"))


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "resume"])
def test_an_unfinished_run(refused, data, csp, tmp_path, verb):
    half = unfinished(csp, tmp_path / "half")
    refused(verb, half, *more_words(verb, data, csp), says=f"neuroloom resume {half}")


def test_a_run_that_is_being_written_is_left_alone(refused, data, csp, tmp_path):
    from neuroloom.core import hold

    half = unfinished(csp, tmp_path / "half")
    (half / ".lock").touch()
    lock = hold.take(half / ".lock")
    for words in (("resume", half), ("predict", half, data), (*DECODE, data, *CSP, "--out", half)):
        refused(*words, says=("being written", "process"))
    lock.close()


@pytest.mark.parametrize("verb", ["predict", "evaluate"])
def test_new_data_must_have_the_channels(refused, csp, tmp_path, verb):
    made = makers.recording(9, channels=(*makers.CHANNELS[:-1], "O2"))
    new = makers.write(made, tmp_path / "new.edf")
    refused(verb, csp, new, "--out", tmp_path / "out", says=("new.edf", "lacks 1 of", "Oz"))


def test_evaluate_needs_labels(refused, csp, tmp_path):
    unmarked(tmp_path / "new")
    refused("evaluate", csp, tmp_path / "new", "--out", tmp_path / "out", says="has a label")
    refused("evaluate", csp, tmp_path / "new", "--include", "zz*", says="zz*")


def test_runs_of_other_data_are_not_compared(refused, neuroloom, csp, tmp_path):
    makers.write_runs(tmp_path / "d", runs=2)
    assert neuroloom(*DECODE, tmp_path / "d", *CSP, "--out", tmp_path / "other").code == 0
    refused("compare", csp, tmp_path / "other", says="same")


def test_changed_data_are_not_resumed(refused, neuroloom, csp, tmp_path):
    makers.write_runs(tmp_path / "d")
    half = unfinished(csp, tmp_path / "half")
    recipe = (half / "recipe.yaml").read_text().splitlines()
    recipe = [f"data: {tmp_path / 'd'}" if row.startswith("data:") else row for row in recipe]
    (half / "recipe.yaml").write_text("\n".join(recipe))
    answer = neuroloom("resume", half)
    assert answer.code == 2
    assert "changed since this run began" in answer.err


# -- as a real program ------------------------------------------------------------------------


def test_a_mistake_shows_no_traceback_in_a_real_process(tmp_path):
    words = [*DECODE, str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "neuroloom", *words], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert snapshot(tmp_path) == {}
