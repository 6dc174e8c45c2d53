"""How the training of a network went, in sentences from its record: for the page, the card and the terminal alike.

A record without rows of epochs (a head on a frozen backbone) has no such story; every function then gives nothing.
"""

from __future__ import annotations

from typing import Any

from teliti.report.reading import is_regression, list_at, table_at, tables_at
from teliti.report.wording import count, is_number, listed, number, seconds
from teliti.types import JsonMapping, Record

HELD_OUT = "held-out training photos"
_FINDINGS = {
    "under_fitting": "Under-fitting", "over_fitting": "Over-fitting", "still_improving": "Still improving",
    "rate_too_large": "Learning rate too large", "rate_too_small": "Learning rate too small",
    "class_never_predicted": "A class is never predicted", "dead_units": "Dead units", "saturation": "Saturation",
}  # fmt: skip
_MONITORS = {
    "train_loss": ("training loss", "lowest"),
    "val_loss": ("loss", "lowest"),
    "val_mae": ("mean absolute error", "lowest"),
    "val_accuracy": ("accuracy", "highest"),
    "val_auc": ("ROC AUC", "highest"),
}
_CALIBRATIONS = {
    "platt": "Platt scaling", "temperature": "temperature scaling", "isotonic": "isotonic regression",
}  # fmt: skip
_TWO = 2
_LEAST_BUDGET_S = 0.01  # less is what is left of one that was spent before the first epoch


def epoch_rows(record: JsonMapping) -> list[dict[str, Any]]:
    """The history of a network's training, one row an epoch; empty where no network was trained."""
    return [row for row in tables_at(record, "history", "rows") if is_number(row.get("epoch"))]


def is_network(record: JsonMapping) -> bool:
    """True when a network itself was trained, not only a head on a frozen one."""
    return bool(epoch_rows(record))


def is_held_out(record: JsonMapping) -> bool:
    """True when the epoch was chosen on training photos that were kept from the training, for want of a val part."""
    return table_at(record, "history", "photos").get("chooser") == HELD_OUT


def chooser_words(record: JsonMapping) -> str:
    """The photos that chose the epoch, in a sentence: "the 16 validation photos"."""
    photos = table_at(record, "history", "photos").get("chosen_on")
    amount = f"{number(photos)} " if is_number(photos) else ""
    return f"{amount}training photos that no step learnt from" if is_held_out(record) else f"{amount}validation photos"


def chooser_title(record: JsonMapping) -> str:
    """The same as a heading."""
    return "Held-out training photos" if is_held_out(record) else "Validation"


def head_words(record: JsonMapping) -> str:
    """What turns features into scores, of a trained network: its own closing layer, and how it was calibrated."""
    if is_regression(record):
        return "its own closing layer"
    words = calibration_words(record)
    return f"its own closing layer, {f'calibrated by {words}' if words else 'not calibrated'}"


def calibration_words(record: JsonMapping) -> str | None:
    """What made probabilities of the head's decision values; None where nothing did, or nobody knows."""
    found = str(table_at(record, "history").get("calibration"))
    is_several = record.get("task") != "multilabel" and len(list_at(record, "classes")) > _TWO
    if found == "platt" and is_several:
        return "temperature scaling with biases"
    return _CALIBRATIONS.get(found)


def origin_words(record: JsonMapping) -> str:
    """What the network was before the first step: "efficientnet-lite0.pth" or "random weights"."""
    weights = table_at(record, "model", "weights")
    return str(weights.get("file") or f"{weights.get('kind') or 'random'} weights")


def loss_words(record: JsonMapping) -> str | None:
    """What was minimised; "auto" goes by the task and the number of outputs."""
    loss = table_at(record, "history", "options").get("loss")
    if loss == "auto":
        is_binary = record.get("task") == "multilabel" or table_at(record, "network").get("outputs") == 1
        by_outputs = "binary cross-entropy" if is_binary else "cross-entropy"
        return "mean squared error" if is_regression(record) else by_outputs
    return str(loss).replace("_", " ") if loss else None


def augment_words(record: JsonMapping) -> str:
    """The random changes of the training photos by name; empty where there were none."""
    return listed([str(step).replace("_", " ") for step in list_at(record, "history", "augment")], limit=8)


def learning_sentences(record: JsonMapping) -> list[str]:
    """What learnt from what, and why it ended when it did."""
    return [*_who_learnt(record), *ending_sentences(record)]


def ending_sentences(record: JsonMapping) -> list[str]:
    """Why the training ended, and which epoch's weights are the inspector's."""
    rows, history = epoch_rows(record), table_at(record, "history")
    if not rows:
        return []
    took = sum(value for value in list_at(history, "seconds") if is_number(value))
    time = f" in {seconds(took)}" if took else ""
    return [f"{_epochs_words(history, epochs=len(rows))}{time}{_why_it_ended(history)}.", *_best_epoch(record)]


def finding_rows(record: JsonMapping) -> list[Record]:
    """The diagnosis: {"title", "measure", "advice"} of each finding, in words."""
    return [
        {
            "title": _FINDINGS.get(str(found.get("kind")), str(found.get("kind")).replace("_", " ")),
            "measure": str(found.get("measure") or ""),
            "advice": str(found.get("advice") or ""),
        }
        for found in tables_at(record, "history", "diagnosis")
    ]


def stage_sentence(record: JsonMapping) -> str:
    """Which part of the network learnt from which epoch on; empty where it was one and the same throughout."""
    rows = epoch_rows(record)
    begins = [
        (int(row["epoch"]) + 1, str(row.get("learning")))
        for row, before in zip(rows, [{}, *rows], strict=False)
        if row.get("learning") != before.get("learning")
    ]
    if len(begins) < 2:
        return ""
    words = ["the head alone" if stage == "head" else f"everything from “{stage}” up" for _, stage in begins]
    network = table_at(record, "network")
    if network.get("learnt_parameters", 0) == table_at(network, "totals").get("parameters"):
        words[-1] = "the whole network"
    parts = [f"from epoch {epoch} on {what}" for (epoch, _), what in zip(begins, words, strict=True)]
    return f"What learnt: {', '.join(parts)}."


def _who_learnt(record: JsonMapping) -> list[str]:
    learnt = table_at(record, "history", "photos").get("learnt")
    if not is_number(learnt):
        return []
    changes = augment_words(record)
    shown = f", changed at random in each epoch ({changes})" if changes else ", each as it is, without random changes"
    return [f"The network began with {origin_words(record)} and learnt from {count(learnt, 'photo')}{shown}."]


def _epochs_words(history: JsonMapping, *, epochs: int) -> str:
    planned = table_at(history, "options").get("epochs")
    if is_number(planned) and planned != epochs:
        return f"It ran {number(epochs)} of {count(planned, 'epoch')}"
    return "It ran its one epoch" if epochs == 1 else f"It ran all its {number(epochs)} epochs"


def _why_it_ended(history: JsonMapping) -> str:
    options = table_at(history, "options")
    patience, budget = options.get("early_stopping"), options.get("budget")
    if history.get("ended") == "early_stopping":
        verb = "was" if patience == 1 else "were"
        waited = f" after {count(patience, 'epoch')} that {verb} no better" if is_number(patience) else ""
        return f"; early stopping ended it{waited}"
    if history.get("ended") == "budget":
        is_spent = is_number(budget) and budget < _LEAST_BUDGET_S  # before the epochs began
        given = "" if budget is None or is_spent else f" of {budget if isinstance(budget, str) else seconds(budget)}"
        return f"; the time budget{given} ended it"
    return ""


def _best_epoch(record: JsonMapping) -> list[str]:
    history = table_at(record, "history")
    best, value, monitor = (history.get(key) for key in ("best_epoch", "best_value", "monitor"))
    if not is_number(best) or best is None or best < 0 or str(monitor) not in _MONITORS:
        return []
    measure, extreme = _MONITORS[str(monitor)]
    where = "" if monitor == "train_loss" else f" on the {chooser_words(record)}"
    shown = f" ({number(value)})" if is_number(value) else ""
    return [f"The weights of epoch {int(best) + 1} were kept: its {measure}{where} was the {extreme}{shown}."]
