"""Every error that Teliti raises on purpose: one tree, one sentence each, and what to do next.

An error's text is `{subject} must be {rule}, got {value}` or a plain statement of what happened; the hint
says what to do. Only interfaces (command line, server, studio) catch these and turn `exit_code` into theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class TelitiError(Exception):
    """Base of all errors that Teliti raises on purpose.

    Args:
        message: What happened and why, one sentence.
        hint: What to do next, one sentence; may be empty.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


class UserError(TelitiError, ValueError):
    """The user's mistake: bad arguments, bad recipe, bad data. Exit code 2."""

    exit_code = 2


class RecipeError(UserError):
    """A recipe key or value that cannot be used."""


class CatalogError(UserError):
    """The photos or the label file cannot be turned into a catalog.

    Args:
        message: The first problem, with file and line where there is one.
        hint: What to do next.
        problems: Every problem found in the same pass, one sentence each.
    """

    def __init__(self, message: str, *, hint: str = "", problems: Sequence[str] = ()) -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)


class SplitError(UserError):
    """The photos cannot be split as asked: too few of a class, groups too large."""


class BundleError(UserError):
    """A bundle that is missing, damaged, or of a schema this version cannot read."""


class PhotoRefused(UserError):
    """One photo that cannot be used. The run goes on without it.

    Args:
        reason: Why, a short phrase without the file's name.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class MissingExtraError(UserError, ImportError):
    """A library of an optional extra is not installed.

    Args:
        extra: The extra that brings it, for instance `train`.
        purpose: What it is needed for, a phrase that can follow "is needed to".
        library: The import name that is missing.
    """

    def __init__(self, extra: str, *, purpose: str, library: str) -> None:
        super().__init__(
            f"{library} is needed to {purpose} and is not installed.",
            hint=f'Install it with: pip install "teliti[{extra}]"',
        )
        self.extra = extra
        self.library = library


class RunError(TelitiError, RuntimeError):
    """A run that started well and could not be finished. Exit code 1."""


class StorageError(RunError, OSError):
    """A file could not be written or read back: disk full, no rights, damaged."""


class ParityError(RunError):
    """The exported network answers differently from the trained one."""


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C in the middle of a run that can be resumed.

    Args:
        run: The run's folder.
        verb: The verb that goes on with it.
    """

    def __init__(self, run: Path, *, verb: str = "train") -> None:
        super().__init__(str(run))
        self.run = run
        self.verb = verb


class GateError(TelitiError):
    """A quality gate (`--fail-on`) was not met. Exit code 3."""

    exit_code = 3
