"""What a label file may say of a photo: a class, several labels, a number, several numbers; and how it may be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from parts import draw_part, encode_png
from teliti.data.catalog import read_catalog
from teliti.data.label_cells import pick_label_columns, read_number, write_label
from teliti.errors import CatalogError


def labelled(folder: Path, text: str, *, photos: int = 4) -> str:
    """A label file beside photos a.png, b.png, ..."""
    for place in range(photos):
        (folder / f"{chr(97 + place)}.png").write_bytes(encode_png(draw_part(place, scratched=False, side=8)))
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def problems_of(source: str, **options: str) -> list[str]:
    with pytest.raises(CatalogError) as caught:
        read_catalog(source, **options)  # type: ignore[arg-type]
    return list(caught.value.problems) or [caught.value.message]


def test_two_names_in_one_cell_make_the_set_multilabel(tmp_path: Path) -> None:
    catalog = read_catalog(labelled(tmp_path, "path,label\na.png,scratch; dent\nb.png,dent\nc.png,none\nd.png,\n"))
    assert (catalog.task, catalog.classes) == ("multilabel", ("dent", "scratch"))
    assert [sample.label for sample in catalog.samples] == [("dent", "scratch"), ("dent",), (), ()]
    assert catalog.notes == (
        'Cells of "labels.csv" have several names with semicolons between them, so a photo may have several labels.',
        'An empty cell or "none" is no label.',
    )


def test_one_name_in_every_cell_stays_a_class_and_none_a_name(tmp_path: Path) -> None:
    catalog = read_catalog(labelled(tmp_path, "path,label\na.png,scratch\nb.png,none\n"))
    assert (catalog.task, catalog.classes) == ("classification", ("none", "scratch"))


def test_the_recipe_settles_what_cells_leave_open(tmp_path: Path) -> None:
    source = labelled(tmp_path, "path,label\na.png,3;5\nb.png,5;3\nc.png,3;7\n")
    assert read_catalog(source).number_names == ("label 1", "label 2")
    assert read_catalog(source, task="multilabel").classes == ("3", "5", "7")
    assert read_catalog(source, task="classification").classes == ("3;5", "3;7", "5;3")
    plain = labelled(tmp_path, "path,label\na.png,1\nb.png,2\n")
    assert read_catalog(plain).task == "regression"
    assert read_catalog(plain, task="classification").classes == ("1", "2")


@pytest.mark.parametrize("cells", [("1", "0"), ("1.0", "0.0"), ("True", "false")])
def test_columns_of_zeros_and_ones_are_labels(cells: tuple[str, str], tmp_path: Path) -> None:
    yes, no = cells
    text = f"path,scratch,dent,split\na.png,{yes},{no},train\nb.png,{yes},{yes},train\nc.png,{no},{no},test\n"
    catalog = read_catalog(labelled(tmp_path, text))
    assert (catalog.task, catalog.classes, catalog.has_given_split) == ("multilabel", ("scratch", "dent"), True)
    assert [sample.label for sample in catalog.samples] == [("scratch",), ("dent", "scratch"), ()]


def test_a_label_that_no_photo_has_is_left_out(tmp_path: Path) -> None:
    text = "path,scratch,dent,rust\na.png,1,0,0\nb.png,0,1,0\nc.png,1,1,0\n"
    assert read_catalog(labelled(tmp_path, text)).classes == ("scratch", "dent")


def test_columns_of_numbers_are_numbers_with_names(tmp_path: Path) -> None:
    text = "path;label_x;label_y;camera\na.png;1,5;2\nb.png;-2e1;3\n"
    assert problems_of(labelled(tmp_path, text))[0] == '"labels.csv" line 2: must have 4 fields, got 3.'
    catalog = read_catalog(labelled(tmp_path, text.replace(";2\n", ";2;A\n").replace(";3\n", ";3;B\n")))
    assert (catalog.task, catalog.classes, catalog.number_names) == ("regression", (), ("x", "y"))
    assert [sample.numbers for sample in catalog.samples] == [(1.5, 2.0), (-20.0, 3.0)]
    assert catalog.notes[0] == "Columns of the label file that are not used: camera."


def test_zeros_and_ones_can_be_numbers_too(tmp_path: Path) -> None:
    source = labelled(tmp_path, "path,left,right\na.png,0,1\nb.png,1,0\n")
    assert read_catalog(source).task == "multilabel"
    assert [sample.label for sample in read_catalog(source, task="regression").samples] == [(0.0, 1.0), (1.0, 0.0)]


def test_several_numbers_stand_in_one_cell(tmp_path: Path) -> None:
    catalog = read_catalog(labelled(tmp_path, "path,label\na.png,1.2;3.4\nb.png,5;6\n"))
    assert [sample.label for sample in catalog.samples] == [(1.2, 3.4), (5.0, 6.0)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("path,label\na.png,x;\nb.png,y\n", "line 2: label must have a name on both sides of each semicolon, got x;"),
        ("path,label\na.png,x;;y\nb.png,y\n", "line 2: label must have a name on both sides of each semicolon"),
        ("path,label\na.png,x;none\nb.png,y\n", 'line 2: label must have "none" alone or not at all, got x;none'),
        ("path,label\na.png,x;x\nb.png,y\n", "line 2: label must have each name once, got x;x"),
        ("path,label\na.png,1;2\nb.png,3\n", "line 3: label must have 2 numbers like the first one, got 1"),
        ("path,label\na.png,1;2\nb.png,3;nan\n", "line 3: label must be 2 numbers, each a finite number of at most"),
        ("path,label\na.png,1;1e999\nb.png,3;4\n", "line 2: label must be 2 numbers, each a finite number of at most"),
        ("path,x,y\na.png,0,1\nb.png,1,maybe\n", "line 3: y must be 0 or 1 (or every column numbers), got maybe"),
        ("path,x,y\na.png,0,1\nb.png,1,\n", "line 3: y must be 0 or 1 (or every column numbers), got nothing"),
        ("path,x,y\na.png,2.5,1\nb.png,3,4\nc.png,5,\n", "line 4: y must be a finite number of at most 1e+30, got"),
        ("path,x,y\na.png,0.5,1\nb.png,inf,0\n", "line 3: x must be a finite number of at most 1e+30, got inf"),
        ("path,x,y\na.png,0.5,1\nb.png,2,-1e39\n", "line 3: y must be a finite number of at most 1e+30, got -1e39"),
        ("path,label\na.png,0.5\nb.png,1e39\n", "line 3: label must be a finite number of at most 1e+30 like"),
        ("path,x,none\na.png,0,1\nb.png,1,0\n", 'line 1: a label column must have a name without semicolon other than'),
        ("path,x\na.png,0\nb.png,1\n", "line 1: at least two label columns must be there, got x"),
        ("path,x,x\na.png,0,1\nb.png,1,0\n", "line 1: header must have the columns path and label, each once"),
        ("path,split\na.png,train\n", "line 1: header must have the columns path and label, each once"),
        ("path,label\na.png,\nb.png,y\nc.png,z\n", "line 2: label must not be empty"),
    ],
)  # fmt: skip
def test_a_wrong_cell_is_named_with_file_and_line(text: str, problem: str, tmp_path: Path) -> None:
    assert problems_of(labelled(tmp_path, text))[0].startswith(f'"labels.csv" {problem}')


@pytest.mark.parametrize(
    ("cell", "number"), [("1,5", 1.5), ("-1e30", -1e30), ("1e31", None), ("1_0", None), ("nan", None)]
)
def test_a_number_is_read_as_it_is_learnt(cell: str, number: float | None) -> None:
    assert read_number(cell) == number


def test_every_wrong_line_is_named_in_one_pass(tmp_path: Path) -> None:
    text = "path,x,y\na.png,2,1\nb.png,1,yes\nc.png,1,0\nmissing.png,0,0\n"
    assert [problem.split(":")[0] for problem in problems_of(labelled(tmp_path, text))] == [
        '"labels.csv" line 2',
        '"labels.csv" line 3',
        '"labels.csv" line 5',
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,x,y\na.png,1,1\nb.png,1,1\n", 'must have photos of at least two classes, got one: "x;y"'),
        (
            "path,label\na.png,1;2\nb.png,1;2\n",
            'must have photos of at least two different numbers, got one: "1.0;2.0"',
        ),
        (
            "path,x,y,split\na.png,1,0,train\nb.png,0,0,train\nc.png,0,1,test\n",
            'must have photos of every class in its train part, got none of "y"',
        ),
    ],
)
def test_a_set_that_cannot_be_learnt_from_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(CatalogError) as caught:
        read_catalog(labelled(tmp_path, text))
    assert message in caught.value.message
    assert caught.value.hint


def test_a_task_that_folders_cannot_have_is_refused(parts_folder: Path) -> None:
    with pytest.raises(CatalogError, match=r"which are for classification, got multilabel\.") as caught:
        read_catalog(str(parts_folder), task="multilabel")
    assert caught.value.hint == "Several labels or numbers a photo stand in a label file; or leave data.task out."


def test_the_file_is_found_in_its_folder(tmp_path: Path) -> None:
    labelled(tmp_path, "path,scratch,dent\na.png,1,0\nb.png,0,1\n", photos=3)
    catalog = read_catalog(str(tmp_path))
    assert catalog.task == "multilabel"
    assert [item.reason for item in catalog.refused] == ["not in the label file"]


def test_columns_are_picked_by_name() -> None:
    others = ("path", "split")
    assert pick_label_columns(["path", "x", "Label", "label_a"], others=others) == ["Label"]
    assert pick_label_columns(["path", "x", "label_a", "label_b"], others=others) == ["label_a", "label_b"]
    assert pick_label_columns(["path", "x", "split", "y"], others=others) == ["x", "y"]


@pytest.mark.parametrize(
    ("label", "cell"),
    [("x", "x"), (1.5, "1.5"), (("x", "y"), "x;y"), ((), "none"), ((1.0, 2.5), "1.0;2.5"), (None, "")],
)
def test_a_label_is_written_as_it_is_read(label: object, cell: str) -> None:
    assert write_label(label) == cell  # type: ignore[arg-type]
