"""The page of what is proven names tests that exist, and each of them names its id."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    (found[1], re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", line))
    for line in (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8").splitlines()
    if (found := re.match(r"\| ([RS]\d+) \|", line))
]


def test_every_promised_id_has_a_row() -> None:
    wanted = {
        "R14",
        *(f"R{n}" for n in range(22, 32)),
        *(f"S{n}" for n in (*range(1, 10), *range(12, 17), 19, 22, 23, 24)),
    }
    assert {name for name, _ in ROWS} == wanted
    assert all(tests for _, tests in ROWS)


@pytest.mark.parametrize(("name", "tests"), ROWS)
def test_its_tests_exist_and_one_of_them_says_so(name: str, tests: list[tuple[str, str]]) -> None:
    said = ""
    for path, function in tests:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert not function or function in functions, (path, function)
        said += " ".join(ast.get_docstring(node) or "" for node in functions.values() if function in {"", node.name})
    assert re.search(rf"\b{name}\b", said), f"no docstring among them names {name}"
