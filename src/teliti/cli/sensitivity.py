"""`teliti sensitivity`: what a network's accuracy owes to preparation, epochs, batch size, rate and augmentation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from teliti.cli.compared import refuse_two_documents
from teliti.cli.output import DEFAULT_OUTPUT, OutputOptions, typed_command
from teliti.cli.recipe_options import DEFAULT_RECIPE, RecipeOptions
from teliti.cli.tune import refuse_beside_resume, require_data

if TYPE_CHECKING:
    from teliti.types import Record
    from teliti.workflow.sensitivity import TableRequest

_LIST = Parameter(metavar="A,B")


def sensitivity(
    data: str | None = None,
    /,
    *,
    networks: Annotated[str, _LIST] = "resnet50,vgg16",
    variants: Annotated[str, _LIST] = "none,segment",
    epochs: Annotated[str | None, _LIST] = None,
    batch_sizes: Annotated[str, _LIST] = "32,64",
    rates: Annotated[str, _LIST] = "0.001,0.005",
    augment: Annotated[str, _LIST] = "none,light",
    grid: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    quick: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    repeats: int = 3,
    measure: str | None = None,
    watts: float = 30.0,
    workers: int | None = None,
    csv: Annotated[str | None, Parameter(metavar="FILE", allow_leading_hyphen=True)] = None,
    out: Path | None = None,
    resume: Path | None = None,
    recipe: RecipeOptions = DEFAULT_RECIPE,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Train networks with one choice changed at a time, several times each, and say which differences are real.

    Args:
        data: Labelled photos, as for `teliti train`.
        networks: The rows: timm names, or compact networks.
        variants: Preparations, as for `teliti prepare --compare`; of every list the first value is the base's.
        epochs: Times that every photo is shown. [default: 100,200; with --quick 4,8]
        batch_sizes: Photos in a step.
        rates: Learning rates.
        augment: Augmentations: none, light, strong, operations joined by +, or files.
        grid: Every combination in the place of one choice at a time.
        quick: 64 px, at most 300 photos, random start weights, few epochs.
        repeats: Trainings of each cell, each with a seed and a fold of its own.
        measure: What is judged. [default: accuracy]
        watts: What this machine takes while it trains, for the estimate of energy.
        workers: Trainings at the same time. [default: one for each core]
        csv: Write the cells to this file, or to stdout with "-".
        out: The folder of the table; the same command goes on with an unfinished one. [default: a new one in runs]
        resume: Go on with the table in this folder.
        recipe: Everything else; --budget bounds the table.
        output: How to speak.
    """
    refuse_two_documents(csv, output)
    if resume is not None:
        record = _go_on(resume, is_alone=data is None and out is None and recipe.is_empty(), output=output)
    else:
        from teliti.workflow import sensitivity as job

        table = job.TableRequest(
            _listed(networks), _listed(variants), _listed(epochs) if epochs else None, _listed(batch_sizes),
            _listed(rates), _listed(augment), grid=grid, quick=quick,
        )  # fmt: skip
        how = {"repeats": repeats, "measure": measure, "watts": watts, "workers": workers, "out": out}
        record = _start(require_data(data), table, recipe=recipe, output=output, **how)
    from teliti.cli.sensitivity_table import show_table

    show_table(record, csv=csv, output=output)
    return 0


def _start(data: str, table: TableRequest, *, recipe: RecipeOptions, output: OutputOptions, **how: Any) -> Record:
    from teliti.workflow.sensitivity import sensitivity as fill_table

    return fill_table(data, table, recipe=recipe.load(), reporter=output.reporter(), command=typed_command(), **how)


def _go_on(folder: Path, *, is_alone: bool, output: OutputOptions) -> Record:
    refuse_beside_resume(folder, verb="sensitivity", stands_alone=is_alone)
    from teliti.workflow.sensitivity import resume

    return resume(folder, reporter=output.reporter())


def _listed(words: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in words.split(",") if word.strip())
