"""What the tests of `teliti prepare` share."""

from __future__ import annotations

from pathlib import Path

from teliti.recipe import Recipe, parse_recipe

STEPS = [{"step": "clahe"}, {"step": "median"}]
CLAHE = parse_recipe({"prepare": STEPS})


def recipe_of(*steps: str | dict, **data: object) -> Recipe:
    """A recipe that prepares by some steps, each a name or a table; keywords are keys of [data]."""
    entries = [{"step": step} if isinstance(step, str) else step for step in steps]
    return parse_recipe({"prepare": entries, "data": data})


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder: its path from there, parts joined by slashes, to its bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
