"""`teliti weights`: bring weights of other programs into the format that a recipe can name."""

from __future__ import annotations

import shlex
from pathlib import Path

from cyclopts import App

from teliti.cli.output import DEFAULT_OUTPUT, OutputOptions, print_json, print_line, stdout_console
from teliti.cli.wording import format_count

app = App(name="weights", help_format="plaintext", help_epilogue="", usage="Usage: teliti weights convert IN OUT")


@app.command(usage="Usage: teliti weights convert IN OUT [OPTIONS]")
def convert(checkpoint: Path, out: Path, /, *, output: OutputOptions = DEFAULT_OUTPUT) -> int:
    """Turn a checkpoint of torch (.pth, .pt, .bin) into a .safetensors file, which model.weights can name.

    Only tensors are read: a file that wants to run code is refused, not run.

    Args:
        checkpoint: A state dict, or a dict that has one.
        out: A new file whose name ends with .safetensors.
        output: How to speak.
    """
    from teliti.workflow.weights import convert_weights

    record = convert_weights(checkpoint, out)
    if output.json:
        print_json(record)
        return 0
    console = stdout_console()
    print_line(console, f"{format_count(record['tensors'])} tensors are written to {record['file']}")
    print_line(console, f"Use it with --set {shlex.quote('model.weights=' + record['file'])}")
    return 0
