"""The run folder: refused where it would overwrite, told what became of it, resumed."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from typing import ClassVar

import pytest

from neuroloom.core import hold, registry
from neuroloom.core.artifact import Shelf
from neuroloom.core.errors import ConfigError, DataError, RunError
from neuroloom.core.files import read_json, write_json
from neuroloom.core.recipe import Recipe, setting
from neuroloom.core.run import Run, check_out, data_error_if_changed
from tests import makers

FAULTS = {
    "data": DataError("a.edf is bad."),
    "disk": OSError(28, "No space left on device", "x.bin"),
    "memory": MemoryError(),
    "runtime": RuntimeError("blas"),
    "bug": KeyError("oops"),
    "stop": KeyboardInterrupt(),
}


class Toy(Recipe):
    """Writes one file, or fails as told."""

    name: ClassVar[str] = "test.toy"
    summary: ClassVar[str] = "writes a file"
    broken: ClassVar[str] = ""

    fail: str = setting("", "the fault to run into")
    size: int = setting(1, "bytes to write")

    def prepare(self, data):
        if self.fail == "early":
            raise FAULTS["data"]
        return data

    def work(self, prepared, run):
        (run.work_folder).mkdir(exist_ok=True)
        (run.work_folder / "half").write_bytes(b"\0" * self.size)
        run.log("worked", on=str(prepared))
        if self.fail and not (run.folder / "mended").exists():
            raise FAULTS[self.fail]
        write_json(run.folder / "result.json", 42)


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    load = registry.load
    monkeypatch.setattr(
        registry, "load", lambda kind, name: Toy if name == "test.toy" else load(kind, name)
    )


def start(tmp_path, **fields):
    return Toy(**fields).run(tmp_path, tmp_path / "out")


def test_a_run_leaves_recipe_status_log_and_environment(tmp_path):
    run = start(tmp_path)
    assert run.state == "done"
    assert run.recipe == Toy()
    assert run.study[1] == tmp_path
    events = [json.loads(line)["event"] for line in (run.folder / "log.jsonl").open()]
    assert events == ["worked", "done"]
    assert read_json(run.folder / "environment.json")["libraries"]["numpy"]
    assert not run.work_folder.exists()
    assert not list(run.folder.glob(".*"))


def test_data_are_written_once_and_compared_then(tmp_path):
    run = start(tmp_path)
    run.write_dataset({"files": {"a": "1"}, "cases": 2})
    with pytest.raises(DataError, match="a changed since"):
        run.write_dataset({"files": {"a": "2"}, "cases": 3})
    assert read_json(run.folder / "dataset.json") == {"files": {"a": "1"}, "cases": 2}


def test_who_watches_is_told(tmp_path):
    heard = []
    Toy().run(tmp_path, tmp_path / "out", watch=lambda line: heard.append(line["event"]))
    assert heard == ["worked", "done"]


def test_an_empty_folder_is_used(tmp_path):
    (tmp_path / "out").mkdir()
    assert start(tmp_path).state == "done"


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.doc").touch()
    with pytest.raises(ConfigError, match=r"out is not empty. Name an empty or a new folder"):
        start(tmp_path)
    assert os.listdir(tmp_path / "out") == ["thesis.doc"]


def test_a_finished_run_is_not_overwritten(tmp_path):
    start(tmp_path)
    with pytest.raises(ConfigError, match=r"It holds a finished run"):
        start(tmp_path)


def test_an_unfinished_run_names_resume(tmp_path):
    with pytest.raises(RunError):
        start(tmp_path, fail="disk")
    with pytest.raises(ConfigError, match=r"neuroloom resume .*out` goes on with it"):
        start(tmp_path)


@pytest.mark.parametrize("place", ["file", "file/deeper"])
def test_a_file_in_the_way_is_refused(tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"is a file"):
        check_out(tmp_path / place)


def test_what_the_user_can_mend_leaves_nothing_behind(tmp_path):
    with pytest.raises(DataError):
        start(tmp_path, fail="early")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("fault", "error", "state", "said"),
    [
        ("data", DataError, "failed", "a.edf is bad."),
        ("disk", RunError, "failed", "No space left on device: x.bin"),
        ("memory", RunError, "failed", "out of memory"),
        ("runtime", RunError, "failed", "RuntimeError: blas"),
        ("bug", KeyError, "failed", "KeyError: 'oops'"),
        ("stop", KeyboardInterrupt, "stopped", "stopped by the user"),
    ],
)
def test_whatever_happens_the_status_tells(tmp_path, fault, error, state, said):
    with pytest.raises(error):
        start(tmp_path, fail=fault)
    run = Run(tmp_path / "out")
    assert (run.state, run.status["error"]) == (state, said)


def test_resume_finishes_and_forgets_the_error(tmp_path):
    with pytest.raises(RunError):
        start(tmp_path, fail="disk")
    (tmp_path / "out" / "mended").touch()
    run = Run(tmp_path / "out").resume()
    assert run.state == "done"
    assert "error" not in run.status
    assert read_json(run.folder / "result.json") == 42


def test_of_two_runs_into_one_folder_the_slower_reader_is_refused(tmp_path, monkeypatch):
    """The other begins while this one reads its data: whatever it wrote stays as it is."""
    out = tmp_path / "out"
    read = Toy.prepare

    def slowly(self, data):
        if self.size == 2:
            Toy().run(tmp_path, out)
        return read(self, data)

    monkeypatch.setattr(Toy, "prepare", slowly)
    with pytest.raises(ConfigError, match=r"another run was written there while the data were"):
        Toy(size=2).run(tmp_path, out)
    assert Run(out).recipe == Toy()
    assert Run(out).state == "done"


def test_a_folder_that_is_held_is_not_written(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    lock = hold.take(out / ".lock")
    with pytest.raises(ConfigError, match=r"is being written by another process"):
        start(tmp_path)
    lock.close()
    assert os.listdir(out) == [".lock"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_run_that_ends_while_its_work_is_deleted_is_done(tmp_path, monkeypatch, stop):
    def interrupted(*args, **more):
        raise stop

    with monkeypatch.context() as patch:
        patch.setattr("neuroloom.core.run.shutil.rmtree", interrupted)
        with pytest.raises(stop) as error:
            start(tmp_path)
    run = Run(tmp_path / "out")
    assert not str(error.value)  # there is nothing to resume
    assert run.state == "done"
    assert run.work_folder.exists()
    before = run.status
    assert run.resume().status == before
    assert not run.work_folder.exists()


def test_stopped_while_a_resumed_run_reads_it_names_its_folder(tmp_path, monkeypatch):
    with pytest.raises(RunError):
        start(tmp_path, fail="disk")

    def interrupted(self, data):
        raise KeyboardInterrupt

    before = sorted(os.listdir(tmp_path / "out"))
    monkeypatch.setattr(Toy, "prepare", interrupted)
    with pytest.raises(KeyboardInterrupt, match="out"):
        Run(tmp_path / "out").resume()
    assert Run(tmp_path / "out").state == "failed"
    assert sorted(os.listdir(tmp_path / "out")) == before


def test_resume_of_a_finished_run_changes_nothing(tmp_path):
    run = start(tmp_path)
    before = run.status
    assert Run(run.folder).resume().status == before


def test_replay_takes_the_stored_plan_into_a_new_folder(tmp_path):
    run = start(tmp_path)
    write_json(run.folder / "plan.json", {"epochs": 5})
    again = run.replay()
    assert again.folder.name == "out-replay"
    assert read_json(again.folder / "plan.json") == {"epochs": 5}
    assert run.replay().folder.name == "out-replay-2"


def test_home_is_meant_by_a_tilde_that_no_shell_has_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "grey").mkdir()
    run = Toy().run("~/grey", "~/runs/toy")
    assert (run.folder, run.study[1]) == (tmp_path / "runs/toy", tmp_path / "grey")
    (run.folder / "recipe.yaml").write_text("recipe: test.toy\ndata: ~/grey\n")
    assert Run("~/runs/toy").reopened()[1] == tmp_path / "grey"
    assert run.replay("~/again").folder == tmp_path / "again"


def test_runs_of_one_second_have_a_folder_each(tmp_path, monkeypatch):
    class First(Toy):
        def prepare(self, data):
            others.append(Toy().run(tmp_path))
            return super().prepare(data)

    others = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda form: "now")
    first = First().run(tmp_path)
    runs = [first, *others, Toy().run(tmp_path)]
    names = [run.folder.name for run in runs]
    assert names == ["test.toy-now-2", "test.toy-now", "test.toy-now-3"]
    assert [run.state for run in runs] == ["done"] * 3
    with pytest.raises(DataError, match="bad"):
        Toy(fail="early").run(tmp_path)
    assert len(list((tmp_path / "runs").iterdir())) == 3


def test_what_lies_here_and_not_beside_the_data_is_found_from_any_folder(tmp_path, monkeypatch):
    class Two(Toy):
        beside: ClassVar[tuple[str, ...]] = ("one", "more")
        one: str | None = setting(None, "a file")
        more: list[str] = setting([], "files")

    for folder in ("data", "here"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "both").touch()
    (tmp_path / "here" / "own").touch()
    monkeypatch.chdir(tmp_path / "here")
    own = str(tmp_path / "here" / "own")
    monkeypatch.setattr(registry, "load", lambda kind, name: Two)
    run = Two(one="own", more=["both", "own", "*"]).run(tmp_path / "data", tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    assert run.recipe.settings() == {"one": own, "more": ["both", own, "*"]}
    assert Two(one="both").placed(tmp_path / "data").one == "both"
    assert Two().placed(tmp_path / "data").settings() == {}


def test_a_run_may_be_named_by_a_dot(tmp_path, monkeypatch):
    monkeypatch.chdir(start(tmp_path).folder)
    assert Run(".").folder == tmp_path / "out"
    assert Run(".").replay().folder == tmp_path / "out-replay"
    (tmp_path / "out" / "work").mkdir()
    monkeypatch.chdir("work")
    assert Run("..").folder == tmp_path / "out"


def test_explain_that_is_not_offered_says_where_the_maps_are(tmp_path):
    run = start(tmp_path)
    with pytest.raises(ConfigError, match=r"test\.toy measures or makes, it cannot explain"):
        run.explain()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Toy, "predict", lambda *given, **more: (given[2:], more), raising=False)
        with pytest.raises(ConfigError, match=r"not offered for test\.toy\.$"):
            run.explain()
        shelf = Shelf(run.folder / "artifacts")
        shelf.add_text("maps", "Left.", title="Maps", section="where")
        with pytest.raises(ConfigError, match=r"not offered for test\.toy.*out/report\.html"):
            run.explain()


def test_new_files_are_explained_only_where_that_is_offered(tmp_path):
    run = start(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Toy, "explain", lambda recipe, run: "own", raising=False)
        assert run.explain() == "own"
        with pytest.raises(ConfigError, match=r"test\.toy explains .* own data only"):
            run.explain(tmp_path)
        patch.setattr(Toy, "explain", lambda recipe, run, inputs=(), out=None: (inputs, out))
        assert run.explain(tmp_path) == ([tmp_path], None)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"is no run folder"):
        Run(tmp_path)


def test_a_recipe_that_cannot_predict_says_so(tmp_path):
    with pytest.raises(ConfigError, match=r"test\.toy measures or makes, it cannot predict"):
        start(tmp_path).predict("x")


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({}, "a is gone|a was used by this run and is gone"),
        ({"a": "2"}, "a changed since"),
        ({"a": "1", "b": "3"}, "b is new"),
    ],
)
def test_data_that_changed_are_named(now, said):
    with pytest.raises(DataError, match=said):
        data_error_if_changed({"a": "1"}, now)


@pytest.fixture
def tiny_disk(tmp_path):
    with makers.small_disk(tmp_path / "disk", 256) as place:
        yield place


def test_a_full_disk_fails_with_its_state_written(tmp_path, tiny_disk):
    with pytest.raises(RunError, match=r"No space left on device"):
        Toy(size=10**6).run(tmp_path, tiny_disk / "out")
    run = Run(tiny_disk / "out")
    assert run.state == "failed"
    assert "No space left" in run.status["error"]


def test_resume_on_a_disk_that_is_still_full_says_so(tmp_path, tiny_disk):
    with pytest.raises(RunError):
        Toy(size=10**6).run(tmp_path, tiny_disk / "out")
    with contextlib.suppress(OSError):
        (tiny_disk / "holiday.jpg").write_bytes(bytes(10**6))
    with pytest.raises(RunError, match=r"The run failed: No space left on device"):
        Run(tiny_disk / "out").resume()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, tiny_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    with pytest.raises(ConfigError, match=r"cannot be written .Read-only file system"):
        Toy().run(tmp_path, tiny_disk / "out")


def test_a_run_that_is_another_s_is_not_explained_for_nothing(tmp_path, tiny_disk, monkeypatch):
    made = Toy().run(tmp_path, tiny_disk / "out")
    for verb in ("explain", "report"):
        monkeypatch.setattr(Toy, verb, lambda self, run: pytest.fail("computed"), raising=False)
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    for verb in (made.explain, made.report):
        with pytest.raises(ConfigError, match=r"Read-only file system.*copy the run to a folder"):
            verb()
