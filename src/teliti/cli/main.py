"""The entry point: which verbs there are, and what becomes of an error.

Almost everything is imported inside functions: `teliti --help` must answer at once, and Ctrl-C during the start is
answered like any other.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from teliti import __version__
from teliti.cli import failures

if TYPE_CHECKING:
    from cyclopts import App

VERBS = {
    "demo": ("A real inspection, end to end, on packaged photos.", "[--out DIR]"),
    "check": ("What is wrong with the photos, before anything is trained.", "DATA [OPTIONS]"),
    "train": ("From photos to a tested, explained inspector.", "DATA [OPTIONS]"),
    "evaluate": ("Measure a bundle on new labelled photos.", "BUNDLE DATA [OPTIONS]"),
    "stress": ("How far light, blur, place and cover may go before verdicts change.", "BUNDLE [DATA] [OPTIONS]"),
    "compare": ("Which photos change their verdict from one bundle to another.", "OLD NEW DATA [OPTIONS]"),
    "replay": ("Train a run again and say whether the same comes out.", "RUN [OPTIONS]"),
    "prepare": ("Apply the deterministic steps, look at them, measure whether they help.", "DATA [OUT] [OPTIONS]"),
    "augment": ("Write augmented photos, look at them, search for what helps.", "DATA [OUT] [OPTIONS]"),
    "tune": ("Search for the recipe that does best, within trials or a time.", "DATA [OPTIONS]"),
    "sensitivity": ("What accuracy owes to network, preparation, epochs, batch size, rate.", "DATA [OPTIONS]"),
    "agree": ("How far inspectors agree with each other and with the net.", "LABELS.csv [OPTIONS]"),
    "predict": ("Inspect photos with a bundle.", "BUNDLE PATH... [OPTIONS]"),
    "export": ("A bundle as the file of another runtime, with the proof that it is the same.", "BUNDLE --to RUNTIME"),
    "watch": ("Judge photos as a camera drops them into a folder.", "BUNDLE FOLDER [OPTIONS]"),
    "serve": ("Answer requests for verdicts over HTTP.", "BUNDLE... [OPTIONS]"),
    "info": ("What is in a bundle, on this machine, in the cache, or in a network.", "[BUNDLE] [OPTIONS]"),
}
GROUPS = {
    "journal": "Verify, trace, correct and export the inspection journal.",
    "recipe": "Show, list, describe or start a recipe.",
    "weights": "Convert weights of other programs into the format that a recipe can name.",
}
_ABOUT = "From a folder of product photos to a CNN inspector that is measured, explained and deployed."
_FIRST_STEPS = "`teliti demo` shows it at work; `teliti VERB --help` explains a verb."


def build_app() -> App:
    """The command line's parser. Nothing heavy is loaded: `teliti --help` must answer at once."""
    from cyclopts import App, Group

    app = App(
        name="teliti",
        help=_ABOUT,
        help_epilogue=_FIRST_STEPS,
        usage="Usage: teliti VERB ...",
        version=f"teliti {__version__}",
        help_format="plaintext",
        group_commands=Group("Verbs", sort_key=1),
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    for position, (verb, (about, takes)) in enumerate(VERBS.items()):
        path, usage = f"teliti.cli.{verb}:{verb}", f"Usage: teliti {verb} {takes}"
        app.command(path, name=verb, help=about, usage=usage, help_epilogue="", sort_key=position)
    for position, (group, about) in enumerate(GROUPS.items(), start=len(VERBS)):
        app.command(f"teliti.cli.{group}:app", name=group, help=about, sort_key=position)
    options = Group("Options", sort_key=2)
    app.command(
        "teliti.cli.completion:install_completion",
        name="--install-completion",
        help="Install completion for bash, zsh, fish or PowerShell.",
        group=options,
    )
    for flag in ("--help", "--version"):
        app[flag].group = (options,)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The words after the program's name; those of this process when unset.

    Returns:
        The exit code: 0 done, 1 failed, 2 the user's mistake, 3 a quality gate not met, 130 interrupted,
        141 when the reader of stdout has left.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None and None in (sys.stdin, sys.stdout, sys.stderr):
        from teliti.runtime import open_closed_streams

        open_closed_streams()
    try:
        _keep_odd_names_printable()
        code = _run(words, owns_process=arguments is None)
        sys.stdout.flush()
    except BrokenPipeError:
        failures.silence_stdout()
        return failures.CLOSED_PIPE
    except SystemExit as leaving:
        if isinstance(leaving.__context__, BrokenPipeError):  # rich leaves so when its reader has left
            return failures.CLOSED_PIPE
        raise
    return code


def _run(words: Sequence[str], *, owns_process: bool) -> int:
    try:
        return _call_verb(words, owns_process=owns_process)
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        if _is_flag_given("--debug", words):
            import traceback

            traceback.print_exc()
        failure = failures.describe_failure(error)
    failures.report_failure(failure, as_json=_is_flag_given("--json", words))
    return failure.exit_code


def _call_verb(words: Sequence[str], *, owns_process: bool) -> int:
    from teliti.runtime import mute_native_stderr, quiet_environment

    quiet_environment()
    if owns_process:
        _refuse_a_removed_folder()
    if owns_process and not _is_flag_given("--debug", words):
        mute_native_stderr()
    from cyclopts import CycloptsError

    from teliti.cli.output import remember_command

    remember_command(words)
    try:
        result = build_app()(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise failures.usage_error(error) from error
    return result if isinstance(result, int) else 0


def _refuse_a_removed_folder() -> None:
    """Libraries end the process there without a word."""
    try:
        Path.cwd()
    except FileNotFoundError as error:
        from teliti.errors import UserError

        raise UserError(
            "The folder that this command runs in was removed.", hint="Go to another one, for instance with cd."
        ) from error


def _is_flag_given(flag: str, words: Sequence[str]) -> bool:
    """True when the flag stands among the options; needed before, and without, a successful parse."""
    options = words[: words.index("--")] if "--" in words else words
    return flag in options


def _keep_odd_names_printable() -> None:
    """Let stdout give back the bytes of names that are not UTF-8, and stderr never fail on a character."""
    for stream, errors in ((sys.stdout, "surrogateescape"), (sys.stderr, "backslashreplace")):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            is_utf8 = (stream.encoding or "").lower().replace("-", "") == "utf8"
            reconfigure(errors=errors if is_utf8 else "backslashreplace")
