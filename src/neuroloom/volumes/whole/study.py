"""What classification and regression of whole images share: reading, splitting, choosing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import model_validator

from neuroloom.core.dataset import Dataset
from neuroloom.core.errors import ConfigError
from neuroloom.core.recipe import setting
from neuroloom.core.split import Fold, refuse_both_sides
from neuroloom.learn.study import Prepared, Study

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.learn.model import Model
    from neuroloom.learn.training.budget import Plan
    from neuroloom.learn.training.crossfit import Fitted
    from neuroloom.volumes.whole.data import Wish

BASELINE, INTEGRAL = "pca", "integral"
NOT_INTEGRAL = ("model", "models", "tabular", "loss", "balance")  # what it knows nothing of


class WholeImage(Study):
    """Base of the studies that learn one class or one number an image."""

    family: ClassVar[str] = "grid"
    net_settings: ClassVar[tuple[str, ...]] = ("augment", "loss", "width", "lr")
    task: ClassVar[Literal["classification", "regression"]] = "classification"

    model: str = setting("resnet", "what is trained", basic=True, kind="model")
    target: str | None = setting(
        None, "a column, 'folder', or 'label:volume[:CLASS]'; default: folders that differ",
        basic=True,
    )  # fmt: skip
    tabular: list[str] = setting([], "columns that join the image, such as age, sex", basic=True)
    models: list[str] = setting(
        [], "candidates instead of one model: the best is chosen inside each fold", basic=True
    )
    inner_folds: int = setting(3, "folds of the training examples by which models are chosen", ge=2)
    size: int | None = setting(
        None, "places along the longest axis of the common grid; default 160 (2-D), 64 (3-D)", ge=2
    )
    include: list[str] = setting([], "globs on file names (or relative paths with /)")
    channels: list[str] = setting([], "names of the channels, of BIDS contrasts to join (T1w, T2w)")
    images: list[str] = setting([], "globs that pick the images, where no layout is recognised")
    labels: list[str] = setting([], "globs that pick their labels")
    pattern: str | None = setting(None, 'keys in file names: "{subject}_{session}"')
    augment: Literal["none", "light", "strong"] | None = setting(
        None, "how strongly images are varied in training; default: light"
    )
    width: int | None = setting(None, "channels of the net's first level; default: its own", ge=2)
    lr: float | None = setting(None, "peak learning rate; default: the net's own", gt=0)

    @model_validator(mode="before")
    @classmethod
    def _volumes_are_integrals(cls, fields: Any) -> Any:
        volume = isinstance(fields, dict) and str(fields.get("target")).startswith("label:")
        if volume and not any(fields.get(name) for name in NOT_INTEGRAL):
            return fields | {"model": INTEGRAL}
        return fields

    def wish(self) -> Wish:
        """Return what is wanted of the data."""
        from neuroloom.volumes.whole.data import Wish

        names = self.models or [self.model]
        return Wish(
            self.task,
            self.target,
            tuple(self.tabular),
            self.size,
            channels=tuple(self.channels),
            maps=any(self.find(name).likes.get("maps") for name in names),
        )

    def read(self, data: Path) -> Dataset:
        """Read all images of `data` onto one grid."""
        from neuroloom.io.cases import find_cases
        from neuroloom.volumes.whole.data import read_whole
        from neuroloom.volumes.whole.targets import Amount

        found = find_cases(
            data, self.include, self.images, self.labels, self.pattern, channels=self.channels,
            labelled=Amount.parse(self.target) is not None,
        )  # fmt: skip
        return read_whole(found, self.wish())

    def read_like(
        self, facts: dict[str, Any], data: Path, include: list[str], *, labelled: bool = True
    ) -> Dataset:
        """Read new images onto the grid of the run; `labelled` where they are to be judged."""
        from neuroloom.io.cases import find_cases
        from neuroloom.volumes.whole.data import read_whole
        from neuroloom.volumes.whole.targets import Amount

        kept = facts["axes"] | {"classes": facts["classes"]}
        found = find_cases(
            data, include, self.images, self.labels, self.pattern,
            channels=kept["channels"], n_channels=len(kept["channels"]),
            labelled=labelled and Amount.parse(self.target) is not None,
        )  # fmt: skip
        return read_whole(found, self.wish(), kept, labelled=labelled)

    def read_new(self, facts: dict[str, Any], data: Path) -> Dataset:
        """Read new images that are only predicted."""
        return self.read_like(facts, data, [], labelled=False)

    def baseline(self, task: str) -> str | None:
        """Components of the coarse image, its histogram and the table, then a linear model."""
        return None if self.model == BASELINE and not self.models else BASELINE

    def called(self) -> str:
        """Return the model, or that it is chosen among the candidates in each fold.

        Examples
        --------
        >>> from neuroloom.volumes.classify import Classify
        >>> Classify(models=["pca", "vgg"]).called()
        'chosen (pca, vgg)'
        """
        return f"chosen ({', '.join(self.models)})" if self.models else self.model

    def options(self) -> dict[str, Any]:
        """Return what differs from the net's own training."""
        given = {"augment": self.augment, "width": self.width, "lr": self.lr}
        return {name: value for name, value in given.items() if value is not None}

    def _refuse_idle_settings(self, model: Model) -> None:
        """Refuse settings that mean nothing to the model, or to each other."""
        if self.models:
            self._refuse_lonely_candidates()
            return
        super()._refuse_idle_settings(model)
        for name in self.options():
            if model.is_net and name not in model.obeys:
                raise ConfigError(f"{name} means nothing to model={self.model}: leave it out.")

    def _refuse_lonely_candidates(self) -> None:
        from neuroloom.learn.training.budget import parse_budget

        found = [self.find(name) for name in self.models]
        wrong = [model.name for model in found if self.task not in model.tasks]
        if wrong:
            raise ConfigError(f"models: {', '.join(wrong)} cannot learn {self.task}.")
        if len(found) < 2 or len(set(self.models)) < len(self.models):
            raise ConfigError("models needs two different names or more; for one, set model.")
        if self.options():
            raise ConfigError(
                f"{' and '.join(self.options())} would mean something else to each of `models`: "
                "leave it out, or set one model."
            )
        if parse_budget(self.budget).steps is not None:
            raise ConfigError("With `models`, budget is a time or a number of epochs, not steps.")

    def _split(self, dataset: Dataset, by: str) -> list[Fold]:
        """Split by whose the images are; images of one subject never stand on both sides."""
        if stated := self.stated(dataset):
            return stated
        if by == "time":
            raise ConfigError(
                "There is one image only, or nothing to tell images apart by: two subjects "
                "(sessions, runs) are needed to learn from one and judge on the other."
            )
        folds = super()._split(dataset, by)
        subjects = dataset.table["subject"].astype(str).tolist()
        for fold in folds if by != "random" or self.test else ():
            away = np.zeros(len(dataset), bool)
            away[fold.test] = True
            who = "The list of `test`" if self.test else f"split={by}"
            refuse_both_sides(subjects, away, who)
        return folds

    def audit(self, dataset: Dataset) -> list[Any]:
        """Look for images whose size gives the target away, and for too coarse a grid."""
        from neuroloom.volumes.whole.checks import audit_whole

        return audit_whole(dataset)

    def taught(self, name: str, dataset: Dataset) -> Dataset:
        """Return the examples as a model learns from them: by where an amount is, if it can."""
        return dataset.from_maps() if self.find(name).likes.get("maps") else dataset

    def _fit_role(
        self, role: str, name: str, prepared: Prepared, plan: Plan, run: Run
    ) -> list[Fitted]:
        """Fit; where there are candidates, choose among them inside each training fold first."""
        if role != "model" or not self.models:
            prepared = replace(prepared, dataset=self.taught(name, prepared.dataset))
            return super()._fit_role(role, name, prepared, plan, run)
        from neuroloom.volumes.whole.choose import fit_chosen

        return fit_chosen(self, prepared, plan, run)

    def tabulate(self, prepared: Prepared, fits: list[Fitted]) -> pd.DataFrame:
        """Return the predictions, whose model may be another one in each fold."""
        table = super().tabulate(prepared, fits)
        if self.models:
            table.loc[table["role"] == "model", "model"] = self.called()
        return table

    def _new_plan(self, prepared: Prepared, run: Run) -> Plan:
        """Share the budget among all candidates' fits, where there are candidates."""
        if not self.models:
            prepared = replace(prepared, dataset=self.taught(self.model, prepared.dataset))
            return super()._new_plan(prepared, run)
        from neuroloom.volumes.whole.choose import plan_choice

        return plan_choice(self, prepared, run)

    def illustrate(self, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
        """Draw images, results and where the net looked, and say it in `facts.json`."""
        from neuroloom.volumes.story.classify import illustrate

        illustrate(self, run, prepared, fits)

    def explain(
        self, run: Run, inputs: Sequence[Path] = (), out: Path | None = None
    ) -> pd.DataFrame:
        """Map where the final model looks, in every image of the run or in new ones.

        Parameters
        ----------
        run
            A finished run.
        inputs
            Files or folders of new images; none: the images of the run, whose report is then
            written anew.
        out
            Where maps, pictures and the table of new images go; those of the run go to its
            artifacts. A map (`where/<name>.nii.gz`, or `.tif` in 2-D) lies on the grid of its
            image, 0 to 1.

        Returns
        -------
        DataFrame
            name, label (if known), predicted, like_random (rank correlation with the map of nets
            with random weights), map (its file).
        """
        from neuroloom.volumes.whole.explain import explain_images

        return explain_images(self, run, inputs, out)

    def predict(self, run: Run, inputs: list[Path], out: Path | str | None = None) -> pd.DataFrame:
        """Predict new images.

        Parameters
        ----------
        run
            A finished run.
        inputs
            Files or folders.
        out
            Where `predictions.parquet` and `.csv` are written; None writes nothing.

        Returns
        -------
        DataFrame
            name, path, subject, label (if known), predicted and, of classes, p_<class>.
        """
        from neuroloom.learn.apply import predict_examples

        return predict_examples(self, run, inputs, out, "a file or a folder of images")
