"""Planned layers as torch modules: torch's own wherever torch has them.

Ours are the step unit (torch has none with a gradient), Maxout, and the asymmetric border of TensorFlow's "same",
which torch refuses for strides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile

import torch
from torch import Tensor, nn
from torch.nn import functional

from teliti.models.shapes import Pair, Planned, pair, pieces_of, pool_kernel, pool_stride, same_padding
from teliti.recipe.layers import (
    Activated,
    Activation,
    BatchNorm,
    Borders,
    Conv,
    Dense,
    Dropout,
    Initializer,
    Layer,
    MaxPool,
    Pool,
    Weighted,
)

_HE_FAMILY = {"relu", "leaky_relu", "elu", "maxout", "gelu", "silu"}
_LEAKY_SLOPE, _ELU_ALPHA = 0.01, 1.0


class Step(nn.Module):
    """1 from 0 on, else 0: the unit of the perceptron. Its gradient is 0 everywhere.

    A layer in front of it therefore learns nothing by gradient descent; the perceptron rule trains it (Rosenblatt,
    "The perceptron", 1958).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape in, the same shape of 0 and 1 out."""
        return torch.sign(torch.sign(x) + 0.5).clamp_min(0.0)  # sign has the gradient 0; a comparison has none


class Maxout(nn.Module):
    """The largest of `pieces` neighbouring channels (Goodfellow et al., "Maxout networks", 2013).

    Args:
        pieces: Channels that become one; equal largest ones share the gradient.
    """

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        """(N, C x pieces, ...) to (N, C, ...)."""
        return torch.unflatten(x, 1, (-1, self.pieces)).amax(dim=2)

    def extra_repr(self) -> str:
        """The number of pieces, for print."""
        return f"pieces={self.pieces}"


class SamePad2d(nn.Module):
    """TensorFlow's "same" border for any kernel, stride and dilation; the odd row or column is put at the end.

    Args:
        kernel_size: (height, width) of the window behind it.
        stride: (down, across).
        dilation: (down, across).
        value: What the border is filled with.
    """

    def __init__(self, kernel_size: Pair, stride: Pair, *, dilation: Pair = (1, 1), value: float = 0.0) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.dilation, self.value = kernel_size, stride, dilation, value

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H + border, W + border)."""
        return _with_border(x, self.kernel_size, self.stride, dilation=self.dilation, value=self.value)

    def extra_repr(self) -> str:
        """The window it pads for, for print."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, dilation={self.dilation}"


class SameAvgPool2d(nn.Module):
    """Average pooling with TensorFlow's "same" border, which counts in no average.

    Args:
        kernel_size: (height, width).
        stride: (down, across).
    """

    def __init__(self, kernel_size: Pair, stride: Pair) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, ceil(H / stride), ceil(W / stride))."""
        inside = _with_border(torch.ones_like(x[:1, :1]), self.kernel_size, self.stride)
        shares = functional.avg_pool2d(inside, self.kernel_size, self.stride)  # of each window that lies on the map
        bordered = _with_border(x, self.kernel_size, self.stride)
        return functional.avg_pool2d(bordered, self.kernel_size, self.stride) / shares

    def extra_repr(self) -> str:
        """The window, for print."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}"


def _with_border(x: Tensor, kernel_size: Pair, stride: Pair, *, dilation: Pair = (1, 1), value: float = 0.0) -> Tensor:
    (top, bottom), (left, right) = (
        same_padding(x.shape[axis - 2], kernel_size=kernel_size[axis], stride=stride[axis], dilation=dilation[axis])
        for axis in (0, 1)
    )
    if not (top or bottom or left or right):
        return x
    return functional.pad(x, (left, right, top, bottom), value=value)


def build_layers(planned: Sequence[Planned]) -> nn.Sequential:
    """The layers as one sequence of torch modules, freshly initialised from torch's global generator.

    Names are those of the plan, with what stands beside a layer under its number: "3_conv", "3_pad", "3_relu".
    """
    sequence = nn.Sequential()
    for number, layer in enumerate(planned):
        for name, module in _modules(layer):
            if isinstance(module, nn.Conv2d | nn.Linear):
                initialize(module, choose_initializer([one.layer for one in planned[number:]]))
            sequence.add_module(name, module)
    return sequence


def build_activation(layer: Activated) -> nn.Module | None:
    """The module of a layer's activation; None where it has none."""
    return None if layer.activation is None else _ACTIVATIONS[layer.activation](layer)


_ACTIVATIONS: dict[Activation, Callable[[Activated], nn.Module]] = {
    "step": lambda _: Step(),
    "sigmoid": lambda _: nn.Sigmoid(),
    "tanh": lambda _: nn.Tanh(),
    "relu": lambda _: nn.ReLU(),
    "leaky_relu": lambda layer: nn.LeakyReLU(_LEAKY_SLOPE if layer.slope is None else layer.slope),
    "elu": lambda layer: nn.ELU(_ELU_ALPHA if layer.alpha is None else layer.alpha),
    "maxout": lambda layer: Maxout(pieces_of(layer)),
    "softmax": lambda _: nn.Softmax(dim=1),
    "gelu": lambda _: nn.GELU(),
    "silu": lambda _: nn.SiLU(),
}


def _modules(planned: Planned) -> Iterator[tuple[str, nn.Module]]:
    layer, name = planned.layer, planned.name
    number = name.partition("_")[0]
    if isinstance(layer, Conv):
        yield from _conv_modules(layer, planned)
    elif isinstance(layer, Dense):
        yield name, nn.Linear(planned.input_shape[0], planned.output_shape[0] * pieces_of(layer), bias=layer.bias)
    elif isinstance(layer, Pool):
        yield from _pool_modules(layer, planned)
    elif isinstance(layer, BatchNorm):
        kind = nn.BatchNorm2d if len(planned.input_shape) == 3 else nn.BatchNorm1d
        yield name, kind(planned.input_shape[0], momentum=layer.momentum, eps=layer.eps)
    elif isinstance(layer, Dropout):
        yield name, nn.Dropout(layer.rate)
    elif not isinstance(layer, Activated):
        yield name, nn.Flatten()
    if isinstance(layer, Activated) and (activation := build_activation(layer)) is not None:
        yield f"{number}_{layer.activation}", activation


def _conv_modules(layer: Conv, planned: Planned) -> Iterator[tuple[str, nn.Module]]:
    kernel, stride, dilation = pair(layer.kernel_size), pair(layer.stride), pair(layer.dilation)
    border = _even_border(layer.padding, kernel=kernel, stride=stride, dilation=dilation)
    if border is None:
        yield f"{planned.name.partition('_')[0]}_pad", SamePad2d(kernel, stride, dilation=dilation)
    filters = layer.filters * pieces_of(layer)
    channels = planned.input_shape[0]
    yield planned.name, nn.Conv2d(channels, filters, kernel, stride, border or 0, dilation=dilation, bias=layer.bias)


def _pool_modules(layer: Pool, planned: Planned) -> Iterator[tuple[str, nn.Module]]:
    is_max = isinstance(layer, MaxPool)
    if layer.kernel_size == "global":
        yield planned.name, nn.AdaptiveMaxPool2d(1) if is_max else nn.AdaptiveAvgPool2d(1)
        return
    kernel, stride = pool_kernel(layer, planned.input_shape), pool_stride(layer, planned.input_shape)
    border = _even_border(layer.padding, kernel=kernel, stride=stride, dilation=(1, 1))
    if is_max:
        if border is None:
            yield f"{planned.name.partition('_')[0]}_pad", SamePad2d(kernel, stride, value=-torch.inf)
        yield planned.name, nn.MaxPool2d(kernel, stride, border or 0)
    elif border is None:
        yield planned.name, SameAvgPool2d(kernel, stride)
    else:
        yield planned.name, nn.AvgPool2d(kernel, stride, border, count_include_pad=False)


def _even_border(padding: Borders, *, kernel: Pair, stride: Pair, dilation: Pair) -> Pair | None:
    """The border on each side; None where "same" has to be worked out from the size of the map."""
    if padding == "valid":
        return 0, 0
    if padding != "same":
        return pair(padding)
    reach = tuple(dilation[axis] * (kernel[axis] - 1) for axis in (0, 1))
    if stride != (1, 1) or reach[0] % 2 or reach[1] % 2:
        return None
    return reach[0] // 2, reach[1] // 2


def choose_initializer(layers: Sequence[Layer]) -> Initializer:
    """The initialiser of the first of some layers; where it is "auto", the one for the activation that follows it.

    That is its own activation or, where it has none, the next one in front of any other layer with weights. What may
    stand between is passed over: batch normalisation, dropout, pooling and flatten are no activations. Where none
    follows, as behind the closing layer, the layer is linear: "glorot_uniform".

    Args:
        layers: A convolution or dense layer, and all that stands behind it.
    """
    first, *behind = layers
    if isinstance(first, Weighted) and first.initializer != "auto":
        return first.initializer
    met = (first, *takewhile(lambda layer: not isinstance(layer, Weighted), behind))
    activations = (layer.activation for layer in met if isinstance(layer, Activated) and layer.activation is not None)
    return "he_normal" if next(activations, None) in _HE_FAMILY else "glorot_uniform"


def initialize(module: nn.Conv2d | nn.Linear, name: Initializer) -> None:
    """Fill weights by a named initialiser other than "auto", from torch's global generator, and biases with 0.

    "he" is He et al. (2015), sqrt(2 / fan in); "glorot" Glorot and Bengio (2010), sqrt(2 / (fan in + fan out));
    "lecun" LeCun et al. (1998), sqrt(1 / fan in): the standard deviation of "normal", and of "uniform" likewise.
    """
    _INITIALIZERS[name](module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)


_INITIALIZERS: dict[Initializer, Callable[[Tensor], object]] = {
    "he_normal": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "he_uniform": lambda weight: nn.init.kaiming_uniform_(weight, nonlinearity="relu"),
    "glorot_normal": nn.init.xavier_normal_,
    "glorot_uniform": nn.init.xavier_uniform_,
    "lecun_normal": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="linear"),
    "orthogonal": nn.init.orthogonal_,
    "zeros": nn.init.zeros_,
}
