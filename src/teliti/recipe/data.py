"""[data]: what is learnt from, how it is split, and at which size the network sees it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from teliti.recipe.sections import Fraction, Section, Seed, Side

Fit = Literal["letterbox", "stretch", "crop"]
_SUM_TOLERANCE = 1e-6


class SplitFractions(Section):
    """Shares of the photos, each in [0, 1], summing to 1. `val = 0` lets out-of-fold scores choose the threshold."""

    train: Fraction = 0.6
    val: Fraction = 0.2
    test: Fraction = 0.2

    @model_validator(mode="after")
    def _sum_to_one(self) -> SplitFractions:
        total = self.train + self.val + self.test
        if abs(total - 1.0) > _SUM_TOLERANCE:
            raise ValueError(f"train + val + test must be 1, got {total:g}")
        if self.train <= 0.0:
            raise ValueError("train must be above 0, got 0")
        return self


class DataRecipe(Section):
    """What is learnt from, how it is split, and at which size the network sees it.

    Attributes:
        source: Folder, CSV, IDX, zip, or a built-in name.
        task: What the labels of a label file are, where they leave it open: one class a photo, several labels, or
            numbers.
        positive: The class whose misses cost most.
        pass_classes: (`pass` in TOML) with more than two classes: those that pass; any other is a reject. Of several
            labels a photo likewise; "none" alone rejects every label.
        image_size: Side length or (height, width) in pixels; "auto" takes the photos' own size up to 300.
        fit: How a photo is brought to that size.
        split: Shares of the three parts.
        group: True uses the label file's `group` column when it has one.
        near_duplicates: Keep near-duplicates on one side of the split.
        part_mask: Where the part is on a photo, for the report's question whether the net looks at it: a method, or the
            name pattern of a mask or of a file of boxes; "auto": the mask of the prepare steps, else boxes beside the
            photos; "off": nobody asks.
        folds: "auto" (few photos of a class: 5), 0 (never), or a number of folds from 2.
        seed: Seed of the split; the recipe's seed when unset.
    """

    source: str | None = None
    task: Literal["auto", "classification", "multilabel", "regression"] = "auto"
    positive: str | None = None
    pass_classes: tuple[str, ...] = Field(default=(), alias="pass")
    image_size: Literal["auto"] | Side | tuple[Side, Side] = "auto"
    fit: Fit = "letterbox"
    split: SplitFractions = SplitFractions()
    group: bool = True
    near_duplicates: bool = True
    part_mask: str = "auto"
    folds: Literal["auto"] | Annotated[int, Field(ge=0, le=50)] = "auto"
    seed: Seed | None = None

    @model_validator(mode="after")
    def _folds_are_none_or_several(self) -> DataRecipe:
        if self.folds == 1:
            raise ValueError('folds must be "auto", 0 (no folds) or at least 2, got 1')
        return self
