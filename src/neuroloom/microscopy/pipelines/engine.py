"""A pipeline is data: a list of steps with their parameters, checked before it runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroloom.core.errors import ConfigError, DataError, nearest
from neuroloom.microscopy.pipelines import filters, masks, objects, smooth

Steps = Sequence[Mapping[str, Any]]
WORDS = ("do", "on", "as", "with")


@dataclass(frozen=True)
class Step:
    """What a step does: a function, what it takes and what it gives.

    Kinds are "image", "mask", "labels" and "objects" (a mask or labels); "same" gives what it took.
    `second` names the parameter that takes an earlier result, by `with`.
    """

    function: Callable[..., NDArray[Any]]
    takes: str
    gives: str
    second: str = ""
    second_kind: str = "image"


def union(mask: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    """Return what lies in either mask.

    Examples
    --------
    >>> union(np.array([True, False]), np.array([False, False])).tolist()
    [True, False]
    """
    return (mask > 0) | (other > 0)


def intersection(mask: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    """Return what lies in both masks.

    Examples
    --------
    >>> intersection(np.array([True, True]), np.array([True, False])).tolist()
    [True, False]
    """
    return (mask > 0) & (other > 0)


def difference(mask: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    """Return what lies in the first mask only.

    Examples
    --------
    >>> difference(np.array([True, True]), np.array([True, False])).tolist()
    [False, True]
    """
    return (mask > 0) & ~(other > 0)


STEPS: dict[str, Step] = {
    "normalise": Step(smooth.normalise, "image", "image"),
    "stretch": Step(smooth.stretch, "image", "image"),
    "compress": Step(smooth.compress, "image", "image"),
    "smooth": Step(smooth.smooth, "image", "image"),
    "smooth_edges": Step(smooth.smooth_edges, "image", "image"),
    "spot_response": Step(filters.spot_response, "image", "image"),
    "vesselness": Step(filters.vesselness, "image", "image"),
    "spots": Step(filters.spots, "image", "mask"),
    "filaments": Step(filters.filaments, "image", "mask"),
    "threshold": Step(masks.threshold, "image", "mask"),
    "masked_threshold": Step(masks.masked_threshold, "image", "mask"),
    "local_threshold": Step(masks.local_threshold, "image", "mask"),
    "local_foreground": Step(objects.local_foreground, "image", "mask"),
    "fill_holes": Step(masks.fill_holes, "mask", "mask"),
    "remove_small": Step(masks.remove_small, "objects", "same"),
    "thin": Step(masks.thin, "mask", "mask"),
    "union": Step(union, "mask", "mask", "other", "mask"),
    "intersection": Step(intersection, "mask", "mask", "other", "mask"),
    "difference": Step(difference, "mask", "mask", "other", "mask"),
    "number": Step(objects.number_objects, "mask", "labels"),
    "cut": Step(objects.cut, "mask", "labels"),
    "split": Step(objects.split, "mask", "labels", "image"),
    "tighten": Step(objects.tighten, "labels", "labels", "image"),
}


def check_steps(steps: Steps, name: str = "pipeline") -> str:
    """Check a pipeline without running it; return the kind of its result.

    Raises
    ------
    ConfigError
        If a step, a parameter or a name is unknown, a step gets what it cannot take, or the
        result is no mask and no labels. The message names the step.

    Examples
    --------
    >>> check_steps([{"do": "threshold"}, {"do": "number"}])
    'labels'
    """
    kinds = {"image": "image"}
    kind = "image"
    for place, words in enumerate(steps, start=1):
        where = f"{name}, step {place}"
        step = _known(words, where)
        source = str(words.get("on", ""))
        kind = _kind_of(source, kinds, where) if source else kind
        _fits(step.takes, kind, where, str(words["do"]))
        _check_second(step, words, kinds, where)
        _check_parameters(step, words, where)
        kind = kind if step.gives == "same" else step.gives
        if "as" in words:
            kinds[str(words["as"])] = kind
    if kind == "image":
        raise ConfigError(f"{name}: it ends in an image; end it in a mask or labels (threshold …).")
    return kind


def _known(words: Mapping[str, Any], where: str) -> Step:
    if not isinstance(words, Mapping) or "do" not in words:
        raise ConfigError(f"{where}: must be a mapping with 'do: NAME', got {words!r}.")
    name = str(words["do"])
    if name not in STEPS:
        raise ConfigError(
            f"{where}: no step is called '{name}'.{nearest(name, STEPS)} Known: {', '.join(STEPS)}."
        )
    return STEPS[name]


def _kind_of(source: str, kinds: Mapping[str, str], where: str) -> str:
    if source not in kinds:
        raise ConfigError(
            f"{where}: nothing is called '{source}' so far.{nearest(source, kinds)} Known: "
            f"{', '.join(kinds)}; an earlier step gets a name by 'as'."
        )
    return kinds[source]


def _fits(wanted: str, kind: str, where: str, name: str) -> None:
    fits = kind in ("mask", "labels") if wanted in ("objects", "mask") else kind == wanted
    if not fits:
        raise ConfigError(f"{where}: '{name}' takes {wanted}, but gets {kind} from before it.")


def _check_second(
    step: Step, words: Mapping[str, Any], kinds: Mapping[str, str], where: str
) -> None:
    if step.second:
        source = str(words.get("with", "image"))
        _fits(step.second_kind, _kind_of(source, kinds, where), where, f"{words['do']} with")
    elif "with" in words:
        raise ConfigError(f"{where}: '{words['do']}' takes no second input ('with').")


def _check_parameters(step: Step, words: Mapping[str, Any], where: str) -> None:
    known = list(inspect.signature(step.function).parameters)[1:]
    known = [name for name in known if name not in ("spacing", step.second)]
    for name in words:
        if name not in WORDS and name not in known:
            listed = ", ".join(known) or "none"
            raise ConfigError(
                f"{where}: '{words['do']}' has no parameter '{name}'.{nearest(name, known)} "
                f"Known: {listed}."
            )


def run_pipeline(
    pipeline: str | Steps, image: ArrayLike, spacing: Sequence[float] | None = None
) -> NDArray[Any]:
    """Segment an image by a named pipeline, or by steps of your own.

    Parameters
    ----------
    pipeline
        A name in `PIPELINES`, or steps: each a mapping with `do` (what), its parameters, and where
        needed `on` (an earlier result by name, or "image"; default: the last one), `with` (a second
        input) and `as` (a name for the result). Lengths are in pixels of the last axis.
    image
        One channel, shape (y, x) or (z, y, x).
    spacing
        Of the axes, any one unit: filters reach over fewer of the coarser pixels.

    Returns
    -------
    A mask (bool), or labels (int32), of the image's shape; empty where the image is flat.

    Raises
    ------
    ConfigError
        If the pipeline does not hold together; nothing is computed then.
    DataError
        If the image has other axes, or NaN.

    Examples
    --------
    >>> y, x = np.mgrid[:64, :64]
    >>> image = 100.0 * (np.hypot(y - 20, x - 20) < 9) + 50.0 * (np.hypot(y - 45, x - 45) < 9)
    >>> run_pipeline("nuclei", image).max()
    np.int32(2)
    >>> steps = [{"do": "smooth", "sigma": 1.0}, {"do": "threshold", "method": "otsu"}]
    >>> run_pipeline(steps, image).dtype
    dtype('bool')
    """
    from neuroloom.microscopy.pipelines.named import steps_of

    name = pipeline if isinstance(pipeline, str) else "pipeline"
    steps = steps_of(pipeline) if isinstance(pipeline, str) else pipeline
    kind = check_steps(steps, name)
    first = _checked(image, spacing)
    if np.ptp(first) == 0:
        return np.zeros(first.shape, np.int32 if kind == "labels" else bool)
    grid = tuple(spacing or (1.0,) * first.ndim)
    kept: dict[str, NDArray[Any]] = {"image": first}
    current: NDArray[Any] = first
    for words in steps:
        current = _take(STEPS[words["do"]], words, kept.get(words.get("on", ""), current), kept,
                        grid)  # fmt: skip
        if "as" in words:
            kept[words["as"]] = current
    return current.astype(np.int32) if kind == "labels" else current > 0


def _checked(image: ArrayLike, spacing: Sequence[float] | None) -> NDArray[np.float64]:
    array = np.asarray(image, float)
    if array.ndim not in (2, 3):
        raise DataError(f"A pipeline takes one channel (y, x) or (z, y, x), got {array.shape}.")
    if spacing is not None and len(spacing) != array.ndim:
        raise DataError(f"The image has {array.ndim} axes, but spacing has {len(spacing)}.")
    if not np.isfinite(array).all():
        raise DataError("The image holds NaN or infinite values; replace them first.")
    return array


def _take(
    step: Step,
    words: Mapping[str, Any],
    current: NDArray[Any],
    kept: Mapping[str, NDArray[Any]],
    grid: tuple[float, ...],
) -> NDArray[Any]:
    parameters = {name: value for name, value in words.items() if name not in WORDS}
    if step.second:
        parameters[step.second] = kept[words.get("with", "image")]
    if "spacing" in inspect.signature(step.function).parameters:
        parameters["spacing"] = grid
    if step.takes == "mask":
        current = current > 0
    return step.function(current, **parameters)


def read_pipeline(path: str | Path) -> list[dict[str, Any]]:
    r"""Return the steps of a pipeline written as YAML: a list, or a mapping with `steps`.

    Raises
    ------
    ConfigError
        If it cannot be read, or does not hold together.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "dots.yaml"
    >>> _ = file.write_text("- {do: normalise}\n- {do: spots, scales: [[1.0, 0.1]]}\n")
    >>> read_pipeline(file)[1]["scales"]
    [[1.0, 0.1]]
    """
    import yaml

    path = Path(path)
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path.name} is no pipeline that can be read: {error}") from None
    steps = found.get("steps") if isinstance(found, dict) else found
    if not isinstance(steps, list) or not steps:
        raise ConfigError(f"{path.name}: a pipeline is a list of steps, '- do: NAME' each.")
    check_steps(steps, path.name)
    return steps
