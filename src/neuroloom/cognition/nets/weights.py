"""Weights from elsewhere and for elsewhere: PsychRNN's .npz."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroloom.core.errors import DataError
from neuroloom.core.files import write_atomic

if TYPE_CHECKING:
    from neuroloom.cognition.nets.rate import RateRNN

NEEDED = ("W_in", "W_rec", "W_out", "b_rec", "b_out", "init_state")


def read_psychrnn(path: Path | str, tau: float = 100.0) -> RateRNN:
    """Return the rate network that PsychRNN stored: its effective weights, signs and masks.

    Parameters
    ----------
    path
        What PsychRNN's `save` wrote; nothing pickled in it is read.
    tau
        Time constant of the units, ms; the file does not hold it.

    Raises
    ------
    DataError
        If it is no such file, or its arrays do not fit together.

    Examples
    --------
    >>> import tempfile
    >>> from neuroloom.cognition.nets.rate import RateRNN, RateSpec
    >>> file = Path(tempfile.mkdtemp()) / "weights.npz"
    >>> _ = write_psychrnn(RateRNN(RateSpec(2, 6, 1, dale=0.5)), file)
    >>> read_psychrnn(file).recurrent.signs.tolist()
    [1.0, 1.0, 1.0, -1.0, -1.0, -1.0]
    """
    import torch

    from neuroloom.cognition.nets.connection import Connection
    from neuroloom.cognition.nets.rate import RateRNN, RateSpec

    arrays = _read(Path(path))
    units, inputs = arrays["W_in"].shape
    spec = RateSpec(inputs, units, len(arrays["W_out"]), tau=tau, noise=0.0)
    net = RateRNN(spec)
    signs = _signs(arrays)
    parts = {
        "input": ("W_in", "input_connectivity", None if signs is None else np.ones(inputs)),
        "recurrent": ("W_rec", "rec_connectivity", signs),
        "readout": ("W_out", "output_connectivity", None if signs is None else signs > 0),
    }
    for name, (weight, mask, own) in parts.items():
        held = None if own is None else torch.tensor(np.asarray(own, np.float32))
        there = arrays.get(mask)
        setattr(net, name, Connection(
            torch.tensor(arrays[weight]), signs=held,
            mask=None if there is None or (there != 0).all() else torch.tensor(there != 0).float(),
        ))  # fmt: skip
    with torch.no_grad():
        net.bias.copy_(torch.tensor(arrays["b_rec"].ravel()))
        net.out_bias.copy_(torch.tensor(arrays["b_out"].ravel()))
        net.start.copy_(torch.tensor(arrays["init_state"].ravel()))
    return net


def write_psychrnn(net: RateRNN, path: Path) -> Path:
    """Write a rate network's effective weights under the names that PsychRNN reads."""
    signs = net.recurrent.signs
    units = net.spec.units
    dale = np.ones(units) if signs is None else signs.cpu().numpy()
    arrays: dict[str, np.ndarray] = {}
    for name, part, mask in (
        ("W_in", net.input, "input_connectivity"),
        ("W_rec", net.recurrent, "rec_connectivity"),
        ("W_out", net.readout, "output_connectivity"),
    ):
        arrays[name] = part().detach().cpu().numpy()
        there = np.ones(arrays[name].shape) if part.mask is None else part.mask.cpu().numpy()
        arrays[mask] = there.astype(np.float32)
    arrays["b_rec"] = net.bias.detach().cpu().numpy()
    arrays["b_out"] = net.out_bias.detach().cpu().numpy()
    arrays["init_state"] = net.start.detach().cpu().numpy()[None]
    arrays["Dale_rec"] = np.diag(dale).astype(np.float32)
    arrays["Dale_out"] = np.diag(dale > 0).astype(np.float32)

    def save(partial: Path) -> None:
        with partial.open("wb") as handle:
            np.savez(handle, **arrays)  # type: ignore[arg-type]

    return write_atomic(path, save)


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return _checked(path, stored)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} cannot be read as PsychRNN's weights (.npz): {error}. Name the file that its "
            "save() wrote."
        ) from None


def _checked(path: Path, stored: np.lib.npyio.NpzFile) -> dict[str, np.ndarray]:
    missing = [name for name in NEEDED if name not in stored.files]
    if missing:
        raise DataError(
            f"{path} has no array '{missing[0]}'; weights of PsychRNN have {', '.join(NEEDED)}."
        )
    masks = ("Dale_rec", "input_connectivity", "rec_connectivity", "output_connectivity")
    names = [*NEEDED, *(name for name in masks if name in stored.files)]
    arrays = {name: stored[name].astype(np.float32) for name in names}
    units = len(arrays["W_in"])
    wanted = {"W_rec": (units, units), "W_out": (arrays["b_out"].size, units)}
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise DataError(f"{path}: {name} has shape {arrays[name].shape}, expected {shape}.")
    for name in NEEDED:
        if not np.isfinite(arrays[name]).all():
            raise DataError(f"{path}: {name} has values that are not finite.")
    return arrays


def _signs(arrays: dict[str, np.ndarray]) -> np.ndarray | None:
    """Return the signs of the units where the file says that Dale's law held.

    Without Dale's law the file holds the unit matrix, which says that all excite: no law.
    """
    if "Dale_rec" not in arrays:
        return None
    signs = np.sign(np.diag(arrays["Dale_rec"]))
    return signs if (signs < 0).any() else None
