"""`teliti check`: what is wrong with the photos and labels, and a cleaned label file from what was decided."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from teliti.cli.failures import describe_failure, print_failure
from teliti.cli.output import (
    DEFAULT_OUTPUT,
    OutputOptions,
    print_json,
    print_line,
    print_sentences,
    stdout_console,
)
from teliti.cli.recipe_options import DEFAULT_RECIPE, RecipeOptions
from teliti.errors import GateError, UserError

if TYPE_CHECKING:
    from rich.console import Console

    from teliti.types import Record

_MARKS = {"error": ("x", "bold red"), "warning": ("!", "bold yellow"), "info": ("-", "dim")}
_MOST_SHOWN = 3
_POOL_COUNT = 20


def check(
    data: str,
    /,
    *,
    out: Path | None = None,
    features: Annotated[bool | None, Parameter(show_default=False)] = None,
    pool: Path | None = None,
    pool_count: int = _POOL_COUNT,
    masks: Annotated[list[str] | None, Parameter(negative="", metavar="PATTERN")] = None,
    fail_on: Annotated[Literal["error", "warning"] | None, Parameter(show_default=False)] = None,
    apply: Annotated[Path | None, Parameter(metavar="FIXES.csv")] = None,
    recipe: RecipeOptions = DEFAULT_RECIPE,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Look for broken, odd and duplicated photos, wrong labels, leaks and shortcuts. No photo is changed.

    Args:
        data: Photos, as for `teliti train`; a folder or zip may also be without labels.
        out: A folder for the page with pictures and the table; with --apply the label file to write.
        features: Look for wrong labels, outliers and overlaps by a frozen network. [default: up to 5,000 photos]
        pool: A folder of unlabelled photos: which of them to label next.
        pool_count: With --pool: how many.
        masks: Masks beside the photos, for instance --masks "{stem}_mask.png", or boxes (Pascal VOC) by "{stem}.xml":
            defects too small to be seen are named.
        fail_on: Leave with exit code 3 when there is a finding as severe as this.
        apply: Write a label file with the decisions of this findings.csv (action filled in: exclude or relabel).
        recipe: Names input size and backbone.
        output: How to speak.
    """
    if apply is not None:
        return _clean(data, apply, out, recipe=recipe, output=output)
    from teliti.workflow.check import check as check_photos

    record = check_photos(
        data, recipe=recipe.load(), out=out, features=features, pool=pool, pool_count=pool_count, masks=masks or (),
        reporter=output.reporter(),
    )  # fmt: skip
    unmet = _unmet(record, fail_on) if fail_on is not None else None
    if fail_on is not None:
        record = record | {"gate": {"met": unmet is None, "reasons": [unmet] if unmet else []}}
    if output.json:
        print_json(record)
    else:
        _print_check(stdout_console(), record, data)
    if unmet is None:
        return 0
    print_failure(describe_failure(GateError(unmet)))
    return GateError.exit_code


def _clean(data: str, fixes: Path, out: Path | None, *, recipe: RecipeOptions, output: OutputOptions) -> int:
    if out is None:
        raise UserError(
            "--apply must have --out FILE.csv: the label file to write, got nothing.",
            hint=f"For instance --out {shlex.quote(str(Path(data) / 'cleaned.csv'))}.",
        )
    from teliti.workflow.check import clean

    record = clean(data, fixes=fixes, out=out, recipe=recipe.load())
    if output.json:
        print_json(record)
        return 0
    from teliti.cli.result import print_next
    from teliti.cli.wording import format_count, format_photos

    console = stdout_console()
    changes = f"{format_count(record['excluded'])} excluded, {format_count(record['relabelled'])} relabelled"
    print_line(console, f"{format_photos(record['photos'])} left ({changes}); the photos themselves are as they were.")
    print_line(console, f"Labels  {record['cleaned']}")
    print_next(console, {f"teliti train {shlex.quote(record['cleaned'])}": "train on what is left"})
    return 0


def _unmet(record: Record, severity: str) -> str | None:
    severities = ("error",) if severity == "error" else ("error", "warning")
    rows = [row for row in record["summary"] if row["severity"] in severities]
    if not rows:
        return None
    counts = ", ".join(f"{row['title'].lower()} ({row['count']:,})" for row in rows)
    return f"There are findings that fail the gate {severity}: {counts}."


def _print_check(console: Console, record: Record, data: str) -> None:
    from teliti.cli.result import print_next
    from teliti.cli.wording import format_count, format_photos

    classes = ", ".join(f"{name} {format_count(count)}" for name, count in record["classes"].items())
    refused = f", {format_count(record['refused'])} files not used" if record["refused"] else ""
    print_line(console, f"{format_photos(record['photos'])}{refused}{f': {classes}' if classes else ''}", style="bold")
    for row in record["summary"]:
        mark, style = _MARKS[row["severity"]]
        own = [one for one in record["findings"] if (one["kind"], one["severity"]) == (row["kind"], row["severity"])]
        print_sentences(
            console, [f"{row['title']} ({format_count(row['count'])}). {row['advice']}"], mark=mark, style=style
        )
        print_sentences(console, [f"  {_sentence(one)}" for one in own[:_MOST_SHOWN]], mark=" ")
        if len(own) > _MOST_SHOWN:
            print_sentences(console, [f"  and {format_count(len(own) - _MOST_SHOWN)} more"], mark=" ")
    if not record["summary"]:
        print_line(console, "Nothing was found.", style="bold green")
    if record.get("report"):
        print_line(console, f"Page    {record['report']}")
        print_line(console, f"Table   {record['table']}")
    elif record["summary"]:
        print_next(console, {f"teliti check {shlex.quote(data)} --out checked": "the same with pictures, and a table"})


def _sentence(finding: Record) -> str:
    return f"{finding['paths'][0]}: {finding['message']}" if finding["paths"] else str(finding["message"])
