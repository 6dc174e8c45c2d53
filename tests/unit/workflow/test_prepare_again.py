"""Prepare into a folder that has something in it: it goes on, tells or refuses, and touches nothing foreign."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from parts import draw_part, encode_png, write_parts
from teliti.errors import StorageError, UserError
from teliti.types import SilentReporter
from teliti.workflow.prepare import prepare
from unit.workflow.prepare_steps import CLAHE, recipe_of, tree


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_parts(tmp_path / "photos", per_class=3)


class StopsAfter(SilentReporter):
    """Interrupts when so many photos are done."""

    def __init__(self, count: int) -> None:
        self.left = count

    @contextmanager
    def task(self, title: str, total: int | None) -> Iterator[Callable[[int], None]]:  # noqa: ARG002
        yield self.count

    def count(self, amount: int) -> None:
        self.left -= amount
        if self.left == 0:
            raise KeyboardInterrupt


def test_an_interrupted_start_is_finished_by_the_next(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        prepare(photos, tmp_path / "out", recipe=CLAHE, reporter=StopsAfter(2))
    begun = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in tree(tmp_path / "out") if name[0] != "."}
    record = prepare(photos, tmp_path / "out", recipe=CLAHE)
    assert record["photos"] == 6
    assert record["kept"] >= 2
    for name, changed_at in begun.items():
        assert (tmp_path / "out" / name).stat().st_mtime_ns == changed_at
    prepare(photos, tmp_path / "whole", recipe=CLAHE)
    for name, data in tree(tmp_path / "whole").items():
        if name != ".prepared.json":
            assert (tmp_path / "out" / name).read_bytes() == data


def test_a_killed_start_leaves_files_that_the_next_knows_by_their_content(photos: Path, tmp_path: Path) -> None:
    prepare(photos, tmp_path / "out", recipe=CLAHE)
    state = tmp_path / "out" / ".prepared.json"
    with pytest.raises(KeyboardInterrupt):
        prepare(photos, tmp_path / "other", recipe=CLAHE, reporter=StopsAfter(1))
    killed = (tmp_path / "other" / ".prepared.json").read_text()
    state.write_text(killed)  # as if the state had not been kept since
    record = prepare(photos, tmp_path / "out", recipe=CLAHE)
    assert (record["photos"], record["refused"]) == (6, 0)


def test_changed_and_damaged_photos_are_made_again(photos: Path, tmp_path: Path) -> None:
    prepare(photos, tmp_path / "out", recipe=CLAHE)
    (photos / "good" / "good-000.png").write_bytes(encode_png(draw_part(99, scratched=True)))
    (tmp_path / "out" / "good" / "good-001.png").unlink()
    record = prepare(photos, tmp_path / "out", recipe=CLAHE)
    assert (record["written"], record["kept"]) == (2, 4)
    prepare(photos, tmp_path / "new", recipe=CLAHE)
    assert tree(tmp_path / "new") | {".prepared.json": b""} == tree(tmp_path / "out") | {".prepared.json": b""}


def test_a_file_that_somebody_else_wrote_is_left_as_it_is(photos: Path, tmp_path: Path) -> None:
    prepare(photos, tmp_path / "out", recipe=CLAHE)
    mine = tmp_path / "out" / "good" / "good-001.png"
    mine.write_bytes(b"my notes")
    record = prepare(photos, tmp_path / "out", recipe=CLAHE)
    assert mine.read_bytes() == b"my notes"
    assert record["refused_photos"] == [{
        "path": "good/good-001.png",
        "reason": '"good/good-001.png" lies in the folder already and was not written by this command',
    }]  # fmt: skip
    assert record["notes"][-1] == (
        "OUT is incomplete: other files lie in the place of 1 prepared photos (good/good-001.png) and were left as "
        "they are. Move them away and run the command again."
    )
    assert (tmp_path / "out" / "refused.csv").is_file()
    mine.unlink()
    assert prepare(photos, tmp_path / "out", recipe=CLAHE)["refused"] == 0
    assert not (tmp_path / "out" / "refused.csv").exists()


def test_files_of_photos_that_are_gone_are_named_and_left(photos: Path, tmp_path: Path) -> None:
    prepare(photos, tmp_path / "out", recipe=CLAHE)
    (photos / "good" / "good-002.png").unlink()
    record = prepare(photos, tmp_path / "out", recipe=CLAHE)
    assert (record["photos"], record["stale"]) == (5, ["good/good-002.png"])
    assert (tmp_path / "out" / "good" / "good-002.png").is_file()
    assert record["notes"][-1].endswith("delete them before you train.")


def test_another_recipe_or_other_photos_need_another_folder(photos: Path, tmp_path: Path) -> None:
    prepare(photos, tmp_path / "out", recipe=CLAHE)
    before = tree(tmp_path / "out")
    with pytest.raises(UserError, match=r"was prepared by other steps \(clahe [+] median, now gamma\)") as caught:
        prepare(photos, tmp_path / "out", recipe=recipe_of("gamma"))
    assert "must not mix" in caught.value.hint
    others = write_parts(tmp_path / "others", per_class=2)
    with pytest.raises(UserError, match=r'holds the prepared photos of ".*photos", not of ".*others"'):
        prepare(others, tmp_path / "out", recipe=CLAHE)
    assert tree(tmp_path / "out") == before


def test_out_must_be_a_folder_of_its_own(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match=r'OUT must be a new folder, .* with "thesis.tex" in it') as caught:
        prepare(photos, tmp_path / "full", recipe=CLAHE)
    assert caught.value.hint == "Choose another folder."
    with pytest.raises(UserError, match="OUT must be a folder, got the file"):
        prepare(photos, tmp_path / "full" / "thesis.tex", recipe=CLAHE)
    with pytest.raises(UserError, match="OUT must not lie inside the photos' own folder"):
        prepare(photos, photos / "prepared", recipe=CLAHE)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / ".prepared.json").write_text("{")
    with pytest.raises(UserError, match="which tells what was prepared here, is damaged"):
        prepare(photos, tmp_path / "broken", recipe=CLAHE)
    with pytest.raises(StorageError, match="could not be written"):
        prepare(photos, "/proc/nowhere", recipe=CLAHE)


def test_nothing_is_written_through_a_link_that_leads_outside(photos: Path, tmp_path: Path) -> None:
    prepare(photos, tmp_path / "out", recipe=CLAHE)
    shutil.rmtree(tmp_path / "out" / "good")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "good").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="leads outside"):
        prepare(photos, tmp_path / "out", recipe=CLAHE)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_in_use_is_refused(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    owner = {"process": os.getppid(), "host": socket.gethostname(), "since": "now"}
    (tmp_path / "out" / "lock.json").write_text(json.dumps(owner))
    with pytest.raises(UserError, match="is in use by process"):
        prepare(photos, tmp_path / "out", recipe=CLAHE)
