"""What work on other machines asks the driver: one box, which the engine makes an actor on the driver's machine.

Workers wait in `ask`, the driver in `take`; it knows nothing of who carries the calls.
"""

from __future__ import annotations

import asyncio
from typing import Any


class Letterbox:
    """Questions on their way to the driver, and its answers."""

    def __init__(self) -> None:
        self._questions: asyncio.Queue[tuple[int, str, Any] | None] = asyncio.Queue()
        self._answers = dict[int, asyncio.Future[Any]]()
        self._asked = 0

    async def ask(self, key: str, question: Any) -> Any:
        """Wait for the driver's answer to what the work on a task asks."""
        self._asked += 1
        number = self._asked
        self._answers[number] = asyncio.get_running_loop().create_future()
        self._questions.put_nowait((number, key, question))
        try:
            return await self._answers[number]
        finally:
            del self._answers[number]

    async def take(self) -> list[tuple[int, str, Any]]:
        """All that were asked; waits for the first. None are left when it was closed."""
        taken = [await self._questions.get()]
        while not self._questions.empty():
            taken.append(self._questions.get_nowait())
        return [one for one in taken if one is not None]

    async def close(self) -> None:
        """Let who waits in `take` go."""
        self._questions.put_nowait(None)

    async def answer(self, number: int, content: Any) -> None:
        """Hand the answer to the question of that number to who waits for it."""
        if number in self._answers:  # its worker may have died meanwhile
            self._answers[number].set_result(content)
