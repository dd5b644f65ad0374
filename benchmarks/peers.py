"""The peers' own environment, apart from ours: `.venv-peer`, made when it is missing."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PEER_VENV = ROOT / ".venv-peer"

# torchaudio has no CPU build that matches, and nothing that is timed uses it.
TORCHAUDIO_STUB = '''"""Stands in for torchaudio."""
import sys
import types

from torch import nn

__version__ = "2.13.0"


class Anything(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (nn.Module,), {})


for _name in ("functional", "transforms"):
    globals()[_name] = sys.modules[f"torchaudio.{_name}"] = Anything(f"torchaudio.{_name}")
'''

BRAINDECODE = "braindecode==1.8.1"
NEEDS = (
    "torch==2.13.0",
    "mne==1.13.2",
    "skorch",
    "mne-bids",
    "h5py",
    "wfdb",
    "pandas",
    "pydantic",
    "docstring_inheritance",
    "rotary_embedding_torch",
    "einops",
)
# These ask for packages that are not needed here, or that cannot be installed.
ALONE = ("torchinfo", "linear_attention_transformer", BRAINDECODE)


def environment(name: str, needs: tuple[str, ...]) -> Path:
    """Return the interpreter of `.venv-peer-NAME`, which holds `needs`, built if it is missing."""
    home = ROOT / f".venv-peer-{name}"
    python = home / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not (home / "complete").exists():
        print(f"building {home.name} (a few minutes, once)", file=sys.stderr)
        venv.create(home, with_pip=True)
        _pip(python, *needs)
        (home / "complete").touch()
    return python


def peer_python() -> Path:
    """Return the interpreter of the peers' environment, building it first if it is missing."""
    python = PEER_VENV / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not (PEER_VENV / "complete").exists():
        print(f"building {PEER_VENV.name} (a few minutes, once)", file=sys.stderr)
        venv.create(PEER_VENV, with_pip=True)
        _pip(python, *NEEDS)
        _pip(python, "--no-deps", *ALONE)
        _add_stub(python)
        (PEER_VENV / "complete").touch()
    return python


def _pip(python: Path, *arguments: str) -> None:
    subprocess.run([python, "-m", "pip", "install", "--quiet", *arguments], check=True)


def _add_stub(python: Path) -> None:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    found = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    package = Path(found.stdout.strip()) / "torchaudio"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").write_text(TORCHAUDIO_STUB, encoding="utf-8")
