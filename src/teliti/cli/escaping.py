"""The one door by which a name from outside reaches the terminal or a spreadsheet.

File and class names come from strangers: they may hold escape sequences, line breaks, marks that turn the
reading direction, bytes that are not UTF-8, or a spreadsheet formula. Rich markup needs no escaping here
because every console of this program is made with markup switched off.
"""

from __future__ import annotations

import unicodedata

_UNSEEN_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_JOINERS = {"\u200c", "\u200d"}  # part of ordinary Persian, Hindi and emoji
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF  # where `surrogateescape` keeps bytes that are not UTF-8


def visible(text: str) -> str:
    r"""The text with everything that has no shape of its own written out, such as `\n`, `\x1b` or `\u202e`.

    Bytes of a name that is not UTF-8 appear as `\xff`. What is left can be printed in any terminal and
    takes one line.
    """
    if text.isprintable():
        return text
    return "".join(_written_out(character) for character in text)


def _written_out(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if character in _JOINERS or unicodedata.category(character) not in _UNSEEN_CATEGORIES:
        return character
    code = ord(character)
    if _FIRST_BYTE <= code <= _LAST_BYTE:
        return f"\\x{code - 0xDC00:02x}"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
