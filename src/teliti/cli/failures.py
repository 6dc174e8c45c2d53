"""From an exception to one sentence, a hint and an exit code.

0 done, 1 failed, 2 the user's mistake, 3 a quality gate not met, 130 interrupted, 141 closed pipe.
"""

from __future__ import annotations

import errno
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from teliti.errors import RunInterrupted, TelitiError, UserError
from teliti.registry import closest

if TYPE_CHECKING:
    from cyclopts import CycloptsError

FAILED = 1
INTERRUPTED = 130
CLOSED_PIPE = 141
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class Failure:
    """What the user is told about an error.

    Attributes:
        exit_code: The process's exit code.
        type: Name of the error's class, for machines.
        message: What happened and why.
        hint: What to do next; may be empty.
        problems: Every problem of the same kind found in one pass, the first one included.
    """

    exit_code: int
    type: str
    message: str
    hint: str = ""
    problems: tuple[str, ...] = ()


def describe_failure(error: BaseException) -> Failure:
    """The sentence, hint and exit code for anything that a verb may raise."""
    kind = type(error).__name__
    if isinstance(error, TelitiError):
        problems = tuple(getattr(error, "problems", ()))
        return Failure(error.exit_code, kind, error.message, error.hint, problems)
    if isinstance(error, KeyboardInterrupt):
        return Failure(INTERRUPTED, "Interrupted", "Interrupted.", _how_to_go_on(error))
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return _describe_full_disk(error)
    if isinstance(error, MemoryError):
        hint = "Close other programs, or take smaller images: --set data.image_size=224."
        return Failure(FAILED, kind, "The memory of this machine is used up.", hint)
    said = " ".join(str(error).split())
    message = f"Something unexpected went wrong: {kind}{': ' if said else ''}{said}".rstrip(".") + "."
    return Failure(FAILED, kind, message, "Run the command again with --debug for the traceback.")


def usage_error(error: CycloptsError) -> UserError:
    """The sentence and hint for a command line that cannot be understood."""
    from cyclopts import UnknownCommandError

    error.verbose = False
    program = " ".join(["teliti", *(error.command_chain or ())])
    if isinstance(error, UnknownCommandError) and error.unused_tokens:
        return _unknown_verb(error.unused_tokens[0], program=program, known=list(error.app or ()))
    return UserError(str(error), hint=f"`{program} --help` shows what it takes.")


def report_failure(failure: Failure, *, as_json: bool) -> None:
    """Print a failure: one JSON document on stdout for machines, a sentence on stderr for people."""
    from teliti.cli.output import print_json

    if as_json:
        error = {"type": failure.type, "message": failure.message, "hint": failure.hint}
        listed = {"problems": list(failure.problems)} if failure.problems else {}
        print_json({"schema": 1, "error": error | listed})
    else:
        print_failure(failure)


def print_failure(failure: Failure) -> None:
    """A failure as sentences on stderr."""
    from rich.text import Text

    from teliti.cli.escaping import visible
    from teliti.cli.output import print_line, stderr_console

    console = stderr_console()
    start = ("", "") if failure.exit_code == INTERRUPTED else ("error: ", "bold red")
    console.print(Text.assemble(start, visible(failure.message)), soft_wrap=True)
    for problem in failure.problems[1:]:
        print_line(console, f"       {problem}")
    if failure.hint:
        print_line(console, f"  {failure.hint}")


def silence_stdout() -> None:
    """Point stdout at nothing after its reader has left, so that the interpreter's last flush is quiet."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())


def _how_to_go_on(interruption: KeyboardInterrupt) -> str:
    if isinstance(interruption, RunInterrupted):
        return f"Go on with: teliti {interruption.verb} --resume {shlex.quote(str(interruption.run))}"
    return "Run the same command again."


def _describe_full_disk(error: OSError) -> Failure:
    from teliti.files import storage_error

    path = error.filename if isinstance(error.filename, (str, os.PathLike)) else "a file"
    full = storage_error(Path(path), error)
    return Failure(FAILED, "StorageError", full.message, full.hint)


def _unknown_verb(word: str, *, program: str, known: Sequence[str]) -> UserError:
    verbs = [name for name in known if not name.startswith("-")]
    near = closest(word, verbs)
    hint = f'Did you mean "{near}"?' if near else f"Choose one of {', '.join(verbs)}."
    return UserError(f'`{program}` has no verb "{word}".', hint=hint)
