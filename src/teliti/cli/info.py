"""`teliti info`: what is in a bundle, on this machine, or in the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from teliti.cli.output import DEFAULT_OUTPUT, OutputOptions, print_json, stdout_console
from teliti.errors import UserError


def info(
    bundle: Path | None = None,
    /,
    *,
    cache: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Tell what a bundle is; without one, what this installation and machine are.

    Args:
        bundle: The bundle's folder.
        cache: Tell what the cache of photo features holds instead.
        output: How to speak.
    """
    if cache and bundle is not None:
        raise UserError("--cache must stand without BUNDLE, got both.", hint="Ask for one after the other.")
    from teliti.workflow.info import info_bundle, info_cache, info_environment

    if bundle is not None:
        record = info_bundle(bundle)
    elif cache:
        record = info_cache()
    else:
        record = info_environment()
    if output.json:
        print_json(record)
    else:
        from teliti.cli.facts import print_facts

        print_facts(stdout_console(), record)
    return 0
