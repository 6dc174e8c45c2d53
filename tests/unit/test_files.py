"""The write door (old content or new, never half) and the path door (nothing leads outside)."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teliti import files
from teliti.errors import StorageError, UserError
from teliti.files import (
    hash_file,
    link_new,
    require_space,
    resolve_inside,
    sha256_hex,
    spreadsheet_cell,
    storage_error,
    table_text,
    write_bytes_atomic,
    write_bytes_new,
    write_json_atomic,
    write_text_atomic,
)


def failing_with(number: int, text: str = ""):
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, text or os.strerror(number))

    return fail


def test_write_makes_the_folder_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "numbers.bin"
    write_bytes_atomic(path, b"one")
    write_bytes_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_a_written_file_has_the_rights_of_any_other_file(tmp_path: Path) -> None:
    write_bytes_atomic(tmp_path / "ours", b"x")
    (tmp_path / "plain").write_bytes(b"x")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "plain")}
    assert len(modes) == 1


def test_content_reaches_the_disk_before_the_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, os.replace

    def watch_fsync(handle: int) -> None:
        events.append("sync folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "sync file")
        fsync(handle)

    def watch_replace(source: str, target: Path) -> None:
        events.append("rename")
        replace(source, target)

    monkeypatch.setattr(files.os, "fsync", watch_fsync)
    monkeypatch.setattr(files.os, "replace", watch_replace)
    write_bytes_atomic(tmp_path / "a", b"x")
    assert events == ["sync file", "rename", "sync folder"]


@pytest.mark.parametrize("step", ["fsync", "replace", "chmod"])
def test_a_failure_at_any_step_keeps_the_old_content_and_no_leftover(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    write_bytes_atomic(path, b"old")
    monkeypatch.setattr(files.os, step, failing_with(errno.EIO))
    with pytest.raises(StorageError, match="could not be written: Input/output error"):
        write_bytes_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_keeps_the_old_content_and_no_leftover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    write_bytes_atomic(path, b"old")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bytes_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_sentence_with_the_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.os, "fsync", failing_with(errno.ENOSPC))
    with pytest.raises(
        StorageError, match=r"The disk is full: \".*big\" could not be written \(1,500 bytes needed\)"
    ) as caught:
        write_bytes_atomic(tmp_path / "big", bytes(1500))
    assert (
        caught.value.hint
        == "Free some space or choose another folder (--out, TELITI_CACHE), then run the command again."
    )
    assert caught.value.exit_code == 1


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"could not be written: .*Check that the folder exists"):
        write_bytes_atomic(tmp_path / "file" / "below", b"x")


def test_storage_error_leaves_the_size_out_when_nobody_knows_it() -> None:
    error = storage_error(Path("rows"), OSError(errno.ENOSPC, "full"))
    assert error.message == 'The disk is full: "rows" could not be written.'


def test_text_keeps_the_bytes_of_names_that_are_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \xc3\xa9")
    write_text_atomic(tmp_path / "a", name)
    assert (tmp_path / "a").read_bytes() == b"caf\xe9 \xc3\xa9"


def test_json_keeps_the_order_and_is_plain_ascii(tmp_path: Path) -> None:
    write_json_atomic(tmp_path / "a.json", {"b": "é", "a": [1.5, None]})
    text = (tmp_path / "a.json").read_text(encoding="ascii")
    assert list(json.loads(text)) == ["b", "a"]
    assert json.loads(text)["b"] == "é"
    assert text.endswith("}\n")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_json_refuses_numbers_that_json_does_not_have(number: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json_atomic(tmp_path / "a.json", {"x": number})
    assert not (tmp_path / "a.json").exists()


def test_a_name_inside_is_resolved_below_the_root(tmp_path: Path) -> None:
    assert resolve_inside(tmp_path, "golden/0") == tmp_path.resolve() / "golden" / "0"
    assert resolve_inside(tmp_path, "a/../b") == tmp_path.resolve() / "b"


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "/etc/passwd", ".."])
def test_a_name_that_leads_outside_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must be inside .*, got a path that leads outside") as caught:
        resolve_inside(tmp_path, name)
    assert caught.value.hint == "Use a name below that folder."


def test_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("x")
    (root / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(UserError, match="leads outside"):
        resolve_inside(root, "link")


@given(st.lists(st.sampled_from(["..", ".", "a", "b c", "é", ""]), max_size=8))
def test_no_name_gets_outside(parts: list[str]) -> None:
    root = Path("/some/root")
    try:
        resolved = resolve_inside(root, "/".join(parts).lstrip("/"))
    except UserError:
        return
    assert resolved.is_relative_to(root)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx"])
def test_a_cell_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert spreadsheet_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "part-1.png", " =1", "a=b"])
def test_any_other_cell_stays_as_it_is(text: str) -> None:
    assert spreadsheet_cell(text) == text


@pytest.mark.parametrize("size", [0, 1, 300_000])
def test_hashes_of_bytes_and_files_are_sha_256(size: int, tmp_path: Path) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    (tmp_path / "a").write_bytes(data)
    assert sha256_hex(data) == hash_file(tmp_path / "a") == hashlib.sha256(data).hexdigest()


def test_a_disk_that_is_too_full_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_space(tmp_path / "not" / "yet" / "there", 1)
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: SimpleNamespace(free=2_000_000))
    with pytest.raises(
        StorageError, match=r'The disk is full: ".*there" needs about 100 MB, 2 MB are free\. Free some'
    ):
        require_space(tmp_path / "there", 100 * 10**6)


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    write_bytes_new(tmp_path / "a", b"one")
    with pytest.raises(FileExistsError):
        write_bytes_new(tmp_path / "a", b"two")
    (tmp_path / "b").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        write_bytes_new(tmp_path / "b", b"two")
    assert (tmp_path / "a").read_bytes() == b"one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_second_name_is_the_same_file_and_never_that_of_another(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    link_new(tmp_path / "a", tmp_path / "b", data=b"one")
    assert (tmp_path / "a").samefile(tmp_path / "b")
    with pytest.raises(FileExistsError):
        link_new(tmp_path / "a", tmp_path / "b", data=b"one")


def test_without_hard_links_the_content_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"one")
    monkeypatch.setattr(os, "link", failing_with(errno.EPERM))
    link_new(tmp_path / "a", tmp_path / "b", data=b"one")
    assert (tmp_path / "b").read_bytes() == b"one"
    with pytest.raises(FileExistsError):
        link_new(tmp_path / "a", tmp_path / "b", data=b"two")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_full_disk_makes_no_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing_with(errno.ENOSPC))
    with pytest.raises(StorageError, match="The disk is full"):
        write_bytes_new(tmp_path / "a", b"one")
    assert list(tmp_path.iterdir()) == []


def test_a_table_of_other_bytes_keeps_them_or_is_refused_as_wanted() -> None:
    assert table_text("\ufeffä".encode()) == "ä"
    assert table_text(b"\xff.png").encode("utf-8", "surrogateescape") == b"\xff.png"
    for data in (b"\xff.png", "ä".encode("utf-16") + b"\x00"):
        with pytest.raises(UnicodeDecodeError):
            table_text(data, errors="strict")
