"""How the inspector came to be, so that it can be made again: training, engine, parity, times, recipe, command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from teliti.report.learning import learnt
from teliti.report.markup import EMPTY, Html, element, join, text
from teliti.report.reading import list_at, table_at, tables_at
from teliti.report.story import is_network
from teliti.report.tables import callout, facts, folded, scrolling, table
from teliti.report.wording import MISSING, count, is_number, listed, number, seconds
from teliti.types import JsonMapping


def training(record: JsonMapping) -> Html:
    """Backbone, weights, features, head, what was tried, and the engines that were probed; or how a network learnt."""
    if is_network(record):
        return learnt(record)
    model, history = table_at(record, "model"), table_at(record, "history")
    weights = table_at(model, "weights")
    chosen = table_at(history, "chosen")
    rows = [
        ("Backbone", _written(model.get("backbone"))),
        ("Weights", _written(weights.get("file"))),
        ("Weights' SHA-256", element("code", str(weights["sha256"])) if weights.get("sha256") else None),
        ("Weights' licence", _written(weights.get("licence"))),
        ("Stages", listed([str(stage) for stage in list_at(model, "stages")]) or None),
        ("Pooling", _written(model.get("pooling"))),
        ("Features per photo", number(model["dimensions"]) if is_number(model.get("dimensions")) else None),
        ("Head", _written(model.get("head") or history.get("head"))),
        ("Mean, deviation", _normalisation(model)),
        ("Chosen", _settings(chosen) or None),
        ("Cross-validation", f"{number(history['folds'])} folds" if is_number(history.get("folds")) else None),
    ]
    pieces = [
        facts(rows),
        _trials("Set-ups tried", tables_at(history, "setups"), chosen={}),
        _trials("Settings tried", tables_at(history, "tried"), chosen=chosen),
        _engine(table_at(record, "engine")),
    ]
    return join(pieces)


def parity(record: JsonMapping) -> Html:
    """The exported network against the trained one on the test photos."""
    measured = table_at(record, "parity")
    if not measured:
        return EMPTY
    changed = measured.get("changed_verdicts")
    photos = count(measured["photos"], "photo") if is_number(measured.get("photos")) else "the test photos"
    message = f"The exported network changes the verdict of {number(changed)} of {photos}."
    if changed == 0:
        message = f"The exported network gives the same verdict as the trained one on {photos}."
    said = callout(message, tone="error" if changed else "good") if is_number(changed) else EMPTY
    keys = {
        "max_abs_difference": "Largest difference of a probability",
        "max_abs_logit_difference": "Largest difference of a logit",
    }
    rows = [(label, number(measured[key])) for key, label in keys.items() if is_number(measured.get(key))]
    return join([said, facts(rows)])


def times(record: JsonMapping) -> Html:
    """Seconds per step of the run."""
    spent = {key: value for key, value in table_at(record, "seconds").items() if is_number(value)}
    rows = [[str(key).replace("_", " "), seconds(value)] for key, value in spent.items()]
    return table("Time per step", head=["Step", "Time"], rows=rows) if rows else EMPTY


def environment(record: JsonMapping) -> Html:
    """Machine, threads and versions."""
    found = table_at(record, "environment")
    versions = [[str(key), str(value)] for key, value in table_at(found, "versions").items()]
    plain = [
        (str(key).replace("_", " ").capitalize(), _written(value))
        for key, value in found.items()
        if not isinstance(value, Mapping | list)
    ]
    head = ["Package", "Version"]
    return join(
        [facts(plain), folded("Versions", table("Installed packages", head=head, rows=versions))] if found else []
    )


def recipe(record: JsonMapping) -> Html:
    """The command that makes this run again, and the resolved recipe."""
    command, toml = record.get("command"), record.get("recipe_toml")
    pieces = []
    if command:
        pieces += [element("p", "This command makes the run again:"), _block(str(command), label="Command")]
    if toml:
        pieces.append(folded("The resolved recipe", _block(str(toml), label="Recipe")))
    return join(pieces)


def _trials(title: str, trials: list[dict[str, Any]], *, chosen: Mapping[str, Any]) -> Html:
    keys = list(dict.fromkeys(key for trial in trials for key in trial))
    if not keys:
        return EMPTY
    rows = []
    for trial in trials:
        is_chosen = bool(chosen) and all(trial.get(key) == chosen[key] for key in trial.keys() & chosen.keys())
        rows.append([*(_written(trial.get(key)) or MISSING for key in keys), "✓ chosen" if is_chosen else ""])
    head = [*(key.replace("_", " ").capitalize() for key in map(str, keys)), ""]
    return folded(f"{title} ({len(trials)})", table(title, head=head, rows=rows))


def _engine(engine: Mapping[str, Any]) -> Html:
    if not engine:
        return EMPTY
    rows = [
        ("Feature engine", _written(engine.get("name"))),
        ("Precision", _written(engine.get("precision"))),
        ("Threads", _written(engine.get("threads"))),
    ]
    probe = [
        [
            _written(row.get("engine")) or MISSING,
            _written(row.get("precision")) or MISSING,
            number(row.get("photos_per_s")),
            _written(row.get("note")) or "",
        ]
        for row in tables_at(engine, "probe")
    ]
    head = ["Engine", "Precision", "Photos per second", "Note"]
    probed = table("Engines probed on this machine", head=head, rows=probe, numeric_from=2) if probe else EMPTY
    return join([facts(rows), probed])


def _normalisation(model: Mapping[str, Any]) -> str | None:
    mean, std = (", ".join(number(value) for value in list_at(model, key)) for key in ("mean", "std"))
    return f"({mean}), ({std})" if mean and std else None


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_written(value)}" for key, value in values.items() if value is not None)


def _written(value: Any) -> str | None:
    if value is None or value == "":
        return None
    return f"{value:g}" if is_number(value) and isinstance(value, float) else str(value)


def _block(content: str, *, label: str) -> Html:
    return scrolling(element("pre", element("code", text(content, keep="\n\t"))), label=label)
