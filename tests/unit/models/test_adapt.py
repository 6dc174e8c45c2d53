"""timm networks made to fit: given weights carried over, channels, sizes; checkpoints converted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from teliti.errors import RecipeError, UserError
from teliti.models.adapt import adapt_backbone, convert_checkpoint
from teliti.models.weights import WeightsFile, find_weights

LITE0 = "tf_efficientnet_lite0"


def save_published(folder: Path, name: str, *, seed: int = 5) -> WeightsFile:
    """Weights as somebody published them: whole, 1000 classes, three channels."""
    torch.manual_seed(seed)
    save_file(timm.create_model(name).state_dict(), folder / f"{name}.safetensors")
    return find_weights(name, str(folder / f"{name}.safetensors"))


def adapt(name: str, weights: WeightsFile, **given):
    return adapt_backbone(name, weights, **{"num_outputs": 3, "image_size": (64, 64), **given})


def test_packaged_weights_are_carried_over_and_the_classifier_is_new() -> None:
    weights = find_weights(LITE0, "auto")
    torch.manual_seed(0)
    net = adapt(LITE0, weights).module.eval()
    given = adapt(LITE0, weights, num_outputs=None).module.eval()
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(net.forward_features(x), given(x))
    assert net.classifier.weight.shape == (3, 1280)
    untrained = adapt(LITE0, find_weights(LITE0, "random"), num_outputs=None).module.eval()
    assert not torch.allclose(untrained(x), given(x))
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_a_file_of_timm_gives_the_same_map_as_timm(tmp_path: Path) -> None:
    weights = save_published(tmp_path, "test_resnet")
    torch.manual_seed(5)
    published = timm.create_model("test_resnet").eval()
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(
        adapt("test_resnet", weights).module.eval().forward_features(x), published.forward_features(x)
    )


def test_grey_photos_get_the_first_convolution_summed(tmp_path: Path) -> None:
    weights = save_published(tmp_path, "test_resnet")
    colour, grey = (adapt("test_resnet", weights, in_channels=channels).module.eval() for channels in (3, 1))
    x = torch.randn(1, 1, 64, 64)
    torch.testing.assert_close(grey.forward_features(x), colour.forward_features(x.expand(1, 3, 64, 64)))
    four = adapt("test_resnet", weights, in_channels=4)
    assert four.module.conv1[0].weight.shape[1] == 4
    assert len(four.mean) == 4


def test_a_transformer_takes_another_size_with_its_weights(tmp_path: Path) -> None:
    weights = save_published(tmp_path, "test_vit")
    net = adapt("test_vit", weights, image_size=(96, 64)).module.eval()
    assert net.pos_embed.shape[1] == 6 * 4 + 1
    assert net(torch.zeros(1, 3, 96, 64)).shape == (1, 3)
    published = load_file(weights.path)
    assert torch.equal(net.blocks[3].mlp.fc1.weight, published["blocks.3.mlp.fc1.weight"])


def test_weights_that_cannot_take_another_size_say_their_own(tmp_path: Path) -> None:
    weights = save_published(tmp_path, "mixer_s32_224")
    assert adapt("mixer_s32_224", weights, image_size=(224, 224)).output_shape == (3,)
    with pytest.raises(
        RecipeError, match=r"weights of mixer_s32_224 are made for photos of 224 x 224 only\. Set data\.im"
    ):
        adapt("mixer_s32_224", weights, image_size=(96, 96))


def test_a_file_of_another_architecture_is_refused(tmp_path: Path) -> None:
    weights = save_published(tmp_path, "test_resnet")
    with pytest.raises(RecipeError, match=r"test_resnet\.safetensors\" does not fit the backbone"):
        adapt("test_efficientnet", weights)


class Unpickled:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('ran')",))


@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": {"module": s}}]
)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_checkpoint_is_converted_once_and_then_read(wrap, prefix: str, tmp_path: Path) -> None:
    torch.manual_seed(5)
    state = timm.create_model("test_resnet").state_dict()
    torch.save(wrap({prefix + name: tensor for name, tensor in state.items()}), tmp_path / "old.pth")
    names = convert_checkpoint(tmp_path / "old.pth", tmp_path / "new.safetensors")
    assert names == tuple(state)
    net = adapt("test_resnet", find_weights("test_resnet", str(tmp_path / "new.safetensors"))).module
    assert torch.equal(net.conv1[0].weight, state["conv1.0.weight"])


def test_tensors_that_share_memory_are_converted(tmp_path: Path) -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    torch.save({"a": weight, "b": weight.T}, tmp_path / "old.pth")
    convert_checkpoint(tmp_path / "old.pth", tmp_path / "new.safetensors")
    assert torch.equal(load_file(tmp_path / "new.safetensors")["b"], weight.T)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (Unpickled(), "holds more than tensors, or is damaged; it was not opened"),
        ({"model": nn.Linear(2, 2)}, "holds more than tensors, or is damaged"),
        ({"epoch": 3}, "has no tensors by name"),
        (torch.zeros(3), "has no tensors by name"),
    ],
)
def test_what_is_no_state_dict_is_refused_and_runs_nothing(content: object, said: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "old.pth")
    with pytest.raises(UserError, match=said):
        convert_checkpoint(tmp_path / "old.pth", tmp_path / "new.safetensors")
    assert not (tmp_path / "new.safetensors").exists()


def test_a_checkpoint_must_exist_and_the_result_be_named_safetensors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r'Checkpoint ".*none\.pth" must be a file, got none'):
        convert_checkpoint(tmp_path / "none.pth", tmp_path / "new.safetensors")
    with pytest.raises(UserError, match=r'Checkpoint ".*" must be a file, got none'):
        convert_checkpoint(tmp_path, tmp_path / "new.safetensors")
    with pytest.raises(UserError, match=r"must end with \.safetensors"):
        convert_checkpoint(tmp_path / "none.pth", tmp_path / "new.pth")
    (tmp_path / "bad.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="is damaged"):
        convert_checkpoint(tmp_path / "bad.pth", tmp_path / "new.safetensors")
