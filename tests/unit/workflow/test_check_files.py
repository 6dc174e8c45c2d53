"""Decisions become a cleaned label file that training reads; the photos stay as they are."""

import csv

import pytest

from parts import write_parts
from teliti.data.catalog import read_catalog
from teliti.data.findings import Finding
from teliti.errors import CatalogError, UserError
from teliti.workflow.check import clean
from teliti.workflow.checks.files import write_findings


@pytest.fixture
def parts(tmp_path):
    return write_parts(tmp_path / "parts", per_class=4)


def write_fixes(folder, *rows):
    path = folder / "fixes.csv"
    path.write_text("path,action,label\n" + "".join(f"{row}\n" for row in rows))
    return path


def test_excluded_and_relabelled_photos(parts, tmp_path):
    before = {path: path.read_bytes() for path in parts.rglob("*.png")}
    fixes = write_fixes(
        tmp_path, "good/good-000.png,exclude,", "good/good-001.png,relabel,scratch", "good/good-002.png,,"
    )
    record = clean(parts, fixes=fixes, out=parts / "cleaned.csv")
    assert (record["photos"], record["excluded"], record["relabelled"]) == (7, 1, 1)
    labels = {sample.name: sample.label for sample in read_catalog(str(parts / "cleaned.csv")).samples}
    assert "good/good-000.png" not in labels
    assert labels["good/good-001.png"] == "scratch"
    assert labels["good/good-002.png"] == "good"
    assert {path: path.read_bytes() for path in parts.rglob("*.png")} == before


def test_split_and_group_are_kept(parts):
    (parts / "labels.csv").write_text(
        "path,label,split,group\n"
        + "".join(
            f"{name}/{name}-{at:03d}.png,{name},{'train' if at < 2 else 'test'},lot-{at}\n"
            for name in ("good", "scratch")
            for at in range(4)
        )
    )
    fixes = write_fixes(parts, "good/good-000.png,exclude,")
    clean(parts / "labels.csv", fixes=fixes, out=parts / "cleaned.csv")
    kept = read_catalog(str(parts / "cleaned.csv")).samples
    assert [(one.split, one.group) for one in kept[:2]] == [("train", "lot-1"), ("test", "lot-2")]
    assert len(kept) == 7


def test_the_table_of_findings_is_the_form_for_fixes(parts, tmp_path):
    found = [Finding("label_error", "warning", "m", ("good/good-001.png",), 0.9, "relabel", "scratch")]
    write_findings(tmp_path / "findings.csv", found)
    with (tmp_path / "findings.csv").open(newline="") as file:
        (row,) = list(csv.DictReader(file))
    assert (row["action"], row["suggestion"], row["suggested_label"]) == ("", "relabel", "scratch")
    row["action"], row["label"] = row["suggestion"], row["suggested_label"]
    with (tmp_path / "fixes.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow(row)
    assert clean(parts, fixes=tmp_path / "fixes.csv", out=parts / "cleaned.csv")["relabelled"] == 1


def test_a_name_that_a_spreadsheet_would_run_comes_back(parts, tmp_path):
    (parts / "good" / "good-000.png").rename(parts / "=1.png")
    (parts / "labels.csv").write_text(
        "path,label\n=1.png,good\nscratch/scratch-000.png,scratch\ngood/good-001.png,good\n"
    )
    write_findings(tmp_path / "findings.csv", [Finding("dark", "warning", "m", ("=1.png",))])
    cell = (tmp_path / "findings.csv").read_text().splitlines()[1].split(",")[0]
    assert cell == "'=1.png"
    record = clean(parts / "labels.csv", fixes=write_fixes(tmp_path, f"{cell},exclude,"), out=parts / "cleaned.csv")
    assert record["excluded"] == 1


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("good/good-000.png,delete,", 'line 2: action must be one of exclude, relabel or empty, got "delete"'),
        ("good/good-0000.png,exclude,", 'got "good/good-0000.png" .did you mean "good/good-000.png"'),
        ("good/good-000.png,relabel,", "label must be given to relabel"),
        ("good/good-000.png,relabel,dent", 'label must be one of good, scratch, got "dent"'),
        ("good/good-000.png,exclude,\ngood/good-000.png,relabel,scratch", "line 3: it must agree with line 2"),
    ],
)
def test_wrong_rows_are_named_by_line(parts, tmp_path, row, words):
    with pytest.raises(CatalogError, match=words):
        clean(parts, fixes=write_fixes(tmp_path, row), out=parts / "cleaned.csv")
    assert not (parts / "cleaned.csv").exists()


def test_a_new_number_is_read_as_in_a_label_file(parts, tmp_path):
    (parts / "labels.csv").write_text("path,label\ngood/good-000.png,1.5\ngood/good-001.png,2.5\n")
    fixes = write_fixes(tmp_path, 'good/good-000.png,relabel,"3,5"')
    clean(parts / "labels.csv", fixes=fixes, out=parts / "cleaned.csv")
    assert [sample.label for sample in read_catalog(str(parts / "cleaned.csv")).samples] == [3.5, 2.5]
    for cell in ("1e39", "1_0", "nan"):
        fixes = write_fixes(tmp_path, f"good/good-000.png,relabel,{cell}")
        with pytest.raises(CatalogError, match=r"label must be a finite number of at most 1e\+30 like the others, got"):
            clean(parts / "labels.csv", fixes=fixes, out=parts / "refused.csv")


def test_places_that_cannot_hold_the_file_are_refused(parts, tmp_path):
    fixes = write_fixes(tmp_path, "good/good-000.png,exclude,")
    with pytest.raises(UserError, match="must lie in a folder above every photo"):
        clean(parts, fixes=fixes, out=parts / "good" / "cleaned.csv")
    with pytest.raises(UserError, match=r"must be a \.csv file.* For instance cleaned\.csv\.$"):
        clean(parts, fixes=fixes, out=parts / "cleaned.txt")
    with pytest.raises(
        UserError, match=r"must be a file to stand in a label file.* Unpack the photos into folders first\.$"
    ):
        clean("digits", fixes=write_fixes(tmp_path, "digits/0000,exclude,"), out=tmp_path / "cleaned.csv")
    with pytest.raises(UserError, match=r"must have labels to be cleaned, got none\. Label the photos first\.$"):
        clean(parts / "good", fixes=fixes, out=parts / "cleaned.csv")


def test_a_form_without_its_columns_or_that_is_not_there(parts, tmp_path):
    (tmp_path / "bad.csv").write_text("photo,what\na,b\n")
    with pytest.raises(
        UserError,
        match=r"must have the columns path and action, got photo, what\. Start from the findings\.csv of a check\.$",
    ):
        clean(parts, fixes=tmp_path / "bad.csv", out=parts / "cleaned.csv")
    with pytest.raises(
        UserError, match=r"does not exist\. Give the findings\.csv of a check, with actions filled in\.$"
    ):
        clean(parts, fixes=tmp_path / "none.csv", out=parts / "cleaned.csv")
    everything = [f"{path.relative_to(parts).as_posix()},exclude," for path in parts.rglob("*.png")]
    with pytest.raises(UserError, match="must leave some photos"):
        clean(parts, fixes=write_fixes(tmp_path, *everything), out=parts / "cleaned.csv")
