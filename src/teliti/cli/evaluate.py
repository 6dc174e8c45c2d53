"""`teliti evaluate`: repeat the measures on new labelled photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from teliti.cli.failures import describe_failure, print_failure
from teliti.cli.gates import parse_gate, reasons_unmet
from teliti.cli.output import DEFAULT_OUTPUT, OutputOptions, print_json, stdout_console
from teliti.errors import GateError


def evaluate(
    bundle: Path,
    data: str,
    /,
    *,
    out: Path | None = None,
    evidence: Annotated[str | None, Parameter(metavar="METHOD|PATTERN")] = None,
    fail_on: Annotated[list[str] | None, Parameter(negative="", metavar="MEASURE<VALUE")] = None,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Measure a bundle on labelled photos, with its own threshold.

    Args:
        bundle: The bundle's folder.
        data: Labelled photos, as for `teliti train`.
        out: Where to write the record and the report; nothing is written without it.
        evidence: Measure on part and background alone, too: find parts by otsu, kmeans, watershed or grabcut, or by the
            mask or .xml boxes beside each photo, for instance "{stem}_mask.png".
        fail_on: Leave with exit code 3 when this holds, for instance "recall<0.95", or "unproven"; "cheating", with
            --evidence, where the background alone beats chance; repeatable.
        output: How to speak.
    """
    gates = [parse_gate(text) for text in fail_on or ()]
    from teliti.workflow.evaluate import evaluate as evaluate_bundle

    record = evaluate_bundle(bundle, data, out=out, evidence=evidence, reporter=output.reporter())
    unmet = reasons_unmet(gates, record)
    if gates:
        record = record | {"gate": {"met": not unmet, "reasons": unmet}}
    if output.json:
        print_json(record)
    else:
        from teliti.cli.result import print_places, print_result

        console = stdout_console()
        print_result(console, record)
        print_places(console, record)
    for reason in unmet:
        print_failure(describe_failure(GateError(reason)))
    return GateError.exit_code if unmet else 0
