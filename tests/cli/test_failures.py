"""What the user is told when something goes wrong, and the exit code."""

import errno
import json
from pathlib import Path

import pytest

from teliti.cli.failures import describe_failure
from teliti.errors import BundleError, CatalogError, GateError, RunError, RunInterrupted, UserError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("x"), 2), (BundleError("x"), 2), (RunError("x"), 1), (GateError("x"), 3), (ValueError("x"), 1),
        (MemoryError(), 1), (OSError(errno.ENOSPC, "full"), 1), (KeyboardInterrupt(), 130),
    ],
)  # fmt: skip
def test_exit_codes(error: BaseException, code: int) -> None:
    assert describe_failure(error).exit_code == code


def test_an_unexpected_error_is_one_sentence() -> None:
    failure = describe_failure(KeyError("two\nlines"))
    assert failure.message == r"Something unexpected went wrong: KeyError: 'two\nlines'."
    assert "--debug" in failure.hint
    assert describe_failure(ZeroDivisionError()).message == "Something unexpected went wrong: ZeroDivisionError."


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named(number: int) -> None:
    failure = describe_failure(OSError(number, "no space", "/data/run/report.html"))
    assert failure.message == 'The disk is full: "/data/run/report.html" could not be written.'
    assert "Free some space" in failure.hint


def test_an_interrupted_run_says_how_to_go_on() -> None:
    failure = describe_failure(RunInterrupted(Path("runs/my run")))
    assert failure.hint == "Go on with: teliti train --resume 'runs/my run'"


def test_memory_used_up() -> None:
    assert describe_failure(MemoryError()).message == "The memory of this machine is used up."


def test_every_problem_of_a_label_file_is_listed(workflow, run) -> None:
    problems = ["line 2: no label.", "line 7: \x1b[2Jno file."]

    def train(*_: object, **__: object) -> None:
        raise CatalogError(problems[0], hint="Fix the rows.", problems=problems)

    workflow("train", train=train)
    code, out, err = run("train", "parts.csv")
    assert (code, out) == (2, "")
    assert err.splitlines() == ["error: line 2: no label.", r"       line 7: \x1b[2Jno file.", "  Fix the rows."]
    code, out, err = run("train", "parts.csv", "--json")
    assert (code, err) == (2, "")
    error = {"type": "CatalogError", "message": problems[0], "hint": "Fix the rows.", "problems": problems}
    assert json.loads(out) == {"schema": 1, "error": error}


def test_debug_shows_the_traceback(workflow, run) -> None:
    workflow("info", info_environment=lambda: {}[0], info_bundle=None, info_cache=None)
    _, _, calm = run("info")
    _, _, loud = run("info", "--debug")
    assert "Traceback" not in calm
    assert "Traceback" in loud
    assert loud.endswith(calm)
