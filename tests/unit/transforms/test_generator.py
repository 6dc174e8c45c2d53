"""Arguments of the generator: what is refused, and which switch sets another."""

from __future__ import annotations

import copy
import pickle

import pytest

from teliti.errors import UserError
from teliti.workflow.generator import ImageDataGenerator


def test_every_argument_of_keras_has_its_default() -> None:
    generator = ImageDataGenerator()
    expected = {
        "featurewise_center": False, "samplewise_center": False, "featurewise_std_normalization": False,
        "samplewise_std_normalization": False, "zca_whitening": False, "zca_epsilon": 1e-6, "rotation_range": 0,
        "width_shift_range": 0.0, "height_shift_range": 0.0, "brightness_range": None, "shear_range": 0.0,
        "zoom_range": 0.0, "channel_shift_range": 0.0, "fill_mode": "nearest", "cval": 0.0, "horizontal_flip": False,
        "vertical_flip": False, "rescale": None, "preprocessing_function": None, "data_format": "channels_last",
        "validation_split": 0.0, "interpolation_order": 1, "dtype": "float32",
    }  # fmt: skip
    assert len(expected) == 23
    assert {name: getattr(generator, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"fill_mode": "nearst"}, "fill_mode must be one of .*, got 'nearst'. Did you mean \"nearest\""),
        ({"data_format": "NHWC"}, "data_format must be one of channels_last, channels_first, got 'NHWC'. Choose"),
        ({"channel_shift": "all"}, "channel_shift must be one of per_channel, together"),
        ({"interpolation_order": 2}, "interpolation_order must be one of 0, 1, 3, got 2. .*keras_compatible=True"),
        ({"interpolation_order": 6, "keras_compatible": True}, "interpolation_order must be one of 0, 1, 2, 3, 4, 5"),
        ({"dtype": "uint8"}, "dtype must be a floating type, got 'uint8'"),
        ({"dtype": "float99"}, "dtype must be a floating type, got 'float99'"),
        ({"validation_split": 1.0}, "validation_split must be strictly between 0 and 1, got 1.0"),
        ({"rotation_range": (-5, 5)}, r"rotation_range must be a number, got \(-5, 5\)"),
        ({"width_shift_range": []}, r"width_shift_range must be a number or a list of numbers, got \[\]"),
        ({"height_shift_range": "0.1"}, "height_shift_range must be a number or a list of numbers, got '0.1'"),
        ({"brightness_range": 0.5}, "brightness_range must be a pair of numbers, got 0.5"),
        ({"zoom_range": (0.5, 1.0, 1.5)}, "zoom_range must be a number or a pair of numbers"),
        ({"zoom_range": 1.0}, "zoom_range must stay above 0, got factors from 0"),
    ],
)
def test_a_value_without_meaning_is_refused(arguments: dict, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        ImageDataGenerator(**arguments)


@pytest.mark.parametrize(
    ("arguments", "effect", "values"),
    [
        ({"zca_whitening": True}, "zca_whitening switches featurewise_center on", {"featurewise_center": True}),
        (
            {"zca_whitening": True, "featurewise_center": True, "featurewise_std_normalization": True},
            "zca_whitening switches featurewise_std_normalization off",
            {"featurewise_std_normalization": False},
        ),
        ({"featurewise_std_normalization": True}, "switches featurewise_center on", {"featurewise_center": True}),
        ({"samplewise_std_normalization": True}, "switches samplewise_center on", {"samplewise_center": True}),
    ],
)
def test_a_switch_that_implies_another_says_so(arguments: dict, effect: str, values: dict) -> None:
    with pytest.warns(UserWarning, match=effect):
        generator = ImageDataGenerator(**arguments)
    assert {name: getattr(generator, name) for name in values} == values


def test_a_copy_is_equal_and_goes_to_other_processes() -> None:
    generator = ImageDataGenerator(rotation_range=20, zoom_range=(0.8, 1.2))
    for other in (copy.deepcopy(generator), pickle.loads(pickle.dumps(generator))):
        assert other.settings == generator.settings
        assert other.get_random_transform((8, 8, 3), seed=1) == generator.get_random_transform((8, 8, 3), seed=1)


def test_a_setting_cannot_be_changed_afterwards() -> None:
    generator = ImageDataGenerator()
    with pytest.raises(AttributeError):
        generator.rescale = 1 / 255  # type: ignore[misc]
    with pytest.raises(AttributeError, match="no attribute 'no_such_thing'"):
        generator.no_such_thing  # noqa: B018
