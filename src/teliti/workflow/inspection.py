"""Inspection for the line: photos as encoded bytes in, journal entries out. Base install and the one predictor.

`Predictor` answers; this adds what a line needs around it: the hashes that a record must have, a start that tests
itself, and the certainty that the bundle on disk is still the one that was opened.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teliti.bundle import MANIFEST
from teliti.data.beside import is_mask_name
from teliti.data.listing import is_hidden_name, is_photo_name
from teliti.data.origins import BytesOrigin, FileOrigin
from teliti.errors import PhotoRefused, RunError, UserError
from teliti.files import hash_file, sha256_hex
from teliti.journal.entry import REFUSED, Entry
from teliti.metrics.number_rule import NumberRule
from teliti.predictor import Predictor, Prepared
from teliti.sessions import EngineWish
from teliti.types import Prediction, Record, Sample

_NOT_A_NUMBER = "the network's answer is not a number"
_HINT = "Nothing was passed since. Copy the bundle again, check it with `teliti info BUNDLE`, then start anew."


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo to inspect.

    Attributes:
        name: As it is recorded.
        data: The encoded file, whole; None where it could not be read.
        serial: Serial number of the part, where it is known.
    """

    name: str
    data: bytes | None
    serial: str | None = None

    @property
    def digest(self) -> str | None:
        """SHA-256 of the bytes, 64 hexadecimal digits."""
        return None if self.data is None else sha256_hex(self.data)


class Inspector:
    """A bundle that judges photos as they come.

    Args:
        bundle: The bundle's folder.
        threads: How many photos are computed at once.
        engine: What computes; see `Predictor.by_engine`.
        photos_per_call: How many photos `judge` gives to one call of the network; None: as many as is fastest here.

    Raises:
        BundleError: missing, damaged, or of another schema.
        MissingExtraError: OpenVINO was named and is not installed.
        RunError: its golden photos do not get their scores on this machine.
        UserError: it needs masks that lie beside the photos.
    """

    def __init__(
        self,
        bundle: str | Path,
        *,
        threads: int | None = None,
        engine: EngineWish = "onnxruntime",
        photos_per_call: int | None = 1,
    ) -> None:
        self.predictor = Predictor.open(bundle, threads=threads)
        self._seen = self._identity()
        opened = self.predictor.bundle
        if opened.chain.beside_patterns:
            raise UserError(
                f'"{bundle}" needs masks beside the photos, and photos of a line come alone.',
                hint="Train it without the step mask_from_file, or use `teliti predict` on whole folders.",
            )
        if isinstance(opened.answers, NumberRule) and opened.answers.names:
            raise UserError(
                f'"{bundle}" predicts several numbers a photo, and a line needs one answer a part.',
                hint="Use `teliti predict`, whose --json and --csv have every number.",
            )
        test = self.predictor.self_test()
        if not test["passed"]:
            raise RunError(
                f'"{bundle}" fails its self-test: a golden photo is off by {test["max_abs_difference"]:.2g}.',
                hint=_HINT,
            )
        self.predictor = self.predictor.by_engine(engine).in_batches(photos_per_call)
        self._masks = opened.aside_patterns
        self.bundle_hash = hash_file(opened.path / MANIFEST)
        self._golden = [((opened.path / golden.file).read_bytes(), golden.outputs) for golden in opened.golden[:1]]

    @property
    def model_hash(self) -> str:
        """SHA-256 of the network file, 64 hexadecimal digits."""
        return self.predictor.bundle.model_hash

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; empty for a regression."""
        answers = self.predictor.bundle.answers
        return () if isinstance(answers, NumberRule) else tuple(answers.classes)

    @property
    def threshold(self) -> float | None:
        """Scores from it on are rejected; None where the most probable class counts."""
        decision = self.predictor.bundle.decision
        return None if decision is None else decision.threshold

    @property
    def photos_per_call(self) -> int:
        """How many photos `judge` gives to one call of the network."""
        return self.predictor.photos_per_call

    def is_photo(self, name: str) -> bool:
        """True for the file name of a finished photo: of an image format, not hidden, and no mask by the bundle."""
        return is_photo_name(name) and not is_hidden_name(name) and not is_mask_name(name, self._masks)

    def require_unchanged(self) -> None:
        """Stop an inspection whose bundle is no longer the one that was opened.

        Raises:
            RunError: its network or manifest is missing or was replaced.
        """
        if self._identity() != self._seen:
            raise RunError(f'The bundle "{self.predictor.bundle.path}" was changed or removed.', hint=_HINT)

    def answers_golden(self, decode: Callable[[bytes], bytes]) -> bool:
        """True when the first golden photo gets the scores that the bundle says; without golden photos, too.

        Args:
            decode: What stands between an encoded photo and the network: encoded photo in, encoded photo out.
        """
        predictor = self.predictor
        return all(predictor.is_golden(predictor.score_files([decode(data)]), said) for data, said in self._golden)

    def inspect(self, photos: Sequence[Photo]) -> list[Prediction | PhotoRefused]:
        """The answer for each photo, in order; a photo that cannot be used gets its refusal.

        An answer that is not a finite number is a refusal, too: it must never pass.
        """
        samples = [Sample(photo.name, BytesOrigin(photo.data or b"")) for photo in photos]
        return [_finite(answer) for _, answer in self.predictor.predict_samples(samples)]

    def prepare(self, data: bytes) -> Prepared:
        """One encoded photo as `judge` takes it.

        Raises:
            PhotoRefused: it cannot be used.
        """
        return self.predictor.prepare_photo(data)

    def judge(self, photos: Sequence[Prepared]) -> list[Prediction | PhotoRefused | RunError]:
        """The answer for each prepared photo, in order; a failure is that photo's alone.

        As many as are fastest together go through the network in one call. Whose verdict could hang on that is computed
        again alone, so that no verdict depends on the others.
        """
        predictor = self.predictor
        answers: list[Prediction | PhotoRefused | RunError] = []
        for scores, photo in zip(predictor.score_photos([one.pictures for one in photos]), photos, strict=True):
            try:
                answers.append(_finite(predictor.judge_photo(scores, photo)))
            except RunError as error:  # no number: such a photo must not pass
                answers.append(error)
        return answers

    def engine_record(self) -> Record:
        """{"engine", "photos_per_call"}: what computes, and how many photos one call of the network takes."""
        return {"engine": self.predictor.engine["name"], "photos_per_call": self.predictor.photos_per_call}

    def model_entry(self, *, source: str) -> Entry:
        """The record that says what this model is: written once a bundle, it answers where a verdict came from."""
        opened = self.predictor.bundle
        manifest = opened.manifest
        facts = {name: manifest.get(name) for name in ("version", "created", "task", "decision", "provenance")}
        return Entry(
            "model",
            source,
            once=f"model {self.model_hash} {self.bundle_hash}",
            model_hash=self.model_hash,
            details={"bundle": str(opened.path.resolve()), "bundle_hash": self.bundle_hash, **facts},
        )

    def entry(
        self,
        photo: Photo,
        answer: Prediction | PhotoRefused,
        *,
        source: str,
        once: str | None = None,
        operator: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Entry:
        """What the journal keeps of one answer.

        Args:
            photo: What was judged.
            answer: As `inspect` gave it.
            source: Who asks.
            once: See `Entry`.
            operator: Who is at the line.
            details: Anything else that is JSON-ready.
        """
        said: dict[str, Any] = {"verdict": REFUSED}
        if isinstance(answer, PhotoRefused):
            said["reason"] = answer.reason
        else:
            said = {"verdict": answer.verdict, "label": answer.label, "score": answer.score, "probs": answer.probs}
            said["reason"] = "; ".join(answer.reasons) or None
            seen = {"novelty": answer.novelty, "warnings": list(answer.warnings) or None}
            details = {**(details or {}), **{name: value for name, value in seen.items() if value is not None}}
        return Entry(
            "verdict",
            source,
            once=once,
            serial=photo.serial,
            photo=photo.name,
            photo_hash=photo.digest,
            model_hash=self.model_hash,
            threshold=self.threshold,
            operator=operator,
            details={**(details or {}), "bundle_hash": self.bundle_hash},
            **said,
        )

    def _identity(self) -> list[tuple[int, int, int]] | None:
        opened = self.predictor.bundle
        try:
            found = [os.stat(path) for path in (opened.model_path, opened.path / MANIFEST)]  # noqa: PTH116
        except OSError:
            return None
        return [(status.st_ino, status.st_size, status.st_mtime_ns) for status in found]


def read_photo_file(path: Path) -> bytes:
    """The encoded photo, whole; nothing but a regular file is opened.

    Raises:
        PhotoRefused: vanished, unreadable, too large, changing, or not a regular file.
    """
    return FileOrigin(str(path)).read_bytes()


def _finite(answer: Prediction | PhotoRefused) -> Prediction | PhotoRefused:
    if isinstance(answer, PhotoRefused):
        return answer
    numbers = [value for value in (answer.score, *answer.probs.values(), answer.novelty) if value is not None]
    return answer if all(map(math.isfinite, numbers)) else PhotoRefused(_NOT_A_NUMBER)
