"""Defects that vanish when the photo is shrunk to the input size."""

import numpy as np
import pytest

from photos import encode
from teliti.data.origins import FileOrigin
from teliti.data.small_defects import box_sizes, defect_sizes, find_small_defects, find_small_marked_defects
from teliti.types import Sample


def test_sizes_of_the_parts_of_a_mask():
    mask = np.zeros((40, 60), np.uint8)
    mask[2:12, 5:8] = 255
    mask[20:24, 30:50] = 200
    mask[35, 35] = 255  # a stray dot
    assert sorted(defect_sizes(mask)) == [(4, 20), (10, 3)]
    assert sorted(defect_sizes(np.dstack([mask] * 3))) == [(4, 20), (10, 3)]
    assert defect_sizes(np.zeros((4, 4), np.uint8)) == []


@pytest.mark.parametrize(
    ("sizes", "severity", "words"),
    [
        ([(10, 30)], "warning", "Its only defect measures 3.0 pixels at the input size of 224x224"),
        ([(10, 30), (100, 100)], "info", "1 of its 2 defects measure 3.0 pixels"),
        ([(40, 10)], None, ""),
        ([], None, ""),
    ],
)
def test_a_tenth_of_the_size_leaves_a_tenth_of_the_defect(sizes, severity, words):
    found = find_small_defects("a.png", sizes, photo_size=(2240, 1120), image_size=(224, 224))
    assert (found and found.severity) == severity
    assert found is None or words in found.message


def test_masks_beside_photos_are_found_and_missing_ones_passed_over(tmp_path):
    mask = np.zeros((640, 640), np.uint8)
    mask[100:110, 100:110] = 255
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(encode(np.zeros((640, 640), np.uint8), "PNG"))
    (tmp_path / "a_mask.png").write_bytes(encode(mask, "PNG"))
    samples = [Sample(f"{name}.png", FileOrigin(str(tmp_path / f"{name}.png"), str(tmp_path))) for name in ("a", "b")]
    found = list(
        find_small_marked_defects(samples, [(640, 640)] * 2, "{stem}_mask.png", image_size=(64, 64), threads=2)
    )
    assert [one.paths for one in found] == [("a.png",)]
    assert "1.0 pixels" in found[0].message


def test_boxes_beside_photos_say_as_much_as_masks(tmp_path):
    (tmp_path / "a.png").write_bytes(encode(np.zeros((640, 640), np.uint8), "PNG"))
    box = "<bndbox><xmin>101</xmin><ymin>101</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"
    (tmp_path / "a.xml").write_text(f"<annotation>{box.format(120, 110)}{box.format(500, 110)}</annotation>")
    (tmp_path / "b.xml").write_text("no boxes")
    samples = [Sample(f"{name}.png", FileOrigin(str(tmp_path / f"{name}.png"), str(tmp_path))) for name in ("a", "b")]
    (found,) = find_small_marked_defects(samples, [(640, 640)] * 2, "{stem}.xml", image_size=(64, 64), threads=2)
    assert (found.paths, found.severity) == (("a.png",), "info")
    assert "1 of its 2 defects measure 2.0 pixels" in found.message


def test_a_box_holds_its_first_and_its_last_pixel():
    assert box_sizes(np.array([[1, 1, 10, 5], [3, 3, 3, 3], [9, 9, 2, 2]], float)) == [(5, 10), (1, 1)]
    assert box_sizes(np.empty((0, 4))) == []
