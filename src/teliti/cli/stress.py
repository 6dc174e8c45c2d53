"""`teliti stress`: how far light, blur, place and cover may go before verdicts change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from teliti.cli.failures import describe_failure, print_failure
from teliti.cli.gates import Gate, parse_gate
from teliti.cli.output import (
    DEFAULT_OUTPUT,
    OutputOptions,
    print_json,
    print_line,
    print_sentences,
    stdout_console,
)
from teliti.errors import GateError, UserError

if TYPE_CHECKING:
    from rich.console import Console

    from teliti.types import Record

_MOST_PHOTOS = 200


def stress(
    bundle: Path,
    data: str | None = None,
    /,
    *,
    sweep: Annotated[list[str] | None, Parameter(negative="", metavar="NAME")] = None,
    tolerance: Annotated[str | None, Parameter(metavar="0.1|x=1,y=2")] = None,
    loss: float = 0.02,
    changed: float = 0.1,
    photos: int = _MOST_PHOTOS,
    out: Path | None = None,
    update: Annotated[bool, Parameter(negative="--no-update")] = True,
    fail_on: Annotated[list[str] | None, Parameter(negative="", metavar="SWEEP<LEVEL")] = None,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Make labelled photos worse step by step, and keep in the bundle how far its verdicts hold.

    Args:
        bundle: The bundle's folder.
        data: Labelled photos, as for `teliti train`; photos that the bundle has seen are left out. [default: its run's]
        sweep: Only this: darker, brighter, tint, blur, pixels, noise, jpeg, rotation, shift, smaller, larger or
            occlusion; repeatable.
        tolerance: Of a bundle that predicts numbers: how far they may move. [default: its mean absolute error]
        loss: Accuracy may fall and the miss rate rise by so much, as a share; of verdicts alone.
        changed: So large a share of the verdicts may change, or of the numbers move by more than the tolerance.
        photos: At most so many photos, spread evenly.
        out: A folder for the page, the camera set-up card and the record.
        update: Put the limits into the bundle, whose predictions warn of photos outside.
        fail_on: Leave with exit code 3 when this holds of a sweep's limit, for instance "blur<1"; repeatable.
        output: How to speak.
    """
    gates = [_limit_gate(text) for text in fail_on or ()]
    from teliti.cli.tolerance import read_tolerance
    from teliti.metrics.stress import Bounds
    from teliti.workflow.stress import stress as stress_bundle

    record = stress_bundle(
        bundle, data, sweeps=sweep or (), bounds=Bounds(_share("loss", loss), _share("changed", changed)),
        tolerance=read_tolerance(tolerance), most=photos, out=out, update=update, reporter=output.reporter(),
    )  # fmt: skip
    unmet = [reason for gate in gates if (reason := gate.verdict(record["limits"])) is not None]
    if gates:
        record = record | {"gate": {"met": not unmet, "reasons": unmet}}
    if output.json:
        print_json(record)
    else:
        _print_stress(stdout_console(), record)
    for reason in unmet:
        print_failure(describe_failure(GateError(reason)))
    return GateError.exit_code if unmet else 0


def _limit_gate(text: str) -> Gate:
    gate = parse_gate(text)
    if not isinstance(gate, Gate):
        raise UserError(
            f"--fail-on must be about the limit of a sweep, got {text!r}.", hint='For instance --fail-on "blur<1".'
        )
    return gate


def _share(key: str, value: float) -> float:
    if not 0.0 <= value <= 1.0:
        raise UserError(f"--{key} must be a share in [0, 1], got {value:g}.", hint="Two points are 0.02.")
    return value


def _print_stress(console: Console, record: Record) -> None:
    from teliti.report.stress_words import bounds_sentence, clean_sentence, kept_sentence

    print_line(console, clean_sentence(record), style="bold")
    print_sentences(console, record["warnings"], mark="!", style="bold yellow")
    print_sentences(console, [row["sentence"] for row in record["card"]], mark="-")
    print_sentences(console, [bounds_sentence(record), kept_sentence(record)], mark=" ")
    if record.get("report"):
        print_line(console, f"Page    {record['report']}")
        print_line(console, f"Card    {record['card_page']}")
