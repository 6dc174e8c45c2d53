"""Inspection for the line: what a bundle says of encoded photos, and what the journal keeps of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from handmade import even_photo, write_brightness_bundle
from parts import encode_png
from teliti.bundle import MANIFEST, MODEL
from teliti.errors import PhotoRefused, RunError, UserError
from teliti.files import hash_file, sha256_hex
from teliti.workflow.inspection import Inspector, Photo, read_photo_file

DARK, BRIGHT = encode_png(even_photo(51)), encode_png(even_photo(204))


@pytest.fixture
def inspector(tmp_path: Path) -> Inspector:
    return Inspector(write_brightness_bundle(tmp_path / "bundle").path, threads=1)


def test_answers_come_in_order_and_a_bad_photo_takes_none_with_it(inspector: Inspector) -> None:
    dark, broken, bright = inspector.inspect([Photo("a", DARK), Photo("b", b"no photo"), Photo("c", BRIGHT)])
    assert (dark.verdict, bright.verdict) == ("pass", "reject")
    assert isinstance(broken, PhotoRefused)
    assert inspector.inspect([]) == []


def test_what_is_no_number_fails_alone(inspector: Inspector, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = [inspector.prepare(data) for data in (DARK, BRIGHT, DARK)]
    scored = inspector.predictor.score_photos([one.pictures for one in photos])
    scored[1] = replace(scored[1], outputs=scored[1].outputs * float("nan"))
    monkeypatch.setattr(inspector.predictor, "score_photos", lambda _: scored)
    first, broken, last = inspector.judge(photos)
    assert (first.verdict, last.verdict) == ("pass", "pass")
    assert isinstance(broken, RunError)
    assert inspector.engine_record() == {"engine": "onnxruntime", "photos_per_call": 1}
    assert inspector.photos_per_call == 1


def test_an_entry_has_the_hashes_of_photo_model_and_bundle(inspector: Inspector, tmp_path: Path) -> None:
    photo = Photo("a.png", BRIGHT, serial="A1")
    (answer,) = inspector.inspect([photo])
    entry = inspector.entry(photo, answer, source="serve", operator="Ana", details={"request": "r1"})
    assert (entry.photo_hash, entry.model_hash) == (sha256_hex(BRIGHT), hash_file(tmp_path / "bundle" / MODEL))
    assert entry.details == {"request": "r1", "bundle_hash": hash_file(tmp_path / "bundle" / MANIFEST)}
    assert (entry.verdict, entry.label, entry.threshold, entry.operator) == ("reject", "bright", 0.5, "Ana")


def test_what_is_unlike_the_training_photos_is_recorded_so(inspector: Inspector) -> None:
    (answer,) = inspector.inspect([Photo("a.png", BRIGHT)])
    entry = inspector.entry(Photo("a.png", BRIGHT), replace(answer, novelty=1.5), source="serve")
    assert entry.details["novelty"] == 1.5


def test_a_refusal_is_an_entry_without_numbers(inspector: Inspector) -> None:
    entry = inspector.entry(Photo("a.png", None), PhotoRefused("not readable: permission denied"), source="serve")
    assert (entry.verdict, entry.reason, entry.photo_hash) == ("refused", "not readable: permission denied", None)
    assert (entry.score, entry.label, dict(entry.probs)) == (None, None, {})


def test_the_model_is_described_once_a_bundle(inspector: Inspector, tmp_path: Path) -> None:
    entry = inspector.model_entry(source="serve")
    assert entry.details["provenance"] == {"made": "by hand"}
    assert entry.details["decision"]["classes"] == ["dark", "bright"]
    other = Inspector(write_brightness_bundle(tmp_path / "other", threshold=0.7).path)
    assert other.model_hash == inspector.model_hash
    assert other.model_entry(source="serve").once != entry.once
    assert (other.threshold, other.classes) == (0.7, ("dark", "bright"))


def test_a_bundle_that_changed_is_noticed(inspector: Inspector, tmp_path: Path) -> None:
    inspector.require_unchanged()
    (tmp_path / "bundle" / MODEL).unlink()
    with pytest.raises(RunError, match=r"was changed or removed\. Nothing was passed since"):
        inspector.require_unchanged()


def test_masks_beside_photos_cannot_come_over_a_line(
    inspector: Inspector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = type(inspector.predictor.bundle.chain)
    monkeypatch.setattr(chain, "beside_patterns", property(lambda _: ("{stem}_mask.png",)))
    with pytest.raises(UserError, match="needs masks beside the photos, and photos of a line come alone"):
        Inspector(tmp_path / "bundle")


@pytest.mark.parametrize(
    ("name", "is_photo"), [("a.PNG", True), ("a.png.part", False), (".a.png", False), ("a", False)]
)
def test_names_of_photos(inspector: Inspector, name: str, is_photo: bool) -> None:
    assert inspector.is_photo(name) == is_photo


def test_the_masks_that_a_recipe_named_are_no_photos_of_a_line(tmp_path: Path) -> None:
    folder = write_brightness_bundle(tmp_path / "bundle").path
    manifest = json.loads((folder / MANIFEST).read_text())
    made = {"recipe": {"data": {"part_mask": "{stem}_mask.png"}}}
    (folder / MANIFEST).write_text(json.dumps(manifest | {"provenance": made}))
    inspector = Inspector(folder)
    assert [name for name in ("a.png", "a_mask.png", "_mask.png") if inspector.is_photo(name)] == ["a.png", "_mask.png"]


def test_a_photo_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(DARK)
    assert read_photo_file(tmp_path / "a.png") == DARK
    with pytest.raises(PhotoRefused, match="does not exist"):
        read_photo_file(tmp_path / "b.png")
