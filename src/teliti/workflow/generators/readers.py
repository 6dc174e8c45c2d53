"""Sources of photos for the generator's three readers: arrays, class folders, tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.errors import UserError
from teliti.transforms.generator import GeneratorSettings
from teliti.transforms.generator_standardize import check_photos
from teliti.types import IntArray
from teliti.workflow.generators.files import ArraySource, FileSource, PhotoLoading, list_classes, list_photos
from teliti.workflow.generators.split import Subset, check_subset, rule_of, select_like_keras, strata_of
from teliti.workflow.generators.table import (
    WITH_CLASSES,
    TableColumns,
    check_table,
    filter_classes,
    join,
    keep_valid_files,
    read_columns,
    require_photos,
    require_two_classes,
    take,
)

_FOLDER_CLASS_MODES = ("categorical", "binary", "sparse", "input", None)


def array_source(
    settings: GeneratorSettings,
    x: Any,
    y: Any,
    *,
    sample_weight: Any,
    subset: str | None,
    ignore_class_split: bool,
    groups: Sequence[Any] | None,
) -> ArraySource:
    """Photos of an array, or of a pair (photos, further inputs).

    Raises:
        UserError: arrays of different lengths, photos of another rank than 4, or a subset that cannot be made.
        SplitError: a class has too few photos for both parts.
    """
    check_subset(subset)
    photos, extra = _inputs(x)
    for name, other in (("y", y), ("sample_weight", sample_weight), ("groups", groups), *(("x", e) for e in extra)):
        if other is not None and len(other) != len(photos):
            raise UserError(
                f"{name} must be as long as the photos, got {len(other)} and {len(photos)}.", hint="Check the arrays."
            )
    photos = _numbers(settings, photos)
    check_photos(settings, photos, purpose="flow")
    targets = None if y is None else np.asarray(y)
    weights = None if sample_weight is None else np.asarray(sample_weight)
    positions = np.arange(len(photos))
    if subset is not None and settings.keras_compatible:
        positions = select_like_keras(len(photos), share=settings.validation_split, part=_part(subset))
        _check_class_sets(targets, positions, ignored=ignore_class_split)
    elif subset is not None:
        positions = select_rows(settings, None if ignore_class_split else y, groups, count=len(photos), subset=subset)
        weights = None if weights is None else weights[positions]  # Keras forgets to divide them
    return ArraySource(
        x=photos[positions],
        extra=[other[positions] for other in extra],
        y=None if targets is None else targets[positions],
        sample_weight=weights,
        positions=positions,
    )


def select_rows(
    settings: GeneratorSettings, y: Any, groups: Sequence[Any] | None, *, count: int, subset: str
) -> IntArray:
    """Positions of a subset, stratified by the targets and seeded.

    Raises:
        UserError: the generator has no validation_split.
        SplitError: a class has too few photos for both parts.
    """
    names = None if groups is None else [None if group is None else str(group) for group in groups]
    labels = None if y is None else strata_of(y)
    return rule_of(settings).select(labels, names, count=count, part=_part(subset))


def folder_source(
    settings: GeneratorSettings,
    directory: str | Path,
    loading: PhotoLoading,
    *,
    classes: Sequence[str] | None,
    class_mode: str | None,
    follow_links: bool,
    subset: str | None,
) -> FileSource:
    """Photos of class folders.

    Raises:
        UserError: no such folder, no photos in it, or an argument without a meaning.
        SplitError: a class has too few photos for both parts.
    """
    check_subset(subset)
    _check_class_mode(class_mode, _FOLDER_CLASS_MODES)
    like_keras, root = settings.keras_compatible, Path(directory)
    class_names = list_classes(root, classes, like_keras=like_keras)
    names: list[str] = []
    labels: list[int] = []
    for label, class_name in enumerate(class_names):
        found = list_photos(root, class_name, follow_links=follow_links, like_keras=like_keras)
        if subset is not None and like_keras:
            part = select_like_keras(len(found), share=settings.validation_split, part=_part(subset))
            found = [found[place] for place in part]
        names += found
        labels += [label] * len(found)
    source = FileSource(
        names=names,
        filepaths=[str(root / name) for name in names],
        positions=np.arange(len(names)),
        loading=loading,
        class_mode=class_mode,
        dtype=settings.dtype,
        classes=np.array(labels, dtype=np.int32),
        class_indices={name: label for label, name in enumerate(class_names)},
    )
    if like_keras:
        return source
    require_photos(len(names), f'"{directory}"')
    require_two_classes(class_names, class_mode)
    return source if subset is None else _part_of(source, settings, subset=subset, labels=labels, groups=None)


def table_source(
    settings: GeneratorSettings,
    table: Any,
    loading: PhotoLoading,
    *,
    directory: str | None,
    named: TableColumns,
    classes: Sequence[str] | None,
    class_mode: str | None,
    validate_filenames: bool,
    subset: str | None,
) -> FileSource:
    """Photos of a table's rows.

    Raises:
        UserError: a column or a value that cannot be used, or no photo at all.
        SplitError: a class has too few photos for both parts.
    """
    check_subset(subset)
    _check_class_mode(class_mode, (*_FOLDER_CLASS_MODES, "multi_output", "raw"))
    like_keras = settings.keras_compatible
    columns = read_columns(table, named.wanted(class_mode))
    check_table(columns, named, class_mode=class_mode, classes=classes)
    if validate_filenames:
        kept = keep_valid_files(columns, named.x, directory, like_keras=like_keras)
        columns = take(columns, kept)
    class_names: list[str] = []
    if class_mode in WITH_CLASSES:
        labels, class_names = filter_classes(columns[str(named.y)], classes)
        require_two_classes(class_names, class_mode)
        columns[str(named.y)] = labels
        columns = take(columns, [row for row, label in enumerate(labels) if label is not None])
    indices = {name: label for label, name in enumerate(class_names)}
    source = _rows_source(settings, columns, loading, named=named, class_mode=class_mode, class_indices=indices)
    source.filepaths = [join(directory, name) for name in source.names]
    if not like_keras:
        require_photos(len(source.names), "The table")
    if subset is None:
        return source
    if like_keras:
        part = select_like_keras(len(source.names), share=settings.validation_split, part=_part(subset))
        return _at(source, part)
    balanced = None if class_mode in (None, "input", "multi_output") else columns[str(named.y)]
    return _part_of(
        source, settings, subset=subset, labels=balanced, groups=None if named.group is None else columns[named.group]
    )


def _inputs(x: Any) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """Photos and further inputs of `x` or of a pair (x, one array or a list of arrays)."""
    if not isinstance(x, tuple | list):
        return np.asarray(x), []
    if len(x) != 2:
        raise UserError(
            f"x must be photos or a pair (photos, further inputs), got {len(x)} entries.",
            hint="Stack photos with numpy.stack.",
        )
    others = x[1] if isinstance(x[1], list) else [x[1]]
    return np.asarray(x[0]), [np.asarray(other) for other in others]


def _numbers(settings: GeneratorSettings, photos: NDArray[Any]) -> NDArray[Any]:
    """Bytes stay bytes until they are standardised, which takes a quarter of the memory; Keras converts at once."""
    if photos.dtype == np.uint8 and not settings.keras_compatible:
        return photos
    return np.asarray(photos, dtype=settings.dtype)


def _part(subset: str) -> Subset:
    return "validation" if subset == "validation" else "training"


def _check_class_sets(targets: NDArray[Any] | None, inside: IntArray, *, ignored: bool) -> None:
    """Refuse, as Keras does, parts whose sets of targets differ."""
    if targets is None or ignored:
        return
    outside = np.setdiff1d(np.arange(len(targets)), inside)
    if not np.array_equal(np.unique(targets[inside]), np.unique(targets[outside])):
        raise UserError(
            "The training and the validation part must have the same classes, got different ones.",
            hint="Shuffle the arrays first, or leave keras_compatible out for a stratified split.",
        )


def _check_class_mode(class_mode: str | None, allowed: Sequence[str | None]) -> None:
    if class_mode not in allowed:
        raise UserError(
            f"class_mode must be one of {', '.join(map(str, allowed))}, got {class_mode!r}.", hint="Choose one of them."
        )


def _rows_source(
    settings: GeneratorSettings,
    columns: dict[str, list[Any]],
    loading: PhotoLoading,
    *,
    named: TableColumns,
    class_mode: str | None,
    class_indices: dict[str, int],
) -> FileSource:
    source = FileSource(
        names=list(columns[named.x]),
        filepaths=[],
        positions=np.arange(len(columns[named.x])),
        loading=loading,
        class_mode=class_mode,
        dtype=settings.dtype,
        class_indices=class_indices,
    )
    if class_mode in WITH_CLASSES:
        source.classes = [_index_of(label, class_indices) for label in columns[str(named.y)]]
    if class_mode == "raw":
        source.targets = np.array(columns[str(named.y)])
    if class_mode == "multi_output":
        source.targets = [np.array(columns[name]) for name in named.y]
    if named.weight is not None:
        source.sample_weight = np.array(columns[named.weight])
    return source


def _index_of(label: Any, class_indices: dict[str, int]) -> int | list[int]:
    return class_indices[label] if isinstance(label, str) else [class_indices[name] for name in label]


def _part_of(
    source: FileSource, settings: GeneratorSettings, *, subset: str, labels: Any, groups: Sequence[Any] | None
) -> FileSource:
    return _at(source, select_rows(settings, labels, groups, count=len(source.names), subset=subset))


def _at(source: FileSource, rows: IntArray) -> FileSource:
    """The source with those photos alone."""
    targets = source.targets
    if source.class_mode == "multi_output":
        targets = [output[rows] for output in targets]
    elif targets is not None:
        targets = targets[rows]
    classes = source.classes
    if len(classes):
        classes = classes[rows] if isinstance(classes, np.ndarray) else [classes[row] for row in rows]
    return replace(
        source,
        names=[source.names[row] for row in rows],
        filepaths=[source.filepaths[row] for row in rows],
        positions=source.positions[rows],
        classes=classes,
        targets=targets,
        sample_weight=None if source.sample_weight is None else source.sample_weight[rows],
    )
