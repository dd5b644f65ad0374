"""`representation.extract`: what the layers of a net answer to stimuli."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import field_validator

from neuroloom.core.audit import Finding
from neuroloom.core.errors import ConfigError
from neuroloom.core.files import (
    digest,
    whole_if_there,
    whole_path,
    write_atomic,
    write_json,
)
from neuroloom.core.recipe import Recipe, setting
from neuroloom.representation.activations import read_dmask
from neuroloom.representation.sources import FETCH, is_own

if TYPE_CHECKING:
    import pandas as pd

    from neuroloom.core.run import Run
    from neuroloom.representation.features import Choice, Extracted
    from neuroloom.representation.sources import Net
    from neuroloom.representation.stimuli import Stimuli

MAPS = ("grad-cam", "saliency", "guided", "smooth", "occlusion")


@dataclass(frozen=True)
class Prepared:
    """The net, its layers, the stimuli, and what the audit noticed."""

    net: Net
    stimuli: Stimuli
    table: pd.DataFrame
    layers: list[str]
    choice: Choice
    files: dict[str, str]
    findings: list[Finding] = field(default_factory=list)


class Extract(Recipe):
    """Extract features of stimuli at layers of a net, in constant memory.

    Nets: of the house by name, a run that trained one, ONNX files, folders of transformers, timm or
    torchvision where they are installed. Stimuli: pictures, frames, volumes, arrays, tables.

    Examples
    --------
    >>> Extract(model="grid/resnet18", layers=["layer3"]).tokens
    'all'
    """

    name: ClassVar[str] = "representation.extract"
    summary: ClassVar[str] = "extract features of stimuli at layers of a net, in constant memory"
    data_kind: ClassVar[str] = "Images"

    model: str = setting(
        "grid/resnet18", "a net: of the house, a run, an .onnx file, timm/NAME …", basic=True
    )
    layers: list[str] = setting(
        [], "names, ends of names or globs; default: the outermost blocks", basic=True
    )
    tokens: Literal["all", "cls", "mean", "cls+mean"] = setting(
        "all", "of transformers: all tokens, the class token, the mean of others", basic=True
    )
    pool: Literal["none", "mean", "max", "min", "median", "std", "norm"] = setting(
        "none", "one number a channel, over all places", basic=True
    )
    weights: str | None = setting(
        None, "a file of weights; or 'pretrained': let timm … fetch theirs", basic=True
    )
    size: int | None = setting(
        None, "side of pictures; default: what the net asks for, or 224", unit="px", ge=1,
        basic=True,
    )  # fmt: skip
    maps: list[Literal["grad-cam", "saliency", "guided", "smooth", "occlusion"]] = setting(
        [], "maps of what drives the layers, for the first stimuli", basic=True
    )
    format: Literal["npy", "hdf5", "zarr"] = setting("npy", "of the files of features")
    mask: str | None = setting(None, "a .dmask.csv: layers and units to keep")
    batch: int = setting(32, "stimuli at a time", ge=1)
    top: int = setting(5, "stimuli to keep that drive each channel most", ge=0)
    shown: int = setting(6, "stimuli with maps, channels with their best stimuli", ge=1, le=50)
    fields: bool = setting(False, "measure the receptive field of each layer's middle unit")
    synthesise: int = setting(0, "channels of the last layer to draw a best picture for", ge=0)
    rate: float = setting(100.0, "of signals, for nets that ask for it", unit="Hz", gt=0)
    include: list[str] = setting([], "only files whose names match one of these globs")
    seed: int = setting(1, "of random weights, of noise added to pictures", ge=0)

    _paths_hold_anywhere = field_validator("mask")(whole_path)

    @field_validator("weights")
    @classmethod
    def _weights_hold_anywhere(cls, weights: str | None) -> str | None:
        return weights if weights == FETCH else whole_path(weights)

    @field_validator("model")
    @classmethod
    def _own_model_holds_anywhere(cls, model: str) -> str:
        return whole_if_there(model) if is_own(model) else model

    @classmethod
    def demo(cls, folder: Path, fetch: bool = True) -> tuple[Path, dict[str, Any], str]:
        """Return painted gratings, the fields of a short run, and what they are."""
        from neuroloom.representation.story import demo

        return demo.pictures(
            folder,
            {"model": "grid/resnet", "size": 32, "layers": ["body.1", "body.3"], "pool": "mean"},
        )

    def prepare(self, data: Path) -> Prepared:
        """Open stimuli and net, and find the layers; nothing is written."""
        from neuroloom.representation.features import Choice, shape_of
        from neuroloom.representation.layers import find_layers, list_layers
        from neuroloom.representation.sources import open_net
        from neuroloom.representation.stimuli import open_stimuli

        stimuli = open_stimuli(data, self.include)
        options: dict[str, Any] = {"size": self.size, "weights": self.weights, "seed": self.seed}
        net = open_net(self.model, shape_of(stimuli), rate=self.rate, **options)
        table = list_layers(net.module, stimuli.batch([0], net.transform))
        places = self._places(table)
        layers = find_layers(self.layers or list(places), table)
        choice = Choice(self.tokens, self.pool, places)
        self._try(net, stimuli, layers, choice)
        root = data if data.is_dir() else data.parent
        hashes = {_relative(file, root): digest(file) for file in stimuli.files}
        told = [Finding("note", "Files", f"{len(stimuli)} stimuli ({stimuli.kind}).")]
        if net.weights.startswith("random"):
            told.append(
                Finding("warning", "Weights", f"The net is untrained ({net.weights}): its features "
                        "say what its build alone does.")
            )  # fmt: skip
        return Prepared(net, stimuli, table, layers, choice, hashes, told)

    def _places(self, table: pd.DataFrame) -> dict[str, list[list[int] | None]]:
        from neuroloom.representation.layers import find_layers

        if not self.mask:
            return {}
        if not Path(self.mask).is_file():
            raise ConfigError(f"mask: there is no file {self.mask}.")
        named = read_dmask(Path(self.mask))
        return {find_layers([name], table)[0]: chosen for name, chosen in named.items()}

    def _try(self, net: Net, stimuli: Stimuli, layers: list[str], choice: Choice) -> None:
        """See with one stimulus that tokens and units are there."""
        from neuroloom.representation.layers import record

        first = next(record(net.module, layers, [stimuli.batch([0], net.transform)]))
        for layer, values in first.items():
            choice(layer, values)

    def work(self, prepared: Prepared, run: Run) -> None:
        """Compute features batch by batch, and report."""
        import pandas as pd

        from neuroloom.representation.features import extract_to

        names = prepared.stimuli.names
        run.write_dataset({"files": prepared.files, "stimuli": names})
        write_json(run.folder / "audit.json", [found.as_dict() for found in prepared.findings])
        for found in prepared.findings:
            run.log("audit", **found.as_dict())
        write_json(run.folder / "plan.json", {"reason": "nothing is trained"})
        run.log("plan", reason="nothing is trained", epochs=len(names))
        facts = {"event": "progress", "role": "features", "fit": 1, "fits": 1}
        done = extract_to(
            run.folder / "artifacts" / "features",
            prepared.net,
            prepared.stimuli,
            prepared.layers,
            choice=prepared.choice,
            batch=self.batch,
            format=self.format,
            top=self.top,
            progress=lambda n: run.tell(facts | {"epoch": n}),
        )
        run.log("fitted", role="features", fit=1, fits=1, layers=len(prepared.layers))
        parts = [done.activity[layer].table(names, layer) for layer in prepared.layers]
        whole = pd.concat(parts, ignore_index=True)
        write_atomic(run.folder / "predictions.parquet", partial(whole.to_parquet, index=False))
        self.illustrate(run, prepared, done)

    def illustrate(self, run: Run, prepared: Prepared, done: Extracted) -> None:
        """Write tables, metrics, figures and the report."""
        from neuroloom.representation.story.extract import report_features

        report_features(self, run, prepared, done)


def _relative(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name
