"""Features on disk: written as they come, read a piece at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

import numpy as np

from neuroloom.core.errors import ConfigError

FORMATS = ("npy", "hdf5", "zarr")


class FeatureWriter(AbstractContextManager["FeatureWriter"]):
    """Write features of layers, batch after batch, so that memory does not grow with stimuli.

    Parameters
    ----------
    folder
        Where to: `<layer>.npy` each, or `features.h5`, or `features.zarr` with an array a layer.
    count
        How many stimuli there will be.
    format
        One of `FORMATS`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with FeatureWriter(Path(folder), 4) as writer:
    ...         for part in (np.zeros((3, 2)), np.ones((1, 2))):
    ...             writer.write({"fc": part})
    ...     np.load(Path(folder) / "fc.npy").sum()
    np.float64(2.0)
    """

    def __init__(self, folder: Path, count: int, format: str = "npy") -> None:
        if format not in FORMATS:
            raise ConfigError(f"format={format}; expected one of {', '.join(FORMATS)}.")
        self.folder, self.count, self.format = Path(folder), count, format
        self.folder.mkdir(parents=True, exist_ok=True)
        self.files: dict[str, str] = {}
        self._done: dict[str, int] = {}
        self._open: dict[str, Any] = {}
        self._root: Any = None

    def write(self, features: Mapping[str, np.ndarray]) -> None:
        """Append a batch: layer -> (n, …)."""
        for layer, values in features.items():
            if layer not in self._open:
                self._begin(layer, values)
            start = self._done[layer]
            if self.format == "npy":
                self._open[layer].write(np.ascontiguousarray(values).data)
            else:
                self._open[layer][start : start + len(values)] = values
            self._done[layer] = start + len(values)

    def _begin(self, layer: str, values: np.ndarray) -> None:
        shape = (self.count, *values.shape[1:])
        self._done[layer] = 0
        if self.format == "npy":
            path = self.folder / f"{file_name(layer, set(self.files.values()))}.npy"
            handle: IO[bytes] = path.open("wb")
            header = {"descr": values.dtype.str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(handle, header)
            self._open[layer], self.files[layer] = handle, path.name
            return
        if self._root is None:
            self._root = self._container()
        chunk = (min(self.count, max(1, len(values))), *values.shape[1:])
        key = layer.replace("/", ".")
        make = self._root.create_dataset if self.format == "hdf5" else self._root.create_array
        self._open[layer] = make(key, shape=shape, dtype=values.dtype, chunks=chunk)
        self.files[layer] = f"features.{'h5' if self.format == 'hdf5' else 'zarr'}::{key}"

    def _container(self) -> Any:
        if self.format == "hdf5":
            import h5py

            return h5py.File(self.folder / "features.h5", "w")
        import zarr

        return zarr.open_group(str(self.folder / "features.zarr"), mode="w")

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        if self.format == "npy":
            for handle in self._open.values():
                handle.close()
        elif self.format == "hdf5" and self._root is not None:
            self._root.close()


def file_name(layer: str, taken: set[str] | None = None) -> str:
    """Return a layer's name as the name of a file on any system.

    Examples
    --------
    >>> file_name("/layer1/Conv:0")
    'layer1-Conv-0'
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", layer).strip("-.") or "layer"
    known = {one.removesuffix(".npy").lower() for one in taken or ()}
    tries = (name, *(f"{name}-{k}" for k in range(2, 10000)))
    return next(one for one in tries if one.lower() not in known)


def open_array(path: Path, key: str = "") -> Any:
    """Return features of a file as something that is sliced like an array, read when asked for.

    Parameters
    ----------
    path
        A `.npy`, or an HDF5 or Zarr container.
    key
        The array inside a container.
    """
    if path.suffix == ".npy":
        return np.load(path, mmap_mode="r", allow_pickle=False)
    if path.suffix == ".zarr":
        import zarr

        return zarr.open_group(str(path), mode="r")[key]
    import h5py

    # Stays open as long as the array is held.
    return h5py.File(path, "r")[key]
