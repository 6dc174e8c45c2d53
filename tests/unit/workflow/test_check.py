"""Planted faults are found in a set of made-up parts, and a healthy set stays quiet."""

import json
import os
import shutil

import cv2
import numpy as np
import pytest

import teliti.workflow.checks.features as features_room
from parts import draw_part, encode_png, write_parts
from photos import encode
from teliti.errors import UserError
from teliti.recipe import parse_recipe
from teliti.workflow.check import check


@pytest.fixture
def parts(tmp_path):
    return write_parts(tmp_path / "parts", per_class=32)


def look(source, **choices):
    return check(str(source), features=False, **choices)


def of_kind(record, kind):
    return [one for one in record["findings"] if one["kind"] == kind]


def test_a_healthy_set_has_no_errors_and_no_warnings(parts):
    record = look(parts)
    assert record["photos"] == 64
    assert record["classes"] == {"good": 32, "scratch": 32}
    kinds = {one["kind"] for one in record["findings"] if one["severity"] != "info"}
    assert kinds <= {"shortcut"}  # a scratch is darker and sharper: that is the defect itself


def test_broken_and_empty_photos_are_named(parts):
    (parts / "good" / "a.png").write_bytes(b"")
    (parts / "good" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    (parts / "good" / "notes.txt").write_text("x")
    record = look(parts)
    assert of_kind(record, "empty")[0]["paths"] == ["good/a.png"]
    assert of_kind(record, "broken")[0]["paths"] == ["good/b.png"]
    assert of_kind(record, "unlisted")[0]["paths"] == ["good/notes.txt"]
    assert record["refused"] == 3


def test_odd_photos_are_named(parts):
    dark = (draw_part(900, scratched=True) * 0.12).astype(np.uint8)
    blurred = cv2.GaussianBlur(draw_part(901, scratched=True), (0, 0), 4)
    for name, photo in {"dark": dark, "flat": np.full((48, 48, 3), 90, np.uint8), "soft": blurred}.items():
        (parts / "good" / f"{name}.png").write_bytes(encode_png(photo))
    (parts / "good" / "large.png").write_bytes(encode_png(draw_part(902, scratched=False, side=200)))
    record = look(parts)
    for kind, name in {"dark": "dark", "uniform": "flat", "blurred": "soft", "odd_size": "large"}.items():
        assert f"good/{name}.png" in [path for one in of_kind(record, kind) for path in one["paths"]], kind


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (encode_png, "duplicate"),
        (lambda photo: encode(photo, "JPEG", quality=92), "duplicate"),
        (lambda photo: encode_png(np.ascontiguousarray(photo[:, ::-1])), "duplicate"),
    ],
)
def test_copies_are_found_whatever_was_done_to_them(parts, change, kind):
    original = draw_part(1, scratched=True)
    (parts / "scratch" / "copy.png").write_bytes(change(original))
    (found,) = of_kind(look(parts), kind)
    assert set(found["paths"]) == {"scratch/copy.png", "scratch/scratch-000.png"}
    assert found["suggestion"] == {"action": "exclude"}


def test_copies_with_two_labels_are_an_error(parts):
    shutil.copy(parts / "scratch" / "scratch-003.png", parts / "good" / "oops.png")
    (found,) = of_kind(look(parts), "label_conflict")
    assert set(found["paths"]) == {"good/oops.png", "scratch/scratch-003.png"}
    assert found["severity"] == "error"


def test_leaks_of_a_given_split_are_errors(tmp_path):
    for part, seed in (("train", 0), ("test", 500)):
        write_parts(tmp_path / "split" / part, per_class=12, seed=seed)
    shutil.copy(tmp_path / "split/train/good/good-000.png", tmp_path / "split/test/good/again.png")
    (found,) = of_kind(look(tmp_path / "split"), "leak")
    assert found["paths"] == ["train/good/good-000.png", "test/good/again.png"]


def test_a_brighter_class_is_called_a_shortcut(tmp_path):
    for at in range(40):
        label = ("good", "bad")[at % 2]
        photo = np.clip(draw_part(at, scratched=False).astype(int) + 40 * (at % 2), 0, 255).astype(np.uint8)
        path = tmp_path / "bright" / label / f"{at}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(photo))
    record = look(tmp_path / "bright")
    found = [one for one in of_kind(record, "shortcut") if "brightness" in one["message"]]
    assert [one["severity"] for one in found] == ["warning"]
    row = next(row for row in record["properties"] if row["property"] == "brightness")
    assert f"{row['score']:.1%}" in found[0]["message"]


def test_the_day_of_one_class_is_told_with_what_else_it_may_mean(parts):
    for path in parts.rglob("*.png"):
        os.utime(path, (0, 1_000_000_000 if "good" in path.name else 1_600_000_000))
    (found,) = [one for one in of_kind(look(parts), "shortcut") if "file date" in one["message"]]
    assert found["severity"] == "info"
    assert found["message"].endswith("Copying the files class by class does this too.")


def test_a_folder_that_tells_the_class_is_found_and_class_folders_are_not(parts):
    assert not [one for one in of_kind(look(parts), "shortcut") if "folder" in one["message"]]
    for lot, names in (("lot-1", "good"), ("lot-2", "scratch")):
        for at, path in enumerate(sorted((parts / names).glob("*.png"))):
            place = parts / names / (lot if at else "lot-3")
            place.mkdir(exist_ok=True)
            path.rename(place / path.name)
    assert [one for one in of_kind(look(parts), "shortcut") if "folder" in one["message"]]


def test_wrong_rows_of_a_label_file_are_findings_with_their_line(parts):
    file = parts / "labels.csv"
    file.write_text("path,label\ngood/good-000.png,good\nnowhere.png,good\nscratch/scratch-000.png,\n")
    record = look(file)
    assert record["photos"] == 0
    messages = [one["message"] for one in of_kind(record, "label_file")]
    assert len(messages) == 2
    assert '"labels.csv" line 3' in messages[0] or '"labels.csv" line 3' in messages[1]
    assert any('"labels.csv" line 4: label must not be empty' in message for message in messages)


def test_photos_without_labels_are_checked_all_the_same(parts):
    flat = parts / "good"
    (flat / "copy.png").write_bytes((flat / "good-000.png").read_bytes())
    record = look(flat)
    assert (record["photos"], record["classes"]) == (33, {})
    assert len(of_kind(record, "duplicate")) == 1


def test_defects_too_small_for_the_input_are_named(parts):
    mask = np.zeros((48, 48), np.uint8)
    mask[10:14, 10:14] = 255
    (parts / "scratch" / "scratch-000_mask.png").write_bytes(encode(mask, "PNG"))
    record = look(parts, masks=["{stem}_mask.png"], recipe=parse_recipe({"data": {"image_size": 32}}))
    (found,) = of_kind(record, "small_defect")
    assert found["paths"] == ["scratch/scratch-000.png"]
    assert record["photos"] == 64


def test_boxes_do_as_well_as_masks_and_are_no_photos(parts):
    box = "<bndbox><xmin>11</xmin><ymin>11</ymin><xmax>14</xmax><ymax>14</ymax></bndbox>"
    (parts / "scratch" / "scratch-000.xml").write_text(f"<annotation><object>{box}</object></annotation>")
    record = look(parts, masks=["{stem}.xml"], recipe=parse_recipe({"data": {"image_size": 32}}))
    (found,) = of_kind(record, "small_defect")
    assert found["paths"] == ["scratch/scratch-000.png"]
    assert (record["photos"], of_kind(record, "unlisted")) == (64, [])


def test_boxes_named_like_the_photos_need_no_word(parts):
    box = "<bndbox><xmin>11</xmin><ymin>11</ymin><xmax>14</xmax><ymax>14</ymax></bndbox>"
    for photo in (parts / "scratch").glob("*.png"):
        photo.with_suffix(".xml").write_text(f"<annotation><object>{box}</object></annotation>")
    record = look(parts, recipe=parse_recipe({"data": {"image_size": 32}}))
    assert len(of_kind(record, "small_defect")) == 32
    off = look(parts, recipe=parse_recipe({"data": {"image_size": 32, "part_mask": "off"}}))
    assert of_kind(off, "small_defect") == []


def test_a_second_check_decodes_nothing(parts, monkeypatch):
    look(parts)
    monkeypatch.setattr("teliti.data.looking.decode_photo", lambda _: pytest.fail("decoded again"))
    assert look(parts)["photos"] == 64


def test_the_summary_counts_the_findings_and_says_what_to_do(parts):
    (parts / "good" / "a.png").write_bytes(b"")
    record = look(parts)
    for row in record["summary"]:
        own = [one for one in record["findings"] if (one["kind"], one["severity"]) == (row["kind"], row["severity"])]
        assert row["count"] == len(own)
        assert row["advice"]
    assert record["summary"][0]["kind"] == "empty"


def test_page_table_and_record_are_written(parts, tmp_path):
    record = look(parts, out=tmp_path / "out")
    kept = json.loads((tmp_path / "out" / "check.json").read_text())
    assert kept["findings"] == record["findings"]
    assert (tmp_path / "out" / "check.html").read_text().startswith("<!doctype html>")
    rows = (tmp_path / "out" / "findings.csv").read_text().splitlines()
    assert len(rows) == 1 + len(record["findings"])


def test_the_features_find_wrong_labels_and_a_pool(tmp_path, monkeypatch):
    """One real pass through a small backbone: flipped labels come first, the curve is measured, a pool is ranked."""
    folder = write_parts(tmp_path / "parts", per_class=40)
    for at in (2, 5, 8):
        (folder / "good" / f"good-{at:03d}.png").rename(folder / "scratch" / f"flipped-{at}.png")
    pool = write_parts(tmp_path / "pool", per_class=5, seed=5000)
    for photo in sorted(pool.rglob("*.png")):
        photo.with_name(f"{photo.stem}_mask.png").write_bytes(
            encode_png(np.full((48, 48, 3), len(photo.stem), np.uint8))
        )
    monkeypatch.setattr(features_room, "FEWEST", 20)
    recipe = parse_recipe({
        "data": {"image_size": 64, "part_mask": "{stem}_mask.png"}, "model": {"stages": ["head"], "pooling": "avg"},
        "train": {"engine": "onnxruntime", "threads": 1},
    })  # fmt: skip
    record = check(str(folder), recipe=recipe, features=True, pool=pool, pool_count=12, out=tmp_path / "out")
    suspects = {one["paths"][0]: one for one in of_kind(record, "label_error")}
    assert {f"scratch/flipped-{at}.png" for at in (2, 5, 8)} <= set(suspects)
    assert suspects["scratch/flipped-2.png"]["suggestion"] == {"action": "relabel", "label": "good"}
    named = {one["paths"][0] for one in of_kind(record, "add_photo")}
    assert named == {path.as_posix() for path in pool.rglob("*.png") if not path.stem.endswith("_mask")}
    assert len(record["map"]["points"]) == record["photos"] == 80
    assert sum(row["photos"] for row in record["clusters"]) == 80
    curve = record["learning_curve"]
    assert [row["share"] for row in curve["rows"]][-1] == 1.0
    (low, high), (last_low, last_high) = curve["double"]["interval"], curve["rows"][-1]["interval"]
    assert last_low < last_high  # also where all are right
    assert high - low >= min(last_high, 1.0) - last_low - 0.02  # a forecast is no surer, but for what is cut off at 1
    assert of_kind(record, "learning_curve")[0]["message"] == curve["sentence"]
    assert record["split_price"] is None  # no groups


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"features": False, "pool": "x"}, "--pool needs features, and there are none: not asked for"),
        ({"features": False, "pool_count": 0}, "must be 1 to 1000, got 0"),
    ],
)
def test_wrong_requests_are_refused(parts, choices, words):
    with pytest.raises(UserError, match=words):
        check(str(parts), **choices)


def test_features_are_left_out_with_the_reason(parts, monkeypatch):
    monkeypatch.setattr(features_room, "MOST_BY_DEFAULT", 10)
    assert "64 photos are more than 10" in check(str(parts))["features"]["reason"]
    monkeypatch.setattr(features_room, "is_installed", lambda _: False)
    assert "is not installed" in check(str(parts), features=True)["features"]["reason"]
    scratch = parse_recipe({"train": {"mode": "scratch"}, "model": {"backbone": "lenet"}})
    monkeypatch.setattr(features_room, "is_installed", lambda _: True)
    assert "trains a network itself" in check(str(parts), recipe=scratch)["features"]["reason"]
