"""Judged photos in their folders: nothing overwritten, nothing unjudged moved, safe to repeat."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from teliti.errors import StorageError, UserError
from teliti.files import sha256_hex
from teliti.serve.arrivals import Arrivals, Drop
from teliti.serve.places import Places

ONE = sha256_hex(b"one")[:12]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"one")
    return tmp_path / "in"


def drop(folder: Path) -> Drop:
    arrivals = Arrivals(folder, is_photo=lambda name: name == "a.png", settle_s=0, patience_s=0)
    return arrivals.ready()[0]


def places(folder: Path, *, keep: bool = False) -> Places:
    return Places({"pass": folder.parent / "good"}, watched=folder, keep=keep)


def listing(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_photo_is_moved_by_its_verdict(folder: Path) -> None:
    places(folder).put(drop(folder), data=b"one", verdict="pass")
    assert listing(folder.parent / "good") == {"a.png": b"one"}
    assert listing(folder) == {}


@pytest.mark.parametrize("verdict", ["reject", "review", "refused", None])
def test_other_verdicts_stay(folder: Path, verdict: str | None) -> None:
    places(folder).put(drop(folder), data=b"one", verdict=verdict)
    assert listing(folder) == {"a.png": b"one"}
    assert listing(folder.parent / "good") == {}


def test_kept_photos_are_linked(folder: Path) -> None:
    places(folder, keep=True).put(drop(folder), data=b"one", verdict="pass")
    assert (folder.parent / "good" / "a.png").samefile(folder / "a.png")


def test_half_a_move_is_finished(folder: Path) -> None:
    """A kill between the link and the removal leaves both names; the next start takes the old one away."""
    (folder.parent / "good").mkdir()
    os.link(folder / "a.png", folder.parent / "good" / "a.png")
    places(folder).put(drop(folder), data=b"one", verdict="pass")
    assert listing(folder) == {}
    assert listing(folder.parent / "good") == {"a.png": b"one"}


def test_nothing_is_overwritten(folder: Path) -> None:
    (folder.parent / "good").mkdir()
    (folder.parent / "good" / "a.png").write_bytes(b"of yesterday")
    places(folder).put(drop(folder), data=b"one", verdict="pass")
    assert listing(folder.parent / "good") == {"a.png": b"of yesterday", f"a-{ONE}.png": b"one"}


def test_both_names_taken_ends_the_inspection(folder: Path) -> None:
    (folder.parent / "good").mkdir()
    for name in ("a.png", f"a-{ONE}.png"):
        (folder.parent / "good" / name).write_bytes(b"of yesterday")
    with pytest.raises(StorageError, match=r'"a\.png" cannot be put into .* other files have its names there'):
        places(folder).put(drop(folder), data=b"one", verdict="pass")
    assert listing(folder) == {"a.png": b"one"}


def test_a_planted_link_is_not_followed(folder: Path) -> None:
    """S19: a link that waits under the photo's name is neither followed nor overwritten."""
    (folder.parent / "good").mkdir()
    (folder.parent / "good" / "a.png").symlink_to(folder.parent / "elsewhere")
    places(folder).put(drop(folder), data=b"one", verdict="pass")
    assert not (folder.parent / "elsewhere").exists()
    assert (folder.parent / "good" / f"a-{ONE}.png").read_bytes() == b"one"


def test_a_file_that_took_the_name_meanwhile_is_not_passed(folder: Path) -> None:
    judged = drop(folder)
    (folder / "new").write_bytes(b"never judged")
    (folder / "new").replace(folder / "a.png")
    places(folder).put(judged, data=b"one", verdict="pass")
    assert listing(folder.parent / "good") == {"a.png": b"one"}
    assert listing(folder) == {"a.png": b"never judged"}


def test_a_photo_that_was_taken_away_is_kept_all_the_same(folder: Path) -> None:
    judged = drop(folder)
    (folder / "a.png").unlink()
    places(folder).put(judged, data=b"one", verdict="pass")
    assert listing(folder.parent / "good") == {"a.png": b"one"}


def test_another_disk_gets_a_copy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.link

    def link(source: str | Path, target: str | Path) -> None:
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, "another disk")
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    places(folder).put(drop(folder), data=b"one", verdict="pass")
    assert listing(folder.parent / "good") == {"a.png": b"one"}
    assert listing(folder) == {}


def test_a_full_disk_ends_the_inspection_and_leaves_the_photo(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """S24: what cannot be moved stays where it is."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="The disk is full"):
        places(folder).put(drop(folder), data=b"one", verdict="pass")
    assert listing(folder) == {"a.png": b"one"}
    assert listing(folder.parent / "good") == {}


def test_a_busy_file_is_tried_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows: whoever has the file open keeps it from being removed for a moment."""
    monkeypatch.setattr("teliti.serve.places._BETWEEN_S", 0)
    real, busy = Path.unlink, [PermissionError(), PermissionError()]

    def unlink(path: Path, *, missing_ok: bool = False) -> None:
        if path.name == "a.png" and busy:
            raise busy.pop()
        real(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    places(folder).put(drop(folder), data=b"one", verdict="pass")
    assert listing(folder) == {}
    busy.extend([PermissionError(errno.EACCES, "in use")] * 99)
    (folder / "a.png").write_bytes(b"one")
    with pytest.raises(StorageError, match="in use"):
        places(folder).put(drop(folder), data=b"one", verdict="pass")


def test_a_place_is_another_folder_than_the_watched_one(folder: Path) -> None:
    with pytest.raises(UserError, match=r"--into pass= must be another folder than the watched one"):
        Places({"pass": folder.parent / "x" / ".." / "in"}, watched=folder, keep=False)
    Places({"pass": folder / "good"}, watched=folder, keep=False)


def test_a_place_that_cannot_be_made(folder: Path) -> None:
    with pytest.raises(StorageError, match="could not be written"):
        Places({"pass": folder / "a.png" / "good"}, watched=folder, keep=False)
