"""[model.options]: what timm builds a network with, beside its name.

An allow-list, since other arguments of timm read files, load weights or change which weights fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from teliti.errors import RecipeError
from teliti.recipe.sections import Section
from teliti.registry import closest

_Rate = Annotated[float, Field(ge=0.0, lt=1.0)]

OF_THE_HEAD = ("drop_rate", "global_pool")
"""They belong to the network's own head, which layers of one's own replace."""


class NetworkOptions(Section):
    """Arguments of timm's architectures; unset ones are as the architecture has them, and none knows all.

    Attributes:
        drop_rate: Share of the values in front of the classifier that is dropped while training; `model.dropout` is
            the same.
        drop_path_rate: Share of the photos for which a whole residual block is skipped while training, for the last
            block; the blocks before it rise to it (G. Huang et al., "Deep networks with stochastic depth", 2016).
        drop_block_rate: Share of a map that is dropped in squares while training (G. Ghiasi et al., 2018).
        attn_drop_rate: Share of the attention weights that is dropped while training.
        proj_drop_rate: Share of the values behind attention and inside of blocks that is dropped while training.
        pos_drop_rate: Share of the values behind the position embedding that is dropped while training.
        patch_drop_rate: Share of the patches that a transformer does not see while training.
        global_pool: How the last map becomes a vector in front of the classifier; "avgmax" is the mean of both.
        act_layer: Activation in the place of the architecture's own; given weights were trained with that one.
        output_stride: Pixels between neighbours of the last map: windows are dilated where the map is kept larger.
    """

    drop_rate: _Rate | None = None
    drop_path_rate: _Rate | None = None
    drop_block_rate: _Rate | None = None
    attn_drop_rate: _Rate | None = None
    proj_drop_rate: _Rate | None = None
    pos_drop_rate: _Rate | None = None
    patch_drop_rate: _Rate | None = None
    global_pool: Literal["avg", "max", "avgmax"] | None = None
    act_layer: Literal["relu", "leaky_relu", "elu", "gelu", "silu", "hard_swish", "mish"] | None = None
    output_stride: Literal[8, 16, 32] | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_those_that_are_allowed(cls, values: Any) -> Any:
        known = list(cls.model_fields)
        unknown = [str(name) for name in values if name not in known] if isinstance(values, Mapping) else []
        if unknown:
            near = closest(unknown[0], known)
            raise RecipeError(
                f"model.options must be among {', '.join(known)}, got {unknown[0]!r}.",
                hint=f'Did you mean "{near}"?' if near else "The other arguments of timm are left as they are.",
            )
        return values
