"""Label files: what they mean, and every error with its line."""

from __future__ import annotations

import codecs

import pytest

from teliti.data.labels_csv import catalog_from_csv, has_label_header, refuse_unlisted
from teliti.data.origins import ArrayOrigin
from teliti.errors import CatalogError
from teliti.types import Catalog

ORIGIN = ArrayOrigin(b"\0", 1, 1)


def read(text: str | bytes, *, use_group: bool = True, missing: tuple[str, ...] = ()) -> Catalog:
    data = text if isinstance(text, bytes) else text.encode("utf-8")
    return catalog_from_csv(
        data,
        source="parts.csv",
        find=lambda name: None if name in missing or "\\" in name else ORIGIN,
        use_group=use_group,
    )


def problems(text: str | bytes, **options: object) -> tuple[str, ...]:
    with pytest.raises(CatalogError) as error:
        read(text, **options)
    assert error.value.message == error.value.problems[0]
    return error.value.problems


def test_names_are_classes_in_the_file_s_order() -> None:
    catalog = read("path,label\nb.png,scratch\na.png,good\n")
    assert [(sample.name, sample.label) for sample in catalog.samples] == [("b.png", "scratch"), ("a.png", "good")]
    assert catalog.task == "classification"
    assert catalog.classes == ("good", "scratch")
    assert not catalog.has_given_split


def test_numbers_are_regression_and_the_user_is_told_how_to_mean_classes() -> None:
    catalog = read("path,label\na.png,0\nb.png,1.5e-1\n")
    assert [sample.label for sample in catalog.samples] == [0.0, 0.15]
    assert (catalog.task, catalog.classes) == ("regression", ())
    assert catalog.notes[0].endswith('For classes write names, for instance "class 0" instead of "0".')


def test_semicolons_byte_order_mark_and_decimal_commas_are_understood() -> None:
    catalog = read("\ufeffPath;Label\r\nphotos/a.png;0,5\r\n\r\nb.png;1\r\n")
    assert [(sample.name, sample.label) for sample in catalog.samples] == [("photos/a.png", 0.5), ("b.png", 1.0)]


def test_split_and_group_columns() -> None:
    text = "group,split,path,label\nlot 1,Train,a.png,x\n,validation,b.png,y\nlot 2,TEST,c.png,x\n"
    catalog = read(text)
    assert [(sample.split, sample.group) for sample in catalog.samples] == [
        ("train", "lot 1"),
        ("val", None),
        ("test", "lot 2"),
    ]
    assert catalog.has_given_split
    assert {sample.group for sample in read(text, use_group=False).samples} == {None}


def test_names_of_any_kind_survive() -> None:
    text = 'path,label\n"a ""b"", c\n<i>.png",<b>ok</b>\n検査/写.png,"=1+1"\n'
    assert [(s.name, s.label) for s in read(text).samples] == [
        ('a "b", c\n<i>.png', "<b>ok</b>"),
        ("検査/写.png", "=1+1"),
    ]


def test_file_names_that_are_not_utf8_keep_their_bytes() -> None:
    assert read(b"path,label\n\xff.png,x\n").samples[0].name == "\udcff.png"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_a_spreadsheets_unicode_text_is_read(encoding: str) -> None:
    data = "path\tlabel\r\nprüf/写.png\tgut\r\n".encode(encoding)
    data = codecs.BOM_UTF16_BE + data if encoding == "utf-16-be" else data
    assert has_label_header(data)
    assert [(s.name, s.label) for s in read(data).samples] == [("prüf/写.png", "gut")]


def test_half_a_character_at_the_end_of_unicode_text_is_an_error_of_its_line() -> None:
    data = "path,label\na.png,x\nb.png,y\n,".encode("utf-16")[:-1]
    assert problems(data) == ('"parts.csv" line 4: must have 2 fields, got 1.',)


def test_windows_separators_are_understood() -> None:
    assert read("path,label\nok\\a.png,x\n").samples[0].name == "ok/a.png"


def test_all_errors_come_in_one_pass_with_their_lines() -> None:
    """R22: every error of the file with its line, all in one pass."""
    text = (
        "path,label,split\n"  # 1
        "a.png,good,train\n"
        "b.png,good\n"  # 3
        "../secret.png,good,train\n"  # 4
        "/etc/passwd,good,train\n"  # 5
        ",good,train\n"  # 6
        "c.png,,train\n"  # 7
        "d.png,good,training\n"  # 8
        '"e\n.png",good,train\n'
        "a.png,bad,train\n"  # 11
        "gone.png,bad,test\n"  # 12
        "f.png,bad,\n"  # 13
    )
    assert sorted(problems(text, missing=("gone.png",)), key=lambda text: int(text.split()[2].rstrip(":"))) == [
        '"parts.csv" line 3: must have 3 fields, got 2.',
        '"parts.csv" line 4: path must stay inside the folder of the label file, got "../secret.png".',
        '"parts.csv" line 5: path must stay inside the folder of the label file, got "/etc/passwd".',
        '"parts.csv" line 6: path must not be empty.',
        '"parts.csv" line 7: label must not be empty.',
        '"parts.csv" line 8: split must be one of train, val, test in every row, got "training".',
        '"parts.csv" line 11: path must occur once, got "a.png" again (first on line 2).',
        '"parts.csv" line 12: path must be a file beside the label file, got "gone.png", which does not exist.',
        '"parts.csv" line 13: split must be one of train, val, test in every row, got "".',
    ]


@pytest.mark.parametrize("path", ["..", ".", "a/../../b.png", "C:/a.png", "..\\a.png", "C:\\a.png", "a\0.png"])
def test_no_path_leads_outside(path: str) -> None:
    assert "path must stay inside the folder of the label file" in problems(f"path,label\n{path},x\n")[0]


def test_a_label_that_is_no_finite_number_among_numbers_is_an_error() -> None:
    assert problems("path,label\na.png,1\nb.png,nan\nc.png,1e999\n") == (
        '"parts.csv" line 3: label must be a finite number of at most 1e+30 like the others, got nan.',
        '"parts.csv" line 4: label must be a finite number of at most 1e+30 like the others, got 1e999.',
    )


def test_names_among_numbers_make_all_of_them_classes_and_say_so() -> None:
    catalog = read("path,label\na.png,1\nb.png,2\nc.png,broken\n")
    assert catalog.classes == ("1", "2", "broken")
    assert "every label is taken as a class name" in catalog.notes[0]


@pytest.mark.parametrize("text", ["", "a.png,good\nb.png,bad\n", "path,label,label\n", "file,class\n"])
def test_a_header_without_path_and_label_is_an_error(text: str) -> None:
    assert "header must have the columns path and label, each once" in problems(text)[0]


def test_labels_in_another_encoding_are_an_error() -> None:
    assert "must be UTF-8 text; save the file as UTF-8" in problems(b"path,label\na.png,gr\xfcn\n")[0]


def test_an_open_quote_is_an_error_with_its_line() -> None:
    assert problems('path,label\na.png,x\n"b.png,y\nc.png,z\n')[0].startswith(
        '"parts.csv" line 3: not readable as a row'
    )


def test_a_file_without_rows_is_an_error() -> None:
    with pytest.raises(CatalogError, match=r'"parts\.csv" must list at least one photo, got none\.'):
        read("path,label\n")


def test_more_than_a_hundred_errors_are_counted() -> None:
    """R22: up to 100 are shown."""
    found = problems("path,label\n" + "a.png\n" * 250)
    assert len(found) == 101
    assert found[-1] == "... and 150 more problems."


def test_columns_that_are_not_used_are_named() -> None:
    assert read("path,label,camera\na.png,x,7\n").notes == ("Columns of the label file that are not used: camera.",)


def test_photos_that_the_file_does_not_list_are_refused() -> None:
    refused = refuse_unlisted(read("path,label\na.png,x\n"), iter(["a.png", "b.png"]))
    assert [(item.name, item.reason) for item in refused] == [("b.png", "not in the label file")]


def test_a_label_file_is_known_by_its_header() -> None:
    assert has_label_header(b'\xef\xbb\xbf"Path";"LABEL"\r\na;b')
    assert not has_label_header(b"name,price\n")
