"""`ImageDataGenerator` as a user meets it: batches from arrays, folders and tables, with the nine traps mended."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from teliti.errors import SplitError, UserError
from teliti.workflow.generator import ImageDataGenerator

MOVING = {"rotation_range": 40, "zoom_range": 0.3, "horizontal_flip": True, "brightness_range": (0.6, 1.4)}


@pytest.fixture
def photos() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (30, 8, 10, 3), dtype=np.uint8)


@pytest.fixture
def labels() -> np.ndarray:
    return np.repeat([0, 1, 2], [15, 10, 5])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three classes of 10 grey photos; each photo's level tells its number, so that it can be recognised."""
    for number in range(30):
        path = tmp_path / "set" / f"class-{number % 3}" / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20, 30, 3), number * 8, dtype=np.uint8)).save(path)
    return tmp_path / "set"


def epoch(batches: object) -> tuple[np.ndarray, np.ndarray]:
    """All photos and targets of one epoch, in their order."""
    parts = [batches[number] for number in range(len(batches))]
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


class TestArrays:
    def test_all_photos_come_once_an_epoch(self, photos: np.ndarray) -> None:
        batches = ImageDataGenerator().flow(photos, np.arange(30), 8, seed=0)
        assert len(batches) == 4
        x, y = epoch(batches)
        assert sorted(y) == list(range(30))
        assert list(y) != sorted(y)
        assert x.dtype == np.float32
        np.testing.assert_array_equal(x, photos[y])

    def test_every_epoch_has_another_order_and_other_pixels(self, photos: np.ndarray) -> None:
        batches = ImageDataGenerator(**MOVING).flow(photos, np.arange(30), seed=0)
        first_x, first_y = epoch(batches)
        batches.on_epoch_end()
        second_x, second_y = epoch(batches)
        assert list(first_y) != list(second_y)
        assert not np.array_equal(first_x[np.argsort(first_y)], second_x[np.argsort(second_y)])

    def test_next_goes_through_the_same_epochs(self, photos: np.ndarray) -> None:
        by_item, by_next = (ImageDataGenerator(**MOVING).flow(photos, np.arange(30), 8, seed=4) for _ in range(2))
        for _ in range(2):
            for number in range(4):
                expected, (x, y) = by_item[number], next(by_next)
                np.testing.assert_array_equal(x, expected[0])
                np.testing.assert_array_equal(y, expected[1])
            by_item.on_epoch_end()
        by_next.reset()
        by_item.reset()
        np.testing.assert_array_equal(next(by_next)[0], by_item[0][0])

    def test_a_batch_that_does_not_exist(self, photos: np.ndarray) -> None:
        batches = ImageDataGenerator().flow(photos, batch_size=8)
        assert len(batches[-1]) == 6
        with pytest.raises(IndexError, match="Batch 4 does not exist: an epoch has 4 batches"):
            batches[4]

    def test_further_inputs_and_weights_stay_with_their_photos(self, photos: np.ndarray) -> None:
        numbers = np.arange(30)
        generator = ImageDataGenerator(validation_split=0.2)
        batches = generator.flow(
            (photos, [numbers * 10]), numbers % 2, sample_weight=numbers / 2, subset="training", seed=1
        )
        (x, tens), y, weights = next(batches)
        assert len(x) == 24
        np.testing.assert_array_equal(x, photos[tens // 10])
        np.testing.assert_array_equal(y, tens // 10 % 2)
        np.testing.assert_array_equal(weights, tens / 20)

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ({"y": [1, 2]}, "y must be as long as the photos, got 2 and 30"),
            ({"y": None, "sample_weight": [1]}, "sample_weight must be as long as the photos, got 1 and 30"),
            ({"y": None, "subset": "test"}, "subset must be \"training\", \"validation\" or None, got 'test'"),
            ({"y": None, "subset": "training"}, "subset=\"training\" must have a validation_split to come from"),
            ({"y": None, "batch_size": 0}, "batch_size must be at least 1, got 0"),
            ({"y": None, "seed": -1}, "seed must be at least 0, got -1"),
        ],
    )  # fmt: skip
    def test_what_is_refused(self, photos: np.ndarray, arguments: dict, sentence: str) -> None:
        with pytest.raises(UserError, match=sentence):
            ImageDataGenerator().flow(photos, **arguments)

    def test_photos_that_are_none(self, photos: np.ndarray) -> None:
        with pytest.raises(UserError, match=r"given to flow must be an array of rank 4, got shape \(8, 10, 3\)"):
            ImageDataGenerator().flow(photos[0])
        with pytest.raises(UserError, match=r"x must be photos or a pair .* got 3 entries"):
            ImageDataGenerator().flow([photos, photos, photos])
        with pytest.raises(UserError, match="save_format must be a format that can hold"):
            next(ImageDataGenerator().flow(photos, save_to_dir="previews", save_format="nonsense"))


class TestTraps:
    def test_1_the_split_is_stratified_seeded_and_not_the_first_part(
        self, photos: np.ndarray, labels: np.ndarray
    ) -> None:
        def part(subset: str, split_seed: int = 0) -> list[int]:
            generator = ImageDataGenerator(validation_split=0.2, split_seed=split_seed)
            return generator.flow(photos, labels, subset=subset).positions.tolist()

        inside, outside = part("validation"), part("training")
        assert sorted(inside + outside) == list(range(30))
        assert np.bincount(labels[inside]).tolist() == [3, 2, 1]
        assert inside != list(range(6))
        assert inside == part("validation")
        assert inside != part("validation", split_seed=1)

    def test_1_groups_stay_together(self, photos: np.ndarray) -> None:
        sessions = np.arange(30) // 3
        generator = ImageDataGenerator(validation_split=0.3)
        kept = {
            subset: set(sessions[generator.flow(photos, groups=sessions, subset=subset).positions])
            for subset in ("training", "validation")
        }
        assert not kept["training"] & kept["validation"]

    def test_1_a_class_of_one_photo_cannot_be_split(self, photos: np.ndarray) -> None:
        lonely = np.array([1] + [0] * 29)
        generator = ImageDataGenerator(validation_split=0.2)
        with pytest.raises(SplitError, match=r"must have at least 2 separate photos.*ignore_class_split=True"):
            generator.flow(photos, lonely, subset="training")
        assert generator.flow(photos, lonely, subset="training", ignore_class_split=True).n == 24

    @pytest.mark.parametrize("kind", ["one-hot", "numbers", "names", "rows of numbers"])
    def test_1_targets_of_any_kind(self, photos: np.ndarray, labels: np.ndarray, kind: str) -> None:
        targets = {
            "one-hot": np.eye(3)[labels],
            "numbers": np.linspace(0, 1, 30),
            "names": np.array(["ok", "scratch", "dent"])[labels],
            "rows of numbers": np.random.default_rng(0).uniform(size=(30, 2)),
        }[kind]
        batches = ImageDataGenerator(validation_split=0.2).flow(photos, targets, subset="validation")
        assert batches.n == 6
        if kind in ("one-hot", "names"):
            assert np.bincount(labels[batches.positions]).tolist() == [3, 2, 1]
        if kind == "numbers":
            assert targets[batches.positions].max() > 0.5 > targets[batches.positions].min()

    def test_2_the_validation_part_is_not_augmented(self, photos: np.ndarray, labels: np.ndarray) -> None:
        generator = ImageDataGenerator(**MOVING, rescale=1 / 255, validation_split=0.2)
        measured = generator.flow(photos, labels, subset="validation", shuffle=False)
        np.testing.assert_allclose(next(measured)[0], photos[measured.positions] / 255.0, atol=1e-6)
        learnt = generator.flow(photos, labels, subset="training", shuffle=False)
        assert not np.allclose(next(learnt)[0], photos[learnt.positions] / 255.0, atol=0.1)

    def test_3_fit_leaves_the_validation_part_out(self, photos: np.ndarray, labels: np.ndarray) -> None:
        generator = ImageDataGenerator(featurewise_center=True, validation_split=0.2)
        generator.fit(photos, y=labels)
        learnt = photos[generator.flow(photos, labels, subset="training").positions]
        np.testing.assert_allclose(generator.mean.ravel(), learnt.mean(axis=(0, 1, 2)), rtol=1e-6)

    def test_3_fit_and_flow_must_divide_alike(self, photos: np.ndarray, labels: np.ndarray) -> None:
        generator = ImageDataGenerator(featurewise_center=True, validation_split=0.2)
        generator.fit(photos)
        assert generator.flow(photos, subset="training").n == 24
        assert generator.flow(photos, labels, subset="training", ignore_class_split=True).n == 24
        with pytest.raises(UserError, match=r"fit and flow must divide the photos alike.*fit\(x, y=y\)"):
            generator.flow(photos, labels, subset="training")

    def test_4_previews_show_true_brightness_under_steady_names(self, photos: np.ndarray, tmp_path: Path) -> None:
        generator = ImageDataGenerator(rescale=1 / 255, samplewise_center=True, brightness_range=(0.5, 0.5))
        for _ in range(2):
            next(generator.flow(photos[:2], shuffle=False, save_to_dir=tmp_path, save_prefix="dark", seed=3))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["dark_0_0.png", "dark_1_0.png"]
        with Image.open(tmp_path / "dark_1_0.png") as picture:
            np.testing.assert_allclose(np.asarray(picture, float), photos[1] * 0.5, atol=0.51)

    def test_4_previews_of_channels_first_and_of_unit_range(self, photos: np.ndarray, tmp_path: Path) -> None:
        first = photos[:1].transpose(0, 3, 1, 2) / np.float32(255)
        generator = ImageDataGenerator(data_format="channels_first")
        next(generator.flow(first, save_to_dir=tmp_path, save_format="jpg"))
        with Image.open(tmp_path / "_0_0.jpg") as picture:
            assert (picture.format, picture.size) == ("JPEG", (10, 8))
            assert abs(np.asarray(picture, float).mean() - photos[0].mean()) < 5

    def test_5_threads_and_order_do_not_matter(self, photos: np.ndarray) -> None:
        before = np.random.get_state()[1].copy()
        generator = ImageDataGenerator(**MOVING)

        def collect(threads: int) -> dict[int, bytes]:
            batches = generator.flow(photos, np.arange(30), 4, seed=9)
            with ThreadPoolExecutor(threads) as pool:
                taken = list(pool.map(lambda _: next(batches), range(len(batches))))
            return {int(y): x.tobytes() for xs, ys in taken for x, y in zip(xs, ys, strict=True)}

        assert collect(1) == collect(4)
        np.testing.assert_array_equal(np.random.get_state()[1], before)

    def test_5_without_a_seed_every_reader_differs(self, photos: np.ndarray) -> None:
        generator = ImageDataGenerator(**MOVING)
        assert not np.array_equal(next(generator.flow(photos)), next(generator.flow(photos)))

    def test_6_files_shrink_by_area(self, tmp_path: Path) -> None:
        board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
        (tmp_path / "a").mkdir()
        Image.fromarray(np.dstack([board] * 3)).save(tmp_path / "a" / "board.png")
        fine = next(ImageDataGenerator().flow_from_directory(tmp_path, (16, 16), class_mode=None))
        coarse = next(
            ImageDataGenerator().flow_from_directory(tmp_path, (16, 16), class_mode=None, interpolation="nearest")
        )
        assert 126 <= fine.min() <= fine.max() <= 129
        assert set(np.unique(coarse)) <= {0.0, 255.0}

    def test_7_channels_shift_apart(self, photos: np.ndarray) -> None:
        x = next(ImageDataGenerator(channel_shift_range=30).flow(photos, shuffle=False, seed=0))
        inside = (photos > 40) & (photos < 215)
        shifts = [np.median((x[0] - photos[0])[..., k][inside[0, ..., k]]) for k in range(3)]
        assert len({round(float(shift)) for shift in shifts}) == 3

    def test_9_a_broken_photo_is_left_out_and_counted(self, folder: Path) -> None:
        (folder / "class-1" / "01.png").write_bytes(b"this is no photo at all")
        batches = ImageDataGenerator().flow_from_directory(folder, (8, 8), batch_size=6, shuffle=False)
        with pytest.warns(UserWarning, match=r"class-1.01.png\" is left out: not an image"):
            x, y = epoch(batches)
        assert len(x) == len(y) == 29
        assert [refused.name for refused in batches.refused] == [str(Path("class-1", "01.png"))]
        np.testing.assert_array_equal(y.argmax(axis=1), batches.classes[batches.readable])
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # said once
            epoch(batches)

    def test_9_a_set_of_broken_photos_ends_in_a_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "x.png").write_bytes(b"")
        batches = ImageDataGenerator().flow_from_directory(tmp_path, (8, 8))
        with (
            pytest.warns(UserWarning, match="is left out: empty file"),
            pytest.raises(UserError, match="At least one photo must be readable, got 1 refused"),
        ):
            next(batches)
        assert batches[0][0].shape == (0, 8, 8, 3)

    def test_9_the_compatible_generator_stops_at_a_broken_photo(self, folder: Path) -> None:
        (folder / "class-1" / "01.png").write_bytes(b"this is no photo at all")
        (folder / "class-1" / "04.png").write_bytes((folder / "class-1" / "07.png").read_bytes()[:60])
        batches = ImageDataGenerator(keras_compatible=True).flow_from_directory(folder, (8, 8), shuffle=False)
        with pytest.raises(UserError, match=r"01.png\" cannot be read: .* broken photos are skipped"):
            batches[0]


class TestCompatibleArrays:
    def test_class_sets_must_be_equal(self, photos: np.ndarray, labels: np.ndarray) -> None:
        generator = ImageDataGenerator(keras_compatible=True, validation_split=0.2)
        with pytest.raises(UserError, match="must have the same classes, got different ones"):
            generator.flow(photos, labels, subset="training")
        first = generator.flow(photos, labels, subset="validation", ignore_class_split=True)
        assert first.positions.tolist() == [0, 1, 2, 3, 4, 5]


class TestFolders:
    def test_classes_targets_and_sizes(self, folder: Path) -> None:
        batches = ImageDataGenerator().flow_from_directory(folder, (12, 10), batch_size=30, shuffle=False)
        x, y = next(batches)
        assert x.shape == (30, 12, 10, 3)
        assert batches.class_indices == {"class-0": 0, "class-1": 1, "class-2": 2}
        assert (batches.samples, batches.num_classes) == (30, 3)
        np.testing.assert_array_equal(y.argmax(axis=1), batches.classes)
        numbers = [int(Path(name).stem) for name in batches.filenames]
        np.testing.assert_array_equal(x[:, 0, 0, 0], np.array(numbers) * 8)

    @pytest.mark.parametrize(
        ("color_mode", "data_format", "shape"),
        [
            ("grayscale", None, (8, 9, 1)),
            ("rgba", None, (8, 9, 4)),
            ("rgb", "channels_first", (3, 8, 9)),
            ("grayscale", "channels_first", (1, 8, 9)),
        ],
    )
    def test_colour_modes_and_layouts(self, folder: Path, color_mode: str, data_format: str, shape: tuple) -> None:
        generator = ImageDataGenerator(data_format=data_format, **MOVING)
        batches = generator.flow_from_directory(folder, (8, 9), color_mode, class_mode="input", batch_size=4)
        x, y = next(batches)
        assert x.shape == y.shape == (4, *shape)
        np.testing.assert_array_equal(x, y)

    def test_subsets_divide_every_class(self, folder: Path) -> None:
        generator = ImageDataGenerator(validation_split=0.3)
        parts = [
            generator.flow_from_directory(folder, (8, 8), class_mode="sparse", subset=subset, shuffle=False)
            for subset in ("training", "validation")
        ]
        assert [np.bincount(part.classes).tolist() for part in parts] == [[7, 7, 7], [3, 3, 3]]
        assert not set(parts[0].filenames) & set(parts[1].filenames)
        np.testing.assert_array_equal(epoch(parts[1])[1], parts[1].classes)

    def test_hidden_files_and_folders_are_no_photos(self, folder: Path) -> None:
        (folder / ".ipynb_checkpoints").mkdir()
        (folder / "class-0" / "._00.png").write_bytes(b"resource fork")
        (folder / "class-0" / "notes.txt").write_text("words")
        (folder / "class-0" / "deeper").mkdir()
        (folder / "class-0" / "00.png").rename(folder / "class-0" / "deeper" / "00.png")
        assert ImageDataGenerator().flow_from_directory(folder).samples == 30

    def test_linked_folders_are_followed_where_asked_and_loops_end(self, folder: Path, tmp_path: Path) -> None:
        linked = tmp_path / "linked"
        linked.mkdir()
        (linked / "a").mkdir()
        (linked / "a" / "more").symlink_to(folder / "class-0")
        (linked / "a" / "loop").symlink_to(linked / "a")
        assert ImageDataGenerator().flow_from_directory(linked, follow_links=True).samples == 10
        with pytest.raises(UserError, match="must hold at least one photo, got none"):
            ImageDataGenerator().flow_from_directory(linked)

    def test_chosen_classes_in_their_order(self, folder: Path) -> None:
        batches = ImageDataGenerator().flow_from_directory(
            folder, (8, 8), classes=["class-2", "class-0"], class_mode="binary", shuffle=False
        )
        assert batches.class_indices == {"class-2": 0, "class-0": 1}
        assert next(batches)[1].tolist() == [0.0] * 10 + [1.0] * 10

    def test_aspect_ratio_kept(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        pixels = np.zeros((20, 60, 3), dtype=np.uint8)
        pixels[:, 20:40] = 200
        Image.fromarray(pixels).save(tmp_path / "a" / "wide.png")
        for interpolation in (None, "bilinear"):
            batches = ImageDataGenerator().flow_from_directory(
                tmp_path, (10, 10), class_mode=None, keep_aspect_ratio=True, interpolation=interpolation
            )
            assert np.all(next(batches)[0, 1:-1, 1:-1] == 200)

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ({"classes": ["class-9"]}, 'Class "class-9" must have a folder of its own'),
            ({"class_mode": "raw"}, "class_mode must be one of categorical, binary, sparse, input, None, got 'raw'"),
            ({"class_mode": "binary"}, 'class_mode "binary" must have 2 classes, got 3'),
            ({"color_mode": "hsv"}, "color_mode must be one of rgb, rgba, grayscale, got 'hsv'"),
            ({"interpolation": "cubic"}, "interpolation must be one of None, nearest, .* got 'cubic'"),
            ({"target_size": (0, 8)}, r"target_size must be \(height, width\) in pixels, got \(0, 8\)"),
        ],
    )
    def test_what_is_refused(self, folder: Path, arguments: dict, sentence: str) -> None:
        with pytest.raises(UserError, match=sentence):
            ImageDataGenerator().flow_from_directory(folder, **arguments)

    def test_a_folder_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match='missing" must be a folder'):
            ImageDataGenerator().flow_from_directory(tmp_path / "missing")
