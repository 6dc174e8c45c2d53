"""The bundle: the folder that predicts. `model.onnx`, `weights.safetensors`, `bundle.json`, `card.md`, `golden/`.

`seen.txt` has the first digits of the SHA-256 of every photo that was learnt or chosen on, so that an evaluation
can tell when it is measured on them.

`bundle.json` says everything that the numbers need beside the network: class names, prepare steps, decision,
provenance with the SHA-256 of every file, golden photos with the scores they must get. No pickle anywhere.

The schema's number changes when a reader that does not know the change would answer differently. What was added
without that is optional: a reader takes an absent key for "not known". Bundles of an older number are read through
`UPGRADES`; their files stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from teliti import __version__
from teliti.data.beside import names_file
from teliti.errors import BundleError
from teliti.files import hash_file, resolve_inside, sha256_hex, write_bytes_atomic, write_json_atomic
from teliti.metrics.answers import AnswerRule, count_outputs, decision_from_record
from teliti.metrics.decision import Decision
from teliti.metrics.envelope import Envelope, envelope_from_record
from teliti.metrics.number_rule import NumberRule
from teliti.metrics.review import Review
from teliti.metrics.stability import Histogram, histogram_from_record
from teliti.transforms.prepare import PrepareChain, chain_from_record
from teliti.types import FloatArray, Record, Task

SCHEMA = 2
MODEL, WEIGHTS, MANIFEST, CARD = "model.onnx", "weights.safetensors", "bundle.json", "card.md"
SEEN_FILE, SEEN_DIGITS = "seen.txt", 16
GOLDEN_TOLERANCE = 1e-4
"""How far an answer to a golden photo may be from the recorded one: of a probability, or of the scale of a number."""


@dataclass(frozen=True)
class Golden:
    """A photo kept in the bundle with what the network must answer.

    Attributes:
        file: Below the bundle, the photo as it was given (encoded).
        name: Its name in the catalog.
        outputs: Probabilities of classes or labels, or the numbers of a regression.
    """

    file: str
    name: str
    outputs: tuple[float, ...]


@dataclass(frozen=True)
class Bundle:
    """An opened bundle.

    Attributes:
        path: The folder.
        task: What is answered.
        answers: The rule that turns outputs into answers: classes, labels or numbers, thresholds, verdicts.
        chain: Prepare steps, the closing frame included.
        golden: Photos with expected outputs.
        manifest: The whole of `bundle.json`, of an older schema with what that one did not know.
        envelope: Within which light, blur, size and scale verdicts hold; None where it is not told.
        scores: Of the photos that the threshold was chosen on, to see a line drift away from them; None in older ones.
        part_masks: Name patterns of files beside photos that only mark parts, by `data.part_mask` of its recipe.
    """

    path: Path
    task: Task
    answers: AnswerRule
    chain: PrepareChain
    golden: tuple[Golden, ...]
    manifest: Record
    envelope: Envelope | None = None
    scores: Histogram | None = None
    part_masks: tuple[str, ...] = ()

    @property
    def aside_patterns(self) -> tuple[str, ...]:
        """Name patterns of all files beside photos that are no photos: the chain's, which it reads, and part masks."""
        return tuple(dict.fromkeys([*self.chain.beside_patterns, *self.part_masks]))

    @property
    def decision(self) -> Decision | None:
        """The rule of a classification; None for another task."""
        return self.answers if isinstance(self.answers, Decision) else None

    def golden_limits(self) -> FloatArray:
        """How far each output for a golden photo may be from the recorded one, (K,) float64, above 0.

        The scale of a number is the largest one that the golden photos have; a probability's is 1.
        """
        said = np.array([golden.outputs for golden in self.golden])
        if not isinstance(self.answers, NumberRule):
            return np.full(said.shape[1:], GOLDEN_TOLERANCE)
        largest = np.abs(said).max(axis=0, initial=0.0)
        return GOLDEN_TOLERANCE * np.where(largest > 0.0, largest, 1.0)

    @property
    def model_path(self) -> Path:
        """The ONNX file."""
        return self.path / MODEL

    @property
    def model_hash(self) -> str:
        """SHA-256 of the ONNX file, 64 hexadecimal digits."""
        return str(self.manifest["files"][MODEL])


def write_bundle(folder: Path, *, files: Mapping[str, bytes], facts: Record) -> Bundle:
    """Write a bundle; the manifest comes last, so that half a bundle never opens.

    Args:
        folder: Made when missing; files of the same names are replaced.
        files: Content by name: the network, the weights, the card, golden photos.
        facts: task, decision, prepare, golden, provenance.

    Raises:
        StorageError: the disk is full or the folder is not writable.
    """
    for name, data in files.items():
        write_bytes_atomic(resolve_inside(folder, name), data)
    manifest = {"schema": SCHEMA, **facts, "files": {name: sha256_hex(data) for name, data in files.items()}}
    write_json_atomic(folder / MANIFEST, manifest)
    return open_bundle(folder)


def amend_envelope(folder: Path, envelope: Envelope) -> Bundle:
    """Put another envelope into a bundle; network, weights, thresholds and golden photos stay as they are.

    The manifest is replaced in one step, and keeps under `amended` the SHA-256 that it had before: whoever recorded
    that one, as the journal does, can tell that it was this bundle.

    Raises:
        BundleError: missing, damaged, or of another schema.
        StorageError: the disk is full or the folder is not writable.
    """
    manifest = open_bundle(folder).manifest
    change = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "changed": ["envelope"],
        "before": hash_file(folder / MANIFEST),
    }
    amended = [*manifest.get("amended", []), change]
    known = {"schema": SCHEMA, "envelope": envelope.to_record(), "amended": amended}
    write_json_atomic(folder / MANIFEST, {**manifest, **known})
    return open_bundle(folder)


def open_bundle(folder: Path) -> Bundle:
    """Open a bundle and check the SHA-256 of its files.

    Raises:
        BundleError: missing, damaged, or of another schema.
    """
    manifest = _read_manifest(folder)
    for name, digest in manifest["files"].items():
        path = resolve_inside(folder, name)
        if not path.is_file():
            raise BundleError(f'"{folder}" is not a whole bundle: {name} is missing.', hint="Copy the whole folder.")
        if hash_file(path) != digest:
            raise BundleError(
                f'"{path}" is damaged: its SHA-256 is not the recorded one.', hint="Copy the bundle again, or retrain."
            )
    try:
        answers = decision_from_record(manifest["task"], manifest["decision"])
        for golden in manifest["golden"]:
            if golden["file"] not in manifest["files"]:
                raise _unreadable(folder, f'golden photo "{golden["file"]}" is none of its files')
        return Bundle(
            path=folder,
            task=manifest["task"],
            answers=answers,
            chain=chain_from_record(manifest["prepare"]),
            golden=tuple(Golden(g["file"], g["name"], _outputs(g["outputs"], answers)) for g in manifest["golden"]),
            manifest=manifest,
            envelope=envelope_from_record(manifest.get("envelope")),
            scores=histogram_from_record(manifest.get("scores")),
            part_masks=_part_masks(manifest),
        )
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        raise _unreadable(folder, f"bundle.json does not say what it must ({error})") from error


def _outputs(told: Sequence[float], answers: AnswerRule) -> tuple[float, ...]:
    if len(told) != count_outputs(answers):
        raise ValueError(f"a golden photo has {len(told)} outputs, not {count_outputs(answers)}")
    return tuple(map(float, told))


def golden_files(file: str, *, patterns: int) -> list[str]:
    """Names in a bundle of a golden photo and of the files beside it, one for each name pattern of the chain."""
    return [file, *(f"{file}-{number}" for number in range(patterns))]


def _read_manifest(folder: Path) -> Record:
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(
            f'"{folder}" is not a bundle: it has no {MANIFEST}.',
            hint="Give the folder that `teliti train` printed as bundle.",
        )
    try:
        manifest: Record = json.loads(path.read_text(encoding="utf-8"))
        schema = manifest["schema"]
        files = manifest["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(folder, f"{MANIFEST} is not readable ({error})") from error
    if not isinstance(schema, int) or not min(UPGRADES) <= schema <= SCHEMA:
        newer = isinstance(schema, int) and schema > SCHEMA
        raise BundleError(
            f'"{folder}" has bundle schema {schema!r}, this version reads {min(UPGRADES)} to {SCHEMA}.',
            hint="A newer Teliti made it: pip install --upgrade teliti." if newer else "Retrain the bundle.",
        )
    if not isinstance(files, dict) or MODEL not in files:
        raise _unreadable(folder, f"{MANIFEST} names no {MODEL}")
    try:
        for number in range(schema, SCHEMA):
            manifest = UPGRADES[number](manifest)
    except (KeyError, TypeError) as error:
        raise _unreadable(folder, f"{MANIFEST} does not say what it must ({error})") from error
    return manifest


def _part_masks(manifest: Record) -> tuple[str, ...]:
    """What training left out as masks of parts; nothing where a bundle was made by hand or by an older recipe."""
    recipe = (manifest.get("provenance") or {}).get("recipe") or {}
    how = recipe.get("data", {}).get("part_mask", "")
    return (how,) if names_file(how) else ()


def _with_review(manifest: Record) -> Record:
    """Schema 1 knew no grey band, no limit of novelty and no promises: nothing is sent to review by them."""
    decision = manifest["decision"]
    if manifest["task"] != "classification":
        return manifest
    return manifest | {"decision": {"review": Review().to_record(()), "evidence": {}} | decision}


UPGRADES: dict[int, Callable[[Record], Record]] = {1: _with_review}
"""By schema number: a manifest of that number to one of the next."""


def _unreadable(folder: Path, why: str) -> BundleError:
    return BundleError(f'"{folder}" cannot be opened: {why}.', hint="Copy the bundle again, or retrain.")
