"""Work for engines, in a module of its own so that a spawned process can import it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from teliti.errors import RecipeError


def double(number: int, ask: Any) -> int:  # noqa: ARG001
    return 2 * number


def refuse_odd(number: int, ask: Any) -> int:  # noqa: ARG001
    if number % 2:
        raise RecipeError(f"{number} is odd.", hint="Take an even one.")
    if number == 4:
        raise KeyError("four")
    return number


def environment(name: str, ask: Any) -> tuple[str | None, int]:  # noqa: ARG001
    return os.environ.get(name), os.getpid()


def ask_until_told(limit: int, ask: Any) -> int:
    for step in range(limit):
        if ask(step):
            return step
    return limit


def die_once(marker: str, ask: Any) -> str:  # noqa: ARG001
    if not Path(marker).exists():
        Path(marker).write_text("died", encoding="utf-8")
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def die_always(_: Any, ask: Any) -> None:  # noqa: ARG001
    os.kill(os.getpid(), signal.SIGKILL)


def sleep_and_square(argument: tuple[float, float], ask: Any) -> dict[str, Any]:
    """(seconds, x) to -(x - 3)^2, told as it goes."""
    seconds, x = argument
    for _ in range(5):
        time.sleep(seconds / 5)
        ask(os.getpid())
    return {"value": -((x - 3.0) ** 2)}


def triple_all(numbers: list[int], ask: Any) -> list[int]:  # noqa: ARG001
    return [3 * number for number in numbers]


def note_and_sleep(argument: tuple[str, float, int], ask: Any) -> int:
    """Writes a line to a file for every attempt, so that a test sees who was begun how often."""
    begun, seconds, number = argument
    with Path(begun).open("a", encoding="utf-8") as file:
        file.write(f"{number}\n")
    time.sleep(seconds)
    ask(number)
    return number
