"""What `teliti augment --search` and `--compare` found: a table for people, CSV for spreadsheets."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from teliti.cli.escaping import visible
from teliti.cli.output import OutputOptions, print_line, print_sentences, stdout_console
from teliti.cli.recipe_options import RecipeOptions
from teliti.cli.variants_table import STDOUT, csv_page, refuse_two_documents, show_comparison, show_found
from teliti.cli.wording import format_count, format_number, format_photos, format_seconds

if TYPE_CHECKING:
    from rich.console import Console

    from teliti.types import Record

_MOST_OTHERS = 8
_COLUMNS = (
    "stage", "gain", "low", "high", "accuracy_gain", "p_adjusted", "status", "repeats", "photos", "affinity",
    "diversity",
)  # fmt: skip


def search_for_policy(
    data: str,
    target: Path,
    *,
    views: int,
    seed: int | None,
    csv: str | None,
    recipe: RecipeOptions,
    output: OutputOptions,
) -> int:
    """`teliti augment DATA --search`."""
    refuse_two_documents(csv, output)
    from teliti.recipe import override_recipe
    from teliti.workflow.policy_search import search_policy

    chosen = recipe.load() if seed is None else override_recipe(recipe.load(), {"seed": seed})
    record = search_policy(data, recipe=chosen, out=target, views=views, reporter=output.reporter())
    show_found(record, csv=csv, output=output, as_csv=write_findings, as_table=print_findings)
    return 0


def compare_with_policy(
    data: str,
    policy: Path,
    *,
    repeats: int,
    measure: str | None,
    csv: str | None,
    recipe: RecipeOptions,
    output: OutputOptions,
) -> int:
    """`teliti augment DATA --policy FILE --compare`."""
    refuse_two_documents(csv, output)
    from teliti.workflow.policy_compare import compare_policy

    record = compare_policy(
        data, policy, recipe=recipe.load(), repeats=repeats, measure=measure, reporter=output.reporter()
    )
    show_comparison(record, csv=csv, output=output)
    if not output.json and csv != STDOUT:
        print_line(stdout_console(), _closeness(record))
    return 0


def print_findings(console: Console, record: Record) -> None:
    """What was confirmed, then what left the search earlier, then what it means."""
    console.print()
    console.print(Text(_headline(record), style="bold"))
    console.print(_table(record))
    print_sentences(console, _facts(record), mark="-")
    print_sentences(console, record["sentences"], mark="-")
    if record["out"]:
        print_line(console, f"Policy  {record['out']}")
    if record["policy"]["augment"]:
        from teliti.cli.result import print_next

        file = shlex.quote(record["out"] or "policy.toml")
        print_next(
            console,
            {
                f"teliti augment DATA --policy {file} --preview": "look at what it does",
                f"teliti augment DATA --policy {file} --compare": "measure it on these or on other photos",
            },
        )


def write_findings(record: Record) -> str:
    """One row for each entry that was tried."""
    ends = ("low", "high")

    def cells(row: Record) -> list[Any]:
        values = row | dict(zip(ends, row["interval"] or (None, None), strict=True))
        return [row["factors"]["augment"], *(values[column] for column in _COLUMNS)]

    return csv_page(["augment", *_COLUMNS], map(cells, record["rows"]))


def _headline(record: Record) -> str:
    tried = sum(row["gain"] is not None for row in record["rows"])
    return (
        f"{format_count(tried)} augmentations tried on {format_photos(record['photos'])} in "
        f"{format_seconds(record['seconds']['total'])}"
    )


def _table(record: Record) -> Table:
    """What was confirmed, and the best of the rest."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="")
    table.add_column("augmentation", overflow="fold")
    table.add_column("gain", justify="right", no_wrap=True)
    table.add_column("95 % interval", no_wrap=True)
    for title in ("accuracy", "affinity", "diversity"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    tried = [row for row in record["rows"] if row["gain"] is not None]
    confirmed = [row for row in tried if row["stage"] == "confirmed"]
    others = [row for row in tried if row["stage"] != "confirmed"]
    for row in (*confirmed, *([record["whole"]] if record["whole"] else []), *others[:_MOST_OTHERS]):
        low, high = row["interval"] or (None, None)
        table.add_row(
            Text(visible(row["factors"]["augment"]), style="bold" if row["stage"] == "confirmed" else ""),
            f"{row['gain']:+.4f}",
            "" if low is None else f"{low:+.4f} to {high:+.4f}",
            "-" if row["accuracy_gain"] is None else f"{row['accuracy_gain']:+.3f}",
            format_number(row["affinity"]),
            format_number(row["diversity"], digits=2),
            _verdict(row),
        )
    if len(others) > _MOST_OTHERS:
        table.caption = f"and {len(others) - _MOST_OTHERS} more that left the search: --csv and --json have them"
    return table


def _verdict(row: Record) -> Text:
    if row["stage"] != "confirmed":
        return Text(f"out in {row['stage']}", style="dim")
    is_shown = row["status"] == "shown"
    return Text("shown to help" if is_shown else "inside the noise", style="green" if is_shown else "")


def _facts(record: Record) -> Iterator[str]:
    design = record["design"]
    rounds = ", ".join(map(format_count, design["round_photos"]))
    views = "1 augmented view" if record["views"] == 1 else f"{record['views']} augmented views"
    yield (
        f"Chosen on {format_count(design['first_half'])} photos (rounds of {rounds}), measured on "
        f"{format_count(design['second_half'])} others. The gain is the {record['criterion']} saved; "
        f"head {record['head']['name']}, {views} of each photo."
    )
    for stage, words in (("no effect", "Leave these photos as they are"), ("not tried", "Not tried for want of time")):
        names = [row["factors"]["augment"] for row in record["rows"] if row["stage"] == stage]
        if names:
            yield f"{words}: {', '.join(names)}."


def _closeness(record: Record) -> str:
    return (
        f"Affinity {format_number(record['affinity'])} (1: the head sees no difference), diversity "
        f"{format_number(record['diversity'], digits=2)} (1: no harder to learn)."
    )
