"""The run folder: new or empty, one process at a time, tables that no spreadsheet runs."""

from __future__ import annotations

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from teliti.errors import StorageError, UserError
from teliti.recipe import parse_recipe
from teliti.workflow.shared import run_folder
from teliti.workflow.shared.run_folder import RunFolder, create_run_folder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return create_run_folder(tmp_path / "run", source="photos")


def test_out_is_made_when_it_is_new_and_taken_when_it_is_empty(tmp_path: Path) -> None:
    assert create_run_folder(tmp_path / "a" / "b", source="x").path.is_dir()
    (tmp_path / "empty").mkdir()
    assert create_run_folder(tmp_path / "empty", source="x").path == tmp_path / "empty"


@pytest.mark.parametrize("kind", ["file", "full folder"])
def test_out_that_holds_something_is_refused(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out if kind == "file" else out / "x").parent.mkdir(exist_ok=True)
    (out if kind == "file" else out / "x").write_text("x")
    with pytest.raises(UserError, match=r"--out must be a new or an empty folder, got \".*out\"") as caught:
        create_run_folder(out, source="x")
    assert caught.value.hint == f'Choose another one, or go on with: teliti train --resume "{out}"'


def test_out_below_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not be written"):
        create_run_folder(tmp_path / "file" / "below", source="x")


@pytest.mark.parametrize(
    ("source", "ending"),
    [
        ("data/My parts (1)/", "My-parts-1"),
        ("elpv", "elpv"),
        ("labels.csv", "labels"),
        ("../..", "photos"),
        ("部品", "部品"),
    ],
)
def test_without_out_a_folder_is_named_by_time_and_source(
    source: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = create_run_folder(None, source=source).path
    assert path.parent == Path("runs")
    date, time, name = path.name.split("-", 2)
    assert (len(date), len(time), name) == (8, 6, ending)


def test_two_runs_of_one_second_get_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert len({create_run_folder(None, source="x").path for _ in range(3)}) == 3


def test_no_name_left_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def taken(*_: object, **__: object) -> None:
        raise FileExistsError

    monkeypatch.setattr(Path, "mkdir", taken)
    with pytest.raises(UserError, match=r"and 999 more names are taken\. Choose a folder with --out"):
        create_run_folder(None, source="x")


def test_runs_that_cannot_be_made_is_a_storage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(StorageError, match="could not be written"):
        create_run_folder(None, source="x")


def test_recipe_and_state_come_back(folder: RunFolder) -> None:
    recipe = parse_recipe({"data": {"positive": "bad", "image_size": [48, 64]}})
    folder.write_recipe(recipe)
    assert folder.read_recipe() == recipe
    state = {"source": "photos", "photos": "0f", "command": "teliti train photos", "state": "started"}
    folder.write_state(state)
    assert folder.read_state() == state
    folder.write_record("metrics.json", {"n": 1})
    assert json.loads((folder.path / "metrics.json").read_text()) == {"n": 1}
    assert (folder.bundle, folder.report) == (folder.path / "bundle", folder.path / "report.html")


@pytest.mark.parametrize("content", [None, "{", ""])
def test_a_folder_that_is_no_run_says_which_one_to_give(content: str | None, folder: RunFolder) -> None:
    if content is not None:
        (folder.path / "run.json").write_text(content)
    with pytest.raises(UserError, match=r"is not a run folder: it has no readable run\.json\.") as caught:
        folder.read_state()
    assert caught.value.hint == "Give the folder that `teliti train` named."


def test_a_table_comes_back_whatever_the_names(folder: RunFolder) -> None:
    rows = [("a,b", 'say "x"', 1), ("line\nbreak", "部品", 2.5), ("<b>\r", "", None)]
    folder.write_table("t.csv", ("one", "two", "three"), rows)
    with (folder.path / "t.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.reader(file))
    assert read[0] == ["one", "two", "three"]
    assert read[1:] == [["a,b", 'say "x"', "1"], ["line\nbreak", "部品", "2.5"], ["<b>\r", "", ""]]


def test_a_name_that_is_no_text_keeps_its_bytes(folder: RunFolder) -> None:
    folder.write_table("t.csv", ("path",), [(os.fsdecode(b"caf\xe9.png"),)])
    assert (folder.path / "t.csv").read_bytes() == b"path\r\ncaf\xe9.png\r\n"


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-cmd", "@x", "\tx", "\rx"])
def test_no_cell_is_run_as_a_formula(cell: str, folder: RunFolder) -> None:
    folder.write_table("t.csv", ("path",), [(cell,), (-1.5,)])
    with (folder.path / "t.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[1] == [f"'{cell}"]
    assert rows[2] == ["-1.5"]


def write_lock(folder: RunFolder, **changes: object) -> None:
    owner = {"process": os.getpid(), "host": socket.gethostname(), "since": "2026-01-01T00:00:00"}
    (folder.path / "lock.json").write_text(json.dumps({**owner, **changes}))


def test_the_lock_is_held_and_given_back_even_after_a_failure(folder: RunFolder) -> None:
    def fail() -> None:
        with folder.locked():
            assert json.loads((folder.path / "lock.json").read_text())["process"] == os.getpid()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not (folder.path / "lock.json").exists()
    with folder.locked():
        pass


def hold(folder: RunFolder) -> None:
    with folder.locked():
        pass


def test_a_folder_in_use_names_who_holds_it(folder: RunFolder) -> None:
    with folder.locked():
        with pytest.raises(UserError, match=rf"is in use by process {os.getpid()} on .* since 20") as caught:
            hold(RunFolder(folder.path))
        assert (folder.path / "lock.json").exists()
    assert caught.value.hint == "Wait until it is done, or choose another folder with --out."


def test_the_lock_of_a_dead_process_is_taken_over(folder: RunFolder) -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    write_lock(folder, process=done.pid)
    with folder.locked():
        assert json.loads((folder.path / "lock.json").read_text())["process"] == os.getpid()


def test_a_process_on_another_machine_counts_as_living(folder: RunFolder) -> None:
    write_lock(folder, process=1, host="another-machine")
    with pytest.raises(UserError, match="process 1 on another-machine"):
        hold(folder)


def test_a_process_of_another_user_counts_as_living(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError

    write_lock(folder, process=1)
    monkeypatch.setattr(run_folder.os, "kill", forbidden)
    with pytest.raises(UserError, match="in use by process 1"):
        hold(folder)


@pytest.mark.parametrize("text", ["", "{", "{}", '{"process": "x", "host": 3}', "[]"])
def test_a_lock_that_says_nothing_is_taken_over(text: str, folder: RunFolder) -> None:
    (folder.path / "lock.json").write_text(text)
    with folder.locked():
        pass
    assert not (folder.path / "lock.json").exists()


def test_a_lock_that_keeps_coming_back_is_one_sentence(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.path / "lock.json").write_text("{}")
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    with pytest.raises(UserError, match=r"was taken by another process just now\."):
        hold(folder)


def test_a_lock_that_cannot_be_written_is_a_storage_error(folder: RunFolder) -> None:
    with pytest.raises(StorageError, match=r"lock\.json\" could not be written"):
        hold(RunFolder(folder.path / "gone"))


def test_a_foreign_run_json_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"other": 1}', encoding="utf-8")
    with pytest.raises(UserError, match=r"is not a run folder: it has no readable run\.json"):
        RunFolder(tmp_path).read_state()
