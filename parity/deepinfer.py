"""DeepInfer: pick a model, drop a scan on it, see the mask; no code, nothing from the internet."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from parity import hippocampus
from parity.doors import Door, door, neuroloom
from parity.harness import Check
from parity.studies import scratch

TOOL = "DeepInfer"
LEARNT, SHOWN = 24, 4
DATA = f"MSD hippocampus: {LEARNT} cases to learn from, {SHOWN} others dropped on the model"
FIELDS = {
    "budget": "300 steps", "folds": 0, "plan": {"patch": "32,48,32", "features": "8", "batch": "2"},
}  # fmt: skip


@cache
def trained(data: Path) -> tuple[Door, str]:
    """Train a model through the studio; returns the studio and the model's name."""
    where = door(data)
    cases = hippocampus.some(data, tuple(hippocampus.fold(data, 1)[:LEARNT]))
    for half in ("images", "labels"):
        for file in sorted((cases / half).iterdir()):
            target = where.folder / "hippocampus" / half / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    return where, str(where.run("volumes.segment", "hippocampus", **FIELDS)["id"])


def scans(data: Path) -> list[Path]:
    """Return scans that the model has not seen."""
    names = hippocampus.fold(data, 0)[:SHOWN]
    return [hippocampus.folder(data) / "images" / f"{name}.nii.gz" for name in names]


def opened(file: Path) -> Any:
    """Return an image as nibabel reads it."""
    import nibabel

    return nibabel.load(file)


def mask_of(folder: Path) -> Any:
    """Return the mask that a prediction left."""
    return opened(sorted(folder.rglob("*.nii*"))[0])


@cache
def dropped(data: Path) -> list[tuple[Path, Any]]:
    """Drop each scan on the model; returns it with its mask."""
    where, model = trained(data)
    return [(file, mask_of(where.predict(model, where.bring(file)))) for file in scans(data)]


def voxels_unlike_the_command(data: Path) -> float:
    """Return in how many voxels the mask of a dropped scan is not that of `neuroloom predict`."""
    where, model = trained(data)
    differ = 0
    for k, (file, mask) in enumerate(dropped(data)):
        out = scratch() / f"command-{k}"
        neuroloom("predict", str(where.folder / "runs" / model), str(file), "--out", str(out))
        theirs = mask_of(out)
        differ += int((np.asarray(mask.dataobj) != np.asarray(theirs.dataobj)).sum())
        differ += int(not np.array_equal(mask.affine, theirs.affine))
    return float(differ)


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Return the Dice of two masks, of what is not background."""
    return float(2 * ((first > 0) & (second > 0)).sum() / ((first > 0).sum() + (second > 0).sum()))


def dice_with_the_truth(data: Path) -> float:
    """Return the mean Dice of the dropped scans' masks with those that people drew."""
    found = []
    for file, mask in dropped(data):
        truth = opened(file.parents[1] / "labels" / file.name)
        found.append(dice(np.asarray(mask.dataobj), np.asarray(truth.dataobj)))
    return float(np.mean(found))


def dice_when_turned(data: Path) -> float:
    """Return the least Dice between a scan's mask and that of the same scan stored another way."""
    import nibabel

    where, model = trained(data)
    worst = 1.0
    for file, mask in dropped(data)[:2]:
        image = opened(file)
        turned = image.as_reoriented(np.array([[1, -1], [0, 1], [2, 1]]))
        other = scratch() / f"turned-{file.name.removesuffix('.gz')}"
        nibabel.save(turned, other)
        back = mask_of(where.predict(model, where.bring(other)))
        worst = min(worst, dice(np.asarray(canonical(mask)), np.asarray(canonical(back))))
    return worst


def pixels_painted_wrongly(data: Path) -> float:
    """Return how many pixels of the viewer's overlay do not agree with the mask, over one scan."""
    where, model = trained(data)
    made = where.predict(model, where.bring(scans(data)[0], "overlay"))
    mask = mask_of(made)
    path = f"predictions/{made.name}/{Path(mask.get_filename()).relative_to(made).as_posix()}"
    scan = "uploads/overlay/" + scans(data)[0].name
    head = where.ask("view/volume", path=scan)
    wrong, shape = 0, head["shape"]
    values = np.asarray(canonical(mask))
    for z in range(0, shape[2], 5):
        asked = {"path": scan, "axis": "z", "index": z, "low": 0, "high": 1e9}
        plain = picture(where.get("view/volume/window", **asked))
        over = picture(where.get("view/volume/window", **asked, overlay=path, opacity=1))
        painted = (over != plain).any(-1)
        wrong += int((painted != (values[:, ::-1, z].T > 0)).sum())
    return float(wrong)


def canonical(mask: Any) -> Any:
    """Return the mask's voxels with x to the right, y to the front, z up."""
    import nibabel

    return nibabel.as_closest_canonical(mask).dataobj


def picture(content: bytes) -> np.ndarray:
    """Return a PNG as (row, column, 3)."""
    from PIL import Image

    return np.asarray(Image.open(BytesIO(content)).convert("RGB"))


def forms_unlike_the_command(data: Path) -> float:
    """Return how many settings of all recipes differ between form and command line."""
    where, wrong = door(data), 0
    for line in where.ask("recipes"):
        form = {field["name"].replace("_", "-") for field in
                where.ask(f"recipes/{line['name']}")["fields"]}  # fmt: skip
        said = neuroloom("run", line["name"], "--help")
        wrong += sum(f"--{name}" not in said for name in form)
    return float(wrong)


CHECKS = [
    Check(
        TOOL, "voxels in which a dropped scan's mask differs from that of `neuroloom predict`",
        "== 0", voxels_unlike_the_command, DATA,
    ),
    Check(
        TOOL, "Dice of dropped scans' masks with people's (300 steps of a small net)", ">= 0.8",
        dice_with_the_truth, DATA,
    ),
    Check(
        TOOL, "least Dice between a scan's mask and that of the same scan stored flipped, as .nii",
        ">= 0.99", dice_when_turned, DATA,
    ),
    Check(
        TOOL, "pixels of the viewer's overlay that do not agree with the mask's voxels", "== 0",
        pixels_painted_wrongly, DATA,
    ),
    Check(
        TOOL, "settings of all recipes that a form has and the command line has not", "== 0",
        forms_unlike_the_command,
    ),
]  # fmt: skip
