"""From torch modules to ONNX graphs: export one module, and put a head behind an exported backbone."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import onnx
import torch
from onnx import compose
from torch import Tensor, nn

_BATCH = "batch"
_OWN, _PARTNER = "own/", "partner/"
HEAD_PREFIX = "head/"
"""Of the names of everything behind the features, and of what is computed in float64 before: the head of a partner."""


def export_module(module: nn.Module, example: Tensor, *, input_name: str, output_names: Sequence[str]) -> bytes:
    """A module of one input as a serialised ONNX graph with a free batch size.

    Args:
        module: In evaluation mode, float32.
        example: (N, ...) with N >= 2; all other sizes are fixed by it.
        input_name: Name of the graph's input.
        output_names: Names of its outputs, in order.

    Returns:
        The serialised model, weights inside.
    """
    shapes = ({0: torch.export.Dim(_BATCH, min=1)},)
    with _quiet(), _out_of_place(module), _kept_table():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            input_names=[input_name],
            output_names=list(output_names),
            dynamic_shapes=shapes,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    model: onnx.ModelProto = program.model_proto
    _drop_traces(model.graph)
    return bytes(model.SerializeToString())


def append_head(backbone: bytes, head: bytes, *, metadata: Mapping[str, str]) -> bytes:
    """One graph from a backbone (`image` to `features`) and a head (`features` to the rest).

    Args:
        backbone: Serialised graph with the output `features`.
        head: Serialised graph with the input `features`.
        metadata: Written into the model's metadata properties.

    Returns:
        The serialised model; outputs are `features`, then the head's.
    """
    first, second = onnx.load_from_string(backbone), onnx.load_from_string(head)
    _mark_exact(first)
    outputs = [output.name for output in second.graph.output]
    second = compose.add_prefix(second, HEAD_PREFIX, rename_inputs=False, rename_outputs=False)
    merged = _merge(first, second, io_map=[("features", "features")], outputs=[*outputs, "features"])
    onnx.helper.set_model_props(merged, dict(metadata))
    onnx.checker.check_model(merged)
    return bytes(merged.SerializeToString())


def append_partner(backbone: bytes, partner: bytes, partner_head: bytes) -> bytes:
    """One graph from a backbone and another classifier that looks at the same photos.

    Args:
        backbone: Serialised graph, `image` to `features` (N, D).
        partner: Serialised graph, `image` to its own `features`.
        partner_head: Serialised graph, the partner's `features` to `logits` (N, K).

    Returns:
        The serialised model, `image` to `features` (N, D + K): the backbone's, then the partner's logits.
    """
    behind = compose.add_prefix(
        onnx.load_from_string(partner_head), HEAD_PREFIX, rename_inputs=False, rename_outputs=False
    )
    second = _merge(onnx.load_from_string(partner), behind, io_map=[("features", "features")], outputs=["logits"])
    second, first = compose.add_prefix(second, _PARTNER), onnx.load_from_string(backbone)
    first = compose.add_prefix(
        first, _OWN, rename_nodes=False, rename_edges=False, rename_inputs=False, rename_initializers=False,
        rename_value_infos=False, rename_functions=False,
    )  # fmt: skip
    merged = _merge(first, second, io_map=[])
    graph = merged.graph
    (image, other), (features, logits) = graph.input, graph.output
    for node in graph.node:
        node.input[:] = [image.name if name == other.name else name for name in node.input]
    rows, *sizes = (
        features.type.tensor_type.shape.dim[0],
        *(output.type.tensor_type.shape.dim[1].dim_value for output in (features, logits)),
    )
    joined = onnx.helper.make_node("Concat", [features.name, logits.name], ["features"], name="features", axis=1)
    graph.node.append(joined)
    shape = [rows.dim_param or rows.dim_value, sum(sizes)]
    del graph.input[1:], graph.output[:]
    graph.output.append(onnx.helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, shape))
    onnx.checker.check_model(merged)
    return bytes(merged.SerializeToString())


def _merge(
    first: onnx.ModelProto, second: onnx.ModelProto, *, io_map: list[tuple[str, str]],
    outputs: list[str] | None = None,
) -> onnx.ModelProto:  # fmt: skip
    first.ir_version = second.ir_version = max(first.ir_version, second.ir_version)
    merged = compose.merge_models(first, second, io_map=io_map, outputs=outputs, producer_name="teliti")
    del merged.metadata_props[:]
    operators = {entry.domain: entry.version for entry in merged.opset_import}  # both graphs brought theirs
    del merged.opset_import[:]
    merged.opset_import.extend(onnx.helper.make_opsetid(*entry) for entry in operators.items())
    return merged


def _mark_exact(model: onnx.ModelProto) -> None:
    """Name what is computed in float64 like a head's layers: a quantiser must leave it as it is."""
    typed = onnx.shape_inference.infer_shapes(model).graph
    exact = {value.name for value in typed.value_info if value.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE}
    exact |= {array.name for array in typed.initializer if array.data_type == onnx.TensorProto.DOUBLE}
    for node in model.graph.node:
        if not exact.isdisjoint((*node.input, *node.output)):
            node.name = f"{HEAD_PREFIX}before/{node.name}"


def _drop_traces(graph: onnx.GraphProto) -> None:
    """The exporter notes source lines with this machine's paths: no part of the network, and no two machines agree."""
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]


@contextlib.contextmanager
def _out_of_place(module: nn.Module) -> Iterator[None]:
    """Layers that overwrite their input do not for a while: torch takes a tenth of a second to undo each one's.

    EfficientNet-Lite0 is exported in 8 s so and in 15 s otherwise (two cores with AVX2), to the same operators.
    """
    layers: list[Any] = [layer for layer in module.modules() if getattr(layer, "inplace", False) is True]
    try:
        for layer in layers:
            layer.inplace = False
        yield
    finally:
        for layer in layers:
            layer.inplace = True


_tables: dict[tuple[Any, ...], Any] = {}  # of this process


@contextlib.contextmanager
def _kept_table() -> Iterator[None]:
    """The exporter's table of operators is made once a process, not for each graph: a second of the 1.6 of a head's.

    It is only read while there are no operators of one's own. A torch without this class makes its tables as it likes.
    """
    try:
        registry: Any = importlib.import_module("torch.onnx._internal.exporter._registration").ONNXRegistry
        make = registry.__dict__["from_torchlib"]
    except (ImportError, AttributeError, KeyError):
        yield
        return

    def kept(*version: Any, **named: Any) -> Any:
        key = (*version, *named.items())
        if key not in _tables:
            _tables[key] = make.__get__(None, registry)(*version, **named)
        return _tables[key]

    registry.from_torchlib = staticmethod(kept)
    try:
        yield
    finally:
        registry.from_torchlib = make


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)
