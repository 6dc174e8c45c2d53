"""The table of a network by name, without weights: compact, timm, shipped recipe, recipe file."""

from __future__ import annotations

from pathlib import Path

import pytest

from teliti.errors import MissingExtraError, RecipeError, UserError
from teliti.workflow import network as job
from teliti.workflow.network import describe_named_network


def test_a_compact_network_has_its_recipes_size() -> None:
    record = describe_named_network("lenet", num_outputs=10)
    assert (record["schema"], record["network"], record["input"]) == (1, "lenet", [3, 32, 32])
    assert record["outputs"] == 10
    assert [row["layer"] for row in record["layers"]][:2] == ["1_conv", "1_tanh"]


def test_a_timm_name_is_described_at_224_or_as_asked() -> None:
    assert describe_named_network("resnet18")["input"] == [3, 224, 224]
    record = describe_named_network("resnet18", image_size=(48, 64), in_channels=1)
    assert record["input"] == [1, 48, 64]


def test_the_courses_vgg16_by_the_name_of_its_recipe() -> None:
    totals = describe_named_network("frozen_vgg16", num_outputs=1)["totals"]
    assert (totals["parameters"], totals["head_parameters"]) == (40_406_849, 25_692_161)


def test_a_recipe_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[data]\nimage_size = [20, 30]\n[[model.layers]]\nkind = "conv"\nfilters = 5\n')
    record = describe_named_network(str(file))
    assert record["input"] == [3, 20, 30]
    assert record["layers"][0]["output"] == [5, 18, 28]


def test_weights_are_not_looked_for(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[model]\nbackbone = "resnet18"\nweights = "gone.safetensors"\n')
    assert describe_named_network(str(file))["totals"]["parameters"] == 11_177_538


def test_mistakes() -> None:
    with pytest.raises(RecipeError, match=r'got \'lenett\'\. Did you mean "lenet"\?'):
        describe_named_network("lenett")
    with pytest.raises(RecipeError, match=r'Recipe "none\.toml" does not exist'):
        describe_named_network("none.toml")
    with pytest.raises(UserError, match="The number of outputs must be at least 1, got 0"):
        describe_named_network("lenet", num_outputs=0)
    with pytest.raises(UserError, match="The image size must be at least 1 x 1, got 0 x 5"):
        describe_named_network("lenet", image_size=(0, 5))


def test_without_torch_the_sentence_has_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(library: str, *, extra: str, purpose: str) -> None:
        raise MissingExtraError(extra, purpose=purpose, library=library)

    monkeypatch.setattr(job, "require", missing)
    with pytest.raises(MissingExtraError, match=r"torch is needed to describe .* pip install \"teliti\[train\]"):
        describe_named_network("lenet")
