"""Surroundings that a factory has: another language, another time zone, a home that cannot be written."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

READ_ONLY = "/proc/1"
"""A folder in which nobody can make a file, not even the superuser, for whom rights of folders mean nothing."""


def odd_surroundings(folder: Path, language: str) -> dict[str, str]:
    """The environment of a process: a language that writes numbers with a comma, Nepal's time, a read-only home.

    The language is compiled into `folder` where the system has its description but not itself; without it a C library
    would fall back to plain English and nothing would be tested.

    Args:
        folder: To write to.
        language: Such as "de_DE".
    """
    name = f"{language}.UTF-8"
    if shutil.which("localedef") is not None:
        subprocess.run(
            ["localedef", "-i", language, "-f", "UTF-8", "--no-archive", str(folder / name)],
            check=False, capture_output=True,
        )  # fmt: skip
    compiled = {"LOCPATH": str(folder)} if (folder / name).is_dir() else {}
    home = {"HOME": READ_ONLY, "XDG_CACHE_HOME": READ_ONLY, "XDG_CONFIG_HOME": READ_ONLY, "TELITI_CACHE": ""}
    return {"LC_ALL": name, "LANG": name, "TZ": "Asia/Kathmandu", **home, **compiled}
