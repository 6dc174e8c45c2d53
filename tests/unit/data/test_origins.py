"""Where bytes come from: regular files only, nothing hangs, nothing is followed outside."""

from __future__ import annotations

import os
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from teliti.data.archives import list_archive
from teliti.data.decode import decode_image
from teliti.data.limits import DEFAULT_LIMITS
from teliti.data.origins import ArrayOrigin, BytesOrigin, FileOrigin
from teliti.errors import PhotoRefused


def refusal(origin: object) -> str:
    with pytest.raises(PhotoRefused) as caught:
        origin.read_bytes()
    return caught.value.reason


def test_a_file_gives_its_bytes_also_after_pickling(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"some bytes")
    origin = FileOrigin(str(tmp_path / "a.png"), str(tmp_path))
    assert pickle.loads(pickle.dumps(origin)).read_bytes() == b"some bytes"


def test_folders_pipes_devices_and_missing_files_are_refused_without_waiting(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    assert refusal(FileOrigin(str(tmp_path / "folder.png"))) == "a folder, not a file"
    assert refusal(FileOrigin(str(tmp_path / "pipe.png"))) == "a named pipe, not a file"
    assert refusal(FileOrigin(str(tmp_path / "device.png"))) == "a device, not a file"
    assert refusal(FileOrigin(str(tmp_path / "none.png"))) == "the file does not exist (any more)"
    assert refusal(FileOrigin(str(tmp_path / ("n" * 300)))) == "the name is too long for the file system"
    assert refusal(FileOrigin("zero\0byte.png", str(tmp_path))) == "not a valid file name"


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.chdir(tmp_path)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s.png")
        assert refusal(FileOrigin("s.png")) == "a socket, not a file"


def test_links_must_lead_to_a_place_inside_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.png").write_bytes(b"inside")
    (tmp_path / "secret.png").write_bytes(b"outside")
    (tmp_path / "root-beside").mkdir()
    (tmp_path / "root-beside" / "b.png").write_bytes(b"outside")
    for name, target in {"in.png": "a.png", "out.png": "../secret.png", "beside.png": "../root-beside/b.png"}.items():
        (root / name).symlink_to(target)
    (root / "loop.png").symlink_to("loop.png")
    assert FileOrigin(str(root / "in.png"), str(root)).read_bytes() == b"inside"
    assert refusal(FileOrigin(str(root / "out.png"), str(root))) == "a link that leads outside the folder"
    assert refusal(FileOrigin(str(root / "beside.png"), str(root))) == "a link that leads outside the folder"
    assert refusal(FileOrigin(str(root / "loop.png"), str(root))) == "a link that leads back to itself"
    assert refusal(FileOrigin(str(root / "loop.png"))) == "a link that leads back to itself"


def test_an_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(b"x")

    def deny(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("teliti.data.origins.os.open", deny)  # the tests may run as root, whom no mode stops
    assert refusal(FileOrigin(str(tmp_path / "a.png"))) == "not readable: permission denied"


def test_a_device_error_is_told_in_the_system_s_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(b"x")

    def fail(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("teliti.data.origins.os.open", fail)
    assert refusal(FileOrigin(str(tmp_path / "a.png"))) == "not readable: Input/output error"


def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "big.png").open("wb") as file:
        file.truncate(DEFAULT_LIMITS.max_bytes + 1)  # sparse: takes no room on the disk
    assert refusal(FileOrigin(str(tmp_path / "big.png"))) == "268 MB is over the limit of 268 MB"


def test_a_file_that_grows_meanwhile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    real = os.fstat

    def grow(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        with path.open("ab") as file:
            file.write(b"y")
        return status

    monkeypatch.setattr("teliti.data.origins.os.fstat", grow)
    assert refusal(FileOrigin(str(path))) == "the file changed while it was read"


def test_array_rows_pass_the_image_door_unchanged() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    colour = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    origin = ArrayOrigin(grey.tobytes(), 3, 4)
    assert origin.read_bytes() == origin.read_bytes()
    assert np.array_equal(decode_image(origin.read_bytes())[..., 1], grey)
    assert np.array_equal(decode_image(ArrayOrigin(colour.tobytes(), 3, 4, 3).read_bytes()), colour)


def test_bytes_in_memory_are_given_as_they_are() -> None:
    assert BytesOrigin(b"photo").read_bytes() == b"photo"


@pytest.fixture
def member(tmp_path: Path) -> object:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", b"photo" * 100)
    return list_archive(str(tmp_path / "a.zip")).files["a.png"]


def test_a_zip_member_gives_its_bytes_also_after_pickling(member: object) -> None:
    assert pickle.loads(pickle.dumps(member)).read_bytes() == b"photo" * 100


def test_a_zip_member_that_lies_is_refused(member: object) -> None:
    wrong_size = "the zip member does not have the size that the archive states"
    assert refusal(replace(member, size=400)) == wrong_size
    assert refusal(replace(member, size=501)) == wrong_size
    assert refusal(replace(member, checksum=1)) == "damaged zip member: wrong checksum"
    assert refusal(replace(member, offset=1)) == "damaged zip member"
    assert refusal(replace(member, offset=10**6)) == "damaged zip member"
    assert "over the limit of 268 MB" in refusal(replace(member, size=10**10))
    assert refusal(replace(member, archive="gone.zip")) == "archive: the file does not exist (any more)"


def test_damage_inside_a_zip_member_is_refused(member: object) -> None:
    path = Path(member.archive)
    data = bytearray(path.read_bytes())
    data[35:40] = b"\xff" * 5
    path.write_bytes(data)
    assert refusal(member) == "damaged zip member"
