"""Sizes of a network before it exists: what each layer takes and gives, and what cannot be built. No torch here.

One place of a map is lost or won by the formula of every textbook, `floor((N + pad - d (F - 1) - 1) / stride) + 1`
with N places, a kernel of F, dilation d and `pad` zeros on both sides together (Dumoulin and Visin, "A guide to
convolution arithmetic for deep learning", 2016). TensorFlow's "same" chooses the zeros so that ceil(N / stride) places
remain, and puts the odd one at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from teliti.errors import RecipeError
from teliti.recipe.layers import Activated, Borders, Conv, Dense, Dropout, Flatten, Layer, Lengths, Pool

Shape = tuple[int, ...]
"""(C, H, W) of a map, (D,) of a vector; without the batch."""
Pair = tuple[int, int]

MAX_WEIGHTS = 500_000_000
_PROBABILITIES = ("softmax", "sigmoid")


@dataclass(frozen=True)
class Planned:
    """One layer with its sizes.

    Attributes:
        name: The number of its entry and its kind, such as "3_conv"; "classifier" for the closing layer.
        layer: The entry; a closing layer has its units written in.
        input_shape: Without the batch.
        output_shape: Likewise.
    """

    name: str
    layer: Layer
    input_shape: Shape
    output_shape: Shape

    @property
    def num_weights(self) -> int:
        """Weights of a convolution or dense layer without its biases; 0 for other layers."""
        if isinstance(self.layer, Conv):
            return (
                self.output_shape[0] * pieces_of(self.layer) * self.input_shape[0] * prod(pair(self.layer.kernel_size))
            )
        if isinstance(self.layer, Dense):
            return self.output_shape[0] * pieces_of(self.layer) * self.input_shape[0]
        return 0


def pair(lengths: Lengths) -> Pair:
    """(down, across) of one number or two."""
    return (lengths, lengths) if isinstance(lengths, int) else lengths


def pieces_of(layer: Activated) -> int:
    """How many affine maps stand behind one output: more than one for maxout only."""
    return layer.pieces or 2 if layer.activation == "maxout" else 1


def output_size(size: int, *, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Places that are left along one axis; 0 or less where the kernel does not fit.

    Args:
        size: Places of the input.
        kernel_size: Places under the kernel, without the gaps of a dilation.
        stride: Step.
        padding: Zeros on each of the two sides.
        dilation: Distance between neighbours under the kernel.
    """
    return (size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1


def same_padding(size: int, *, kernel_size: int, stride: int = 1, dilation: int = 1) -> Pair:
    """Zeros before and after one axis under which ceil(size / stride) places remain, the odd one after."""
    kept = -(-size // stride)
    total = max((kept - 1) * stride + dilation * (kernel_size - 1) + 1 - size, 0)
    return total // 2, total - total // 2


def plan_layers(
    layers: Sequence[Layer], *, input_shape: Shape, num_outputs: int, dropout: float = 0.0
) -> tuple[Planned, ...]:
    """Every layer with its sizes, the closing one included.

    The network ends with a dense layer of `num_outputs` units and no activation: it gives logits. Where the entries
    do not end so, it is added, behind a flatten where a map is left and behind a dropout where one is asked for.

    Args:
        layers: The entries of [[model.layers]].
        input_shape: (C, H, W) of a photo, or of a backbone's map.
        num_outputs: Classes, labels or numbers.
        dropout: Share dropped in front of an added closing layer.

    Raises:
        RecipeError: a size that falls to nothing, a dense layer on a map, a layer that is too large or that cannot
            stand where it stands; the sentence names the entry, counted from 1.
    """
    planned: list[Planned] = []
    shape = input_shape
    closes = _gives_the_outputs(layers, num_outputs=num_outputs)
    for number, entry in enumerate(layers, 1):
        place = f"model.layers {number} ({entry.kind})"
        is_closing = closes and number == len(layers)
        layer = _with_units(entry, place=place, units=num_outputs if is_closing else None)
        name = "classifier" if is_closing else f"{number}_{entry.kind}"
        planned.append(Planned(name, layer, shape, _output_shape(layer, shape, place=place)))
        _check_weights(planned[-1], place=place)
        shape = planned[-1].output_shape
    if not closes:
        planned += _closing(shape, num_outputs=num_outputs, dropout=dropout)
        _check_weights(planned[-1], place="the closing layer")
    return tuple(planned)


def _gives_the_outputs(layers: Sequence[Layer], *, num_outputs: int) -> bool:
    """True where the last entry is the closing layer."""
    last = layers[-1] if layers else None
    place = f"model.layers {len(layers)}"
    if isinstance(last, Activated) and last.activation in _PROBABILITIES:
        before = last if isinstance(last, Dense) else layers[-2] if len(layers) > 1 else None
        is_answer = isinstance(before, Dense) and before.units in {None, num_outputs}
        if is_answer or last.activation == "softmax":
            raise RecipeError(
                f'{place} ({last.kind}): activation must not be "{last.activation}" at the end of the network.',
                hint="The network gives logits and the loss applies it: take the activation away.",
            )
    if not isinstance(last, Dense) or last.activation is not None:
        return False
    if last.units not in {None, num_outputs}:
        raise RecipeError(
            f"{place} (dense): units must be {num_outputs}, the task's number of outputs, got {last.units}.",
            hint="Leave units out of the last layer, or give it an activation and a closing layer is added.",
        )
    return True


def _with_units(layer: Layer, *, place: str, units: int | None) -> Layer:
    if not isinstance(layer, Dense) or layer.units is not None:
        return layer
    if units is None:
        raise RecipeError(
            f"{place}: units is missing.", hint="Only a last dense layer without activation may leave them out."
        )
    return layer.model_copy(update={"units": units})


def _closing(shape: Shape, *, num_outputs: int, dropout: float) -> list[Planned]:
    planned = []
    if len(shape) == 3:
        planned.append(Planned("flatten", Flatten(), shape, (prod(shape),)))
        shape = planned[-1].output_shape
    if dropout > 0.0:
        planned.append(Planned("dropout", Dropout(rate=dropout), shape, shape))
    return [*planned, Planned("classifier", Dense(units=num_outputs), shape, (num_outputs,))]


def _output_shape(layer: Layer, shape: Shape, *, place: str) -> Shape:
    if isinstance(layer, Dense):
        if len(shape) == 3:
            raise RecipeError(
                f"{place}: its input must be a flat vector, got a map of {_times(shape)}.",
                hint='Put an entry with kind = "flatten" before it, or a pooling with kernel_size = "global" and a '
                "flatten.",
            )
        return (layer.units or 0,)
    if isinstance(layer, Conv | Pool) and len(shape) == 1:
        raise RecipeError(
            f"{place}: its input must be a map, got a vector of {shape[0]} numbers.",
            hint="Move it before the flatten.",
        )
    if isinstance(layer, Conv):
        size = _window(layer, shape, place=place)
        return (layer.filters, *size)
    if isinstance(layer, Pool):
        return (shape[0], *((1, 1) if layer.kernel_size == "global" else _pool_window(layer, shape, place=place)))
    if isinstance(layer, Flatten):
        return (prod(shape),)
    if isinstance(layer, Activated) and layer.activation == "maxout":
        return _maxout_shape(layer, shape, place=place)
    return shape


def _window(layer: Conv, shape: Shape, *, place: str) -> Pair:
    return _places(
        shape, kernel=pair(layer.kernel_size), stride=pair(layer.stride), dilation=pair(layer.dilation),
        padding=layer.padding, place=place,
    )  # fmt: skip


def _pool_window(layer: Pool, shape: Shape, *, place: str) -> Pair:
    kernel = pool_kernel(layer, shape)
    if layer.padding not in {"same", "valid"}:
        for border, side in zip(pair(layer.padding), kernel, strict=True):  # type: ignore[arg-type]
            if 2 * border > side:
                raise RecipeError(
                    f"{place}: padding must be at most half of kernel_size, got {border} beside {side}.",
                    hint='Write padding = "same", or a larger kernel_size.',
                )
    return _places(
        shape, kernel=kernel, stride=pool_stride(layer, shape), dilation=(1, 1), padding=layer.padding, place=place
    )


def pool_kernel(layer: Pool, shape: Shape) -> Pair:
    """(height, width) of a pooling window on a map (C, H, W)."""
    return (shape[1], shape[2]) if layer.kernel_size == "global" else pair(layer.kernel_size)


def pool_stride(layer: Pool, shape: Shape) -> Pair:
    """(down, across) of a pooling window's step on a map (C, H, W)."""
    return pool_kernel(layer, shape) if layer.stride is None else pair(layer.stride)


def _places(shape: Shape, *, kernel: Pair, stride: Pair, dilation: Pair, padding: Borders, place: str) -> Pair:
    """(height, width) of the result; every axis by the formula."""
    if padding == "same":
        return -(-shape[1] // stride[0]), -(-shape[2] // stride[1])
    borders = (0, 0) if padding == "valid" else pair(padding)
    height, width = (
        output_size(
            shape[axis + 1], kernel_size=kernel[axis], stride=stride[axis], padding=borders[axis],
            dilation=dilation[axis],
        )
        for axis in (0, 1)
    )  # fmt: skip
    if height < 1 or width < 1:
        reach = tuple(dilation[axis] * (kernel[axis] - 1) + 1 for axis in (0, 1))
        raise RecipeError(
            f"{place}: nothing is left of its input: the window covers {reach[0]} x {reach[1]} and the map is only "
            f"{shape[1]} x {shape[2]}.",
            hint='Write padding = "same", a smaller kernel_size, fewer strides and poolings before it, or a larger '
            "data.image_size.",
        )
    return height, width


def _maxout_shape(layer: Activated, shape: Shape, *, place: str) -> Shape:
    pieces = pieces_of(layer)
    if shape[0] % pieces:
        raise RecipeError(
            f"{place}: the channels must be a multiple of pieces, got {shape[0]} and {pieces}.",
            hint='Write activation = "maxout" into the layer before it, which then makes as many as it needs.',
        )
    return (shape[0] // pieces, *shape[1:])


def _check_weights(planned: Planned, *, place: str) -> None:
    if planned.num_weights > MAX_WEIGHTS:
        raise RecipeError(
            f"{place}: it would have {planned.num_weights:,} weights for an input of {_times(planned.input_shape)}; "
            f"{MAX_WEIGHTS:,} is the most.",
            hint="Pool or stride more before it, or give it fewer units.",
        )


def _times(shape: Shape) -> str:
    return " x ".join(map(str, shape))
