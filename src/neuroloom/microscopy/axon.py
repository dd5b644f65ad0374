"""`microscopy.axon`: a trained segmenter of axons and myelin, and the size of every axon."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.recipe import setting
from neuroloom.microscopy.segment import Segment

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.dataset import Dataset
    from neuroloom.core.run import Run
    from neuroloom.learn.study import Prepared
    from neuroloom.learn.training.crossfit import Fitted

GREYS = {"myelin": 128.0, "axon": 255.0}


class Axon(Segment):
    """Segment axons and myelin, and measure every axon: diameter, g-ratio, thickness, shape.

    Labels are two masks an image, called axon and myelin, or one grey image with 128 for myelin and
    255 for axons. Tables have the headings of AxonDeepSeg; they need the size of a pixel, from a
    file beside the image or as `pixel_size`. Each image is summed up: how many axons, how densely
    they lie, which shares of its area are axon and myelin, and its aggregate g-ratio.

    Examples
    --------
    >>> Axon(pixel_size=0.07).tables
    'xlsx'
    """

    name: ClassVar[str] = "microscopy.axon"
    summary: ClassVar[str] = "segment axons and myelin, and measure every axon"

    target: Literal["semantic"] = setting("semantic", "axons and myelin are classes of pixels")
    pixel_size: float | None = setting(
        None, "size of a pixel of all images; default: as the files say", unit="um", gt=0,
        basic=True,
    )  # fmt: skip
    shape: Literal["circle", "ellipse"] = setting(
        "circle", "a diameter is of the circle of equal area, or the ellipse's minor axis"
    )
    tables: Literal["xlsx", "csv"] = setting("xlsx", "format of the tables of axons")

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return painted nerves with masks, the fields of a short run, and what they are."""
        from neuroloom.microscopy.story import demo

        return demo.nerves(
            folder,
            {
                "folds": 1,
                "margin": 4,
                "budget": "60 steps",
                "plan": {"features": "4", "patch": "32,32"},
            },
        )

    def read(self, data: Path) -> Dataset:
        """Find and check the images; greys 128 and 255 of one label file are myelin and axons."""
        known = self._named(data, self.include)
        dataset = super(Axon, known).read(data)
        if not {"axon", "myelin"} <= set(dataset.facts["parts"]):
            raise DataError(
                f"{data}: the labels have the classes {', '.join(dataset.facts['parts'])}; axons "
                "and myelin are needed. Name the images and their masks: --images.image "
                "'*_image.png' --labels.axon '*_seg-axon.png' --labels.myelin '*_seg-myelin.png', "
                "or the greys of one file: --values.myelin 128 --values.axon 255."
            )
        return dataset

    def read_like(
        self, facts: dict[str, Any], data: Path, include: list[str], *, labelled: bool = True
    ) -> Dataset:
        """Read new images, with or without labels."""
        known = self._named(data, include, labelled=labelled)
        return super(Axon, known).read_like(facts, data, include, labelled=labelled)

    def _named(self, data: Path, include: list[str], *, labelled: bool = True) -> Axon:
        """Return the recipe with what the labels' classes are, where nothing said it."""
        from neuroloom.learn.dense.data.read import find
        from neuroloom.microscopy.fibres import globs_of_masks

        if self.labels or self.values or self.classes:
            return self
        images, labels = ({}, {}) if self.images else globs_of_masks(data)
        if labels:
            return self.model_copy(update={"images": images, "labels": labels})
        if not labelled:
            return self
        found = find(self, data, include)
        if {"axon", "myelin"} & {found.kind, *(found.classes or {}).values()}:
            return self
        return self.model_copy(update={"values": GREYS})

    def judge_more(
        self, dataset: Dataset, row: int, p: np.ndarray, label: np.ndarray
    ) -> dict[str, Any]:
        """Count axons, true and found, where the truth is known."""
        from neuroloom.microscopy.fibres import count_axons, where_known

        pair = where_known(dataset.x[row].truth(), label, dataset.facts)
        true, found = (count_axons(own, dataset.facts) for own in pair)
        return {"axons_true": true, "axons_pred": found}

    def deliver(
        self, dataset: Dataset, row: int, p: np.ndarray, label: np.ndarray, folder: Path | None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Write the masks and the table of axons of a new image, and sum the table up."""
        from neuroloom.microscopy.fibres import sum_up, table_of, width_of, write_masks
        from neuroloom.microscopy.morphometry import write_tables

        table = table_of(label, dataset, row, self.shape)
        known = dataset.facts["unit"] != "px" or self.pixel_size is not None
        if folder is not None:
            name = str(dataset.table["name"].iloc[row])
            write_masks(folder, name, label, dataset, row)
            if known:
                write_tables(table, folder / f"{name}_axon_morphometrics.{self.tables}")
        width = width_of(dataset, row) if known else float("nan")
        sums = sum_up(table, label, dataset, row, known=known)
        return label, sums | {"pixel_um": width}

    def predict(
        self,
        run: Run,
        inputs: list[Path],
        out: Path | str | None = None,
        include: list[str] | None = None,
    ) -> pd.DataFrame:
        """Label new images as `DenseStudy.predict` does, and write a table with a row an image."""
        from neuroloom.microscopy.fibres import SUMS
        from neuroloom.microscopy.morphometry import write_tables

        table = super().predict(run, inputs, out, include)
        if out is not None:
            images = table.drop_duplicates("name")[["name", *SUMS, "pixel_um"]]
            write_tables(images.reset_index(drop=True), Path(out) / f"densities.{self.tables}")
        return table

    def evaluate(
        self, run: Run, data: Path, out: Path | str | None = None, include: list[str] | None = None
    ) -> pd.DataFrame:
        """Score the run on other labelled images; their masks and tables go to OUT/predictions."""
        metrics = super().evaluate(run, data, out, include)
        if out is not None:
            self.predict(run, [data], Path(out) / "predictions", include)
        return metrics

    def illustrate(self, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
        """Draw cases, and the sizes of axons found beside those of true ones."""
        from neuroloom.microscopy.story.fibres import add_sizes

        super().illustrate(run, prepared, fits)
        add_sizes(self, run, prepared, fits)
