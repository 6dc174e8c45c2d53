"""Stress: how far light, blur, place and cover may go before verdicts change, measured with the bundle's own path.

Every photo is decoded once; each level changes the pixels and asks the predictor. What was found is told as a page, as
a card for whoever sets the camera up, and as the envelope of the bundle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from teliti import __version__
from teliti.bundle import MANIFEST, amend_envelope
from teliti.data.decoded import DecodedPhotos, read_photo
from teliti.errors import CatalogError, PhotoRefused, UserError
from teliti.files import hash_file, write_json_atomic, write_text_atomic
from teliti.metrics.intervals import wilson_interval
from teliti.metrics.number_rule import NumberRule
from teliti.metrics.number_stress import number_errors
from teliti.metrics.stress import Bounds, too_few_sentence
from teliti.predictor import Predictor
from teliti.registry import closest
from teliti.report.stress_page import render_card, render_stress
from teliti.report.stress_words import card_sentences
from teliti.transforms.sweeps import SWEEP_NAMES, SWEEPS, Sweep
from teliti.types import Prediction, Record, Reporter, Sample, SilentReporter, UInt8Image
from teliti.workflow.shared.sealed import even_choice, labelled_photos, photos_of_run, seen_photos
from teliti.workflow.shared.stopwatch import Stopwatch
from teliti.workflow.shared.tolerances import Asked, Tolerance, check_tolerance, names_of, settle_tolerance, values_of
from teliti.workflow.stresses.envelope import narrow_envelope
from teliti.workflow.stresses.sweeping import Stand, Swept, is_bad, numbers_of, run_sweep, verdicts_of

MOST_PHOTOS = 200
REPORT, CARD, RECORD = "stress.html", "card.html", "stress.json"
_FEWEST_UNSEEN = 20


def stress(
    bundle: str | Path,
    source: str | Path | None = None,
    *,
    sweeps: Sequence[str] = (),
    bounds: Bounds | None = None,
    tolerance: float | Mapping[str, float] | None = None,
    most: int = MOST_PHOTOS,
    out: str | Path | None = None,
    update: bool = True,
    reporter: Reporter | None = None,
) -> Record:
    """Make labelled photos worse step by step until verdicts change, and keep the limits in the bundle.

    Args:
        bundle: The bundle's folder.
        source: Labelled photos, of which those are taken that the bundle never saw; None: those of its own run.
        sweeps: Names of `transforms.sweeps.SWEEPS`; empty: all of them.
        bounds: Within what verdicts hold; None: 2 points of loss and a tenth of the verdicts.
        tolerance: Of a bundle that predicts numbers: how far a number may move, of several by name; None: its own mean
            absolute error on the photos as they are.
        most: Photos at most, spread evenly.
        out: A folder for the page, the card and the record; None writes nothing.
        update: Put the limits into the bundle's envelope.
        reporter: Told how far it is; None: nobody is.

    Returns:
        {"schema", "task", "bundle", "source", "photos", "seen", "clean", "bounds", "sweeps", "limits", "card",
        "envelope", "updated", "warnings", ...}; of numbers with `tolerance`.

    Raises:
        BundleError: missing or damaged bundle.
        CatalogError: photos that cannot be used, or labels that the bundle does not know.
        UserError: a tolerance that does not suit the bundle, an unknown sweep, or no photos to take.
    """
    reporter, watch = reporter or SilentReporter(), Stopwatch()
    chosen, predictor = _choose_sweeps(sweeps), Predictor.open(bundle)
    rule = predictor.bundle.answers
    check_tolerance(tolerance, rule)
    samples, seen, told = _choose_photos(predictor, source, most=most)
    decoded = DecodedPhotos()
    with watch.stage("clean"):
        samples, clean = _answer_clean(predictor, samples, decoded, reporter=reporter)
    bad = np.array([is_bad(sample, predictor) for sample in samples])
    stand = Stand(predictor, samples, decoded, bad, bounds or Bounds(), reporter)
    if isinstance(rule, NumberRule):
        stand = replace(stand, tolerance=_settle(tolerance, rule, clean, stand=stand))
    with watch.stage("sweeps"):
        swept = [run_sweep(sweep, clean, stand) for sweep in chosen]
    record: Record = {"schema": 1, "version": __version__, "task": predictor.bundle.task}
    record |= {"bundle": str(bundle), "source": told}
    record |= _measured(swept, clean, seen=seen, stand=stand)
    record["card"] = card_sentences(record)
    _keep(record, swept, clean, stand=stand, update=update)
    record["seconds"] = watch.to_record()
    if out is not None:
        _write(record, Path(out), stand)
    return record


def _settle(asked: Asked, rule: NumberRule, clean: Sequence[Prediction | None], *, stand: Stand) -> Tolerance:
    used = [one for one in clean if one is not None]
    answers = np.array([values_of(one, names_of(rule)) for one in used])
    return settle_tolerance(asked, rule, answers=answers, targets=stand.targets)


def _measured(swept: Sequence[Swept], clean: Sequence[Prediction | None], *, seen: int, stand: Stand) -> Record:
    photos, rows = len(stand.samples), [one.to_record() for one in swept]
    few, told = too_few_sentence(photos, int(stand.bad.sum()), bounds=stand.bounds), stand.tolerance
    return {
        "name": _name(stand.predictor.bundle.path),
        "model_hash": stand.predictor.bundle.model_hash,
        "photos": photos,
        "seen": seen,
        "bounds": stand.bounds.to_record(),
        **({} if told is None else {"tolerance": told.to_record()}),
        "clean": _clean_record(clean, stand),
        "sweeps": rows,
        "limits": {row["name"]: row["limit"] for row in rows if row["limit"] is not None},
        "warnings": [
            *([_FLATTERS.format(seen=seen, photos=photos)] if seen else []),
            *([few] if few and told is None else []),
        ],
    }


_FLATTERS = (
    "{seen} of {photos} photos were used to train this bundle or to choose its threshold: real limits may be narrower. "
    "Give photos that it has not seen."
)


def _name(bundle: Path) -> str:
    """What a bundle is called: its run's folder, or its own where it left it."""
    path = bundle.absolute()
    return path.parent.name if path.name == "bundle" else path.name


def _choose_sweeps(names: Sequence[str]) -> tuple[Sweep, ...]:
    for name in names:
        if name not in SWEEP_NAMES:
            near = closest(name, SWEEP_NAMES)
            raise UserError(
                f'A sweep must be one of {", ".join(SWEEP_NAMES)}, got "{name}".',
                hint=f'Did you mean "{near}"?' if near else "Name some of them, or none for all.",
            )
    return tuple(sweep for sweep in SWEEPS if not names or sweep.name in names)


def _choose_photos(
    predictor: Predictor, source: str | Path | None, *, most: int
) -> tuple[tuple[Sample, ...], int, str]:
    """The photos, how many of them the bundle has seen, and where they come from."""
    if most < 1:
        raise UserError(f"The number of photos must be at least 1, got {most}.", hint="200 take a few minutes.")
    bundle = predictor.bundle
    if source is None:
        own = photos_of_run(bundle)
        if own is None or not own.sealed:
            raise UserError(
                f'"{bundle.path}" has no photos of its own run beside it, and none were named.',
                hint="Name labelled photos: teliti stress BUNDLE DATA.",
            )
        samples, told = own.sealed, own.source
    else:
        samples, told = labelled_photos(source, bundle), str(source)
    if not samples:
        raise CatalogError(f'"{told}" must have labelled photos, got none.', hint="Give a folder of class folders.")
    seen = seen_photos(bundle, samples)
    unseen = [sample for sample, is_seen in zip(samples, seen, strict=True) if not is_seen]
    if len(unseen) >= min(_FEWEST_UNSEEN, len(samples)):
        return tuple(even_choice(unseen, most=most)), 0, told
    taken = even_choice(list(zip(samples, seen, strict=True)), most=most)
    return tuple(sample for sample, _ in taken), sum(is_seen for _, is_seen in taken), told


def _answer_clean(
    predictor: Predictor, samples: tuple[Sample, ...], decoded: DecodedPhotos, *, reporter: Reporter
) -> tuple[tuple[Sample, ...], list[Prediction | None]]:
    """The photos that can be used, and what is said of them as they are."""

    def read(sample: Sample) -> UInt8Image:
        image = read_photo(sample)
        decoded.keep(sample.name, image)
        return image

    used, answers = [], list[Prediction | None]()
    for index, answer in predictor.predict_samples(samples, reporter=reporter, read=read):
        if not isinstance(answer, PhotoRefused):
            used.append(samples[index])
            answers.append(answer)
    if not used:
        raise CatalogError("None of the photos can be used.", hint="`teliti check DATA` says why.")
    return tuple(used), answers


def _clean_record(clean: Sequence[Prediction | None], stand: Stand) -> Record:
    if stand.tolerance is not None:
        values, names = numbers_of(clean, stand.tolerance), tuple(stand.tolerance.values)
        return {"errors": number_errors(values, stand.targets, names=names)}
    said, total = verdicts_of(clean, stand), int(stand.bad.sum())
    right, missed = int(said.right.sum()), int(said.missed.sum())
    return {
        "accuracy": right / len(stand.bad),
        "accuracy_interval": list(wilson_interval(right, len(stand.bad)) or ()),
        "bad": total,
        "missed": missed if total else None,
        "miss_rate": missed / total if total else None,
        "miss_rate_interval": list(wilson_interval(missed, total) or ()) if total else None,
    }


def _keep(
    record: Record, swept: Sequence[Swept], clean: Sequence[Prediction | None], *, stand: Stand, update: bool
) -> None:
    """The envelope with what was measured: in the record, and in the bundle where that is wanted."""
    bundle = stand.predictor.bundle
    envelope = narrow_envelope(
        bundle.envelope, swept, [dict(one.conditions) for one in clean if one is not None], told=record
    )
    record["envelope"] = None if envelope is None else envelope.to_record()
    record["updated"] = update and envelope is not None
    if update and envelope is not None:
        amend_envelope(bundle.path, envelope)
    record["bundle_hash"] = hash_file(bundle.path / MANIFEST)


def _write(record: Record, out: Path, stand: Stand) -> None:
    record["report"], record["card_page"] = str(out / REPORT), str(out / CARD)
    pictures = _pictures(record, stand)
    write_text_atomic(out / REPORT, render_stress(record, pictures))
    write_text_atomic(out / CARD, render_card(record))
    write_json_atomic(out / RECORD, record)


def _pictures(record: Record, stand: Stand) -> dict[str, UInt8Image]:
    """One photo as it is, under "", and by sweep at the limit and at the first level that does not hold."""
    sample = stand.samples[len(stand.samples) // 2]
    photo = stand.decoded.read(sample)
    found = {"": photo}
    by_name = {sweep.name: sweep for sweep in SWEEPS}
    for row in record["sweeps"]:
        for key in ("limit", "first_broken"):
            if row[key] is not None and row[key] != row["neutral"]:
                found[f"{row['name']} {key}"] = by_name[row["name"]].change(photo, row[key], 0)
    return found
