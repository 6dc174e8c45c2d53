"""The manual's page on the generator: its example runs, and it names every argument group and trap."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "generator.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", BLOCKS)
def test_example_runs(
    code: str, tmp_path: Path, parts_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(parts_folder, tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "documentation block", "exec"), {"__name__": "documentation"})
    if "print(" in code:
        assert capsys.readouterr().out == "(32, 64, 64, 3) 0.5 {'good': 0, 'scratch': 1} 36 12\n"


def test_the_page_lists_nine_traps() -> None:
    table = PAGE.partition("## Nine traps")[2].partition("##")[0]
    assert len(re.findall(r"^\| [^-]", table, re.MULTILINE)) == 1 + 9
