"""The registered models of whole images, described without importing what they are made of."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from neuroloom.core.errors import ConfigError
from neuroloom.learn.model import Model, find_model

ENCODERS = "neuroloom.nets.encoders"
PLAIN: dict[str, Any] = {
    "epochs": 60,
    "batch": 16,
    "lr": 2e-3,
    "weight_decay": 0.02,
    "warmup": 0.1,
    "average": 0.98,
}
# Muon for hidden weights needs fewer steps than AdamW (decision 018).
ORTHOGONAL: dict[str, Any] = {"muon": 10.0, "batch": 8}


def encoder(
    name: str,
    place: str,
    *,
    training: dict[str, Any] | None = None,
    fixed: dict[str, Any] | None = None,
    likes: dict[str, Any] | None = None,
    obeys: tuple[str, ...] = ("width", "loss", "balance", "augment", "lr"),
    tasks: tuple[str, ...] = ("classification", "regression"),
    table: bool = True,
    amounts: bool = False,
    summary: str,
    source: str,
) -> Model:
    """Describe an encoder; torch is imported when a learner is made.

    Parameters
    ----------
    name
        Behind `--model`.
    place
        "module:Class" of the net below `nets.encoders`.
    training
        Fields of `Training` that differ from `PLAIN`.
    fixed
        Arguments of the net.
    table
        Whether it can take numbers beside the image.
    amounts
        Whether it measures an amount, and so must know where one is cut into classes.
    """

    def build() -> Callable[..., Any]:
        module, _, attribute = place.partition(":")
        return getattr(import_module(f"{ENCODERS}.{module}"), attribute)

    def make(
        facts: dict[str, Any],
        task: str,
        n_outputs: int,
        *,
        width: int | None = None,
        loss: str | None = None,
        augment: str = "light",
        **options: Any,
    ) -> Any:
        from neuroloom.learn.grids.learner import GridLearner, Training

        n_table = int(facts.get("n_table", 0))
        if n_table and not table:
            raise ConfigError(f"model={name} takes images only: leave `tabular` out.")
        arguments = (fixed or {}) | ({"n_table": n_table} if table else {})
        arguments |= {} if width is None else {"width": width}
        arguments |= halves(facts) if amounts and task == "classification" else {}
        usual = "ce" if task == "classification" else "mse"
        sized = str(facts.get("target")).startswith("label:")
        return GridLearner(
            name,
            build(),
            n_channels=len(facts["channels"]) + n_table,
            shape=tuple(facts["shape"]),
            n_outputs=n_outputs,
            training=Training(**(PLAIN | (training or {}) | options)),
            task=task,
            options=arguments,
            learning={
                "loss": loss or usual,
                "augment": augment,
                "n_table": n_table,
                "resize": not sized,
            },
            unit=float(facts.get("unit_volume", 1.0)),
        )

    def rebuild(spec: dict[str, Any]) -> Any:
        # Where a model was chosen in each fold, one ensemble holds learners of several names.
        if spec["name"] != name:
            return find_model(spec["name"], "grid").rebuild(spec)
        from neuroloom.learn.grids.learner import GridLearner

        return GridLearner.from_spec(spec, build())

    return Model(
        name, summary, source, is_net=True, make=make, rebuild=rebuild, tasks=tasks,
        likes=likes or {}, obeys=obeys,
    )  # fmt: skip


def halves(facts: dict[str, Any]) -> dict[str, Any]:
    """Return where an amount is cut into two classes, in places, and which class lies above.

    Examples
    --------
    >>> halves({"cut": 30.0, "unit_volume": 2.0, "classes": ["large", "small"]})
    {'cut': 15.0, 'upper': 0}
    """
    if facts.get("cut") is None:
        return {}
    cut = float(facts["cut"]) / float(facts.get("unit_volume", 1.0))
    return {"cut": cut, "upper": list(facts["classes"]).index("large")}


def projected(name: str, *, summary: str, source: str) -> Model:
    """Describe the plain model of `baseline.Projected`."""

    def make(facts: dict[str, Any], task: str, n_outputs: int, **options: Any) -> Any:
        from neuroloom.learn.grids.baseline import Projected

        return Projected(
            name,
            n_outputs if task == "classification" else None,
            n_table=int(facts.get("n_table", 0)),
            unit=float(facts.get("unit_volume", 1.0)),
        )

    def rebuild(spec: dict[str, Any]) -> Any:
        if spec["name"] != name:
            return find_model(spec["name"], "grid").rebuild(spec)
        from neuroloom.learn.grids.baseline import Projected

        return Projected.from_spec(spec)

    return Model(name, summary, source, is_net=False, make=make, rebuild=rebuild)


def maker(
    name: str,
    net: str,
    *,
    training: dict[str, Any] | None = None,
    outputs: str = "made",
    summary: str,
    source: str,
) -> Model:
    """Describe a net that makes images, below `nets.generators`.

    Parameters
    ----------
    outputs
        Fact of the dataset whose length is the net's number of outputs: channels that are "made",
        or "groups" of images.
    """

    def build() -> Callable[..., Any]:
        return getattr(import_module("neuroloom.nets.generators"), net)

    def make(
        facts: dict[str, Any],
        task: str,
        n_outputs: int,
        *,
        width: int | None = None,
        **options: Any,
    ) -> Any:
        from neuroloom.learn.grids.learner import Training
        from neuroloom.learn.grids.makers import ImageLearner

        return ImageLearner(
            name,
            build(),
            n_channels=len(facts["channels"]),
            shape=tuple(facts["given_shape"]),
            n_outputs=len(facts[outputs]),
            training=Training(**(PLAIN | (training or {}) | options)),
            task=task,
            options={} if width is None else {"width": width},
            learning={"augment": "none"},
        )

    def rebuild(spec: dict[str, Any]) -> Any:
        from neuroloom.learn.grids.makers import ImageLearner

        return ImageLearner.from_spec(spec, build())

    return Model(
        name, summary, source, is_net=True, make=make, rebuild=rebuild, tasks=("synthesis",),
        obeys=("width", "lr"),
    )  # fmt: skip


def plain_maker(name: str, learner: str, *, summary: str, source: str) -> Model:
    """Describe a maker of images without epochs, of `learn.grids.makers`."""

    def build() -> Any:
        return getattr(import_module("neuroloom.learn.grids.makers"), learner)(name)

    def make(facts: dict[str, Any], task: str, n_outputs: int, **options: Any) -> Any:
        return build()

    def rebuild(spec: dict[str, Any]) -> Any:
        return build()

    return Model(
        name, summary, source, is_net=False, make=make, rebuild=rebuild, tasks=("synthesis",)
    )


def _library(name: str, architecture: str, source: str, **training: Any) -> Model:
    return encoder(
        name,
        "library:LibraryNet",
        training={"batch": 8, "lr": 1e-3} | training,
        fixed={"architecture": architecture},
        obeys=("loss", "balance", "augment", "lr"),
        summary=f"{architecture} as MONAI builds it",
        source=source,
    )


resnet = encoder(
    "resnet", "resnet:ResNet", training=ORTHOGONAL, summary="small residual net; the default",
    source="He et al. 2016",
)  # fmt: skip
resnet_attention = encoder(
    "resnet-attention", "resnet:ResNet", training=ORTHOGONAL, fixed={"attention": "both"},
    summary="residual net, its last map refined by attention of places and channels",
    source="He et al. 2016; Fu et al. 2019",
)  # fmt: skip
vgg = encoder(
    "vgg", "classic:VGG", summary="pairs of small kernels", source="Simonyan & Zisserman 2015",
)  # fmt: skip
alexnet = encoder(
    "alexnet", "classic:AlexNet", summary="wide first kernels", source="Krizhevsky et al. 2012",
)  # fmt: skip
squeezenet = encoder(
    "squeezenet", "classic:SqueezeNet", summary="few weights: squeeze and expand",
    source="Iandola et al. 2016",
)  # fmt: skip
shufflenet = encoder(
    "shufflenet", "classic:ShuffleNet", summary="few operations: half the channels, shuffled",
    source="Ma et al. 2018",
)  # fmt: skip
xnornet = encoder(
    "xnornet", "classic:XnorNet", summary="weights and inputs of one bit",
    source="Rastegari et al. 2016",
)  # fmt: skip
densenet = _library("densenet", "densenet121", "Huang et al. 2017; MONAI")
resnet18 = _library("resnet18", "resnet18", "He et al. 2016; MONAI")
resnet50 = _library("resnet50", "resnet50", "He et al. 2016; MONAI")
seresnet = _library("seresnet", "seresnet50", "Hu et al. 2018; MONAI")
efficientnet = _library("efficientnet", "efficientnet-b0", "Tan & Le 2019; MONAI")
integral = encoder(
    "integral", "integral:IntegralNet",
    training={"batch": 2, "lr": 3e-3, "epochs": 20, "muon": 25.0, "clip": 12.0},
    likes={"maps": True}, obeys=("width", "augment", "lr"), table=False, amounts=True,
    summary="sums a soft map, for volumes and amounts; learns from masks where they are the target",
    source="Lempitsky & Zisserman 2010; Ronneberger et al. 2015",
)  # fmt: skip
pca = projected(
    "pca", summary="components of coarse voxels, histogram and table, then ridge or logistic",
    source="Hotelling 1933; Hoerl & Kennard 1970",
)  # fmt: skip
autoencoder = maker(
    "autoencoder", "AutoEncoder", summary="convolutional autoencoder with a code of an eighth",
    source="Hinton & Salakhutdinov 2006",
)  # fmt: skip
super_resolution = maker(
    "super-resolution", "SuperResolution", training={"batch": 4, "lr": 1e-3, "average": 0.99},
    summary="a grid twice as fine: linear interpolation and what convolutions add",
    source="Shi et al. 2016; Lim et al. 2017",
)  # fmt: skip
translator = maker(
    "translator", "Translator", training={"batch": 4}, summary="one contrast out of others",
    source="Ronneberger et al. 2015",
)  # fmt: skip
adversary = maker(
    "adversary", "Adversary", outputs="groups",
    training={"lr": 5e-4, "weight_decay": 0.0, "average": 0.99, "epochs": 200},
    summary="generator and critic that learn from each other, of classes if there are some",
    source="Gulrajani et al. 2017; Ganin & Lempitsky 2015",
)  # fmt: skip
real_images = plain_maker(
    "real-images", "Drawn", summary="draws real images of the training: what copies would score",
    source="a bootstrap",
)  # fmt: skip
pca_images = plain_maker(
    "pca-images", "Components", summary="principal components of whole images",
    source="Bourlard & Kamp 1988",
)  # fmt: skip
cubic = plain_maker(
    "cubic", "Cubic", summary="cubic spline interpolation to a finer grid", source="Unser 1999",
)  # fmt: skip
intensities = plain_maker(
    "intensities", "Intensities", summary="each place by its own intensities, a cubic polynomial",
    source="least squares",
)  # fmt: skip
