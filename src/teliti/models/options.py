"""The allow-listed arguments of a timm network, and what to say where an architecture does not take one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import timm
import torch

from teliti.errors import RecipeError
from teliti.recipe.network_options import NetworkOptions

CANNOT_BUILD = (RuntimeError, ValueError, TypeError, AssertionError, NotImplementedError)
"""What timm's architectures raise for settings that they cannot have."""
_TRIED = {"global_pool": "max", "act_layer": "gelu", "output_stride": 16}  # of the others: a rate


def refuse_misfits(name: str, options: Mapping[str, Any], settings: Mapping[str, Any] | None = None) -> None:
    """Find the option that an architecture does not take, and name those that it does.

    Args:
        name: A timm name.
        options: By name, see `recipe.network_options.NetworkOptions`.
        settings: What else it is built with.

    Raises:
        RecipeError: one of the options cannot be had.
    """
    others = settings or {}
    for option, value in options.items():
        if not _can_build(name, {**others, option: value}):
            taken = [
                one for one in NetworkOptions.model_fields if _can_build(name, {**others, one: _TRIED.get(one, 0.1)})
            ]
            said = f"{name} takes {', '.join(taken)}." if taken else f"{name} takes none of them."
            raise RecipeError(
                f"model.options.{option} must be one that {name} can be built with, got {value!r}.", hint=said
            )


def _can_build(name: str, settings: Mapping[str, Any]) -> bool:
    try:
        with torch.device("meta"):
            timm.create_model(name, pretrained=False, **settings)
    except CANNOT_BUILD:
        return False
    return True
