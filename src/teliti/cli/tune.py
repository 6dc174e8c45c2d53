"""`teliti tune`: search for the recipe that does best on these photos."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from teliti.cli.machines import DEFAULT_MACHINES, MachineOptions
from teliti.cli.output import DEFAULT_OUTPUT, OutputOptions, print_json, stdout_console, typed_command
from teliti.cli.recipe_options import DEFAULT_RECIPE, RecipeOptions
from teliti.errors import UserError

if TYPE_CHECKING:
    from teliti.types import Record

_REPEATS, _FINALISTS = 3, 4
_LEFT_OUT = (*(None,) * 7, _REPEATS, _FINALISTS, DEFAULT_RECIPE)


def tune(
    data: str | None = None,
    /,
    *,
    space: Annotated[list[str] | None, Parameter(negative="", metavar="KEY=VALUES", consume_multiple=True)] = None,
    trials: int | None = None,
    repeats: int = _REPEATS,
    finalists: int = _FINALISTS,
    measure: str | None = None,
    workers: int | None = None,
    storage: str | None = None,
    apply: Path | None = None,
    out: Path | None = None,
    resume: Path | None = None,
    machines: MachineOptions = DEFAULT_MACHINES,
    recipe: RecipeOptions = DEFAULT_RECIPE,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Search for the recipe that does best, and measure the winner once on photos that the search never saw.

    Args:
        data: Labelled photos, as for `teliti train`.
        space: What to choose from, for instance "train.lr=log(1e-4,1e-1)" "model.dropout=0..0.6"
            "train.batch_size=16,32,64" "model.c@rbf_svm=log(1,100)" "augment=none,light,strong" "prepare=none,clahe";
            "default" stands for what matters most in the mode. [default: that alone]
        trials: How many recipes to try. [default: 40, or with --budget as many as fit]
        repeats: Divisions of the photos that every finalist is trained on.
        finalists: How many of the best trials are measured again, beside the recipe as given.
        measure: What is judged, for instance accuracy. [default: roc_auc for two classes]
        workers: Trials at the same time. [default: one for each core]
        storage: Where the study is kept: the SQLAlchemy address of a database. [default: a file in the folder]
        apply: Write the winning recipe to this file as well, for `teliti train --recipe`.
        out: The folder of the search; the same command goes on with an unfinished one. [default: a new one in runs]
        resume: Go on with the search in this folder.
        machines: Where.
        recipe: Everything that is not searched; --budget bounds the search.
        output: How to speak.
    """
    if apply is not None and apply.is_dir():
        raise UserError(f'--apply must be a file, got the folder "{apply}".', hint='For instance --apply "best.toml".')
    if resume is not None:
        alone = (data, out, space, trials, measure, workers, storage, repeats, finalists, recipe) == _LEFT_OUT
        refuse_beside_resume(resume, verb="tune", stands_alone=alone)
        from teliti.workflow.tune import resume as resume_search

        record = resume_search(resume, engine=machines.chosen(), reporter=output.reporter())
    else:
        from teliti.workflow.tune import tune as search

        record = search(
            require_data(data), recipe=recipe.load(), space=space or (), trials=trials, repeats=repeats,
            finalists=finalists, measure=measure, workers=workers, storage=storage, out=out, engine=machines.chosen(),
            reporter=output.reporter(), command=typed_command(),
        )  # fmt: skip
    if apply is not None:
        from teliti.files import write_text_atomic

        write_text_atomic(apply, record["best"]["recipe_toml"])
    _show(record, apply=apply, output=output)
    return 0


def require_data(data: str | None) -> str:
    """The photos that were named.

    Raises:
        UserError: none.
    """
    if data is None:
        raise UserError(
            "DATA must be given: a folder of photos, a CSV file, a zip, or a built-in name, got nothing.",
            hint="For instance photos, where photos has one folder for each class.",
        )
    return data


def refuse_beside_resume(folder: Path, *, verb: str, stands_alone: bool) -> None:
    """A job that goes on keeps its own photos and choices.

    Raises:
        UserError: others were given beside it.
    """
    if not stands_alone:
        raise UserError(
            "--resume must stand alone: the folder keeps its own photos and choices, got others beside it.",
            hint=f"Write `teliti {verb} --resume {shlex.quote(str(folder))}`, or leave --resume out to start anew.",
        )


def _show(record: Record, *, apply: Path | None, output: OutputOptions) -> None:
    if output.json:
        print_json(record)
        return
    from teliti.cli.result import print_next
    from teliti.cli.tuned import print_search

    console = stdout_console()
    print_search(console, record)
    winner = shlex.quote(str(apply or record["best"]["recipe"]))
    print_next(console, {f"teliti train {shlex.quote(record['source'])} --recipe {winner}": "train the winner"})
