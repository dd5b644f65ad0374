"""DICOM series."""

from __future__ import annotations

from pathlib import Path


def is_series(folder: Path) -> bool:
    """Tell whether a folder holds DICOM files itself, from the first of its files."""
    for item in sorted(folder.iterdir())[:20]:
        if item.is_file() and not item.name.startswith("."):
            if item.suffix.lower() == ".dcm":
                return True
            with item.open("rb") as handle:
                if handle.read(132)[128:] == b"DICM":
                    return True
    return False
