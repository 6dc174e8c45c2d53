"""Prepare: the same pixels as in training, all names and labels kept, nothing foreign touched, resumable."""

from __future__ import annotations

import csv
import gzip
import shutil
import struct
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from parts import draw_part, encode_png, write_parts
from photos import broken_photos, good_photos, write_files
from teliti.data.catalog import read_catalog
from teliti.data.decode import decode_image
from teliti.errors import CatalogError, RecipeError, RunError
from teliti.recipe import parse_recipe
from teliti.transforms.prepare import build_chain
from teliti.workflow.prepare import prepare
from teliti.workflow.prepared.pictures import encode_photo
from unit.workflow.prepare_steps import CLAHE, STEPS, recipe_of, tree


def facts(catalog) -> list[tuple]:
    return [(sample.label, sample.split, sample.group) for sample in catalog.samples]


def pixels(path: Path) -> np.ndarray:
    return decode_image(path.read_bytes())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_parts(tmp_path / "photos", per_class=3)


def test_training_on_prepared_photos_sees_the_pixels_of_training_with_the_steps(photos: Path, tmp_path: Path) -> None:
    prepare(photos, tmp_path / "out", recipe=recipe_of(*STEPS, "segment"))
    whole = build_chain([*STEPS, {"step": "segment"}], image_size=(40, 32), fit="letterbox")
    rest = build_chain([], image_size=(40, 32), fit="letterbox")
    before, after = read_catalog(str(photos)), read_catalog(str(tmp_path / "out"))
    assert [sample.name for sample in before.samples] == [sample.name for sample in after.samples]
    for one, other in zip(before.samples, after.samples, strict=True):
        expected = whole(decode_image(one.origin.read_bytes()))
        np.testing.assert_array_equal(rest(decode_image(other.origin.read_bytes())), expected)


def test_the_record_and_the_folder(photos: Path, tmp_path: Path) -> None:
    record = prepare(str(photos), tmp_path / "out", recipe=CLAHE)
    assert sorted(tree(tmp_path / "out")) == sorted([".prepared.json", *(name for name in tree(photos))])
    assert (record["photos"], record["files"], record["written"], record["kept"], record["refused"]) == (6, 6, 6, 0, 0)
    assert (record["data"], record["labels"]) == (str(tmp_path / "out"), None)
    assert [step["step"] for step in record["steps"]] == ["clahe", "median"]
    assert (record["told_apart"], record["stale"], record["left_out"]) == ({}, [], [])


def test_every_kind_of_photo_becomes_png_and_refused_ones_are_listed(tmp_path: Path) -> None:
    write_files(tmp_path / "photos" / "good", good_photos())
    write_files(tmp_path / "photos" / "bad", {"x.png": encode_png(draw_part(1, scratched=True))} | broken_photos())
    record = prepare(tmp_path / "photos", tmp_path / "out", recipe=recipe_of("median"))
    assert record["photos"] == len(good_photos()) + 1
    assert record["refused"] == len(broken_photos())
    with (tmp_path / "out" / "refused.csv").open(newline="") as file:
        rows = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    assert set(rows) == {f"bad/{name}" for name in broken_photos()}
    assert rows["bad/empty.png"] == "empty file"
    written = [name for name in tree(tmp_path / "out") if name.startswith(("good/", "bad/"))]
    assert len(written) == record["photos"]
    assert all(name.endswith(".png") for name in written)


def test_names_that_would_collide_are_told_apart_and_said(tmp_path: Path) -> None:
    ramp = good_photos()
    write_files(tmp_path / "photos", {
        "a/x.jpg": ramp["plain.jpg"], "a/x.bmp": ramp["plain.bmp"], "a/y.gif": ramp["plain.gif"],
        "b/x.png": ramp["plain.png"],
    })  # fmt: skip
    record = prepare(tmp_path / "photos", tmp_path / "out", recipe=CLAHE)
    assert record["told_apart"] == {"a/x.bmp": "a/x.bmp.png", "a/x.jpg": "a/x.jpg.png"}
    assert sorted(tree(tmp_path / "out")) == [".prepared.json", "a/x.bmp.png", "a/x.jpg.png", "a/y.png", "b/x.png"]
    assert "2 photos would have got the same file name" in record["notes"][-1]


def test_odd_names_are_kept(tmp_path: Path) -> None:
    photo = encode_png(draw_part(1, scratched=False))
    names = ["ok/日本 [1].png", "ok/\u202ex.png", "ok/=cmd.png", "ng/x; y.png", "ng/bad\udcff.png", "ng/a\nb.png"]
    write_files(tmp_path / "photos", dict.fromkeys(names, photo))
    prepare(tmp_path / "photos", tmp_path / "out", recipe=CLAHE)
    assert set(tree(tmp_path / "out")) == {".prepared.json", *names}


def write_idx(folder: Path, prefix: str, count: int) -> None:
    images = np.stack([draw_part(number, scratched=bool(number % 2), side=16)[..., 0] for number in range(count)])
    labels = np.arange(count, dtype=np.uint8) % 2
    folder.mkdir(exist_ok=True)
    for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
        header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        (folder / f"{prefix}-{kind}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes()))


def test_labels_of_a_label_file_parts_and_groups_are_kept(tmp_path: Path) -> None:
    photo = encode_png(draw_part(1, scratched=False))
    write_files(tmp_path / "data", {f"p/{number}.png": photo for number in range(4)})
    text = 'path,label,split,group\np/0.png,"a, b",train,lot\np/1.png,c,train,lot\np/2.png,c,val,\np/3.png,=c,train,\n'
    (tmp_path / "data" / "labels.csv").write_text(text)
    source = str(tmp_path / "data" / "labels.csv")
    record = prepare(source, tmp_path / "out", recipe=CLAHE)
    assert record["data"] == record["labels"] == str(tmp_path / "out" / "labels.csv")
    before, after = read_catalog(source), read_catalog(record["data"])
    assert facts(after) == facts(before)
    assert [sample.name for sample in after.samples] == [f"p/{number}.png" for number in range(4)]


def test_numbers_stay_numbers(tmp_path: Path) -> None:
    photo = encode_png(draw_part(1, scratched=False))
    write_files(tmp_path / "data", {f"{number}.png": photo for number in range(3)})
    (tmp_path / "data" / "n.csv").write_text("path,label\n0.png,0.1\n1.png,1e-7\n2.png,333333333333.3\n")
    source = str(tmp_path / "data" / "n.csv")
    record = prepare(source, tmp_path / "out", recipe=CLAHE)
    after = read_catalog(record["data"])
    assert after.task == "regression"
    assert facts(after) == facts(read_catalog(source))


def test_idx_files_get_class_folders_because_their_classes_are_numbers(tmp_path: Path) -> None:
    write_idx(tmp_path / "idx", "train", 6)
    write_idx(tmp_path / "idx", "t10k", 4)
    record = prepare(tmp_path / "idx", tmp_path / "out", recipe=recipe_of("median"))
    before, after = read_catalog(str(tmp_path / "idx")), read_catalog(record["data"])
    assert (after.task, after.classes, after.has_given_split) == ("classification", ("0", "1"), True)
    assert sorted(facts(after)) == sorted(facts(before))
    assert (tmp_path / "out" / "test" / "1" / "t10k" / "00001.png").is_file()


@pytest.mark.parametrize("with_labels", [False, True])
def test_a_zip_keeps_its_labels(with_labels: bool, photos: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name, data in tree(photos).items():
            archive.writestr(name, data)
        if with_labels:
            rows = [f"{name},{'odd' if '1' in name else 'even'},{name[0]}" for name in tree(photos)]
            archive.writestr("labels.csv", "path,label,group\n" + "\n".join(rows))
    source = str(tmp_path / "photos.zip")
    record = prepare(source, tmp_path / "out", recipe=CLAHE)
    assert (record["labels"] is not None) == with_labels
    assert sorted(map(str, facts(read_catalog(record["data"])))) == sorted(map(str, facts(read_catalog(source))))


def test_split_folders_stay_split_folders(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_parts(tmp_path / "photos" / part, per_class=2, seed=len(part))
    record = prepare(tmp_path / "photos", tmp_path / "out", recipe=CLAHE)
    after = read_catalog(record["data"])
    assert after.has_given_split
    assert facts(after) == facts(read_catalog(str(tmp_path / "photos")))


@pytest.mark.parametrize("packed", [False, True])
def test_photos_without_labels_are_prepared_too(packed: bool, tmp_path: Path) -> None:
    photo = encode_png(draw_part(1, scratched=False))
    write_files(tmp_path / "photos", {"one.png": photo, "deep/two.png": photo, "notes.txt": b"x"})
    source = tmp_path / "photos"
    if packed:
        source = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", source))
    record = prepare(source, tmp_path / "out", recipe=CLAHE)
    assert {"one.png", "deep/two.png"} <= set(tree(tmp_path / "out"))
    assert (record["photos"], record["labels"], record["refused_photos"][0]["path"]) == (2, None, "notes.txt")
    assert record["notes"][0].startswith("The photos are taken without labels:")


def test_a_single_photo(tmp_path: Path) -> None:
    (tmp_path / "part.bmp").write_bytes(good_photos()["plain.bmp"])
    assert prepare(tmp_path / "part.bmp", tmp_path / "out", recipe=CLAHE)["photos"] == 1
    assert (tmp_path / "out" / "part.png").is_file()


def test_a_wrong_label_file_is_never_taken_for_photos_without_labels(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos / "good", tmp_path / "flat")
    (tmp_path / "flat" / "labels.csv").write_text("path,label\nnowhere.png,x\n")
    with pytest.raises(CatalogError, match=r"nowhere\.png"):
        prepare(tmp_path / "flat", tmp_path / "out", recipe=CLAHE)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(CatalogError, match="must be a folder"):
        prepare(tmp_path / "notes.txt", tmp_path / "out", recipe=CLAHE)
    with pytest.raises(CatalogError, match="does not exist"):
        prepare(tmp_path / "nowhere", tmp_path / "out", recipe=CLAHE)


def test_the_size_is_the_steps_own_unless_the_recipe_names_one(photos: Path, tmp_path: Path) -> None:
    crop = {"step": "crop", "top": 4, "left": 2, "height": 20, "width": 30, "unit": "pixels"}
    prepare(photos, tmp_path / "own", recipe=recipe_of(crop))
    prepare(photos, tmp_path / "framed", recipe=recipe_of(crop, image_size=(24, 16)))
    name = "good/good-000.png"
    np.testing.assert_array_equal(pixels(tmp_path / "own" / name), pixels(photos / name)[4:24, 2:32])
    assert pixels(tmp_path / "framed" / name).shape == (24, 16, 3)


def test_a_tile_is_a_file_and_tiles_of_a_photo_are_a_group(photos: Path, tmp_path: Path) -> None:
    recipe = recipe_of("clahe", {"step": "tile", "size": 32, "overlap": 0.0})
    record = prepare(photos, tmp_path / "out", recipe=recipe)
    assert (record["photos"], record["files"]) == (6, 24)
    after = read_catalog(record["data"])
    assert len(after.samples) == 24
    assert {sample.group for sample in after.samples} == set(tree(photos))
    assert all(sample.label == sample.name.split("/")[0] for sample in after.samples)
    first = decode_image((photos / "good" / "good-000.png").read_bytes())
    chain = build_chain([step.model_dump() for step in recipe.prepare], image_size=(32, 32), fit="stretch")
    for number, tile in enumerate(chain.views(first)):
        np.testing.assert_array_equal(pixels(tmp_path / "out" / "good" / f"good-000-tile-{number:03d}.png"), tile)
    assert "has the label of its photo" in record["notes"][-1]
    again = prepare(photos, tmp_path / "out", recipe=recipe)
    assert (again["written"], again["kept"]) == (0, 6)


def test_tiles_of_many_sizes_are_refused(photos: Path, tmp_path: Path) -> None:
    recipe = [{"step": "tile", "size": 32}, "crop_to_part"]
    with pytest.raises(RecipeError, match="A step after tile changes the size of each tile") as caught:
        prepare(photos, tmp_path / "out", recipe=recipe_of(*recipe))
    assert caught.value.hint.startswith("Set data.image_size")
    assert prepare(photos, tmp_path / "out", recipe=recipe_of(*recipe, image_size=16))["photos"] == 6


def test_steps_that_give_numbers_are_left_out_with_a_sentence(photos: Path, tmp_path: Path) -> None:
    record = prepare(photos, tmp_path / "out", recipe=recipe_of("clahe", "standardize"))
    assert record["left_out"] == ["standardize"]
    assert [step["step"] for step in record["steps"]] == ["clahe"]
    assert "Left out, because they give numbers and not a picture: standardize." in record["notes"][-1]
    with pytest.raises(RecipeError, match=r"must have a \[\[prepare\]\] step that makes a picture") as caught:
        prepare(photos, tmp_path / "none", recipe=recipe_of("standardize"))
    assert "--set 'prepare=" in caught.value.hint
    assert not (tmp_path / "none").exists()


def test_no_usable_photo_is_one_sentence(tmp_path: Path) -> None:
    write_files(tmp_path / "photos", {"a/x.png": b"x", "b/y.png": b"", "b/z.png": b""})
    said = r"has no photo that could be prepared \(2 of 3, such as b/y.png: empty file\)"
    with pytest.raises(CatalogError, match=said) as caught:
        prepare(tmp_path / "photos", tmp_path / "out", recipe=CLAHE)
    assert caught.value.hint == "refused.csv in OUT names them all."
    assert (tmp_path / "out" / "refused.csv").is_file()


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))))
def test_encoding_loses_nothing_and_grey_stays_grey(image: np.ndarray) -> None:
    colour = np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))
    data = encode_photo(colour)
    np.testing.assert_array_equal(decode_image(data), colour)
    if image.shape[2] == 1:
        assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED).ndim == 2


def test_a_picture_that_cannot_be_encoded_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teliti.workflow.prepared.pictures.cv2.imencode", lambda *_: (False, None))
    with pytest.raises(RunError, match=r"A picture of shape \(2, 4, 3\) could not be encoded"):
        encode_photo(np.zeros((2, 4, 3), np.uint8))


def test_the_same_files_for_any_number_of_threads(photos: Path, tmp_path: Path) -> None:
    made = []
    for threads in (1, 3):
        recipe = parse_recipe({"prepare": STEPS, "train": {"threads": threads}})
        prepare(photos, tmp_path / f"out-{threads}", recipe=recipe)
        made.append(tree(tmp_path / f"out-{threads}"))
    assert made[0] == made[1]


def test_a_recipe_may_be_a_path(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('[[prepare]]\nstep = "gamma"\n')
    assert prepare(photos, tmp_path / "out", recipe=tmp_path / "r.toml")["steps"][0]["step"] == "gamma"
