"""An ONNX graph as a torch program: every operator against ONNX's own reference, and the file that comes out."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from teliti.bundle import MODEL, open_bundle
from teliti.errors import BundleError, UserError
from teliti.export.formats import describe_inspector, open_exported, read_facts, write_torch
from teliti.export.torch_operators import OPERATORS
from teliti.export.torch_program import OnnxModule
from teliti.sessions import OnnxRuntimeSession

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "bundles" / "2"

GRAPHS = [
    "y = Conv <pads = [1, 0, 2, 1], strides = [2, 1], dilations = [1, 2]> (x, w)",
    "y = Conv <pads = [1, 1, 1, 1], group = 1> (x, w)",
    "y = MaxPool <kernel_shape = [3, 2], strides = [2, 2], pads = [1, 0, 0, 1]> (x)",
    "y = MaxPool <kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1> (x)",
    "y = AveragePool <kernel_shape = [2, 2], strides = [2, 2], pads = [1, 1, 1, 1], count_include_pad = 0> (x)",
    "y = AveragePool <kernel_shape = [2, 3], strides = [2, 1], pads = [0, 1, 1, 0], count_include_pad = 0> (x)",
    "y = AveragePool <kernel_shape = [3, 3], strides = [1, 2], pads = [1, 0, 1, 0], count_include_pad = 1> (x)",
    "a = GlobalAveragePool (x) b = Flatten (a) y = Gemm <transB = 1, alpha = 0.5, beta = 2.0> (b, m, v)",
    "a = GlobalMaxPool (x) y = Add (a, x)",
    "y = BatchNormalization <epsilon = 0.01> (x, v, v, v, q)",
    "y = HardSigmoid <alpha = 0.3, beta = 0.4> (x)",
    "y = HardSwish (x)",
    "y = LeakyRelu <alpha = 0.2> (x)",
    "y = Elu <alpha = 0.7> (x)",
    'y = Gelu <approximate = "tanh"> (x)',
    "a = Softplus (x) b = Selu (a) c = Erf (b) y = Sigmoid (c)",
    "a = Abs (x) b = Sqrt (a) c = Floor (b) d = Ceil (a) e = Reciprocal (d) f = Mul (c, e) y = Neg (f)",
    "a = Softmax <axis = 1> (x) b = Log (a) c = Exp (b) y = Tanh (c)",
    "y = Clip (x, low, high)",
    "y = Clip (x, , high)",
    "a = Max (x, low) b = Min (a, high) c = Sign (b) d = Relu (b) y = Sub (d, c)",
    "a = Pow (x, two) b = Pow (a, half) y = Div (b, high)",
    "y = ReduceMean <keepdims = 0> (x, last)",
    "a = ReduceMax <keepdims = 1> (x, last) b = ReduceMin (x, last) c = ReduceSum (x) d = Add (a, b) y = Add (d, c)",
    "y = ReduceSum <noop_with_empty_axes = 1> (x)",
    "s = Shape <start = 0, end = 1> (x) r = Concat <axis = 0> (s, minus) y = Reshape (x, r)",
    "y = Reshape <allowzero = 0> (x, keep)",
    "s = Shape (x) i = Gather <axis = 0> (s, first) u = Unsqueeze (i, zero) r = Concat <axis = 0> (u, minus)"
    " y = Reshape (x, r)",
    "s = Shape (x) y = Expand (low, s)",
    "s = Shape <start = 0, end = 1> (x) n = Squeeze (s) r = Range (first, n, one) f = Cast <to = 1> (r)"
    " u = Unsqueeze (f, tail) y = Mul (u, x)",
    "y = Gather <axis = 1> (x, picks)",
    "y = Slice (x, begin, end, axes, steps)",
    "y = Pad (x, border, high)",
    "y = Transpose <perm = [0, 2, 3, 1]> (x)",
    "a = Greater (x, low) b = LessOrEqual (x, high) c = Where (a, x, high) d = Where (b, c, low) y = Identity (d)",
    "a = Less (x, low) b = GreaterOrEqual (x, high) c = Equal (a, b) d = Cast <to = 1> (c) y = PRelu (x, d)",
    "a = Unsqueeze (x, zero) b = Squeeze (a, zero) c = Dropout (b) y = MatMul (c, square)",
]
CONSTANTS = {
    "w": np.random.default_rng(1).normal(size=(4, 3, 3, 2)).astype(np.float32),
    "m": np.random.default_rng(2).normal(size=(3, 3)).astype(np.float32),
    "v": np.array([0.5, -1.0, 2.0], np.float32),
    "q": np.array([0.5, 1.0, 2.0], np.float32),
    "square": np.random.default_rng(3).normal(size=(7, 5)).astype(np.float32),
    "low": np.array(-0.5, np.float32),
    "high": np.array(0.8, np.float32),
    "two": np.array(2.0, np.float32),
    "half": np.array(0.5, np.float32),
    "last": np.array([2, 3]),
    "minus": np.array([-1]),
    "keep": np.array([0, 0, -1]),
    "zero": np.array([0]),
    "tail": np.array([1, 2, 3]),
    "first": np.array(0),
    "one": np.array(1),
    "picks": np.array([2, 0, -1]),
    "begin": np.array([1, -3]),
    "end": np.array([6, 2**31]),
    "axes": np.array([2, 3]),
    "steps": np.array([2, 1]),
    "border": np.array([0, 0, 1, 2, 0, 0, 0, 1]),
}


def model_of(body: str) -> onnx.ModelProto:
    """A graph from x (N, 3, 6, 7) to y, with the constants that its text names."""
    text = f'<ir_version: 10, opset_import: ["" : 20]> g (float[N, 3, 6, 7] x) => (y) {{ {body} }}'
    model = onnx.parser.parse_model(text)
    named = {name for node in model.graph.node for name in node.input}
    for name in sorted(named & set(CONSTANTS)):
        model.graph.initializer.append(onnx.numpy_helper.from_array(CONSTANTS[name], name))
    return model


@pytest.mark.parametrize("body", GRAPHS)
def test_an_operator_computes_what_onnx_says(body: str) -> None:
    model = model_of(body)
    x = np.random.default_rng(0).normal(size=(2, 3, 6, 7)).astype(np.float32)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    with torch.inference_mode():
        got = OnnxModule(model.graph)(torch.from_numpy(x))["y"].numpy()
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_no_operator_is_left_out() -> None:
    used = {node.op_type for body in GRAPHS for node in model_of(body).graph.node}
    assert set(OPERATORS) - used == {"Square"}  # what a power of two becomes


def test_an_unknown_operator_is_named() -> None:
    with pytest.raises(UserError, match=r"operators that --to torch knows, and has Cos, Det") as caught:
        OnnxModule(model_of("a = Cos (x) y = Det (a)").graph)
    assert "--to onnx" in caught.value.hint


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stored sample bundle as a torch program."""
    bundle = open_bundle(SAMPLE)
    folder = tmp_path_factory.mktemp("torch")
    return write_torch(bundle.model_path.read_bytes(), folder, facts=describe_inspector(bundle))


def test_torch_alone_runs_the_file_for_any_number_of_photos(program: Path) -> None:
    module = torch.export.load(program).module()
    session = OnnxRuntimeSession(SAMPLE / MODEL)
    for count in (1, 2, 5):
        photos = np.random.default_rng(count).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
        answers = module(torch.from_numpy(photos))
        for name, expected in zip(sorted(session.outputs), session.run(sorted(session.outputs), photos), strict=True):
            np.testing.assert_allclose(answers[name].detach().numpy(), expected, rtol=1e-5, atol=1e-5)


def test_what_a_stranger_needs_is_in_the_archive(program: Path) -> None:
    bundle = open_bundle(SAMPLE)
    extra = {"teliti.json": ""}
    torch.export.load(program, extra_files=extra)
    facts = read_facts(program)
    assert extra["teliti.json"]
    assert facts["classes"] == list(bundle.decision.classes)
    assert facts["decision"] == bundle.decision.to_record()
    assert facts["prepare"] == bundle.chain.to_record()


def test_a_damaged_program_is_refused(program: Path, tmp_path: Path) -> None:
    shutil.copy(program, tmp_path / "model.pt2")
    (tmp_path / "model.pt2").write_bytes(program.read_bytes()[:1000])
    with pytest.raises(BundleError, match=r"could not be loaded") as caught:
        open_exported(tmp_path / "model.pt2", threads=1)
    assert caught.value.hint == "Export it again."
