"""Packing a fitted inspector into its bundle: the network, its weights, the manifest, golden photos."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from teliti import __version__
from teliti.bundle import MODEL, SEEN_DIGITS, SEEN_FILE, WEIGHTS, Bundle, golden_files, write_bundle
from teliti.data.beside import read_beside
from teliti.export import build_graph
from teliti.files import sha256_hex
from teliti.metrics.envelope import fit_envelope
from teliti.metrics.stability import fit_histogram
from teliti.predictor import Predictor
from teliti.recipe import recipe_values
from teliti.runtime import installed_versions, require
from teliti.types import Record, Sample
from teliti.workflow.learning.trained import Trained

GOLDEN_PHOTOS = 6
GOLDEN_BYTES = 2 * 1024**2
_VERSIONS = ("teliti", "torch", "timm", "onnx", "onnxruntime", "openvino", "scikit-learn", "numpy")


def pack_bundle(folder: Path, trained: Trained) -> Bundle:
    """Write the bundle; its golden photos are scored by the file itself before the manifest is sealed.

    Raises:
        StorageError: the disk is full or the folder is not writable.
    """
    candidate, answers, photos = trained.candidate, trained.answers, trained.photos
    safetensors = require("safetensors.numpy", extra="train", purpose="write the weights")
    numbers = candidate.setup.numbers
    learnt = candidate.fit.head.to_arrays() | ({} if numbers is None else numbers.to_arrays())
    novelty = None if candidate.fit.novelty is None else candidate.fit.novelty.weights
    learnt |= {} if novelty is None else novelty.to_arrays()
    learnt |= candidate.fit.partner or {}
    arrays = {name: np.ascontiguousarray(array) for name, array in learnt.items()}
    files = {
        MODEL: build_graph(candidate.setup.backbone, candidate.fit.head, answers, novelty=novelty),
        # one entry only: safetensors writes several in an order that changes from run to run
        WEIGHTS: safetensors.save(arrays, metadata={"head_behind": candidate.setup.backbone.key}),
        SEEN_FILE: _seen(trained).encode(),
    }
    facts: Record = {
        "version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "task": photos.catalog.task,
        "classes": list(photos.catalog.classes),
        "decision": answers.to_record(),
        "prepare": candidate.setup.source.chain.to_record(),
        "envelope": _envelope(trained),
        "scores": _score_histogram(trained),
        "golden": [],
        "provenance": {
            "recipe": recipe_values(trained.recipe),
            "backbone": candidate.setup.backbone.facts,
            "engine": {"name": candidate.setup.engine.name, "precision": candidate.setup.engine.precision},
            "versions": installed_versions(_VERSIONS),
            "photos": len(photos.samples),
            "run": folder.resolve().parent.name,
            "data": {
                "source": photos.catalog.source,
                "sha256": _data_hash(trained),
                "labels": photos.catalog.labels_from,
            },
        },
    }
    draft = write_bundle(folder, files=files, facts=facts)
    golden = _golden_photos(trained)
    predictor = Predictor(draft, threads=1)
    for number, (name, contents) in enumerate(golden):
        file = f"golden/{number}"
        files |= dict(zip(golden_files(file, patterns=len(contents) - 1), contents, strict=True))
        facts["golden"].append({"file": file, "name": name, "outputs": predictor.score_files(contents).tolist()})
    return write_bundle(folder, files=files, facts=facts)


def _golden_photos(trained: Trained) -> list[tuple[str, list[bytes]]]:
    """A few measured photos with the files beside them, classes in turn, none larger than 2 MB."""
    golden: list[tuple[str, list[bytes]]] = []
    patterns = trained.candidate.setup.source.chain.beside_patterns
    for sample in _classes_in_turn(trained):
        contents = [sample.origin.read_bytes(), *(read_beside(sample.origin, pattern) for pattern in patterns)]
        if sum(map(len, contents)) <= GOLDEN_BYTES:
            golden.append((sample.name, contents))
        if len(golden) == GOLDEN_PHOTOS:
            break
    return golden


def _classes_in_turn(trained: Trained) -> list[Sample]:
    if trained.photos.catalog.task == "regression":
        return trained.measured_samples
    seen: dict[tuple[int, ...], int] = {}
    turn = []
    for index in trained.measured.tolist():
        label = tuple(np.atleast_1d(trained.photos.targets[index]).tolist())  # of several labels: their set
        seen[label] = seen.get(label, 0) + 1
        turn.append((seen[label], label, index))
    return [trained.photos.samples[index] for _, _, index in sorted(turn)]


def _data_hash(trained: Trained) -> str:
    """SHA-256 over name, label and SHA-256 of every photo, in the order of names: which data this was."""
    pairs = zip(trained.photos.samples, trained.photos.fingerprints, strict=True)
    lines = sorted(json.dumps([sample.name, sample.label, mark.digest.hex()]) for sample, mark in pairs)
    return sha256_hex("\n".join(lines).encode())


def _envelope(trained: Trained) -> Record | None:
    """What the photos that were learnt or chosen on were like; None where the recipe keeps no envelope."""
    action, conditions = trained.recipe.decide.envelope, trained.photos.conditions
    if action == "off" or not conditions:
        return None
    rows = [conditions[index].to_record() for index in _learnt(trained)]
    envelope = fit_envelope({name: np.array([row[name] for row in rows]) for name in rows[0]}, action=action)
    return None if envelope is None else envelope.to_record()


def _score_histogram(trained: Trained) -> Record | None:
    """The scores of the photos that the threshold was chosen on; None where they are too few."""
    fit, answers = trained.candidate.fit, trained.answers
    outputs = fit.chooser_outputs.astype(np.float32)
    scores = [one.score for one in answers.judge(outputs)]
    found = fit_histogram((score for score in scores if score is not None), source=fit.chooser_name)
    return None if found is None else found.to_record()


def _learnt(trained: Trained) -> list[int]:
    """The photos that were learnt or chosen on."""
    sealed = set(trained.measured.tolist()) if trained.plan.folds is None else set()
    return [index for index in range(len(trained.photos.samples)) if index not in sealed]


def _seen(trained: Trained) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of each photo that was learnt or chosen on, one a line."""
    marks = trained.photos.fingerprints
    learnt = {marks[index].digest.hex()[:SEEN_DIGITS] for index in _learnt(trained)}
    return "".join(f"{digest}\n" for digest in sorted(learnt))
