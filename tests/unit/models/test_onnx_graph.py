"""From torch to ONNX: the same numbers at every batch size, a head behind a backbone, no path of this machine."""

from __future__ import annotations

import logging
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.onnx._internal.exporter._registration import ONNXRegistry

from teliti.models import onnx_graph
from teliti.models.backbones import FeatureSpec, build_feature_net
from teliti.models.onnx_graph import append_head, export_module
from teliti.models.weights import find_weights

SIDE = 32
SPECS = {
    "resnet18": FeatureSpec((-1, "head"), "avgmax"),
    "vgg11": FeatureSpec((1, -1), "max"),
    "mobilenetv3_small_100": FeatureSpec(None, "avg"),
}  # tf_efficientnet_lite0 is compared in tests/unit/training/test_backbone_file.py


def run(graph: bytes, outputs: list[str], **inputs: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"]).run(outputs, inputs)


def randomise_batch_norms(net: nn.Module) -> None:
    """Fresh statistics (mean 0, variance 1) would hide an export that drops them."""
    draw = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(0.2 * torch.randn(module.num_features, generator=draw))
            module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=draw))


@pytest.fixture(scope="module", params=SPECS)
def exported(request: pytest.FixtureRequest):
    """A backbone and its ONNX graph."""
    net = build_feature_net(request.param, find_weights(request.param, "random"), SPECS[request.param], seed=0)
    randomise_batch_norms(net)
    example = torch.zeros((2, SIDE, SIDE, 3), dtype=torch.uint8)
    return net, export_module(net, example, input_name="image", output_names=["features"])


@pytest.mark.parametrize("batch", [1, 5])
def test_the_graph_gives_the_numbers_of_the_module_at_any_batch_size(exported, batch: int) -> None:
    net, graph = exported
    image = np.random.default_rng(batch).integers(0, 256, (batch, SIDE, SIDE, 3), dtype=np.uint8)
    expected = net(torch.from_numpy(image)).numpy()
    got = run(graph, ["features"], image=image)[0]
    assert got.dtype == np.float32
    assert expected.std() > 0.01  # a net of constants would agree with anything
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_the_input_is_uint8_with_a_free_batch_size(exported) -> None:
    model = onnx.load_from_string(exported[1])
    image = model.graph.input[0].type.tensor_type
    assert (model.graph.input[0].name, image.elem_type) == ("image", onnx.TensorProto.UINT8)
    sizes = [dimension.dim_param or dimension.dim_value for dimension in image.shape.dim]
    assert isinstance(sizes[0], str)
    assert sizes[1:] == [SIDE, SIDE, 3]


def test_no_path_of_this_machine_is_in_the_graph(exported) -> None:
    graph = exported[1]
    for trace in (b"site-packages", b"teliti/models", b'File "', onnx_graph.__file__.encode()):
        assert trace not in graph


class TwoHead(nn.Module):
    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return features * 2.0, features.sum(dim=1)


class Flat(nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.float().flatten(1)


@pytest.fixture(scope="module")
def small_graphs() -> tuple[bytes, bytes]:
    """A backbone that only flattens, and a head of two outputs."""
    backbone = export_module(
        Flat(), torch.zeros((2, 2, 2, 3), dtype=torch.uint8), input_name="image", output_names=["features"]
    )
    head = export_module(TwoHead(), torch.zeros((2, 12)), input_name="features", output_names=["double", "sum"])
    return backbone, head


def test_a_head_behind_a_backbone_is_one_graph_that_also_gives_the_features(small_graphs: tuple[bytes, bytes]) -> None:
    merged = append_head(*small_graphs, metadata={"task": "test"})
    image = np.arange(36, dtype=np.uint8).reshape(3, 2, 2, 3)
    double, total, features = run(merged, ["double", "sum", "features"], image=image)
    flat = image.reshape(3, 12).astype(np.float32)
    np.testing.assert_array_equal(features, flat)
    np.testing.assert_array_equal(double, 2 * flat)
    np.testing.assert_array_equal(total, flat.sum(axis=1))
    model = onnx.load_from_string(merged)
    assert [output.name for output in model.graph.output] == ["features", "double", "sum"]
    assert {entry.key: entry.value for entry in model.metadata_props} == {"task": "test"}


def test_the_same_parts_give_the_same_bytes_without_a_word(
    small_graphs: tuple[bytes, bytes], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    again = export_module(TwoHead(), torch.zeros((2, 12)), input_name="features", output_names=["double", "sum"])
    assert again == small_graphs[1]
    assert append_head(*small_graphs, metadata={"a": "b"}) == append_head(small_graphs[0], again, metadata={"a": "b"})
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_an_exporter_that_returns_nothing_is_not_taken_for_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_graph.torch.onnx, "export", lambda *_, **__: None)
    with pytest.raises(RuntimeError, match=r"torch\.onnx\.export returned no program"):
        export_module(TwoHead(), torch.zeros((2, 3)), input_name="features", output_names=["double", "sum"])


def test_layers_that_overwrite_their_input_do_so_again_behind_an_export(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.ReLU(inplace=True), nn.ReLU6()).eval()
    seen: list[list[bool]] = []

    def fail(module: nn.Sequential, *_: object, **__: object) -> None:
        seen.append([module[1].inplace, module[2].inplace])
        raise ValueError("stopped")

    monkeypatch.setattr(onnx_graph.torch.onnx, "export", fail)
    with pytest.raises(ValueError, match="stopped"):
        export_module(net, torch.zeros((2, 3)), input_name="x", output_names=["y"])
    assert seen == [[False, False]]
    assert [net[1].inplace, net[2].inplace] == [True, False]


def test_the_table_of_operators_is_made_once_and_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    make = ONNXRegistry.__dict__["from_torchlib"]

    def counted(cls: type, **version: int) -> ONNXRegistry:
        made.append(make.__get__(None, cls)(**version))
        return made[-1]

    def export() -> bytes:
        return export_module(
            nn.Sequential(nn.ReLU(), nn.Sigmoid()), torch.zeros(2, 3), input_name="x", output_names="y"
        )

    monkeypatch.setattr(onnx_graph, "_tables", {})
    monkeypatch.setattr(ONNXRegistry, "from_torchlib", classmethod(counted))
    given = ONNXRegistry.__dict__["from_torchlib"]
    first = export()
    held = {name: list(metas) for name, metas in made[0].functions.items()}
    again = export()
    assert len(made) == 1
    assert made[0].functions == held
    assert ONNXRegistry.__dict__["from_torchlib"] is given
    onnx_graph._tables.clear()
    assert export() == again == first
    assert len(made) == 2


def test_a_torch_without_such_a_table_exports_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_graph, "_tables", {})
    monkeypatch.setitem(sys.modules, "torch.onnx._internal.exporter._registration", None)  # an import of it fails
    graph = export_module(nn.Sigmoid(), torch.zeros(2, 3), input_name="x", output_names=["y"])
    assert run(graph, ["y"], x=np.zeros((1, 3), np.float32))[0].tolist() == [[0.5, 0.5, 0.5]]
    assert onnx_graph._tables == {}
