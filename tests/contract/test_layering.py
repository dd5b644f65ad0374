"""The law of imports, read from the code's own syntax trees.

`core <- io, nets <- learn <- domains <- apps`: imports point left only, domains never import each
other, and heavy libraries wait inside functions so that a command starts at once.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "neuroloom"
FILES = sorted(SOURCE.rglob("*.py"))

MAY_IMPORT = {
    "core": {"core"},
    "io": {"core", "io"},
    "nets": {"core", "nets"},
    "learn": {"core", "io", "nets", "learn"},
    "catalogue": {"core", "catalogue"},
    "apps": {"core", "io", "nets", "learn", "catalogue", "apps"},
}
SHARED = {"core", "io", "nets", "learn"}  # what every domain may import besides itself

HEAVY = {
    "captum", "lightning_fabric", "matplotlib", "mne", "mne_bids", "pyriemann", "scipy", "sklearn",
    "torch",
}  # fmt: skip
TORCH_AT_TOP = {
    "cognition/answers.py",
    "cognition/declare.py",
    "cognition/environment.py",
    "cognition/learning/mixture.py",
    "cognition/learning/player.py",
    "cognition/learning/policy.py",
    "cognition/learning/session.py",
    "cognition/sequences.py",
    "cognition/task.py",
    "cognition/timing.py",
    "cognition/wrappers.py",
    "eye/nets.py",
    "eye/training.py",
    "learn/dense/data/bank.py",
    "learn/dense/training/module.py",
    "learn/dense/nets/conditioning.py",
    "learn/dense/nets/losses.py",
    "learn/dense/nets/rare_losses.py",
    "learn/grids/modules.py",
    "learn/training/fit.py",
    "learn/training/muon.py",
    "learn/training/learner.py",
    "learn/training/augment.py",
    "learn/training/modules.py",
}
TORCH_FOLDERS = ("cognition/library/", "eye/render/", "nets/", "learn/dense/augment/")
NEVER = {"torchvision", "torchaudio", "pickle", "dill", "joblib"}


@dataclass(frozen=True)
class Import:
    """One import statement: what it names and whether it runs when its file is imported."""

    name: str
    line: int
    at_top: bool


def imports(tree: ast.AST, *, at_top: bool = True) -> Iterator[Import]:
    """Yield the imports of a module; those in functions and under TYPE_CHECKING wait."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, at_top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (
                Import(f"{node.module}.{alias.name}", node.lineno, at_top) for alias in node.names
            )
        else:
            lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (
                isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            )
            yield from imports(node, at_top=at_top and not lazy)


def layer(name: str) -> str:
    """Return the folder under neuroloom of a dotted name; "" for the package itself."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and (SOURCE / parts[1]).is_dir() else ""


def breaches(path: str, code: str) -> list[str]:
    """Return what `code`, standing at `path` under src/neuroloom, does against the law."""
    home = path.split("/")[0] if "/" in path else ""
    return [
        f"{path}:{found.line}: {why}"
        for found in imports(ast.parse(code))
        if (why := _breach(path, home, found))
    ]


def _breach(path: str, home: str, found: Import) -> str:
    package = found.name.split(".")[0]
    if package in NEVER:
        return f"{package} is never imported"
    if package in HEAVY and found.at_top and not _may_stand_at_top(path, package):
        return f"import {package} inside the function that needs it"
    target = layer(found.name) if package == "neuroloom" else ""
    if home and target and target not in MAY_IMPORT.get(home, SHARED | {home}):
        return f"{home} must not import {target} ({found.name})"
    return ""


def _may_stand_at_top(path: str, package: str) -> bool:
    at_home = path in TORCH_AT_TOP or any(folder in path for folder in TORCH_FOLDERS)
    return package == "torch" and at_home


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(SOURCE).as_posix())
def test_law_of_imports(file: Path) -> None:
    found = breaches(file.relative_to(SOURCE).as_posix(), file.read_text(encoding="utf-8"))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("core/split.py", "from neuroloom.learn import fit"),
        ("io/recordings/formats/edf.py", "import neuroloom.signals.decode"),
        ("learn/training/fit.py", "def f():\n    from neuroloom.signals import steps"),
        ("signals/decode.py", "from neuroloom.volumes import data"),
        ("apps/cli/main.py", "from neuroloom.signals import Decode"),
        ("signals/decode.py", "from neuroloom.apps.cli import main"),
        ("signals/decode.py", "import torch"),
        ("core/report.py", "if True:\n    import matplotlib.pyplot as plt"),
        ("signals/nets/eegnet.py", "def f():\n    import torchvision"),
        ("learn/training/fit.py", "import pickle"),
    ],
)
def test_a_breach_is_seen(path: str, code: str) -> None:
    if "volumes" in code and not (SOURCE / "volumes").is_dir():
        pytest.skip("there is no second domain yet")
    assert breaches(path, code)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("signals/decode.py", "from neuroloom.learn import fit\nfrom neuroloom.io import read"),
        ("signals/nets/eegnet.py", "import torch\nfrom torch import nn"),
        ("core/dataset.py", "def f():\n    import scipy.signal"),
        ("core/dataset.py", "if TYPE_CHECKING:\n    import torch"),
        ("apps/cli/main.py", "from neuroloom.catalogue import search"),
    ],
)
def test_what_is_lawful_passes(path: str, code: str) -> None:
    assert not breaches(path, code)
