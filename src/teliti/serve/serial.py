"""The serial number of a part from the name of its photo."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePath

from teliti.errors import UserError

SERIAL = "{serial}"
_EXAMPLE = 'For instance --serial "cam1_{serial}_*" takes A17 from "cam1_A17_top.png".'
_MARKS = {"*": ".*?", "?": "."}


def serial_reader(pattern: str | None) -> Callable[[str], str | None]:
    """A function from a photo's name to its serial number; None where the name does not fit.

    Args:
        pattern: The name without its ending, `{serial}` where the number stands, `*` for anything, `?` for one
            character. Unset: the whole name without its ending is the number.

    Raises:
        UserError: `{serial}` does not stand in it exactly once, or it has a run of marks that leave no one reading.
    """
    if pattern is None:
        return lambda name: PurePath(name).stem
    if pattern.count(SERIAL) != 1 or "**" in pattern or pattern.count("*") > 4:
        raise UserError(f"--serial must have {SERIAL} once, and at most four single *, got {pattern!r}.", hint=_EXAMPLE)
    before, after = (_expression(part) for part in pattern.split(SERIAL))
    expression = re.compile(f"{before}(?P<serial>.+?){after}", re.DOTALL)

    def read(name: str) -> str | None:
        match = expression.fullmatch(PurePath(name).stem)
        return None if match is None else match["serial"]

    return read


def _expression(part: str) -> str:
    return "".join(_MARKS.get(character, re.escape(character)) for character in part)
