"""What the limits of a stress mean for whoever sets the camera up: one sentence a sweep, from its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from teliti.report.number_words import numbers_in_words, tolerance_sentence
from teliti.report.reading import is_regression, table_at, tables_at
from teliti.report.wording import (
    count,
    is_interval,
    is_number,
    listed,
    number,
    number_interval,
    percent,
    percent_interval,
)
from teliti.types import JsonMapping, Record


@dataclass(frozen=True, slots=True)
class _Words:
    """How a sweep is told.

    Attributes:
        title: What it is called.
        may: How far it may go, with a place for the level.
        never: What is said where not even the mildest change holds.
        unit: A level with its unit, short.
        of: What follows the level where it is first told.
        scale: What a level is multiplied with to be told.
    """

    title: str
    may: str
    never: str
    unit: str
    of: str = ""
    scale: float = 1.0


_PERCENT = "{} %"
_WORDS: Mapping[str, _Words] = {
    "darker": _Words(
        "Less light", "Light may fall to {}", "Light must not fall", _PERCENT, of=" of what it was", scale=100.0
    ),
    "brighter": _Words(
        "More light", "Light may rise to {}", "Light must not rise", _PERCENT, of=" of what it was", scale=100.0
    ),
    "tint": _Words(
        "Colour of the light", "Red may rise and blue fall by {}, or the other way round",
        "The colour of the light must not change", "{} grey levels",
    ),
    "blur": _Words(
        "Focus", "Blur may reach {}", "The picture must stay as sharp as it is", "{} pixels",
        of=" (standard deviation, in a photo of 300 pixels)",
    ),
    "pixels": _Words(
        "Pixels of the camera", "Photos may shrink to {}", "Photos must not have fewer pixels", _PERCENT,
        of=" of their height and width", scale=100.0,
    ),
    "noise": _Words("Noise", "Noise may reach {}", "There must not be more noise", "{} grey levels"),
    "jpeg": _Words("JPEG", "Photos may be saved as JPEG of {}", "Photos must not be saved as JPEG", "quality {}"),
    "rotation": _Words(
        "Turned parts", "Parts may lie turned by {}", "Parts must not lie turned", "{} degrees", of=" either way"
    ),
    "shift": _Words(
        "Shifted parts", "Parts may lie {}", "Parts must not be shifted", _PERCENT,
        of=" of the picture's side away from their place", scale=100.0,
    ),
    "smaller": _Words(
        "Camera farther away", "The camera may stand farther away, until parts look {}",
        "The camera must not stand farther away", _PERCENT, of=" as large", scale=100.0,
    ),
    "larger": _Words(
        "Camera nearer", "The camera may stand nearer, until parts look {}", "The camera must not stand nearer",
        _PERCENT, of=" as large", scale=100.0,
    ),
    "occlusion": _Words(
        "Dirt, glare, hands", "Something may cover {}", "Nothing may cover the picture", _PERCENT, of=" of the picture",
        scale=100.0,
    ),
}  # fmt: skip


def title_of(sweep: str) -> str:
    """What a sweep is called on pages."""
    return _WORDS[sweep].title


def level_words(sweep: str, level: float) -> str:
    """A level with its unit: "70 %", "1 degree"."""
    number = f"{round(_WORDS[sweep].scale * level, 6):g}"
    unit = _WORDS[sweep].unit
    return (unit.removesuffix("s") if number == "1" else unit).format(number)


def short_level(sweep: str, level: float) -> str:
    """A level as a tick of an axis: "70 %", "1"."""
    words = _WORDS[sweep]
    return f"{round(words.scale * level, 6):g}{' %' if words.unit == _PERCENT else ''}"


def limit_sentence(row: JsonMapping) -> str:
    """How far one sweep may go.

    Args:
        row: One of the record's `sweeps`.
    """
    sweep = str(row["name"])
    words, broken, about = _WORDS[sweep], row["first_broken"], row.get("about") or "verdicts"
    if row["why_not"]:
        return f"{words.title} was not tried: {row['why_not']}."
    at = "" if broken is None else f"at {level_words(sweep, broken)}"
    if row["limit"] == row["neutral"]:
        return f"{words.never}: {at} {about} no longer hold."
    held = words.may.format(level_words(sweep, row["limit"]) + words.of)
    return f"{held}; {f'{at} no longer' if at else 'further was not tried'}."


def card_sentences(record: JsonMapping) -> list[Record]:
    """The card: {"name", "title", "sentence"} of every sweep, in its order."""
    return [
        {"name": row["name"], "title": title_of(str(row["name"])), "sentence": limit_sentence(row)}
        for row in tables_at(record, "sweeps")
    ]


def bounds_sentence(record: JsonMapping) -> str:
    """What "hold" means, and on how many photos it was seen."""
    bounds, photos = table_at(record, "bounds"), count(record.get("photos"), "photo")
    if is_regression(record):
        tolerance = table_at(record, "tolerance")
        by = numbers_in_words(table_at(tolerance, "values"))
        said = (
            f"Numbers hold while at most {100 * bounds['changed']:g} % of them move by more than {by} and the mean "
            f"absolute error rises by no more than that, seen on {photos}."
        )
        return f"{said} {tolerance_sentence(tolerance, whose='the bundle')}".strip()
    alone = " (or one photo)" if bounds["loss"] else ""
    return (
        f"Verdicts hold while at most {100 * bounds['changed']:g} % of them change and accuracy falls, or the miss "
        f"rate rises, by at most {100 * bounds['loss']:g} points{alone}, seen on "
        f"{photos}."
    )


def clean_sentence(record: JsonMapping) -> str:
    """How good the verdicts are on the photos as they are."""
    clean = table_at(record, "clean")
    if is_regression(record):
        return f"As they are, the numbers of the photos err by {error_words(tables_at(clean, 'errors'))} on average."
    said = f"As they are, {percent(clean.get('accuracy'))} of the photos get the right answer"
    if is_interval(clean.get("accuracy_interval")):
        said += f" (95 % interval {percent_interval(clean['accuracy_interval'])})"
    if is_number(clean.get("miss_rate")):
        said += f", and {percent(clean['miss_rate'])} of {count(clean.get('bad'), 'photo')} that must not pass do pass"
        if is_interval(clean.get("miss_rate_interval")):
            said += f" ({percent_interval(clean['miss_rate_interval'])})"
    return f"{said}."


def error_words(rows: Sequence[JsonMapping]) -> str:
    """Mean absolute errors with their intervals, of several numbers each with its name."""
    said = []
    for row in rows:
        spread = f" (95 % interval {number_interval(row['interval'])})" if is_interval(row.get("interval")) else ""
        name = f"{row['name']} " if len(rows) > 1 else ""
        said.append(f"{name}{number(row.get('mae'))}{spread}")
    return listed(said)


def kept_sentence(record: JsonMapping) -> str:
    """What became of the limits."""
    if record.get("envelope") is None:
        return "The bundle keeps no envelope: train it with decide.envelope for warnings."
    if not record.get("updated"):
        return "The bundle was left as it was."
    does = "shows to a person" if table_at(record, "envelope").get("action") == "review" else "warns of"
    return (
        f"The limits stand in the bundle now, and predict {does} photos outside. What runs with it must be restarted."
    )
