"""`teliti replay`: train a run again and say whether the same comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from teliti.cli.failures import FAILED
from teliti.cli.output import DEFAULT_OUTPUT, OutputOptions, print_json, print_line, print_sentences, stdout_console


def replay(
    run: Path,
    /,
    *,
    data: str | None = None,
    out: Path | None = None,
    cached: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Train a finished run again from its recipe, and compare every hash and measure. The run is only read.

    Args:
        run: The run's folder.
        data: Where its photos are now. [default: where they were]
        out: Keep the second run in this new folder.
        cached: Take features from the cache: quicker, and checks less.
        output: How to speak.
    """
    from teliti.workflow.replay import replay as train_again

    record = train_again(run, source=data, out=out, cached=cached, reporter=output.reporter())
    if output.json:
        print_json(record)
        return 0 if record["same"] else FAILED
    console = stdout_console()
    first, *others = record["sentences"]
    print_line(console, first, style="bold green" if record["same"] else "bold red")
    print_sentences(console, others, mark="-")
    for check in record["checks"]:
        print_line(console, f"  {'same   ' if check['same'] else 'DIFFERS'} {check['name']}")
    if record["out"]:
        print_line(console, f"Run     {record['out']}")
    return 0 if record["same"] else FAILED
