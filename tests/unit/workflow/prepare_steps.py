"""What the tests of `teliti prepare` share."""

from __future__ import annotations

from pathlib import Path

from teliti.recipe import Recipe, parse_recipe

STEPS = [{"step": "clahe"}, {"step": "median"}]
CLAHE = parse_recipe({"prepare": STEPS})


def recipe_of(*steps: str | dict, **data: object) -> Recipe:
    entries = [{"step": step} if isinstance(step, str) else step for step in steps]
    return parse_recipe({"prepare": entries, "data": data})


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
