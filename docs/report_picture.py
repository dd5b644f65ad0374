"""Renders `_static/report.png`: the top of a report on simulated data (`make picture`)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from neuroloom.core.errors import RunError
from neuroloom.signals import Decode
from neuroloom.signals.simulate import write_demo

PICTURE = Path(__file__).resolve().parent / "_static" / "report.png"
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars",
)  # fmt: skip


def main(budget: str = "5min") -> None:
    """Simulate, decode, and take the picture."""
    with tempfile.TemporaryDirectory() as folder:
        recordings = Path(folder) / "recordings"
        write_demo(recordings)
        run = Decode(
            events={"left": "left hand", "right": "right hand"},
            start=1.0,
            stop=4.0,
            split="session",
            budget=budget,
        ).run(recordings, out=Path(folder) / "run")
        take(run.folder / "report.html", PICTURE, Path(folder) / "browser")


def take(page: Path, picture: Path, profile: Path, width: int = 1160, height: int = 900) -> None:
    """Take a picture of the top of `page` with headless Chromium.

    Raises
    ------
    RunError
        If there is no Chromium, or it drew nothing.
    """
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        raise RunError("There is no chromium; install it (Debian: apt-get install chromium).")
    size = (f"--window-size={width},{height}", f"--user-data-dir={profile}")
    picture.parent.mkdir(parents=True, exist_ok=True)
    command = [browser, *QUIET, *size, f"--screenshot={picture}", page.resolve().as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode or not picture.is_file():
        raise RunError(f"chromium drew nothing: {done.stderr[-300:]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
