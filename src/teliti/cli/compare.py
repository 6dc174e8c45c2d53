"""`teliti compare`: which photos change their verdict from one bundle to another, and whether that is worse."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

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
from teliti.errors import GateError, UserError

if TYPE_CHECKING:
    from teliti.types import Record

_MOST_SHOWN = 5
_NEWLY_MISSED = "newly_missed"


def compare(
    old: Path,
    new: Path,
    data: str,
    /,
    *,
    out: Path | None = None,
    labels: bool = True,
    cost: Annotated[str | None, Parameter(metavar="miss=50,false_alarm=1")] = None,
    defect_rate: float | None = None,
    per_day: int | None = None,
    tolerance: Annotated[str | None, Parameter(metavar="0.1|x=1,y=2")] = None,
    fail_on: Annotated[
        list[Literal["worse", "missed", "flips"]] | None, Parameter(negative="", show_default=False)
    ] = None,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """List the photos whose verdict changes from OLD to NEW.

    Args:
        old: The bundle in use.
        new: The bundle that shall take its place.
        data: Photos, with labels or without; of a given split its test part.
        out: A folder for the page with pictures and the table; nothing is written without it.
        labels: Use the labels of the photos.
        cost: What a miss, a false alarm and a review cost. [default: those of the bundles' own recipe]
        defect_rate: With --cost: share of defects on the line.
        per_day: With --cost: parts a day.
        tolerance: Of numbers: how far they may move, in their own unit. [default: OLD's mean absolute error]
        fail_on: Leave with exit code 3 when NEW is shown to be worse, when a defect is newly missed, or when any
            verdict changes or number moves; repeatable.
        output: How to speak.
    """
    decide = _decide_of(cost, defect_rate, per_day)
    from teliti.cli.tolerance import read_tolerance
    from teliti.workflow.flips import compare as compare_bundles

    record = compare_bundles(
        old, new, data, labels=labels, decide=decide, tolerance=read_tolerance(tolerance), out=out,
        reporter=output.reporter(),
    )  # fmt: skip
    unmet = [reason for gate in dict.fromkeys(fail_on or ()) if (reason := _unmet(record, gate))]
    if fail_on:
        record = record | {"gate": {"met": not unmet, "reasons": unmet}}
    if output.json:
        print_json(record)
    else:
        _print_flips(record, [str(old), str(new), data])
    for reason in unmet:
        print_failure(describe_failure(GateError(reason)))
    return GateError.exit_code if unmet else 0


def _decide_of(cost: str | None, defect_rate: float | None, per_day: int | None) -> dict[str, Any] | None:
    """The recipe's [decide] of the options."""
    given = {"defect_rate": defect_rate, "per_day": per_day}
    others = {key: value for key, value in given.items() if value is not None}
    if cost is None:
        if others:
            raise UserError(
                f"--{next(iter(others)).replace('_', '-')} must stand beside --cost, got it alone.",
                hint='For instance --cost "miss=50,false_alarm=1" --defect-rate 0.01.',
            )
        return None
    from teliti.recipe import read_value

    return {"cost": read_value("{" + cost.strip().strip("{}") + "}", subject="--cost"), **others}


def _unmet(record: Record, gate: str) -> str | None:
    """Why a gate is not met, or None."""
    if gate == "flips":
        changed, what = record["changed"] + record.get("relabelled", 0), "change their verdict"
        what = "move by more than the tolerance" if record.get("tolerance") else what
        what = f"{what} or labels" if record.get("labels") else what
        return f"{changed:,} photos {what}: the gate flips is not met." if changed else None
    if not record["labelled"]:
        raise UserError(
            f"--fail-on {gate} must have labels to judge by, and these photos have none.",
            hint="Name labelled photos, or use --fail-on flips.",
        )
    if gate == "worse":
        worse = record["worse"]
        return f"{' '.join(worse['reasons'])} The gate worse is not met." if worse["shown"] else None
    if not record["has_verdicts"]:
        raise UserError(
            "--fail-on missed needs bundles that say which classes pass, and these only name the class.",
            hint="Train them with data.positive or data.pass, or use --fail-on worse.",
        )
    missed = [one["path"] for one in record["flips"] if one["kind"] == _NEWLY_MISSED and one["tested"]]
    return f"{len(missed):,} newly missed, the first is {missed[0]}: the gate missed is not met." if missed else None


def _print_flips(record: Record, words: list[str]) -> None:
    from teliti.cli.result import print_next
    from teliti.workflow.changes.kinds import KINDS

    console = stdout_console()
    first, *others = record["sentences"]
    print_line(console, first, style="bold")
    print_sentences(console, others, mark="-")
    kinds: dict[str | None, list[Record]] = {}
    for one in record["flips"]:
        kinds.setdefault(one["kind"], []).append(one)
    for kind, own in kinds.items():
        title = KINDS[kind][0] if kind is not None else "Changed"
        print_line(console, f"{title} ({len(own):,})")
        print_sentences(console, [_sentence(one) for one in own[:_MOST_SHOWN]], mark=" ")
        if len(own) > _MOST_SHOWN:
            print_sentences(console, [f"and {len(own) - _MOST_SHOWN:,} more"], mark=" ")
    if record.get("report"):
        print_line(console, f"Page    {record['report']}")
        print_line(console, f"Table   {record['table']}")
    elif record["flips"]:
        command = f"teliti compare {' '.join(map(shlex.quote, words))} --out compared"
        print_next(console, {command: "the same with pictures, and a table"})


def _sentence(flip: Record) -> str:
    return f"{flip['path']}: {_said(flip['old'])}, now {_said(flip['new'])}"


def _said(said: Record) -> str:
    return str(said["verdict"]) if said["score"] is None else f"{said['verdict']} {said['score']:.3f}"
