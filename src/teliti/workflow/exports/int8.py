"""The eight-bit network of an export: several ways to round it, and the one that changes least.

Ranges and alignment come from calibration photos, the choice from the validation part of the bundle's run, which no
network learnt from (of an ensemble the partner's head is fitted on it, too); with folds from a fold of its own. The
sealed test part, with folds what is left of them, is for the certificate alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from teliti.bundle import Bundle
from teliti.data.beside import beside_of, levels_up, without_companions
from teliti.data.catalog import list_photos, read_catalog
from teliti.data.loading import load_prepared, map_ahead
from teliti.errors import CatalogError, PhotoRefused, UserError
from teliti.export.alignment import FEATURES, align_onnx, align_openvino, fit_alignment, novelty_factor
from teliti.export.bounds import MOST_CHANGED
from teliti.export.certificate import says
from teliti.export.formats import Target, open_exported, write_onnx, write_openvino
from teliti.predictor import NOVELTY, Predictor, Scores
from teliti.sessions import Session
from teliti.types import Record, Reporter, Sample, Task, UInt8Image
from teliti.workflow.shared.photos import leave_out_companions
from teliti.workflow.shared.sealed import RunPhotos, even_choice, hash_photo

if TYPE_CHECKING:
    from teliti.export.int8 import Ranges

_MOST_CHOOSING = 300
_GOOD_ENOUGH = MOST_CHANGED / 2.0  # of the verdicts on the choosing photos: no further way is tried


@dataclass(frozen=True)
class Int8Photos:
    """What an eight-bit network is made and chosen with.

    Attributes:
        calibration: (H, W, 3) uint8 RGB each, prepared, one a photo: for ranges and alignment.
        choosing: (T, H, W, 3) uint8 RGB each: the pictures of the photos that the choice is made on.
        chosen_on: Which photos these are.
        digests: SHA-256 of all of them, 64 hexadecimal digits each.
    """

    calibration: tuple[UInt8Image, ...]
    choosing: tuple[UInt8Image, ...]
    chosen_on: str
    digests: frozenset[str] = frozenset()


def int8_photos(reference: Predictor, run: RunPhotos | None, calibrate: str | Path | None) -> Int8Photos:
    """Photos to calibrate on and to choose on.

    Args:
        reference: The bundle.
        run: Of the bundle, where it is known; `apart` where it has folds.
        calibrate: Photos that the user named, with or without labels; None takes the run's training photos.

    Raises:
        UserError: there are none, or none can be used.
    """
    from teliti.export.int8 import MOST_PHOTOS

    if calibrate is not None:
        samples: Sequence[Sample] = _unlabelled(str(calibrate), reference.bundle)
    elif run is not None:
        samples = run.learnt
    else:
        raise UserError(
            "An int8 export must have photos to measure ranges on, and the bundle is not in the folder of its run.",
            hint="Name some, for instance those it was trained on, with --calibrate. They need no labels.",
        )
    used = even_choice(samples, most=MOST_PHOTOS)
    calibration = _pictures(reference, used)
    if not calibration:
        raise UserError("No calibration photo can be used.", hint="Name others with --calibrate.")
    chosen = even_choice(run.choosing, most=_MOST_CHOOSING) if run is not None else []
    held = _pictures(reference, chosen)
    chosen_on = run.chosen_on if run is not None and held else "calibration photos"
    digests = frozenset(filter(None, map(hash_photo, (*used, *chosen))))
    return Int8Photos(tuple(one[0] for one in calibration), tuple(held or calibration), chosen_on, digests)


def make_int8(
    reference: Predictor, photos: Int8Photos, *, to: Target, folder: Path, facts: Record, reporter: Reporter
) -> tuple[Path, Record]:
    """Quantise in several ways and write the network that stays closest to the float one.

    Args:
        reference: The bundle.
        photos: To calibrate and to choose on.
        to: The runtime.
        folder: Where the file is written.
        facts: Of the inspector.
        reporter: Told about long work.

    Returns:
        The file, and what was chosen: ranges, floating (share of the convolutions left as they were), tried (one record
        a way), chosen_on, photos, calibration_photos.

    Raises:
        MissingExtraError: NNCF is not installed.
    """
    asked = [FEATURES, *([NOVELTY] if NOVELTY in reference.session.outputs else [])]
    wanted = _outputs(reference.session, photos.calibration, asked)
    floats = _scores(reference, photos.choosing)
    tried: list[tuple[tuple[float, float], _Way, Any]] = []
    with reporter.task("Quantising to eight bits", None), tempfile.TemporaryDirectory(prefix="teliti-int8-") as scratch:
        work = _Workshop(reference, to, Path(scratch), facts)
        while (way := _next_way([(cost, way) for cost, way, _ in tried], reference.bundle.task)) is not None:
            model = work.align(work.quantize(photos.calibration, way), photos.calibration, wanted)
            tried.append((_cost(reference, floats, _scores(work.predictor(model), photos.choosing)), way, model))
    _, chosen, model = min(tried, key=lambda one: one[0])
    record: Record = {
        **asdict(chosen),
        "tried": [{**asdict(way), "changed": cost[0], "logits_apart": cost[1]} for cost, way, _ in tried],
        "chosen_on": photos.chosen_on,
        "photos": len(photos.choosing),
        "calibration_photos": len(photos.calibration),
    }
    return _Workshop(reference, to, folder, facts).write(model), record


@dataclass(frozen=True)
class _Way:
    """How a network is rounded: the rule for its ranges, and the share of convolutions that stay as they are."""

    ranges: Ranges
    floating: float = 0.0


def _next_way(tried: Sequence[tuple[tuple[float, float], _Way]], task: Task) -> _Way | None:
    """What to try after these: each rule for the ranges, then the best of them with the first layers as they are.

    None where one of them changes little enough (of numbers any change is one), or nothing is left to try.
    """
    from teliti.export.int8 import FLOATING, RANGES

    if task != "regression" and any(cost[0] <= _GOOD_ENOUGH for cost, _ in tried):
        return None
    ways = [_Way(ranges) for ranges in RANGES]
    if len(tried) >= len(ways):
        best = min(tried[: len(ways)], key=lambda one: one[0])[1]
        ways += [replace(best, floating=share) for share in FLOATING]
    return ways[len(tried)] if len(tried) < len(ways) else None


@dataclass(frozen=True)
class _Workshop:
    """One target's way to quantise, change, write and open."""

    reference: Predictor
    to: Target
    folder: Path
    facts: Record

    def quantize(self, pictures: Sequence[UInt8Image], way: _Way) -> Any:
        from teliti.export.int8 import quantize_onnx, quantize_openvino

        quantize = quantize_onnx if self.to == "onnx" else quantize_openvino
        return quantize(self.reference.bundle.model_path, pictures, ranges=way.ranges, floating=way.floating)

    def align(self, model: Any, pictures: Sequence[UInt8Image], wanted: dict[str, NDArray[np.float32]]) -> Any:
        """Features first: novelty is measured behind the aligned ones."""
        change = align_onnx if self.to == "onnx" else align_openvino
        session = self.open(model)
        alignment = fit_alignment(_outputs(session, pictures, [FEATURES])[FEATURES], wanted[FEATURES])
        if NOVELTY in wanted:
            aligned = _outputs(self.open(change(self.copy(model), alignment)), pictures, [NOVELTY])
            alignment = replace(alignment, novelty=novelty_factor(aligned[NOVELTY], wanted[NOVELTY]))
        return change(model, alignment)

    def copy(self, model: Any) -> Any:
        if self.to == "openvino":
            return model.clone()
        copy = type(model)()
        copy.CopyFrom(model)
        return copy

    def write(self, model: Any) -> Path:
        write = write_onnx if self.to == "onnx" else write_openvino
        return write(model, self.folder, facts=self.facts)

    def open(self, model: Any) -> Session:
        return open_exported(self.write(self.copy(model)), threads=self.reference.threads)

    def predictor(self, model: Any) -> Predictor:
        return Predictor(self.reference.bundle, threads=self.reference.threads, session=self.open(model))


def _unlabelled(source: str, bundle: Bundle) -> tuple[Sample, ...]:
    """All photos of a source, whatever their labels are; of a source of another kind the photos that it lists."""
    path = Path(source)
    if path.is_dir() or path.suffix.lower() == ".zip":
        samples, _ = list_photos([source], beside_levels=levels_up(bundle.chain.beside_patterns))
        found, _ = without_companions(samples, bundle.aside_patterns)
        if found:
            return tuple(found)
    try:
        return leave_out_companions(read_catalog(source), bundle.aside_patterns).samples
    except CatalogError:
        if path.is_file():  # one photo
            return tuple(list_photos([source])[0])
        raise


def _pictures(reference: Predictor, samples: Sequence[Sample]) -> list[UInt8Image]:
    def prepare(image: UInt8Image, sample: Sample) -> UInt8Image:
        return reference.bundle.chain.views(image, beside_of(sample.origin))

    loaded = load_prepared(samples, prepare, threads=reference.threads)
    return [one for _, one in loaded if not isinstance(one, PhotoRefused)]


def _outputs(session: Session, pictures: Sequence[UInt8Image], names: list[str]) -> dict[str, NDArray[np.float32]]:
    rows = [session.run(names, picture[None]) for picture in pictures]
    return {name: np.concatenate([row[place] for row in rows]) for place, name in enumerate(names)}


def _scores(predictor: Predictor, choosing: Sequence[UInt8Image]) -> list[Scores]:
    return list(map_ahead(predictor.score_photo, choosing, threads=predictor.threads))


def _cost(reference: Predictor, floats: Sequence[Scores], own: Sequence[Scores]) -> tuple[float, float]:
    """Share of changed verdicts, and how far the logits (or numbers) are apart, of max(1, their size)."""
    pairs = list(zip(floats, own, strict=True))
    changed = [says(reference.judge(a)[0]) != says(reference.judge(b)[0]) for a, b in pairs]
    apart = [np.abs(a.logits - b.logits) / np.maximum(1.0, np.abs(a.logits)) for a, b in pairs]
    return float(np.mean(changed)), float(np.mean(apart))
