"""`teliti sensitivity`: what a network's accuracy owes to preparation, epochs, batch size, rate and augmentation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from teliti.cli.machines import DEFAULT_MACHINES, MachineOptions
from teliti.cli.output import DEFAULT_OUTPUT, OutputOptions, typed_command
from teliti.cli.recipe_options import DEFAULT_RECIPE, RecipeOptions
from teliti.cli.tune import refuse_beside_resume, require_data
from teliti.cli.variants_table import refuse_two_documents, show_found

if TYPE_CHECKING:
    from teliti.workflow.sensitivity import TableRequest

_LIST = Parameter(metavar="A,B")
_REPEATS, _WATTS = 3, 30.0


@Parameter(name="*", group=Group("Table", sort_key=4))
@dataclass(frozen=True)
class TableOptions:
    """Rows and columns of the table; of every list the first value is the base's.

    Attributes:
        networks: The rows: timm names, or compact networks.
        variants: Preparations, as for `teliti prepare --compare`.
        epochs: Times that every photo is shown. [default: 100,200; with --quick 4,8]
        batch_sizes: Photos in a step.
        rates: Learning rates.
        augment: Augmentations: none, light, strong, operations joined by +, or files.
        grid: Every combination in the place of one choice at a time.
        quick: 64 px, at most 300 photos, random start weights, few epochs.
    """

    networks: Annotated[str, _LIST] = "resnet50,vgg16"
    variants: Annotated[str, _LIST] = "none,segment"
    epochs: Annotated[str | None, _LIST] = None
    batch_sizes: Annotated[str, _LIST] = "32,64"
    rates: Annotated[str, _LIST] = "0.001,0.005"
    augment: Annotated[str, _LIST] = "none,light"
    grid: Annotated[bool, Parameter(negative="", show_default=False)] = False
    quick: Annotated[bool, Parameter(negative="", show_default=False)] = False

    def request(self) -> TableRequest:
        """What the workflow takes."""
        from teliti.workflow.sensitivity import TableRequest

        return TableRequest(
            _listed(self.networks), _listed(self.variants), _listed(self.epochs) if self.epochs else None,
            _listed(self.batch_sizes), _listed(self.rates), _listed(self.augment), grid=self.grid, quick=self.quick,
        )  # fmt: skip


DEFAULT_TABLE = TableOptions()


def sensitivity(
    data: str | None = None,
    /,
    *,
    repeats: int = _REPEATS,
    measure: str | None = None,
    watts: float = _WATTS,
    workers: int | None = None,
    csv: Annotated[str | None, Parameter(metavar="FILE", allow_leading_hyphen=True)] = None,
    out: Path | None = None,
    resume: Path | None = None,
    table: TableOptions = DEFAULT_TABLE,
    machines: MachineOptions = DEFAULT_MACHINES,
    recipe: RecipeOptions = DEFAULT_RECIPE,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Train networks with one choice changed at a time, several times each, and say which differences are real.

    Args:
        data: Labelled photos, as for `teliti train`.
        repeats: Trainings of each cell, each with a seed and a fold of its own.
        measure: What is judged. [default: accuracy]
        watts: What this machine takes while it trains, for the estimate of energy.
        workers: Trainings at the same time. [default: one for each core]
        csv: Write the cells to this file, or to stdout with "-".
        out: The folder of the table; the same command goes on with an unfinished one. [default: a new one in runs]
        resume: Go on with the table in this folder.
        table: Rows and columns.
        machines: Where.
        recipe: Everything else; --budget bounds the table.
        output: How to speak.
    """
    refuse_two_documents(csv, output)
    if resume is not None:
        others = (data, out, measure, workers, repeats, watts)
        alone = others == (None,) * 4 + (_REPEATS, _WATTS) and recipe.is_empty() and table == DEFAULT_TABLE
        refuse_beside_resume(resume, verb="sensitivity", stands_alone=alone)
        from teliti.workflow.sensitivity import resume as resume_table

        record = resume_table(resume, engine=machines.chosen(), reporter=output.reporter())
    else:
        from teliti.workflow.sensitivity import sensitivity as fill_table

        record = fill_table(
            require_data(data), table.request(), recipe=recipe.load(), repeats=repeats, measure=measure, watts=watts,
            workers=workers, out=out, engine=machines.chosen(), reporter=output.reporter(), command=typed_command(),
        )  # fmt: skip
    from teliti.cli.sensitivity_table import print_table, write_table

    show_found(record, csv=csv, output=output, as_csv=write_table, as_table=print_table)
    return 0


def _listed(words: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in words.split(",") if word.strip())
