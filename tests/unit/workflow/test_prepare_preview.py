"""The preview sheet: some photos of every class, a picture for every step, no foreign file replaced."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from notes import Notes
from parts import write_parts
from photos import write_files
from teliti.data.catalog import read_catalog
from teliti.data.decode import decode_image
from teliti.errors import CatalogError, UserError
from teliti.recipe import parse_recipe
from teliti.workflow.prepare_preview import in_turn, preview

RECIPE = parse_recipe({"prepare": [{"step": "clahe"}, {"step": "segment"}, {"step": "rescale"}]})


def sheet_of(path: Path) -> np.ndarray:
    return decode_image(path.read_bytes())


def test_a_row_for_every_photo_with_the_original_and_every_step(tmp_path: Path) -> None:
    photos = write_parts(tmp_path / "photos", per_class=3)
    reporter = Notes()
    record = preview(photos, recipe=RECIPE, out=tmp_path / "sheet.png", photos=2, reporter=reporter)
    sheet = sheet_of(Path(record["sheet"]))
    assert sheet.shape[1] == 2 * 16 + 3 * 224 + 2 * 12  # original, clahe, segment
    for name in record["photos"]:
        image = decode_image((photos / name).read_bytes())
        shown = image.repeat(4, axis=0).repeat(4, axis=1)
        match = cv2.matchTemplate(sheet, shown, cv2.TM_SQDIFF)
        row, column = divmod(int(match.argmin()), match.shape[1])
        np.testing.assert_array_equal(sheet[row : row + 192, column : column + 192], shown)
    assert [name.split("/")[0] for name in record["photos"]] == ["good", "scratch"]
    assert record["left_out"] == ["rescale"]
    assert reporter.notes == ["Left out, because they give numbers and not a picture: rescale."]
    assert json.loads(json.dumps(record)) == record


def test_classes_take_turns_and_photos_are_spread(tmp_path: Path) -> None:
    samples = read_catalog(str(write_parts(tmp_path / "photos", per_class=9))).samples
    names = [sample.name for sample in in_turn(samples, 6)]
    assert names == [f"{c}/{c}-{n:03d}.png" for n in (1, 4, 7) for c in ("good", "scratch")]
    assert len(in_turn(samples, 50)) == 18
    assert len(in_turn(samples, 1)) == 1


def test_where_the_sheet_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = write_parts(tmp_path / "photos", per_class=2)
    monkeypatch.chdir(tmp_path)
    assert preview(photos, recipe=RECIPE)["sheet"] == "prepare-preview.png"
    assert preview(photos, recipe=RECIPE)["sheet"] == "prepare-preview.png"  # replaced
    assert preview(photos, recipe=RECIPE, out="new/folder")["sheet"] == str(Path("new/folder/preview.png"))
    assert (tmp_path / "new" / "folder" / "preview.png").is_file()


def test_a_foreign_file_is_not_replaced(tmp_path: Path) -> None:
    photos = write_parts(tmp_path / "photos", per_class=2)
    mine = tmp_path / "mine.png"
    shutil.copy(photos / "good" / "good-000.png", mine)
    before = mine.read_bytes()
    with pytest.raises(UserError, match=r"mine\.png\" is there already and is no preview sheet") as caught:
        preview(photos, recipe=RECIPE, out=mine)
    assert caught.value.hint == "Name another file for the sheet."
    assert mine.read_bytes() == before


def test_refused_photos_are_named_and_the_others_shown(tmp_path: Path) -> None:
    photos = write_parts(tmp_path / "photos", per_class=1)
    write_files(photos, {"good/broken.png": b""})
    record = preview(photos, recipe=RECIPE, out=tmp_path / "s.png", photos=9)
    assert record["refused_photos"] == [{"path": "good/broken.png", "reason": "empty file"}]
    assert len(record["photos"]) == 2
    write_files(tmp_path / "bad", {"a/x.png": b"", "b/x.png": b""})
    with pytest.raises(CatalogError, match="has no photo that can be shown"):
        preview(tmp_path / "bad", recipe=RECIPE, out=tmp_path / "t.png")


@pytest.mark.parametrize("count", [0, 51])
def test_the_number_of_photos_is_bounded(count: int, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"The number of photos must be 1 to 50, got {count}"):
        preview(tmp_path, recipe=RECIPE, photos=count)


def test_tiles_and_the_frame_are_shown(tmp_path: Path) -> None:
    photos = write_parts(tmp_path / "photos", per_class=1)
    recipe = parse_recipe({"prepare": [{"step": "tile", "size": 32}], "data": {"image_size": 24}})
    record = preview(photos, recipe=recipe, out=tmp_path / "s.png", photos=1)
    assert [step["step"] for step in record["steps"]] == ["tile", "frame"]
    assert sheet_of(tmp_path / "s.png").shape[1] == 2 * 16 + 3 * 224 + 2 * 12
