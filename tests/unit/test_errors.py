"""The tree of errors: one sentence with a hint, an exit code, and the built-in that a caller would expect."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from teliti import errors
from teliti.errors import (
    BundleError,
    CatalogError,
    GateError,
    MissingExtraError,
    ParityError,
    PhotoRefused,
    RecipeError,
    RunError,
    RunInterrupted,
    SplitError,
    StorageError,
    TelitiError,
    UserError,
)


def test_an_error_is_its_message_and_what_to_do_next() -> None:
    error = UserError("The folder is empty.", hint="Put photos into it.")
    assert str(error) == "The folder is empty. Put photos into it."
    assert (error.message, error.hint) == ("The folder is empty.", "Put photos into it.")


def test_an_error_without_a_hint_has_no_trailing_space() -> None:
    assert str(RunError("It broke.")) == "It broke."


@pytest.mark.parametrize(
    ("kind", "built_in", "exit_code"),
    [
        (UserError, ValueError, 2),
        (RecipeError, ValueError, 2),
        (CatalogError, ValueError, 2),
        (SplitError, ValueError, 2),
        (BundleError, ValueError, 2),
        (RunError, RuntimeError, 1),
        (ParityError, RuntimeError, 1),
        (StorageError, OSError, 1),
        (GateError, TelitiError, 3),
    ],
)
def test_each_error_is_also_the_built_in_and_knows_its_exit_code(
    kind: type[TelitiError], built_in: type[Exception], exit_code: int
) -> None:
    error = kind("What happened.", hint="What to do.")
    assert isinstance(error, built_in)
    assert isinstance(error, TelitiError)
    assert error.exit_code == exit_code
    assert str(error) == "What happened. What to do."


def test_every_error_of_the_module_belongs_to_the_tree_except_the_interruption() -> None:
    kinds = {thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, BaseException)}
    outside = {kind for kind in kinds if not issubclass(kind, TelitiError)}
    assert outside == {RunInterrupted}


def test_a_catalog_error_keeps_every_problem() -> None:
    error = CatalogError("Line 2 is wrong.", hint="Fix it.", problems=["Line 2 is wrong.", "Line 5 is wrong."])
    assert error.problems == ("Line 2 is wrong.", "Line 5 is wrong.")
    assert CatalogError("Nothing there.").problems == ()


def test_a_missing_extra_names_the_command_that_installs_it() -> None:
    error = MissingExtraError("train", purpose="fit a head", library="sklearn")
    assert str(error) == (
        'sklearn is needed to fit a head and is not installed. Install it with: pip install "teliti[train]"'
    )
    assert isinstance(error, ImportError)
    assert (error.extra, error.library, error.exit_code) == ("train", "sklearn", 2)


def test_a_refused_photo_has_a_reason() -> None:
    refused = PhotoRefused("truncated")
    assert (refused.reason, str(refused)) == ("truncated", "truncated")


def test_an_interrupted_run_is_a_keyboard_interrupt_that_names_the_folder() -> None:
    interruption = RunInterrupted(Path("runs/one"))
    assert isinstance(interruption, KeyboardInterrupt)
    assert interruption.run == Path("runs/one")


@pytest.mark.parametrize(
    "error",
    [
        UserError("What.", hint="Next."),
        PhotoRefused("empty file"),
        StorageError("Full.", hint="Free some."),
        CatalogError("What.", problems=["one"]),
    ],
)
def test_an_error_survives_the_way_between_processes(error: TelitiError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
