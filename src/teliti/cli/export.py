"""`teliti export`: a bundle as the file of another runtime, with its parity certificate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from teliti.cli.output import DEFAULT_OUTPUT, OutputOptions, print_json, stdout_console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from teliti.types import Record


def export(
    bundle: Path,
    /,
    *,
    to: Literal["onnx", "openvino", "torch"],
    int8: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    data: str | None = None,
    calibrate: str | None = None,
    out: Path | None = None,
    min_defect_recall: float | None = None,
    force: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Write a bundle as the file of another runtime, and prove on unseen photos that it is the same inspector.

    Args:
        bundle: The bundle's folder.
        to: The runtime: onnx, openvino or torch.
        int8: Quantise to eight bits; refused when it costs too much accuracy.
        data: Labelled photos that the bundle has not seen. [default: the sealed test part of its own run]
        calibrate: With --int8: photos, labelled or not, for ranges. [default: the training photos of its own run]
        out: Folder for the file and its certificate. [default: beside the bundle]
        min_defect_recall: With --int8: the share of defects that must be caught.
        force: With --int8: keep the file although the accuracy speaks against it.
        output: How to speak.
    """
    from teliti.workflow.export import ExportOptions
    from teliti.workflow.export import export as export_bundle

    options = ExportOptions(to, int8=int8, force=force, min_defect_recall=min_defect_recall)
    record = export_bundle(bundle, options, data=data, calibrate=calibrate, out=out, reporter=output.reporter())
    if output.json:
        print_json(record)
    else:
        _print(stdout_console(), record)
    return 0


def _print(console: Console, record: Record) -> None:
    from rich.table import Table

    table = Table("compared", "photos", "changed verdicts", "scores differ by", box=None, pad_edge=False)
    for one in record["comparisons"]:
        between = " / ".join(one["between"])
        table.add_row(between, str(one["photos"]), str(one["changed_verdicts"]), f"{one['max_abs_difference']:.2g}")
    console.print(table)
    if record["seen"]:
        console.print(f"{record['seen']} of {record['photos']} photos the bundle has seen: its measures flatter.")
    console.print(_tell_training(record["training_path"]), highlight=False)
    if record["int8"] is not None:
        console.print(_tell_choice(record["int8"]), highlight=False)
    for name, measures in record["measures"].items():
        console.print(f"{name}: {', '.join(_numbers(measures))}", highlight=False)
    for objection in record["objections"]:
        console.print(f"Forced: {objection}")
    console.print(record["speed"]["sentence"], highlight=False)
    console.print(f"Exported to {record['path']}", highlight=False)
    console.print(f"Certificate {record['certificate']}", highlight=False)


def _tell_training(training: Record) -> str:
    """What torch says of the same photos, or what it said."""
    if not training["compared"]:
        return f"Not compared with torch: {training['why']}."
    changed = f"{training['changed_verdicts']} of {training['photos']} verdicts changed."
    if training["by"] is None:
        return f"Torch was compared {training['when']}: {changed} Not now: {training['why']}."
    stead = "" if training["why"] is None else f" The trained network was not compared. {training['why']}"
    return f"Compared with {training['by']}: {changed}{stead}"


def _numbers(measures: Record) -> Iterator[str]:
    for key, value in measures.items():
        if isinstance(value, float):
            yield f"{key} {value:.4g}"
        elif key == "mae":
            yield from (f"mae of {name} {error:.4g}" for name, error in value.items())


def _tell_choice(chosen: Record) -> str:
    """How the eight-bit network was chosen."""
    ways = {"largest": "the largest value", "histogram": "the least squared error", "usual": "the mean of the largest"}

    def name(one: Record) -> str:
        floating = f" with {one['floating']:.0%} of the convolutions in floating point" if one["floating"] else ""
        return ways[one["ranges"]] + floating

    tried = ", ".join(f"{name(one)} {one['changed']:.1%}" for one in chosen["tried"])
    both = chosen["also_judged"]
    flatters = f" {both} of these photos are judged here, too: measures flatter." if both else ""
    return (
        f"Ranges of eight bits by {name(chosen)} on {chosen['calibration_photos']} calibration photos. "
        f"Verdicts changed on {chosen['photos']} {chosen['chosen_on']}: {tried}.{flatters}"
    )
