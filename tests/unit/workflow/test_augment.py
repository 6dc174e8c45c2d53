"""Augmented copies on disk: which pixels, which names, what the tables say, and what a second start does."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from parts import draw_part, encode_png, write_parts
from teliti.data.catalog import read_catalog
from teliti.data.decode import decode_image
from teliti.errors import CatalogError, RecipeError, UserError
from teliti.files import sha256_hex
from teliti.recipe import parse_recipe
from teliti.transforms.augment import build_augment, photo_rng
from teliti.workflow.augment import augment
from teliti.workflow.augment_preview import preview_augmented

POLICY = """
name = "mixed"
[[augment]]
step = "flip"
[[augment]]
step = "rotate"
degrees = 30.0
p = 0.5
[[augment]]
step = "channel_shift"
[[augment]]
step = "noise"
[[augment]]
step = "trivialaugment"
p = 0.5
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(POLICY, encoding="utf-8")
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_parts(tmp_path / "photos", per_class=4)


def content(folder: Path) -> dict[str, bytes]:
    """Every file below, the hidden state and the clock apart."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def threads(count: int):
    return parse_recipe({"train": {"threads": count}})


def test_copies_keep_the_names_and_the_sizes(photos: Path, policy: Path, tmp_path: Path) -> None:
    record = augment(photos, tmp_path / "out", policy=policy, views=2)
    files = {path for path in content(tmp_path / "out") if path.endswith(".png")}
    assert files == {
        f"{name}/{name}-{number:03d}-view-{view}.png"
        for name in ("good", "scratch")
        for number in range(4)
        for view in range(2)
    }
    assert (record["photos"], record["files"], record["written"], record["kept"]) == (8, 16, 8, 0)
    assert decode_image(content(tmp_path / "out")["good/good-000-view-0.png"]).shape == (48, 48, 3)


def test_a_copy_is_the_chain_on_the_photo(photos: Path, policy: Path, tmp_path: Path) -> None:
    augment(photos, tmp_path / "out", policy=policy, views=3, seed=5)
    data = (photos / "scratch" / "scratch-002.png").read_bytes()
    entries = [{"step": "flip"}, {"step": "rotate", "degrees": 30.0, "p": 0.5}, {"step": "channel_shift"},
               {"step": "noise"}, {"step": "trivialaugment", "p": 0.5}]  # fmt: skip
    expected = build_augment(entries)(decode_image(data), photo_rng(5, bytes.fromhex(sha256_hex(data)), 2))
    written = decode_image((tmp_path / "out" / "scratch" / "scratch-002-view-2.png").read_bytes())
    assert np.array_equal(written, expected)


def test_same_seed_same_files_for_any_number_of_threads(photos: Path, policy: Path, tmp_path: Path) -> None:
    for count in (1, 3):
        augment(photos, tmp_path / f"out{count}", policy=policy, views=3, recipe=threads(count))
    assert content(tmp_path / "out1") == content(tmp_path / "out3")
    augment(photos, tmp_path / "other", policy=policy, views=3, seed=8)
    assert content(tmp_path / "other").keys() == content(tmp_path / "out1").keys()
    assert content(tmp_path / "other") != content(tmp_path / "out1")


def test_more_views_begin_with_the_same_ones(photos: Path, policy: Path, tmp_path: Path) -> None:
    augment(photos, tmp_path / "few", policy=policy, views=1)
    augment(photos, tmp_path / "many", policy=policy, views=3)
    few, many = content(tmp_path / "few"), content(tmp_path / "many")
    assert all(many[name] == data for name, data in few.items() if name.endswith(".png"))


def test_parameters_tell_everything_that_was_drawn(photos: Path, policy: Path, tmp_path: Path) -> None:
    record = augment(photos, tmp_path / "out", policy=policy, views=4)
    rows = rows_of(Path(record["parameters"]))
    assert [(row["photo"], row["view"]) for row in rows[:5]] == [
        ("good/good-000.png", "0"), ("good/good-000.png", "1"), ("good/good-000.png", "2"),
        ("good/good-000.png", "3"), ("good/good-001.png", "0"),
    ]  # fmt: skip
    assert list(rows[0])[:3] == ["photo", "view", "file"]
    assert {"flip.horizontal", "rotate.degrees", "channel_shift.amounts", "noise.std", "noise.seed"} <= set(rows[0])
    assert all((tmp_path / "out" / row["file"]).is_file() for row in rows)
    used = [row for row in rows if row["rotate.degrees"]]
    assert 0 < len(used) < len(rows)
    assert all(-30.0 <= float(row["rotate.degrees"]) <= 30.0 and "rotated by" in row["words"] for row in used)
    assert all(len(json.loads(row["channel_shift.amounts"])) == 3 for row in rows)


def test_labels_keep_the_copies_of_a_photo_together(photos: Path, policy: Path, tmp_path: Path) -> None:
    record = augment(photos, tmp_path / "out", policy=policy, views=2)
    catalog = read_catalog(record["data"])
    assert catalog.classes == ("good", "scratch")
    assert {sample.group for sample in catalog.samples if "good-001" in sample.name} == {"good/good-001.png"}
    assert len({sample.group for sample in catalog.samples}) == 8
    assert any("labels.csv" in note for note in record["notes"])


def test_a_second_start_does_what_is_missing(photos: Path, policy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    augment(photos, out, policy=policy, views=2)
    before = content(out)
    (out / "good" / "good-001-view-1.png").unlink()
    (out / "scratch" / "scratch-000-view-0.png").write_bytes(b"damaged by hand")
    kept = (out / "good" / "good-000-view-0.png").stat().st_mtime_ns
    again = augment(photos, out, policy=policy, views=2)
    assert again["kept"] == 6
    assert (out / "good" / "good-001-view-1.png").read_bytes() == before["good/good-001-view-1.png"]
    assert (out / "good" / "good-000-view-0.png").stat().st_mtime_ns == kept
    assert [one["path"] for one in again["refused_photos"]] == ["scratch/scratch-000.png"]  # not ours any more


def test_an_interrupted_start_is_finished_to_the_same_files(
    photos: Path, policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    augment(photos, tmp_path / "whole", policy=policy, views=2)
    from teliti.workflow import augment as module

    encode, done = module.encode_photo, []

    def interrupted(image: np.ndarray) -> bytes:
        done.append(1)
        if len(done) > 7:
            raise KeyboardInterrupt
        return encode(image)

    monkeypatch.setattr(module, "encode_photo", interrupted)
    with pytest.raises(KeyboardInterrupt):
        augment(photos, tmp_path / "out", policy=policy, views=2, recipe=threads(1))
    monkeypatch.setattr(module, "encode_photo", encode)
    record = augment(photos, tmp_path / "out", policy=policy, views=2)
    assert 0 < record["kept"] < 8
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_other_choices_do_not_mix(photos: Path, policy: Path, tmp_path: Path) -> None:
    augment(photos, tmp_path / "out", policy=policy, views=2)
    for choices in ({"views": 3}, {"views": 2, "seed": 1}):
        with pytest.raises(UserError, match="was prepared by other steps"):
            augment(photos, tmp_path / "out", policy=policy, **choices)


def test_refused_photos_are_listed_and_the_others_written(photos: Path, policy: Path, tmp_path: Path) -> None:
    (photos / "good" / "empty.png").write_bytes(b"")
    record = augment(photos, tmp_path / "out", policy=policy, views=1)
    assert record["refused_photos"] == [{"path": "good/empty.png", "reason": "empty file"}]
    assert rows_of(tmp_path / "out" / "refused.csv") == [{"path": "good/empty.png", "reason": "empty file"}]
    assert record["photos"] == 8


def test_nothing_is_written_outside(photos: Path, policy: Path, tmp_path: Path) -> None:
    """A folder of OUT that somebody made a link to elsewhere."""
    augment(photos, tmp_path / "out", policy=policy, views=1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.rmtree(tmp_path / "out" / "good")
    (tmp_path / "out" / "good").symlink_to(elsewhere)
    with pytest.raises(UserError, match="leads outside"):
        augment(photos, tmp_path / "out", policy=policy, views=1)
    assert list(elsewhere.iterdir()) == []


def test_photos_without_labels_are_copied_too(policy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "a.png").write_bytes(encode_png(draw_part(1, scratched=False)))
    (folder / "a.bmp").write_bytes(encode_png(draw_part(2, scratched=False)))
    record = augment(folder, tmp_path / "out", policy=policy, views=1)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["a.bmp-view-0.png", "a.png-view-0.png"]
    assert record["labels"] is None


def test_a_photo_that_is_gone_leaves_stale_files(photos: Path, policy: Path, tmp_path: Path) -> None:
    augment(photos, tmp_path / "out", policy=policy, views=1)
    (photos / "good" / "good-003.png").unlink()
    record = augment(photos, tmp_path / "out", policy=policy, views=1)
    assert record["stale"] == ["good/good-003-view-0.png"]
    assert all(row["photo"] != "good/good-003.png" for row in rows_of(Path(record["parameters"])))


@pytest.mark.parametrize("views", [0, 1001])
def test_views_out_of_range(photos: Path, policy: Path, tmp_path: Path, views: int) -> None:
    with pytest.raises(UserError, match=f"--views must be 1 to 1000, got {views}"):
        augment(photos, tmp_path / "out", policy=policy, views=views)


def test_what_cannot_be_augmented(photos: Path, policy: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text('name = "nothing"')
    (tmp_path / "bad.toml").write_text('name = "bad"\n[[augment]]\nstep = "flop"')
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"")
    with pytest.raises(RecipeError, match=r"must have an \[\[augment\]\] entry, got none"):
        augment(photos, tmp_path / "out")
    with pytest.raises(RecipeError, match=r'empty.toml" is empty'):
        augment(photos, tmp_path / "out", policy=tmp_path / "empty.toml")
    with pytest.raises(RecipeError, match="augmentation must be one of"):
        augment(photos, tmp_path / "out", policy=tmp_path / "bad.toml")
    with pytest.raises(UserError, match="OUT must not lie inside the photos' own folder"):
        augment(photos, photos / "out", policy=policy)
    mixup = parse_recipe({"augment": [{"step": "mixup"}]})
    with pytest.raises(RecipeError, match="must change a photo by itself, got only steps that mix"):
        augment(photos, tmp_path / "out", recipe=mixup)
    with pytest.raises(RecipeError, match="must change a photo by itself, got only steps that mix"):
        preview_augmented(photos, recipe=mixup, out=tmp_path / "sheet.png")
    with pytest.raises(UserError, match=r"--seed must be 0 to 4,294,967,295, got -1\."):
        augment(photos, tmp_path / "out", policy=policy, seed=-1)
    assert not (tmp_path / "out").exists()
    with pytest.raises(CatalogError, match="no photo that could be augmented"):
        augment(tmp_path / "broken", tmp_path / "out", policy=policy)


def test_a_sheet_shows_the_views_that_are_written(photos: Path, policy: Path, tmp_path: Path) -> None:
    record = preview_augmented(photos, policy=policy, out=tmp_path / "sheet.png", photos=3, views=2)
    assert record["photos"] == ["good/good-001.png", "scratch/scratch-001.png", "good/good-003.png"]
    sheet = decode_image(Path(record["sheet"]).read_bytes())
    out = tmp_path / "out"
    augment(photos, out, policy=policy, views=2)
    shown = decode_image((out / "good" / "good-001-view-1.png").read_bytes())
    enlarged = shown.repeat(4, axis=0).repeat(4, axis=1)  # 48 px in a cell of 224
    found = np.lib.stride_tricks.sliding_window_view(sheet[:, :, 1], (1, 192))
    assert (found == enlarged[None, None, :1, :, 1]).all(axis=(2, 3)).any()


def test_a_sheet_is_replaced_and_other_files_are_not(photos: Path, policy: Path, tmp_path: Path) -> None:
    preview_augmented(photos, policy=policy, out=tmp_path, photos=1, views=1)
    preview_augmented(photos, policy=policy, out=tmp_path, photos=2, views=1)
    (tmp_path / "holiday.png").write_bytes(encode_png(draw_part(1, scratched=False)))
    with pytest.raises(UserError, match=r"holiday.png\" is there already and is no preview sheet"):
        preview_augmented(photos, policy=policy, out=tmp_path / "holiday.png")


@pytest.mark.parametrize(("choice", "value"), [("photos", 0), ("photos", 51), ("views", 0), ("views", 13)])
def test_sheets_out_of_range(photos: Path, policy: Path, choice: str, value: int) -> None:
    with pytest.raises(UserError, match=f"of a sheet must be 1 to .*, got {value}"):
        preview_augmented(photos, policy=policy, **{choice: value})


def test_a_sheet_of_nothing(policy: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"")
    with pytest.raises(CatalogError, match="no photo that can be shown"):
        preview_augmented(tmp_path / "broken", policy=policy, out=tmp_path / "sheet.png")
