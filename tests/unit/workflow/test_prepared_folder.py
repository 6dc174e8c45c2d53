"""Names of prepared files: kept, told apart, never equal even where case does not count."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from teliti.workflow.prepared.folder import name_files, name_tiles

NAMES = st.lists(
    st.from_regex(r"([ab]/)?[aAéx]{1,2}(\.png|\.PNG|\.jpg|\.bmp|\.jpg\.png|\.png-2\.png)?", fullmatch=True),
    unique=True, max_size=12,
)  # fmt: skip


def test_the_ending_changes_and_nothing_else() -> None:
    names = ["a/b.c.jpg", "a/x.PNG", "train/00001", "v1.5", "deep/er/x.tiff"]
    files, told_apart = name_files(names)
    assert list(files.values()) == ["a/b.c.png", "a/x.png", "train/00001.png", "v1.5.png", "deep/er/x.png"]
    assert told_apart == []


def test_one_name_for_two_photos() -> None:
    files, told_apart = name_files(["x.jpg", "x.png", "x.jpg.png", "y.png"])
    assert files == {"x.jpg": "x.jpg-2.png", "x.png": "x.png.png", "x.jpg.png": "x.jpg.png", "y.png": "y.png"}
    assert told_apart == ["x.jpg", "x.png"]


def test_names_of_our_own_files_are_not_taken() -> None:
    assert name_files(["preview.jpg"])[0] == {"preview.jpg": "preview.jpg.png"}


@given(NAMES)
def test_files_are_unique_on_every_file_system_and_stay_in_their_folder(names: list[str]) -> None:
    files, told_apart = name_files(names)
    assert list(files) == names
    assert len({unicodedata.normalize("NFC", file).casefold() for file in files.values()}) == len(names)
    for name, file in files.items():
        assert file.endswith(".png")
        assert file.rpartition("/")[0] == name.rpartition("/")[0]
        assert name in told_apart or file.rpartition(".")[0] in {name, name.rpartition(".")[0]}


def test_tiles_are_numbered_in_reading_order() -> None:
    assert name_tiles("a/x.png", 2) == ["a/x-tile-000.png", "a/x-tile-001.png"]
