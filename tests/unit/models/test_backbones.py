"""Frozen backbones: uint8 photos to feature vectors, by stage and pooling, with the mean and std of the weights."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import nn

from teliti.cache import cached_file
from teliti.errors import RecipeError
from teliti.models import backbones
from teliti.models.backbones import FeatureSpec, build_feature_net, pool, resolve_stages, stage_modules
from teliti.models.weights import IMAGENET_MEAN, IMAGENET_STD, find_weights
from unit.models.palace import PALACE, palace_photo

LITE0 = "tf_efficientnet_lite0"
CHANNELS = {  # of every stage, from the papers' tables
    "tf_efficientnet_lite0": ((16, 24, 40, 80, 112, 192, 320), 1280),
    "resnet18": ((64, 64, 128, 256, 512), 512),
    "vgg11": ((64, 128, 256, 512, 512, 512), 4096),
    "mobilenetv3_small_100": ((16, 24, 40, 48, 96, 576), 1024),
}


def build(name: str, stages: tuple | None = None, pooling: str = "avg", *, seed: int = 0):
    return build_feature_net(name, find_weights(name, "random"), FeatureSpec(stages, pooling), seed=seed)


def photos(count: int = 2, side: int = 32) -> torch.Tensor:
    pixels = np.random.default_rng(count).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    return torch.from_numpy(pixels)


@pytest.fixture(scope="module", params=sorted(CHANNELS))
def named_net(request: pytest.FixtureRequest):
    """A backbone's name and its net with every stage and the head."""
    count = len(CHANNELS[request.param][0])
    return request.param, build(request.param, (*range(count), "head"))


def test_every_stage_gives_as_many_numbers_as_it_has_channels(named_net) -> None:
    name, net = named_net
    stages, head = CHANNELS[name]
    features = net(photos())
    assert features.shape == (2, sum(stages) + head)
    assert features.dtype == torch.float32
    assert torch.isfinite(features).all()


def test_the_head_is_what_the_own_classifier_would_see(named_net) -> None:
    _, net = named_net
    image = photos()
    x = (image.permute(0, 3, 1, 2).float() - net.mean) / net.std
    seen: list[torch.Tensor] = []
    classifier = net.trunk.get_classifier()
    handle = classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    net.trunk(x)
    handle.remove()
    vector = seen[0].flatten(1)
    torch.testing.assert_close(net(image)[:, -vector.shape[1] :], vector, rtol=1e-5, atol=1e-6)


def test_a_stage_is_the_pooled_output_of_its_module(named_net) -> None:
    name, net = named_net
    image = photos()
    x = (image.permute(0, 3, 1, 2).float() - net.mean) / net.std
    start = 0
    for stage, module in net.stage_modules.items():
        kept: list[torch.Tensor] = []
        handle = net.trunk.get_submodule(module).register_forward_hook(lambda _m, _i, out, kept=kept: kept.append(out))
        net.trunk.forward_features(x)
        handle.remove()
        channels = CHANNELS[name][0][stage]
        torch.testing.assert_close(net(image)[:, start : start + channels], kept[0].mean((2, 3)))
        start += channels


def test_an_odd_size_and_a_batch_of_one(named_net) -> None:
    name, net = named_net
    stages, head = CHANNELS[name]
    assert net(photos(1, 33)).shape == (1, sum(stages) + head)


def test_pooling_takes_averages_maxima_or_both() -> None:
    image = photos()
    avg, largest, both = (build("resnet18", (-1,), pooling)(image) for pooling in ("avg", "max", "avgmax"))
    assert avg.shape == largest.shape == (2, 512)
    torch.testing.assert_close(both, torch.cat([avg, largest], dim=1))
    assert (largest >= avg).all()


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("avg", [5.5, 17.5]),
        ("max", [11.0, 23.0]),
        ("avgmax", [5.5, 17.5, 11.0, 23.0]),
        ("stats", [5.5, 17.5, 11.0, 23.0, 0.0, 12.0, np.arange(12).std(), np.arange(12).std()]),
    ],
)
def test_pool_on_a_map_and_on_tokens(pooling: str, expected: list[float]) -> None:
    feature_map = torch.arange(24.0).reshape(1, 2, 3, 4)
    tokens = feature_map.flatten(2).transpose(1, 2)  # (1, 12, 2)
    for given in (feature_map, tokens):
        assert pool(given, pooling)[0].tolist() == pytest.approx(expected)


def test_stats_are_average_maximum_minimum_and_deviation() -> None:
    feature_map = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    flat = feature_map.numpy().reshape(2, 3, 35)
    expected = np.concatenate([flat.mean(2), flat.max(2), flat.min(2), flat.std(2)], axis=1)
    np.testing.assert_allclose(pool(feature_map, "stats").numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("stages", "resolved"),
    [
        (None, (3, 4, 5, 6)),
        ((-1,), (6,)),
        ((0, -7, 0), (0,)),
        (("head", 2, -1), (2, 6, "head")),
        (("head",), ("head",)),
    ],
)
def test_stages_are_counted_from_both_ends_in_ascending_order(stages: tuple | None, resolved: tuple) -> None:
    assert resolve_stages(stages, count=7) == resolved


def test_a_backbone_of_few_or_no_stages() -> None:
    assert resolve_stages(None, count=2) == (0, 1)
    assert resolve_stages(None, count=0) == ("head",)


@pytest.mark.parametrize("stage", [7, -8])
def test_a_stage_that_is_not_there_names_those_that_are(stage: int) -> None:
    with pytest.raises(
        RecipeError, match=rf'model\.stages must lie in 0\.\.6 \(or be negative, or "head"\), got {stage}\.'
    ):
        resolve_stages((stage,), count=7)


def test_no_stage_at_all_is_refused() -> None:
    with pytest.raises(
        RecipeError, match=r"model\.stages must name at least one stage, got none\. For instance \[-1\]"
    ):
        resolve_stages((), count=7)


def test_a_trunk_that_lists_no_stages_has_none() -> None:
    assert stage_modules(nn.Linear(2, 2)) == ()


def test_a_frozen_net_has_no_gradients_and_does_not_learn_from_a_batch() -> None:
    net = build("resnet18")
    assert not net.training
    assert not any(parameter.requires_grad for parameter in net.parameters())
    image = photos(4)
    torch.testing.assert_close(net(image)[:1], net(image[:1]), rtol=1e-5, atol=1e-6)


def test_two_threads_and_a_copy_each_have_the_maps_of_their_own_photos() -> None:
    """Both are behind the last stage before either collects what the stages gave."""
    net, meeting = build("resnet18", (1, 3)), Barrier(2, timeout=60.0)
    twin, alone = deepcopy(net), [net(photos(2, side)) for side in (32, 48)]

    def wait_for_the_other(*_: object) -> None:
        meeting.wait()

    last = net.stage_modules[3]
    for one in (net, twin):
        one.trunk.get_submodule(last).register_forward_hook(wait_for_the_other)
    for nets in ((net, net), (net, twin)):
        with ThreadPoolExecutor(2) as pool_of_two:
            together = list(pool_of_two.map(lambda own, side: own(photos(2, side)), nets, (32, 48)))
        for features, expected in zip(together, alone, strict=True):
            torch.testing.assert_close(features, expected)


def test_random_weights_follow_the_seed_and_leave_the_global_one_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    first, again, other = (build("resnet18", seed=seed)(photos()) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_name_that_timm_does_not_know_gets_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"model\.backbone must be a timm name, got 'resnet_18'\.") as caught:
        build("resnet_18")
    assert caught.value.hint == 'Did you mean "resnet18"?'
    with pytest.raises(RecipeError) as caught:
        build("zzzzzz")
    assert caught.value.hint == "timm.list_models() lists them."


def test_mean_and_std_are_those_of_the_weights_else_of_the_architecture() -> None:
    net = build("resnet18")
    assert net.mean.flatten().tolist() == pytest.approx([255 * value for value in IMAGENET_MEAN])
    assert net.std.flatten().tolist() == pytest.approx([255 * value for value in IMAGENET_STD])
    own = replace(find_weights("resnet18", "random"), mean=(0.1, 0.2, 0.3), std=(1.0, 1.0, 2.0))
    net = build_feature_net("resnet18", own, FeatureSpec(("head",), "avg"), seed=0)
    assert net.mean.flatten().tolist() == pytest.approx([25.5, 51.0, 76.5])
    assert net.std.flatten().tolist() == pytest.approx([255.0, 255.0, 510.0])


@pytest.fixture(scope="module")
def lite0():
    return build_feature_net(LITE0, find_weights(LITE0, "auto"), FeatureSpec(("head",), "avg"), seed=0)


@pytest.fixture(scope="module")
def palace() -> torch.Tensor:
    return palace_photo()


def test_the_packaged_weights_with_their_own_mean_and_std_see_the_palace(lite0, palace: torch.Tensor) -> None:
    logits = lite0.trunk.get_classifier()(lite0(palace))
    probs = logits.softmax(dim=1)[0]
    assert int(probs.argmax()) == PALACE
    assert float(probs[PALACE]) == pytest.approx(0.298, abs=0.003)


def test_the_usual_mean_and_std_would_look_plausible_and_be_wrong(palace: torch.Tensor) -> None:
    wrong = replace(find_weights(LITE0, "auto"), mean=IMAGENET_MEAN, std=IMAGENET_STD)
    net = build_feature_net(LITE0, wrong, FeatureSpec(("head",), "avg"), seed=0)
    probs = net.trunk.get_classifier()(net(palace)).softmax(dim=1)[0]
    assert int(probs.argmax()) == PALACE
    assert float(probs[PALACE]) < 0.27


def test_the_packaged_file_is_kept_as_safetensors_and_read_from_there(
    lite0, palace: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = lite0(palace)
    kept = cached_file(f"{find_weights(LITE0, 'auto').sha256}.safetensors")
    assert kept.is_file()

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the pickle was read again")

    monkeypatch.setattr(backbones.torch, "load", refuse)
    again = build_feature_net(LITE0, find_weights(LITE0, "auto"), FeatureSpec(("head",), "avg"), seed=0)
    assert torch.equal(again(palace), expected)


def test_weights_from_a_safetensors_file_are_used(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    source = build("resnet18", ("head",), seed=5)
    save_file(source.trunk.state_dict(), path)
    net = build_feature_net("resnet18", find_weights("resnet18", str(path)), FeatureSpec(("head",), "avg"), seed=9)
    assert torch.equal(net(photos()), source(photos()))


def test_weights_of_another_architecture_say_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    save_file({"fc.weight": torch.zeros(2, 2), "strange": torch.zeros(1)}, path)
    with pytest.raises(
        RecipeError,
        match=r'"own\.safetensors" does not fit the backbone: \d+ of its tensors are missing and 1 are unknown \(bn1',
    ) as caught:
        build_feature_net("resnet18", find_weights("resnet18", str(path)), FeatureSpec(None, "avg"), seed=0)
    assert caught.value.hint == "Use the weights of the same architecture, saved by timm."


def test_weights_of_another_shape_name_the_tensor(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    state = build("resnet18").trunk.state_dict()
    save_file({**state, "fc.bias": torch.zeros(7)}, path)
    with pytest.raises(RecipeError, match=r"fc\.bias has shape \(7,\), the network wants \(1000,\)"):
        build_feature_net("resnet18", find_weights("resnet18", str(path)), FeatureSpec(None, "avg"), seed=0)


def test_a_file_that_is_no_safetensors_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    path.write_bytes(b"not tensors at all")
    with pytest.raises(RecipeError, match=r'model\.weights: "own\.safetensors" could not be read'):
        build_feature_net("resnet18", find_weights("resnet18", str(path)), FeatureSpec(None, "avg"), seed=0)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on the command line, which keeps every library from the internet unless it is asked for."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.mark.usefixtures("offline")
def test_the_word_hub_opens_the_way_to_the_internet_for_as_long_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    create, seen = backbones.timm.create_model, []

    def watch(name: str, *, pretrained: bool) -> nn.Module:
        seen.append((pretrained, constants.is_offline_mode()))
        return create(name, pretrained=False)

    monkeypatch.setattr(backbones.timm, "create_model", watch)
    build_feature_net("resnet18", find_weights("resnet18", "hub"), FeatureSpec(None, "avg"), seed=0)
    assert seen == [(True, False)]
    assert constants.is_offline_mode()


@pytest.mark.usefixtures("offline")
def test_a_download_that_fails_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(backbones.timm, "create_model", fail)
    with pytest.raises(
        RecipeError, match="the weights of 'resnet18' could not be downloaded: ConnectionError"
    ) as caught:
        build_feature_net("resnet18", find_weights("resnet18", "hub"), FeatureSpec(None, "avg"), seed=0)
    assert caught.value.hint == 'Without internet use model.weights = "auto" or a .safetensors file.'
    assert constants.is_offline_mode()
