"""`teliti demo`: the whole job on packaged photos."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from teliti.cli.output import DEFAULT_OUTPUT, OutputOptions, is_live, print_json, print_sentences, stdout_console

if TYPE_CHECKING:
    from teliti.types import Record


def demo(*, out: Path | None = None, output: OutputOptions = DEFAULT_OUTPUT) -> int:
    """Train and test an inspector on 2,624 real photos of solar cells, without internet.

    Args:
        out: The run's folder. [default: a new folder in runs]
        output: How to speak.
    """
    from teliti.workflow.demo import demo as run_demo

    record = run_demo(out=out, reporter=output.reporter())
    if output.json:
        print_json(record)
        return 0
    _print_record(record)
    if not output.quiet and may_open_browser():
        import webbrowser

        webbrowser.open(Path(record["report"]).resolve().as_uri())
    return 0


def may_open_browser() -> bool:
    """True where a person sits at this terminal and has a screen."""
    has_screen = sys.platform in {"darwin", "win32"} or any(os.environ.get(k) for k in ("DISPLAY", "WAYLAND_DISPLAY"))
    return is_live(sys.stdout) and has_screen and not os.environ.get("CI")


def _print_record(record: Record) -> None:
    from teliti.cli.result import print_next, print_places, print_result

    console = stdout_console()
    print_result(console, record)
    print_sentences(console, [record["licence"]], mark="-")
    print_places(console, record)
    print_next(
        console,
        {
            "teliti train PHOTOS --out my-inspector": "your own photos: a folder with one folder for each class",
            "teliti predict my-inspector/bundle NEW_PHOTOS": "inspect new photos with what was learnt from yours",
            "teliti evaluate my-inspector/bundle LATER_PHOTOS": "measure it again, on labelled photos of a later day",
        },
    )
