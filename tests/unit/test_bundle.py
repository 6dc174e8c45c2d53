"""The bundle: written whole, opened only when nothing is damaged, and never a pickle."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from handmade import CLASSES, write_brightness_bundle
from teliti import bundle as bundle_module
from teliti.bundle import (
    CARD,
    MANIFEST,
    MODEL,
    SCHEMA,
    SEEN_FILE,
    WEIGHTS,
    Golden,
    amend_envelope,
    open_bundle,
    write_bundle,
)
from teliti.errors import BundleError, UserError
from teliti.files import hash_file
from teliti.metrics.envelope import Envelope, Limits
from teliti.metrics.number_rule import NumberRule


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle made by hand."""
    return write_brightness_bundle(tmp_path / "bundle").path


def change_manifest(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, **changes}))


def test_a_bundle_says_what_it_was_given(folder: Path) -> None:
    bundle = open_bundle(folder)
    assert (bundle.task, bundle.path) == ("classification", folder)
    assert (bundle.decision.classes, bundle.decision.positive, bundle.decision.threshold) == (CLASSES, "bright", 0.5)
    assert bundle.chain.image_size == (8, 8)
    assert [golden.name for golden in bundle.golden] == ["grey-30.png", "grey-200.png"]
    assert bundle.golden[1].outputs == (1 - 200 / 255, 200 / 255)
    assert bundle.model_path == folder / MODEL
    assert bundle.model_hash == hash_file(folder / MODEL)
    assert bundle.manifest["provenance"] == {"made": "by hand"}


def test_a_regression_has_no_decision(tmp_path: Path) -> None:
    bundle = write_brightness_bundle(tmp_path, is_regression=True)
    assert (bundle.task, bundle.decision) == ("regression", None)


def test_the_manifest_has_the_digest_of_every_file(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["schema"] == SCHEMA
    assert manifest["files"] == {name: hash_file(folder / name) for name in (MODEL, WEIGHTS, "golden/0", "golden/1")}


def test_the_manifest_is_written_last_so_that_half_a_bundle_never_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bundle_module, "write_json_atomic", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_brightness_bundle(tmp_path / "bundle")
    assert (tmp_path / "bundle" / MODEL).is_file()
    with pytest.raises(BundleError, match=r"is not a bundle: it has no bundle\.json"):
        open_bundle(tmp_path / "bundle")


def test_a_file_name_that_leads_outside_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="leads outside"):
        write_bundle(tmp_path / "bundle", files={"../evil": b"x"}, facts={})
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("name", [MODEL, "golden/1"])
def test_one_damaged_byte_is_seen(name: str, folder: Path) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(BundleError, match=rf'{name}" is damaged: its SHA-256 is not the recorded one\.') as caught:
        open_bundle(folder)
    assert caught.value.hint == "Copy the bundle again, or retrain."


@pytest.mark.parametrize("name", [MODEL, WEIGHTS, "golden/0"])
def test_a_missing_file_is_named(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=rf"is not a whole bundle: {name} is missing\. Copy the whole folder"):
        open_bundle(folder)


@pytest.mark.parametrize("place", ["nowhere", "."])
def test_a_folder_that_is_no_bundle_says_which_one_to_give(place: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"is not a bundle: it has no bundle\.json\.") as caught:
        open_bundle(tmp_path / place)
    assert caught.value.hint == "Give the folder that `teliti train` printed as bundle."


@pytest.mark.parametrize("schema", [0, "1", None])
def test_a_schema_that_never_was_is_refused(schema: object, folder: Path) -> None:
    change_manifest(folder, schema=schema)
    with pytest.raises(
        BundleError, match=rf"has bundle schema {schema!r}, this version reads 1 to {SCHEMA}\."
    ) as caught:
        open_bundle(folder)
    assert caught.value.hint == "Retrain the bundle."


@pytest.mark.parametrize("text", ["{", "[1, 2]", "{}", '"text"', '{"schema": 1}', "\x00"])
def test_a_manifest_that_is_none_is_refused(text: str, folder: Path) -> None:
    (folder / MANIFEST).write_text(text)
    with pytest.raises(BundleError, match=r"cannot be opened: bundle\.json is not readable"):
        open_bundle(folder)


@pytest.mark.parametrize("files", [{}, [], {WEIGHTS: "0"}])
def test_a_manifest_without_a_network_is_refused(files: object, folder: Path) -> None:
    change_manifest(folder, files=files)
    with pytest.raises(BundleError, match=r"cannot be opened: bundle\.json names no model\.onnx"):
        open_bundle(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"prepare": [{"step": "unknown"}]},
        {"prepare": [{"step": "clahe", "clip_limit": -1}]},
        {"decision": {"classes": ["a", "b"]}},
        {"decision": 3},
        {"golden": [{"file": "golden/0"}]},
        {"golden": 5},
        {"golden": [{"file": "golden/0", "name": "a.png", "outputs": [0.1, 0.2, 0.7]}]},
        {"golden": [{"file": "golden/0", "name": "a.png", "outputs": [0.1, None]}]},
        {"task": ["classification"]},
    ],
)
def test_a_manifest_that_does_not_say_what_it_must_is_refused(changes: dict, folder: Path) -> None:
    change_manifest(folder, **changes)
    with pytest.raises(BundleError, match=r"bundle\.json does not say what it must|could not be read"):
        open_bundle(folder)


@pytest.mark.parametrize("changes", [{"task": "poetry"}, {"task": "regression"}, {"decision": None}])
def test_a_task_that_is_none_or_not_that_of_the_decision_is_refused(changes: dict, folder: Path) -> None:
    change_manifest(folder, **changes)
    with pytest.raises(BundleError, match=r"bundle\.json names the task '\w+'"):
        open_bundle(folder)


@pytest.mark.parametrize("key", ["task", "decision", "prepare", "golden"])
def test_a_missing_key_is_named(key: str, folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest[key]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=rf"does not say what it must \('{key}'\)"):
        open_bundle(folder)


def test_nothing_outside_the_bundle_is_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"secret")
    manifest = json.loads((folder / MANIFEST).read_text())
    change_manifest(folder, files={**manifest["files"], "../outside": hash_file(tmp_path / "outside")})
    with pytest.raises(UserError, match="leads outside"):
        open_bundle(folder)
    change_manifest(
        folder, files=manifest["files"], golden=[{"file": "../outside", "name": "x", "outputs": [0.5, 0.5]}]
    )
    with pytest.raises(BundleError, match=r"golden photo \"\.\./outside\" is none of its files"):
        open_bundle(folder)


def test_writing_again_replaces_and_the_bundle_stays_openable(folder: Path) -> None:
    again = write_brightness_bundle(folder, threshold=0.25)
    assert again.decision.threshold == 0.25
    assert open_bundle(folder).decision.threshold == 0.25


def test_a_copied_bundle_is_the_same_bundle(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    assert open_bundle(copy).manifest == open_bundle(folder).manifest


def test_a_trained_bundle_has_everything_and_no_pickle(trained_bundle: Path) -> None:
    files = {path.relative_to(trained_bundle).as_posix() for path in trained_bundle.rglob("*") if path.is_file()}
    assert {MODEL, WEIGHTS, MANIFEST, CARD, SEEN_FILE, "golden/0"} <= files
    for name in files:
        start = (trained_bundle / name).read_bytes()[:4]
        assert not start.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK")), name


ENVELOPE = Envelope({"light": Limits(40.0, 200.0, (50.0,) * 11)}, 12)


def test_golden_photos_are_held_to_the_scale_of_their_numbers(folder: Path) -> None:
    opened = open_bundle(folder)
    assert opened.golden_limits().tolist() == [1e-4, 1e-4]
    golden = (Golden("golden/0", "a", (1000.0, 0.002, 0.0)), Golden("golden/1", "b", (-2000.0, 0.001, 0.0)))
    numbers = replace(opened, answers=NumberRule(("weight", "gap", "nothing")), golden=golden)
    assert numbers.golden_limits() == pytest.approx([0.2, 2e-7, 1e-4])


def test_an_older_bundle_has_no_envelope(folder: Path) -> None:
    assert open_bundle(folder).envelope is None


def test_an_envelope_is_put_in_afterwards_and_nothing_else_changes(folder: Path) -> None:
    before, digest = open_bundle(folder).manifest, hash_file(folder / MANIFEST)
    amended = amend_envelope(folder, ENVELOPE)
    assert amended.envelope == ENVELOPE
    assert amended.model_hash == before["files"][MODEL]
    told = dict(amended.manifest)
    (change,) = told.pop("amended")
    assert (change["changed"], change["before"]) == (["envelope"], digest)
    assert told == {**before, "envelope": ENVELOPE.to_record()}


def test_every_earlier_manifest_stays_told(folder: Path) -> None:
    digests = [hash_file(folder / MANIFEST)]
    amend_envelope(folder, ENVELOPE)
    digests.append(hash_file(folder / MANIFEST))
    amend_envelope(folder, replace(ENVELOPE, action="review"))
    assert [change["before"] for change in open_bundle(folder).manifest["amended"]] == digests


def test_a_damaged_bundle_is_not_amended(folder: Path) -> None:
    (folder / MODEL).write_bytes(b"other")
    with pytest.raises(BundleError, match="is damaged"):
        amend_envelope(folder, ENVELOPE)


def test_a_damaged_envelope_is_refused(folder: Path) -> None:
    change_manifest(folder, envelope={"schema": 1})
    with pytest.raises(BundleError, match=r"bundle\.json does not say what it must"):
        open_bundle(folder)


def test_an_older_bundle_that_is_amended_says_what_it_is_now(folder: Path) -> None:
    change_manifest(folder, schema=1)
    assert amend_envelope(folder, ENVELOPE).manifest["schema"] == SCHEMA
    assert open_bundle(folder).envelope == ENVELOPE
