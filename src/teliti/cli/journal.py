"""`teliti journal`: is it whole, where a verdict came from, what people corrected, and the whole of it as a table."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from teliti.cli.failures import describe_failure, print_failure
from teliti.cli.output import DEFAULT_OUTPUT, OutputOptions, print_json, print_line, stderr_console, stdout_console
from teliti.errors import GateError, UserError

if TYPE_CHECKING:
    from teliti.journal.store import Journal
    from teliti.types import Record

_STDOUT = "-"
_LABELS = "corrections.csv"

app = App(
    name="journal",
    help_format="plaintext",
    help_epilogue="",
    usage="Usage: teliti journal verify|head|trace|correct|feedback|export ...",
)
Place = Annotated[str | None, Parameter(name="--journal", metavar="PLACE")]


@app.command
def verify(*, journal: Place = None, expect: str | None = None, output: OutputOptions = DEFAULT_OUTPUT) -> int:
    """Check that no record was changed, removed or reordered; leave with 3 and name the first one that was.

    Args:
        journal: A path or URL. [default: TELITI_JOURNAL]
        expect: What `teliti journal head` printed earlier; without it a journal that was computed anew looks whole.
        output: How to speak.
    """
    from teliti.journal.entry import parse_head
    from teliti.workflow.journal import open_journal

    head = None if expect is None else parse_head(expect)
    if expect is not None and head is None:
        raise UserError(
            f"--expect must look like POSITION:HASH, got {expect!r}.", hint="`teliti journal head` prints it."
        )
    with open_journal(journal) as opened, output.reporter().task("Checking records", opened.head().position) as advance:
        record = opened.verify(expect=head, advance=advance)
    if output.json:
        print_json(record)
    elif record["whole"]:
        print_line(stdout_console(), f"The journal is whole: {record['records']:,} records.", style="green")
        print_line(stdout_console(), f"head {record['head']}")
    if record["whole"]:
        return 0
    print_failure(describe_failure(GateError(
        record["problem"]["message"], hint="Every record before it is as it was written; from it on nothing is proven."
    )))  # fmt: skip
    return GateError.exit_code


@app.command
def head(*, journal: Place = None, output: OutputOptions = DEFAULT_OUTPUT) -> int:
    """Print the end of the chain, to be kept elsewhere for `verify --expect`.

    Args:
        journal: A path or URL. [default: TELITI_JOURNAL]
        output: How to speak.
    """
    from teliti.workflow.journal import open_journal

    with open_journal(journal) as opened:
        end = opened.head()
    if output.json:
        print_json({"schema": 1, "position": end.position, "hash": end.hash})
    else:
        print_line(stdout_console(), str(end))
    return 0


@app.command
def trace(serial: str, /, *, journal: Place = None, output: OutputOptions = DEFAULT_OUTPUT) -> int:
    """Tell where the verdicts of a part came from: photo, model, training run, data, recipe, code version.

    Args:
        serial: The part's serial number.
        journal: A path or URL. [default: TELITI_JOURNAL]
        output: How to speak.
    """
    from teliti.workflow.journal import open_journal
    from teliti.workflow.journal import trace as trace_serial

    with open_journal(journal) as opened:
        record = trace_serial(opened, serial)
    if output.json:
        print_json(record)
    else:
        from teliti.cli.traced import print_trace

        print_trace(stdout_console(), record)
    return 0


@app.command
def correct(
    serial: str,
    /,
    *,
    label: str,
    by: str,
    photo: str | None = None,
    why: str | None = None,
    new_class: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    journal: Place = None,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Add what a person says of a part; the verdict itself stays as it was.

    Args:
        serial: The part's serial number.
        label: The class that it really has.
        by: Who says so.
        photo: Which photo, where the part has several.
        why: A sentence to keep with it.
        new_class: Allow a class that the model does not know.
        journal: A path or URL. [default: TELITI_JOURNAL]
        output: How to speak.
    """
    from teliti.workflow.journal import correct as add_correction
    from teliti.workflow.journal import open_journal

    with open_journal(journal) as opened:
        record = add_correction(opened, serial, label=label, by=by, photo=photo, why=why, new_class=new_class)
    if output.json:
        print_json({"schema": 1, "record": record})
    else:
        said = f'Record {record["position"]}: "{serial}" is {label}, says {by}.'
        print_line(stdout_console(), said)
    return 0


@app.command
def feedback(*, into: Path | None = None, journal: Place = None, output: OutputOptions = DEFAULT_OUTPUT) -> int:
    """Print the corrected photos as a label file for `teliti train`: path,label, relative to the current folder.

    Args:
        into: Copy the photos below this folder and write corrections.csv there instead of to stdout.
        journal: A path or URL. [default: TELITI_JOURNAL]
        output: How to speak.
    """
    from teliti.files import write_text_atomic
    from teliti.workflow.journal import feedback as collect
    from teliti.workflow.journal import open_journal

    root = Path.cwd() if into is None else into
    with open_journal(journal) as opened:
        record = collect(opened, root=root, into=None if into is None else into / "photos")
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(["path", "label"])
    writer.writerows([row["path"], row["label"]] for row in record["rows"])
    if into is not None:
        write_text_atomic(into / _LABELS, page.getvalue())
        record["file"] = str(into / _LABELS)
    if output.json:
        print_json(record)
    elif into is None:
        sys.stdout.write(page.getvalue())
    if not output.quiet:
        _tell_left_out(record)
    return 0


@app.command
def export(
    *,
    to: Literal["csv", "parquet"],
    out: Annotated[str, Parameter(metavar="FILE", allow_leading_hyphen=True)] = _STDOUT,
    journal: Place = None,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Write the whole journal as a table.

    Args:
        to: The format; text in CSV that a spreadsheet would run gets a leading apostrophe.
        out: The file; "-" is stdout, for CSV.
        journal: A path or URL. [default: TELITI_JOURNAL]
        output: How to speak.
    """
    from teliti.workflow.journal import open_journal

    if out == _STDOUT and (to == "parquet" or output.json):
        raise UserError(
            "--out must name a file for Parquet, and beside --json.", hint=f"For instance --out journal.{to}"
        )
    with open_journal(journal) as opened:
        if out == _STDOUT:
            from teliti.workflow.journal_export import csv_lines

            sys.stdout.writelines(csv_lines(opened))
            return 0
        count = _export_file(opened, to=to, path=Path(out))
    if output.json:
        print_json({"schema": 1, "file": out, "records": count})
    elif not output.quiet:
        print_line(stderr_console(), f"{count:,} records in {out}.")
    return 0


def _export_file(opened: Journal, *, to: str, path: Path) -> int:
    from teliti.files import write_text_atomic
    from teliti.workflow.journal_export import csv_lines, write_parquet

    if to == "parquet":
        return write_parquet(opened, path)
    lines = list(csv_lines(opened))
    write_text_atomic(path, "".join(lines))
    return len(lines) - 1


def _tell_left_out(record: Record) -> None:
    from teliti.cli.output import print_sentences

    missing = [f"{one['photo']}: left out, {one['reason']}" for one in record["left_out"]]
    print_sentences(stderr_console(), missing, mark="!", style="bold yellow")
    where = f" in {record['file']}" if "file" in record else ""
    print_line(stderr_console(), f"{len(record['rows'])} corrected photos{where}.")
