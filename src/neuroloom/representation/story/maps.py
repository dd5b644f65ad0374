"""Maps of what drives the layers of a net, for the report of `representation.extract`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from neuroloom.core.artifact import Shelf
from neuroloom.core.errors import ConfigError
from neuroloom.representation.onnxfile import OnnxNet
from neuroloom.representation.seeing import saliency as seeing
from neuroloom.representation.seeing.fields import receptive_field, used_field, width_of
from neuroloom.representation.seeing.maximise import maximise
from neuroloom.representation.story import figures

if TYPE_CHECKING:
    from neuroloom.representation.extract import Extract, Prepared

KINDS = {"saliency": "plain", "guided": "guided", "smooth": "smooth"}
TITLES = {
    "grad-cam": "Grad-CAM",
    "saliency": "Saliency",
    "guided": "Guided backpropagation",
    "smooth": "SmoothGrad",
    "occlusion": "Occlusion",
}


def add_maps(recipe: Extract, shelf: Shelf, prepared: Prepared) -> None:
    """Add maps, receptive fields and synthetic stimuli, as far as they were asked for."""
    if isinstance(prepared.net.module, OnnxNet):
        return
    shown = min(recipe.shown, len(prepared.stimuli))
    x = prepared.stimuli.batch(range(shown), prepared.net.transform)
    for kind in dict.fromkeys(recipe.maps):
        _add_kind(recipe, shelf, prepared, x, kind)
    if recipe.fields:
        _add_fields(shelf, prepared, x)
    if recipe.synthesise:
        _add_synthetic(recipe, shelf, prepared, x)


def maps_of(prepared: Prepared, x: np.ndarray, kind: str, seed: int) -> dict[str, np.ndarray]:
    """Return maps (stimulus, *places) by layer: what drives the channel that responds most.

    Parameters
    ----------
    kind
        "grad-cam" explains the last layer by each layer with places; the others explain each layer.
    """
    from neuroloom.representation.layers import record

    module, layers = prepared.net.module, prepared.layers
    answers = next(record(module, layers, [x]))
    channels = {
        layer: values.reshape(*values.shape[:2], -1).mean(2).argmax(1).tolist()
        for layer, values in answers.items()
        if values.ndim > 1
    }
    last = layers[-1]
    rng = np.random.default_rng(seed)
    if kind == "grad-cam":
        with_places = [name for name in layers if answers[name].ndim == x.ndim and name != last]
        with_places = with_places or [last]
        return {
            name: seeing.grad_cam(module, x, name, channels[last], unit_layer=last)
            for name in with_places
        }
    if kind == "occlusion":
        return {last: seeing.occlusion(module, x, last, channels[last])}
    return {
        name: seeing.over_places(
            seeing.saliency(module, x, name, channels[name], method=KINDS[kind], rng=rng)
        )
        for name in layers
        if name in channels
    }


def _add_kind(recipe: Extract, shelf: Shelf, prepared: Prepared, x: np.ndarray, kind: str) -> None:
    try:
        found = maps_of(prepared, x, kind, recipe.seed)
    except ConfigError as error:
        shelf.add_text(f"maps-{kind}", str(error), title=TITLES[kind], section="where")
        return
    np.savez(shelf.folder / f"maps-{kind}.npz", **found)  # type: ignore[arg-type]
    pictures = [prepared.stimuli.picture(k) for k in range(len(x))]
    rows = [("stimulus", pictures)]
    rows += [(layer, [_flat(one) for one in maps]) for layer, maps in found.items()]
    shelf.add_figure(
        f"maps-{kind}", figures.picture_rows(rows, len(x)), title=TITLES[kind], section="where",
        caption="Bright places drive the channel that responds most to the stimulus. The maps are "
        f"in artifacts/maps-{kind}.npz.",
        alt=f"{TITLES[kind]} of {len(found)} layers for {len(x)} stimuli",
    )  # fmt: skip


def _flat(values: np.ndarray) -> np.ndarray:
    """Return a map as a picture: traces as a band, the middle of volumes."""
    while values.ndim > 2:
        values = values[..., values.shape[-1] // 2]
    return values if values.ndim == 2 else values[None]


def _add_fields(shelf: Shelf, prepared: Prepared, x: np.ndarray) -> None:
    known = prepared.table.set_index("layer")
    rows = []
    for layer in prepared.layers:
        if known.loc[layer, "shape"].count("x") != x.ndim - 2:
            continue
        field = receptive_field(prepared.net.module, layer, x.shape[1:])
        used = used_field(prepared.net.module, layer, x)
        rows.append(
            {
                "layer": layer,
                "can see": " x ".join(map(str, field.sizes)),
                "whole stimulus": all(field.whole),
                "uses": " x ".join(map(str, width_of(used))),
            }
        )
    if rows:
        shelf.add_table(
            "fields", pd.DataFrame(rows), title="Receptive fields", section="where",
            caption="Of the unit in the middle, in places of the stimulus: what it can depend on, "
            "and what holds 95 % of its gradient over the first stimuli.",
        )  # fmt: skip


def _add_synthetic(recipe: Extract, shelf: Shelf, prepared: Prepared, x: np.ndarray) -> None:
    layer, made = prepared.layers[-1], []
    for channel in range(recipe.synthesise):
        try:
            best, climb = maximise(
                prepared.net.module, x.shape[1:], layer, channel, seed=recipe.seed
            )
        except ConfigError:
            break
        made.append((f"channel {channel}: {climb[0]:.3g} to {climb[-1]:.3g}", best))
    if not made:
        return
    np.savez(shelf.folder / "synthetic.npz", *(best for _, best in made))
    rows = [(name, [_picture(best)]) for name, best in made]
    shelf.add_figure(
        "synthetic", figures.picture_rows(rows, 1), title=f"Made to drive {layer}",
        section="where", caption="By ascent from noise; the numbers are the responses at its "
        "beginning and its end.", alt=f"Synthetic stimuli of {len(rows)} channels",
    )  # fmt: skip


def _picture(best: np.ndarray) -> np.ndarray:
    if best.ndim == 3 and best.shape[0] == 3:
        low, high = best.min(), best.max()
        return np.asarray((best.transpose(1, 2, 0) - low) / max(float(high - low), 1e-9))
    return _flat(best.mean(0))
