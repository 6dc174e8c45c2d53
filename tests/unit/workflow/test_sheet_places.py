"""Where a preview sheet may lie: never among the photos, never in a file of another kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from teliti.errors import UserError
from teliti.workflow.prepare_preview import sheet_target


@pytest.mark.parametrize("place", ["good/sheet.png", "good", "."])
def test_a_sheet_among_the_photos_would_become_one_of_them(place: str, tmp_path: Path) -> None:
    (tmp_path / "photos" / "good").mkdir(parents=True)
    with pytest.raises(UserError, match="must not lie inside the photos' own folder"):
        sheet_target(str(tmp_path / "photos"), tmp_path / "photos" / place)


def test_a_sheet_is_a_png_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must be a \.png file") as caught:
        sheet_target(str(tmp_path / "photos"), tmp_path / "sheet.txt")
    assert caught.value.hint == "Name a .png file or a folder."


def test_a_folder_gets_the_usual_name_and_nothing_is_made_yet(tmp_path: Path) -> None:
    assert sheet_target(str(tmp_path / "photos"), tmp_path / "sheets") == tmp_path / "sheets" / "preview.png"
    assert not (tmp_path / "sheets").exists()
