"""`teliti train`: from photos to a tested, explained inspector."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from teliti.cli.failures import describe_failure, print_failure
from teliti.cli.gates import parse_gate, reasons_unmet
from teliti.cli.machines import DEFAULT_MACHINES, MachineOptions, refuse_workers_here
from teliti.cli.output import DEFAULT_OUTPUT, OutputOptions, print_json, stdout_console, typed_command
from teliti.cli.recipe_options import DEFAULT_RECIPE, RecipeOptions
from teliti.errors import GateError, UserError
from teliti.runtime import is_helping_process

if TYPE_CHECKING:
    from teliti.recipe import Recipe
    from teliti.types import Record


def train(
    data: str | None = None,
    /,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    fail_on: Annotated[list[str] | None, Parameter(negative="", metavar="MEASURE<VALUE")] = None,
    workers: int | None = None,
    machines: MachineOptions = DEFAULT_MACHINES,
    recipe: RecipeOptions = DEFAULT_RECIPE,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Train an inspector from labelled photos and measure it on photos that it has never seen.

    Args:
        data: A folder with one folder for each class, train/val/test folders of such, a CSV, IDX or zip file, or elpv.
        out: The run's folder; must be new or empty. [default: a new folder in runs]
        resume: Go on with an interrupted run instead; its folder holds its own recipe.
        fail_on: Leave with exit code 3 when this holds, as for `evaluate`; "unproven": what was asked cannot be shown;
            "cheating": the background alone beats chance.
        workers: With --engine ray: how many workers share each batch of a network that learns.
        machines: Where; ray needs --workers.
        recipe: Which recipe.
        output: How to speak.
    """
    gates = [parse_gate(text) for text in fail_on or ()]
    if is_helping_process():
        return _help(data, resume=resume, recipe=recipe)
    together = _together(workers, machines)
    if resume is None:
        record = _start(data, out=out, together=together, recipe=recipe, output=output)
    else:
        record = _resume(resume, data=data, out=out, together=together, recipe=recipe, output=output)
    unmet = reasons_unmet(gates, record)
    if gates:
        record = record | {"gate": {"met": not unmet, "reasons": unmet}}
    if output.json:
        print_json(record)
    else:
        _print_record(record)
    for reason in unmet:
        print_failure(describe_failure(GateError(reason)))
    return GateError.exit_code if unmet else 0


def _together(workers: int | None, options: MachineOptions) -> Record | None:
    """What training on several workers takes; None: this process alone."""
    refuse_workers_here(workers, options)
    machines = options.chosen()
    if machines is None:
        return None
    if workers is None or workers < 1:
        raise UserError(
            f"--workers must be at least 1 with --engine ray, got {'none' if workers is None else workers}.",
            hint="For instance one for each machine, with --set train.threads=CORES.",
        )
    return {"machines": machines, "workers": workers}


def _start(
    data: str | None, *, out: Path | None, together: Record | None, recipe: RecipeOptions, output: OutputOptions
) -> Record:
    chosen = recipe.load()
    source = _source(data, chosen)
    if together is not None:
        from teliti.workflow.train_together import train_together

        return train_together(source, recipe=chosen, out=out, reporter=output.reporter(), command=typed_command(),
                              **together)  # fmt: skip
    from teliti.workflow.train import train as train_inspector

    return train_inspector(source, recipe=chosen, out=out, reporter=output.reporter(), command=typed_command())


def _source(data: str | None, chosen: Recipe) -> str:
    source = data if data is not None else chosen.data.source
    if source is None:
        raise UserError(
            "DATA must be given: a folder of photos, a CSV file, a zip, or a built-in name, got nothing.",
            hint="For instance `teliti train photos`, where photos has one folder for each class.",
        )
    return source


def _help(data: str | None, *, resume: Path | None, recipe: RecipeOptions) -> int:
    """In the further processes of `torchrun`: the first one speaks and writes."""
    from teliti.workflow.train import help_resume, help_train

    if resume is not None:
        help_resume(resume)
    else:
        chosen = recipe.load()
        help_train(_source(data, chosen), recipe=chosen)
    return 0


def _resume(
    run: Path,
    *,
    data: str | None,
    out: Path | None,
    together: Record | None,
    recipe: RecipeOptions,
    output: OutputOptions,
) -> Record:
    if data is not None or out is not None or not recipe.is_empty():
        raise UserError(
            "--resume must stand alone: the run keeps its own photos and recipe, got other choices beside it.",
            hint=f"Write `teliti train --resume {shlex.quote(str(run))}`, or leave --resume out to start anew.",
        )
    if together is not None:
        from teliti.workflow.train_together import resume_together

        return resume_together(run, reporter=output.reporter(), **together)
    from teliti.workflow.train import resume as resume_run

    return resume_run(run, reporter=output.reporter())


def _print_record(record: Record) -> None:
    from teliti.cli.result import print_next, print_places, print_result

    console = stdout_console()
    print_result(console, record)
    print_places(console, record)
    bundle = shlex.quote(str(record["bundle"]))
    print_next(
        console,
        {
            f"teliti predict {bundle} PHOTO...": "inspect other photos, files, folders or a zip",
            f"teliti evaluate {bundle} DATA": "repeat the measures on new labelled photos",
        },
    )
