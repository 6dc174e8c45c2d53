"""`flow_from_dataframe`: rows of a table, whatever holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from teliti.errors import CatalogError, UserError
from teliti.workflow.generator import ImageDataGenerator

COUNT = 12
TABLE: dict[str, list[Any]] = {
    "filename": [f"{number}.png" for number in range(COUNT)],
    "class": ["ok", "dent", "ok", "scratch"] * 3,
    "several": [["ok"], ["dent", "scratch"], ["ok"], ("scratch",)] * 3,
    "size": [number / 10 for number in range(COUNT)],
    "weight": list(range(COUNT)),
    "lot": [f"lot-{number // 2}" for number in range(COUNT)],
}


class Frame:
    """The part of a DataFrame that is read: `columns`, and a column by its name."""

    def __init__(self, table: dict[str, list[Any]]) -> None:
        self.columns = list(table)
        self._table = table

    def __getitem__(self, name: str) -> np.ndarray:
        column = np.empty(len(self._table[name]), dtype=object)
        column[:] = self._table[name]
        return column


@pytest.fixture
def folder(tmp_path: Path) -> str:
    for number in range(COUNT):
        Image.fromarray(np.full((6, 6, 3), number * 20, dtype=np.uint8)).save(tmp_path / f"{number}.png")
    return str(tmp_path)


def read(table: Any, folder: str | None, **arguments: Any) -> Any:
    generator = ImageDataGenerator(validation_split=arguments.pop("validation_split", 0.0))
    return generator.flow_from_dataframe(table, folder, target_size=(6, 6), shuffle=False, **arguments)


RECORDS = [dict(zip(TABLE, row, strict=True)) for row in zip(*TABLE.values(), strict=True)]


@pytest.mark.parametrize("table", [TABLE, RECORDS, Frame(TABLE)], ids=["columns", "records", "frame"])
def test_any_table_will_do(folder: str, table: Any) -> None:
    batches = read(table, folder, weight_col="weight")
    x, y, weights = next(batches)
    assert batches.class_indices == {"dent": 0, "ok": 1, "scratch": 2}
    np.testing.assert_array_equal(x[:, 0, 0, 0], np.arange(COUNT) * 20)
    assert y[:4].argmax(axis=1).tolist() == [1, 0, 1, 2]
    np.testing.assert_array_equal(weights, np.arange(COUNT))


def test_absolute_names_need_no_folder(folder: str) -> None:
    absolute = TABLE | {"filename": [str(Path(folder, name)) for name in TABLE["filename"]]}
    assert read(absolute, None).samples == COUNT


def test_several_classes_a_photo(folder: str) -> None:
    _, y = next(read(TABLE, folder, y_col="several"))
    assert y[:4].tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0], [0, 0, 1]]


def test_chosen_classes_leave_other_rows_out(folder: str) -> None:
    batches = read(TABLE, folder, classes=["scratch", "ok"], class_mode="binary")
    assert batches.samples == 9
    assert next(batches)[1].tolist() == [1, 1, 0] * 3
    several = read(TABLE, folder, y_col="several", classes=["dent"])
    assert several.samples == 3


def test_numbers_as_targets(folder: str) -> None:
    _, y = next(read(TABLE, folder, y_col="size", class_mode="raw"))
    np.testing.assert_allclose(y, TABLE["size"])
    _, (sizes, weights) = next(read(TABLE, folder, y_col=["size", "weight"], class_mode="multi_output"))
    np.testing.assert_allclose(sizes, TABLE["size"])
    np.testing.assert_allclose(weights, TABLE["weight"])


def test_no_targets(folder: str) -> None:
    assert next(read({"filename": TABLE["filename"]}, folder, class_mode=None)).shape == (COUNT, 6, 6, 3)


@pytest.mark.parametrize("class_mode", ["categorical", "sparse", "raw", "multi_output", "input", None])
def test_subsets_in_every_mode(folder: str, class_mode: str | None) -> None:
    y_col: Any = ["size"] if class_mode == "multi_output" else "size" if class_mode == "raw" else "class"
    parts = [
        read(
            TABLE, folder, y_col=y_col, class_mode=class_mode, weight_col="weight", subset=subset, validation_split=0.25
        )
        for subset in ("training", "validation")
    ]
    assert [part.samples for part in parts] == [9, 3]
    assert sorted([*parts[0].filenames, *parts[1].filenames]) == sorted(TABLE["filename"])
    assert parts[1].sample_weight.tolist() == parts[1].positions.tolist()
    if class_mode in ("categorical", "sparse"):
        assert np.bincount(parts[0].classes).min() >= 1


def test_groups_stay_in_one_subset(folder: str) -> None:
    lots = np.array(TABLE["lot"])
    parts = [
        set(lots[read(TABLE, folder, class_mode="raw", y_col="size", group_col="lot", subset=subset,
                      validation_split=0.25).positions])
        for subset in ("training", "validation")
    ]  # fmt: skip
    assert not parts[0] & parts[1]


def test_missing_files_are_left_out_with_a_warning(folder: str) -> None:
    table = TABLE | {"filename": ["gone.png", "words.txt", *TABLE["filename"][2:]]}
    with pytest.warns(
        UserWarning, match=r"2 file name\(s\) of x_col \"filename\" are left out.*'gone.png', 'words.txt'"
    ):
        batches = read(table, folder)
    assert batches.samples == COUNT - 2
    trusting = read(table, folder, validate_filenames=False)
    with pytest.warns(UserWarning, match="is left out"):
        assert len(next(trusting)[0]) == COUNT - 2


def test_the_compatible_subset_is_the_first_part(folder: str) -> None:
    generator = ImageDataGenerator(keras_compatible=True, validation_split=0.25)
    batches = generator.flow_from_dataframe(TABLE, folder, subset="validation")
    assert list(batches.filenames) == ["0.png", "1.png", "2.png"]


@pytest.mark.parametrize(
    ("table", "arguments", "sentence"),
    [
        (TABLE, {"y_col": "label"}, 'The table must have a column "label", got class, filename'),
        (RECORDS, {"x_col": "path"}, 'The table must have a column "path"'),
        (TABLE | {"class": ["ok"]}, {}, "The columns of a table must be of one length"),
        (TABLE | {"filename": [*range(COUNT)]}, {}, r'x_col "filename" must be text, got 0 \(row 0\)'),
        (TABLE, {"y_col": "size"}, 'y_col "size" must be text or a list of texts, got 0.0'),
        (TABLE, {"y_col": "size", "class_mode": "sparse"}, 'y_col "size" must be text, got 0.0'),
        (TABLE, {"weight_col": "lot"}, "weight_col \"lot\" must be a number, got 'lot-0'"),
        (TABLE, {"class_mode": "multi_output"}, 'y_col must be a list for class_mode "multi_output"'),
        (TABLE, {"y_col": ["size"], "class_mode": "raw"}, "y_col must be one column for class_mode 'raw'"),
        (TABLE, {"class_mode": "binary"}, 'class_mode "binary" must have 2 classes, got 3'),
    ],
)
def test_tables_that_cannot_be_used(folder: str, table: Any, arguments: dict, sentence: str) -> None:
    with pytest.raises(CatalogError, match=sentence):
        read(table, folder, **arguments)


def test_a_class_mode_that_does_not_exist_and_no_rows(folder: str) -> None:
    with pytest.raises(UserError, match=r"class_mode must be one of categorical, .* multi_output, raw, got 'other'"):
        read(TABLE, folder, class_mode="other")
    with pytest.raises(UserError, match="The table must hold at least one photo, got none"):
        read([], folder)


def test_classes_without_use_are_said(folder: str) -> None:
    with pytest.warns(UserWarning, match="classes is ignored with class_mode 'raw'"):
        read(TABLE, folder, y_col="size", class_mode="raw", classes=["ok"])
