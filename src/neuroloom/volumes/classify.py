"""`volumes.classify`: tell classes of whole images or volumes apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from neuroloom.core.recipe import setting
from neuroloom.volumes.whole.study import WholeImage

if TYPE_CHECKING:
    from neuroloom.volumes.whole.data import Wish


class Classify(WholeImage):
    """Learn the class of each image (2-D) or volume (3-D), alone or with columns of a table.

    Images come onto one grid and are standardised one by one; they are split by subject, a net is
    trained and judged beside a linear model of the coarse image, and the report shows where the
    net looked. Small and large (`target="label:volume"`) are told apart by the net "integral",
    which learns from the masks of the training images, unless another is named.

    Examples
    --------
    >>> Classify(target="sex", tabular=["age"]).model, Classify(target="label:volume").model
    ('resnet', 'integral')
    """

    name: ClassVar[str] = "volumes.classify"
    summary: ClassVar[str] = "tell classes of whole images or volumes apart"
    data_kind: ClassVar[str] = "MR, CT, microscopy, photographs"
    net_settings: ClassVar[tuple[str, ...]] = (*WholeImage.net_settings, "balance")
    task: ClassVar[Literal["classification", "regression"]] = "classification"

    loss: Literal["ce", "focal", "triplet", "contrastive"] | None = setting(
        None, "cross entropy (default), focal, or one that draws a class together"
    )
    balance: bool = setting(False, "weigh every class alike in the loss, however often it occurs")
    cut: float | None = setting(
        None, "where 'label:volume' becomes small and large; default: the median", unit="mm3"
    )

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return painted slices, the fields of a short run, and what they are."""
        from neuroloom.volumes.story import demo

        return demo.rings(
            folder, {"pattern": "{subject}_{slice}", "folds": 2, "budget": "12 epochs", "width": 8}
        )

    def wish(self) -> Wish:
        """Return what is wanted of the data."""
        return replace(super().wish(), cut=self.cut)

    def options(self) -> dict[str, Any]:
        """Return what differs from the net's own training."""
        given = {"loss": self.loss, "balance": self.balance or None}
        return super().options() | {k: v for k, v in given.items() if v is not None}
