"""How a network learnt: curves, diagnosis, activations, what the machine decided; and its layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from teliti.report.learning_figures import loss_figure, rate_figure, score_figure, search_figure
from teliti.report.markup import EMPTY, Html, element, join, unbroken
from teliti.report.reading import is_regression, list_at, table_at, tables_at
from teliti.report.story import (
    augment_words,
    chooser_title,
    epoch_rows,
    finding_rows,
    head_words,
    is_held_out,
    learning_sentences,
    loss_words,
    origin_words,
    stage_sentence,
)
from teliti.report.tables import callout, facts, folded, table
from teliti.report.wording import MISSING, count, is_number, number, percent, seconds
from teliti.types import JsonMapping

MOST_EPOCHS = 500  # rows of the table
_MANY_LAYERS = 16
_LITTLE = 0.1  # a smaller share of dead or saturated units says nothing
_FEWEST_ROWS = 3  # a curve of fewer epochs has no shape
_COLUMNS = {
    "lr": "Rate", "train_loss": "Loss, training", "train_accuracy": "Accuracy, training",
    "train_mae": "Error, training",
    "val_loss": "Loss, {}", "val_accuracy": "Accuracy, {}", "val_auc": "ROC AUC, {}", "val_mae": "Error, {}",
    "gradient_norm": "Gradient's length",
}  # fmt: skip
_OPTIONS = {
    "optimizer": "Optimiser", "lr": "Learning rate", "schedule": "Schedule", "batch_size": "Batch",
    "accumulate": "Parts of a batch", "ema": "Average of the weights", "clip_norm": "Longest gradient",
    "device": "Device", "precision": "Precision while learning", "replicas": "Threads with a part of a batch each",
    "threads": "Threads", "compile": "Kernels by torch.compile",
}  # fmt: skip
_PLACES = {"cpu": "Threads of the processor", "device": "The network's device"}
_PLAIN = {"accumulate": 1, "ema": 0.0, "clip_norm": 0.0, "replicas": 1, "compile": False}  # what needs no word


def learning(record: JsonMapping) -> Html:
    """The learning curves with the epoch that was kept, why it ended, and the diagnosis; empty without epochs."""
    rows = epoch_rows(record)
    if not rows:
        return EMPTY
    history, chooser = table_at(record, "history"), chooser_title(record)
    best = history.get("best_epoch")
    kept = int(best) + 1 if is_number(best) and best is not None and best >= 0 else None
    figures = [
        loss_figure(rows, best=kept, chooser=chooser),
        score_figure(rows, best=kept, chooser=chooser),
        rate_figure(rows),
        search_figure(table_at(history, "rate_search")),
    ]
    pieces = [
        element("p", " ".join(filter(None, [*learning_sentences(record), stage_sentence(record)]))),
        element("h3", "Diagnosis"),
        *_diagnosis(record, epochs=len(rows)),
        element("h3", "Curves"),
        element("div", *(found for found in figures if found), class_="pair"),
        element("p", _hint(record), class_="hint"),
        _epochs(
            rows, list_at(history, "seconds"), kept=kept, chooser="held out" if is_held_out(record) else "validation"
        ),
        _activity(tables_at(history, "activity")),
    ]
    return unbroken(join(pieces))


def layers(record: JsonMapping) -> Html:
    """The network layer by layer: shape, parameters, multiply-adds; empty where the record has no such table."""
    network = table_at(record, "network")
    rows = tables_at(network, "layers")
    if not rows:
        return EMPTY
    totals, learnt = table_at(network, "totals"), network.get("learnt_parameters")
    said = facts(
        [
            ("Photo", _times(list_at(network, "input"))),
            ("Outputs", _counted(network.get("outputs"))),
            ("Layers", number(len(rows))),
            ("Parameters", _counted(totals.get("parameters"))),
            ("Of them learnt here", _counted(learnt)),
            ("Multiply-adds per photo", _counted(totals.get("multiply_adds"))),
            ("Memory of the parameters", _megabytes(totals.get("parameter_bytes"))),
        ]
    )
    head = ["Layer", "Kind", "Setting", "Output", "Parameters", "Multiply-adds"]
    cells = [
        [
            element("code", str(row.get("layer", MISSING))),
            str(row.get("kind", MISSING)),
            str(row.get("setting") or ""),
            _times(list_at(row, "output")) or MISSING,
            number(row["parameters"]) if row.get("parameters") else MISSING,
            number(row["multiply_adds"]) if row.get("multiply_adds") else MISSING,
        ]
        for row in rows
    ]
    written = table("Layers in the order in which they run", head=head, rows=cells, numeric_from=3)
    note = element("p", "Sizes are channels x height x width; one multiply-add counts as one.", class_="hint")
    return join([said, written if len(rows) <= _MANY_LAYERS else folded(f"All {len(rows)} layers", written), note])


def learnt(record: JsonMapping) -> Html:
    """How the inspector was made when the network itself learnt: from what, with which settings, what a probe chose."""
    model, history, engine = (table_at(record, key) for key in ("model", "history", "engine"))
    weights, options = table_at(model, "weights"), table_at(history, "options")
    settings = [
        ("Loss", loss_words(record)),
        *((word, _setting(options.get(key), key)) for key, word in _OPTIONS.items()),
    ]
    rows = [
        ("Network", _text(model.get("backbone"))),
        ("Began with", origin_words(record)),
        ("These weights' SHA-256", element("code", str(weights["sha256"])) if weights.get("sha256") else None),
        ("These weights' licence", _text(weights.get("licence"))),
        ("Values in front of the closing layer", _counted(model.get("dimensions"))),
        ("Head", head_words(record)),
        ("Ensemble with the frozen network", _ensemble_words(history)),
        *settings,
        ("Trained by", " ".join(filter(None, ["PyTorch", _text(engine.get("version"))]))),
        ("Predicts by", "ONNX Runtime, in f32"),
    ]
    probe = [
        [
            str(row.get("precision", MISSING)),
            number(row.get("replicas")),
            number(row.get("photos_per_s")),
            _kernel_words(row),
            "✓ chosen" if row.get("chosen") else "",
        ]
        for row in tables_at(history, "probe")
        if "augment_on" not in row
    ]
    head = ["Precision", "Parts at a time", "Photos per second", "Kernels", ""]
    timed = table("Timed on this machine before the first step", head=head, rows=probe) if probe else EMPTY
    return join([facts(rows), timed, _places(history)])


def _kernel_words(row: JsonMapping) -> str:
    if not row.get("compiled"):
        return "torch's"
    if row.get("photos_per_s") is None:
        return "by torch.compile: could not be made here"
    took = row.get("compile_s")  # None where it was asked for
    return "by torch.compile" if took is None else f"by torch.compile, {seconds(took)} until they were there"


def _places(history: JsonMapping) -> Html:
    """The two ways to augment photos, where they were timed; with the steps of the network, and photos ahead."""
    rows = [
        [
            _PLACES.get(str(row["augment_on"]), MISSING),
            number(row.get("photos_per_s")),
            "✓ chosen" if row.get("chosen") else "",
        ]
        for row in tables_at(history, "probe")
        if "augment_on" in row
    ]
    head = ["Photos augmented by", "Photos per second", ""]
    return table("Augmentation, timed with the network's steps", head=head, rows=rows) if rows else EMPTY


def _ensemble_words(history: JsonMapping) -> str | None:
    """Whether both networks answer, and by which losses that was judged; None where it was not asked."""
    told = table_at(history, "ensemble")
    if not told:
        return None
    losses = f"log loss {number(told['log_loss'])} together and {number(told['log_loss_alone'])} alone"
    judged = f"{losses}, on {count(int(told['photos']), 'photo')}"
    if told["kept"]:
        return f"yes, each verdict is the mean of both ({judged})"
    if not told["mistakes_alone"]:
        return f"no: alone it is right on all {count(int(told['photos']), 'photo')}, and together is twice the work"
    return f"no: together it is worse ({judged})"


def _hint(record: JsonMapping) -> str:
    while_learning = "while the weights move" + (", with the random changes" if augment_words(record) else "")
    hint = f"Training numbers are taken {while_learning}; the others at the epoch's end."
    if is_regression(record):
        hint += " Losses are of the numbers brought to mean 0 and deviation 1; "
        hint += "errors too." if list_at(record, "numbers") else "errors are in the unit of the labels."
    return hint


def _diagnosis(record: JsonMapping, *, epochs: int) -> list[Html]:
    found = finding_rows(record)
    if found:
        return [_finding(row) for row in found]
    if epochs < _FEWEST_ROWS:
        return [
            element("p", f"{count(epochs, 'epoch').capitalize()} cannot tell much: curves begin to speak at three.")
        ]
    return [callout("Nothing stands out: the curves show none of the troubles that are looked for.", tone="good")]


def _finding(row: Mapping[str, Any]) -> Html:
    what = element("p", element("strong", f"{row['title']}."), " ", str(row["measure"]))
    tried = element("p", "To try: ", str(row["advice"])) if row["advice"] else None
    return element("div", what, tried, class_="callout warning")


def _epochs(rows: Sequence[Mapping[str, Any]], spent: Sequence[Any], *, kept: int | None, chooser: str) -> Html:
    keys = [key for key in _COLUMNS if any(is_number(row.get(key)) for row in rows)]
    cells = []
    for at, row in enumerate(rows[:MOST_EPOCHS]):
        epoch = int(row["epoch"]) + 1
        time = seconds(spent[at]) if at < len(spent) else MISSING
        mark = " ✓ kept" if epoch == kept else ""
        cells.append([f"{number(epoch)}{mark}", *(_cell(key, row.get(key)) for key in keys), time])
    head = ["Epoch", *(_COLUMNS[key].format(chooser) for key in keys), "Time"]
    rest = len(rows) - len(cells)
    more = element("p", f"{rest:,} more epochs stand in history.csv of the run.", class_="hint") if rest > 0 else EMPTY
    return folded(f"Every epoch ({len(rows):,})", table("One row an epoch", head=head, rows=cells), more)


def _activity(found: Sequence[Mapping[str, Any]]) -> Html:
    """Layers in which a share of the units does nothing; a sentence where there are none."""
    known = [row for row in found if is_number(row.get("share"))]
    if not known:
        return EMPTY
    worst = [row for row in known if row["share"] >= _LITTLE]
    looked = f"{count(len(known), 'activation layer')} looked at on some training photos after the last epoch"
    if not worst:
        return element("p", f"{looked}: none has {percent(_LITTLE)} or more of its units dead or saturated.")
    words = {"dead": "dead: 0 for every photo", "saturated": "saturated: at its limit"}
    rows = [
        [
            element("code", str(row.get("name"))),
            words.get(str(row.get("kind")), str(row.get("kind"))),
            percent(row["share"]),
            number(row.get("units")),
        ]
        for row in worst
    ]
    head = ["Layer", "Units that are", "Share", "Units"]
    written = table(f"Layers with {percent(_LITTLE)} of dead or saturated units or more", head=head, rows=rows,
                    numeric_from=2)  # fmt: skip
    return folded(
        f"Units that do nothing ({len(worst):,} of {len(known):,} layers)", element("p", f"{looked}."), written
    )


def _cell(key: str, value: Any) -> str:
    if key == "lr" and is_number(value):
        return f"{value:.2g}"
    return percent(value) if key.endswith("accuracy") else number(value)


def _setting(value: Any, key: str) -> str | None:
    return None if value == _PLAIN.get(key) else "yes" if value is True else _text(value)


def _text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    return f"{value:g}" if isinstance(value, float) else str(value)


def _counted(value: Any) -> str | None:
    return number(value) if is_number(value) else None


def _megabytes(size: Any) -> str | None:
    if not is_number(size):
        return None
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"


def _times(sizes: Sequence[Any]) -> str:
    return " x ".join(number(size) for size in sizes)
