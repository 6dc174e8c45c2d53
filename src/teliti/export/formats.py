"""An inspector as one file of another runtime, with all that a stranger needs to use it.

Tensor preparation, head and calibration are part of the graph; class names, threshold, verdict rule and prepare
steps stand in the file's own metadata: properties of an ONNX model, `rt_info` of an OpenVINO model, an extra file in
the archive of a torch program.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from teliti.bundle import Bundle
from teliti.files import write_bytes_atomic
from teliti.metrics.number_rule import NumberRule
from teliti.runtime import require
from teliti.sessions import OnnxRuntimeSession, OpenVinoSession, Precision, Session
from teliti.types import Record

if TYPE_CHECKING:
    import onnx
    import openvino

Target = Literal["onnx", "openvino", "torch"]
ONNX_FILE, OPENVINO_FILE, TORCH_FILE = "model.onnx", "model.xml", "model.pt2"
SCHEMA = 1
_RT_INFO = "teliti"


def describe_inspector(bundle: Bundle) -> Record:
    """What stands in an exported file beside the network.

    Returns:
        JSON-ready: schema, task, classes, decision (threshold and verdict rule), prepare (steps that come before the
        graph), image_size as [height, width], input (layout and range), and the SHA-256 of the bundle's network.
    """
    answers = bundle.answers
    return {
        "schema": SCHEMA,
        "task": bundle.task,
        "classes": [] if isinstance(answers, NumberRule) else list(answers.classes),
        "decision": answers.to_record(),
        "prepare": bundle.chain.to_record(),
        "image_size": list(bundle.chain.image_size),
        "input": "image: uint8 (N, height, width, 3), RGB, 0..255, after the prepare steps",
        "bundle_model_sha256": bundle.model_hash,
    }


def write_onnx(model: onnx.ModelProto | bytes, folder: Path, *, facts: Record) -> Path:
    """Write an ONNX file with the facts in its metadata.

    Args:
        model: The network, or its serialised form.
        folder: Where `model.onnx` is written.
        facts: From `describe_inspector`.

    Raises:
        MissingExtraError: onnx is not installed.
        StorageError: the disk is full or the folder is not writable.
    """
    library = require("onnx", extra="train", purpose="write the network")
    proto = library.load_from_string(model) if isinstance(model, bytes) else model
    library.helper.set_model_props(proto, _as_texts(facts))
    write_bytes_atomic(folder / ONNX_FILE, proto.SerializeToString())
    return folder / ONNX_FILE


def write_openvino(model: openvino.Model, folder: Path, *, facts: Record) -> Path:
    """Write an OpenVINO model, `model.xml` and `model.bin`, with the facts in its `rt_info`; weights stay float32.

    Args:
        model: The network.
        folder: An existing folder.
        facts: From `describe_inspector`.
    """
    openvino = require("openvino", extra="quantize", purpose="write an OpenVINO model")
    for name, text in _as_texts(facts).items():
        model.set_rt_info(text, [_RT_INFO, name])
    openvino.save_model(model, str(folder / OPENVINO_FILE), compress_to_fp16=False)
    return folder / OPENVINO_FILE


def write_torch(model: bytes, folder: Path, *, facts: Record) -> Path:
    """Write a program of `torch.export`, `model.pt2`, with the facts as the extra file `teliti.json`.

    Args:
        model: A serialised ONNX network.
        folder: Where it is written.
        facts: From `describe_inspector`.

    Raises:
        MissingExtraError: torch or onnx is not installed.
        UserError: the network has an operator that cannot be written.
        StorageError: the disk is full or the folder is not writable.
    """
    _require_torch()
    from teliti.export import torch_program

    return torch_program.write_torch(model, folder / TORCH_FILE, facts=facts)


def read_openvino(path: Path) -> openvino.Model:
    """A network for OpenVINO, from an ONNX file or its own format.

    Raises:
        MissingExtraError: OpenVINO is not installed.
    """
    openvino = require("openvino", extra="quantize", purpose="export to OpenVINO")
    return openvino.Core().read_model(str(path))


def read_facts(path: Path) -> Record:
    """The facts in the metadata of an exported file, as `describe_inspector` gave them.

    Args:
        path: `model.onnx`, `model.xml` or `model.pt2`.
    """
    if path.suffix == ".pt2":
        _require_torch()
        from teliti.export.torch_program import read_torch_facts

        return read_torch_facts(path)
    if path.suffix == ".xml":
        info: Mapping[str, object] = read_openvino(path).get_rt_info([_RT_INFO]).value
        texts = {name: str(getattr(value, "value", value)) for name, value in info.items()}
    else:
        onnx = require("onnx", extra="train", purpose="read the network's metadata")
        texts = {one.key: one.value for one in onnx.load(path, load_external_data=False).metadata_props}
    return {name: json.loads(text) for name, text in texts.items()}


def open_exported(path: Path, *, threads: int, precision: Precision = "f32") -> Session:
    """The session that runs an exported file: OpenVINO for `.xml`, torch for `.pt2`, else ONNX Runtime.

    Args:
        path: The file.
        threads: How many calls may run at once.
        precision: Of OpenVINO's arithmetic.
    """
    if path.suffix == ".xml":
        return OpenVinoSession(path, threads=threads, precision=precision)
    if path.suffix == ".pt2":
        _require_torch()
        from teliti.export.torch_program import open_program

        return open_program(path, threads=threads)
    return OnnxRuntimeSession(path)


def _require_torch() -> None:
    for library in ("torch", "onnx"):
        require(library, extra="train", purpose="write a torch program")


def _as_texts(facts: Record) -> dict[str, str]:
    return {name: json.dumps(value, sort_keys=True) for name, value in facts.items()}
