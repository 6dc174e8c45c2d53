"""Name to factory: the one way in which a recipe's word becomes code."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from teliti.errors import RecipeError

T = TypeVar("T")


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word nearest to `word`, or None when none is near."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


class Registry(Generic[T]):
    """Things of one kind by name.

    Args:
        kind: What the things are called in an error, for instance "prepare step".
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, T] = {}
        self._own: set[str] = set()

    def register(self, name: str, *, is_own: bool = False) -> Callable[[T], T]:
        """A decorator that keeps its object under `name`; a second object of one name is a programming error.

        Args:
            name: Its word.
            is_own: Only this program writes it, so that nobody is told to choose it.
        """

        def keep(item: T) -> T:
            if name in self._items:
                raise KeyError(f"{self.kind} {name!r} is registered twice")
            self._items[name] = item
            if is_own:
                self._own.add(name)
            return item

        return keep

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self._items))

    def get(self, name: str) -> T:
        """The thing of that name.

        Raises:
            RecipeError: unknown name; the sentence lists the known ones and suggests the nearest.
        """
        if name in self._items:
            return self._items[name]
        choice = [known for known in self.names() if known not in self._own]
        near = closest(name, choice)
        suggestion = f'Did you mean "{near}"?' if near else "Choose one of them."
        raise RecipeError(f"{self.kind} must be one of {', '.join(choice)}, got {name!r}.", hint=suggestion)
