"""`teliti prepare`: apply the deterministic steps, look at them, or measure whether they help."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from teliti.cli.machines import DEFAULT_MACHINES, MachineOptions, refuse_workers_here
from teliti.cli.output import (
    DEFAULT_OUTPUT,
    OutputOptions,
    print_json,
    print_line,
    print_refused,
    stdout_console,
)
from teliti.cli.recipe_options import DEFAULT_RECIPE, RecipeOptions
from teliti.errors import UserError

if TYPE_CHECKING:
    from teliti.tuning.machines import Machines
    from teliti.types import Record

_MOST_REFUSED = 10
_COUNT = 4
_REPEATS = 5


def prepare(
    data: str,
    out: Path | None = None,
    /,
    *,
    preview: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    count: Annotated[int, Parameter(name=["--count", "-n"])] = _COUNT,
    compare: Annotated[str | None, Parameter(metavar="VARIANT,VARIANT")] = None,
    repeats: int = _REPEATS,
    measure: str | None = None,
    csv: Annotated[str | None, Parameter(metavar="FILE", allow_leading_hyphen=True)] = None,
    workers: int | None = None,
    machines: MachineOptions = DEFAULT_MACHINES,
    recipe: RecipeOptions = DEFAULT_RECIPE,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Write every photo as the recipe's [[prepare]] steps make it, or show the steps, or measure whether they help.

    Args:
        data: Photos, as for `teliti train`; without --compare also a folder, zip or photo without labels.
        out: A new folder for the prepared photos, or the one of an interrupted start; with --preview the PNG file.
        preview: Write one sheet instead: each step's picture for a few photos.
        count: With --preview: how many photos.
        compare: Train each variant on the same splits instead and say which are shown to help: none, a step, several
            joined by +, or a recipe file, for instance "clahe,segment,clahe+median,mine.toml".
        repeats: With --compare: trainings of each variant.
        measure: With --compare: what is judged, for instance roc_auc. [default: accuracy]
        csv: With --compare: write the rows to this file, or to stdout with "-".
        workers: With --engine ray: photos are prepared by so many workers at a time. [default: one for each core]
        machines: Where the pictures are made; OUT is on this machine.
        recipe: Which recipe.
        output: How to speak.
    """
    refuse_workers_here(workers, machines)
    if machines != DEFAULT_MACHINES and (preview or compare is not None):
        raise UserError(
            "--engine must stand without --preview and --compare: they are done here.", hint="Leave it out."
        )
    if compare is not None:
        _refuse_beside_compare(out, preview=preview)
        from teliti.cli.variants_table import compare_preparations

        return compare_preparations(
            data, compare, repeats=repeats, measure=measure, csv=csv, recipe=recipe, output=output
        )
    if measure is not None or csv is not None:
        raise UserError("--measure and --csv need --compare.", hint='For instance --compare "clahe,segment".')
    if preview:
        record = _preview(data, out, count=count, recipe=recipe, output=output)
    else:
        engine = machines.chosen()
        record = _write(data, out, engine=engine, workers=workers, recipe=recipe, output=output)
    if output.json:
        print_json(record)
    return 0


def _refuse_beside_compare(out: Path | None, *, preview: bool) -> None:
    if out is not None or preview:
        given = "OUT" if out is not None else "--preview"
        raise UserError(f"--compare must stand without {given}: it writes no photos.", hint="Leave one of the two out.")


def _write(
    data: str,
    out: Path | None,
    *,
    engine: Machines | None,
    workers: int | None,
    recipe: RecipeOptions,
    output: OutputOptions,
) -> Record:
    if out is None:
        raise UserError(
            "OUT must be given: a new folder for the prepared photos, got nothing.",
            hint="Or look at the steps first with --preview, or measure them with --compare.",
        )
    from teliti.workflow.prepare import prepare as prepare_photos

    record = prepare_photos(data, out, recipe=recipe.load(), engine=engine, workers=workers, reporter=output.reporter())
    if not output.json:
        _print_written(record)
    return record


def _preview(data: str, out: Path | None, *, count: int, recipe: RecipeOptions, output: OutputOptions) -> Record:
    from teliti.workflow.prepare_preview import preview

    record = preview(data, recipe=recipe.load(), out=out, photos=count, reporter=output.reporter())
    if not output.json:
        console = stdout_console()
        print_refused(console, record["refused_photos"], most=_MOST_REFUSED, where="--json")
        print_line(console, f"Sheet   {record['sheet']}")
    return record


def _print_written(record: Record) -> None:
    from teliti.cli.result import print_next
    from teliti.cli.wording import format_count, format_photos

    console = stdout_console()
    steps = " + ".join(step["step"] for step in record["steps"])
    files = "" if record["files"] == record["photos"] else f" in {format_count(record['files'])} files"
    kept = f", {format_count(record['kept'])} of them were there already" if record["kept"] else ""
    print_line(console, f"{format_photos(record['photos'])}{files} prepared by {steps}{kept}.")
    print_refused(console, record["refused_photos"], most=_MOST_REFUSED, where="refused.csv")
    print_line(console, f"Photos  {record['out']}")
    if record["labels"]:
        print_line(console, f"Labels  {record['labels']}")
    print_next(console, {f"teliti train {shlex.quote(record['data'])}": "train on the prepared photos"})
