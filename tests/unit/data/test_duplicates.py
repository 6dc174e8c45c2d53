"""Copies in disguise are found; parts of one kind that merely look alike are not."""

import hashlib

import cv2
import numpy as np
import pytest

from teliti.data.duplicates import MIN_CORRELATION, DuplicatePair, find_duplicates, group_pairs
from teliti.data.fingerprints import fingerprint_image

SIDE = 160


def part(seed):
    """A part on a fixture: the frame and the bars are the same for all, the texture is its own."""
    rng = np.random.default_rng(seed)
    texture = cv2.GaussianBlur(rng.normal(0, 1, (SIDE, SIDE)), (0, 0), 2.5)
    image = 150 + 25 * texture / texture.std()
    image[40:46] = image[110:116] = 20
    image[:8] = image[-8:] = image[:, :8] = image[:, -8:] = 240
    return np.repeat(np.clip(image, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def resaved(image, quality=85):
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def resized(image, factor):
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def marks(images):
    return [fingerprint_image(image, hashlib.sha256(image.tobytes()).digest()) for image in images]


PARTS = [part(seed) for seed in range(60)]
SYMMETRIES = [
    (turns, mirrored, kind)
    for mirrored in (False, True)
    for turns, kind in enumerate(["flipped", "rotated", "flipped", "rotated"] if mirrored else ["", *["rotated"] * 3])
    if turns or mirrored
]
DISGUISES = {
    "bytes": lambda image: image.copy(),
    "resaved": resaved,
    "resized": lambda image: resized(image, 0.6),
    "flipped": lambda image: image[:, ::-1].copy(),
    "rotated": lambda image: np.rot90(image).copy(),
}


@pytest.mark.parametrize("kind", DISGUISES)
def test_every_disguise_is_found_and_named(kind):
    copies = [DISGUISES[kind](image) for image in PARTS[:20]]
    pairs = find_duplicates(marks(PARTS + copies))
    assert {(pair.first, pair.second) for pair in pairs} == {(i, 60 + i) for i in range(20)}
    assert {pair.kind for pair in pairs} == {kind}
    assert all(pair.correlation >= MIN_CORRELATION for pair in pairs)


@pytest.mark.parametrize(("turns", "mirrored", "kind"), SYMMETRIES)
def test_every_way_to_turn_or_flip_a_photo_is_seen(turns, mirrored, kind):
    image = PARTS[0][:96]  # wider than high
    moved = np.rot90(image[:, ::-1] if mirrored else image, turns).copy()
    (pair,) = find_duplicates(marks([image, moved]))
    assert (pair.first, pair.second, pair.kind) == (0, 1, kind)


@pytest.mark.parametrize("factor", [0.5, 0.75, 1.5, 2.0])
def test_flipped_resized_and_saved_again_at_once(factor):
    copies = [resaved(resized(image[:, ::-1].copy(), factor), 80) for image in PARTS[:8]]
    pairs = find_duplicates(marks(PARTS + copies))
    assert [(pair.first, pair.second, pair.kind) for pair in pairs] == [(i, 60 + i, "flipped") for i in range(8)]


def test_a_grey_copy_of_a_colour_photo_is_found():
    colour = np.clip(PARTS[0] * np.array([1.1, 1.0, 0.6]), 0, 255).astype(np.uint8)
    grey = np.repeat(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    assert [pair.kind for pair in find_duplicates(marks([colour, grey]))] == ["resaved"]


def test_many_shots_of_few_parts_are_copies_and_not_layout():
    shots = [resaved(PARTS[number], 75 + shot) for number in range(5) for shot in range(20)]
    groups = group_pairs(100, find_duplicates(marks(shots)))
    assert groups == [list(range(start, start + 20)) for start in range(0, 100, 20)]


def test_plain_plates_under_a_fixed_camera_are_no_copies_of_each_other():
    rng = np.random.default_rng(3)
    plate = np.full((SIDE, SIDE), 140.0)
    cv2.circle(plate, (80, 80), 50, 200.0, -1)
    plates = [np.repeat(np.clip(plate + rng.normal(0, 3, plate.shape), 0, 255)[..., None], 3, 2) for _ in range(40)]
    assert find_duplicates(marks([image.astype(np.uint8) for image in plates])) == []


def test_a_defect_in_one_of_two_shots_of_a_part_makes_them_different():
    scratched = PARTS[0].copy()
    cv2.line(scratched, (60, 60), (100, 100), (20, 20, 20), 4)
    assert find_duplicates(marks([PARTS[0], scratched])) == []


def test_parts_that_share_only_their_layout_are_no_copies():
    assert find_duplicates(marks(PARTS)) == []


def test_the_same_part_in_other_light_is_another_photo():
    darker = [(image * 0.7).astype(np.uint8) for image in PARTS[:10]]
    assert find_duplicates(marks(PARTS + darker)) == []


def test_a_pair_depends_on_the_other_photos_only_through_the_layout():
    copies = [resaved(image) for image in PARTS[:10]]
    few = find_duplicates(marks(PARTS[:10] + copies))
    many = find_duplicates(marks(PARTS[:10] + copies + PARTS[10:]))
    assert [(pair.first, pair.second, pair.kind) for pair in few] == [(i, 10 + i, "resaved") for i in range(10)]
    assert [(pair.first, pair.second) for pair in many] == [(pair.first, pair.second) for pair in few]


def test_a_stretched_photo_is_no_copy():
    wide = [cv2.resize(image, (SIDE * 2, SIDE)) for image in PARTS[:5]]
    assert find_duplicates(marks(PARTS + wide)) == []


@pytest.mark.parametrize("count", [0, 1, 2])
def test_tiny_sets(count):
    images = [PARTS[0], PARTS[0].copy()][:count]
    assert len(find_duplicates(marks(images))) == (count == 2)


def test_flat_photos_are_no_near_copies():
    flat = [np.full((SIDE, SIDE, 3), value, np.uint8) for value in (0, 1, 2)]
    assert find_duplicates(marks(flat)) == []


def test_a_disguised_copy_is_paired_with_each_of_the_files_that_hold_its_photo():
    pairs = find_duplicates(marks([resaved(PARTS[0]), PARTS[0], PARTS[1], PARTS[0].copy()]))
    assert [(pair.first, pair.second, pair.kind) for pair in pairs] == [
        (0, 1, "resaved"),
        (0, 3, "resaved"),
        (1, 3, "bytes"),
    ]


def test_very_many_copies_of_one_file_are_listed_with_the_first_and_still_kept_together():
    images = [PARTS[0]] * 200 + [PARTS[1], resaved(PARTS[0])]
    pairs = find_duplicates(marks(images))
    assert sum(pair.kind == "bytes" for pair in pairs) == 199
    assert group_pairs(202, pairs) == [[*range(200), 201], [200]]


def test_more_photos_than_one_block_are_compared():
    rng = np.random.default_rng(0)
    images = [np.repeat(rng.integers(0, 256, (16, 16, 1), dtype=np.uint8), 3, axis=2) for _ in range(600)]
    pairs = find_duplicates(marks([*images, *[image[::-1].copy() for image in images[::50]]]))
    assert [(pair.first, pair.second, pair.kind) for pair in pairs] == [(50 * i, 600 + i, "flipped") for i in range(12)]


def pair(first, second, kind="resaved", correlation=0.95):
    return DuplicatePair(first, second, kind, correlation)


def test_groups_hold_every_photo_once():
    groups = group_pairs(5, [pair(0, 3), pair(1, 2), pair(0, 4), pair(3, 4)])
    assert groups == [[0, 3, 4], [1, 2]]


def test_a_chain_of_weak_links_does_not_make_one_group():
    groups = group_pairs(6, [pair(index, index + 1) for index in range(5)])
    assert max(len(group) for group in groups) <= 3


def test_byte_copies_always_stay_together():
    links = [pair(index, index + 1, "bytes", 1.0) for index in range(3)]
    assert group_pairs(4, links) == group_pairs(4, links[::-1]) == [[0, 1, 2, 3]]


def test_byte_copies_have_one_voice():
    copies = [pair(0, index, "bytes", 1.0) for index in range(1, 6)]
    assert group_pairs(7, [*copies, pair(0, 6)]) == [[0, 1, 2, 3, 4, 5, 6]]


def test_a_member_needs_half_of_a_group_behind_it():
    triple = [pair(0, 1), pair(0, 2), pair(1, 2)]
    assert group_pairs(4, [*triple, pair(2, 3, correlation=0.9)]) == [[0, 1, 2], [3]]
    assert group_pairs(4, [*triple, pair(1, 3, correlation=0.9), pair(2, 3, correlation=0.9)]) == [[0, 1, 2, 3]]


def test_a_chain_groups_the_closest_first():
    links = [pair(0, 1, correlation=0.9), pair(1, 2, correlation=0.99), pair(2, 3, correlation=0.95)]
    assert group_pairs(4, links) == [[0], [1, 2, 3]]
