"""The recipes that come with the package: TOML files to train with, to read and to copy."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

from teliti.errors import RecipeError
from teliti.registry import closest

_FOLDER = Path(__file__).parents[1] / "recipes"


def shipped_recipes() -> tuple[str, ...]:
    """Their names, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def about_recipe(name: str) -> str:
    """What the recipe's opening comment says, on one line.

    Raises:
        RecipeError: no recipe of that name is shipped.
    """
    lines = takewhile(lambda line: line.startswith("#"), shipped_recipe(name).read_text(encoding="utf-8").splitlines())
    return " ".join(line.removeprefix("#").strip() for line in lines)


def shipped_recipe(name: str) -> Path:
    """The file of one of them.

    Raises:
        RecipeError: no recipe of that name is shipped.
    """
    known = shipped_recipes()
    if name not in known:
        near = closest(name, known)
        raise RecipeError(
            f"The shipped recipe must be one of {', '.join(known)}, got {name!r}.",
            hint=f'Did you mean "{near}"?' if near else "Choose one of them.",
        )
    return _FOLDER / f"{name}.toml"
