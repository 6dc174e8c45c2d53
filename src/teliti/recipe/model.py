"""[model]: the network in front of the head, and the head."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from teliti.recipe.sections import Section

Pooling = Literal["avg", "max", "avgmax", "stats"]
Head = Literal["auto", "logistic", "linear_svm", "rbf_svm", "softmax", "ridge", "svr"]
Stage = int | Literal["head"]


class ModelRecipe(Section):
    """The network in front of the head, and the head.

    Attributes:
        backbone: Any timm name.
        weights: "auto" (packaged weights when there are any), "random", or a .safetensors file.
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
    stages: Literal["auto"] | tuple[Stage, ...] = "auto"
    pooling: Pooling = "stats"
    head: Head = "auto"
    c: Annotated[float, Field(gt=0)] | None = None
    gamma: Annotated[float, Field(gt=0)] | None = None
