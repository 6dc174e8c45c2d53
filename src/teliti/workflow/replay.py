"""Replay: train a finished run again from its resolved recipe, and say what is not the same.

"The same" means the same bits: the network's file, the head's weights, every verdict rule and every measure. That can
be expected where photos, resolved recipe, versions, processor and number of threads are the same; what of these
differs is told first, because it is the likely reason. The run itself is only read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from teliti.bundle import MODEL, SEEN_FILE, WEIGHTS, open_bundle
from teliti.cache import RowCache, caching_in
from teliti.errors import RunInterrupted, UserError
from teliti.files import hash_file, spreadsheet_cell
from teliti.recipe import Recipe, override_recipe, recipe_values
from teliti.runtime import default_threads, environment_record
from teliti.types import Record, Reporter, SilentReporter
from teliti.workflow.shared.part_finding import aside_files
from teliti.workflow.shared.photos import Photos, read_photos
from teliti.workflow.shared.run_folder import RunFolder
from teliti.workflow.shared.sealed import SPLITS_FILE
from teliti.workflow.shared.setup import recipe_steps
from teliti.workflow.shared.stopwatch import Stopwatch
from teliti.workflow.train import train

_FILES = ((WEIGHTS, "weights of the head"), (MODEL, "network"), (SEEN_FILE, "list of photos that were learnt from"))
_MACHINE = ("python", "processor", "platform")
_SHOWN = 12  # digits of a hash


def replay(
    run: str | Path,
    *,
    source: str | Path | None = None,
    out: str | Path | None = None,
    cached: bool = False,
    reporter: Reporter | None = None,
) -> Record:
    """Train a run again and compare what comes out.

    Args:
        run: The folder of a finished run.
        source: Where its photos are now; None: where they were.
        out: A new folder that keeps the second run; None: it is thrown away.
        cached: Take features and exported networks from the cache, which is quicker and checks less.
        reporter: Told how far it is.

    Returns:
        {"schema", "run", "source", "same", "environment", "checks", "first", "sentences", "out", "seconds"}:
        `environment` has what differs of the machine ({"name", "was", "is"}), `checks` what was compared ({"name",
        "same", "was", "is"}) in order, up to the first where going on would say nothing; `first` is the first thing
        that differs, None where all is the same.

    Raises:
        UserError: no finished run, or photos that cannot be read.
        BundleError: the run's own bundle is damaged.
    """
    folder, watch, reporter = RunFolder(Path(run)), Stopwatch(), reporter or SilentReporter()
    state = folder.read_state()
    if state["state"] != "done":
        raise UserError(f'"{folder.path}" must be a finished run.', hint=f'Finish it: teliti train --resume "{run}"')
    bundle, recipe = open_bundle(folder.bundle), folder.read_recipe()
    place = str(source or state["source"])
    environment = _environment_changes(state["record"], recipe)
    if environment:
        reporter.note(f"Not as it was: {'; '.join(map(_say_change, environment))}.")
    with _scratch(None if out is None else Path(out)) as (target, cache):
        with nullcontext() if cached else caching_in(cache):
            with watch.stage("read"):
                data = _check_data(folder, state, _read(place, recipe, reporter), source=place)
            checks = [data]
            if data["same"]:
                with watch.stage("train"):
                    _train_again(place, _with_threads(recipe, state["record"]), target, state=state, reporter=reporter)
                checks += list(_compare(folder, bundle.manifest, RunFolder(target)))
        record: Record = {
            "schema": 1,
            "run": str(folder.path),
            "source": place,
            "same": all(check["same"] for check in checks),
            "environment": environment,
            "checks": checks,
            "out": None if out is None or len(checks) == 1 else str(out),
        }
    record["first"] = _first_difference(record)
    record["sentences"] = say_replay(record)
    return record | {"seconds": watch.to_record()}


def say_replay(record: Record) -> list[str]:
    """What came out, from the record alone."""
    changes = [_say_change(one) for one in record["environment"]]
    if record["same"]:
        files = ", ".join(name for name, _ in _FILES)
        despite = f", although {' and '.join(changes)}" if changes else ""
        return [f"The same came out, bit for bit: {files}, verdict rule and measures{despite}."]
    first = record["first"]
    sentences = [f"Not the same. The first thing that differs: {first['sentence']}"]
    others = [check["name"] for check in record["checks"] if not check["same"] and check["name"] != first["name"]]
    if others:
        sentences.append(f"What differs with it: {', '.join(others)}.")
    if not changes and first["name"] != "photos":
        sentences.append(
            "Photos, versions, processor and threads are those of the run, so that the reason is none of these."
        )
    return sentences


@contextmanager
def _scratch(out: Path | None) -> Iterator[tuple[Path, Path]]:
    """Where the second run goes, and a cache of its own; both gone afterwards but for a run that is to be kept."""
    with tempfile.TemporaryDirectory(prefix="teliti-replay-") as place:
        try:
            yield out or Path(place) / "run", Path(place) / "cache"
        except RunInterrupted:
            if out is None:
                raise KeyboardInterrupt from None  # what could be resumed is thrown away
            raise


def _read(source: str, recipe: Recipe, reporter: Reporter) -> Photos:
    return read_photos(
        source, use_group=recipe.data.group, cache=RowCache(), threads=recipe.train.threads or default_threads(),
        reporter=reporter, chains=[recipe_steps(recipe)],
        aside=aside_files([recipe]), task=recipe.data.task,
    )  # fmt: skip


def _train_again(source: str, recipe: Recipe, out: Path, *, state: Record, reporter: Reporter) -> None:
    train(source, recipe=recipe, out=out, reporter=reporter, command=str(state["command"]))


def _with_threads(recipe: Recipe, record: Record) -> Recipe:
    """The recipe with the number of threads that the run had, because sums depend on it."""
    return override_recipe(recipe, {"train": {"threads": int(record["environment"]["threads"])}})


def _environment_changes(record: Record, recipe: Recipe) -> list[Record]:
    """What is recorded of versions and machine and is not so any more."""
    was = record["environment"]
    now = environment_record(threads=recipe.train.threads or default_threads())
    names = [*was["versions"], *(name for name in now["versions"] if name not in was["versions"])]
    pairs = [(name, was["versions"].get(name), now["versions"].get(name)) for name in names]
    pairs += [(name, was.get(name), now.get(name)) for name in _MACHINE]
    return [{"name": name, "was": before, "is": after} for name, before, after in pairs if before != after]


def _check_data(folder: RunFolder, state: Record, photos: Photos, *, source: str) -> Record:
    same = photos.digest == state["photos"]
    check = _check("photos", state["photos"], photos.digest)
    return check if same else check | {"sentence": _say_photos(folder, photos, source)}


def _say_photos(folder: RunFolder, photos: Photos, source: str) -> str:
    """Which photo is the first that changed."""
    rows = {row["path"]: row for row in folder.read_table(SPLITS_FILE)}
    now = {spreadsheet_cell(sample.name): mark.digest.hex() for sample, mark in
           zip(photos.samples, photos.fingerprints, strict=True)}  # fmt: skip
    gone = [path for path in rows if path not in now]
    added = [path for path in now if path not in rows]
    changed = [path for path, row in rows.items() if path in now and now[path] != row["sha256"]]
    for said, paths in (("is gone or can no longer be used", gone), ("is new", added), ("has other content", changed)):
        if paths:
            more = f" ({len(paths) - 1} more likewise)" if len(paths) > 1 else ""
            return f'the photos of "{source}": "{paths[0]}" {said}{more}.'
    return f'the photos of "{source}": their labels, given parts, groups or masks are others.'


def _compare(folder: RunFolder, manifest: Record, again: RunFolder) -> Iterator[Record]:
    """Every check after the photos', in the order in which a run makes them."""
    was, now = folder.read_state()["record"], again.read_state()["record"]
    yield _check_table(folder, again)
    yield _check_recipe(folder.read_recipe(), again.read_recipe())
    other = open_bundle(again.bundle)
    for name, meaning in _FILES:
        check = _check(name, hash_file(folder.bundle / name), hash_file(other.path / name))
        yield _with_sentence(check, f"{name}, the {meaning}, has another SHA-256")
    for name, before, after in (
        ("verdict rule", manifest["decision"], other.manifest["decision"]),
        ("prepare steps", manifest["prepare"], other.manifest["prepare"]),
        ("answers to the golden photos", _golden(manifest), _golden(other.manifest)),
        ("measures on validation", was["val"], now["val"]),
        ("measures on the test part", was["test"], now["test"]),
    ):
        yield _check_values(name, before, after)


def _check_table(folder: RunFolder, again: RunFolder) -> Record:
    was, now = (one.read_table(SPLITS_FILE) for one in (folder, again))
    moved = next(
        (
            f'"{one["path"]}" was in {one["split"]} {one["fold"]} and is in {other["split"]} {other["fold"]}'
            for one, other in zip(was, now, strict=False)
            if one != other
        ),
        "other photos",
    )
    return _with_sentence(_check("split", _joined(was), _joined(now)), f"the split of the photos: {moved}")


def _check_recipe(was: Recipe, now: Recipe) -> Record:
    """The resolved recipes; the number of threads is fixed for the replay and therefore stands in the second alone."""
    before, after = _flat(recipe_values(was)), _flat(recipe_values(now))
    for values in (before, after):
        values.pop("train.threads", None)
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    check = _check("recipe", before, after)
    if keys:
        key = keys[0]
        check |= {"was": {key: before.get(key)}, "is": {key: after.get(key)}}
        return _with_sentence(check, f"the resolved recipe: {key} was {before.get(key)} and is {after.get(key)}")
    return check | {"was": None, "is": None}


def _check_values(name: str, was: Any, now: Any) -> Record:
    before, after = _flat(was), _flat(now)
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    check = {"name": name, "same": not keys, "was": None, "is": None}
    if not keys:
        return check
    key = keys[0]
    check |= {"was": {key: before.get(key)}, "is": {key: after.get(key)}}
    return _with_sentence(check, f"{name}: {key} was {before.get(key)} and is {after.get(key)}")


def _first_difference(record: Record) -> Record | None:
    """The first thing that differs: a cause that is known, else the first check that fails."""
    if record["same"]:
        return None
    failed = next(check for check in record["checks"] if not check["same"])
    if failed["name"] != "photos" and record["environment"]:
        cause = record["environment"][0]
        return {"name": cause["name"], "sentence": f"{_say_change(cause)}; of what came out, {failed['sentence']}"}
    return {"name": failed["name"], "sentence": failed["sentence"]}


def _say_change(change: Record) -> str:
    return f"{change['name']} was {change['was'] or 'absent'} and is {change['is'] or 'absent'}"


def _check(name: str, was: Any, now: Any) -> Record:
    return {"name": name, "same": was == now, "was": _short(was), "is": _short(now)}


def _with_sentence(check: Record, sentence: str) -> Record:
    return check if check["same"] else check | {"sentence": f"{sentence}."}


def _short(value: Any) -> Any:
    return value[:_SHOWN] if isinstance(value, str) else value


def _golden(manifest: Record) -> list[Any]:
    return [one["outputs"] for one in manifest["golden"]]


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    """Dotted keys and plain values of a record."""
    if isinstance(value, dict):
        items = ((f"{key}.{name}" if key else str(name), item) for name, item in value.items())
    elif isinstance(value, list | tuple):
        items = ((f"{key}[{place}]", item) for place, item in enumerate(value))
    else:
        return {key: value}
    return {name: plain for place, item in items for name, plain in _flat(item, place).items()}


def _joined(rows: list[dict[str, str]]) -> str:
    return "\n".join(",".join(row.values()) for row in rows)
