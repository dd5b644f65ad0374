"""`volumes.regress`: learn a number from whole images or volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from neuroloom.core.recipe import setting
from neuroloom.volumes.whole.study import WholeImage


class Regress(WholeImage):
    """Learn a number (age, score, volume) of each image or volume, alone or with a table.

    Where the number is a volume in the label (`target="label:volume"`), the net is "integral"
    unless another is named: it learns from the masks of the training images where the volume is,
    and tells it from the image alone.

    Examples
    --------
    >>> Regress(target="age").model, Regress(target="label:volume").model
    ('resnet', 'integral')
    """

    name: ClassVar[str] = "volumes.regress"
    summary: ClassVar[str] = "learn a number (age, volume, score) from whole images or volumes"
    data_kind: ClassVar[str] = "MR, CT, microscopy, photographs"
    task: ClassVar[Literal["classification", "regression"]] = "regression"

    loss: Literal["mse", "mae"] | None = setting(
        None, "squared error (default) or absolute error of the standardised number"
    )

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return painted volumes with masks, the fields of a short run, and what they are."""
        from neuroloom.volumes.story import demo

        return demo.balls(
            folder,
            {"target": "label:volume", "folds": 2, "budget": "20 epochs", "width": 4},
            cases=12,
        )

    def options(self) -> dict[str, Any]:
        """Return what differs from the net's own training."""
        return super().options() | ({} if self.loss is None else {"loss": self.loss})
