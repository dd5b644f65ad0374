"""Nets in ONNX files: any inner value becomes an output, and is read like a layer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neuroloom.core.errors import ConfigError, DataError


class OnnxNet:
    """An ONNX file whose layers can be read.

    Parameters
    ----------
    path
        The file.
    threads
        Of the runtime; its own choice if 0.

    Attributes
    ----------
    shape
        Of the input; 0 where it is free.
    layers
        Name of a node -> name of the value that it makes.

    Raises
    ------
    ConfigError, DataError
        If onnx or onnxruntime are not installed; the file cannot be read.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        try:
            import onnx
        except ImportError as error:
            raise ConfigError(
                f"{path.name} needs the packages onnx and onnxruntime: pip install onnx "
                "onnxruntime."
            ) from error
        if not path.is_file():
            raise ConfigError(f"model: there is no file {path}.")
        try:
            self.model: Any = onnx.load(str(path))
            onnx.checker.check_model(self.model)
        except Exception as error:
            reason = (str(error).splitlines() or ["empty"])[0]
            raise DataError(f"{path.name}: is no ONNX file that can be read ({reason}).") from error
        self.path, self.threads = path, threads
        self.opset = int(self.model.opset_import[0].version)
        weights = {one.name for one in self.model.graph.initializer}
        self.input = next(x for x in self.model.graph.input if x.name not in weights)
        dims = self.input.type.tensor_type.shape.dim
        self.shape = tuple(int(dim.dim_value) for dim in dims)
        self.layers = {
            node.name or node.output[0]: node.output[0]
            for node in self.model.graph.node
            if node.op_type != "Constant"
        }
        self.kinds = {node.name or node.output[0]: node.op_type for node in self.model.graph.node}
        self._sessions: dict[tuple[str, ...], Any] = {}

    @property
    def fixed_batch(self) -> int:
        """How many stimuli the file insists on at a time; 0 if it does not."""
        return self.shape[0] if self.shape and self.shape[0] > 1 else 0

    def run(self, x: np.ndarray, layers: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the values of layers for stimuli (n, …).

        Raises
        ------
        DataError
            If the stimuli do not fit the input.
        """
        session = self._session(tuple(layers))
        values = [self.layers[name] for name in layers]
        try:
            found = session.run(list(dict.fromkeys(values)), {self.input.name: x})
        except Exception as error:
            raise DataError(
                f"{self.path.name} expects stimuli of the shape {self.shape}, got {x.shape} "
                f"({str(error).splitlines()[0]})."
            ) from error
        by_value = dict(zip(dict.fromkeys(values), found, strict=True))
        return {name: np.asarray(by_value[self.layers[name]]) for name in layers}

    def _session(self, layers: tuple[str, ...]) -> Any:
        if layers not in self._sessions:
            import onnx
            import onnxruntime

            model = onnx.ModelProto()
            model.CopyFrom(self.model)
            known = {out.name for out in model.graph.output}
            for name in dict.fromkeys(self.layers[layer] for layer in layers):
                if name not in known:
                    model.graph.output.append(onnx.ValueInfoProto(name=name))
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            # Fusing would do away with the inner values that are asked for.
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
            options.intra_op_num_threads = self.threads
            self._sessions[layers] = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        return self._sessions[layers]
