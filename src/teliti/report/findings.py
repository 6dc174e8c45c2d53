"""What the test part showed: key numbers, their limits, confusions, curves, classes, mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from teliti.report.figures import (
    histogram_figure,
    interval_bar,
    pr_figure,
    residual_figure,
    roc_figure,
    scatter_figure,
)
from teliti.report.markup import EMPTY, Html, element, join, name, unbroken
from teliti.report.pictures import picture
from teliti.report.reading import (
    Outcome,
    class_names,
    has_val_part,
    is_folds,
    is_regression,
    list_at,
    matrix_at,
    per_class_rows,
    table_at,
    tables_at,
)
from teliti.report.several import SHARES, is_multilabel, label_rows, per_label, per_number, shown_answer
from teliti.report.statements import statements
from teliti.report.story import chooser_title, is_network
from teliti.report.tables import bullets, scrolling, table
from teliti.report.verdict import baseline_error
from teliti.report.wording import (
    MISSING,
    is_number,
    number,
    number_interval,
    percent,
    percent_interval,
)
from teliti.types import JsonMapping, UInt8Image

MOST_MISTAKES = 24
_WIDE_MATRIX = 12
_SHARES = {
    "accuracy": ("Accuracy", "verdicts that are right"),
    "accuracy_at_half": ("Accuracy without the threshold", "most probable class"),
    "balanced_accuracy": ("Balanced accuracy", "mean of the classes' recalls"),
    "recall": ("Recall", "positives found"),
    "specificity": ("Specificity", "others left alone"),
    "precision": ("Precision", "alarms that are right"),
    "f1": ("F1", "precision and recall in one"),
    "f1_macro": ("F1, mean of classes", "every class counts the same"),
    "roc_auc": ("ROC AUC", "ranking, 0.5 is guessing"),
    "pr_auc": ("PR AUC", "ranking where positives are rare"),
}
_ERRORS = {"log_loss": ("Log loss", "probabilities; 0 is best"), "brier": ("Brier score", "probabilities; 0 is best")}
_POINTS = {"roc_auc", "pr_auc"}
_OF_POSITIVE = {"recall", "specificity", "precision", "roc_auc", "pr_auc"}  # means of the classes where there is none
_REGRESSION = {"mae": "Mean absolute error", "rmse": "Root mean squared error", "r2": "R²"}


def key_numbers(record: JsonMapping) -> Html:
    """Every measure with its 95 % interval, beside what "always the largest class" or "always the mean" scores."""
    measures = table_at(record, "test")
    rows = label_rows(measures) if is_multilabel(record) else _measure_rows(record, measures)
    rows = _regression_rows(measures) if is_regression(record) else rows
    if not rows:
        return EMPTY
    simple = "Always the mean" if is_regression(record) else "Always the largest class"
    simple = "Always the commonest" if is_multilabel(record) else simple
    beside = "Validation" if has_val_part(record) else "Out of fold, training part"
    beside = chooser_title(record) if is_network(record) else beside
    head = ["Measure", "Test", "95 % interval", "", simple, beside]
    val = {} if is_folds(record) else table_at(record, "val")  # with folds both are the same scores
    validation = [number_as(key, val.get(key)) for key, _ in rows]
    cells = [[*row, value] for (_, row), value in zip(rows, validation, strict=True)]
    if all(value == MISSING for value in validation):
        head, cells = head[:-1], [row[:-1] for row in cells]
    legend = f"Dot: test. Band: its interval. Tick: {simple.lower()}."
    hint = None if is_regression(record) else element("p", legend, class_="hint")
    return join([table("Measures on the test part", head=head, rows=cells), hint])


def proofs(record: JsonMapping) -> Html:
    """The sentences on what the numbers do and do not prove: the record's own, or those that follow from it."""
    sentences = list_at(record, "statements") or statements(record)
    return unbroken(bullets([str(sentence) for sentence in sentences], class_="prose"))


def confusion(record: JsonMapping) -> Html:
    """The confusion matrix: rows actual, columns predicted, shaded by the share of the row."""
    classes, matrix = class_names(record), matrix_at(table_at(record, "test"))
    if not matrix or len(matrix) != len(classes):
        return EMPTY
    outcome = Outcome.of(record)
    head = element(
        "tr",
        element("th", "Actual ↓ Predicted →", scope="col", class_="corner"),
        *(element("th", name(item), scope="col", class_="num") for item in classes),
        element("th", "Photos", scope="col", class_="num"),
    )
    rows = [_confusion_row(at, matrix=matrix, classes=classes, outcome=outcome) for at in range(len(classes))]
    written = element(
        "table",
        element("caption", "Photos of the test part by actual and predicted class"),
        element("thead", head),
        element("tbody", *rows),
        class_="confusion",
    )
    return scrolling(written, label="Confusion matrix")


def curves(record: JsonMapping) -> Html:
    """ROC, precision-recall and score spread with the threshold; for numbers the two scatter plots."""
    scatter = table_at(record, "scatter")
    drawn = table_at(record, "curves")
    threshold = table_at(record, "threshold")
    pair = [roc_figure(drawn), pr_figure(drawn), scatter_figure(scatter), residual_figure(scatter)]
    for key, points in table_at(record, "scatters").items():
        pair += [scatter_figure(points, of=key), residual_figure(points, of=key)]
    shown = [figure for figure in pair if figure]
    sentence = threshold.get("sentence")
    pieces = [
        element("p", str(sentence)) if sentence else EMPTY,
        element("div", *shown, class_="pair") if shown else EMPTY,
        histogram_figure(drawn, threshold=threshold.get("value")),
    ]
    return join(pieces)


def per_class(record: JsonMapping) -> Html:
    """Precision, recall, specificity and F1 of each class, recall with its interval; the same of labels and numbers."""
    if is_multilabel(record):
        return per_label(record)
    if is_regression(record):
        return per_number(record)
    rows = []
    for row in per_class_rows(record):
        interval = table_at(row, "intervals").get("recall")
        rows.append([
            name(row["class"]), number(row.get("n")), percent(row.get("recall")), percent_interval(interval),
            interval_bar(row.get("recall"), interval), percent(row.get("precision")), percent(row.get("specificity")),
            percent(row.get("f1")),
        ])  # fmt: skip
    head = ["Class", "Photos", "Recall", "95 % interval", "", "Precision", "Specificity", "F1"]
    return table("Measures per class on the test part", head=head, rows=rows) if rows else EMPTY


def mistakes(record: JsonMapping, images: Mapping[str, UInt8Image]) -> Html:
    """The worst mistakes as pictures: name, actual, predicted, score."""
    rows = tables_at(record, "mistakes")
    if not rows:
        return EMPTY
    outcome = Outcome.of(record)
    cards = [_mistake(row, images.get(str(row.get("name"))), outcome=outcome) for row in rows[:MOST_MISTAKES]]
    rest = len(rows) - MOST_MISTAKES
    more = element("p", f"{rest} more mistakes stand in the run's record.", class_="hint") if rest > 0 else EMPTY
    return join([element("div", *cards, class_="sheet wide"), more])


def number_as(key: str, value: Any) -> str:
    """A measure as it is printed: shares as percentages, rankings and errors as numbers."""
    return percent(value) if key in {*_SHARES, *SHARES} and key not in _POINTS else number(value)


def _measure_rows(record: JsonMapping, measures: JsonMapping) -> list[tuple[str, list[str]]]:
    simple = _largest_class_scores(record, measures)
    rows = []
    for key, (label, meaning) in {**_SHARES, **_ERRORS}.items():
        if not is_number(measures.get(key)):
            continue
        interval = table_at(measures, "intervals").get(key, measures.get(f"{key}_interval"))
        printed = percent_interval(interval) if key in _SHARES and key not in _POINTS else number_interval(interval)
        bar = interval_bar(measures[key], interval, baseline=simple.get(key)) if key in _SHARES else EMPTY
        is_mean = key in _OF_POSITIVE and record.get("positive") is None
        title = join([label, element("span", "mean of the classes" if is_mean else meaning, class_="meaning")])
        rows.append((key, [title, number_as(key, measures[key]), printed, bar, number_as(key, simple.get(key))]))
    return rows


def _regression_rows(measures: JsonMapping) -> list[tuple[str, list[str]]]:
    rows = []
    for key, label in _REGRESSION.items():
        if is_number(measures.get(key)):
            interval = number_interval(table_at(measures, "intervals").get(key))
            simple = 0.0 if key == "r2" else baseline_error(measures, key)
            rows.append((key, [label, number(measures[key]), interval, EMPTY, number(simple)]))
    return rows


def _largest_class_scores(record: JsonMapping, measures: JsonMapping) -> dict[str, float]:
    """What follows from the class counts alone for an inspector that always names the largest class."""
    sizes = [sum(row) for row in matrix_at(measures)]
    scores = {"roc_auc": 0.5}
    if is_number(measures.get("majority_accuracy")):
        scores["accuracy"] = scores["accuracy_at_half"] = measures["majority_accuracy"]
    if not sizes or not sum(sizes):
        return scores
    scores["balanced_accuracy"] = 1 / len(sizes)
    share = max(sizes) / sum(sizes)
    scores["f1_macro"] = 2 * share / (1 + share) / len(sizes)
    outcome = Outcome.of(record)
    if outcome is not None and outcome.bad == (record.get("positive"),):
        is_bad_largest = class_names(record)[sizes.index(max(sizes))] in outcome.bad
        scores["recall"], scores["specificity"] = float(is_bad_largest), float(not is_bad_largest)
        scores["pr_auc"] = outcome.bad_photos / sum(sizes)
    return scores


def _confusion_row(at: int, *, matrix: list[list[int]], classes: list[str], outcome: Outcome | None) -> Html:
    total = sum(matrix[at])
    cells = []
    for column, photos in enumerate(matrix[at]):
        share = photos / total if total else 0.0
        kind = "right" if column == at else "wrong"
        detail = percent(share) if len(classes) <= _WIDE_MATRIX and photos else ""
        word = _cell_word(classes[at], classes[column], outcome=outcome) if photos else ""
        note = element("span", " · ".join(filter(None, [detail, word])), class_="meaning") if detail or word else None
        cells.append(element("td", number(photos), note, class_=f"num {kind} heat{round(10 * share)}"))
    row_head = element("th", name(classes[at]), scope="row")
    return element("tr", row_head, *cells, element("td", number(total), class_="num"))


def _cell_word(actual: str, predicted: str, *, outcome: Outcome | None) -> str:
    if outcome is None or actual == predicted:
        return ""
    if actual in outcome.bad and predicted in outcome.good:
        return "missed"
    return "false alarm" if actual in outcome.good and predicted in outcome.bad else ""


def _mistake(row: Mapping[str, Any], image: UInt8Image | None, *, outcome: Outcome | None) -> Html:
    title, label, predicted = str(row.get("name", "")), row.get("label"), row.get("predicted")
    alt = f"Photo {title}: actual {shown_answer(label)}, predicted {shown_answer(predicted)}"
    shown = picture(image, alt=alt) if image is not None else element("div", "no picture", class_="no-picture")
    word = _cell_word(str(label), str(predicted), outcome=outcome)
    has_score = is_number(row.get("score")) and not is_number(predicted)  # of a number it is the prediction itself
    score = element("span", f"score {number(row.get('score'))}", class_="score") if has_score else None
    caption = element(
        "figcaption",
        element("span", name(title), class_="file"),
        element("span", "is ", name(shown_answer(label)), ", called ", name(shown_answer(predicted))),
        element("span", score, element("span", word, class_="tag") if word else None),
    )
    return element("figure", shown, caption, class_="photo")
