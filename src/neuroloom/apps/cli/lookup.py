"""`recipes`, `describe`, `models`, `tools`, `doctor`: what there is, and whether it works here."""

from __future__ import annotations

import textwrap
from typing import Annotated, Any

from cyclopts import Parameter

from neuroloom.apps.cli.show import print_table
from neuroloom.core import registry
from neuroloom.core.errors import ConfigError
from neuroloom.core.recipe import FieldInfo
from neuroloom.core.recipe import describe as describe_fields

Words = Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")]
Switch = Annotated[bool | None, Parameter(negative="--offline")]


LEARNS = {"classification": "classes", "regression": "numbers", "dense": "samples",
          "segmentation": "voxels", "survival": "times", "synthesis": "images",
          "pose": "keypoints"}  # fmt: skip


def recipes(*, data: str | None = None) -> int:
    """List the jobs that neuroloom does.

    Parameters
    ----------
    data
        Only those for this kind of data, such as EEG.
    """
    from neuroloom.catalogue.words import matches, wanted

    rows = [("recipe", "data", "what it does")]
    for name in registry.names("recipe"):
        recipe = registry.load("recipe", name)
        if data is None or (wanted(data) and matches(data, f"{name}; {recipe.data_kind}")):
            rows.append((name, recipe.data_kind, recipe.summary))
    if len(rows) == 1:
        raise ConfigError(f"No recipe reads {data}. `neuroloom recipes` lists all.")
    print_table(rows)
    return 0


def describe(recipe: str, /) -> int:
    """Show a recipe's settings.

    Parameters
    ----------
    recipe
        Its name.
    """
    cls = registry.load("recipe", recipe)
    print(f"{recipe}: {cls.summary} ({cls.data_kind})\n")
    for info in describe_fields(cls):
        print(_field(info))
    print("\n* what most people set; all are options of `neuroloom run` and lines of a study file.")
    return 0


def _field(info: FieldInfo) -> str:
    said = [info.unit] if info.unit else []
    said += ["needed"] if info.required else []
    if info.default not in (None, [], {}):
        said.append(f"default {info.default}")
    said += [f"one of {', '.join(info.choices)}"] if info.choices else []
    mark, indent = "*" if info.basic else " ", " " * 17
    words = f"{info.help} ({'; '.join(said)})" if said else info.help
    text = textwrap.fill(words, 96, initial_indent=indent, subsequent_indent=indent)
    return f"{mark} {info.name:14} {text.lstrip()}"


def models(name: str | None = None, /) -> int:
    """List the models behind --model.

    Parameters
    ----------
    name
        Show this one only.
    """
    rows = [("model", "kind", "learns", "what it is", "source")]
    for model_name in [name] if name else registry.names("model"):
        model = registry.load("model", model_name)
        kind = "net" if model.is_net else "estimator"
        learns = ", ".join(LEARNS[task] for task in model.tasks)
        rows.append((model_name, kind, learns, model.summary, model.source))
    print_table(rows)
    return 0


def tools(
    text: Words = None,
    /,
    *,
    area: str | None = None,
    data: str | None = None,
    task: str | None = None,
    model: str | None = None,
    interface: str | None = None,
    online: Switch = None,
    licence: str | None = None,
    upkeep: str | None = None,
    like: str | None = None,
) -> int:
    """Search the 72 tools of the review, and see what does their job here.

    Parameters
    ----------
    text
        Words to look for anywhere.
    area
        Words that the tool's area must hold, such as EEG; so for the next six.
    data
        Kind of data.
    task
        What the tool is for.
    model
        Kind of model.
    interface
        Python, GUI, MATLAB, …
    licence
        MIT, GPL, …
    upkeep
        How alive it is.
    online
        Tools that work while data arrive (--offline: those that do not).
    like
        Print the command that does what this tool does.
    """
    from neuroloom.catalogue import search as catalogue

    if like:
        print(catalogue.like(like))
        return 0
    found = catalogue.search(
        " ".join(text) if text else None, area=area, data=data, task=task, model=model,
        interface=interface, online=online, licence=licence, upkeep=upkeep,
    )  # fmt: skip
    if not found:
        raise ConfigError("No tool fits. Use fewer words, or `neuroloom tools` for all 72.")
    rows: list[tuple[str, ...]] = [("tool", "data", "task", "upkeep", "here", "parity")]
    rows += [
        (*_short(t.name, t.data, t.task), t.maintenance, " ".join(t.recipes), t.parity)
        for t in found
    ]
    print_table(rows)
    return 0


def _short(*cells: str) -> tuple[str, ...]:
    return tuple(textwrap.shorten(cell, 34, placeholder="…") for cell in cells)


def doctor() -> int:
    """Check this installation: versions, cores, memory, what is missing."""
    from neuroloom.core.run import environment

    facts: dict[str, Any] = environment()
    libraries = facts.pop("libraries")
    rows = [(str(name), str(value)) for name, value in facts.items()]
    rows += [
        (name, libraries.get(name, "missing")) for name in dict.fromkeys(sum(NEEDS.values(), ()))
    ]
    print_table(rows)
    missing = {extra: [n for n in names if n not in libraries] for extra, names in NEEDS.items()}
    said = [_state(extra, names) for extra, names in missing.items()]
    if all(missing.values()):
        raise ConfigError(" ".join(said))
    print("\n" + "\n".join(said))
    return 0


def _state(extra: str, missing: list[str]) -> str:
    """Say whether what an extra brings is here, or how it is got."""
    if not missing:
        return f"All that {extra} {'need' if extra.endswith('s') else 'needs'} is here."
    return (
        f"For {extra}, {', '.join(missing)} not installed: "
        f"pip install 'neuroloom[{extra}]' brings them."
    )


# What the extras of pyproject.toml bring.
LEARN = ("captum", "lightning-fabric", "matplotlib", "safetensors", "scikit-learn", "scipy",
         "torch")  # fmt: skip
IMAGES = (*LEARN, "einops", "h5py", "highdicom", "imagecodecs", "monai", "nibabel", "pillow",
          "pydicom", "scikit-image", "SimpleITK", "tifffile", "zarr")  # fmt: skip
VIDEO = (*LEARN, "av", "h5py", "pillow", "sleap-io", "tables")
NEEDS = {
    "signals": (*LEARN, "edfio", "mne", "mne-bids", "pooch", "pyriemann", "pyxdf"),
    "volumes": (*IMAGES, "lifelines"),
    "microscopy": (*IMAGES, "openpyxl"),
    "pose": (*VIDEO, "ndx-pose", "opencv-python-headless", "pynwb", "scikit-image"),
    "eye": VIDEO,
    "connectivity": (*LEARN, "nibabel", "nilearn", "torch-geometric"),
    "cognition": (*LEARN, "gymnasium"),
    "representation": (*LEARN, "h5py", "onnxruntime", "pillow"),
    "studio": (*LEARN, "nicegui"),
}
