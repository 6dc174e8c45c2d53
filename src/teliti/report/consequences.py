"""What the decision means in sentences, from its record alone: for the page, the card and the terminal alike."""

from __future__ import annotations

from teliti.report.reading import is_folds, table_at, tables_at
from teliti.report.story import calibration_words
from teliti.report.wording import count, is_interval, is_number, number, percent, percent_interval
from teliti.types import JsonMapping


def decision_sentences(record: JsonMapping) -> list[str]:
    """Who looks at what, what the automatic verdicts are worth, what they cost; empty where nothing was decided."""
    parts = (_limits, _looked_at, _automatic, _costs, _honesty, _calibration)
    return [sentence for part in parts for sentence in part(record)]


def preset_sentences(record: JsonMapping) -> list[str]:
    """Two ways to lean, each by its consequence on the measured photos."""
    return [str(row["sentence"]) for row in tables_at(record, "decision", "explorer", "presets") if "sentence" in row]


def explorer_note(record: JsonMapping, *, shown: int) -> str:
    """How many thresholds there are beside those shown, and what looks and costs of another threshold count.

    Args:
        record: Of a run.
        shown: How many stand in the table.
    """
    found, rows = table_at(record, "decision", "explorer"), tables_at(record, "decision", "explorer", "rows")
    every = found.get("thresholds")
    kept = "all of them" if not is_number(every) or len(rows) >= int(str(every)) else f"{len(rows):,} of them"
    words = [f"{shown:,} of {number(every if is_number(every) else len(rows))} thresholds; metrics.json holds {kept}."]
    if any(row.get("reviewed") for row in rows):
        words.append(
            "Counts and shares of found, missed and rejected parts are those of the score alone. A person sees the "
            "grey band, stretched to a threshold outside it, and the photos that look new; looks are part of the cost."
        )
    return " ".join(words)


def _limits(record: JsonMapping) -> list[str]:
    sentence = table_at(record, "threshold", "review").get("sentence")
    proof = table_at(record, "threshold").get("proven")
    warned = (
        "The proof is about the scores of heads that never saw a photo; the shipped head was fitted on all of them."
        if proof and is_folds(record)
        else None
    )
    held = "A proof holds for parts drawn as these photos were, each on its own." if proof else None
    return [str(one) for one in (sentence, held, warned) if one]


def _looked_at(record: JsonMapping) -> list[str]:
    found = table_at(record, "decision", "three_verdicts")
    if not is_number(found.get("photos")):
        return []
    interval = found.get("interval")
    spread = f" (95 % interval {percent_interval(interval)})" if is_interval(interval) else ""
    new = found.get("as_new", 0)
    because = f", {number(new)} of them because they look new" if found.get("reviewed") else ""
    return [
        f"{number(found['reviewed'])} of {count(found['photos'], 'photo')}, {percent(found['review_share'])}{spread}, "
        f"would be shown to a person{because}."
    ]


def _automatic(record: JsonMapping) -> list[str]:
    found = table_at(record, "decision", "three_verdicts")
    if not found.get("automatic") or not is_number(found.get("accuracy")):
        return []
    words = [f"Of the {number(found['automatic'])} verdicts that nobody checks {percent(found['accuracy'])} are right."]
    if is_number(found.get("missed")) and found.get("bad"):
        words.append(
            f"Of {count(found['bad'], 'defective photo')} {number(found['missed'])} passed unseen "
            f"(with 95 % confidence at most {percent(found['miss_rate_upper'])}), and a person saw "
            f"{number(found['caught'])}; of {count(found['good'], 'good one')} {number(found['false_alarms'])} were "
            "rejected."
        )
    return [" ".join(words)]


def _costs(record: JsonMapping) -> list[str]:
    found = table_at(record, "decision", "economy")
    rows = {row.get("policy"): row for row in tables_at(record, "decision", "economy", "rows")}
    own = rows.get("this inspector")
    if own is None:
        return []
    others = [(str(name), row["cost"]) for name, row in rows.items() if name != "this inspector"]
    cheapest = min(others, key=lambda pair: pair[1])
    interval = own.get("interval")
    spread = f" (95 % interval {amount(interval[0])} to {amount(interval[1])})" if is_interval(interval) else ""
    difference = cheapest[1] - own["cost"]
    verdict = f"{amount(abs(difference))} {'less' if difference >= 0 else 'more'} than “{cheapest[0]}”"
    return [
        f"Expected cost {found.get('unit')}, with {percent(found.get('defect_rate'))} defects: {amount(own['cost'])}"
        f"{spread}, {verdict}, the cheapest of the simple policies. Of {amount(found.get('parts'))} parts "
        f"{amount(own['misses'])} defects would pass, {amount(own['false_alarms'])} good parts be rejected, "
        f"{amount(own['looks'])} be shown to a person."
    ]


def _honesty(record: JsonMapping) -> list[str]:
    found = table_at(record, "decision", "reliability")
    if not is_number(found.get("error")):
        return []
    interval = found.get("interval")
    spread = f" (95 % interval {percent_interval(interval)})" if is_interval(interval) else ""
    expected = found.get("expected")
    chance = f"; with so few photos right probabilities would show {percent(expected)}" if is_number(expected) else ""
    what = "probability of the most probable class" if found.get("of") == "class" else "probability"
    return [f"Stated {what} and observed share lie {percent(found['error'])} apart on average{spread}{chance}."]


def _calibration(record: JsonMapping) -> list[str]:
    """How decision values became probabilities, where it was recorded."""
    sentence, words = table_at(record, "history", "calibration_choice").get("sentence"), calibration_words(record)
    return [f"Probabilities are {f'made by {words}' if words else 'not calibrated'}. {sentence}"] if sentence else []


def amount(value: object) -> str:
    """Money or parts: whole numbers from a hundred on, else one decimal."""
    if not is_number(value):
        return number(value)
    size = float(str(value))
    return f"{size:,.0f}" if abs(size) >= 100 or size.is_integer() else f"{size:,.1f}"
