"""What a worker does with a task, and what a process of `LocalEngine` does until its driver is gone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from teliti.errors import TelitiError
from teliti.runtime import mute_native_stderr, quiet_environment


@dataclass(frozen=True)
class Trouble:
    """Why a task has no value.

    Attributes:
        kind: Name of the error's class.
        message: One sentence.
        hint: What to do next; may be empty.
    """

    kind: str
    message: str
    hint: str = ""


def serve(connection: Connection) -> None:
    """Do one task after the other until the line ends.

    Ctrl-C is the driver's: it stops its workers. A worker whose driver was killed ends at once, in the middle of a
    task, so that nobody computes what a resumed driver computes again.

    Args:
        connection: Gives (work, argument), the work None where it is the last one's; takes ("done", value),
            ("trouble", Trouble) or ("ask", question). The work is called with its argument and a function that asks.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_the_driver, daemon=True).start()
    os.dup2(2, 1)  # stdout is for the driver's one document
    quiet_environment()
    mute_native_stderr()

    def ask(question: Any) -> Any:
        try:
            connection.send(("ask", question))
            return connection.recv()
        except (EOFError, OSError) as error:
            raise _DriverIsGone from error

    work: Any = None
    while True:
        try:
            other, argument = connection.recv()
            work = work if other is None else other
            connection.send(attempt(work, argument, ask))
        except (EOFError, OSError, _DriverIsGone):
            return


class _DriverIsGone(BaseException):
    """Passes through whatever the work catches."""


def attempt(work: Callable[..., Any], argument: Any, ask: Callable[[Any], Any]) -> tuple[str, Any]:
    """Do one task: ("done", value), or ("trouble", Trouble) where the work raised something."""
    try:
        return "done", work(argument, ask)
    except TelitiError as error:
        return "trouble", Trouble(type(error).__name__, error.message, error.hint)
    except Exception as error:  # noqa: BLE001 - the driver tells it
        said = " ".join(str(error).split())
        return "trouble", Trouble(type(error).__name__, f"{type(error).__name__}: {said}".rstrip(": "))


def _leave_with_the_driver() -> None:
    driver = multiprocessing.parent_process()
    if driver is not None:
        wait([driver.sentinel])
        os._exit(1)
