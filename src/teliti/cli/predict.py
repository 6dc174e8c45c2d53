"""`teliti predict`: inspect photos with a bundle."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from teliti.cli.failures import describe_failure, print_failure
from teliti.cli.machines import MachineOptions, refuse_workers_here
from teliti.cli.output import DEFAULT_OUTPUT, OutputOptions, print_json, print_line, stderr_console, stdout_console
from teliti.errors import GateError, UserError

if TYPE_CHECKING:
    from teliti.types import Record

_STDOUT = "-"


def predict(
    bundle: Path,
    paths: Annotated[list[str], Parameter(negative="")],
    /,
    *,
    csv: Annotated[str | None, Parameter(metavar="FILE", allow_leading_hyphen=True)] = None,
    fail_on: Literal["reject", "review"] | None = None,
    engine: Literal["auto", "onnxruntime", "openvino", "local", "ray"] = "auto",
    address: Annotated[str | None, Parameter(metavar="HOST:PORT")] = None,
    workers: int | None = None,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Give every photo its verdict.

    Args:
        bundle: The bundle's folder.
        paths: Photos, folders of photos (searched to the bottom), zips of them, or addresses such as s3://bucket/photos.
        csv: Write all rows to this file, or to stdout with "-"; text like a formula gets a leading apostrophe.
        fail_on: Leave with exit code 3 when a photo was rejected or refused; "review": also when one is to be seen.
        engine: What computes; auto takes the faster one here for 200 photos and more. Verdicts do not depend on it. ray
            spreads them over a Ray cluster, or over Ray on this machine, started and stopped by the command.
        address: With --engine ray: the cluster to join, or auto for the one that runs on this machine.
        workers: With --engine ray: photos are inspected by so many workers at a time. [default: one for each core]
        output: How to speak.
    """
    where = MachineOptions("ray" if engine == "ray" else "local", address)
    refuse_workers_here(workers, where)
    if output.json and csv == _STDOUT:
        raise UserError("--json and --csv - must not stand together: both write to stdout.", hint="Give --csv a file.")
    from teliti.workflow.predict import predict as predict_photos

    own = engine if engine in {"onnxruntime", "openvino"} else "auto"
    record = predict_photos(
        bundle, paths, engine=own, machines=where.chosen(), workers=workers, reporter=output.reporter()
    )
    unmet = _reason_to_fail(record, fail_on) if fail_on else None
    if output.json:
        print_json(record)
    if csv is not None:
        _write_csv(record, csv, output=output)
    elif not output.json:
        _print_table(record)
    if unmet:
        print_failure(describe_failure(GateError(unmet)))
    return GateError.exit_code if unmet else 0


def _print_table(record: Record) -> None:
    from teliti.cli.verdicts import print_verdicts

    print_verdicts(stdout_console(), record)


def _write_csv(record: Record, target: str, *, output: OutputOptions) -> None:
    from teliti.cli.escaping import visible
    from teliti.cli.verdicts import summarize_verdicts, write_verdicts
    from teliti.files import spreadsheet_cell, write_text_atomic

    if target != _STDOUT:
        write_text_atomic(Path(target), write_verdicts(record))
    elif sys.stdout.isatty():
        sys.stdout.write(write_verdicts(record, safe=lambda text: spreadsheet_cell(visible(text))))
    else:
        sys.stdout.write(write_verdicts(record))
    if not output.quiet:
        print_line(stderr_console(), summarize_verdicts(record))


def _reason_to_fail(record: Record, fail_on: str) -> str | None:
    """Why the gate is not met, or None."""
    from teliti.cli.verdicts import REJECT, REVIEW, VERDICTS

    verdicts = [result.get("verdict") for result in record["results"]]
    if any(verdict not in VERDICTS for verdict in verdicts):
        raise UserError(
            f"--fail-on {fail_on} needs a bundle that says which classes pass, and this one only names the class.",
            hint="Train it with data.positive, or with data.pass naming the classes that pass.",
        )
    rejects, refused = verdicts.count(REJECT), len(record["refused"])
    looks = verdicts.count(REVIEW) if fail_on == REVIEW else 0
    if not rejects + refused + looks:
        return None
    counted = f"{rejects} rejected, {looks} to review" if fail_on == REVIEW else f"{rejects} rejected"
    return f"{counted} and {refused} refused: the gate --fail-on {fail_on} is not met."
