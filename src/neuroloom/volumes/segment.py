"""`volumes.segment`: a trained, cross-validated segmenter from a folder of images and labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from neuroloom.learn.dense.study import DenseStudy

if TYPE_CHECKING:
    from neuroloom.io.cases import Case

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SIDES = {"left": "right", "lh": "rh"}
_SHORT = {"l": "r", "lt": "rt"}  # say a side beside another word, or where there is the other one


class Segment(DenseStudy):
    """Segment medical images: planned from the data, trained, cross-validated, honestly scored.

    Reads nnU-Net, MSD and BIDS data sets, folders of images and labels, or a table. Spacing,
    normalisation, patch and net follow nnU-Net's rules, then the time and the device there are.

    Examples
    --------
    >>> Segment(budget="10min", folds=0).model
    'dynunet'
    """

    name: ClassVar[str] = "volumes.segment"
    summary: ClassVar[str] = "segment CT, MR and other volumes or images, planned by itself"
    data_kind: ClassVar[str] = "MRI, CT, volumes, images"

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return painted volumes with masks, the fields of a short run, and what they are."""
        from neuroloom.volumes.story import demo

        return demo.balls(
            folder,
            {
                "budget": "60 steps",
                "folds": 2,
                "plan": {"patch": "16,16,16", "features": "4", "batch": "2"},
            },
        )

    def mirrored(self, case: Case, names: list[str]) -> list[int] | None:
        """Return the axis of a volume from left to right: bodies are alike along no other.

        None, which is all, of images. No axis where classes have a side: a mirror turns it into the
        other, along whichever axis, for patches are turned as well.
        """
        if has_sides(names):
            return []
        return None if len(case.shape) < 3 else [left_right(case.header.affine)]


def has_sides(names: Sequence[str]) -> bool:
    """Tell whether one of the classes is the left or the right one of a pair, which may be absent.

    What may be a side counts as one: a mirror that is left out costs little, a false one the class.

    Examples
    --------
    >>> has_sides(["LeftHippocampus"]), has_sides(["HippL"]), has_sides(["kidney_rt"])
    (True, True, True)
    >>> has_sides(["cleft", "bright", "cell", "L5", "vertebra L5"])
    False
    """
    words = [tuple(word.lower() for word in _WORD.findall(name)) for name in names]
    if {*_SIDES, *_SIDES.values()} & {word for own in words for word in own}:
        return True
    whole = {name.casefold() for name in names}
    run_on = {name.replace("left", "right") for name in whole if "left" in name}
    other = {tuple(_SHORT.get(word, word) for word in own) for own in words if {*own} & {*_SHORT}}
    return bool(run_on & whole or other & {*words}) or any(map(_beside, words))


def _beside(words: Sequence[str]) -> bool:
    """Tell whether a short word for a side stands beside another word, and before no number."""
    short = {*_SHORT, *_SHORT.values()}
    sides = [k for k, word in enumerate(words) if word in short]
    numbered = [k for k in sides if words[k + 1 : k + 2] and words[k + 1].isdigit()]
    others = [word for word in words if word not in short and not word.isdigit()]
    return bool(others) and len(sides) > len(numbered)


def left_right(affine: np.ndarray | None) -> int:
    """Return the axis of the array (z, y, x) that runs from left to right.

    Parameters
    ----------
    affine
        4x4, from the file's voxels (x, y, z) to RAS in mm; None: not known, the last axis is taken.

    Examples
    --------
    >>> left_right(np.eye(4)), left_right(np.eye(4)[[1, 0, 2, 3]])
    (2, 1)
    """
    if affine is None:
        return 2
    return 2 - int(np.abs(np.asarray(affine)[0, :3]).argmax())
