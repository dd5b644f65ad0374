"""`python -m neuroloom.apps.studio.demo RECIPE FOLDER`: make a recipe's demo data, offline."""

from __future__ import annotations

import sys
from pathlib import Path

from neuroloom.core import registry
from neuroloom.core.errors import NeuroloomError
from neuroloom.core.files import write_json


def make(name: str, folder: Path) -> Path:
    """Write demo data below `folder` and, last, what they are to its `demo.json`."""
    recipe = registry.load("recipe", name)
    folder.mkdir(parents=True, exist_ok=True)
    data, fields, what = recipe.demo(folder, fetch=False)
    facts = {"data": Path(data).relative_to(folder).as_posix(), "fields": fields, "what": what}
    return write_json(folder / "demo.json", facts)


if __name__ == "__main__":
    try:
        make(sys.argv[1], Path(sys.argv[2]))
    except NeuroloomError as error:
        sys.exit(f"neuroloom: {error}")
