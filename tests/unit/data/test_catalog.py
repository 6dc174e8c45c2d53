"""What a user may give, what becomes of it, and what is said when it cannot be used."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from photos import broken_photos, draw_ramp, encode, good_photos, write_files
from teliti.data.catalog import list_photos, read_catalog
from teliti.data.decode import decode_image
from teliti.errors import CatalogError, PhotoRefused

PHOTO = encode(draw_ramp(), "PNG")


def plant(folder: Path, *names: str) -> str:
    write_files(folder, dict.fromkeys(names, PHOTO))
    return str(folder)


def pack(folder: Path, target: Path) -> str:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return str(target)


def message(source: str) -> str:
    with pytest.raises(CatalogError) as error:
        read_catalog(source)
    assert error.value.exit_code == 2
    assert error.value.hint
    return error.value.message


def test_class_folders(tmp_path: Path) -> None:
    source = plant(
        tmp_path, "good/b.png", "good/lot 2/a.PNG", "bad/1.png", ".hidden/x.png", "bad/.x.png", "bad/Thumbs.db"
    )
    catalog = read_catalog(source)
    assert [(sample.name, sample.label) for sample in catalog.samples] == [
        ("bad/1.png", "bad"), ("good/b.png", "good"), ("good/lot 2/a.PNG", "good"),
    ]  # fmt: skip
    assert (catalog.classes, catalog.task, catalog.has_given_split) == (("bad", "good"), "classification", False)
    assert catalog.refused == ()
    assert catalog.source == source
    assert catalog.samples[0].origin.read_bytes() == PHOTO


def test_folders_named_by_digits_are_classes(tmp_path: Path) -> None:
    assert read_catalog(plant(tmp_path, "0/a.png", "1/b.png")).classes == ("0", "1")


def test_split_folders_in_any_case(tmp_path: Path) -> None:
    source = plant(
        tmp_path, "Train/a/1.png", "Train/b/2.png", "VALID/a/3.png", "test/b/4.png", "docs/x/5.png", "train/6.png"
    )
    catalog = read_catalog(source)
    assert {sample.name: (sample.split, sample.label) for sample in catalog.samples} == {
        "Train/a/1.png": ("train", "a"), "Train/b/2.png": ("train", "b"),
        "VALID/a/3.png": ("val", "a"), "test/b/4.png": ("test", "b"),
    }  # fmt: skip
    assert catalog.has_given_split
    assert {item.name: item.reason for item in catalog.refused} == {
        "docs/x/5.png": "not in a train, val or test folder",
        "train/6.png": "not in a class folder",
    }


def test_everything_given_is_used_or_refused(tmp_path: Path) -> None:
    plant(
        tmp_path, "good/a.png", "bad/b.png", "loose.png", "good/notes.txt", "bad/README", "papers/1.xml", "papers/2.xml"
    )
    (tmp_path / "empty").mkdir()
    (tmp_path / "good" / "trap.png").mkdir()
    (tmp_path / "elsewhere").symlink_to("good")
    catalog = read_catalog(str(tmp_path))
    assert len(catalog.samples) == 2
    assert {item.name: item.reason for item in catalog.refused} == {
        "loose.png": "not in a class folder",
        "good/notes.txt": "not an image file (.txt)",
        "bad/README": "not an image file (no suffix)",
        "papers": "a folder of 2 files, none of them a photo",
        "good/trap.png": "a folder, not a file",
        "elsewhere": "a link to a folder is not followed",
    }
    assert 'The folder "empty" holds no photos and is left out.' in catalog.notes


def test_odd_files_are_refused_when_read_and_hang_nothing(tmp_path: Path) -> None:
    plant(tmp_path, "good/a.png", "bad/b.png")
    os.mkfifo(tmp_path / "good" / "pipe.png")
    (tmp_path / "good" / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "good" / "loop.png").symlink_to("loop.png")
    (tmp_path / "good" / "gone.png").symlink_to("nowhere.png")
    reasons = {}
    for sample in read_catalog(str(tmp_path)).samples:
        try:
            sample.origin.read_bytes()
        except PhotoRefused as refusal:
            reasons[sample.name] = refusal.reason
    assert reasons == {
        "good/pipe.png": "a named pipe, not a file",
        "good/zero.png": "a link that leads outside the folder",
        "good/loop.png": "a link that leads back to itself",
        "good/gone.png": "the file does not exist (any more)",
    }


def test_an_unreadable_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = plant(tmp_path, "good/a.png", "bad/b.png", "good/locked/c.png")
    real = os.scandir

    def deny(path: Path) -> object:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr("teliti.data.folders.os.scandir", deny)
    assert read_catalog(source).refused[0].reason == "folder not readable: permission denied"


@pytest.mark.parametrize(
    "name",
    [
        'a "b" c',
        "new\nline",
        "<b>bold&amp;",
        "=1+1",
        "検査",
        "\u202egnp",
        "ß",
        "🙂",
        "...dots",
        "-rf",
        "a;b,c",
        os.fsdecode(b"\xff\xfe"),
    ],
)
def test_names_of_classes_and_photos_keep_their_bytes(name: str, tmp_path: Path) -> None:
    catalog = read_catalog(plant(tmp_path, f"{name.lstrip('.')}/{name.lstrip('.')}.png", "other/b.png"))
    assert name.lstrip(".") in catalog.classes
    assert {os.fsencode(sample.name) for sample in catalog.samples} == {
        os.fsencode(str(path.relative_to(tmp_path))) for path in tmp_path.rglob("*.png")
    }
    assert all(sample.origin.read_bytes() == PHOTO for sample in catalog.samples)


def test_a_source_may_be_a_link(tmp_path: Path) -> None:
    plant(tmp_path / "real", "good/a.png", "bad/b.png")
    (tmp_path / "link").symlink_to("real")
    assert len(read_catalog(str(tmp_path / "link")).samples) == 2


def test_what_cannot_be_used_says_what_was_found(tmp_path: Path) -> None:
    none, flat, one, text, train = (tmp_path / name for name in ("none", "flat", "one", "text", "train-only"))
    none.mkdir()
    plant(flat, "a.png", "b.png")
    plant(one, "good/a.png", "good/b.png")
    plant(text, "good/a.txt", "good/b.txt", "bad/c.doc")
    plant(train, "train/a/1.png", "train/b/2.png")
    assert message(str(none)) == f'"{none}" must hold photos in class folders, got no files at all.'
    assert message(str(flat)) == f'"{flat}" must hold class folders, got 2 photos and no folders with photos.'
    assert message(str(one)) == f'"{one}" must have photos of at least two classes, got one: "good".'
    assert (
        message(str(text)) == f'"{text}" must hold photos in class folders, got only other files (2 x .txt, 1 x .doc).'
    )
    assert message(str(train)).endswith('must have photos of at least two classes, got one: "train".')
    assert message(str(tmp_path / "missing")) == f'"{tmp_path / "missing"}" does not exist.'
    assert "must be a folder, a .csv, .zip or IDX file" in message(str(flat / "a.png"))


def test_a_misspelt_built_in_name_is_suggested() -> None:
    with pytest.raises(CatalogError, match='Did you mean the built-in set "elpv"'):
        read_catalog("elvp")


def test_a_given_split_must_train_what_it_tests(tmp_path: Path) -> None:
    source = plant(tmp_path / "a", "train/x/1.png", "test/x/2.png", "test/y/3.png")
    assert message(source) == f'"{source}" must have photos of every class in its train part, got none of "y".'
    (tmp_path / "labels.csv").write_text("path,label,split\na/train/x/1.png,x,val\na/test/x/2.png,y,test\n")
    assert message(str(tmp_path / "labels.csv")).endswith("must have photos in its train part, got none.")


def test_a_label_file(tmp_path: Path) -> None:
    plant(tmp_path, "p/a.png", "p/b.png", "q.png")
    (tmp_path / "parts.csv").write_text("path,label,group\np/a.png,good,1\np/b.png,bad,2\n")
    catalog = read_catalog(str(tmp_path / "parts.csv"))
    assert [(s.name, s.label, s.group) for s in catalog.samples] == [("p/a.png", "good", "1"), ("p/b.png", "bad", "2")]
    assert catalog.samples[1].origin.read_bytes() == PHOTO
    assert {s.group for s in read_catalog(str(tmp_path / "parts.csv"), use_group=False).samples} == {None}


def test_a_label_file_s_photos_are_not_followed_outside(tmp_path: Path) -> None:
    plant(tmp_path, "secret.png", "in/b.png")
    (tmp_path / "in" / "a.png").symlink_to("../secret.png")
    (tmp_path / "in" / "parts.csv").write_text("path,label\na.png,x\nb.png,y\n")
    with pytest.raises(PhotoRefused, match="a link that leads outside the folder"):
        read_catalog(str(tmp_path / "in" / "parts.csv")).samples[0].origin.read_bytes()
    (tmp_path / "in" / "long.csv").write_text(f"path,label\n{'n' * 300}.png,x\n")
    assert "does not exist" in message(str(tmp_path / "in" / "long.csv"))


def test_equal_numbers_and_unreadable_label_files_are_errors(tmp_path: Path) -> None:
    plant(tmp_path, "a.png", "b.png")
    (tmp_path / "parts.csv").write_text("path,label\na.png,1\nb.png,1.0\n")
    assert message(str(tmp_path / "parts.csv")).endswith(
        'must have photos of at least two different numbers, got one: "1.0".'
    )
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    assert message(str(tmp_path / "zero.csv")).endswith("could not be read: a device, not a file.")


def test_a_folder_with_a_label_file_and_no_class_folders_uses_it(tmp_path: Path) -> None:
    plant(tmp_path, "photos/a.png", "photos/b.png", "photos/c.png")
    (tmp_path / "labels.csv").write_text("path,label\nphotos/a.png,x\nphotos/b.png,y\n")
    catalog = read_catalog(str(tmp_path))
    assert catalog.classes == ("x", "y")
    assert [(item.name, item.reason) for item in catalog.refused] == [("photos/c.png", "not in the label file")]
    assert catalog.notes[0] == 'The labels come from "labels.csv".'


def test_a_zip_of_class_folders_with_or_without_a_folder_around_them(tmp_path: Path) -> None:
    plant(tmp_path / "src" / "photos", "good/a.png", "bad/b.png", "bad/c.txt")
    for source in (
        pack(tmp_path / "src", tmp_path / "outer.zip"),
        pack(tmp_path / "src" / "photos", tmp_path / "inner.zip"),
    ):
        catalog = read_catalog(source)
        assert [sample.name for sample in catalog.samples] == ["bad/b.png", "good/a.png"]
        assert [item.name for item in catalog.refused] == ["bad/c.txt"]
        assert catalog.samples[0].origin.read_bytes() == PHOTO


def test_a_zip_of_split_folders_and_a_zip_with_a_label_file(tmp_path: Path) -> None:
    plant(tmp_path / "a", "train/x/1.png", "train/y/2.png", "test/x/3.png")
    assert read_catalog(pack(tmp_path / "a", tmp_path / "a.zip")).has_given_split
    plant(tmp_path / "b", "1/a.png", "2/b.png")
    (tmp_path / "b" / "labels.csv").write_text("path,label\n1/a.png,0.5\n2/b.png,0.7\n")
    assert read_catalog(pack(tmp_path / "b", tmp_path / "b.zip")).task == "regression"


def test_a_zip_of_one_class_is_an_error(tmp_path: Path) -> None:
    plant(tmp_path / "a", "good/1.png", "good/2.png")
    assert message(pack(tmp_path / "a", tmp_path / "a.zip")).endswith('at least two classes, got one: "good".')


def test_a_damaged_label_file_in_a_zip_is_an_error(tmp_path: Path) -> None:
    plant(tmp_path / "a", "1/a.png", "2/b.png")
    (tmp_path / "a" / "labels.csv").write_text("path,label\nQQQQ")
    path = Path(pack(tmp_path / "a", tmp_path / "a.zip"))
    path.write_bytes(path.read_bytes().replace(b"QQQQ", b"WWWW"))
    assert message(str(path)) == '"labels.csv" could not be read: damaged zip member: wrong checksum.'


def test_photos_to_predict_come_from_files_folders_and_archives_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, "z.png", "in/b/2.png", "in/a.png", "in/note.txt", "odd.dat", "src/c.png")
    pack(tmp_path / "src", tmp_path / "more.zip")
    monkeypatch.chdir(tmp_path)
    samples, refused = list_photos(["z.png", "in/", "more.zip", "odd.dat", "z.png"])
    assert [sample.name for sample in samples] == ["z.png", "in/a.png", "in/b/2.png", "more.zip/c.png", "odd.dat"]
    assert all(sample.label is None and sample.origin.read_bytes() == PHOTO for sample in samples)
    assert [(item.name, item.reason) for item in refused] == [
        ("in/note.txt", "not an image file (.txt)"), ("z.png", "given twice"),
    ]  # fmt: skip


def test_missing_paths_and_empty_folders_to_predict_are_errors(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="does not exist"):
        list_photos([str(tmp_path / "none")])
    with pytest.raises(CatalogError, match="must hold photos, got no files at all"):
        list_photos([str(tmp_path)])


def test_good_photos_among_sixty_broken_ones_all_pass_and_no_other(tmp_path: Path) -> None:
    good, broken = good_photos(), broken_photos()
    write_files(tmp_path / "good", good)
    write_files(tmp_path / "bad", broken)
    samples, refused = list_photos([str(tmp_path)])
    used = set()
    for sample in samples:
        try:
            decode_image(sample.origin.read_bytes())
        except PhotoRefused:
            continue
        used.add(Path(sample.name).name)
    assert used == set(good)
    assert len(broken) >= 60
    assert len(samples) + len(refused) == len(good) + len(broken)
