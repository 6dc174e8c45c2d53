"""`teliti agree`: how far inspectors agree with one another, with themselves and with the net."""

from __future__ import annotations

from pathlib import Path

from teliti.cli.output import DEFAULT_OUTPUT, OutputOptions, print_json, print_line, print_sentences, stdout_console

_MOST_SHOWN = 10


def agree(
    labels: Path,
    /,
    *,
    net: str | None = None,
    bundle: Path | None = None,
    photos: Path | None = None,
    out: Path | None = None,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Measure the agreement of several raters, and list the photos that should be labelled again.

    Args:
        labels: A CSV file: path,rater,label, or path and a column for each rater; a group column names the part shown.
        net: The rater that is a net: it is compared with the people. With --bundle: what to call it. [default: net]
        bundle: A bundle's folder: it judges the photos that the file names, and is compared with the people.
        photos: The folder that the file's paths start from, for --bundle. [default: that of the file]
        out: A folder for agree.json and relabel.csv; nothing is written without it.
        output: How to speak.
    """
    from teliti.workflow.agree import agree as measure_agreement

    record = measure_agreement(labels, net=net, bundle=bundle, photos=photos, out=out, reporter=output.reporter())
    if output.json:
        print_json(record)
        return 0
    console = stdout_console()
    print_sentences(console, record["sentences"], mark="-")
    for row in record["queue"][:_MOST_SHOWN]:
        said = ", ".join(f"{rater}: {label}" for rater, label in row["labels"].items())
        print_line(console, f"    {row['path']}  {said}")
    rest = len(record["queue"]) - _MOST_SHOWN
    if rest > 0:
        print_line(console, f"    and {rest:,} more")
    if record.get("table"):
        print_line(console, f"Queue   {record['table']}")
    return 0
