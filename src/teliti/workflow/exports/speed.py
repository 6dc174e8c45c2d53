"""How fast an exported file is on this machine, beside what else could run the same bundle here."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from teliti.data.beside import beside_of
from teliti.data.loading import load_prepared
from teliti.errors import PhotoRefused, RecipeError
from teliti.export.formats import open_exported
from teliti.predictor import Predictor
from teliti.runtime import is_installed
from teliti.sessions import OnnxRuntimeSession, OpenVinoSession, Precision, Session
from teliti.types import Record, Sample
from teliti.workflow.shared.sealed import even_choice

_PROBE_ROUNDS, _PROBE_PHOTOS = 5, 12


def measure_speeds(reference: Predictor, path: Path, samples: Sequence[Sample], *, precision: str) -> Record:
    """Photos per second of one thread, engine alone: the exported file, and what else this machine could run.

    Args:
        reference: The bundle.
        path: The exported file.
        samples: A few of them are computed.
        precision: Of the exported file, f32 or int8.

    Returns:
        {"photos_per_s": rate by engine, "sentence"}.
    """
    pictures = [
        one
        for _, one in load_prepared(
            even_choice(samples, most=_PROBE_PHOTOS),
            lambda image, sample: reference.bundle.chain.views(image, beside_of(sample.origin)),
            threads=1,
        )
        if not isinstance(one, PhotoRefused)
    ]
    sessions: dict[str, Session] = {
        "onnxruntime f32": OnnxRuntimeSession(reference.bundle.model_path),
        f"exported {path.name}": open_exported(path, threads=1),
    }
    if is_installed("openvino"):
        arithmetics: tuple[Precision, ...] = ("f32", "bf16")
        for arithmetic in arithmetics:
            try:
                own = OpenVinoSession(reference.bundle.model_path, threads=1, precision=arithmetic)
            except RecipeError:  # this processor has no bf16
                continue
            sessions[f"openvino {arithmetic}"] = own
    asked = ["value"] if reference.bundle.task == "regression" else ["probs"]
    seconds: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(_PROBE_ROUNDS):
        for name, session in sessions.items():
            start = time.perf_counter()
            for picture in pictures:
                session.run(asked, picture)
            seconds[name].append(time.perf_counter() - start)
    rates = {name: round(len(pictures) / statistics.median(times), 1) for name, times in seconds.items()}
    twin = "openvino f32" if path.suffix == ".xml" else "onnxruntime f32"
    return {"photos_per_s": rates, "sentence": _recommend(rates, rates[twin] if precision == "int8" else None)}


def _recommend(rates: dict[str, float], twin: float | None) -> str:
    """In words; `twin` is the float network's rate in the engine of an int8 file, None where the file is float."""
    exported = next(rate for name, rate in rates.items() if name.startswith("exported"))
    own, bf16 = rates["onnxruntime f32"], rates.get("openvino bf16")
    sentence = f"It answers {exported:g} photos a second on one core, the bundle's own file {own:g}."
    if twin is not None:
        sentence += f" Eight bits are {exported / twin:.2f} times as fast as the float network in the same engine."
        if bf16 is not None and bf16 > exported:
            sentence += (
                f" OpenVINO's bf16 arithmetic on the float network is faster here, {bf16:g}: prefer it to int8. "
                "Export --to openvino without --int8 and load the file with INFERENCE_PRECISION_HINT bf16."
            )
    elif exported < own:
        sentence += " On this machine the export is no faster than the bundle itself."
    return sentence
