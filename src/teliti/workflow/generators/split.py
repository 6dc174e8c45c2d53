"""The training and the validation subset of a generator: Keras's first part, or a stratified, seeded one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from teliti.data.split import merge_groups, split_samples
from teliti.errors import SplitError, UserError
from teliti.recipe import SplitFractions
from teliti.transforms.generator import GeneratorSettings
from teliti.types import IntArray

Subset = Literal["training", "validation"]


@dataclass(frozen=True)
class SubsetRule:
    """How a set is divided, equal for every reader of one generator.

    Attributes:
        share: Of the validation part, strictly between 0 and 1; 0 is no split.
        seed: Same seed, same parts.
    """

    share: float
    seed: int

    def select(
        self, labels: NDArray[Any] | None, groups: Sequence[str | None] | None, *, count: int, part: Subset
    ) -> IntArray:
        """Positions of one part, ascending.

        Args:
            labels: (N,) strata as int or numbers as float; None balances nothing.
            groups: (N) photos of one group stay together.
            count: N.
            part: Which one.

        Raises:
            UserError: there is no split.
            SplitError: a class has too few photos or groups to be on both sides.
        """
        require_share(self.share, part)
        fractions = SplitFractions(train=1.0 - self.share, val=self.share, test=0.0)
        strata = np.zeros(count, dtype=np.int64) if labels is None else labels
        together = merge_groups([None] * count if groups is None else list(groups), [])
        try:
            parts = split_samples(strata, together, fractions=fractions, seed=self.seed)
        except SplitError as error:
            raise SplitError(
                error.message, hint="Add photos of it, leave it out, or (in flow) pass ignore_class_split=True."
            ) from error
        wanted = "val" if part == "validation" else "train"
        return np.flatnonzero([own == wanted for own in parts])


def rule_of(settings: GeneratorSettings) -> SubsetRule:
    """The generator's rule."""
    return SubsetRule(settings.validation_split, settings.split_seed)


def select_like_keras(count: int, *, share: float, part: Subset) -> IntArray:
    """The first `share` of the photos is the validation part, the rest the training part."""
    first = int(share * count)
    return np.arange(first) if part == "validation" else np.arange(first, count)


def check_subset(subset: str | None) -> None:
    """Refuse a subset that does not exist.

    Raises:
        UserError: neither None, "training" nor "validation".
    """
    if subset not in (None, "training", "validation"):
        raise UserError(
            f'subset must be "training", "validation" or None, got {subset!r}.', hint="Write one of these words."
        )


def require_share(share: float, part: str) -> None:
    """Refuse a subset of a generator without a split.

    Raises:
        UserError: validation_split is 0.
    """
    if not share:
        raise UserError(
            f'subset="{part}" must have a validation_split to come from, got none.',
            hint="Pass validation_split=0.2 to the generator.",
        )


def check_same_split(fitted_with_labels: bool | None, labels: Any, subset: str | None) -> None:
    """Refuse statistics that were fitted on another training part than the one now asked for.

    Args:
        fitted_with_labels: Whether `fit` divided the photos by labels; None where it did not divide them.
        labels: That `flow` divides by.
        subset: That `flow` is asked for.

    Raises:
        UserError: only one of the two has labels.
    """
    if subset is not None and fitted_with_labels not in (None, labels is not None):
        raise UserError(
            "fit and flow must divide the photos alike, got labels in only one of them.",
            hint="Call fit(x, y=y) with the y that flow gets, or fit(x) with flow(..., ignore_class_split=True).",
        )


def strata_of(labels: Sequence[Any] | NDArray[Any]) -> NDArray[Any] | None:
    """What a split is balanced by: (N,) int classes, (N,) float numbers, or None where there is nothing to balance.

    Args:
        labels: Class names or indices, numbers, one-hot rows, or lists of names. Rows and lists are classes where each
            kind occurs at least twice.
    """
    values = [_as_key(label) for label in labels]
    if any(isinstance(value, float) and not value.is_integer() for value in values):
        return np.array(values, dtype=np.float64)
    names = {value: number for number, value in enumerate(dict.fromkeys(values))}
    strata = np.array([names[value] for value in values], dtype=np.int64)
    is_compound = any(isinstance(value, tuple) for value in values)
    return None if is_compound and np.bincount(strata).min() < 2 else strata


def _as_key(label: Any) -> Any:
    """A hashable stand-in: numbers as floats, rows as tuples, lists of names as sorted tuples."""
    if isinstance(label, np.ndarray | list | tuple):
        flat = np.asarray(label).ravel().tolist()
        if len(flat) == 1:
            return _as_key(flat[0])
        return tuple(sorted(flat)) if isinstance(label, list | tuple) else tuple(flat)
    return float(label) if isinstance(label, int | float | np.number) else label
