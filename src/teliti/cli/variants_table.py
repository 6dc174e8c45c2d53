"""What a comparison of variants found: a table for people, CSV for spreadsheets; shared by the verbs that compare."""

from __future__ import annotations

import csv as csv_format
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from teliti.cli.escaping import visible
from teliti.cli.output import OutputOptions, print_json, print_sentences, stdout_console
from teliti.cli.recipe_options import RecipeOptions
from teliti.cli.wording import format_count, format_interval, format_number, format_photos, is_in_units
from teliti.errors import UserError
from teliti.files import spreadsheet_cell, write_text_atomic

if TYPE_CHECKING:
    from rich.console import Console

    from teliti.types import Record

STDOUT = "-"
_TITLES = {
    "accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "recall": "recall", "roc_auc": "ROC AUC",
    "mae": "mean absolute error", "rmse": "root mean square error", "r2": "R2",
}  # fmt: skip
_STYLES = {"helps": "green", "harms": "red"}


def compare_preparations(
    data: str,
    words: str,
    *,
    repeats: int,
    measure: str | None,
    csv: str | None,
    recipe: RecipeOptions,
    output: OutputOptions,
) -> int:
    """`teliti prepare DATA --compare WORDS`."""
    refuse_two_documents(csv, output)
    chosen = recipe.load()
    from teliti.recipe import parse_seconds
    from teliti.workflow.compare_variants import compare_variants
    from teliti.workflow.searches.variants import parse_variants

    budget = chosen.train.budget
    record = compare_variants(
        parse_variants(words, chosen),
        data,
        repeats=repeats,
        measure=measure,
        factor="prepare",
        budget_s=None if budget is None else parse_seconds(budget),
        reporter=output.reporter(),
    )
    show_comparison(record, csv=csv, output=output)
    return 0


def refuse_two_documents(csv: str | None, output: OutputOptions) -> None:
    """Stop before any work where JSON and CSV would both go to stdout."""
    if output.json and csv == STDOUT:
        raise UserError("--json and --csv - must not stand together: both write to stdout.", hint="Give --csv a file.")


def show_comparison(record: Record, *, csv: str | None, output: OutputOptions) -> None:
    """The record of `compare_variants` as JSON, as CSV, or as a table with its sentences."""
    show_found(record, csv=csv, output=output, as_csv=write_comparison, as_table=print_comparison)


def show_found(
    record: Record,
    *,
    csv: str | None,
    output: OutputOptions,
    as_csv: Callable[[Record], str],
    as_table: Callable[[Console, Record], None],
) -> None:
    """A record of rows as the options ask: CSV alone on stdout, else CSV to its file, and JSON or a table.

    Args:
        record: What was found.
        csv: A file, "-" for stdout, or None.
        output: How to speak.
        as_csv: The rows as a page.
        as_table: Prints it for people.
    """
    if csv == STDOUT:
        sys.stdout.write(as_csv(record))
        return
    if csv is not None:
        write_text_atomic(Path(csv), as_csv(record))
    if output.json:
        print_json(record)
    else:
        as_table(stdout_console(), record)


def csv_page(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV (RFC 4180), texts so that no spreadsheet takes them for a formula."""
    page = io.StringIO()
    writer = csv_format.writer(page, lineterminator="\r\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([spreadsheet_cell(cell) if isinstance(cell, str) else cell for cell in row])
    return page.getvalue()


def print_comparison(console: Console, record: Record) -> None:
    """Rows side by side with their intervals, then what they show."""
    console.print()
    console.print(Text(_headline(record), style="bold"))
    console.print(_table(record))
    print_sentences(console, _facts(record), mark="-")
    *others, conclusion = record["sentences"]
    print_sentences(console, others, mark="-")
    console.print(Text(visible(conclusion), style="bold"))


def write_comparison(record: Record) -> str:
    """One row a variant: each measure with the ends of its interval, the difference, the verdict."""
    measures = list(record["rows"][0]["measures"])
    (factor,) = record["rows"][0]["factors"]
    header = [factor]
    for name in measures:
        header += [name, f"{name}_low", f"{name}_high"]
    header += ["judged", "difference", "difference_low", "difference_high", "p_adjusted", "verdict"]
    return csv_page([*header, "repeats", "seconds"], (_cells(row, factor, record["measure"]) for row in record["rows"]))


def _cells(row: Record, factor: str, measure: str) -> list[Any]:
    cells: list[Any] = [row["factors"][factor]]
    for found in row["measures"].values():
        cells += [found["mean"], *(found["interval"] or (None, None))]
    difference = row["difference"] or {}
    cells += [measure, difference.get("mean"), *(difference.get("interval") or (None, None))]
    return [*cells, difference.get("p_adjusted"), difference.get("verdict"), row["repeats"], row["seconds"]]


def _headline(record: Record) -> str:
    design = record["design"]
    return f"Measured on {format_photos(record['photos'])}, {design['repeats']} repeats of each variant"


def _table(record: Record) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="", caption="below each mean: 95 % interval")
    (factor,) = record["rows"][0]["factors"]
    shown = [name for name in record["rows"][0]["measures"] if name in _TITLES]
    if record["measure"] not in shown:
        shown.append(record["measure"])
    table.add_column(factor, overflow="fold")
    for name in shown:
        table.add_column(_TITLES.get(name, name.replace("_", " ")), overflow="fold")
    table.add_column(f"{record['measure'].replace('_', ' ')} against {visible(record['reference'])}", overflow="fold")
    for row in record["rows"]:
        cells = [_two_lines(row["measures"][name], in_units=is_in_units(name)) for name in shown]
        difference = _difference(row["difference"], in_units=is_in_units(record["measure"]))
        table.add_row(visible(row["factors"][factor]), *cells, difference)
    return table


def _two_lines(found: Record, *, in_units: bool) -> Text:
    mean = format_number(found["mean"], in_units=in_units)
    return Text.assemble((mean, "bold"), ("\n" + format_interval(found["interval"], in_units=in_units), "dim"))


def _difference(found: Record | None, *, in_units: bool) -> Text:
    if found is None:
        return Text("")
    if found["mean"] is None:
        return Text("-")
    mean, *ends = (_signed(value, in_units=in_units) for value in (found["mean"], *(found["interval"] or ())))
    interval = f"\n{' to '.join(ends)}" if ends else ""
    verdict = f"\n{found['verdict']}"
    return Text.assemble((mean, "bold"), (interval, "dim"), (verdict, _STYLES.get(found["verdict"], "")))


def _signed(value: float, *, in_units: bool) -> str:
    return ("" if value < 0.0 else "+") + format_number(value + 0.0, in_units=in_units)  # no minus before a zero


def _facts(record: Record) -> Iterator[str]:
    yield record["design"]["sentence"]
    if record["positive"]:
        yield f'Recall is that of "{record["positive"]}"; --set data.positive=NAME changes that.'
    if record["refused"]:
        yield f"Refused: {format_count(record['refused'])} files."
