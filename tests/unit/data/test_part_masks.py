"""Parts that lie beside photos: masks and boxes, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parts import encode_png
from teliti.data.origins import FileOrigin
from teliti.data.part_masks import draw_boxes, parse_voc_boxes, read_part_mask
from teliti.errors import PhotoRefused
from teliti.types import Sample

VOC = """<annotation><size><width>10</width><height>8</height></size>
<object><name>dent</name><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>4</xmax><ymax>5</ymax></bndbox></object>
<object><name>dent</name><bndbox><xmin>9</xmin><ymin>1</ymin><xmax>10</xmax><ymax>1</ymax></bndbox></object>
</annotation>"""
SIZE = (8, 10)


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    (tmp_path / "a.png").write_bytes(encode_png(np.zeros((*SIZE, 3), np.uint8)))
    return Sample("a.png", FileOrigin(str(tmp_path / "a.png"), root=str(tmp_path)))


def test_a_mask_is_split_at_half(sample: Sample, tmp_path: Path) -> None:
    mask = np.full((*SIZE, 3), 127, np.uint8)
    mask[2:4, 5:9] = 128
    (tmp_path / "a_mask.png").write_bytes(encode_png(mask))
    found = read_part_mask(sample, "{stem}_mask.png", size=SIZE)
    assert sorted(np.unique(found)) == [0, 255]
    np.testing.assert_array_equal(found > 0, mask[..., 0] == 128)


def test_boxes_are_counted_from_one_and_include_their_last_pixel(sample: Sample, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(VOC)
    expected = np.zeros(SIZE, np.uint8)
    expected[2:5, 1:4] = 255
    expected[0, 8:10] = 255
    np.testing.assert_array_equal(read_part_mask(sample, "{stem}.xml", size=SIZE), expected)


def test_boxes_outside_the_photo_are_cut() -> None:
    mask = draw_boxes(np.array([[-5.0, -5.0, 2.0, 2.0], [9.0, 7.0, 99.0, 99.0]]), SIZE)
    assert mask.sum() == 255 * (4 + 4)


def test_no_boxes_are_no_part() -> None:
    assert parse_voc_boxes(b"<annotation></annotation>").shape == (0, 4)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no xml",
        b"<annotation><bndbox><xmin>1</xmin></bndbox></annotation>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><annotation>&a;</annotation>',
        b"<annotation>" + b" " * (1 << 20) + b"</annotation>",
    ],
    ids=["empty", "text", "corner missing", "entities", "huge"],
)
def test_what_is_no_file_of_boxes_is_refused(data: bytes) -> None:
    with pytest.raises(PhotoRefused, match="its file of boxes cannot be read"):
        parse_voc_boxes(data)


def test_a_corner_that_is_no_number_is_refused() -> None:
    with pytest.raises(PhotoRefused, match="its file of boxes has a corner that is no number"):
        parse_voc_boxes(VOC.replace(">2<", ">nan<").encode())


def test_a_mask_of_another_size_or_none_is_refused(sample: Sample, tmp_path: Path) -> None:
    with pytest.raises(PhotoRefused, match=r"a_mask\.png"):
        read_part_mask(sample, "{stem}_mask.png", size=SIZE)
    (tmp_path / "a_mask.png").write_bytes(encode_png(np.zeros((3, 4, 3), np.uint8)))
    with pytest.raises(PhotoRefused, match="its mask is 3x4, the photo 8x10"):
        read_part_mask(sample, "{stem}_mask.png", size=SIZE)
