"""A reporter that keeps what it is told."""

from __future__ import annotations

from teliti.types import SilentReporter


class Notes(SilentReporter):
    """Keeps every note, in order.

    Attributes:
        notes: The sentences.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)
