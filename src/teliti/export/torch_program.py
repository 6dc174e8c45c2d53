"""An exported ONNX graph as a torch program: one file that torch runs without Teliti and ONNX.

A bundle keeps its network as ONNX only, whatever it was trained from, so the program is made from that graph: a module
that works through its nodes, which `torch.export` records as plain torch operators. What the graph says beyond the
operators in `torch_operators` is refused by name.
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from teliti.errors import BundleError, UserError
from teliti.export.torch_operators import OPERATORS, SQUARE, Value, as_tensor
from teliti.export.torch_session import TorchSession
from teliti.files import write_bytes_atomic
from teliti.types import Record

FACTS_FILE = "teliti.json"
"""Name of the extra file in a `.pt2` archive that says what stands beside the network."""
_FEW = 8


class OnnxModule(nn.Module):
    """A graph of ONNX as a torch module.

    Args:
        graph: With one input; weights inside.

    Raises:
        UserError: the graph has an operator that is not known here.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        super().__init__()
        unknown = sorted({node.op_type for node in graph.node} - {*OPERATORS, "Constant"})
        if unknown or any(node.domain not in {"", "ai.onnx"} for node in graph.node):
            raise UserError(
                f"The network must be of operators that --to torch knows, and has {', '.join(unknown) or 'others'}.",
                hint="Use --to onnx or --to openvino.",
            )
        self._constants: dict[str, Value] = {}
        self._steps: list[tuple[str, list[str], str, dict[str, Any]]] = []
        for tensor in graph.initializer:
            self._keep(tensor.name, numpy_helper.to_array(tensor))
        twos = {one.name for one in graph.initializer if _is_two(numpy_helper.to_array(one))}
        for node in graph.node:
            attributes = {one.name: _plain(onnx.helper.get_attribute_value(one)) for one in node.attribute}
            if node.op_type == "Constant":
                self._keep(node.output[0], numpy_helper.to_array(attributes["value"]))
            else:
                attributes.pop("auto_pad", None)  # the exporter writes every border
                squares = node.op_type == "Pow" and node.input[1] in twos
                kind, inputs = (SQUARE, [node.input[0]]) if squares else (node.op_type, list(node.input))
                self._steps.append((kind, inputs, node.output[0], attributes))
        self._input = graph.input[0].name
        self._outputs = [output.name for output in graph.output]

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(N, H, W, 3) uint8 to the graph's outputs by name."""
        values: dict[str, Value] = {"": None, self._input: image}
        for name, value in self._constants.items():
            values[name] = getattr(self, value) if isinstance(value, str) else value
        for kind, inputs, output, attributes in self._steps:
            values[output] = OPERATORS[kind](*(values[name] for name in inputs), **attributes)
        return {name: as_tensor(values[name]) for name in self._outputs}

    def _keep(self, name: str, array: np.ndarray[Any, Any]) -> None:
        """Numbers as a buffer; few whole ones, which are sizes and axes, as what they are."""
        if array.dtype == np.int64 and array.ndim <= 1 and array.size <= _FEW:
            self._constants[name] = array.tolist()
            return
        buffer = f"constant_{len(self._constants)}"
        self.register_buffer(buffer, torch.from_numpy(np.array(array)))
        self._constants[name] = buffer


def write_torch(model: bytes, path: Path, *, facts: Record) -> Path:
    """Write a graph as a torch program with the facts in the archive.

    Args:
        model: A serialised ONNX model whose input is `image`, (N, H, W, 3) uint8, with H and W fixed.
        path: The `.pt2` file.
        facts: From `formats.describe_inspector`.

    Raises:
        UserError: the graph has an operator that is not known here.
        StorageError: the disk is full or the folder is not writable.
    """
    proto = onnx.load_from_string(model)
    shape = [dim.dim_value for dim in proto.graph.input[0].type.tensor_type.shape.dim]
    example = torch.zeros((2, *shape[1:]), dtype=torch.uint8)
    archive = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            OnnxModule(proto.graph).eval(), (example,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},)
        )
        torch.export.save(program, archive, extra_files={FACTS_FILE: json.dumps(facts, sort_keys=True)})
    write_bytes_atomic(path, archive.getvalue())
    return path


def read_torch_facts(path: Path) -> Record:
    """The facts in a `.pt2` archive, as `write_torch` put them there; the program is not opened."""
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith(f"/{FACTS_FILE}"))
        facts: Record = json.loads(archive.read(name))
    return facts


def open_program(path: Path, *, threads: int) -> TorchSession:
    """A program that `write_torch` wrote. Only such a file may be given: torch trusts its content.

    Args:
        path: The `.pt2` file.
        threads: How many calls may run at once; more wait.

    Raises:
        BundleError: the file is not a program that this torch can load.
    """
    try:
        program = torch.export.load(path)
    except Exception as error:
        raise BundleError(
            f'"{path}" could not be loaded: {(str(error).splitlines() or [type(error).__name__])[0]}',
            hint="Export it again.",
        ) from error
    modules = [program.module() for _ in range(threads)]  # each call has one of its own, all share their weights
    return TorchSession(modules, (str(name) for name in program.call_spec.out_spec.context))


def open_graph(path: Path, *, threads: int) -> TorchSession:
    """An ONNX graph, computed by torch.

    Args:
        path: The ONNX file.
        threads: How many calls may run at once; more wait.

    Raises:
        UserError: the graph has an operator that is not known here.
    """
    graph = onnx.load(path).graph
    module = OnnxModule(graph).eval()  # keeps nothing between calls
    return TorchSession([module] * threads, (output.name for output in graph.output))


def _is_two(array: np.ndarray[Any, Any]) -> bool:
    return array.size == 1 and float(array.reshape(-1)[0]) == 2.0


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
