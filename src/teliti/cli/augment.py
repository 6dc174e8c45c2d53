"""`teliti augment`: write augmented photos, look at them, search for what helps, measure whether it carries over."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from teliti.cli.output import (
    DEFAULT_OUTPUT,
    OutputOptions,
    print_json,
    print_line,
    print_refused,
    stdout_console,
)
from teliti.cli.recipe_options import DEFAULT_RECIPE, RecipeOptions
from teliti.errors import UserError

if TYPE_CHECKING:
    from teliti.types import Record

_MOST_REFUSED = 10
_VIEWS, _COUNT, _REPEATS = 5, 4, 5
_POLICY = Path("policy.toml")


def augment(
    data: str,
    out: Path | None = None,
    /,
    *,
    views: Annotated[int | None, Parameter(name=["--views", "-n"])] = None,
    seed: int | None = None,
    policy: Path | None = None,
    preview: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    count: int = _COUNT,
    search: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    policy_out: Annotated[Path | None, Parameter(name="--out", metavar="FILE")] = None,
    compare: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    repeats: int = _REPEATS,
    measure: str | None = None,
    csv: Annotated[str | None, Parameter(metavar="FILE", allow_leading_hyphen=True)] = None,
    recipe: RecipeOptions = DEFAULT_RECIPE,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Write augmented copies of every photo, or show some, or find out which augmentation helps these photos.

    Args:
        data: Photos, as for `teliti train`; without --search and --compare also a folder, zip or photo without labels.
        out: A new folder for the augmented photos, or the one of an interrupted start; with --preview the PNG file.
        views: How many of each photo. [default: 5, with --search 1]
        seed: Same seed, same pixels. [default: the recipe's]
        policy: A policy file, used instead of the recipe's [[augment]].
        preview: Write one sheet instead: a few photos and their augmented copies.
        count: With --preview: how many photos.
        search: Find operations and strengths that help these photos instead, within --budget (5m when not given).
        policy_out: With --search: where the policy is written. [default: policy.toml]
        compare: Train with and without --policy on the same splits instead, and say whether it is shown to help.
        repeats: With --compare: trainings of each.
        measure: With --compare: what is judged, for instance roc_auc. [default: accuracy]
        csv: With --search and --compare: write the rows to this file, or to stdout with "-".
        recipe: Which recipe.
        output: How to speak.
    """
    _refuse_misfits(locals())
    if search:
        from teliti.cli.searched import search_for_policy

        target = policy_out or _POLICY
        return search_for_policy(
            data, target, views=1 if views is None else views, seed=seed, csv=csv, recipe=recipe, output=output
        )
    if compare and policy is not None:
        from teliti.cli.searched import compare_with_policy

        return compare_with_policy(
            data, policy, repeats=repeats, measure=measure, csv=csv, recipe=recipe, output=output
        )
    if preview:
        record = _preview(data, out, policy=policy, seed=seed, views=views, count=count, recipe=recipe, output=output)
    else:
        record = _write(data, out, policy=policy, seed=seed, views=views, recipe=recipe, output=output)
    if output.json:
        print_json(record)
    return 0


def _refuse_misfits(given: Record) -> None:
    """Options that do not go together, before anything is read."""
    jobs = [f"--{name}" for name in ("preview", "search", "compare") if given[name]]
    if len(jobs) > 1:
        raise UserError(f"{' and '.join(jobs)} must not stand together.", hint="Choose one of them.")
    measures = given["search"] or given["compare"]
    if measures and given["out"] is not None:
        raise UserError(f"{jobs[0]} must stand without OUT: it writes no photos.", hint="Leave one of the two out.")
    if given["compare"] and given["policy"] is None:
        raise UserError("--compare needs --policy FILE.", hint="`teliti augment DATA --search` writes one.")
    if given["search"] and given["policy"] is not None:
        raise UserError("--search must stand without --policy: it makes one.", hint="Name its file with --out.")
    if given["measure"] is not None and not given["compare"]:
        raise UserError("--measure needs --compare.", hint="For instance --policy A.toml --compare.")
    if given["csv"] is not None and not measures:
        raise UserError("--csv needs --search or --compare.", hint="Parameters of copies stand in parameters.csv.")
    if given["policy_out"] is not None and not given["search"]:
        raise UserError("--out needs --search.", hint="Give the folder of the copies as the second word.")


def _write(
    data: str,
    out: Path | None,
    *,
    policy: Path | None,
    seed: int | None,
    views: int | None,
    recipe: RecipeOptions,
    output: OutputOptions,
) -> Record:
    if out is None:
        raise UserError(
            "OUT must be given: a new folder for the augmented photos, got nothing.",
            hint="Or look at some first with --preview, or search for what helps with --search.",
        )
    from teliti.workflow.augment import augment as augment_photos

    record = augment_photos(
        data, out, recipe=recipe.load(), policy=policy, views=_VIEWS if views is None else views, seed=seed,
        reporter=output.reporter(),
    )  # fmt: skip
    if not output.json:
        _print_written(record)
    return record


def _preview(
    data: str,
    out: Path | None,
    *,
    policy: Path | None,
    seed: int | None,
    views: int | None,
    count: int,
    recipe: RecipeOptions,
    output: OutputOptions,
) -> Record:
    from teliti.workflow.augment_preview import preview_augmented

    record = preview_augmented(
        data, recipe=recipe.load(), policy=policy, out=out, photos=count, views=_VIEWS if views is None else views,
        seed=seed, reporter=output.reporter(),
    )  # fmt: skip
    if not output.json:
        print_refused(stdout_console(), record["refused_photos"], most=_MOST_REFUSED, where="--json")
        print_line(stdout_console(), f"Sheet   {record['sheet']}")
    return record


def _print_written(record: Record) -> None:
    from teliti.cli.result import print_next
    from teliti.cli.wording import format_count, format_photos

    console = stdout_console()
    steps = " + ".join(step["step"] for step in record["steps"])
    kept = f", those of {format_count(record['kept'])} were there already" if record["kept"] else ""
    print_line(
        console, f"{format_count(record['files'])} copies of {format_photos(record['photos'])} by {steps}{kept}."
    )
    print_refused(console, record["refused_photos"], most=_MOST_REFUSED, where="refused.csv")
    print_line(console, f"Photos      {record['out']}")
    print_line(console, f"Parameters  {record['parameters']}")
    if record["labels"]:
        print_line(console, f"Labels      {record['labels']}")
        print_next(console, {f"teliti train {shlex.quote(record['data'])}": "train on the copies"})
