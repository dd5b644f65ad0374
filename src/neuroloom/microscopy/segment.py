"""`microscopy.segment`: a trained segmenter of electron and light microscopy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from neuroloom.core.errors import ConfigError
from neuroloom.core.recipe import setting
from neuroloom.core.split import Fold, default_unit, stated_fold
from neuroloom.learn.dense.study import DenseStudy

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.dataset import Dataset
    from neuroloom.core.run import Run
    from neuroloom.learn.model import Model
    from neuroloom.learn.study import Prepared
    from neuroloom.learn.training.crossfit import Fitted

# Times as large as they are, at which images are looked at: another animal's things are larger.
SIZES = (0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.4, 1.7)


class Segment(DenseStudy):
    """Segment microscopy: membranes, mitochondria, nuclei, cells; sections, stacks, single images.

    One image is enough: it is cut into strips, and the net is judged on strips that it has not
    seen. Pixels are made as coarse as the labels bear, patches are turned and mirrored every way,
    and predictions are the mean over eight views. Labels that number objects (nuclei, cells) are
    learnt as interior and rim, brought to one size, and found again one by one. Where they are
    classes, an image is looked at at the size at which things are as thick as those learnt.

    Examples
    --------
    >>> Segment(budget="5min", split="space", folds=1).views
    'one'
    """

    name: ClassVar[str] = "microscopy.segment"
    summary: ClassVar[str] = "segment electron and light microscopy, from one image on"
    data_kind: ClassVar[str] = "microscopy, images"
    guesses_sizes: ClassVar[bool] = True
    volumes_are_usual: ClassVar[bool] = False  # images differ in size

    split: Literal["subject", "session", "run", "space", "random"] | None = setting(  # type: ignore[assignment]
        None, "what is held out: whole subjects or sections (run), or strips of each image (space)",
        basic=True,
    )  # fmt: skip
    target: Literal["auto", "semantic", "instances"] = setting(
        "auto", "classes of pixels, or numbered objects; auto: as the labels look", basic=True
    )
    share: float = setting(
        1 / 3, "share of every image that is held out, for split=space and folds=1", gt=0, lt=1
    )
    margin: int | None = setting(
        None, "pixels left out beside a held-out strip; default: half a patch", ge=0
    )
    axis: int | None = setting(
        None,
        "axis along which strips follow one another; default: the longest of all images",
        ge=0,
        le=2,
    )
    slab: int = setting(1, "neighbouring slices that a 2-D net sees of a stack; odd", ge=1, le=15)
    varied: bool = setting(
        False, "new images are of other animals, stains or microscopes: train on stronger changes"
    )
    sizes: Literal["found", "kept"] = setting(
        "found", "2-D nets look at an image at the size at which they know it best, or as it is"
    )
    detail: float = setting(
        0.945, "Dice that labels must keep when pixels are made coarser; 1: pixels stay", gt=0, le=1
    )
    diameter: float | None = setting(
        None, "of objects, in pixels; default: what the labels and each image tell", gt=0
    )
    pixel_size: float | None = setting(
        None, "size of a pixel of all images; default: as the files say", unit="um", gt=0
    )

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return painted sections with masks, the fields of a short run, and what they are."""
        from neuroloom.microscopy.story import demo

        return demo.sections(
            folder,
            {
                "images": {"image": "raw_*.tif"},
                "labels": {"lines": "lines_*.png", "spots": "spots_*.png"},
                "split": "run",
                "folds": 2,
                "budget": "60 steps",
                "plan": {"features": "4", "patch": "32,32"},
            },
        )

    def options(self) -> dict[str, Any]:
        """Return what is wished of a net: views of tissue, and pixels as coarse as labels bear."""
        if self.slab % 2 == 0:
            raise ConfigError(f"slab is {self.slab}, expected an odd number of slices.")
        wishes = super().options()
        if self.augment is None:
            usual = "tissue-strong" if self.varied else "tissue"
            wishes["augment"] = ("objects" if self.target == "instances" else usual,)
        sizes = SIZES if self.sizes == "found" and self.target != "instances" else ()
        turns = self.mirror is None and (self.augment is None or _learns_turns(self.augment))
        own = {"slab": self.slab, "turns": turns, "sizes": sizes}
        return wishes | own | {"tissue": 1.0 if self.target == "instances" else self.detail}

    def flat_settings(self) -> list[str]:
        """Return the names of settings that only a 2-D net obeys, where they are set."""
        return super().flat_settings() + ["slab"] * (self.slab > 1)

    def prepare(self, data: Path) -> Prepared:
        """Read, check, audit and split; images of one piece of tissue are cut into strips."""
        if self.split == "space" and self.test:
            raise ConfigError(
                "split=space holds out a strip of every image, and `test` names whole images: "
                "leave one of them out."
            )
        if self.split is None and self.folds != 0 and not self.test and self._single(data):
            return self.model_copy(update={"split": "space"}).prepare(data)
        prepared = super().prepare(data)
        self._refuse_idle_strips(prepared.by)
        from neuroloom.microscopy.data import audit_neighbours

        return replace(prepared, findings=[*prepared.findings, *audit_neighbours(prepared)])

    def _refuse_idle_strips(self, by: str) -> None:
        """Refuse settings of strips where images are not cut into such."""
        idle = [name for name in ("share", "margin", "axis") if name in self.settings()]
        if idle and by != "space":
            raise ConfigError(
                f"{' and '.join(idle)} {'are' if len(idle) > 1 else 'is'} for strips of images "
                f"(split=space), and here the split is by {by}: leave "
                f"{'them' if len(idle) > 1 else 'it'} out."
            )

    def _single(self, data: Path) -> bool:
        """Tell whether nothing but the place in the image can be held out honestly."""
        from neuroloom.learn.dense.data.read import find

        table = find(self, data, self.include).table
        labelled = table[table["label"].notna()]
        if not len(labelled) or stated_fold(labelled) is not None:
            return False
        return default_unit(labelled) in ("run", "time")

    def read(self, data: Path) -> Dataset:
        """Find and check the images, and cut them where the split is in space."""
        from neuroloom.microscopy.data import as_seen, in_strips

        dataset = as_seen(self, super().read(data))
        if self.split != "space" or self.folds == 0:
            return dataset
        return in_strips(dataset, self.axis, self.folds, self.share, self.margin, self.detail)

    def read_like(
        self, facts: dict[str, Any], data: Path, include: list[str], *, labelled: bool = True
    ) -> Dataset:
        """Read new images; labels that number objects say nothing of the net's classes."""
        from neuroloom.microscopy.data import as_seen

        known = facts["axes"] | ({"classes_of": None} if facts["axes"]["objects"] else {})
        new = super().read_like(facts | {"axes": known}, data, include, labelled=labelled)
        return as_seen(self, new, facts)

    def _split(self, dataset: Dataset, by: str) -> list[Fold]:
        if by != "space" or self.folds == 0:
            return super()._split(dataset, by)
        from neuroloom.microscopy.data import folds_in_space

        return folds_in_space(dataset, one=self._count_folds(dataset) == 1)

    def _count_folds(self, dataset: Dataset) -> int:
        if "part" not in dataset.table:  # no strips, though `prepare` may cut where split is None
            return super()._count_folds(dataset)
        if self.folds is not None:
            return self.folds
        strips = int(dataset.table["part"].max())
        return 1 if strips == 2 else strips

    def _maker(self, model: Model, dataset: Dataset) -> Callable[[], Any]:
        """Let objects, whose pixels are parts of a diameter, be seen at one size."""
        from neuroloom.microscopy.data import ACROSS

        if not dataset.facts["objects"]:
            return super()._maker(model, dataset)
        pixel = f"{1 / ACROSS:g}"
        seen = {"normalisation": "nonorm"}
        seen |= {"spacing": f"{pixel},{pixel}"} if dataset.facts["dims"] == 2 else {}
        update = {"target": "instances", "plan": seen | self.plan}
        return super(Segment, self.model_copy(update=update))._maker(model, dataset)

    def judge_more(
        self, dataset: Dataset, row: int, p: np.ndarray, label: np.ndarray
    ) -> dict[str, Any]:
        """Count true, found and matching objects, where objects are the target."""
        from neuroloom.microscopy.objects import counts_of_objects, numbered

        if not dataset.facts.get("objects"):
            return {}
        case = dataset.x[row]
        return counts_of_objects(case.numbers(), numbered(p, self.diameter, case.steps))

    def deliver(
        self, dataset: Dataset, row: int, p: np.ndarray, label: np.ndarray, folder: Path | None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Write numbered objects, where objects are the target, and count them."""
        from neuroloom.microscopy.objects import label_diameter, numbered

        if not dataset.facts.get("objects"):
            return label, {}
        steps = dataset.x[row].steps
        found = numbered(p, self.diameter, steps)
        across = label_diameter(found) * float(np.prod(steps)) ** (1 / len(steps))
        return found, {"objects": int(found.max(initial=0)), "diameter": across}

    def measured_in(self, dataset: Dataset, row: int) -> tuple[tuple[float, ...], str]:
        """Return the pixel sizes that the net was given, and their unit."""
        case, unit = dataset.x[row], dataset.facts["unit"]
        sizes = case.steps if dataset.facts.get("objects") else dataset.x.spacing(case)  # type: ignore[attr-defined]
        return sizes, "um" if unit == "px" and self.pixel_size else unit

    def tabulate(self, prepared: Prepared, fits: list[Fitted]) -> pd.DataFrame:
        """Return the rows of held-out images; where sections adjoin, also of a copied mask."""
        from neuroloom.microscopy.data import with_copied

        return with_copied(self, prepared, super().tabulate(prepared, fits))

    def own_scores(
        self, table: pd.DataFrame, dataset: Dataset
    ) -> dict[str, dict[str, float | None]]:
        """Return what dense studies do, and scores of objects and of copied masks."""
        from neuroloom.microscopy.scores import further_scores

        further = further_scores(table, *self.judged_as(dataset), self.seed)
        return super().own_scores(table, dataset) | further

    def illustrate(self, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
        """Draw the best, the median and the worst case; say what the further metrics mean."""
        from neuroloom.microscopy.story.segment import add_meanings

        super().illustrate(run, prepared, fits)
        add_meanings(run, prepared)


def _learns_turns(augment: Sequence[str]) -> bool:
    """Tell whether patches are turned by quarters, so that predictions may be the mean of such."""
    from neuroloom.learn.dense.augment.tissue import KINDS

    return not {"turn", *KINDS}.isdisjoint(name.partition("=")[0] for name in augment)
