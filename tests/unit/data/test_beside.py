"""Files beside a photo: found by a pattern in its folder or archive, and never outside the data."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from parts import encode_png
from teliti.data.archives import list_archive
from teliti.data.beside import (
    beside_of,
    check_companions,
    climb,
    find_beside,
    find_companions,
    is_mask_name,
    levels_up,
    read_beside,
    require_masks_apart,
    without_companions,
)
from teliti.data.catalog import list_photos
from teliti.data.folders import list_folder
from teliti.data.origins import ArrayOrigin, FileOrigin
from teliti.errors import CatalogError, PhotoRefused
from teliti.types import Origin, Sample

HERE, UP, FURTHER = "{stem}_mask.png", "../masks/{stem}.png", "../../masks/{stem}.png"
FILES = {
    "data/good/a.png": b"photo a", "data/good/a_mask.png": b"mask a", "data/good/b.png": b"photo b",
    "data/masks/a.png": b"mask of a, further up", "secret_mask.png": b"of no concern", "masks/a.png": b"outside",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with masks, and files beside it that are none of the data."""
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path / "data"


def origins(folder: Path, name: str = "good/a.png") -> dict[str, Origin]:
    """The same photo by every door that has files."""
    packed = folder.parent / "data.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for inside in FILES:
            if inside.startswith("data/") and (folder.parent / inside).exists():
                archive.write(folder.parent / inside, inside.removeprefix("data/"))
    return {
        "by its path": FileOrigin(str(folder / name)),
        "in a folder": list_folder(str(folder)).files[name],
        "in an archive": list_archive(str(packed)).files[name],
    }


DOORS = ["by its path", "in a folder", "in an archive"]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("pattern", "content"), [(HERE, b"mask a"), (UP, b"mask of a, further up")])
def test_a_pattern_leads_to_the_file_in_the_folder_or_further_up(
    door: str, pattern: str, content: bytes, folder: Path
) -> None:
    origin = origins(folder)[door]
    assert read_beside(origin, pattern) == find_beside(origin, pattern).read_bytes() == content


def test_a_photo_named_from_its_own_folder_finds_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "good")
    assert read_beside(FileOrigin("a.png"), UP) == b"mask of a, further up"
    assert read_beside(FileOrigin("a.png"), HERE) == b"mask a"


def test_a_photo_named_through_a_link_to_its_folder_finds_the_same(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "photos").symlink_to(folder / "good")
    assert read_beside(FileOrigin(str(tmp_path / "elsewhere" / "photos" / "a.png")), UP) == b"mask of a, further up"


@pytest.mark.parametrize("door", DOORS)
def test_a_file_that_is_not_there_is_named(door: str, folder: Path) -> None:
    said = '"b_mask.png" does not lie' if "archive" in door else '"b_mask.png" beside it: the file does not exist'
    with pytest.raises(PhotoRefused, match=said):
        read_beside(origins(folder, "good/b.png")[door], HERE)


@pytest.mark.parametrize("pattern", ["../../masks/{stem}.png", "../../../{stem}", "../good/../../masks/{stem}.png"])
def test_a_pattern_that_leads_out_of_the_data_is_refused(pattern: str, folder: Path) -> None:
    with pytest.raises(PhotoRefused, match=r"lies outside the folder of the photos"):
        read_beside(origins(folder)["in a folder"], pattern)


def test_photos_without_labels_have_their_masks_as_far_up_as_the_pattern_says(folder: Path) -> None:
    """Given as a file, as their own folder, or as a folder above it: the same file each time."""
    for pattern, content in ((HERE, b"mask a"), (UP, b"mask of a, further up"), (FURTHER, b"outside")):
        for given in (folder / "good" / "a.png", folder / "good", folder, folder.parent):
            samples, _ = list_photos([str(given)], beside_levels=levels_up([pattern]))
            photo = next(sample for sample in samples if sample.name.endswith("good/a.png"))
            assert read_beside(photo.origin, pattern) == content


@pytest.mark.parametrize("given", ["good/a.png", "good"])
def test_no_link_leads_further_up_than_the_pattern(given: str, folder: Path) -> None:
    (folder / "masks" / "a.png").unlink()
    (folder / "masks" / "a.png").symlink_to(folder.parent / "masks" / "a.png")
    samples, _ = list_photos([str(folder / given)], beside_levels=levels_up([UP]))
    photo = next(sample for sample in samples if sample.name.endswith("good/a.png"))
    with pytest.raises(PhotoRefused, match="outside the folder"):
        read_beside(photo.origin, UP)


@pytest.mark.parametrize(
    ("patterns", "levels"),
    [([], 0), ([HERE], 0), ([UP], 1), ([HERE, FURTHER], 2), (["a/../../m/{stem}.png"], 1), (["a/../{stem}.png"], 0)],
)
def test_levels_are_counted(patterns: list[str], levels: int) -> None:
    assert levels_up(patterns) == levels


def test_above_the_topmost_folder_there_is_none() -> None:
    assert climb(Path("/a/b"), 1) == Path("/a")
    assert climb(Path("/a/b"), 9) == Path("/")


def test_a_pattern_that_leads_out_of_an_archive_finds_nothing(folder: Path) -> None:
    with pytest.raises(PhotoRefused, match=r'"\.\./\.\./masks/a\.png" does not lie beside it in the archive'):
        read_beside(origins(folder)["in an archive"], "../../masks/{stem}.png")


@pytest.mark.parametrize("door", ["by its path", "in a folder"])
def test_a_link_that_leads_out_of_the_data_is_refused(door: str, folder: Path) -> None:
    (folder / "good" / "b_mask.png").symlink_to(folder.parent / "secret_mask.png")
    with pytest.raises(PhotoRefused, match="outside the folder"):
        read_beside(origins(folder, "good/b.png")[door], HERE)


def test_a_link_that_leads_back_to_itself_is_refused(folder: Path) -> None:
    (folder / "good" / "b_mask.png").symlink_to(folder / "good" / "b_mask.png")
    with pytest.raises(PhotoRefused, match=r'"b_mask\.png" beside it: a link that leads back to itself'):
        read_beside(FileOrigin(str(folder / "good" / "b.png")), HERE)


def test_an_array_has_no_files_beside_it() -> None:
    with pytest.raises(PhotoRefused, match="it is no file, so that no file lies beside it"):
        read_beside(ArrayOrigin(bytes(4), 2, 2), HERE)


def test_an_archive_that_changed_is_read_again(folder: Path) -> None:
    assert read_beside(origins(folder)["in an archive"], HERE) == b"mask a"
    (folder / "good" / "a_mask.png").write_bytes(b"another mask of a")
    assert read_beside(origins(folder)["in an archive"], HERE) == b"another mask of a"


def test_an_archive_that_vanished_or_was_spoilt_is_named(folder: Path) -> None:
    origin = origins(folder)["in an archive"]
    (folder.parent / "data.zip").write_bytes(b"no archive any more")
    with pytest.raises(PhotoRefused, match=r"archive: .*could not be read as a zip archive"):
        read_beside(origin, HERE)
    (folder.parent / "data.zip").unlink()
    with pytest.raises(PhotoRefused, match="archive: the file does not exist"):
        read_beside(origin, HERE)


def test_the_pictures_beside_a_photo_are_decoded_and_a_broken_one_is_named(folder: Path) -> None:
    picture = np.full((4, 6, 3), 200, np.uint8)
    (folder / "good" / "a_mask.png").write_bytes(encode_png(picture))
    read = beside_of(FileOrigin(str(folder / "good" / "a.png")))
    np.testing.assert_array_equal(read(HERE).reshape(4, 6, -1)[..., :1], picture[..., :1])
    (folder / "good" / "a_mask.png").write_bytes(b"")
    with pytest.raises(PhotoRefused, match=r'"a_mask\.png" beside it: empty file'):
        read(HERE)


def test_every_photo_with_a_file_missing_or_of_another_size_is_found(folder: Path) -> None:
    (folder / "good" / "a_mask.png").write_bytes(encode_png(np.zeros((4, 6, 3), np.uint8)))
    names = ["a", "a", "b"]
    samples = [Sample(name, FileOrigin(str(folder / "good" / f"{name}.png"))) for name in names]
    whole, wrong, missing = check_companions(samples, [(4, 6), (6, 4), (4, 6)], [HERE], threads=2)
    mask = (folder / "good" / "a_mask.png").read_bytes()
    assert whole == hashlib.sha256(mask).digest()
    assert wrong.reason == '"a_mask.png" beside it: 4x6, and the photo is 6x4'
    assert missing.reason.startswith('"b_mask.png" beside it: the file does not exist')


def as_samples(*names: str) -> list[Sample]:
    return [Sample(name, FileOrigin(name)) for name in names]


def names_of(samples: list[Sample]) -> list[str]:
    return [sample.name for sample in samples]


@pytest.mark.parametrize(
    ("names", "patterns", "kept"),
    [
        (["good/a.png", "good/a_mask.png", "good/b.png"], [HERE], ["good/a.png", "good/b.png"]),
        (["good/a.png", "masks/a.png", "masks/b.png"], [UP], ["good/a.png"]),  # whether the photo is there or not
        (["/x/y/a.png", "/x/./y/a_mask.png"], [HERE], ["/x/y/a.png"]),
        (["a.png", "a_mask.png", "a_part.png"], [HERE, "{stem}_part.png"], ["a.png"]),
        (["box.zip/a.jpg", "a_mask.png"], [HERE], ["box.zip/a.jpg", "a_mask.png"]),  # in another place
        (["a.png", "a_mask.png"], [], ["a.png", "a_mask.png"]),
    ],
)
def test_files_that_lie_beside_photos_are_no_photos(names: list[str], patterns: list[str], kept: list[str]) -> None:
    samples, left_out = without_companions(as_samples(*names), patterns)
    assert names_of(samples) == kept
    assert left_out == len(names) - len(kept)


def test_the_names_of_companions_are_known_before_they_are_looked_for() -> None:
    wanted = {"good/a_mask.png", "masks/a.png", "b_mask.png", "../masks/b.png"}
    others = ["good/a_mask.jpg", "a_mask.png", "good/a.png", "masks/b.png"]
    assert find_companions([*wanted, *others], ["good/a.jpg", "./b.png"], [HERE, UP]) == wanted


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (["a.jpg", "a.png", "b.png"], ["a.jpg", "b.png"]),  # nothing says that b.png is a mask
        (["a.png", "b.png"], ["a.png", "b.png"]),
    ],
)
def test_a_photo_is_not_its_own_mask(names: list[str], kept: list[str]) -> None:
    assert names_of(without_companions(as_samples(*names), ["{stem}.png"])[0]) == kept


def test_masks_alone_are_no_photos() -> None:
    with pytest.raises(
        CatalogError, match=r'^The files must be photos, got 2 that are all masks by the name pattern "'
    ):
        without_companions(as_samples("masks/a.png", "masks/b.png"), [UP])


@pytest.mark.parametrize("door", DOORS)
def test_a_pattern_that_leads_to_the_photo_itself_reads_nothing(folder: Path, door: str) -> None:
    with pytest.raises(PhotoRefused, match=r'^"a\.png" is the photo itself, and no file beside it$'):
        read_beside(origins(folder)[door], "{stem}.png")
    with pytest.raises(PhotoRefused, match="is the photo itself"):
        read_beside(origins(folder)[door], "../good/./{stem}.png")


def test_a_pattern_that_is_the_name_of_the_photos_is_refused() -> None:
    require_masks_apart(["good/a.png", "good/a.jpg"], ["{stem}.png", UP])
    with pytest.raises(
        CatalogError, match=r'The masks must be other files.*"\{stem\}\.png".* \("good/a\.png"\)'
    ) as caught:
        require_masks_apart(["good/a.png", "bad/b.png"], [HERE, "{stem}.png"])
    assert caught.value.hint == (
        "Give the masks an ending or a folder of their own, for instance {stem}_mask.png; and give the photos."
    )


@pytest.mark.parametrize(
    ("name", "pattern", "is_mask"),
    [
        ("a_mask.png", HERE, True), ("a.png", HERE, False), ("_mask.png", HERE, False), ("a_mask.jpg", HERE, False),
        ("part-a.png", "./part-{stem}.png", True), ("a.png", "{stem}.png", False), ("a.png", UP, False),
    ],
)  # fmt: skip
def test_a_name_alone_tells_a_mask_by_the_words_of_the_pattern(name: str, pattern: str, is_mask: bool) -> None:
    assert is_mask_name(name, [pattern]) == is_mask


@pytest.mark.parametrize(
    ("photo", "mask"),
    [("a.b.png", "a.b_mask.png"), (".png", ".png_mask.png"), ("a", "a_mask.png"), ("x.y/a", "x.y/a_mask.png")],
)
def test_the_stem_is_the_name_without_its_last_ending(photo: str, mask: str) -> None:
    assert find_companions([mask], [photo], [HERE]) == {mask}
