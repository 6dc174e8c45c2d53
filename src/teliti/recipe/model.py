"""[model]: the network in front of the head, and the head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from teliti.errors import RecipeError
from teliti.recipe.layers import Layer, parse_layers
from teliti.recipe.network_options import OF_THE_HEAD, NetworkOptions
from teliti.recipe.sections import Section

Pooling = Literal["avg", "max", "avgmax", "stats"]
Head = Literal["auto", "logistic", "linear_svm", "rbf_svm", "softmax", "ridge", "svr"]
Stage = int | Literal["head"]
NO_BACKBONE = "none"


class ModelRecipe(Section):
    """The network in front of the head, and the head.

    Attributes:
        backbone: Any timm name; a compact network (perceptron, mlp, lenet, regularised, tiny_vgg, small_cnn); or "none"
            for a network made of [[model.layers]] alone, which is also what leaving it out beside layers means.
        weights: "auto" (packaged weights when there are any), "random", "hub" (downloads), or a .safetensors file.
        layers: Layers of one's own, in order: the whole network, or put on the backbone's feature map. A closing
            layer with one output per class is added unless it is given.
        options: Arguments of timm's network, an allow-list.
        dropout: Share of the values in front of the closing layer that is dropped while training.
        stages: Which stages' outputs become features; counted from 0, negative from the end; "head" is the
            vector that the backbone's own classifier would see. "auto" takes the last four stages.
        pooling: How a stage's map becomes a vector: "avg", "max", "avgmax" (both), or "stats" (average, maximum,
            minimum and standard deviation).
        head: What turns features into scores. "auto": RBF SVM for classes, SVR for numbers.
        c: Inverse regularisation; unset: chosen by cross-validation inside the training part.
        gamma: Width of the RBF kernel, a multiple of 1 / (dimensions x variance); unset: chosen likewise.
    """

    backbone: str = "tf_efficientnet_lite0"
    weights: str = "auto"
    layers: tuple[Layer, ...] = ()
    options: NetworkOptions | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    stages: Literal["auto"] | tuple[Stage, ...] = "auto"
    pooling: Pooling = "stats"
    head: Head = "auto"
    c: Annotated[float, Field(gt=0)] | None = None
    gamma: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _layers_alone_are_the_network(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("layers") and "backbone" not in values:
            return {**values, "backbone": NO_BACKBONE}
        return values

    @field_validator("layers", mode="before")
    @classmethod
    def _name_the_layer_in_every_mistake(cls, entries: Any) -> Any:
        return parse_layers(entries)

    @model_validator(mode="after")
    def _some_network(self) -> ModelRecipe:
        if self.backbone == NO_BACKBONE and not self.layers:
            raise RecipeError(
                f'model.layers must have an entry where model.backbone is "{NO_BACKBONE}", got none.',
                hint='Add [[model.layers]] with kind = "conv", or name a backbone.',
            )
        return self

    @model_validator(mode="after")
    def _options_of_a_backbone(self) -> ModelRecipe:
        given = self.timm_options()
        if given and self.backbone == NO_BACKBONE:
            raise RecipeError(
                f'model.options must stand beside a timm network, got model.backbone = "{NO_BACKBONE}".',
                hint="Layers of your own have keys of their own, dropout among them.",
            )
        lost = [name for name in OF_THE_HEAD if name in given]
        if lost and self.layers:
            raise RecipeError(
                f"model.options.{lost[0]} must be left out beside model.layers, which replace the network's own head.",
                hint='For instance [[model.layers]] with kind = "dropout", or kind = "avg_pool".',
            )
        if "drop_rate" in given and self.dropout > 0.0:
            raise RecipeError(
                f"model.dropout and model.options.drop_rate are the same, got {self.dropout:g} and "
                f"{given['drop_rate']:g}.",
                hint="Leave one of them out.",
            )
        return self

    def timm_options(self) -> dict[str, Any]:
        """The options that are set, by name."""
        return {} if self.options is None else self.options.model_dump(exclude_none=True)
