"""Every registered recipe: its settings through every door, and a tiny run through every verb.

A new recipe is covered once it has an entry in `SMALL`; without one a test fails.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pandas as pd
import pytest
from cyclopts import App

from neuroloom.apps.cli import jobs
from neuroloom.core import registry
from neuroloom.core.errors import ConfigError, DataError
from neuroloom.core.files import read_json, write_json
from neuroloom.core.recipe import (
    MOST_BASIC_FIELDS,
    Recipe,
    describe,
    from_yaml,
    read_yaml,
    to_yaml,
)
from neuroloom.core.run import Run
from neuroloom.learn.dense.study import DenseStudy
from neuroloom.learn.study import Study
from neuroloom.learn.training.fit import own_threads
from tests import animals, critters, eyes, grids, makers, networks, nights, regions, wired
from tests.conftest import drawing
from tests.pose.rig import rigs, scenes, test_recipe_calibrate
from tests.representation import shown

MODEL_FILES = ("model.safetensors", "baseline.safetensors", "card.md")
FILES = (
    "recipe.yaml", "dataset.json", "environment.json", "plan.json", "log.jsonl",
    "predictions.parquet", "metrics.json", "metrics.parquet", "audit.json", "model.safetensors",
    "baseline.safetensors", "card.md", "artifacts/index.json", "report.html", "status.json",
)  # fmt: skip
CLASS_METRICS = [
    "accuracy", "balanced_accuracy", "auc", "average_precision", "kappa", "log_loss", "ece",
]  # fmt: skip
EVENT_METRICS = [
    "f1", "precision", "recall", "f1_at_0.1", "f1_at_0.3", "f1_at_0.5", "density_error",
]  # fmt: skip


@dataclass(frozen=True)
class Small:
    """What a recipe can be tried on: data, fields of a quick run, and the keys of its metrics."""

    data: Callable[[Path], Path]
    fields: dict[str, Any]
    metrics: list[str]
    samples: dict[str, Any] = field(default_factory=dict)
    trains: bool = True
    predicts: bool = True


SMALL = {
    "pose.estimate": Small(
        critters.write_project,
        {"budget": "6 steps", "folds": 2, "plan": {"batch": "4", "widths": "8,8,8,8"}},
        [
            *("mean_error_px", "median_error_px", "rmse_px", "pck@5", "oks_map"),
            *(
                f"{metric}/{name}"
                for name in critters.NAMES
                for metric in ("mean_error_px", "median_error_px", "rmse_px", "pck@5")
            ),
            "expectation_slope",
        ],
        samples={"budget": "7 steps", "model": "mean-pose"},
    ),
    "signals.decode": Small(
        lambda folder: makers.write_runs(folder, subjects=2, runs=2),
        makers.FIELDS | {"model": "eegnet"},
        CLASS_METRICS,
        samples={"stop": 2.0, "band": (8.0, 30.0), "budget": "7 epochs", "model": "shallow"},
    ),
    "signals.detect": Small(
        lambda folder: nights.write_spindles(folder, subjects=3, seconds=60.0),
        nights.DETECT | {"window": 4.0, "budget": "12 steps"},
        EVENT_METRICS,
        samples={"band": (8.0, 30.0), "budget": "7 epochs", "model": "shallow", "threshold": 0.4},
    ),
    "signals.mvpa": Small(
        lambda folder: makers.write_runs(folder, runs=2, trials=12),
        {
            "models": ["riemann", "csp-lda"],
            "over": "whole",
            "start": 0.0,
            "stop": 1.0,
            "band": (4.0, 40.0),
            "permutations": 99,
        },
        [
            f"{name}{part}"
            for part in ("", "/riemann", "/csp-lda")
            for name in ("accuracy", "balanced_accuracy", "auc", "p")
        ],
        samples={
            "models": ["lda", "eegnet"],
            "splits": ["run", "time"],
            "stop": 2.0,
            "band": (8.0, 30.0),
            "budget": "7 epochs",
            "permutations": 199,
        },
        trains=False,
        predicts=False,
    ),
    "signals.artifacts": Small(
        lambda folder: (
            makers.write(
                makers.recording(3, trials=14, channels=("C3",)), folder / "one.edf"
            ).parent
        ),
        {"budget": "2 epochs", "copies": 2, "replace": "none", "seed": 1},
        [*CLASS_METRICS, "auc/0dB", "auc/6dB", "auc/12dB", "auc/20dB", "auc/from 6dB"],
        samples={
            "band": (8.0, 30.0),
            "budget": "7 epochs",
            "model": "artifact-mlp",
            "labels": "inject",
            "events": [],
            "threshold": None,
        },
    ),
    # It has no fitted baseline beside it, so `trains` (a model and a baseline) does not hold.
    "signals.pretrain": Small(
        lambda folder: makers.write_runs(folder, runs=3, trials=6),
        {"budget": "6 steps", "sources": 4, "bands": 2, "windows": 4, "seed": 1},
        ["explained_variance"],
        samples={
            "band": (8.0, 30.0),
            "budget": "7 epochs",
            "rate": 200.0,
            "window": 2.0,
        },
        trains=False,
    ),
    "signals.simulate": Small(
        lambda folder: None,
        {"sessions": 1, "trials": 4, "channels": ["C3", "C4", "Cz", "Fpz", "Oz", "Pz"]},
        ["lateralisation"],
        samples={"rate": 200.0},
        trains=False,
        predicts=False,
    ),
    "connectivity.causal": Small(
        lambda folder: networks.write_network(folder),
        {"surrogates": 4},
        [
            *("auc", "auc_group", "auc_transposed", "auc_symmetric", "orientation"),
            *("edges", "stability", "direction"),
        ],
        samples={"alpha": 0.1, "budget": "7 epochs"},
        trains=False,
        predicts=False,
    ),
    "connectivity.graphs": Small(
        lambda folder: wired.write_connectomes(folder),
        {"target": "diagnosis", "folds": 2, "budget": "2 epochs"},
        [*CLASS_METRICS, "auc/degree", "auc/site alone", "auc/within site"],
        samples={"budget": "7 epochs", "model": "gcn"},
    ),
    "microscopy.measure": Small(
        lambda folder: grids.write_fibres(folder),
        {"pixel_size": 0.1},
        ["gratio", "axon_diameter", "myelin_thickness"],
        samples={"nerve": "*_seg-nerve.*"},
        trains=False,
        predicts=False,
    ),
    "microscopy.segment": Small(
        lambda folder: grids.write_sections(folder),
        {
            "images": {"image": "raw_*.tif"},
            "labels": {"lines": "lines_*.png", "spots": "spots_*.png"},
            "split": "run",
            "budget": "4 steps",
            "plan": {"features": "4", "patch": "32,32"},
        },
        [
            *(
                f"{name}{part}"
                for name in ("dice", "nsd", "hd95", "volume_error")
                for part in ("", "/lines", "/spots")
            ),
            "error_auroc",
            "flag_auroc",
            "dice/copied neighbour",
            "dice/lines/copied neighbour",
            "dice/spots/copied neighbour",
        ],
        samples={"budget": "7 steps", "model": "unet", "values": {"big": 128.0}, "axis": 1},
    ),
    "microscopy.axon": Small(
        lambda folder: grids.write_nerve(folder),
        {
            "folds": 1,
            "margin": 4,
            "budget": "4 steps",
            "plan": {"features": "4", "patch": "32,32"},
        },
        [
            *(
                f"{name}{part}"
                for name in ("dice", "nsd", "hd95", "volume_error")
                for part in ("", "/myelin", "/axon")
            ),
            "error_auroc",
            "flag_auroc",
            "count_error",
        ],
        samples={"budget": "7 steps", "model": "unet", "values": {"big": 128.0}, "axis": 1},
    ),
    "microscopy.threshold": Small(
        lambda folder: grids.write_nuclei(folder),
        {},
        ["f1", "precision", "recall"],
        samples={"pipeline": "nuclei-otsu"},
        trains=False,
        predicts=False,
    ),
    "microscopy.curate": Small(
        lambda folder: grids.write_candidates(folder),
        {"second": "second", "regions": "regions", "marks": "marks.csv"},
        ["kept", "changed"],
        trains=False,
        predicts=False,
    ),
    "volumes.augment": Small(
        lambda folder: grids.write_blobs(folder, cases=2),
        {"transforms": ["flip", "rotate=8", "noise"], "copies": 1},
        ["label_dice"],
        samples={"transforms": ["motion", "gamma=0.2"]},
        trains=False,
        predicts=False,
    ),
    "signals.stage": Small(
        lambda folder: nights.write_nights(folder, subjects=3),
        nights.STAGE | {"budget": "2 epochs"},
        CLASS_METRICS,
        samples={
            "band": (8.0, 30.0),
            "budget": "7 epochs",
            "model": "shallow",
            "classes": ["W", "N1"],
        },
    ),
    "volumes.measures": Small(
        lambda folder: grids.write_predictions(folder),
        {"lesions": True, "pattern": "{subject}_{visit}"},
        [
            f"{name}{part}"
            for name in ("dice", "nsd", "hd95", "volume_error")
            for part in ("", "/1", "/2")
        ],
        samples={
            "metrics": ["DICE", "ASSD"],
            "classes": {"whole": "1,2", "core": "2"},
            "overlap": 0.25,
        },
        trains=False,
        predicts=False,
    ),
    "volumes.segment": Small(
        lambda folder: grids.write_nnunet(folder, cases=5),
        {
            "budget": "12 steps",
            "folds": 2,
            "plan": {"patch": "8,8,8", "features": "4", "batch": "2"},
        },
        [
            f"{name}{part}"
            for name in ("dice", "nsd", "hd95", "volume_error")
            for part in ("", "/big", "/small")
        ]
        + ["error_auroc", "flag_auroc"],
        samples={"budget": "7 steps", "model": "segresnet", "values": {"big": 128.0}},
    ),
    "volumes.radiomics": Small(
        lambda folder: regions.write_regions(folder, n=12),
        {"target": "grade", "families": ["stat", "cm"], "folds": 3},
        CLASS_METRICS,
        samples={
            "budget": "7 epochs",
            "model": "forest",
            "families": ["cm", "szm"],
            "modes": ["3D_avg", "2D_avg"],
            "filters": ["mean:3", "log:2"],
            "range": (-5.0, 80.0),
            "resample": (2.0, 1.0, 1.0),
        },
    ),
    "volumes.classify": Small(
        lambda folder: grids.write_slices(folder, slices=1),
        {"pattern": "{subject}_{slice}", "folds": 2, "budget": "2 epochs", "width": 4},
        CLASS_METRICS,
        samples={"budget": "7 epochs", "model": "vgg"},
    ),
    "volumes.regress": Small(
        lambda folder: grids.write_blobs(folder, cases=6),
        {"target": "label:volume", "folds": 2, "budget": "2 epochs", "width": 4},
        ["r2", "mae", "pearson"],
        samples={"budget": "7 epochs", "model": "vgg"},
    ),
    "eye.pupil": Small(
        lambda folder: eyes.write_scene(folder),
        {"overlay": False},
        ["confident", "diameter", "blinks_per_minute"],
        samples={"roi": [0, 8, 64, 48], "stimuli": [1.0, 2.5], "side": 96, "constriction": 0.2},
        trains=False,
        predicts=False,
    ),
    "eye.gaze": Small(
        lambda folder: eyes.write_scene(folder),
        {"focal": 204.8, "overlay": False},
        ["confident", "consistent", "residual_px"],
        samples={"roi": [0, 8, 64, 48], "side": 96},
        trains=False,
        predicts=False,
    ),
    "eye.train": Small(
        lambda folder: None,
        {"steps": 4, "judged": 8},
        ["dice", "centre_px", "blink_f1"],
        trains=False,
        predicts=False,
    ),
    "cognition.tasks": Small(
        lambda folder: None,
        {"trials": 60, "resamples": 4},
        ["accuracy"],
        samples={"dt": 40.0, "trials": 30, "fix": ["coherence=0.3"]},
        trains=False,
        predicts=False,
    ),
    "cognition.train": Small(
        lambda folder: None,
        {"units": 12, "dale": 0.75, "budget": "8 steps", "every": 4, "batch": 8, "judged": 40},
        ["accuracy", "worst"],
        samples={"budget": "7 steps", "judged": 50},
        trains=False,
    ),
    "pose.track": Small(
        lambda folder: animals.write_crossings(folder),
        {},
        ["idf1", "mota", "hota", "switches_per_1000"],
        samples={"format": "nwb"},
        trains=False,
        predicts=False,
    ),
    "pose.suggest": Small(
        lambda folder: animals.write_clip(folder),
        {"frames": 4},
        ["coverage"],
        samples={"weights": {"jump": 2.0, "length": 0.5}, "most": 50},
        trains=False,
        predicts=False,
    ),
    "representation.compare": Small(
        lambda folder: shown.write_rdms(folder),
        {"reference": ["it"], "resamples": 200, "permutations": 99},
        [
            *("similarity/model-noise", "similarity/model-truth"),
            *("by_subject/model-noise", "by_subject/model-truth"),
            *("ceiling_lower", "ceiling_upper"),
        ],
        samples={"resamples": 300, "permutations": 120},
        trains=False,
        predicts=False,
    ),
    "representation.extract": Small(
        lambda folder: shown.write_pictures(folder),
        {"model": "grid/resnet", "size": 32, "layers": ["body.1", "body.3"], "pool": "mean"},
        [f"{name}/{layer}" for name in ("active", "dimension") for layer in ("body.1", "body.3")],
        samples={"mask": "units.dmask.csv", "weights": "net.safetensors"},
        trains=False,
        predicts=False,
    ),
    "pose.triangulate": Small(
        lambda folder: rigs.write_views(folder),
        {"limbs": ["nose-head"]},
        ["reprojection_px", "reprojection_p95_px", "left_out_px", "left_out_p95_px"],
        samples={"smooth": 0.02, "cameras": ["cam0", "cam1"]},
        trains=False,
        predicts=False,
    ),
    "pose.calibrate": Small(
        lambda folder: test_recipe_calibrate.write_clips(folder),
        {"lens": "f k1 k2", "starts": 2},
        ["median_px", "mean_px", "p95_px", "held_out_px", "held_out_pose_px", "starts_apart_px"],
        samples={"frames": 50},
        trains=False,
        predicts=False,
    ),
    "pose.volumetric": Small(
        lambda folder: scenes.write_scene(folder),
        {"budget": "24 steps", "grid": 8, "batch": 2},
        [
            *("mean_error_mm", "median_error_mm", "mean_error_mm/centre_known", "com_error"),
            *("found", "expectation_slope"),
        ],
        samples={"budget": "7 steps", "grid": 16},
        trains=False,
    ),
    "volumes.synthesize": Small(
        lambda folder: grids.write_blobs(folder, cases=6),
        {"kind": "super-resolution", "folds": 2, "budget": "2 epochs", "width": 4},
        ["psnr", "ssim"],
        samples={"budget": "7 epochs", "model": "translator"},
    ),
}
RECIPES = registry.names("recipe")


def of(name: str) -> Any:
    """The recipe of that name."""
    return registry.load("recipe", name)


VALUES: dict[Any, Any] = {str: "C3", int: 3, float: 0.5, bool: True}


def value_for(annotation: Any) -> Any:
    """A value of the type that is no default."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in VALUES:
        return VALUES[annotation]
    if origin is Literal:
        return inner[-1]
    if origin is list:
        return [value_for(inner[0])] * 2
    if origin is tuple:
        return tuple(value_for(part) for part in inner)
    if origin is dict:
        return {"T1": "fists", "2": "feet"}
    return value_for(next(part for part in inner if part is not type(None)))


def words_for(name: str, value: Any) -> list[str]:
    """How a value is written on the command line."""
    flag = "--" + name.replace("_", "-")
    if value is True:
        return [flag]
    if isinstance(value, dict):
        return [word for key, item in value.items() for word in (f"{flag}.{key}", str(item))]
    if isinstance(value, list):
        return [word for item in value for word in (flag, str(item))]
    if isinstance(value, tuple):
        return [flag, *map(str, value)]
    return [flag, str(value)]


FIELDS = [(name, info) for name in RECIPES for info in describe(registry.load("recipe", name))]
IN_FAMILIES = [name for name in RECIPES if issubclass(of(name), Study) and of(name).family]


@pytest.fixture
def parsed(monkeypatch) -> Callable[..., Recipe]:
    """Return the recipe that words on the command line become."""

    def parse(name: str, *words: str) -> Recipe:
        seen = []
        monkeypatch.setattr(Recipe, "run", lambda self, data, out, watch: seen.append(self))
        monkeypatch.setattr(jobs, "announce", lambda *_, **__: None)
        app = App()
        app.default(jobs.run_command(name))
        data = ["data"] if jobs.recipe_of(name).needs_data else []
        app([*data, *words], exit_on_error=False, result_action="return_value")
        return seen[0]

    return parse


@pytest.mark.parametrize("name", RECIPES)
def test_it_can_be_tried_here(name):
    assert name in SMALL, f"add a Small('{name}') to tests/contract/test_recipes.py"


@pytest.mark.parametrize("name", RECIPES)
def test_it_has_few_basic_fields_and_short_helps(name):
    infos = describe(registry.load("recipe", name))
    assert sum(info.basic for info in infos) <= MOST_BASIC_FIELDS
    for info in infos:
        assert 5 < len(info.help) <= 100, info.name
        assert "\n" not in info.help


@pytest.mark.parametrize(("name", "info"), FIELDS, ids=[f"{n}-{i.name}" for n, i in FIELDS])
def test_a_field_is_the_same_through_command_line_and_yaml(name, info, parsed):
    value = SMALL[name].samples.get(info.name, value_for(info.type))
    recipe = parsed(name, *words_for(info.name, value))
    assert recipe == registry.load("recipe", name)(**{info.name: value})
    if not isinstance(value, str):  # of paths all folders are written out
        assert getattr(recipe, info.name) == value
    assert from_yaml(to_yaml(recipe, "here/"))[0] == recipe


@pytest.mark.parametrize("name", IN_FAMILIES)
def test_a_model_is_the_same_under_its_short_and_its_full_name(name):
    recipe = of(name)
    for model in registry.names("model", recipe.family):
        both = (model, f"{recipe.family}/{model}")
        short, full = (recipe(model=one, budget="6 steps") for one in both)
        assert short.settings() == full.settings()
        # A budget of steps is shared out among no folds: no data are looked at.
        assert short.options_of(short.find(model), None) == full.options_of(full.find(model), None)
        assert short.baseline("") == full.baseline("")
    if "models" in recipe.model_fields:
        names = registry.names("model", recipe.family)
        assert recipe(models=[f"{recipe.family}/{one}" for one in names]).models == names


@pytest.mark.parametrize("name", RECIPES)
def test_a_study_file_can_be_amended_on_the_command_line(name, parsed, tmp_path):
    study, recipe = tmp_path / "study.yaml", registry.load("recipe", name)
    kept = {"seeds": 2} if "seeds" in recipe.model_fields else {"include": ["a*"]}
    data = "there" if recipe.needs_data else None
    study.write_text(to_yaml(recipe(seed=3, **kept), data))
    assert parsed(str(study), "--seed", "9").settings() == kept | {"seed": 9}


def test_none_on_the_command_line_takes_back_what_a_study_file_gives(parsed, tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(to_yaml(registry.load("recipe", "signals.detect")(shortest=0.5), "there"))
    assert parsed(str(study), "--shortest", "none").settings() == {}


@pytest.mark.parametrize("name", [one for one in RECIPES if of(one).needs_data])
def test_data_that_are_misspelt_are_not_what_lies_around(name, tmp_path):
    (tmp_path / "session1").mkdir()
    said = "sesion1: there is no such file or folder. Did you mean 'session1'"
    with pytest.raises(DataError, match=re.escape(said)):
        of(name)(**SMALL[name].fields).prepare(tmp_path / "sesion1")


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """As in the fresh processes: bits are compared."""
    with own_threads(1):
        yield


@pytest.fixture(scope="module", params=RECIPES)
def small(request, tmp_path_factory, _figures) -> tuple[Run, Small]:
    """A finished tiny run of each recipe, with its figures."""
    given = SMALL[request.param]
    folder = tmp_path_factory.mktemp("small")
    recipe = registry.load("recipe", request.param)(**given.fields)
    with drawing(_figures):
        return recipe.run(given.data(folder / "data"), folder / "run"), given


# Recipes that are carried out, stopped and repeated by the same code as another one of the list.
LIKE_ANOTHER = ("signals.detect", "eye.gaze", "pose.triangulate")
of_each_kind = pytest.mark.parametrize(
    "small",
    [pytest.param(one, marks=pytest.mark.long) if one in LIKE_ANOTHER else one for one in RECIPES],
    indirect=True,
)

ANOTHER = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from neuroloom.apps.cli import main
for line in sys.stdin:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as said:
        code = main(json.loads(line))
    print(json.dumps([code, said.getvalue()]), flush=True)
"""


@pytest.fixture(scope="module")
def neuroloom() -> Iterator[Callable[..., None]]:
    """Return what carries out commands in another process: one for all, that trained nothing."""
    words = [sys.executable, "-c", ANOTHER]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, env=env, **pipes) as other:

        def command(*words: object) -> None:
            assert other.stdin
            assert other.stdout
            print(json.dumps(list(map(str, words))), file=other.stdin, flush=True)
            code, said = json.loads(other.stdout.readline())
            assert code == 0, said

        yield command
        assert other.stdin
        other.stdin.close()


def test_every_file_of_the_folder_is_there(small):
    run, given = small
    wanted = [name for name in FILES if given.trains or name not in MODEL_FILES]
    assert [name for name in wanted if not (run.folder / name).is_file()] == []
    assert not (run.folder / "work").exists()
    assert not list(run.folder.rglob(".*"))
    assert run.state == "done"
    for row in read_json(run.folder / "artifacts/index.json"):
        assert (run.folder / "artifacts" / row["file"]).is_file()


def test_what_a_run_would_do_is_said_beforehand(small):
    recipe, data = read_yaml(small[0].folder / "recipe.yaml")
    if not isinstance(recipe, Study):
        return
    rows = recipe.outline(recipe.prepare(Path(data or "")))
    assert all(isinstance(word, str) for row in rows for word in row)
    said = {what for what, _, _ in rows}
    assert {"examples", "subjects", "model"} <= said
    if isinstance(recipe, DenseStudy):
        assert {"patch", "spacing", "features"} <= said


def test_new_data_are_not_narrowed_by_what_the_run_included(small):
    run, given = small
    recipe, data = read_yaml(run.folder / "recipe.yaml")
    if not (isinstance(recipe, Study) and given.trains and hasattr(recipe, "include")):
        return
    facts = recipe.load_model(run).facts
    narrow = recipe.model_copy(update={"include": ["no file is called so"]})
    whole, read = (len(one.read_like(facts, Path(data or ""), [])) for one in (recipe, narrow))
    assert read == whole > 0


def test_each_metric_has_five_numbers(small):
    run, given = small
    metrics = read_json(run.folder / "metrics.json")
    assert list(metrics) == given.metrics
    for name, entry in metrics.items():
        assert list(entry) == ["value", "low", "high", "baseline", "chance"]
        if entry["low"] is not None:
            assert entry["low"] <= entry["value"] <= entry["high"], name


def test_the_tidy_table_names_fold_seed_metric_and_value(small):
    run, given = small
    columns = {"fold", "seed", "metric", "value", "low", "high", "baseline", "chance"}
    assert columns <= set(run.metrics)
    assert set(run.metrics["metric"]) == set(given.metrics)


def test_the_log_is_json_lines_from_audit_to_done(small):
    run, _ = small
    events = [json.loads(line)["event"] for line in (run.folder / "log.jsonl").open()]
    assert {"audit", "plan", "fitted", "scored", "reported"} <= set(events)
    assert events[-1] == "done"


def test_the_run_can_be_read_again(small):
    run, given = small
    assert Run(run.folder).recipe == type(run.recipe)(**given.fields)


def test_no_file_tells_where_the_data_lie(small):
    run, _ = small
    if not run.recipe.needs_data:
        return
    place = str(run.study[1].parent)
    private = [p for p in run.folder.rglob("*") if p.is_file() and p.name != "recipe.yaml"]
    assert [p.name for p in private if place.encode() in p.read_bytes()] == []


def test_another_process_predicts_the_same(small, neuroloom, tmp_path):
    run, given = small
    if not given.predicts:
        with pytest.raises(ConfigError, match="cannot predict"):
            run.predict(run.study[1])
        return
    data = run.study[1]
    neuroloom("predict", run.folder, data, "--out", tmp_path / "p")
    stored = pd.read_parquet(tmp_path / "p/predictions.parquet")
    pd.testing.assert_frame_equal(run.predict(data), stored, check_dtype=False, rtol=1e-6)


@of_each_kind
def test_replay_gives_the_same_bytes(small, tmp_path):
    run, _ = small
    again = run.replay(tmp_path / "again")
    for name in ("metrics.json", "predictions.parquet", "plan.json", "audit.json"):
        assert (again.folder / name).read_bytes() == (run.folder / name).read_bytes(), name


def test_data_that_changed_are_not_replayed(small, tmp_path):
    other = shutil.copytree(small[0].folder, tmp_path / "other")
    facts = read_json(other / "dataset.json")
    if not facts["files"]:
        return
    facts["files"][next(iter(facts["files"]))] = "of another content"
    write_json(other / "dataset.json", facts)
    with pytest.raises(DataError, match="changed since this run began"):
        Run(other).replay(tmp_path / "again")
    assert not (tmp_path / "again" / "audit.json").exists(), "refused before anything is written"


@of_each_kind
def test_resume_after_a_cut_gives_the_same_bytes(small, tmp_path, monkeypatch):
    run, _ = small
    recipe, data = run.study
    with monkeypatch.context() as patch:
        patch.setattr(type(recipe), "illustrate", _pull_the_plug)
        with pytest.raises(KeyboardInterrupt):
            recipe.run(data if recipe.needs_data else None, tmp_path / "cut")
    assert Run(tmp_path / "cut").state == "stopped"
    again = Run(tmp_path / "cut").resume()
    for name in ("metrics.json", "predictions.parquet", "model.safetensors"):
        if (run.folder / name).is_file():
            assert (again.folder / name).read_bytes() == (run.folder / name).read_bytes(), name


def _pull_the_plug(*_: Any) -> None:
    raise KeyboardInterrupt


def test_the_folder_of_a_run_is_not_overwritten(small):
    run, _ = small
    recipe, data = run.study
    with pytest.raises(ConfigError, match="holds a finished run"):
        recipe.run(data if recipe.needs_data else None, run.folder)
