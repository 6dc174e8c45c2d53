"""`teliti --install-completion`: let the shell complete verbs, options and files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from teliti.cli.output import print_line, stdout_console
from teliti.errors import UserError

Shell = Literal["bash", "zsh", "fish", "powershell"]


def install_completion(
    *, shell: Shell | None = None, to: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None
) -> int:
    """Install shell completion; it works in the next shell that you open.

    Args:
        shell: Which shell. [default: the one that runs this command]
        to: Write the script to this file, or to stdout with "-", and change no start-up file.
    """
    from cyclopts.completion.detect import ShellDetectionError, detect_shell

    from teliti.cli.main import build_app

    try:
        chosen = shell or detect_shell()
    except ShellDetectionError as error:
        raise UserError(
            "The shell could not be recognised.", hint="Name it: --shell bash, zsh, fish or powershell."
        ) from error
    app = build_app()
    if to == Path("-"):
        sys.stdout.write(app.generate_completion(shell=chosen))
        return 0
    path = app.install_completion(shell=chosen, output=to, add_to_startup=to is None)
    print_line(stdout_console(), f"Completion for {chosen} is installed in {path}. Open a new shell to use it.")
    return 0
