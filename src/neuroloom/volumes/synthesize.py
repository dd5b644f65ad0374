"""`volumes.synthesize`: make images again, finer, or in another contrast, and judge them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import model_validator

from neuroloom.core.audit import refuse_shared
from neuroloom.core.dataset import Dataset
from neuroloom.core.errors import ConfigError
from neuroloom.core.recipe import setting
from neuroloom.core.run import check_out
from neuroloom.learn.parts import PARTS, check_out_or_go_on
from neuroloom.learn.study import Prepared, Study

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.io.cases import FoundCases
    from neuroloom.learn.model import Model
    from neuroloom.learn.store import Ensemble
    from neuroloom.learn.training.crossfit import Fitted

# Kind -> the net that is trained unless another is named, and what stands beside it.
MODELS = {
    "autoencoder": ("autoencoder", "pca-images"),
    "super-resolution": ("super-resolution", "cubic"),
    "contrast": ("translator", "intensities"),
    "gan": ("adversary", "real-images"),
}


class Synthesize(Study):
    """Make images: through a narrow code, on a finer grid, in another contrast, or of noise.

    What is made of images that the net has not seen is compared with the real ones, place by
    place (PSNR) and in structure (SSIM), beside what needs no net. Of new images (kind gan) the
    nearest to each real one is taken, beside as many real images of the training; `frechet` tells
    how alike the two sets are, `copied` which share are copies of training images.

    Examples
    --------
    >>> Synthesize(kind="super-resolution").model
    'super-resolution'
    """

    name: ClassVar[str] = "volumes.synthesize"
    summary: ClassVar[str] = "make images through a code, on a finer grid, or in another contrast"
    data_kind: ClassVar[str] = "MR, CT, microscopy, photographs"
    family: ClassVar[str] = "grid"
    net_settings: ClassVar[tuple[str, ...]] = ("width", "lr")

    model: str = setting("autoencoder", "what is trained", basic=True, kind="model")
    kind: Literal["autoencoder", "super-resolution", "contrast", "gan"] = setting(
        "autoencoder", "the image itself, a grid twice as fine, channels of others, or new images",
        basic=True,
    )  # fmt: skip
    target: str | None = setting(
        None, "column, or 'folder', with the classes of new images (kind gan)", basic=True
    )
    make: list[str] = setting(
        [], "channels to be made (kind contrast): names or numbers", basic=True
    )
    size: int | None = setting(
        None, "places along the longest axis of the common grid; default 160 (2-D), 64 (3-D)", ge=2,
        basic=True,
    )  # fmt: skip
    channels: list[str] = setting(
        [], "names of the channels; of BIDS the contrasts that are channels; default: all of them"
    )
    include: list[str] = setting([], "globs on file names (or relative paths with /)")
    images: list[str] = setting([], "globs that pick the images, where no layout is recognised")
    pattern: str | None = setting(None, 'keys in file names: "{subject}_{session}"')
    width: int | None = setting(None, "channels of the net's first level; default: its own", ge=2)
    lr: float | None = setting(None, "peak learning rate; default: the net's own", gt=0)

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return painted volumes, the fields of a short run, and what they are."""
        from neuroloom.volumes.story import demo

        return demo.balls(
            folder, {"kind": "super-resolution", "folds": 2, "budget": "4 epochs", "width": 4}
        )

    @model_validator(mode="before")
    @classmethod
    def _each_kind_has_its_net(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and "model" not in fields and fields.get("kind") in MODELS:
            return fields | {"model": MODELS[fields["kind"]][0]}
        return fields

    def read(self, data: Path) -> Dataset:
        """Read all images of `data` onto one grid."""
        return self._pairs(data, self.include, None)

    def read_like(self, facts: dict[str, Any], data: Path, include: list[str]) -> Dataset:
        """Read new images onto the grid of the run, to judge what is made of them."""
        return self._pairs(data, include, facts["axes"])

    def read_new(self, facts: dict[str, Any], data: Path) -> Dataset:
        """Read new images onto the grid of the run, each to be worked on by itself."""
        return self._pairs(data, [], facts["axes"], labelled=False)

    def read_to_make(self, facts: dict[str, Any], data: Path) -> Dataset:
        """Read new images as what is made of them needs it: to be finer they keep their grids."""
        from neuroloom.volumes.synthesis.data import read_coarse

        if self.kind != "super-resolution":
            return self.read_new(facts, data)
        return read_coarse(self._found(data, [], facts["axes"]), facts["axes"])

    def _pairs(
        self,
        data: Path,
        include: list[str],
        facts: dict[str, Any] | None,
        *,
        labelled: bool = True,
    ) -> Dataset:
        from neuroloom.volumes.synthesis.data import read_pairs

        found = self._found(data, include, facts)
        return read_pairs(
            found, self.kind, channels=self.channels, make=self.make, target=self.target,
            size=self.size, facts=facts, labelled=labelled,
        )  # fmt: skip

    def _found(self, data: Path, include: list[str], facts: dict[str, Any] | None) -> FoundCases:
        from neuroloom.io.cases import find_cases

        known = (facts or {}).get("all_channels", [])
        asked = known or self.channels or (["*"] if self.kind == "contrast" else [])
        return find_cases(
            data, include, self.images, (), self.pattern, channels=asked,
            incomplete=bool(known), n_channels=len(known),
        )  # fmt: skip

    def baseline(self, task: str) -> str | None:
        """Name what needs no net: components, cubic splines, intensities alone."""
        plain = MODELS[self.kind][1]
        return None if self.model == plain else plain

    def options(self) -> dict[str, Any]:
        """Return what differs from the net's own training."""
        given = {"width": self.width, "lr": self.lr}
        return {name: value for name, value in given.items() if value is not None}

    def _refuse_idle_settings(self, model: Model) -> None:
        """Refuse a model of another kind, whose images would have the wrong grid."""
        super()._refuse_idle_settings(model)
        others = [pair for kind, pair in MODELS.items() if kind != self.kind]
        if any(self.model in pair for pair in others):
            raise ConfigError(
                f"model={self.model} is not for kind={self.kind}: take {MODELS[self.kind][0]}, or "
                "leave it out."
            )
        if self.target and self.kind != "gan":
            raise ConfigError(f"target is for kind=gan and means nothing to kind={self.kind}.")
        if self.make and self.kind != "contrast":
            raise ConfigError(f"make is for kind=contrast and means nothing to kind={self.kind}.")

    def _split(self, dataset: Dataset, by: str) -> list[Any]:
        if stated := self.stated(dataset):
            return stated
        if by == "time":
            raise ConfigError("Images of two subjects (sessions, runs) or more are needed.")
        folds = super()._split(dataset, by)
        if by == "subject" and not self.per:
            refuse_shared(dataset, folds)
        return folds

    def tabulate(self, prepared: Prepared, fits: list[Fitted]) -> pd.DataFrame:
        """Return one row a held-out image, seed and role, with PSNR and SSIM."""
        import pandas as pd

        from neuroloom.volumes.synthesis.fidelity import rows_of_images

        models = self.roles("synthesis")
        parts = []
        for fit in sorted(fits, key=lambda fit: (fit.job.role != "model", fit.job.seed)):
            fold = prepared.folds[fit.job.fold]
            head = {"fold": fit.job.fold, "seed": fit.job.seed, "model": models[fit.job.role]}
            rows = rows_of_images(prepared.dataset, fold.test, np.asarray(fit.scores))
            parts.append(rows.assign(unit=fold.units, role=fit.job.role, **head))
        return pd.concat(parts, ignore_index=True) if parts else rows_of_images(
            prepared.dataset, np.arange(0), np.zeros(0)
        ).assign(unit="", role="", fold=0, seed=0, model="")  # fmt: skip

    def tabulate_new(
        self, ensemble: Ensemble, dataset: Dataset, head: dict[str, Any]
    ) -> pd.DataFrame:
        """Return the rows of new images."""
        from neuroloom.volumes.synthesis.fidelity import rows_of_images

        made = self.outcome(ensemble, dataset)
        return rows_of_images(dataset, np.arange(len(dataset)), made).assign(**head)

    def outcome(self, ensemble: Ensemble, dataset: Dataset) -> np.ndarray:
        """Return the images that the model makes of others (n, channel, *axes)."""
        return self.made_of(ensemble, dataset.x)

    def made_of(self, ensemble: Ensemble, x: np.ndarray) -> np.ndarray:
        """Return images made of `x`, members averaged; of noise each is made by one alone."""
        from neuroloom.volumes.synthesis.drawn import in_turn

        learners = [one for members in ensemble.members.values() for one in members]
        made = [learner.predict_scores(x) for learner in learners]
        if self.kind == "gan":
            return in_turn(made, len(ensemble.facts["axes"]["groups"]))
        return np.mean(made, axis=0)

    def illustrate(self, run: Run, prepared: Prepared, fits: list[Fitted]) -> None:
        """Draw real and made images, and write `facts.json`."""
        from neuroloom.volumes.story.synthesize import illustrate

        illustrate(self, run, prepared, fits)

    def predict(
        self,
        run: Run,
        inputs: list[Path],
        out: Path | str | None = None,
        *,
        count: int | str | None = None,
        class_: str | None = None,
        seed: int | str = 0,
    ) -> pd.DataFrame:
        """Make images of new ones, or, of kind gan, new ones of noise.

        Parameters
        ----------
        run
            A finished run.
        inputs
            Files or folders; of kind gan none is needed.
        out
            Where the table and the images (`<name>_made.nii.gz`, or `.tif` in 2-D) are written;
            None writes nothing. What was made of an image lies on its grid, with its affine, and is
            in its unit; another contrast has mean 0 and SD 1, as its unit is not known. Of kind
            super-resolution it lies on a grid twice as fine, which covers the same. New images
            (`made_<class>_001`, …) lie on the common grid, standardised.
        count
            Of kind gan: how many new images; default: as many as there are in `inputs`, or 10.
        class_
            Of kind gan: the class of all of them; default: all classes in turn.
        seed
            Of kind gan: of the noise. Class, number and seed make an image the same each time.

        Returns
        -------
        DataFrame
            name, path, subject, psnr, ssim: how near they are to what they were made of; a finer
            image by its means over blocks. Of kind gan: name, class, seed, and net, the one of the
            ensemble that made the image alone.

        Raises
        ------
        ConfigError
            If the class is unknown, or an option does not belong to the kind.
        """
        from neuroloom.volumes.synthesis.deliver import predict_images
        from neuroloom.volumes.synthesis.drawn import predict_new

        place = None if out is None else Path(out)
        if self.kind == "gan":
            if place is not None:
                check_out(place)
            return predict_new(self, run, inputs, place, count=count, class_=class_, seed=seed)
        if count is not None or class_ is not None or seed != 0:
            raise ConfigError(f"count, class and seed are for kind=gan; this run is {self.kind}.")
        if place is not None:
            check_out_or_go_on(place, PARTS)
        return predict_images(self, run, inputs, place)
