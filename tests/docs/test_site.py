"""The manual builds without a warning, loads nothing from elsewhere, and the project's pages link to what exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT_PAGES = sorted(ROOT.glob("*.md"))
_LINK = re.compile(r"\]\((?!https?:)(?P<target>[^)#\s]+)")
_LOADED = re.compile(r"<(?:script|img|iframe|source)[^>]+src=[\"']?(https?:)?//|<link[^>]+href=[\"']?(https?:)?//")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    return folder


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) >= 8
    assert [page.name for page in pages if _LOADED.search(page.read_text(encoding="utf-8"))] == []


def test_the_search_for_foreign_parts_finds_one() -> None:
    assert _LOADED.search('<script defer src="https://cdn.example/x.js">')
    assert _LOADED.search("<link rel=stylesheet href=//fonts.example/css>")
    assert not _LOADED.search('<a href="https://elsewhere.example">')


@pytest.mark.parametrize("page", PROJECT_PAGES, ids=lambda page: page.name)
def test_links_of_a_project_page_exist(page: Path) -> None:
    targets = [match["target"] for match in _LINK.finditer(page.read_text(encoding="utf-8"))]
    assert [target for target in targets if not (page.parent / target).exists()] == []
