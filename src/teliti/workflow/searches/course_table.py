"""The sensitivity table of the CNN course on product quality inspection, to be printed beside one's own.

Test accuracies of ResNet50 and VGG16 as the course prints them ("course table"): one training each, without repeats,
on photos and with settings that it does not name further.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SOURCE = "course table"
EPOCHS = ("100", "200")
_TABLE: Mapping[str, Mapping[tuple[str, str], float]] = {
    "resnet50": {
        ("prepare", "none"): 0.86, ("prepare", "segment"): 0.90,
        ("train.epochs", "100"): 0.91, ("train.epochs", "200"): 0.85,
        ("train.batch_size", "32"): 0.92, ("train.batch_size", "64"): 0.84,
        ("train.lr", "0.001"): 0.80, ("train.lr", "0.005"): 0.86,
    },
    "vgg16": {
        ("prepare", "none"): 0.33, ("prepare", "segment"): 0.40,
        ("train.epochs", "100"): 0.33, ("train.epochs", "200"): 0.40,
        ("train.batch_size", "32"): 0.33, ("train.batch_size", "64"): 0.40,
        ("train.lr", "0.001"): 0.40, ("train.lr", "0.005"): 0.33,
    },
}  # fmt: skip


def course_value(network: str, key: str, value: str, *, stands_for: Sequence[str] = ()) -> float | None:
    """The course's accuracy; None where its table has none.

    Args:
        network: Its name.
        key: Of the factor.
        value: As written.
        stands_for: Values that are short forms of `EPOCHS`, in their order.
    """
    if key == "train.epochs" and value in stands_for:
        value = dict(zip(stands_for, EPOCHS, strict=False)).get(value, value)
    return _TABLE.get(network, {}).get((key, value))
