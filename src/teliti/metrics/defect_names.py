"""Which class is the defect when the user did not say: by the names, else by the counts."""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
from collections.abc import Sequence
from typing import Literal

from teliti.errors import RecipeError
from teliti.registry import closest

_Sense = Literal["good", "bad"]

_GOOD_WORDS = re.compile(
    "good|ok|okay|go|io|gut|pass|passed|passes|passing|normal|functional|functioning|working|free|fine|perfect|clean|"
    "intact|healthy|accept|acceptable|accepted|conform|conforming|conformant|correct|valid|sound|flawless"
)
_BAD_WORDS = re.compile(
    "bad|ng|nok|nio|ko|dents?|dented|rust|rusty|rusted|scrap|scrapped|burrs?|torn|tears?|stains?|stained|wrong|missing|"
    "poor|holes?|blowholes?|porosity|leak|leaking|chipped|bent|"
    "(def|fail|fault|reject|crack|scratch|damag|broken|anomal|abnormal|contamin|malfunction|corrod|corros|flaw).*"
)
_NEGATIONS = frozenset({"not", "no", "non", "without", "never"})
_OPPOSITES = re.compile("(?:non|not|un|no)(.+)")  # "undamaged", "notok"
_OPPOSITES_OF_GOOD = re.compile("(?:in|im|dys|mal)(.+)")  # "imperfect"; but "indent" is no good news
_WORD = re.compile(r"[^\W\d_]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_INITIAL = re.compile(r"\b([A-Za-z])\.(?=[A-Za-z]\b)")  # "N.G."
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_TOML_WORDS = frozenset({"true", "false", "inf", "nan"})


def pick_positive(
    classes: Sequence[str], counts: Sequence[int], wanted: str | None, *, pass_classes: Sequence[str] = ()
) -> tuple[str | None, str]:
    """The class whose misses cost most, and the sentence that says why and how to change it.

    The user's choice counts first. Without one, of two classes the one that does not pass; else the one whose name
    says defect, or whose opposite's name says good; else the rarer. More than two classes have none.

    Args:
        classes: Class names.
        counts: Photos of each class, in the same order.
        wanted: The recipe's `data.positive`.
        pass_classes: The recipe's `data.pass`.

    Raises:
        RecipeError: `wanted` is none of the classes.
    """
    if wanted is not None:
        check_class("data.positive", wanted, classes)
        return wanted, f'"{wanted}" is the positive class, as data.positive says.'
    if len(classes) != 2:
        return None, _say_none(classes, pass_classes)
    rejected = [name for name in classes if name not in pass_classes]
    if len(rejected) == 1:
        return rejected[0], f'"{rejected[0]}" is the positive class, as data.pass leaves it.'
    place, reason = _pick_of_two(classes, counts)
    change = _setting("data.positive", classes[1 - place])
    return classes[place], f'"{classes[place]}" is the positive class, because {reason}; change it with {change}.'


def _say_none(classes: Sequence[str], pass_classes: Sequence[str]) -> str:
    if not classes:
        return ""
    if pass_classes:
        return (
            f"{listed_names(pass_classes)} pass{'es' if len(pass_classes) == 1 else ''}, any other class is a reject."
        )
    return (
        f"With {len(classes)} classes the most probable one is the answer; name the defect with "
        f"{_setting('data.positive', classes[0])}, or the classes that pass with data.pass."
    )


def _pick_of_two(classes: Sequence[str], counts: Sequence[int]) -> tuple[int, str]:
    senses = [_sense(name) for name in classes]
    for sense, flip, reason in (("bad", 0, "its name says defect"), ("good", 1, 'the name of "{}" says good')):
        if senses.count(sense) == 1:  # type: ignore[arg-type]
            place = senses.index(sense)  # type: ignore[arg-type]
            return place ^ flip, reason.format(classes[place])
    if counts[0] == counts[1]:
        return 1, "both have as many photos and it is the second name"
    place = 0 if counts[0] < counts[1] else 1
    return place, f"it is the rarer one, {counts[place]} photos of {sum(counts)}"


def _sense(name: str) -> _Sense | None:
    """Whether a class name says good or bad, or neither. "not ok", "defect-free" and "noCrack" are understood."""
    text = _HUMP.sub(" ", _INITIAL.sub(r"\1", unicodedata.normalize("NFKC", name)))
    found: list[_Sense] = []
    negated = False
    freed = False
    for word in _WORD.findall(text.casefold()):
        if word in _NEGATIONS:
            negated = not negated
            continue
        sense = _word_sense(word)
        if sense is not None:
            freed = freed or (word == "free" and not negated)
            found.append(_opposite(sense) if negated else sense)
            negated = False
    if freed:
        return "good"
    return "bad" if "bad" in found else next(iter(found), None)


def _word_sense(word: str) -> _Sense | None:
    if _GOOD_WORDS.fullmatch(word):
        return "good"
    if any(word.endswith(ending) and _word_sense(word.removesuffix(ending)) == "bad" for ending in ("free", "less")):
        return "good"
    if _BAD_WORDS.fullmatch(word):
        return "bad"
    if (whole := _OPPOSITES.fullmatch(word)) and (inner := _word_sense(whole[1])):
        return _opposite(inner)
    if (whole := _OPPOSITES_OF_GOOD.fullmatch(word)) and _GOOD_WORDS.fullmatch(whole[1]):
        return "bad"
    return None


def _opposite(sense: _Sense) -> _Sense:
    return "bad" if sense == "good" else "good"


def _setting(key: str, name: str) -> str:
    """The command-line option that sets a key to a class name, quoted for the shell."""
    plain = _PLAIN_NAME.fullmatch(name) and name.casefold() not in _TOML_WORDS
    return "--set " + shlex.quote(f"{key}={name if plain else json.dumps(name, ensure_ascii=False)}")


def check_class(key: str, name: str, classes: Sequence[str]) -> None:
    """Refuse a name that is none of the classes.

    Args:
        key: The recipe's key that names it.
        name: What it says.
        classes: Class names.

    Raises:
        RecipeError: `name` is none of them.
    """
    if name not in classes:
        near = closest(name, classes)
        raise RecipeError(
            f'{key} must be one of {listed_names(classes)}, got "{name}".',
            hint=f'Did you mean "{near}"?' if near else "Choose one of them.",
        )


def listed_names(names: Sequence[str]) -> str:
    """Class names in a sentence, each between quotation marks."""
    return ", ".join(f'"{name}"' for name in names)
