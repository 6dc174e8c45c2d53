"""The benchmark runner: it finds the files, makes a page that says how it was made, and keeps it only on request."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "bench").mkdir()
    (tmp_path / "docs" / "results").mkdir(parents=True)
    shutil.copy(ROOT / "bench" / "run.py", tmp_path / "bench" / "run.py")
    return tmp_path


def add_benchmark(project: Path, topic: str, rows: str = "[{'side': 'ours', 'seconds': 1.5}]") -> None:
    code = f"def run():\n    return {{'name': 'Title of {topic}', 'rows': {rows}}}\n"
    (project / "bench" / f"bench_{topic}.py").write_text(code, encoding="utf-8")


def run_bench(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, project / "bench" / "run.py", *words], capture_output=True, text=True, timeout=60, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip


def test_every_benchmark_is_run_and_nothing_is_written(project: Path) -> None:
    add_benchmark(project, "one")
    add_benchmark(project, "two")
    result = run_bench(project)
    assert result.returncode == 0, result.stderr
    assert result.stdout.index("# Title of one") < result.stdout.index("# Title of two")
    assert "| side | seconds |\n| --- | --- |\n| ours | 1.5 |" in result.stdout
    assert list((project / "docs" / "results").iterdir()) == []


def test_a_kept_page_says_how_to_make_it_again(project: Path) -> None:
    add_benchmark(project, "one")
    add_benchmark(project, "two")
    assert run_bench(project, "one", "--write").returncode == 0
    (page,) = (project / "docs" / "results").iterdir()
    text = page.read_text(encoding="utf-8")
    assert page.name == "one.md"
    assert "`make bench ARGS=one`" in text
    assert "cores" in text


def test_a_failing_benchmark_fails_the_run(project: Path) -> None:
    add_benchmark(project, "one", rows="1 / 0")
    assert run_bench(project).returncode == 1


def test_nothing_to_run_is_no_success(project: Path) -> None:
    result = run_bench(project)
    assert result.returncode == 1
    assert "There is no bench_*.py" in result.stderr


def test_an_unknown_topic_is_named(project: Path) -> None:
    add_benchmark(project, "one")
    result = run_bench(project, "three")
    assert result.returncode == 1
    assert "No benchmark named three. There are: one." in result.stderr
