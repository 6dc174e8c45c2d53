"""The engines that run an exported network: ONNX Runtime, which every install has, and OpenVINO where it is installed.

A session knows numbers only: a batch of prepared photos in, named arrays out. Verdicts are the predictor's.
Several threads may call one session at once; each call computes on one core, so that answers do not depend on the
number of threads. Which engine is the faster one here, and how many photos a call of it shall take, is measured once
and kept.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from teliti.cache import cached_file, keep_file
from teliti.errors import BundleError, RecipeError, RunError, StorageError
from teliti.files import sha256_hex
from teliti.runtime import installed_versions, is_installed, processor_name, require
from teliti.types import Record, UInt8Image

INPUT = "image"
Precision = Literal["f32", "bf16"]
Engine = Literal["onnxruntime", "openvino"]
EngineWish = Literal["auto", "onnxruntime", "openvino"]
_PROBE_ROUNDS, _PROBE_SECONDS, _PROBE_FORMAT = 3, 0.1, 2
_BATCHES, _BATCH_SECONDS, _BATCH_BUDGET_S = (2, 4, 8), 0.01, 0.5
_LONGEST_REASON = 300
_CLEARLY_FASTER = 1.1  # another engine costs a second more at every start, and its last digits are others


class Session(Protocol):
    """An opened network.

    Attributes:
        engine: The library that computes.
        outputs: Names of what the network answers.
    """

    engine: str
    outputs: frozenset[str]

    def run(self, names: Sequence[str], batch: UInt8Image) -> list[NDArray[np.float32]]:
        """The named outputs for a batch.

        Args:
            names: Some of `outputs`.
            batch: (N, H, W, 3) uint8 RGB, prepared.

        Returns:
            One array (N, ...) float32 for each name.
        """
        ...


class OnnxRuntimeSession:
    """A network in ONNX Runtime, one core a call.

    Args:
        path: The ONNX file.

    Raises:
        BundleError: the file is not a network that ONNX Runtime can run.
    """

    engine = "onnxruntime"

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # parallel over photos: see Predictor
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise BundleError(f'"{path}" could not be loaded: {_said(error)}', hint="Retrain the bundle.") from error
        self.outputs = frozenset(output.name for output in self._session.get_outputs())

    def run(self, names: Sequence[str], batch: UInt8Image) -> list[NDArray[np.float32]]:
        try:
            answers = self._session.run(list(names), {INPUT: batch})
            return [np.asarray(answer, dtype=np.float32) for answer in answers]
        except Exception as error:  # the engine's own kinds, which have no common one
            raise _cannot_compute(self.engine, error) from error


class OpenVinoSession:
    """A network in OpenVINO, one core a call.

    Args:
        path: An ONNX file, or the `.xml` of a model in OpenVINO's own format with its `.bin` beside it.
        threads: How many calls may run at once; more wait.
        precision: "f32", or "bf16" where the processor has it. OpenVINO would choose bf16 by itself.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        BundleError: the file is not a network that OpenVINO can run.
        RecipeError: this processor does not offer the precision.
    """

    engine = "openvino"

    def __init__(self, path: Path, *, threads: int, precision: Precision = "f32") -> None:
        openvino = require("openvino", extra="quantize", purpose="run a network with OpenVINO")
        settings = {
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": str(threads),
            "INFERENCE_NUM_THREADS": str(threads),
            "ENABLE_CPU_PINNING": "NO",
        }
        try:
            core = openvino.Core()
            model = core.read_model(str(path))
            self._one_by_one = model.input(0).get_partial_shape()[0].is_dynamic
            if self._one_by_one:  # a known shape is faster, and answers do not depend on who shares the batch
                model.reshape([1, *(side.get_length() for side in list(model.input(0).get_partial_shape())[1:])])
            compiled = core.compile_model(model, "CPU", settings)
        except RuntimeError as error:
            raise BundleError(f'"{path}" could not be loaded: {_said(error)}', hint="Export it again.") from error
        got = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        if got != precision:
            raise RecipeError(
                f"Precision {precision} is not offered by OpenVINO on this processor (it took {got}).", hint="Use f32."
            )
        self.outputs = frozenset(name for output in compiled.outputs for name in output.get_names())
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(threads):
            self._requests.put(compiled.create_infer_request())

    def run(self, names: Sequence[str], batch: UInt8Image) -> list[NDArray[np.float32]]:
        request = self._requests.get()
        try:
            parts = [batch[at : at + 1] for at in range(len(batch))] if self._one_by_one else [batch]
            return [np.concatenate(rows) for rows in zip(*(self._infer(request, names, p) for p in parts), strict=True)]
        except (RuntimeError, ValueError) as error:
            raise _cannot_compute(self.engine, error) from error
        finally:
            self._requests.put(request)

    @staticmethod
    def _infer(request: Any, names: Sequence[str], batch: UInt8Image) -> list[NDArray[np.float32]]:
        request.infer({INPUT: np.ascontiguousarray(batch)}, share_inputs=True)
        return [np.array(request.get_tensor(name).data, dtype=np.float32) for name in names]


def _cannot_compute(engine: str, error: Exception) -> RunError:
    hint = "Is it this bundle's? Copy the bundle again, or retrain."
    return RunError(f"The network could not be computed by {engine}: {_said(error)}", hint=hint)


def _said(error: Exception) -> str:
    """What an engine says of its failure, its first line."""
    return next(iter(str(error).splitlines()), type(error).__name__)[:_LONGEST_REASON]


def choose_engine(wish: EngineWish, path: Path, *, digest: str, image_size: tuple[int, int], threads: int) -> Record:
    """The engine that is asked for, or the faster one on this machine.

    A measurement is kept in the cache by network, processor, versions and threads, so that the next start asks nobody.

    Args:
        wish: An engine, or "auto": OpenVINO where it is installed, runs the network and is clearly faster.
        path: The ONNX file.
        digest: Its SHA-256.
        image_size: (height, width) of its input.
        threads: How many calls run at once.

    Returns:
        {"name", "photos_per_s": rate by engine where it was measured, else empty}.
    """
    if wish != "auto" or not is_installed("openvino"):
        return {"name": "onnxruntime" if wish == "auto" else wish, "photos_per_s": {}}
    rates = _kept("engine", (digest, threads), lambda: measure_engines(path, image_size=image_size, threads=threads))
    is_faster = rates.get("openvino", 0.0) > _CLEARLY_FASTER * rates["onnxruntime"]
    return {"name": "openvino" if is_faster else "onnxruntime", "photos_per_s": rates}


def choose_batch(session: Session, *, digest: str, image_size: tuple[int, int], threads: int) -> int:
    """How many photos one call of a network shall take on this machine; kept as `choose_engine` does.

    Args:
        session: The network, opened.
        digest: SHA-256 of its file.
        image_size: (height, width) of its input.
        threads: How many calls run at once.

    Returns:
        1, 2, 4 or 8: twice as many as before while that is clearly faster.
    """
    about = (session.engine, digest, threads)
    kept = _kept("batch", about, lambda: measure_batches(session, image_size=image_size, threads=threads))
    chosen, best = 1, kept["1"]
    for size in _BATCHES:
        if kept.get(str(size), 0.0) <= _CLEARLY_FASTER * best:
            break
        chosen, best = size, kept[str(size)]
    return chosen


def measure_engines(path: Path, *, image_size: tuple[int, int], threads: int) -> dict[str, float]:
    """Photos per second by engine, in turn: medians of three rounds of a tenth of a second.

    Args:
        path: The ONNX file.
        image_size: (height, width) of its input.
        threads: How many calls run at once.
    """
    photo = _noise(1, image_size)
    sessions: dict[str, Session] = {"onnxruntime": OnnxRuntimeSession(path)}
    try:
        sessions["openvino"] = OpenVinoSession(path, threads=threads)
        sessions["openvino"].run(sorted(sessions["openvino"].outputs), photo)
    except (BundleError, RecipeError, RunError):  # it cannot run this network
        return {"onnxruntime": 0.0}
    rates: dict[str, list[float]] = {name: [] for name in sessions}
    with ThreadPoolExecutor(threads) as pool:
        for number in range(_PROBE_ROUNDS + 1):
            for name, session in sessions.items():
                rate = _rate(pool, session, photo, threads=threads, seconds=_PROBE_SECONDS)
                rates[name] += [rate] if number else []  # the first round only warms up
    return {name: round(statistics.median(own), 1) for name, own in rates.items()}


def measure_batches(session: Session, *, image_size: tuple[int, int], threads: int) -> dict[str, float]:
    """How much faster a network is by photos a call, 1 being one; each number in turn with the half of it.

    Stops at the first number that is not clearly faster than the half of it, and before one that would not be done
    within about half a second from the start. A network that takes 40 ms or more for one photo is asked twice and not
    compared: it has work enough to do with one.

    Args:
        session: The network, opened.
        image_size: (height, width) of its input.
        threads: How many calls run at once.
    """
    rates, spent_s = {"1": 1.0}, 0.0
    with ThreadPoolExecutor(threads) as pool:
        one = _noise(1, image_size)
        for _ in range(2):  # the first call only warms up
            photo_s = threads / _rate(pool, session, one, threads=threads, seconds=_BATCH_SECONDS)
        for size in _BATCHES:
            spent_s += (_PROBE_ROUNDS + 1) * sum(max(own * photo_s, _BATCH_SECONDS) for own in (size // 2, size))
            if spent_s > _BATCH_BUDGET_S:
                break
            gains: list[float] = []
            pair = [_noise(size // 2, image_size), _noise(size, image_size)]
            for number in range(_PROBE_ROUNDS + 1):
                half, whole = (_rate(pool, session, own, threads=threads, seconds=_BATCH_SECONDS) for own in pair)
                gains += [whole / half] if number else []
            rates[str(size)] = round(rates[str(size // 2)] * statistics.median(gains), 3)
            if statistics.median(gains) <= _CLEARLY_FASTER:
                break
    return rates


def _kept(what: str, about: tuple[Any, ...], measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """A measurement of this machine: the one that was kept, else a new one, which is kept."""
    versions = installed_versions(("onnxruntime", "openvino"))
    key = json.dumps([_PROBE_FORMAT, *about, processor_name(), versions])
    kept = cached_file(f"{what}-{sha256_hex(key.encode())[:24]}.json")
    try:
        rates: dict[str, float] = json.loads(kept.read_text())
    except (OSError, ValueError):
        rates = measure()
        with contextlib.suppress(StorageError):  # measured again at the next start
            keep_file(kept.name, json.dumps(rates).encode())
    return rates


def _noise(photos: int, image_size: tuple[int, int]) -> UInt8Image:
    return np.random.default_rng(0).integers(0, 256, (photos, *image_size, 3), dtype=np.uint8)


def _rate(pool: ThreadPoolExecutor, session: Session, batch: UInt8Image, *, threads: int, seconds: float) -> float:
    """Photos a second of so many threads at once."""
    return sum(pool.map(lambda _: _run_for(session, batch, seconds), range(threads)))


def _run_for(session: Session, batch: UInt8Image, seconds: float) -> float:
    """Photos a second of one thread."""
    names = sorted(session.outputs)
    count, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds or not count:
        session.run(names, batch)
        count += len(batch)
    return count / spent
