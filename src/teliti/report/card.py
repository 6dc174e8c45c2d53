"""The model card of a bundle: what it is for, what it is not for, how good it is, where it comes from; Markdown.

After M. Mitchell and others, "Model Cards for Model Reporting" (2019).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from teliti.report.consequences import decision_sentences
from teliti.report.markup import visible
from teliti.report.reading import (
    Outcome,
    class_names,
    is_folds,
    is_regression,
    list_at,
    per_class_rows,
    table_at,
    tables_at,
)
from teliti.report.several import is_multilabel, number_names
from teliti.report.statements import statements
from teliti.report.story import ending_sentences, head_words, is_network, origin_words
from teliti.report.wording import (
    MISSING,
    count,
    is_number,
    listed,
    number,
    number_interval,
    percent,
    percent_interval,
)
from teliti.types import SPLITS, Record

_MARKS = re.compile(r"([\\`*_\[\]|~#$@])|(?=://)")
_WEB_ADDRESS = re.compile(r"(?i)\b(www)\.")
_SHARES = {
    "accuracy": "Accuracy", "balanced_accuracy": "Balanced accuracy", "recall": "Recall",
    "specificity": "Specificity", "precision": "Precision", "f1": "F1", "f1_macro": "F1, mean of classes",
    "subset_accuracy": "All labels right", "hamming_loss": "Hamming loss", "f1_micro": "F1, pooled",
}  # fmt: skip
_NUMBERS = {
    "roc_auc": "ROC AUC", "pr_auc": "PR AUC", "log_loss": "Log loss", "brier": "Brier score",
    "mae": "Mean absolute error", "rmse": "Root mean squared error", "r2": "R²",
}  # fmt: skip


def render_card(record: Record) -> str:
    """The model card of a run's bundle as Markdown; a section whose keys the record lacks is left out.

    Args:
        record: A run's record.
    """
    sections = (
        ("Use", _use(record)),
        ("Limits", _bullets(list_at(record, "statements") or statements(record))),
        ("Results", _results(record)),
        ("Results per class", _results_per_class(record)),
        ("Results per label", _results_per_label(record)),
        ("Results per number", _results_per_number(record)),
        ("Threshold", _threshold(record)),
        ("Data", _data(record)),
        ("Provenance", _provenance(record)),
        (_licence_title(record), _licence(record)),
    )
    title = markdown(record.get("title") or "Inspector")
    written = [f"# {title}", *(f"## {heading}\n\n{content}" for heading, content in sections if content)]
    return "\n\n".join(written) + "\n"


def markdown(value: Any) -> str:
    """Any text as Markdown that shows exactly that text, in a line or a table cell."""
    safe = visible(str(value)).replace("&", "&amp;")
    safe = _MARKS.sub(lambda found: f"\\{found[0]}", safe).replace("<", "&lt;").replace(">", "&gt;")
    return _WEB_ADDRESS.sub(r"\1\\.", safe)


def _use(record: Record) -> str:
    side = table_at(record, "data").get("image_size")
    size = [side, side] if is_number(side) else list_at(record, "data", "image_size")
    lines = []
    if number_names(record):
        names = listed([f"“{markdown(item)}”" for item in number_names(record)], limit=20)
        lines.append(f"Predicts numbers from a photo of a part: {names}.")
    elif is_regression(record):
        lines.append("Predicts a number from a photo of a part.")
    elif is_multilabel(record):
        names = listed([f"“{markdown(item)}”" for item in class_names(record)], limit=20)
        lines.append(f"Finds labels on photos of parts, several or none on one: {names}.")
        lines += [markdown(record["positive_sentence"])] if record.get("positive_sentence") else []
    elif class_names(record):
        names = listed([f"“{markdown(item)}”" for item in class_names(record)], limit=20)
        lines.append(f"Tells photos of parts apart: {names}.")
    outcome = Outcome.of(record)
    if outcome is not None and not is_multilabel(record):
        bad = listed([f"“{markdown(item)}”" for item in outcome.bad], limit=20)
        lines.append(f"A photo taken for {bad} is rejected, any other passes.")
    if len(size) == 2:
        fit = table_at(record, "data").get("fit")
        how = f" (fit: {markdown(fit)})" if fit else ""
        lines.append(f"Photos are brought to {number(size[0])} by {number(size[1])} pixels, height by width{how}.")
    lines.append(
        "Use it on photos taken like those it was tested on; check it on photos of your own line before relying on it."
    )
    return "\n".join(lines)


def _results(record: Record) -> str:
    measures = table_at(record, "test")
    rows = []
    own = {"f1_macro": "F1, mean of labels"} if is_multilabel(record) else {}
    for key, label in {**_SHARES, **_NUMBERS, **own}.items():
        if not is_number(measures.get(key)):
            continue
        interval = table_at(measures, "intervals").get(key, measures.get(f"{key}_interval"))
        if key in _SHARES:
            rows.append([label, percent(measures[key]), percent_interval(interval)])
        else:
            rows.append([label, number(measures[key]), number_interval(interval)])
    if not rows:
        return ""
    how = "out-of-fold scores" if is_folds(record) else "the sealed test part"
    if table_at(record, "data", "split").get("origin") == "given":
        how = "the test part that came with the data"
    photos = f", {count(measures['n'], 'photo')}" if is_number(measures.get("n")) else ""
    base = measures.get("majority_accuracy")
    tail = f"\n\nAlways naming the largest class would have an accuracy of {percent(base)}." if is_number(base) else ""
    return f"Measured on {how}{photos}.\n\n{_table(['Measure', 'Value', '95 % interval'], rows)}{tail}"


def _results_per_label(record: Record) -> str:
    rows = [
        [
            markdown(row.get("label")), number(row.get("n")), percent(row.get("recall")),
            percent_interval(table_at(row, "intervals").get("recall")), percent(row.get("precision")),
            percent(row.get("f1")), number(row.get("roc_auc")),
        ]
        for row in tables_at(record, "test", "per_label")
    ]  # fmt: skip
    head = ["Label", "Photos", "Recall", "95 % interval", "Precision", "F1", "ROC AUC"]
    return _table(head, rows) if rows else ""


def _results_per_number(record: Record) -> str:
    rows = [
        [
            markdown(row.get("name")), number(row.get("mae")), number_interval(table_at(row, "intervals").get("mae")),
            number(row.get("rmse")), number(row.get("r2")),
        ]
        for row in tables_at(record, "test", "per_number")
    ]  # fmt: skip
    head = ["Number", "Mean absolute error", "95 % interval", "Root mean squared error", "R²"]
    return _table(head, rows) if rows else ""


def _results_per_class(record: Record) -> str:
    rows = [
        [
            markdown(row["class"]),
            number(row.get("n")),
            percent(row.get("recall")),
            percent_interval(table_at(row, "intervals").get("recall")),
            percent(row.get("precision")),
            percent(row.get("f1")),
        ]
        for row in per_class_rows(record)
    ]
    return _table(["Class", "Photos", "Recall", "95 % interval", "Precision", "F1"], rows) if rows else ""


def _threshold(record: Record) -> str:
    threshold = table_at(record, "threshold")
    value = threshold.get("value")
    lines = [f"Score at which a photo is rejected: {value:.6g}."] if is_number(value) else []
    lines += [f"Rule: {markdown(threshold['rule'])}."] if threshold.get("rule") else []
    lines += [markdown(threshold["sentence"])] if threshold.get("sentence") else []
    lines += [markdown(sentence) for sentence in decision_sentences(record)]
    return "\n".join(lines)


def _data(record: Record) -> str:
    data = table_at(record, "data")
    counts = table_at(data, "counts")
    parts = [part for part in SPLITS if table_at(counts, part)]
    names = list(dict.fromkeys([*class_names(record), *(item for part in parts for item in counts[part])]))
    rows = [[markdown(item), *(number(counts[part].get(item, 0)) for part in parts)] for item in names]
    lines = [f"Source: {markdown(data['source'])}."] if data.get("source") else []
    lines += [f"{count(data['photos'], 'photo')} used."] if is_number(data.get("photos")) else []
    split = table_at(data, "split").get("sentence")
    lines += [markdown(split)] if split else []
    written = "\n".join(lines)
    return "\n\n".join(filter(None, [written, _table(["Class", *parts], rows) if parts else ""]))


def _provenance(record: Record) -> str:
    model, engine = table_at(record, "model"), table_at(record, "engine")
    weights, parity = table_at(model, "weights"), table_at(record, "parity")
    used = " ".join(str(engine[key]) for key in ("name", "precision") if engine.get(key))
    trained = is_network(record)
    facts = [
        ("Made", record.get("created")),
        ("Teliti", record.get("version")),
        ("Command", record.get("command")),
        ("Network" if trained else "Backbone", model.get("backbone")),
        ("Began with" if trained else "Weights", origin_words(record) if trained else weights.get("file")),
        ("SHA-256 of these weights" if trained else "SHA-256 of the weights", weights.get("sha256")),
        ("Training", " ".join(ending_sentences(record))),
        ("Head", head_words(record) if trained else model.get("head")),
        ("Trained by, predicts by" if trained else "Engine", f"{used}, ONNX Runtime f32" if trained else used),
        ("Changed verdicts after export", parity.get("changed_verdicts")),
        ("Largest difference of a probability after export", parity.get("max_abs_difference")),
    ]
    return _bullets([f"{term}: {value}" for term, value in facts if value not in (None, "")])


def _licence_title(record: Record) -> str:
    return "Licence of the weights that it began with" if is_network(record) else "Licence of the backbone's weights"


def _licence(record: Record) -> str:
    weights = table_at(record, "model", "weights")
    if weights.get("licence"):
        return f"{markdown(weights['licence'])}."
    if weights.get("file"):
        return f"Not recorded; it is that of the source of {markdown(weights['file'])}."
    return ""


def _bullets(items: Sequence[Any]) -> str:
    return "\n".join(f"- {markdown(item)}" for item in items)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)).replace(MISSING, "-")
