"""`teliti info --network NAME`: the table of a network's layers."""

from __future__ import annotations

import json

import pytest

ROW = {
    "layer": "1_conv", "module": "layers.1_conv", "kind": "Conv2d", "setting": "3 x 3",
    "output": [64, 112, 112], "parameters": 1792, "parameters_without_bias": 1728, "statistics": 0,
    "multiply_adds": 21_676_032, "activation_bytes": 3_211_264,
}  # fmt: skip
RECORD = {
    "schema": 1, "network": "mine", "options": {"drop_path_rate": 0.1, "global_pool": "max"},
    "input": [3, 224, 224], "outputs": 2,
    "layers": [ROW, {**ROW, "layer": "1_relu", "kind": "ReLU", "setting": "", "parameters": 0,
                     "parameters_without_bias": 0, "multiply_adds": 0}],
    "totals": {"parameters": 1792, "parameters_without_bias": 1728, "statistics": 128, "multiply_adds": 21_676_032,
               "activation_bytes": 6_422_528, "parameter_bytes": 7680, "head_parameters": 34},
    "units": {"output": "channels x height x width", "multiply_adds": "one per multiply-add", "bytes": "float32"},
}  # fmt: skip


@pytest.fixture
def asked(workflow) -> list:
    calls: list = []

    def describe(name: str, **choices: object) -> dict:
        calls.append((name, choices))
        return RECORD

    workflow("network", describe_named_network=describe)
    return calls


@pytest.mark.parametrize(
    ("words", "size", "outputs"),
    [
        ([], None, 2),
        (["--image-size", "224"], (224, 224), 2),
        (["--image-size", "96x128", "--outputs", "10"], (96, 128), 10),
    ],
)
def test_what_is_asked(words: list[str], size: tuple | None, outputs: int, asked: list, run) -> None:
    code, out, _ = run("info", "--network", "mine", *words, "--json")
    assert code == 0
    assert json.loads(out) == RECORD
    assert asked == [("mine", {"image_size": size, "num_outputs": outputs})]


@pytest.mark.usefixtures("asked")
def test_the_table(run) -> None:
    _, out, _ = run("info", "--network", "mine")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "mine: 3x224x224 in, 2 out"
    assert "1_conv Conv2d 3 x 3 64x112x112 1,792 1,728 21,676,032 3.1 MiB" in lines
    assert "1_relu ReLU 64x112x112 - - - 3.1 MiB" in lines
    assert "total 1,792 1,728 21,676,032 6.1 MiB" in lines
    assert "Parameters take 7.5 KiB, with 128 running statistics. The head has 34 of the parameters." in lines
    assert "Multiply-adds: one per multiply-add." in lines
    assert "Built with drop_path_rate = 0.1, global_pool = max." in lines


@pytest.mark.parametrize("size", ["big", "1x2x3", "", "-4", "3x"])
def test_a_size_that_is_none(size: str, asked: list, run) -> None:
    code, _, err = run("info", "--network", "mine", f"--image-size={size}")
    assert code == 2
    assert "--image-size must be pixels a side or HEIGHTxWIDTH, got" in err
    assert asked == []


def test_one_question_at_a_time(asked: list, run) -> None:
    for words, said in (
        (["bundle", "--network", "mine"], "--network must stand without BUNDLE, got both."),
        (["--cache", "--network", "mine"], "--network must stand without --cache, got both."),
        (["--image-size", "64"], "--image-size and --outputs must stand beside --network."),
    ):
        code, _, err = run("info", *words)
        assert code == 2
        assert said in err
    assert asked == []
