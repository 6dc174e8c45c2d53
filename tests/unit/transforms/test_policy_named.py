"""Named policies: torchvision's own pixels, seeded by the draw, without touching anybody else's random numbers."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode, v2

from parts import draw_part
from teliti.errors import MissingExtraError
from teliti.transforms import policy_named
from teliti.transforms.augment import build_augment, photo_rng
from teliti.transforms.policy_named import AugMix, AutoAugment, NamedPolicy, RandAugment, TrivialAugment

PHOTO = draw_part(3, scratched=True, side=40)
BILINEAR = InterpolationMode.BILINEAR
POLICIES = [AutoAugment(), AutoAugment(policy="svhn"), RandAugment(), TrivialAugment(), AugMix(), AugMix(chain_depth=2)]
ORACLES = {
    "autoaugment": v2.AutoAugment(interpolation=BILINEAR, fill=[0.0, 0.0, 0.0]),
    "randaugment": v2.RandAugment(interpolation=BILINEAR, fill=[0.0, 0.0, 0.0]),
    "trivialaugment": v2.TrivialAugmentWide(interpolation=BILINEAR, fill=[0.0, 0.0, 0.0]),
    "augmix": v2.AugMix(interpolation=BILINEAR, fill=[0.0, 0.0, 0.0]),
}


@pytest.fixture(params=POLICIES, ids=lambda policy: f"{policy.step}-{POLICIES.index(policy)}")
def policy(request: pytest.FixtureRequest) -> NamedPolicy:
    return request.param


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("unit", [0.0, 0.3, 0.7, 0.999])
def test_pixels_are_those_of_torchvision(name: str, unit: float) -> None:
    chain = build_augment([{"step": name}])
    (operation,) = chain.operations
    values = operation.draw([unit])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(values["seed"])
        expected = ORACLES[name](torch.from_numpy(PHOTO.transpose(2, 0, 1).copy()))
    assert np.array_equal(operation.apply(PHOTO, values), expected.numpy().transpose(1, 2, 0))


def test_drawn_operations_are_those_that_change_the_photo() -> None:
    """A photo of one pixel's worth of grey: brightness and its kind change it as the recorded strength says."""
    flat = np.full((8, 8, 3), 100, np.uint8)
    seen = set()
    for unit in np.linspace(0.0, 0.999, 60):
        values = TrivialAugment().draw([unit])
        ((name, strength),) = values["operations"]
        result = int(TrivialAugment().apply(flat, values)[4, 4, 0])
        if name == "Brightness":
            assert result == int(min(255.0, 100 * (1.0 + strength)))
        elif name == "Solarize":
            assert result == (155 if 255 * strength <= 100 else 100)
        elif name in {"Identity", "Color"}:
            assert abs(result - 100) <= 1
        seen.add(name)
    assert {"Brightness", "Solarize", "Identity"} <= seen


def test_randaugment_draws_as_many_operations_as_asked() -> None:
    assert [len(RandAugment(num_ops=count).draw([0.4])["operations"]) for count in (0, 1, 5)] == [0, 1, 5]


def test_nothing_drawn_is_the_photo_itself() -> None:
    operation = RandAugment(num_ops=0)
    values = operation.draw([0.2])
    assert np.array_equal(operation.apply(PHOTO, values), PHOTO)
    assert operation.words(values) == "nothing"


def test_words_say_what_was_drawn() -> None:
    drawn = {"seed": 1, "operations": [["Rotate", -9.0], ["TranslateX", 4.5], ["Equalize", 0.0]]}
    assert RandAugment().words(drawn) == "rotate -9, translatex +4.5 %, equalize"
    assert TrivialAugment().words(drawn) == "rotate -9, translatex +4.5 px, equalize"


@given(unit=st.floats(0.0, 1.0, exclude_max=True), number=st.integers(0, len(POLICIES) - 1), grey=st.booleans())
def test_shape_and_type_stay_and_the_input_is_not_written_to(unit: float, number: int, grey: bool) -> None:
    photo = PHOTO[..., 0].copy() if grey else PHOTO.copy()
    before = photo.copy()
    values = POLICIES[number].draw([unit])
    result = POLICIES[number].apply(photo, values)
    assert result.shape == photo.shape
    assert result.dtype == np.uint8
    assert np.array_equal(photo, before)
    assert json.loads(json.dumps(values)) == values


def test_the_generator_of_torch_is_left_as_found(policy: NamedPolicy) -> None:
    torch.manual_seed(11)
    expected = torch.rand(4)
    torch.manual_seed(11)
    policy.apply(PHOTO, policy.draw([0.6]))
    assert torch.equal(torch.rand(4), expected)


def test_the_generator_comes_back_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(tensor: torch.Tensor) -> torch.Tensor:  # noqa: ARG001
        torch.rand(3)
        raise RuntimeError("out of memory")

    monkeypatch.setattr(policy_named, "_make_transform", lambda *words, **choices: fail)  # noqa: ARG005
    before = torch.default_generator.get_state()
    with pytest.raises(RuntimeError, match="out of memory"):
        RandAugment().apply(PHOTO, {"seed": 5, "operations": []})
    assert torch.equal(torch.default_generator.get_state(), before)


def test_threads_change_no_pixel(policy: NamedPolicy) -> None:
    chain = build_augment([policy.model_dump()])

    def view(number: int) -> bytes:
        return chain(PHOTO, photo_rng(7, "photo", number)).tobytes()

    alone = [view(number) for number in range(24)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(view, range(24))) == alone
    assert len(set(alone)) > 12


def test_fill_value_is_what_comes_in_from_outside() -> None:
    white = np.full((40, 40, 3), 255, np.uint8)
    operation = AutoAugment(policy="cifar10", fill_value=(10.0, 20.0, 30.0))
    results = [operation.apply(white, operation.draw([unit])) for unit in np.linspace(0.0, 0.99, 40)]
    assert any((result == (10, 20, 30)).all(axis=2).any() for result in results)


def test_a_record_makes_the_same_photo_again(policy: NamedPolicy) -> None:
    chain = build_augment([policy.model_dump(), {"step": "rotate"}])
    draw = chain.draw(photo_rng(1, "photo", 0), PHOTO.shape[:2])
    again = chain.draw_from_record(json.loads(json.dumps(draw.to_record())))
    assert np.array_equal(chain.apply(PHOTO, again).image, chain.apply(PHOTO, draw).image)


def test_without_torchvision_the_command_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teliti.runtime.is_installed", lambda library: library != "torchvision")
    with pytest.raises(MissingExtraError, match=r'augment by RandAugment.*pip install "teliti\[train\]"'):
        RandAugment().draw([0.1])


def test_naming_a_policy_loads_no_torchvision() -> None:
    """Checking a recipe must not wait for it."""
    import subprocess

    code = (
        "import sys; from teliti.transforms import policy_named; from teliti.transforms.augment import build_augment;"
        "build_augment([{'step': 'augmix'}]); print('torch' in sys.modules, 'torchvision' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False"]
