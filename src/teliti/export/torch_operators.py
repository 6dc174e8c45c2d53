"""What each operator of an exported graph computes, in torch: the operators that our own exporter writes.

A value of the graph is a tensor, or, where the graph computes with shapes, a whole number or a list of them: sizes
must stay numbers so that the number of photos stays free. Semantics: ONNX operator set 20, as far as it is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Value = Any  # Tensor | int | list[int] | None
Attributes = Mapping[str, Any]
Operator = Callable[..., Value]

_TYPES = {1: torch.float32, 2: torch.uint8, 3: torch.int8, 6: torch.int32, 7: torch.int64, 9: torch.bool,
          10: torch.float16, 11: torch.float64}  # fmt: skip
_WHOLE = 7


def as_tensor(value: Value) -> Tensor:
    """A value of the graph as a tensor."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, list):
        return torch.stack([torch.scalar_tensor(one, dtype=torch.int64) for one in value])
    return torch.scalar_tensor(value, dtype=torch.int64)


def as_sizes(value: Value) -> list[int]:
    """A value of the graph as whole numbers."""
    if isinstance(value, Tensor):
        return [int(one) for one in value.reshape(-1).tolist()]
    return list(value) if isinstance(value, list) else [value]


def _pairwise(function: Callable[[Any, Any], Any]) -> Operator:
    def apply(first: Value, second: Value, **_attributes: Any) -> Value:
        sizes = not isinstance(first, Tensor) and not isinstance(second, Tensor)
        if sizes and not isinstance(first, list) and not isinstance(second, list):
            return function(first, second)
        return function(as_tensor(first), as_tensor(second))

    return apply


def _unary(function: Callable[[Tensor], Tensor]) -> Operator:
    return lambda x, **_attributes: function(as_tensor(x))


def _reduction(function: Callable[..., Tensor]) -> Operator:
    def apply(
        x: Tensor, axes: Value = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0, **_attributes: Any
    ) -> Tensor:
        dims = [] if axes is None else as_sizes(axes)
        if not dims:
            if noop_with_empty_axes:
                return x
            dims = list(range(x.ndim))
        return function(x, dim=dims, keepdim=bool(keepdims))

    return apply


def _cast(x: Value, *, to: int, **_attributes: Any) -> Value:
    return x if to == _WHOLE and not isinstance(x, Tensor) else as_tensor(x).to(_TYPES[to])


def _clip(x: Tensor, low: Value = None, high: Value = None, **_attributes: Any) -> Tensor:
    limits = [None if limit is None else as_tensor(limit) for limit in (low, high)]
    return torch.clamp(x, limits[0], limits[1])


def _shape(x: Tensor, *, start: int = 0, end: int | None = None) -> list[int]:
    return list(x.shape)[start:end]


def _gather(x: Value, indices: Value, *, axis: int = 0) -> Value:
    if isinstance(x, list):
        return x[indices] if isinstance(indices, int) else [x[index] for index in as_sizes(indices)]
    chosen = as_tensor(indices)
    flat: Tensor = x.index_select(axis, torch.where(chosen < 0, chosen + x.shape[axis], chosen).reshape(-1))
    return flat.reshape(*x.shape[:axis], *chosen.shape, *x.shape[axis % x.ndim + 1 :])


def _squeeze(x: Value, axes: Value = None, **_attributes: Any) -> Value:
    if isinstance(x, list):
        return x[0]
    return x.squeeze() if axes is None else x.squeeze(tuple(as_sizes(axes)))


def _unsqueeze(x: Value, axes: Value, **_attributes: Any) -> Value:
    if not isinstance(x, Tensor):
        return [x]
    final = x.ndim + len(as_sizes(axes))
    for axis in sorted(one % final for one in as_sizes(axes)):
        x = x.unsqueeze(axis)
    return x


def _concat(*parts: Value, axis: int) -> Value:
    if any(isinstance(part, Tensor) for part in parts):
        return torch.cat([as_tensor(part) for part in parts], dim=axis)
    return [size for part in parts for size in as_sizes(part)]


def _reshape(x: Value, shape: Value, *, allowzero: int = 0) -> Tensor:
    tensor, wanted = as_tensor(x), as_sizes(shape)
    if not allowzero:
        wanted = [tensor.shape[place] if size == 0 else size for place, size in enumerate(wanted)]
    return tensor.reshape(wanted)


def _flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    return x.reshape(*x.shape[:1], -1) if axis == 1 else x.reshape(math.prod(x.shape[:axis]), -1)


def _expand(x: Value, shape: Value, **_attributes: Any) -> Tensor:
    tensor, wanted = as_tensor(x), as_sizes(shape)
    own = [1] * (len(wanted) - tensor.ndim) + list(tensor.shape)
    return tensor.expand([size if here == 1 else here for here, size in zip(own, wanted, strict=True)])


def _slice(x: Value, starts: Value, ends: Value, axes: Value = None, steps: Value = None) -> Value:  # noqa: PLR0917, ONNX's order
    places = [as_sizes(one) for one in (starts, ends)]
    along = list(range(len(places[0]))) if axes is None else as_sizes(axes)
    strides = [1] * len(along) if steps is None else as_sizes(steps)
    if isinstance(x, list):
        return x[places[0][0] : places[1][0] : strides[0]]
    window = [slice(None)] * x.ndim
    for axis, start, end, stride in zip(along, *places, strides, strict=True):
        window[axis] = slice(start, end, stride)
    return x[tuple(window)]


def _pad(x: Tensor, pads: Value, value: Value = None, axes: Value = None, *, mode: str = "constant") -> Tensor:  # noqa: PLR0917, ONNX's order
    sizes = as_sizes(pads)
    along = list(range(x.ndim)) if axes is None else [axis % x.ndim for axis in as_sizes(axes)]
    sides = {axis: (sizes[place], sizes[place + len(along)]) for place, axis in enumerate(along)}
    flat = [side for axis in reversed(range(x.ndim)) for side in sides.get(axis, (0, 0))]
    if mode == "constant":
        return functional.pad(x, flat, value=0.0 if value is None else float(as_tensor(value)))
    return functional.pad(x, flat[: 2 * (x.ndim - 2)], mode={"edge": "replicate"}.get(mode, mode))


def _border(x: Tensor, pads: Sequence[int] | None, value: float) -> Tensor:
    """The border of a window, begins before ends, put on by itself: torch knows equal sides only."""
    if not pads or not any(pads):
        return x
    half = len(pads) // 2
    return functional.pad(x, [side for axis in reversed(range(half)) for side in (pads[axis], pads[axis + half])],
                          value=value)  # fmt: skip


def _conv(x: Tensor, weight: Tensor, bias: Tensor | None = None, **attributes: Any) -> Tensor:
    count = weight.ndim - 2
    pads, strides = list(attributes.get("pads") or [0] * 2 * count), attributes.get("strides") or [1] * count
    even = pads[:count] == pads[count:]
    padded = x if even else _border(x, pads, 0.0)
    function = (functional.conv1d, functional.conv2d)[count - 1]
    return function(padded, weight, bias, stride=tuple(strides), padding=tuple(pads[:count]) if even else 0,
                    dilation=tuple(attributes.get("dilations") or [1] * count),
                    groups=attributes.get("group", 1))  # fmt: skip


def _max_pool(x: Tensor, *, kernel_shape: Sequence[int], **attributes: Any) -> Tensor:
    padded = _border(x, attributes.get("pads"), -math.inf)
    return functional.max_pool2d(padded, tuple(kernel_shape), stride=tuple(attributes.get("strides") or [1, 1]),
                                 dilation=tuple(attributes.get("dilations") or [1, 1]),
                                 ceil_mode=bool(attributes.get("ceil_mode", 0)))  # fmt: skip


def _average_pool(x: Tensor, *, kernel_shape: Sequence[int], **attributes: Any) -> Tensor:
    pads = list(attributes.get("pads") or [0, 0, 0, 0])
    counts, is_even = bool(attributes.get("count_include_pad", 0)), pads[:2] == pads[2:]

    def pool(values: Tensor) -> Tensor:
        values = values if is_even else _border(values, pads, 0.0)
        return functional.avg_pool2d(values, tuple(kernel_shape), stride=tuple(attributes.get("strides") or [1, 1]),
                                     padding=tuple(pads[:2]) if is_even else 0, count_include_pad=counts or not is_even,
                                     ceil_mode=bool(attributes.get("ceil_mode", 0)))  # fmt: skip

    # a border that does not count is taken out of the mean by how much of each window lies inside
    return pool(x) if is_even or counts else pool(x) / pool(torch.ones_like(x))


def _gemm(a: Tensor, b: Tensor, c: Tensor | None = None, **attributes: Any) -> Tensor:
    first = a.T if attributes.get("transA") else a
    product = first @ (b.T if attributes.get("transB") else b)
    product = product * attributes["alpha"] if attributes.get("alpha", 1.0) != 1.0 else product
    return product if c is None else product + attributes.get("beta", 1.0) * c


def _normalise(x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, **attributes: Any) -> Tensor:  # noqa: PLR0917, ONNX's order
    return functional.batch_norm(x, mean, variance, scale, bias, eps=attributes.get("epsilon", 1e-5))


def _extreme(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    def apply(*parts: Value, **_attributes: Any) -> Tensor:
        result = as_tensor(parts[0])
        for part in parts[1:]:
            result = function(result, as_tensor(part))
        return result

    return apply


def _range(start: Value, limit: Value, step: Value) -> Tensor:
    first, last, stride = (as_sizes(one)[0] for one in (start, limit, step))
    return torch.arange(first, last, stride)


SQUARE = "Square"
"""Not of ONNX: a power of 2, which torch computes faster and exactly."""

OPERATORS: dict[str, Operator] = {
    "Abs": _unary(torch.abs),
    "Add": _pairwise(lambda a, b: a + b),
    "AveragePool": _average_pool,
    "BatchNormalization": _normalise,
    "Cast": _cast,
    "Ceil": _unary(torch.ceil),
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "Div": _pairwise(lambda a, b: a / b if isinstance(a, Tensor) else a // b),
    "Dropout": lambda x, *_rest, **_attributes: x,
    "Elu": lambda x, *, alpha=1.0: functional.elu(x, alpha),
    "Equal": _pairwise(lambda a, b: a == b),
    "Erf": _unary(torch.erf),
    "Exp": _unary(torch.exp),
    "Expand": _expand,
    "Flatten": _flatten,
    "Floor": _unary(torch.floor),
    "Gather": _gather,
    "Gelu": lambda x, *, approximate="none": functional.gelu(x, approximate=approximate),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda x: x.mean(dim=tuple(range(2, x.ndim)), keepdim=True),
    "GlobalMaxPool": lambda x: x.amax(dim=tuple(range(2, x.ndim)), keepdim=True),
    "Greater": _pairwise(lambda a, b: a > b),
    "GreaterOrEqual": _pairwise(lambda a, b: a >= b),
    "HardSigmoid": lambda x, *, alpha=0.2, beta=0.5: torch.clamp(alpha * x + beta, 0.0, 1.0),
    "HardSwish": _unary(functional.hardswish),
    "Identity": lambda x: x,
    "LeakyRelu": lambda x, *, alpha=0.01: functional.leaky_relu(x, alpha),
    "Less": _pairwise(lambda a, b: a < b),
    "LessOrEqual": _pairwise(lambda a, b: a <= b),
    "Log": _unary(torch.log),
    "MatMul": _pairwise(lambda a, b: a @ b),
    "Max": _extreme(torch.maximum),
    "MaxPool": _max_pool,
    "Min": _extreme(torch.minimum),
    "Mul": _pairwise(lambda a, b: a * b),
    "Neg": _unary(torch.neg),
    "PRelu": _pairwise(lambda x, slope: torch.where(x < 0, x * slope, x)),
    "Pad": _pad,
    "Pow": _pairwise(lambda base, exponent: torch.pow(base, exponent.to(base.dtype))),
    "Range": _range,
    "Reciprocal": _unary(torch.reciprocal),
    "ReduceMax": _reduction(torch.amax),
    "ReduceMean": _reduction(torch.mean),
    "ReduceMin": _reduction(torch.amin),
    "ReduceSum": _reduction(torch.sum),
    "Relu": _unary(functional.relu),
    "Reshape": _reshape,
    "Selu": _unary(functional.selu),
    "Shape": _shape,
    "Sigmoid": _unary(torch.sigmoid),
    "Sign": _unary(torch.sign),
    "Slice": _slice,
    "Softmax": lambda x, *, axis=-1: torch.softmax(x, dim=axis),
    "Softplus": _unary(functional.softplus),
    "Sqrt": _unary(torch.sqrt),
    SQUARE: _unary(torch.square),
    "Squeeze": _squeeze,
    "Sub": _pairwise(lambda a, b: a - b),
    "Tanh": _unary(torch.tanh),
    "Transpose": lambda x, *, perm=None: x.permute(tuple(reversed(range(x.ndim))) if perm is None else tuple(perm)),
    "Unsqueeze": _unsqueeze,
    "Where": lambda chosen, a, b: torch.where(chosen, as_tensor(a), as_tensor(b)),
}
"""By operator of the default domain; inputs in order (None where one is left out), attributes by name."""
