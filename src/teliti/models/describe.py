"""What a network is made of: one row a layer with its output size, parameters, multiply-adds and memory.

The network runs once on torch's meta device, where sizes are worked out and nothing is computed, so that any network
can be described in moments and without its memory. Multiply-adds come from torch's own counter, which counts two
operations for each; papers, and this table, count one.
"""

from __future__ import annotations

from collections import Counter
from math import prod

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from teliti.models.layers import SameAvgPool2d, SamePad2d
from teliti.models.networks import Network, head_parameters
from teliti.types import Record

FORMULA = "floor((N + 2 pad - d (F - 1) - 1) / stride) + 1"
UNITS = {
    "output": f"channels x height x width; each length is {FORMULA}",
    "multiply_adds": "one per multiply-add, for one photo (FLOPs count two)",
    "bytes": "float32; activations are the outputs of every layer for one photo",
}
_FLOAT32_BYTES = 4
_WINDOWED = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, SameAvgPool2d)


def describe_network(network: Network, *, in_channels: int | None = None) -> Record:
    """The table of a network's layers, and its totals.

    Args:
        network: On any device; it is left as it was.
        in_channels: Of the photo; those it was built for when unset.

    Returns:
        `input` [C, H, W]; `layers`, in the order in which they run: layer and module (its short and its full name),
        kind, setting, output (without the batch), parameters, parameters_without_bias, statistics (running means and
        variances), multiply_adds and activation_bytes; `totals` of these, parameter_bytes and head_parameters;
        `units` in words.
    """
    channels = in_channels or len(network.mean)
    shape = (channels, *network.facts.image_size)
    calls, counted = _run_on_paper(network, shape)
    seen: set[int] = set()
    rows = []
    for name, module, output in calls:
        own = 0 if id(module) in seen else _own_multiply_adds(name, module, counted)
        is_leaf = not any(True for _ in module.children()) and not isinstance(module, nn.Identity)
        if is_leaf or own or _count(module, recurse=False):
            rows.append(_row(name, module, output, multiply_adds=own, is_first=id(module) not in seen))
        seen.add(id(module))
    totals = {key: sum(row[key] for row in rows) for key in _SUMMED}
    return {
        "input": list(shape),
        "outputs": calls[0][2][-1],
        "layers": rows,
        "totals": {
            **totals,
            "head_parameters": sum(parameter.numel() for parameter in head_parameters(network)),
            "parameter_bytes": _FLOAT32_BYTES * (totals["parameters"] + totals["statistics"]),
        },
        "units": UNITS,
    }


_SUMMED = ("parameters", "parameters_without_bias", "statistics", "multiply_adds", "activation_bytes")
_Call = tuple[str, nn.Module, tuple[int, ...]]


def _run_on_paper(network: Network, shape: tuple[int, ...]) -> tuple[list[_Call], Counter[str]]:
    """Every call of a module in the order of its start, and multiply-adds by module name ("" for all)."""
    calls: list[_Call] = []

    open_calls: list[int] = []

    def begin(name: str, module: nn.Module) -> None:
        open_calls.append(len(calls))
        calls.append((name, module, ()))

    def end(output: object) -> None:
        place = open_calls.pop()
        if isinstance(output, Tensor):
            calls[place] = (*calls[place][:2], tuple(output.shape[1:]))

    handles = []
    for name, module in network.named_modules():
        handles.append(module.register_forward_pre_hook(lambda module, _, name=name: begin(name, module)))
        handles.append(module.register_forward_hook(lambda _, __, output: end(output)))
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    on_paper = {name: tensor.detach().to("meta") for name, tensor in tensors.items()}
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), torch.device("meta"), counter:
            functional_call(network, on_paper, (torch.empty(1, *shape),))
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes:
            module.training = mode
    root = type(network).__name__
    counted: Counter[str] = Counter()
    for name, operations in counter.get_flop_counts().items():
        if name == root or name.startswith(f"{root}."):
            counted[name.removeprefix(root).removeprefix(".")] = sum(operations.values()) // 2
    return calls, counted


def _own_multiply_adds(name: str, module: nn.Module, counted: Counter[str]) -> int:
    """What the module does itself, outside of its children: attention's products, for instance."""
    return counted[name] - _counted_below(name, module, counted)


def _counted_below(name: str, module: nn.Module, counted: Counter[str]) -> int:
    """Of the nearest modules below that were called; one whose methods are called directly has no count itself."""
    total = 0
    for child, part in module.named_children():
        path = f"{name}.{child}" if name else child
        total += counted[path] if path in counted else _counted_below(path, part, counted)
    return total


def _row(name: str, module: nn.Module, output: tuple[int, ...], *, multiply_adds: int, is_first: bool) -> Record:
    parameters = _count(module, recurse=False) if is_first else 0
    bias = getattr(module, "bias", None)
    biases = bias.numel() if is_first and isinstance(bias, Tensor) else 0
    statistics = sum(b.numel() for b in module.buffers(recurse=False) if b.is_floating_point()) if is_first else 0
    return {
        "layer": _short(name),
        "module": name,
        "kind": type(module).__name__,
        "setting": _setting(module),
        "output": list(output),
        "parameters": parameters,
        "parameters_without_bias": parameters - biases,
        "statistics": statistics,
        "multiply_adds": multiply_adds,
        "activation_bytes": _FLOAT32_BYTES * prod(output),
    }


def _short(name: str) -> str:
    """The name below the network's two parts, which the table need not repeat."""
    for part in ("backbone.trunk", "backbone", "layers"):
        if name == part or name.startswith(f"{part}."):
            return name[len(part) + 1 :] or "itself"
    return name or "itself"


def _setting(module: nn.Module) -> str:
    """Window, step, border and dilation in a few words."""
    if not isinstance(module, _WINDOWED):
        return "same" if isinstance(module, SamePad2d) else ""
    kernel = module.kernel_size
    words = [" x ".join(map(str, kernel if isinstance(kernel, tuple) else (kernel, kernel)))]
    for word, plain in (("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1)):
        value = getattr(module, word, plain)
        if value not in {plain, (plain, plain)}:
            words.append(f"{word} {_times(value)}")
    return ", ".join(words)


def _times(value: object) -> str:
    """`2` of 2 and of (2, 2), `1 x 3` of (1, 3)."""
    values = value if isinstance(value, tuple) else (value,)
    return str(values[0]) if len(set(values)) == 1 else " x ".join(map(str, values))


def _count(module: nn.Module, *, recurse: bool) -> int:
    return sum(parameter.numel() for parameter in module.parameters(recurse=recurse))
