"""A photo's health in numbers: light, contrast, sharpness and what the file says."""

import cv2
import numpy as np
import pytest
from PIL import Image

from parts import draw_part, encode_png
from photos import draw_ramp, encode, encode_turned
from teliti.data.decode import decode_photo
from teliti.data.health import Health, health_look, measure_blur, measure_health


def health_of(data: bytes) -> Health:
    return measure_health(decode_photo(data), data)


def test_levels_of_a_known_picture():
    half = np.zeros((40, 60), np.uint8)
    half[:, 30:] = 200
    health = health_of(encode(half, "PNG"))
    assert (health.height, health.width) == (40, 60)
    assert (health.mean, health.low, health.high) == (100.0, 0.0, 200.0)
    assert health.deviation == pytest.approx(100.0)
    assert health.common == pytest.approx(0.5)
    assert health.clipped == pytest.approx(0.5)
    assert health.colour == 0.0


@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_a_stronger_blur_measures_higher(sigma):
    sharp = np.random.default_rng(0).integers(0, 256, (96, 96)).astype(np.uint8)
    values = [measure_blur(cv2.GaussianBlur(sharp, (0, 0), s)) for s in (sigma, 1.6 * sigma)]
    assert measure_blur(sharp) < values[0] < values[1] <= 1.0


def test_blur_does_not_depend_on_contrast():
    sharp = np.random.default_rng(0).integers(0, 256, (96, 96)).astype(np.uint8)
    assert measure_blur(sharp // 4 * 2) == pytest.approx(measure_blur(sharp), abs=0.02)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (20, 20)])
def test_blur_of_nothing_is_unknown(shape):
    assert np.isnan(measure_blur(np.full(shape, 77, np.uint8)))


def test_a_row_survives_the_round_trip():
    data = encode(draw_ramp(), "JPEG")
    row = health_look().make(decode_photo(data), data)
    assert Health.from_row(row) == Health.from_row(Health.from_row(row).to_row())
    assert Health.from_row(row).mean == pytest.approx(health_of(data).mean, rel=1e-6)
    assert health_look().is_whole(row)
    assert not health_look().is_whole(row[:20])
    assert not health_look().is_whole(row + b"\xff")


@pytest.mark.parametrize(
    ("data", "mode"),
    [
        (encode(draw_ramp(), "JPEG"), "8-bit colour"),
        (encode(draw_ramp()[..., 0], "JPEG"), "8-bit grey"),
        (encode(draw_ramp(), "JPEG", "CMYK"), "CMYK"),
        (encode(draw_ramp(), "PNG", "P"), "8-bit palette"),
        (encode(draw_ramp(), "PNG", "LA"), "8-bit grey with alpha"),
        (encode(np.arange(768, dtype=np.uint16).reshape(24, 32), "PNG"), "16-bit grey"),
        (encode(draw_ramp(), "BMP"), "bmp colour"),
    ],
)
def test_the_way_of_saving_is_named(data, mode):
    assert health_of(data).mode == mode


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_camera_and_the_moment_come_from_exif(kind):
    exif = Image.Exif()
    exif[271], exif[272], exif[306] = "Maker", "Model 5", "2024:02:03 04:05:06"
    options = {"tiffinfo": exif} if kind == "TIFF" else {"exif": exif.tobytes()}
    health = health_of(encode(draw_ramp(), kind, **options))
    assert (health.camera, health.moment) == ("Maker Model 5", "2024:02:03 04:05:06")


def test_the_moment_of_the_shutter_wins_and_the_maker_stands_once():
    exif = Image.Exif()
    exif[271], exif[272], exif[306] = "Canon", "Canon EOS", "2024:02:03 04:05:06"
    exif.get_ifd(0x8769)[36867] = "2020:01:01 00:00:00"
    health = health_of(encode(draw_ramp(), "JPEG", exif=exif.tobytes()))
    assert (health.camera, health.moment) == ("Canon EOS", "2020:01:01 00:00:00")


def test_a_turned_photo_keeps_its_tag():
    assert health_of(encode_turned(draw_ramp(), 6, "JPEG")).orientation == 6


@pytest.mark.parametrize("junk", [b"", b"II*\0", b"II*\0\x08\0\0\0\xff\xff", b"MM\0*\xff\xff\xff\xff"])
def test_damaged_exif_is_simply_unknown(junk):
    plain = encode(draw_ramp(), "JPEG")
    body = b"Exif\0\0" + junk
    data = plain[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + plain[2:]
    assert health_of(data).camera == ""


def test_a_large_photo_is_measured_small():
    part = cv2.resize(draw_part(0, scratched=False), (1400, 1400), interpolation=cv2.INTER_CUBIC)
    assert health_of(encode_png(part)).blur > health_of(encode_png(draw_part(0, scratched=False))).blur
