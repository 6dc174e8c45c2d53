"""[[model.layers]]: one entry a layer, typed, checked entry by entry before anything runs. No torch here.

Names follow Keras where Keras has a word (filters, units, padding = "same"), torch where it means a number
(momentum of batch normalisation is the share of the new batch). How entries fit together - sizes, dense before
flatten - is checked in `models.shapes`, which knows the size of the photo.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from teliti.errors import RecipeError
from teliti.recipe.sections import Section, rule_in_words
from teliti.registry import closest

Activation = Literal[
    "step", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "maxout", "softmax", "gelu", "silu"
]  # fmt: skip
Initializer = Literal[
    "auto", "he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "lecun_normal", "orthogonal", "zeros"
]  # fmt: skip
Length = Annotated[int, Field(ge=1, le=1024)]
Lengths = Length | tuple[Length, Length]
Border = Annotated[int, Field(ge=0, le=1024)]
Borders = Literal["valid", "same"] | Border | tuple[Border, Border]
_OWNERS = {"slope": "leaky_relu", "alpha": "elu", "pieces": "maxout"}


class Activated(Section):
    """What every layer with an activation behind it takes.

    Attributes:
        activation: Applied to the layer's output; none when unset.
        slope: Of "leaky_relu" below 0; 0.01 when unset.
        alpha: Of "elu", the limit far below 0 is -alpha; 1 when unset.
        pieces: Of "maxout", how many affine maps it takes the largest of; 2 when unset.
    """

    activation: Activation | None = None
    slope: Annotated[float, Field(ge=0, lt=1)] | None = None
    alpha: Annotated[float, Field(gt=0)] | None = None
    pieces: Annotated[int, Field(ge=2, le=64)] | None = None

    @model_validator(mode="after")
    def _parameter_of_its_activation(self) -> Activated:
        for name, owner in _OWNERS.items():
            if getattr(self, name) is not None and self.activation != owner:
                raise ValueError(f'{name} belongs to activation = "{owner}", got {self.activation!r}')
        return self


class Weighted(Activated):
    """What every layer with weights takes.

    Attributes:
        bias: One number added to each output channel.
        initializer: First values of the weights; "auto": "he_normal" in front of the ReLU family and maxout, else
            "glorot_uniform". In front of means the layer's own activation or, where it has none, the next one before
            another layer with weights: batch_norm, dropout, pooling and flatten may stand between. Biases begin at 0.
        l2: lambda of the penalty lambda x SUM theta^2 over this layer's weights (not its biases).
    """

    bias: bool = True
    initializer: Initializer = "auto"
    l2: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


class Conv(Weighted):
    """Convolution (cross-correlation: the kernel is not flipped).

    Attributes:
        filters: Output channels.
        kernel_size: Side, or (height, width).
        stride: Step, or (down, across).
        padding: "valid" (none), "same" (TensorFlow's: ceil(N / stride) places, the odd row at the bottom and the odd
            column at the right), or zeros on each side: a number or (rows, columns).
        dilation: Distance between neighbours under the kernel.
    """

    kind: Literal["conv"] = "conv"
    filters: Annotated[int, Field(ge=1, le=65536)]
    kernel_size: Lengths = 3
    stride: Lengths = 1
    padding: Borders = "valid"
    dilation: Lengths = 1


class Dense(Weighted):
    """A fully connected layer on a flat vector.

    Attributes:
        units: Outputs. Unset in the last layer: as many as the task has.
    """

    kind: Literal["dense"] = "dense"
    units: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class Pool(Section):
    """The largest or the average value under a window; what lies outside the photo counts in neither.

    Attributes:
        kernel_size: Side, (height, width), or "global" for the whole map, which takes neither stride nor padding.
        stride: Step; the window's own size when unset.
        padding: As in "conv".
    """

    kernel_size: Literal["global"] | Lengths = 2
    stride: Lengths | None = None
    padding: Borders = "valid"

    @model_validator(mode="after")
    def _nothing_beside_the_whole_map(self) -> Pool:
        given: dict[str, object] = {} if self.stride is None else {"stride": self.stride}
        if self.padding not in {"valid", 0, (0, 0)}:
            given["padding"] = self.padding
        if self.kernel_size == "global" and given:
            raise ValueError(
                f'{" and ".join(given)} must be left out beside kernel_size = "global", which covers the whole map '
                f"once, got {' and '.join(repr(value) for value in given.values())}"
            )
        return self


class MaxPool(Pool):
    """Max pooling."""

    kind: Literal["max_pool"] = "max_pool"


class AvgPool(Pool):
    """Average pooling."""

    kind: Literal["avg_pool"] = "avg_pool"


class Flatten(Section):
    """A map as one vector: channel by channel, each row by row."""

    kind: Literal["flatten"] = "flatten"


class Dropout(Section):
    """Sets single values to 0 while training, redrawn at every step, and scales the others up.

    Attributes:
        rate: Share of the values.
    """

    kind: Literal["dropout"] = "dropout"
    rate: Annotated[float, Field(ge=0, lt=1)] = 0.5


class BatchNorm(Section):
    """Batch normalisation with a learnt scale and shift per channel.

    Attributes:
        momentum: Share of the new batch in the running statistics (Keras counts the other way: its 0.99 is 0.01).
        eps: Added to the variance.
    """

    kind: Literal["batch_norm"] = "batch_norm"
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.1
    eps: Annotated[float, Field(gt=0)] = 1e-5


class ActivationLayer(Activated):
    """An activation on its own, for instance behind batch normalisation."""

    kind: Literal["activation"] = "activation"
    activation: Activation


Layer = Annotated[
    Conv | Dense | MaxPool | AvgPool | Flatten | Dropout | BatchNorm | ActivationLayer, Field(discriminator="kind")
]
KINDS: dict[str, type[Section]] = {
    kind.model_fields["kind"].default: kind for kind in get_args(get_args(Layer)[0])
}  # fmt: skip


def parse_layers(entries: Any) -> Any:
    """The entries as layers; anything but a list is left for pydantic to refuse.

    Raises:
        RecipeError: unknown kind or parameter (with the nearest known one), or a value outside its range; every
            sentence names the entry, counted from 1.
    """
    if not isinstance(entries, list | tuple):
        return entries
    return tuple(_parse_layer(entry, place=f"model.layers {number}") for number, entry in enumerate(entries, 1))


def _parse_layer(entry: Any, *, place: str) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    kind = str(entry.get("kind", ""))
    if kind not in KINDS:
        near = closest(kind, KINDS)
        problem = f"kind must be one of {', '.join(sorted(KINDS))}, got {kind!r}."
        if "kind" not in entry:
            problem = f"kind is missing; it must be one of {', '.join(sorted(KINDS))}."
        raise RecipeError(f"{place}: {problem}", hint=f'Did you mean "{near}"?' if near else "Choose one of them.")
    try:
        return KINDS[kind].model_validate(entry)
    except ValidationError as error:
        raise _layer_error(error, place=f"{place} ({kind})", kind=kind) from error


def _layer_error(error: ValidationError, *, place: str, kind: str) -> RecipeError:
    sentences, hint = [], f"`{kind}` takes {_parameters(kind)}."
    for loc, group in groupby(error.errors(), key=lambda problem: str((problem["loc"] or ("",))[0])):
        problems = list(group)
        first = problems[0]
        if first["type"] == "extra_forbidden":
            sentences.append(f"{place}: {loc} is not a parameter.")
            near = closest(loc, KINDS[kind].model_fields)
            hint = f'Did you mean "{near}"? {hint}' if near else hint
        elif first["type"] == "missing":
            sentences.append(f"{place}: {loc} is missing.")
        elif (cause := first.get("ctx", {}).get("error")) is not None:
            sentences.append(f"{place}: {cause}.")
        else:
            rules = dict.fromkeys(rule_in_words(problem["msg"]) for problem in problems)
            sentences.append(f"{place}: {loc} must be {' or '.join(rules)}, got {first['input']!r}.")
    return RecipeError(" ".join(sentences), hint=hint)


def _parameters(kind: str) -> str:
    names = [name for name in KINDS[kind].model_fields if name != "kind"]
    return ", ".join(names) if names else "no parameters"
