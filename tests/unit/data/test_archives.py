"""Zip archives: read in place, never trusted."""

from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from photos import draw_ramp, encode
from teliti.data import archives
from teliti.data.archives import list_archive
from teliti.errors import CatalogError

PHOTO = encode(draw_ramp(), "PNG")


def pack(path: Path, members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> str:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return str(path)


def reasons(path: str) -> dict[str, str]:
    return {item.name: item.reason for item in list_archive(path).refused}


def test_members_are_listed_sorted_without_hidden_ones(tmp_path: Path) -> None:
    names = ["ok/b.png", "ok/a.png", "__MACOSX/ok/._a.png", "ok/.DS_Store", "bad/c.png", "empty/"]
    listing = list_archive(pack(tmp_path / "a.zip", dict.fromkeys(names, PHOTO) | {"empty/": b""}))
    assert list(listing.files) == ["bad/c.png", "ok/a.png", "ok/b.png"]
    assert listing.folders == ("bad", "empty", "ok")
    assert listing.refused == ()
    assert listing.files["ok/a.png"].read_bytes() == PHOTO


@pytest.mark.parametrize(
    "name",
    ["../evil.png", "ok/../../evil.png", "/etc/evil.png", "C:\\evil.png", "..\\evil.png", "\\\\host\\share\\evil.png"],
)
def test_names_that_lead_outside_are_refused(name: str, tmp_path: Path) -> None:
    """S3: zip slip."""
    found = reasons(pack(tmp_path / "a.zip", {"ok/a.png": PHOTO, name: PHOTO}))
    assert found == {name.replace("\\", "/"): "the name leads outside the archive"}
    assert [path.name for path in tmp_path.rglob("*")] == ["a.zip"]


def test_a_name_with_a_zero_byte_is_refused(tmp_path: Path) -> None:
    path = Path(pack(tmp_path / "a.zip", {"ok/aXb.png": PHOTO}))
    path.write_bytes(path.read_bytes().replace(b"aXb", b"a\0b"))
    assert list(reasons(str(path)).values()) == ["the name leads outside the archive"]


def test_names_keep_their_bytes(tmp_path: Path) -> None:
    path = Path(pack(tmp_path / "a.zip", {"ok/größe \n<b>.png": PHOTO, "ok/XXX.png": PHOTO}))
    path.write_bytes(path.read_bytes().replace(b"XXX", b"\xff\xfe1"))
    assert list(list_archive(str(path)).files) == ["ok/größe \n<b>.png", "ok/\udcff\udcfe1.png"]


def test_utf8_names_are_read_where_the_archive_forgot_to_say_so(tmp_path: Path) -> None:
    path = Path(pack(tmp_path / "a.zip", {"ok/XX.png": PHOTO}))
    path.write_bytes(path.read_bytes().replace(b"XX", "ö".encode()))
    assert list(list_archive(str(path)).files) == ["ok/ö.png"]


def test_links_are_refused(tmp_path: Path) -> None:
    """S3: links."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("ok/link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert reasons(str(tmp_path / "a.zip")) == {"ok/link.png": "a link in an archive is not followed"}


def test_encrypted_members_are_refused(tmp_path: Path) -> None:
    path = Path(pack(tmp_path / "a.zip", {"ok/a.png": PHOTO}))
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\x01\x02")
    data[directory + 8] |= 1
    path.write_bytes(data)
    assert reasons(str(path)) == {"ok/a.png": "encrypted"}


def test_other_compression_methods_are_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"ok/a.png": PHOTO}, zipfile.ZIP_LZMA)
    assert reasons(path) == {"ok/a.png": "zip compression method 14 is not supported"}


def test_a_member_that_unpacks_to_a_bomb_is_refused(tmp_path: Path) -> None:
    """S3, S4: lying sizes and bombs."""
    path = pack(tmp_path / "a.zip", {"ok/a.bmp": bytes(17 * 1024**2)}, zipfile.ZIP_DEFLATED)
    assert reasons(path) == {"ok/a.bmp": "unpacks to more than 500 times its size: a decompression bomb"}


def test_a_member_over_the_size_limit_is_refused(tmp_path: Path) -> None:
    path = Path(pack(tmp_path / "a.zip", {"ok/a.png": PHOTO}))
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = struct.pack("<I", 10**9)
    path.write_bytes(data)
    assert reasons(str(path)) == {"ok/a.png": "1,000 MB is over the limit of 268 MB"}


def test_overlapping_and_repeated_members_are_refused(tmp_path: Path) -> None:
    """S3: overlap."""
    path = Path(pack(tmp_path / "a.zip", {"ok/a.png": PHOTO, "ok/b.png": PHOTO, "ok/c.png": PHOTO}))
    data = bytearray(path.read_bytes().replace(b"ok/c.png", b"ok/a.png"))
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    data[second + 42 : second + 46] = struct.pack("<I", 20)
    path.write_bytes(data)
    assert reasons(str(path)) == {
        "ok/b.png": "overlaps another member of the archive",
        "ok/a.png": "the name occurs twice in the archive",
    }


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and nothing", b"no archive at all" * 9])
def test_what_is_no_archive_is_an_error_with_a_next_step(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(CatalogError, match="not a zip archive") as error:
        list_archive(str(tmp_path / "a.zip"))
    assert error.value.hint == "Pack the photos anew."


def test_a_folder_named_zip_and_a_missing_one_are_errors(tmp_path: Path) -> None:
    (tmp_path / "a.zip").mkdir()
    with pytest.raises(CatalogError, match="a folder, not a file"):
        list_archive(str(tmp_path / "a.zip"))
    with pytest.raises(CatalogError, match="does not exist"):
        list_archive(str(tmp_path / "b.zip"))


def test_the_caps_of_the_whole_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(tmp_path / "a.zip", {"ok/a.png": PHOTO, "ok/b.png": PHOTO})
    monkeypatch.setattr(archives, "MAX_MEMBERS", 1)
    with pytest.raises(CatalogError, match="2 members are over the limit of 1"):
        list_archive(path)
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 1)
    with pytest.raises(CatalogError, match="0 GB unpacked are over the limit of 0 GB"):
        list_archive(path)
