"""The engines that run an exported network: ONNX Runtime, which every install has, and OpenVINO where it is installed.

A session knows numbers only: a batch of prepared photos in, named arrays out. Verdicts are the predictor's.
Several threads may call one session at once; each call computes on one core, so that answers do not depend on the
number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from teliti.errors import BundleError, RecipeError
from teliti.runtime import require
from teliti.types import UInt8Image

INPUT = "image"
Precision = Literal["f32", "bf16"]


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
            raise BundleError(
                f'"{path}" could not be loaded: {str(error).splitlines()[0]}', hint="Retrain the bundle."
            ) from error
        self.outputs = frozenset(output.name for output in self._session.get_outputs())

    def run(self, names: Sequence[str], batch: UInt8Image) -> list[NDArray[np.float32]]:
        answers = self._session.run(list(names), {INPUT: batch})
        return [np.asarray(answer, dtype=np.float32) for answer in answers]


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
            compiled = openvino.Core().compile_model(str(path), "CPU", settings)
        except RuntimeError as error:
            raise BundleError(
                f'"{path}" could not be loaded: {str(error).splitlines()[0]}', hint="Export it again."
            ) from error
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
            request.infer({INPUT: batch}, share_inputs=True)
            return [np.array(request.get_tensor(name).data, dtype=np.float32) for name in names]
        finally:
            self._requests.put(request)
