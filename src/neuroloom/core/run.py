"""A run: the folder that a recipe leaves, with everything to read, resume, replay and compare."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import neuroloom
from neuroloom.core import hold
from neuroloom.core.artifact import Shelf
from neuroloom.core.errors import ConfigError, DataError, NeuroloomError, RunError, in_words
from neuroloom.core.files import at_home, read_json, write_json, write_text
from neuroloom.core.recipe import Recipe, Watcher, read_yaml, to_yaml

if TYPE_CHECKING:
    import pandas as pd

BALLAST_BYTES = 64 * 1024
LOCK = ".lock"
FIT_PLANS = "fitplans.json"  # of each fit that plans what its net is, by the fit's key
LIBRARIES = (
    "numpy", "pandas", "pyarrow", "pydantic", "xarray",
    "captum", "lightning-fabric", "matplotlib", "safetensors", "scikit-learn", "scipy", "torch",
    "edfio", "mne", "mne-bids", "pooch", "pyriemann", "pyxdf",
    "einops", "h5py", "highdicom", "imagecodecs", "monai", "nibabel", "pillow", "pydicom",
    "scikit-image", "SimpleITK", "tifffile", "zarr", "lifelines", "openpyxl",
    "av", "sleap-io", "tables", "ndx-pose", "opencv-python-headless", "pynwb",
    "nilearn", "torch-geometric", "gymnasium", "onnxruntime", "nicegui",
)  # fmt: skip


class Run:
    """An open run folder.

    Parameters
    ----------
    folder
        A folder with `recipe.yaml` and `status.json`.

    Raises
    ------
    ConfigError
        If it is no run folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = _by_name(at_home(folder))
        if not (self.folder / "recipe.yaml").is_file():
            raise ConfigError(
                f"{self.folder} is no run folder: it has no recipe.yaml. Name the --out of a run."
            )
        self._watch: Watcher | None = None
        self.began = time.monotonic()

    @classmethod
    def start(
        cls,
        recipe: Recipe,
        data: Path | None,
        out: str | Path | None,
        *,
        watch: Watcher | None = None,
    ) -> Run:
        """Check everything, then make the folder and let the recipe fill it."""
        began = time.monotonic()
        data = None if data is None else at_home(data)
        usual = beside(Path("runs") / recipe.name, time.strftime("%Y%m%d-%H%M%S"))
        out = _placed(out)
        check_out(out or hold.free(usual), recipe)
        recipe = recipe if data is None else recipe.placed(data)
        prepared = recipe.prepare(data or Path())
        out = out or hold.claim(usual)
        with _alone_in(out):
            run = cls._create(out, recipe, data)
            run._watch, run.began = watch, began
            with run._told():
                run._work(recipe, prepared)
        return run

    @classmethod
    def _create(cls, out: Path, recipe: Recipe, data: Path | None) -> Run:
        """Write what a run begins with into a folder that is held, and must still be empty."""
        if not _is_empty(out):
            raise ConfigError(
                f"--out {out} is not empty: another run was written there while the data were "
                "read. Name a new folder."
            )
        try:
            write_text(out / "recipe.yaml", to_yaml(recipe, str(data.resolve()) if data else None))
            run = cls(out)
            run._begin(recipe)
        except OSError as error:
            if (out / "recipe.yaml").is_file():
                cls(out)._fail(error)
            raise RunError(f"{out}: the run could not be started: {in_words(error)}.") from error
        return run

    def _begin(self, recipe: Recipe) -> None:
        self._ballast.write_bytes(b"\0" * BALLAST_BYTES)
        self.set_status("running", recipe=recipe.name, pid=os.getpid())
        if not (self.folder / "environment.json").is_file():
            write_json(self.folder / "environment.json", environment())

    def resume(self, *, watch: Watcher | None = None) -> Run:
        """Finish an interrupted run; what was done is kept, and the stored plan is followed.

        Raises
        ------
        ConfigError
            If a living process still writes it.
        DataError
            If the data changed since.
        """
        if self.is_busy():
            raise ConfigError(
                f"{self.folder} is still being written by {self.writer()}: wait for it, or stop "
                "that process first."
            )
        if self.state == "done":
            self._tidy_up()
            return self
        recipe, data = self.reopened()
        self._watch, self.began = watch, time.monotonic()
        with _alone_in(self.folder):
            try:
                prepared = recipe.prepare(data)
            except KeyboardInterrupt:
                raise KeyboardInterrupt(str(self.folder)) from None
            with self._told():
                self._begin(recipe)
                self.log("resume")
                self._work(recipe, prepared)
        return self

    def replay(self, out: str | Path | None = None, *, watch: Watcher | None = None) -> Run:
        """Do the same run again in another folder, following the stored plan and data hashes."""
        recipe, data = self.reopened()
        usual = beside(self.folder, "replay")
        out = _placed(out)
        check_out(out or hold.free(usual), recipe)
        prepared = recipe.prepare(data)
        out = out or hold.claim(usual)
        with _alone_in(out):
            again = self._create(out, recipe, data if recipe.needs_data else None)
            again._watch = watch
            with again._told():
                for name in ("plan.json", FIT_PLANS, "dataset.json"):
                    if (self.folder / name).is_file():
                        shutil.copyfile(self.folder / name, again.folder / name)
                _without_clock(again.folder / "plan.json")
                again._work(recipe, prepared)
        return again

    def _work(self, recipe: Recipe, prepared: Any) -> None:
        """Let the recipe fill the folder; what it needs no more is deleted once the run is done."""
        recipe.work(prepared, self)
        seconds = round(self.elapsed, 1)
        self.set_status("done", recipe=recipe.name, seconds=seconds)
        self._tidy_up()
        self.log("done", seconds=seconds)

    def _tidy_up(self) -> None:
        self._ballast.unlink(missing_ok=True)
        shutil.rmtree(self.work_folder, ignore_errors=True)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Whatever happens meanwhile, `status.json` tells; a run that is done stays so."""
        try:
            yield
        except KeyboardInterrupt:
            if self.state == "done":
                raise
            self._stop("stopped", "stopped by the user")
            raise KeyboardInterrupt(str(self.folder)) from None
        except NeuroloomError as error:
            self._stop("failed", str(error))
            raise
        except (OSError, MemoryError, RuntimeError) as error:
            raise self._fail(error) from error
        except Exception as error:
            self._fail(error)
            raise

    def _fail(self, error: BaseException) -> RunError:
        self._stop("failed", in_words(error))
        return RunError(
            f"The run failed: {in_words(error)}. {self.folder}/status.json says so too."
        )

    def _stop(self, state: str, why: str) -> None:
        """Write the end even on a full disk: the ballast makes room; what is done stays done."""
        if self.state == "done":
            return
        with contextlib.suppress(OSError):
            self._ballast.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.log(state, error=why)
        with contextlib.suppress(OSError):
            self.set_status(state, error=why)

    @property
    def _ballast(self) -> Path:
        return self.folder / ".ballast"

    @property
    def _lock(self) -> Path:
        return self.folder / LOCK

    def is_busy(self) -> bool:
        """Tell whether a living process is writing this run."""
        return hold.is_taken(self._lock)

    def writer(self) -> str:
        """Return who writes this run, in words."""
        return f"process {self.status.get('pid', 'unknown')}"

    @property
    def work_folder(self) -> Path:
        """Half-done work (checkpoints, finished fits); gone once the run is done."""
        return self.folder / "work"

    @property
    def elapsed(self) -> float:
        """Seconds since this process began the run."""
        return time.monotonic() - self.began

    @property
    def status(self) -> dict[str, Any]:
        """The content of `status.json`."""
        return read_json(self.folder / "status.json")

    @property
    def state(self) -> str:
        """One of "running", "done", "failed" and "stopped"."""
        try:
            return self.status["state"]
        except (OSError, ValueError, KeyError):
            return "failed"

    @property
    def study(self) -> tuple[Recipe, Path]:
        """The recipe with its settings, and the data it was run on."""
        recipe, data = read_yaml(self.folder / "recipe.yaml")
        return recipe, at_home(data or ".")

    def reopened(self) -> tuple[Recipe, Path]:
        """Return `study`, for those who read the data again.

        Raises
        ------
        DataError
            If the data are gone, with the place where to say where they are.
        """
        recipe, data = self.study
        text = str(data)  # of an array in a file, FILE:ARRAY
        if not any(Path(part).exists() for part in (text, text.rpartition(":")[0] or text)):
            raise DataError(
                f"{data}: the data of this run are no longer there. If they were moved, write "
                f"their new place after `data:` in {self.folder / 'recipe.yaml'}."
            )
        return recipe, data

    @property
    def recipe(self) -> Recipe:
        """The recipe with its settings."""
        return self.study[0]

    @property
    def metrics(self) -> pd.DataFrame:
        """Tidy table: fold, seed, metric, value, low, high, baseline, chance."""
        return self._table("metrics.parquet")

    @property
    def predictions(self) -> pd.DataFrame:
        """One row an example, seed and model; every figure of the run is computed from it."""
        return self._table("predictions.parquet")

    def _table(self, name: str) -> pd.DataFrame:
        import pandas as pd

        if not (self.folder / name).is_file():
            raise RunError(f"{self.folder} has no {name}; its state is '{self.state}'.")
        return pd.read_parquet(self.folder / name)

    def set_status(self, state: str, **more: Any) -> None:
        """Replace `status.json`; what was known of the run and not restated is kept."""
        file = self.folder / "status.json"
        before = read_json(file) if file.is_file() else {"started": _now()}
        for gone in ("error", "pid"):
            before.pop(gone, None)
        write_json(file, before | {"state": state, "updated": _now()} | more)

    def write_dataset(self, facts: dict[str, Any]) -> None:
        """Write `dataset.json`; on resume and replay, refuse data that changed.

        Parameters
        ----------
        facts
            "files", name -> SHA-256, and what else there is to say of the data.

        Raises
        ------
        DataError
            Naming a file that changed, is gone or is new; nothing is written then.
        """
        file = self.folder / "dataset.json"
        if file.is_file():
            data_error_if_changed(read_json(file)["files"], facts["files"])
        write_json(file, facts)

    def log(self, event: str, **facts: Any) -> None:
        """Append a line to `log.jsonl` and tell whoever watches."""
        line = {"time": _now(), "event": event, **facts}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line, default=str) + "\n")
        self.tell(line)

    def tell(self, line: dict[str, Any]) -> None:
        """Tell whoever watches, without a line in the log."""
        if self._watch:
            self._watch(line)

    def telling(self, name: str) -> Callable[[int, int], None]:
        """Return what tells whoever watches how much of `name` is done: (done, total)."""

        def told(done: int, total: int) -> None:
            self.tell({"event": "progress", "name": name, "done": done, "total": total})

        return told

    def predict(
        self,
        *inputs: str | Path,
        out: str | Path | None = None,
        watch: Watcher | None = None,
        **options: Any,
    ) -> Any:
        """Apply the run's model to new data; `watch` is told of its progress."""
        self._watch = watch
        return self._ask("predict", [at_home(path) for path in inputs], _placed(out), **options)

    def evaluate(
        self,
        data: str | Path,
        out: str | Path | None = None,
        *,
        watch: Watcher | None = None,
        **options: Any,
    ) -> Any:
        """Score the run's model on other labelled data; `watch` is told of its progress."""
        self._watch = watch
        return self._ask("evaluate", at_home(data), _placed(out), **options)

    def explain(
        self, *inputs: str | Path, out: str | Path | None = None, watch: Watcher | None = None
    ) -> Any:
        """Show where the model looks: in the run's own data, or in new ones where it can.

        `watch` is told of its progress.
        """
        self._watch = watch
        if not inputs:
            self._require_writable()
            return self._ask("explain")
        verb = getattr(self.recipe, "explain", None)
        if verb is not None and "inputs" not in signature(verb).parameters:
            raise ConfigError(
                f"{self.recipe.name} explains its model on the run's own data only: give no files."
            )
        return self._ask("explain", [at_home(path) for path in inputs], _placed(out))

    def report(self) -> Path:
        """Write `report.html` anew and return its path."""
        self._require_writable()
        return self._ask("report")

    def _require_writable(self) -> None:
        """Refuse, before anything is computed, to write into a folder that is another's."""
        if refused := _refusal(self.folder):
            raise ConfigError(
                f"{self.folder} cannot be written ({refused}), and that is where it would go: copy "
                "the run to a folder of yours."
            )

    def _ask(self, verb: str, *arguments: Any, **options: Any) -> Any:
        recipe = self.recipe
        if not hasattr(recipe, verb):
            raise ConfigError(self._why_not(recipe, verb))
        return getattr(recipe, verb)(self, *arguments, **options)

    def _why_not(self, recipe: Recipe, verb: str) -> str:
        if verb == "explain" and hasattr(recipe, "predict"):
            told = f"explain is not offered for {recipe.name}."
            place = self.folder / "artifacts"
            if any(one.section == "where" for one in Shelf(place)):
                told += (
                    " What it shows of where its model looks was drawn with the run: see "
                    f"{self.folder / 'report.html'} and {place}."
                )
            return told
        return f"{recipe.name} measures or makes, it cannot {verb}."


def check_out(out: Path, recipe: Recipe | None = None) -> None:
    """Refuse an output folder that holds something or cannot be written.

    Raises
    ------
    ConfigError
        Naming the folder and what to do.
    """
    try:
        parent = next(place for place in (out, *out.absolute().parents) if place.exists())
        if not parent.is_dir():
            raise ConfigError(f"--out {out}: {parent} is a file; name a folder.")
        if out.is_dir() and not _is_empty(out):
            raise ConfigError(f"--out {out} is not empty.{_what_is_there(out, recipe)}")
        refused = _refusal(parent)
    except OSError as error:
        refused = str(error.strerror)
    if refused:
        raise ConfigError(f"--out {out} cannot be written ({refused}); choose another folder.")


def _refusal(folder: Path) -> str:
    """Return why a folder cannot be written; nothing where it can, or only room is lacking."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return "" if error.errno == errno.ENOSPC else str(error.strerror)


def _is_empty(out: Path) -> bool:
    """Tell whether a folder holds nothing but, perhaps, a lock."""
    return all(item.name == LOCK for item in out.iterdir())


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder, made if absent, so that nobody else writes it; one left empty is removed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = hold.take(folder / LOCK)
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {in_words(error)}.") from error
    if lock is None:
        raise ConfigError(f"{folder} is being written by another process: wait for it.")
    try:
        yield
    finally:
        lock.close()
        (folder / LOCK).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.rmdir()


def _what_is_there(out: Path, recipe: Recipe | None) -> str:
    try:
        there = Run(out)
        same = recipe is None or there.recipe.name == recipe.name
    except (NeuroloomError, OSError):
        return " Name an empty or a new folder."
    if there.is_busy():
        return f" A run is being written there by {there.writer()}."
    if same and there.state != "done":
        return f" It holds an unfinished run: `neuroloom resume {out}` goes on with it."
    return " It holds a finished run; name a new folder."


def environment() -> dict[str, Any]:
    """Return what a replay must know of this machine: versions, platform, cores."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return {
        "neuroloom": neuroloom.__version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "libraries": found,
    }


def beside(folder: Path, what: str) -> Path:
    """Return the folder `<folder>-<what>`, where what is made of a run goes by default."""
    return folder.with_name(f"{folder.name}-{what}")


def _by_name(folder: Path) -> Path:
    """Return a folder by its own name, where it was given as "." or ".."."""
    return Path(os.path.abspath(folder)) if folder.name in ("", "..") else folder


def _placed(out: str | Path | None) -> Path | None:
    return None if out is None else at_home(out)


def _without_clock(file: Path) -> None:
    """Take the time of fits out of their plans: a replay follows their steps, however long."""
    if file.is_file():
        write_json(file, _timeless(read_json(file)))


def _timeless(plan: dict[str, Any]) -> dict[str, Any]:
    """Return a plan, or several by name, whose `seconds` are not known.

    Examples
    --------
    >>> _timeless({"configurations": {"2d": {"steps": 5, "seconds": 3.0}}})
    {'configurations': {'2d': {'steps': 5, 'seconds': None}}}
    """
    inner = {key: _timeless(value) for key, value in plan.items() if isinstance(value, dict)}
    return plan | inner | ({"seconds": None} if "seconds" in plan else {})


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def data_error_if_changed(stored: dict[str, str], now: dict[str, str]) -> None:
    """Refuse to resume, replay or explain on data that changed since the run was planned."""
    for path, value in stored.items():
        if path not in now:
            raise DataError(f"{path} was used by this run and is gone from the data.")
        if now[path] != value:
            raise DataError(f"{path} changed since this run began: its content has another hash.")
    extra = sorted(set(now) - set(stored))
    if extra:
        raise DataError(
            f"{extra[0]} is new in the data since this run began: move it elsewhere, or narrow "
            "`include` in the run's recipe.yaml."
        )
