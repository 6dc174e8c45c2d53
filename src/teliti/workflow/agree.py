"""Agree: how far several inspectors, repeated shots and a net agree on labels, and which photos to label again.

The file has a line for each judgement or each photo:

- `path,rater,label`: one judgement a line; a rater who judged a photo twice is compared with himself;
- `path,NAME,NAME,...`: one photo a line, a column for each rater.

A `group` column names the part that photos show: repeated shots of one part should get one label. The net's labels
are a rater's of the file, or a bundle gives them here (`agreement.net`).
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from teliti.errors import UserError
from teliti.files import spreadsheet_cell, write_json_atomic, write_text_atomic
from teliti.metrics.agreement import (
    MISSING,
    agreement_interval,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
)
from teliti.metrics.intervals import wilson_interval
from teliti.report.wording import count
from teliti.types import IntArray, Record, Reporter, SilentReporter
from teliti.workflow.agreement.judgements import Judgements, read_judgements
from teliti.workflow.agreement.net import ask_net

RECORD, QUEUE = "agree.json", "relabel.csv"
_NET = "net"
_PRINTED = 4
_WORDS = ((0.8, "almost perfect"), (0.6, "substantial"), (0.4, "moderate"), (0.2, "fair"), (0.0, "slight"))


def agree(
    labels: str | Path,
    *,
    net: str | None = None,
    bundle: str | Path | None = None,
    photos: str | Path | None = None,
    out: str | Path | None = None,
    seed: int = 7,
    reporter: Reporter | None = None,
) -> Record:
    """Measure agreement, and list the photos that should be looked at again.

    Args:
        labels: The file of judgements.
        net: Name of the rater that is a net: it is compared with the people and left out of the agreement among them.
            With a bundle: what to call it.
        bundle: A bundle that judges the photos of the file, as one more rater; None: the file alone.
        photos: The folder that the file's paths start from, for the bundle; None: that of the file.
        out: A folder for agree.json and relabel.csv; None writes nothing.
        seed: Of the bootstrap draws.
        reporter: Told how far the bundle is.

    Returns:
        {"schema", "source", "photos", "raters", "classes", "asked", "people", "pairs", "net", "repeats", "parts",
        "queue", "sentences"}; an agreement is {"value", "interval", "photos"}, null where it is undefined; "asked" says
        what the bundle judged.

    Raises:
        CatalogError: wrong rows; `problems` has every one with its line.
        BundleError: missing or damaged bundle.
        UserError: fewer than two raters without repeats, a net that is no rater, or labels that a bundle does not know.
    """
    judged, asked = read_judgements(Path(labels)), None
    if bundle is not None:
        net = net or _NET
        asked = _ask(judged, net, bundle=str(bundle), labels=Path(labels), photos=photos, reporter=reporter)
    elif photos is not None:
        raise UserError("--photos must stand beside --bundle, got it alone.", hint="Name the bundle that shall judge.")
    elif net is not None and net not in judged.raters:
        raise UserError(
            f'--net must be one of {", ".join(judged.raters)}, got "{net}".',
            hint="Name a rater of the file, or give the net itself with --bundle.",
        )
    record = _measure(judged, net, source=str(labels), asked=asked, seed=seed)
    record["sentences"] = say_agreement(record)
    if out is not None:
        folder = Path(out)
        record["table"] = str(folder / QUEUE)
        _write_queue(folder / QUEUE, record["queue"], judged.raters)
        write_json_atomic(folder / RECORD, record)
    return record


def _measure(judged: Judgements, net: str | None, *, source: str, asked: Record | None, seed: int) -> Record:
    """All numbers of the record."""
    people = [rater for rater in judged.raters if rater != net]
    record: Record = {
        "schema": 1,
        "source": source,
        "photos": len(judged.first),
        "raters": judged.raters,
        "classes": sorted({label for own in judged.first.values() for label in own.values()}),
        "asked": asked,
        "people": _among(judged, people, seed=seed),
        "pairs": [_pair(judged, *both, seed=seed) for both in combinations(people, 2)],
        "net": [_pair(judged, rater, net, seed=seed) for rater in people] if net is not None else None,
        "repeats": [_repeat(rater, pairs, seed=seed) for rater, pairs in judged.again.items()],
        "parts": _parts(judged, judged.raters),
        "queue": _queue(judged, people, net),
    }
    if record["people"] is None and not (record["repeats"] or record["parts"] or record["net"]):
        raise UserError(
            f'"{source}" must have at least two raters, or one who judged photos twice, got {len(people)}.',
            hint="Columns: path,rater,label, or path and a column for each rater.",
        )
    return record


def say_agreement(record: Record) -> list[str]:
    """What the numbers mean, from the record alone."""
    sentences = _say_asked(record)
    people = record["people"]
    if people is not None and people["value"] is not None:
        sentences.append(
            f"{people['raters']} people agree on {count(people['photos'], 'photo')}: "
            f"{_strength(people['value'])} agreement ({people['measure']} {_shown(people)})."
        )
    for row in record["net"] or ():
        if row["value"] is not None:
            sentences.append(
                f"{row['second']} and {row['first']}: {_strength(row['value'])} agreement (kappa {_shown(row)})."
            )
    for row in record["repeats"]:
        low, high = row["interval"] or (row["same"], row["same"])
        sentences.append(
            f"{row['rater']} repeats the own label for {row['same']:.1%} of {count(row['photos'], 'photo')} "
            f"judged twice ({low:.1%} to {high:.1%})."
        )
    for row in record["parts"]:
        sentences.append(
            f"{row['rater']} gave all shots of a part one label for {row['same']:.1%} of {count(row['parts'], 'part')}."
        )
    queue = len(record["queue"])
    if queue:
        sentences.append(
            f"{count(queue, 'photo')} {'is' if queue == 1 else 'are'} in the queue to be labelled again, the most "
            "disputed first."
        )
    best = (people or {}).get("value")
    if best is not None and best < 0.6:
        sentences.append("No inspector can be better than the labels it learns: settle what the classes mean first.")
    return sentences


def _ask(
    judged: Judgements, net: str, *, bundle: str, labels: Path, photos: str | Path | None, reporter: Reporter | None
) -> Record:
    """Add the judgements of a bundle to those of the file."""
    if net in judged.raters:
        raise UserError(
            f'The net must have a name that no rater of "{labels}" has, got "{net}".',
            hint="Call it otherwise with --net; or leave --bundle out, where its labels stand in the file.",
        )
    said = {label for own in judged.said.values() for of_rater in own.values() for label in of_rater}
    folder = labels.absolute().parent if photos is None else Path(photos)
    answers = ask_net(bundle, list(judged.first), said=said, photos=folder, reporter=reporter or SilentReporter())
    for path, label in answers.labels.items():
        judged.add(path, net, label)
    return answers.to_record(bundle)


def _say_asked(record: Record) -> list[str]:
    """What the bundle judged of the photos, and what it did not."""
    asked = record.get("asked")
    if not asked:
        return []
    left = []
    if asked["undecided"]:
        left.append(f"{asked['undecided']:,} it leaves to a person")
    if asked["unread"]:
        first = asked["unread"][0]
        left.append(f"{len(asked['unread']):,} could not be read (first: {first['path']}, {first['reason']})")
    words = f"The bundle judged {asked['judged']:,} of {count(record['photos'], 'photo')}"
    return [f"{words}; {', '.join(left)}." if left else f"{words}."]


def _ratings(judged: Judgements, raters: Sequence[str]) -> IntArray:
    """(N, R) class index of each photo and rater, `MISSING` where he did not judge it."""
    numbers: dict[str, int] = {}
    rows = [
        [numbers.setdefault(own[rater], len(numbers)) if rater in own else MISSING for rater in raters]
        for own in judged.first.values()
    ]
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(raters))


def _among(judged: Judgements, people: Sequence[str], *, seed: int) -> Record | None:
    """Agreement among all people: Cohen's kappa of two, Fleiss' of more, Krippendorff's alpha with gaps."""
    if len(people) < 2:
        return None
    ratings = _ratings(judged, people)
    whole = not (ratings == MISSING).any()
    if whole and len(people) == 2:
        row = _pair(judged, people[0], people[1], seed=seed)
        return {"measure": "Cohen's kappa", "raters": 2, **{key: row[key] for key in ("value", "interval", "photos")}}
    measure = fleiss_kappa if whole else krippendorff_alpha
    ratings = ratings[(ratings != MISSING).sum(axis=1) > 1]
    if not len(ratings):
        return None
    interval = agreement_interval(lambda weights: measure(ratings, weights=weights), len(ratings), seed=seed)
    return {
        "measure": "Fleiss' kappa" if whole else "Krippendorff's alpha",
        "raters": len(people),
        **_measured(measure(ratings), interval, len(ratings)),
    }


def _pair(judged: Judgements, first: str, second: str, *, seed: int) -> Record:
    ratings = _ratings(judged, [first, second])
    ratings = ratings[(ratings != MISSING).all(axis=1)]
    named = {"first": first, "second": second}
    if not len(ratings):
        return {**named, **_measured(float("nan"), None, 0), "same": None}
    one, other = ratings[:, 0], ratings[:, 1]
    interval = agreement_interval(lambda weights: cohen_kappa(one, other, weights=weights), len(one), seed=seed)
    same = round(float((one == other).mean()), _PRINTED)
    return {**named, **_measured(cohen_kappa(one, other), interval, len(one)), "same": same}


def _repeat(rater: str, pairs: Sequence[tuple[str, str]], *, seed: int) -> Record:
    """How often a rater repeats the own label, with kappa against chance."""
    numbers: dict[str, int] = {}
    ratings = np.array([[numbers.setdefault(label, len(numbers)) for label in pair] for pair in pairs], dtype=np.int64)
    one, other = ratings[:, 0], ratings[:, 1]
    same = int((one == other).sum())
    interval = agreement_interval(lambda weights: cohen_kappa(one, other, weights=weights), len(one), seed=seed)
    return {
        "rater": rater,
        "photos": len(pairs),
        "same": round(same / len(pairs), _PRINTED),
        "interval": _plain(wilson_interval(same, len(pairs))),
        "kappa": _measured(cohen_kappa(one, other), interval, len(one)),
    }


def _parts(judged: Judgements, raters: Sequence[str]) -> list[Record]:
    """For each rater, the net too, the share of parts with several shots that got one label."""
    rows = []
    for rater in raters:
        labels: dict[str, list[str]] = {}
        for path, group in judged.groups.items():
            if rater in judged.first.get(path, {}):
                labels.setdefault(group, []).append(judged.first[path][rater])
        several = [own for own in labels.values() if len(own) > 1]
        same = sum(len(set(own)) == 1 for own in several)
        if several:
            share = round(same / len(several), _PRINTED)
            interval = _plain(wilson_interval(same, len(several)))
            rows.append({"rater": rater, "parts": len(several), "same": share, "interval": interval})
    return rows


def _queue(judged: Judgements, people: Sequence[str], net: str | None) -> list[Record]:
    """Photos that are judged differently by people, by one person twice, by the net, or unlike other shots of the part.

    The most disputed come first.
    """
    votes = {path: _votes(said, people) for path, said in judged.said.items()}
    majority = {path: own.most_common(1)[0][0] for path, own in votes.items() if own}
    of_part: dict[str, set[str]] = {}
    for path, group in judged.groups.items():
        if path in majority:
            of_part.setdefault(group, set()).add(majority[path])
    rows = []
    for path, label in majority.items():
        said = judged.said[path]
        disputed = 1.0 - votes[path][label] / votes[path].total()
        against = net is not None and any(one != label for one in said.get(net, ()))
        shots_differ = len(of_part.get(judged.groups.get(path, ""), ())) > 1
        if disputed > 0.0 or against or shots_differ:
            rows.append({
                "path": path, "disputed": round(disputed, _PRINTED), "majority": label, "net_differs": against,
                "shots_differ": shots_differ,
                "labels": {rater: " / ".join(dict.fromkeys(said[rater])) for rater in judged.raters if rater in said},
            })  # fmt: skip
    return sorted(rows, key=lambda row: (-row["disputed"], not row["net_differs"], row["path"]))


def _votes(said: Mapping[str, Sequence[str]], people: Sequence[str]) -> Counter[str]:
    return Counter(label for rater in people for label in said.get(rater, ()))


def _write_queue(path: Path, queue: Sequence[Record], raters: Sequence[str]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["path", "action", "label", "disputed", "majority", *map(spreadsheet_cell, raters)])
    for row in queue:
        own: Mapping[str, str] = row["labels"]
        cells = [
            row["path"],
            "",
            "",
            f"{row['disputed']:g}",
            row["majority"],
            *(own.get(rater, "") for rater in raters),
        ]
        writer.writerow([spreadsheet_cell(cell) for cell in cells])
    write_text_atomic(path, text.getvalue())


def _measured(value: float, interval: tuple[float, float] | None, photos: int) -> Record:
    known = None if np.isnan(value) else round(value, _PRINTED)
    return {"value": known, "interval": _plain(interval), "photos": photos}


def _plain(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else [round(end, _PRINTED) for end in interval]


def _shown(row: Record) -> str:
    interval = row["interval"]
    return f"{row['value']:.2f}" + (f", {interval[0]:.2f} to {interval[1]:.2f}" if interval else "")


def _strength(value: float) -> str:
    """Landis and Koch, "The measurement of observer agreement for categorical data" (1977), table 2."""
    return next((word for least, word in _WORDS if value >= least), "worse than chance")
