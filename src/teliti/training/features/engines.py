"""The engines that run a frozen backbone: OpenVINO, ONNX Runtime, torch. Which one is the fastest is measured.

Every engine takes batches of one fixed size, so that its numbers do not depend on which photos share a batch. OpenVINO
and ONNX Runtime run one photo on one thread, several at a time, so that they do not depend on the number of threads
either: a single photo's maps stay in the core's own cache, which makes it faster than a batch of eight (f32 by 10 to
25 % where it was measured). Torch splits a batch over its threads, and its last digits follow their number.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from teliti.cache import cached_file, keep_file
from teliti.data.loading import map_ahead
from teliti.errors import RecipeError
from teliti.files import sha256_hex
from teliti.recipe import Precision
from teliti.recipe.train import Device
from teliti.runtime import DeviceName, installed_versions, is_installed, keep_freed_memory, require, torch_device
from teliti.training.features.backbone_file import BackboneFile
from teliti.types import Record, UInt8Image

EngineName = Literal["openvino", "onnxruntime", "torch"]
Batch = UInt8Image  # (N, H, W, 3) uint8
Features = NDArray[np.float32]  # (N, D)
PHOTOS_PER_CALL: dict[EngineName, int] = {"openvino": 1, "onnxruntime": 1, "torch": 32}
_PROBE_SECONDS = 1.0
_PROBE_FORMAT = 3


@dataclass(frozen=True)
class EngineChoice:
    """Which engine computes the features, and what the probe saw.

    Attributes:
        name: The engine.
        precision: f32, or bf16 where the recipe asked for it.
        version: Version of the engine's library.
        probe: One record per candidate: engine, precision, photos_per_s, note.
        device: Where it computes; torch alone knows a GPU here.
    """

    name: EngineName
    precision: Precision
    version: str
    probe: tuple[Record, ...] = ()
    device: DeviceName = "cpu"

    def to_record(self) -> Record:
        """JSON-ready."""
        return {**asdict(self), "probe": list(self.probe)}


class FeatureEngine(Protocol):
    """A backbone ready to run."""

    def run(self, batches: Iterable[Batch]) -> Iterator[Features]:
        """Features of each batch, in order; a few batches are computed at once."""
        ...


def open_engine(choice: EngineChoice, backbone: BackboneFile, *, threads: int) -> FeatureEngine:
    """Load the backbone into an engine.

    Raises:
        MissingExtraError: the engine is not installed.
        RecipeError: it cannot compute in that precision.
    """
    return _OPENERS[choice.name](backbone, choice, threads)


def check_device(engine: str, device: Device) -> None:
    """Find in a moment a GPU that is asked for and not there, or that the engine does not know.

    Args:
        engine: "auto" or an engine's name.
        device: Where it shall compute.

    Raises:
        RecipeError: so it is.
    """
    if device != "cuda":
        return
    if engine not in {"auto", "torch"}:
        raise RecipeError(
            f"train.engine must be torch where train.device = cuda, got {engine}.",
            hint="Set train.device=auto, or leave train.engine out.",
        )
    torch_device(device)


def choose_engine(
    wanted: str, *, precision: Precision, backbone: BackboneFile, threads: int, device: Device = "auto"
) -> EngineChoice:
    """The engine that the recipe names, the only one there is, or the fastest one by a short probe.

    A probe's result is kept beside the cache, so that a second run of the same backbone asks nobody.

    Args:
        wanted: "auto" or an engine's name.
        precision: f32 or bf16; with bf16 only engines that offer it are candidates.
        backbone: What will run.
        threads: Threads that will be used.
        device: "cuda" takes torch; "auto" lets it compete where a GPU is.

    Raises:
        RecipeError: no engine computes in that precision or on that device, or each one failed its probe.
    """
    check_device(wanted, device)
    names: list[EngineName] = _candidates(precision, device) if wanted == "auto" else [wanted]  # type: ignore[list-item]
    place = torch_device(device) if "torch" in names else "cpu"
    candidates = [EngineChoice(name, precision, _version(name), device=_place(name, place)) for name in names]
    if len(candidates) == 1:
        return candidates[0]
    key = _probe_key(candidates, backbone=backbone, threads=threads)
    kept = cached_file(f"probe-{key}.json")
    if kept.is_file():
        rows = json.loads(kept.read_text())
    else:
        rows = [_probe(candidate, backbone, threads=threads) for candidate in candidates]
        if all(row["photos_per_s"] <= 0.0 for row in rows):
            notes = "; ".join(f"{row['engine']}: {str(row['note']).rstrip('.')}" for row in rows)
            raise RecipeError(
                f"No engine could run the backbone: {notes}.",
                hint="Set train.engine to one of them to see all that it says.",
            )
        keep_file(kept.name, json.dumps(rows).encode())
    best = max(range(len(rows)), key=lambda place: float(rows[place]["photos_per_s"]))
    return replace(candidates[best], probe=tuple(rows))


def _place(name: EngineName, of_torch: DeviceName) -> DeviceName:
    return of_torch if name == "torch" else "cpu"


def _candidates(precision: Precision, device: Device) -> list[EngineName]:
    if device == "cuda":
        return ["torch"]
    candidates: list[EngineName] = []
    if is_installed("openvino"):
        candidates.append("openvino")
    if precision == "f32":
        candidates.append("onnxruntime")
    has_gpu = device == "auto" and is_installed("torch") and shutil.which("nvidia-smi")
    if has_gpu:  # on a CPU eager torch is never the fastest
        candidates.append("torch")
    if not candidates:
        raise RecipeError(
            "train.precision = bf16 needs OpenVINO, which is not installed.",
            hint='Install it with: pip install "teliti[train]", or use f32.',
        )
    return candidates


def _probe(candidate: EngineChoice, backbone: BackboneFile, *, threads: int) -> Record:
    row: Record = {"engine": candidate.name, "precision": candidate.precision, "photos_per_s": 0.0, "note": ""}
    shape = (PHOTOS_PER_CALL[candidate.name], *backbone.facts["image_size"], 3)
    batch = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    try:
        engine = open_engine(candidate, backbone, threads=threads)
        list(engine.run([batch] * threads))  # warm-up
        done, start = 0, time.perf_counter()
        while time.perf_counter() - start < _PROBE_SECONDS:
            done += sum(len(features) for features in engine.run([batch] * threads))
        row["photos_per_s"] = round(done / (time.perf_counter() - start), 1)
    except Exception as error:  # noqa: BLE001 - an engine that fails its probe is not chosen, whatever it raised
        row["note"] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]
    return row


def _probe_key(candidates: list[EngineChoice], *, backbone: BackboneFile, threads: int) -> str:
    asked = [[candidate.name, candidate.version, candidate.precision, candidate.device] for candidate in candidates]
    facts = [_PROBE_FORMAT, asked, backbone.key, threads]
    return sha256_hex(json.dumps(facts).encode())[:24]


def _version(name: EngineName) -> str:
    return installed_versions((name,)).get(name, "")


class _OpenVinoEngine:
    def __init__(self, backbone: BackboneFile, choice: EngineChoice, threads: int) -> None:
        precision = choice.precision
        openvino = require("openvino", extra="train", purpose="compute features with engine openvino")
        core = openvino.Core()
        settings = {
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": str(threads),
            "INFERENCE_NUM_THREADS": str(threads),
            "ENABLE_CPU_PINNING": "NO",
        }
        model = core.read_model(str(backbone.path))
        model.reshape([PHOTOS_PER_CALL["openvino"], *backbone.facts["image_size"], 3])  # a known shape is faster
        compiled = core.compile_model(model, "CPU", settings)
        got = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        if got != precision:
            raise RecipeError(
                f"train.precision = {precision} is not offered by OpenVINO on this processor (it took {got}).",
                hint="Use train.precision = f32.",
            )
        self._compiled, self._threads = compiled, threads

    def run(self, batches: Iterable[Batch]) -> Iterator[Features]:
        requests: deque[Any] = deque(self._compiled.create_infer_request() for _ in range(self._threads))
        waiting: deque[Any] = deque()
        for batch in batches:
            if not requests:
                yield self._take(waiting, requests)
            request = requests.popleft()
            request.start_async({0: batch})
            waiting.append(request)
        while waiting:
            yield self._take(waiting, requests)

    @staticmethod
    def _take(waiting: deque[Any], requests: deque[Any]) -> Features:
        request = waiting.popleft()
        request.wait()
        features: Features = np.array(request.get_output_tensor(0).data, dtype=np.float32)
        requests.append(request)
        return features


class _OnnxRuntimeEngine:
    def __init__(self, backbone: BackboneFile, choice: EngineChoice, threads: int) -> None:
        if choice.precision != "f32":
            raise RecipeError(
                f"train.precision = {choice.precision} is not offered by engine onnxruntime.",
                hint="Use f32 or openvino.",
            )
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(backbone.path), options, providers=["CPUExecutionProvider"])
        self._threads = threads

    def run(self, batches: Iterable[Batch]) -> Iterator[Features]:
        return map_ahead(self._compute, batches, threads=self._threads, ahead=1)

    def _compute(self, batch: Batch) -> Features:
        return np.asarray(self._session.run(["features"], {"image": batch})[0], dtype=np.float32)


class _TorchEngine:
    def __init__(self, backbone: BackboneFile, choice: EngineChoice, threads: int) -> None:
        torch = require("torch", extra="train", purpose="compute features with engine torch")
        keep_freed_memory()
        self._device = choice.device
        self._kind = torch.float32 if choice.precision == "f32" else torch.bfloat16
        torch.set_num_threads(threads)
        torch.backends.cudnn.allow_tf32 = False  # f32 means f32
        net = backbone.load()
        self._net = net.to(self._device).to(memory_format=torch.channels_last)
        self._torch = torch

    def run(self, batches: Iterable[Batch]) -> Iterator[Features]:
        torch = self._torch
        for batch in batches:
            with torch.inference_mode(), torch.autocast(self._device, self._kind, self._kind != torch.float32):
                features = self._net(torch.from_numpy(batch).to(self._device))
            yield features.float().cpu().numpy()


_OPENERS: dict[EngineName, Callable[[BackboneFile, EngineChoice, int], FeatureEngine]] = {
    "openvino": _OpenVinoEngine,
    "onnxruntime": _OnnxRuntimeEngine,
    "torch": _TorchEngine,
}
