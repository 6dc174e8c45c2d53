"""What a policy search tries: every operation of the registry that stands here, in a few strengths.

The strengths are those that a photo of a part may plausibly meet, mild before strong. Which of them help is not
known here: that is measured on the user's photos. `mixup` and `cutmix` mix labels and have no place in the features
mode; AutoAugment's own policy was found on other photos and can be compared by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from teliti.types import Record

Space = Mapping[str, Sequence[Mapping[str, Any]]]
"""By operation: the parameters of each strength, mild first."""

SEARCH_SPACE: Space = {
    "flip": ({"horizontal": 0.5}, {"horizontal": 0.5, "vertical": 0.5}),
    "turn": ({},),
    "rotate": ({"degrees": 5.0}, {"degrees": 20.0}),
    "shift": ({"width": 0.05, "height": 0.05}, {"width": 0.15, "height": 0.15}),
    "zoom": ({"scale": 0.1}, {"scale": 0.25}),
    "shear": ({"horizontal": 5.0, "vertical": 5.0}, {"horizontal": 15.0, "vertical": 15.0}),
    "crop_and_pad": ({"crop": 0.05, "pad": 0.05}, {"crop": 0.2, "pad": 0.0}),
    "brightness": ({"factor": 0.1}, {"factor": 0.35}),
    "contrast": ({"factor": 0.1}, {"factor": 0.35}),
    "channel_shift": ({"amount": 10.0}, {"amount": 40.0}),
    "colour_jitter": ({"saturation": 0.2, "hue": 5.0}, {"saturation": 0.6, "hue": 20.0}),
    "noise": ({"std": 5.0}, {"std": 20.0}),
    "blur": ({"sigma": 1.0}, {"sigma": 3.0}),
    "jpeg": ({"quality": 70}, {"quality": 25}),
    "erase": ({"area": 0.1}, {"area": 0.35}),
    "detexturise": ({},),
    "decolourise": ({},),
    "enhance_edges": ({"strength": 1.0}, {"strength": 3.0}),
    "salient_edges": ({"strength": 0.3},),
    "trivialaugment": ({},),
    "randaugment": ({"magnitude": 5}, {"magnitude": 12}),
    "augmix": ({},),
}


def candidates_of(space: Space = SEARCH_SPACE) -> list[Record]:
    """Entries as in a recipe: the mildest strength of every operation first, then the next one of each.

    A search whose time runs out early has then tried every operation once rather than a few in all strengths.
    """
    rounds = zip_longest(*([{"step": name, **strength} for strength in own] for name, own in space.items()))
    return [entry for one in rounds for entry in one if entry is not None]
