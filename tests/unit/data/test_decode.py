"""The image door: what it takes, by which rule, and what it refuses."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import textwrap
import warnings
import zlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from photos import (
    HEIGHT,
    LOSSLESS,
    WIDTH,
    broken_photos,
    draw_ramp,
    encode,
    encode_deep,
    encode_turned,
    good_photos,
    png_chunk,
    png_file,
    scan_bomb,
)  # fmt: skip
from teliti.data.decode import DEFAULT_LIMITS, decode_image, orient_image, read_image_header
from teliti.errors import PhotoRefused

GOOD = good_photos()
BROKEN = broken_photos()
RAMP = draw_ramp()


@pytest.mark.parametrize("name", GOOD)
def test_every_good_photo_becomes_contiguous_rgb_bytes(name: str) -> None:
    image = decode_image(GOOD[name])
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
    assert image.flags.c_contiguous
    assert np.array_equal(image, decode_image(GOOD[name]))


@pytest.mark.parametrize("name", BROKEN)
def test_every_broken_photo_is_refused_with_its_reason(name: str) -> None:
    with pytest.raises(PhotoRefused) as refusal:
        decode_image(BROKEN[name].data)
    assert BROKEN[name].reason in refusal.value.reason
    assert len(refusal.value.reason) < 160


def test_no_library_warns_about_a_broken_photo() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for broken in BROKEN.values():
            with pytest.raises(PhotoRefused):
                decode_image(broken.data)
    assert [str(warning.message) for warning in caught] == []


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_keep_every_pixel(kind: str) -> None:
    assert np.array_equal(decode_image(encode(RAMP, kind)), RAMP)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 50, "subsampling": 0}])
def test_jpeg_pixels_equal_those_of_another_decoder(options: dict[str, object]) -> None:
    data = encode(RAMP, "JPEG", **options)
    assert np.array_equal(decode_image(data), cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_eight_orientations_show_the_same_photo(kind: str, orientation: int) -> None:
    image = decode_image(encode_turned(RAMP, orientation, kind))
    tolerance = 24 if kind == "JPEG" else 0  # chroma is stored at half resolution along other rows
    assert image.shape == RAMP.shape
    assert np.abs(image.astype(int) - RAMP).max() <= tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orienting_jpeg_pixels_is_exact(orientation: int) -> None:
    data = encode_turned(RAMP, orientation, "JPEG")
    _, header = read_image_header(data)
    stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)[..., ::-1]
    assert header.orientation == orientation
    assert np.array_equal(decode_image(data), orient_image(np.ascontiguousarray(stored), orientation))


@pytest.mark.parametrize("colour_mode", ["L", "LA", "RGBA", "1", "P"])
def test_grey_palette_alpha_and_one_bit_equal_their_rgb(colour_mode: str) -> None:
    expected = np.asarray(Image.fromarray(RAMP).convert(colour_mode).convert("RGB"))
    assert np.array_equal(decode_image(encode(RAMP, "PNG", colour_mode)), expected)


def test_cmyk_is_within_a_level_or_two_of_its_colours() -> None:
    assert np.abs(decode_image(encode(RAMP, "TIFF", "CMYK")).astype(int) - RAMP).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_transparent_pixels_become_white_and_half_transparent_ones_half_white(kind: str) -> None:
    pixels = np.zeros((2, 3, 4), np.uint8)
    pixels[..., 0] = 200  # hidden red
    pixels[:, 1, 3], pixels[:, 2, 3] = 128, 255
    image = decode_image(encode(pixels, kind, exact=True) if kind == "WEBP" else encode(pixels, kind))
    assert image[0].tolist() == [[255, 255, 255], [227, 127, 127], [200, 0, 0]]


@pytest.mark.parametrize(
    ("colour", "key", "body"), [(0, b"\0\x07", b"\0\x07\x09"), (2, b"\0\1\0\2\0\3", b"\0\1\2\3\4\5\6")]
)
def test_a_png_with_a_transparent_colour_is_white_there_only(colour: int, key: bytes, body: bytes) -> None:
    image = decode_image(png_file((1, 2), zlib.compress(body), colour=colour, before=png_chunk(b"tRNS", key)))
    assert image[0, 0].tolist() == [255, 255, 255]
    assert image[0, 1].tolist() == ([9, 9, 9] if colour == 0 else [4, 5, 6])


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_and_never_clipped(kind: str) -> None:
    deep = np.linspace(0, 64770, 64 * 64).astype(np.uint16).reshape(64, 64)  # mean 126 of 255
    image = decode_image(encode(deep, kind))
    assert image.mean() == pytest.approx(126, abs=1)
    assert np.array_equal(image[..., 0], np.floor(deep * (255 / 65535) + 0.5))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bit_colour_and_alpha_follow_the_same_rule(suffix: str) -> None:
    deep = np.random.default_rng(1).integers(0, 65536, (9, 7, 3), np.uint16)
    expected = np.floor(deep * 255.0 / 65535 + 0.5)
    assert np.array_equal(decode_image(encode_deep(deep, suffix)), expected)
    opaque = np.dstack((deep, np.full((9, 7), 65535, np.uint16)))
    assert np.array_equal(decode_image(encode_deep(opaque, suffix)), expected)


def test_a_camera_that_fills_ten_of_sixteen_bits_stays_dark() -> None:
    ten_bit = np.full((8, 8), 1023, np.uint16)
    assert decode_image(encode(ten_bit, "PNG")).max() == 4  # the full range of the type, by the stated rule


def test_floats_between_zero_and_one_are_shares_of_white() -> None:
    shares = np.array([[0.0, 0.25, 0.5, 1.0]], np.float32)
    assert decode_image(encode(shares, "TIFF"))[0, :, 0].tolist() == [0, 64, 128, 255]


def test_other_floats_are_stretched_over_their_own_range() -> None:
    heights = np.array([[-10.0, 0.0, 10.0, 30.0]], np.float32)
    assert decode_image(encode(heights, "TIFF"))[0, :, 0].tolist() == [0, 64, 128, 255]


def test_values_that_are_no_numbers_are_black_and_infinity_is_white() -> None:
    odd = np.array([[np.nan, -np.inf, 0.5, np.inf]], np.float32)
    assert decode_image(encode(odd, "TIFF"))[0, :, 0].tolist() == [0, 0, 128, 255]


def test_the_span_of_two_large_floats_does_not_overflow() -> None:
    wide = np.array([[-3e38, 0.0, 3e38]], np.float32)
    assert decode_image(encode(wide, "TIFF"))[0, :, 0].tolist() == [0, 128, 255]


def test_a_float_photo_without_a_number_is_refused() -> None:
    with pytest.raises(PhotoRefused, match="no finite pixel value"):
        decode_image(encode(np.full((2, 2), np.nan, np.float32), "TIFF"))


def test_whole_numbers_of_32_bits_are_stretched_over_their_own_range() -> None:
    counts = np.array([[100_000, 150_000, 200_000]], np.int32)
    assert decode_image(encode(counts, "TIFF"))[0, :, 0].tolist() == [0, 128, 255]


def test_float_colour_is_read_too() -> None:
    image = decode_image(encode_deep(np.dstack([np.full((2, 2), v, np.float32) for v in (1.0, 0.5, 0.0)]), ".tif"))
    assert image[0, 0].tolist() == [255, 128, 0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"P1\n# a comment\n3 1\n1 0 1\n", [0, 255, 0]),
        (b"P1 3 1 101", [0, 255, 0]),
        (b"P4 3 1\n\xa0", [0, 255, 0]),
        (b"P2 3 1 # ten levels\n10\n0 5 10\n", [0, 128, 255]),
        (b"P5 3 1 10\n\x00\x05\x0a", [0, 128, 255]),
        (b"P5 3 1 1023\n\x00\x00\x02\x00\x03\xff", [0, 128, 255]),
    ],
)
def test_portable_anymaps_are_scaled_from_their_own_white(text: bytes, expected: list[int]) -> None:
    assert decode_image(text)[0, :, 0].tolist() == expected


def test_an_animation_gives_its_first_frame() -> None:
    file = io.BytesIO()
    frames = [Image.fromarray(RAMP), Image.fromarray(255 - RAMP)]
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert np.array_equal(decode_image(file.getvalue()), RAMP)


def test_a_32_bit_bmp_does_not_take_its_unused_byte_for_transparency() -> None:
    pixels = b"\x01\x02\x03\x00" * 4
    header = struct.pack("<2sIII", b"BM", 54 + len(pixels), 0, 54) + struct.pack(
        "<IiiHHIIiiII", 40, 2, 2, 1, 32, 0, 16, 0, 0, 0, 0
    )
    assert decode_image(header + pixels)[0, 0].tolist() == [3, 2, 1]


def test_text_chunks_and_gamma_do_not_change_pixels() -> None:
    plain = encode(RAMP, "PNG")
    extra = png_chunk(b"gAMA", b"\0\0\x55\xf0") + png_chunk(b"tEXt", b"Comment\0" + b"x" * 1000)
    assert np.array_equal(decode_image(plain[:33] + extra + plain[33:]), RAMP)


def test_limits_are_checked_before_pixels_are_decoded() -> None:
    data = encode(RAMP, "PNG")
    with pytest.raises(PhotoRefused, match=r"32 x 24 pixels is over the limit of 0\.0005 megapixels"):
        decode_image(data, limits=replace(DEFAULT_LIMITS, max_pixels=500))
    with pytest.raises(PhotoRefused, match="0 MB is over the limit of 0 MB"):
        decode_image(data, limits=replace(DEFAULT_LIMITS, max_bytes=10))
    with pytest.raises(PhotoRefused, match="over the limit of work for one photo"):
        decode_image(scan_bomb(50), limits=replace(DEFAULT_LIMITS, max_scan_pixels=50 * WIDTH * HEIGHT))
    assert decode_image(scan_bomb(50)).shape == RAMP.shape


def is_refused_or_decoded(data: bytes) -> bool:
    """True for both; any other exception passes through and fails the test."""
    try:
        image = decode_image(data)
    except PhotoRefused as refusal:
        return bool(refusal.reason)
    return image.dtype == np.uint8 and image.ndim == 3


@given(name=st.sampled_from(sorted(GOOD)), seed=st.integers(0, 2**32 - 1), changes=st.integers(1, 30))
def test_damage_of_any_kind_is_refused_or_decoded_but_never_raises(name: str, seed: int, changes: int) -> None:
    random = np.random.default_rng(seed)
    data = bytearray(GOOD[name])
    for place in random.integers(0, len(data), changes):
        data[place] = random.integers(0, 256)
    if random.random() < 0.3:
        del data[random.integers(0, len(data)) :]
    assert is_refused_or_decoded(bytes(data))


@given(
    st.binary(max_size=200),
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"P5 ", b"BM"]),
)
def test_any_bytes_behind_a_signature_are_refused_or_decoded(body: bytes, signature: bytes) -> None:
    assert is_refused_or_decoded(signature + body)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "tif", "bmp"])
def test_a_file_that_claims_to_be_huge_costs_no_memory(suffix: str) -> None:
    script = f"""
        import resource, sys
        sys.path[:0] = {sys.path!r}
        from photos import broken_photos
        from teliti.data.decode import decode_image
        from teliti.errors import PhotoRefused
        data = broken_photos()["huge.{suffix}"].data
        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        before = peak()
        try:
            decode_image(data)
        except PhotoRefused:
            print((peak() - before) // 1024)
    """
    pytest.importorskip("resource")
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert int(done.stdout) <= 8  # MiB


def test_a_program_can_keep_codecs_from_printing_and_still_print_itself() -> None:
    script = f"""
        import sys
        sys.path[:0] = {sys.path!r}
        from photos import broken_photos
        from teliti.data.decode import decode_image
        from teliti.errors import PhotoRefused
        from teliti.runtime import mute_native_stderr
        if sys.argv[1:] == ["mute"]:
            mute_native_stderr()
        for name in ("not-packed.png", "few-rows.png"):
            try:
                decode_image(broken_photos()[name].data)
            except PhotoRefused as refusal:
                print(refusal.reason, file=sys.stderr)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    loud = subprocess.run(command, capture_output=True, text=True, check=True)
    muted = subprocess.run([*command, "mute"], capture_output=True, text=True, check=True)
    assert "libpng error" in loud.stderr
    assert muted.stderr.splitlines() == ["damaged PNG", "damaged PNG"]
