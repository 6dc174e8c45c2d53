"""Records what Keras's legacy ImageDataGenerator answers, for the tests beside this file.

Run it where Keras 3 is installed (any backend; SciPy, Pillow and pandas too): `python record_keras.py`. It writes
`recorded/keras.json` (what was asked, drawn parameters, file names) and `recorded/keras.npz` (pixels and numbers).
`test_generator_live.py` runs the same questions again where Keras can be imported.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

FOLDER = Path(__file__).parent / "recorded"
FILL_MODES = ("nearest", "constant", "reflect", "wrap")
MOVES: dict[str, dict[str, float]] = {
    "theta": {"theta": 23.5},
    "tx": {"tx": 1.75},
    "ty": {"ty": -2.25},
    "shear": {"shear": 17.0},
    "zx": {"zx": 0.7},
    "zy": {"zy": 1.45},
    "together": {"theta": -38.0, "tx": -1.4, "ty": 2.3, "shear": 11.0, "zx": 1.2, "zy": 0.8},
}
LIGHTS: dict[str, dict[str, Any]] = {
    "flip_horizontal": {"flip_horizontal": True},
    "flip_vertical": {"flip_vertical": True},
    "channel_shift_up": {"channel_shift_intensity": 40.3},
    "channel_shift_down": {"channel_shift_intensity": -35.7},
    "darker": {"brightness": 0.35},
    "brighter": {"brightness": 1.8},
    "unchanged": {"brightness": 1.0},
    "everything": {
        **MOVES["together"],
        "flip_horizontal": True,
        "flip_vertical": True,
        "channel_shift_intensity": 12.5,
        "brightness": 1.3,
    },
}
DRAWS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "rotation": {"rotation_range": 30},
    "float_shifts_below_one": {"width_shift_range": 0.3, "height_shift_range": 0.2},
    "float_shifts_of_pixels": {"width_shift_range": 3.0, "height_shift_range": 1.5},
    "float_shift_of_one": {"width_shift_range": 1.0},
    "integer_shifts": {"width_shift_range": 4, "height_shift_range": 7},
    "integer_shift_of_one": {"width_shift_range": 1, "height_shift_range": 1},
    "listed_shares": {"width_shift_range": [0.1, 0.2, 0.4], "height_shift_range": [0.05]},
    "listed_pixels": {"width_shift_range": [0.5, 3, 6], "height_shift_range": [2, 4]},
    "shear": {"shear_range": 12.0},
    "zoom": {"zoom_range": 0.25},
    "zoom_pair": {"zoom_range": [0.5, 0.9]},
    "zoom_without_effect": {"zoom_range": [1, 1]},
    "flips": {"horizontal_flip": True, "vertical_flip": True},
    "channel_shift": {"channel_shift_range": 25.0},
    "brightness": {"brightness_range": [0.4, 1.6]},
    "everything": {
        "rotation_range": 40,
        "width_shift_range": 0.2,
        "height_shift_range": 3,
        "shear_range": 8.0,
        "zoom_range": [0.8, 1.3],
        "horizontal_flip": True,
        "vertical_flip": True,
        "channel_shift_range": 20.0,
        "brightness_range": [0.7, 1.2],
    },
}
NUMBERS = ("samplewise_center", "samplewise_std_normalization", "featurewise_center",
           "featurewise_std_normalization", "zca_whitening")  # fmt: skip
READINGS: dict[str, dict[str, Any]] = {
    **{name: {"interpolation": name} for name in ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")},
    "default": {},
    "aspect_kept": {"interpolation": "bilinear", "keep_aspect_ratio": True},
    "grey": {"color_mode": "grayscale"},
    "rgba": {"color_mode": "rgba"},
    "binary": {"class_mode": "binary"},
    "training": {"subset": "training"},
    "validation": {"subset": "validation"},
}
MOVING = DRAWS["everything"] | {"width_shift_range": 0.2, "height_shift_range": 0.3}


def make_inputs() -> dict[str, np.ndarray]:
    """The photos that every question is about: smooth with noise, small."""
    random = np.random.default_rng(20)
    rows, columns = np.mgrid[0:9, 0:7]
    smooth = 110 + 60 * np.sin(rows[..., None] / 2.0 + np.arange(4)) + 50 * np.cos(columns[..., None] / 1.7)
    photo = np.clip(smooth + random.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8)
    return {
        "colour": photo[..., :3],
        "grey": photo[..., :1],
        "rgba": photo,
        "outside": (photo[..., :3].astype(np.float32) * 2.0 - 120.0).astype(np.float32),
        "batch": random.integers(0, 256, (7, 5, 4, 3)).astype(np.uint8),
        "files": random.integers(0, 256, (9, 14, 11, 4)).astype(np.uint8),
    }


def write_files(folder: Path, photos: np.ndarray) -> None:
    """Two class folders of 5 and 4 PNG files, of every colour mode."""
    for number, pixels in enumerate(photos):
        mode = ("RGB", "RGBA", "L")[number % 3]
        path = folder / ("bolt", "nut")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels, "RGBA").convert(mode).save(path)


class Recording:
    """Answers by name.

    Attributes:
        asked: JSON-ready questions and small answers.
        arrays: Answers in pixels and numbers.
    """

    def __init__(self, make: Any) -> None:
        self.make = make
        self.inputs = make_inputs()
        self.asked: dict[str, Any] = {"transforms": [], "draws": [], "numbers": [], "flows": [], "folders": {}}
        self.arrays: dict[str, np.ndarray] = {f"input_{name}": photo for name, photo in self.inputs.items()}

    def record(self) -> Recording:
        """Ask everything."""
        self.record_transforms()
        self.record_draws()
        self.record_numbers()
        self.record_flows()
        self.record_folders()
        return self

    def record_transforms(self) -> None:
        for fill, order, (move, parameters) in product(FILL_MODES, (0, 1, 3), MOVES.items()):
            arguments = {"fill_mode": fill, "cval": 77.0, "interpolation_order": order}
            self._transform(f"{fill}-{order}-{move}", "colour", arguments, parameters)
        for order in (2, 4, 5):
            self._transform(f"order-{order}", "colour", {"interpolation_order": order}, MOVES["together"])
        for fill in ("mirror", "grid-wrap", "grid-mirror", "grid-constant"):
            self._transform(fill, "colour", {"fill_mode": fill}, MOVES["together"])
        for photo, (light, parameters) in product(("colour", "grey", "rgba", "outside"), LIGHTS.items()):
            self._transform(f"{photo}-{light}", photo, {}, parameters)
        for name, parameters in (MOVES | LIGHTS).items():
            self._transform(f"first-{name}", "colour", {"data_format": "channels_first"}, parameters)

    def _transform(self, name: str, photo: str, arguments: dict[str, Any], parameters: dict[str, Any]) -> None:
        x = self.inputs[photo].astype(np.float32)
        generator = self.make(**arguments)
        if arguments.get("data_format") == "channels_first":
            x = x.transpose(2, 0, 1)
        self.asked["transforms"].append(
            {"name": name, "photo": photo, "arguments": arguments, "parameters": parameters}
        )
        self.arrays[f"transform_{name}"] = np.ascontiguousarray(generator.apply_transform(x, parameters))

    def record_draws(self) -> None:
        for (name, arguments), seed in product(DRAWS.items(), (0, 1, 2, 3, 4)):
            for layout, shape in (("channels_last", [30, 20, 3]), ("channels_first", [3, 30, 20])):
                drawn = self.make(data_format=layout, **arguments).get_random_transform(tuple(shape), seed=seed)
                plain = {key: value if value is None else float(value) for key, value in drawn.items()}
                question = {"name": name, "arguments": arguments | {"data_format": layout}, "shape": shape}
                self.asked["draws"].append(question | {"seed": seed, "drawn": plain})

    def record_numbers(self) -> None:
        batch = self.inputs["batch"].astype(np.float32)
        for rescale, *switches in product((None, 1 / 255), *[(False, True)] * len(NUMBERS)):
            arguments = {"rescale": rescale, **dict(zip(NUMBERS, switches, strict=True))}
            self._numbers(arguments, batch, batch[2])
        for arguments in ({"zca_whitening": True}, {"featurewise_std_normalization": True}):
            first = {"data_format": "channels_first", **arguments}
            self._numbers(first, batch.transpose(0, 3, 1, 2), batch[2].transpose(2, 0, 1))
        self._numbers({"zca_whitening": True, "zca_epsilon": 0.5}, batch, batch[2])
        self._numbers({"samplewise_std_normalization": True}, batch, batch)
        moving = {"featurewise_std_normalization": True, "rescale": 1 / 255, "rotation_range": 20, "zoom_range": 0.2}
        self._numbers(moving, batch, batch[2], fit={"augment": True, "rounds": 2, "seed": 5})

    def _numbers(self, arguments: dict[str, Any], batch: Any, x: Any, fit: dict[str, Any] | None = None) -> None:
        number = len(self.asked["numbers"])
        generator = self.make(**arguments)
        generator.fit(batch, **(fit or {}))
        question = {"arguments": arguments, "fit": fit or {}, "rank": x.ndim}
        for name in ("mean", "std", "zca_whitening_matrix"):
            if getattr(generator, name) is not None and (name != "zca_whitening_matrix" or number < 4):
                self.arrays[f"numbers_{number}_{name}"] = getattr(generator, name)
        self.asked["numbers"].append(question)
        self.arrays[f"numbers_{number}"] = np.array(generator.standardize(np.array(x)))

    def record_flows(self) -> None:
        batch = self.inputs["batch"]
        labels = np.array([0, 1, 0, 1, 0, 1, 0])
        for flow in (
            {"shuffle": True, "seed": 3},
            {"shuffle": False, "seed": 4},
            {"shuffle": True, "seed": None},
            {"shuffle": True, "seed": 3, "subset": "training"},
            {"shuffle": True, "seed": 3, "subset": "validation"},
            {"shuffle": True, "seed": 6, "save_prefix": "p", "save": True},
        ):
            for by_item in (False, True):
                self._flow(dict(flow), batch, labels, by_item=by_item)

    def _flow(self, flow: dict[str, Any], batch: Any, labels: Any, *, by_item: bool) -> None:
        number = len(self.asked["flows"])
        question = {"flow": dict(flow), "by_item": by_item}
        with tempfile.TemporaryDirectory() as folder:
            if flow.pop("save", False):
                flow["save_to_dir"] = folder
            np.random.seed(99)
            reader = self.make(validation_split=0.45, **MOVING).flow(batch, labels, batch_size=2, **flow)
            taken = [reader[i] for i in range(len(reader))] if by_item else [next(reader) for _ in range(5)]
            for place, (x, y) in enumerate(taken):
                self.arrays[f"flow_{number}_{place}_x"] = x
                self.arrays[f"flow_{number}_{place}_y"] = y
            question["saved"] = sorted(path.name for path in Path(folder).iterdir())
            for name in question["saved"]:
                self.arrays[f"flow_{number}_saved_{name}"] = np.asarray(Image.open(Path(folder, name)))
        self.asked["flows"].append(question | {"batches": len(taken), "after": float(np.random.random())})

    def record_folders(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            write_files(Path(folder), self.inputs["files"])
            for name, reading in READINGS.items():
                generator = self.make(validation_split=0.4, **MOVING)
                reader = generator.flow_from_directory(folder, target_size=(8, 8), batch_size=4, seed=11, **reading)
                x, y = next(reader)
                self.asked["folders"][name] = {
                    "filenames": list(reader.filenames),
                    "classes": [int(label) for label in reader.classes],
                    "class_indices": reader.class_indices,
                }
                self.arrays[f"folder_{name}_x"], self.arrays[f"folder_{name}_y"] = x, y


def keras_generator(**arguments: Any) -> Any:
    """Keras's own generator, its layout setting as the generator's."""
    import keras
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    keras.config.set_image_data_format(arguments.get("data_format", "channels_last"))
    return ImageDataGenerator(**arguments)


def record_keras() -> Recording:
    """Ask Keras."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Recording(keras_generator).record()


if __name__ == "__main__":
    recording = record_keras()
    import keras
    import PIL
    import scipy

    versions = {"keras": keras.__version__, "numpy": np.__version__, "scipy": scipy.__version__}
    recording.asked["versions"] = versions | {"pillow": PIL.__version__}
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "keras.json").write_text(json.dumps(recording.asked) + "\n", encoding="utf-8")
    np.savez_compressed(FOLDER / "keras.npz", **recording.arrays)
    sys.stdout.write(f"{len(recording.arrays)} arrays recorded\n")
