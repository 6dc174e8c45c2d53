"""A run trained again: the same bits come out, and what does not is named, the first cause first."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import teliti
from teliti.cache import cache_folder, caching_in
from teliti.errors import RunError, RunInterrupted, UserError
from teliti.files import sha256_hex
from teliti.workflow.replay import replay, say_replay


@pytest.fixture
def run(trained_record: dict, tmp_path: Path) -> Path:
    """The shared run, copied, with photos that are still where they were."""
    return Path(shutil.copytree(trained_record["run"], tmp_path / "run"))


@pytest.fixture
def again(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a second training would give: a copy of the run, to be changed before `replay` is called."""
    second = Path(shutil.copytree(run, tmp_path / "again"))
    monkeypatch.setattr("teliti.workflow.replay.train", lambda *_, out, **__: shutil.copytree(second, out))
    return second


def change_json(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_same_bits_come_out_and_the_run_is_only_read(run: Path) -> None:
    before = {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}
    record = teliti.replay(run, cached=True)
    assert (record["same"], record["first"], record["environment"], record["out"]) == (True, None, [], None)
    assert record["sentences"] == [
        "The same came out, bit for bit: weights.safetensors, model.onnx, seen.txt, verdict rule and measures."
    ]
    assert {check["name"] for check in record["checks"]} >= {"photos", "split", "recipe", "model.onnx"}
    assert {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()} == before
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_another_recipe_is_another_result(run: Path, tmp_path: Path) -> None:
    recipe = run / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("c = 1.0", "c = 0.01"))  # as if somebody had edited it since
    record = teliti.replay(run, cached=True, out=tmp_path / "kept")
    assert record["first"]["name"] == "weights.safetensors"
    assert record["sentences"][0] == (
        "Not the same. The first thing that differs: weights.safetensors, the weights of the head, has another SHA-256."
    )
    assert record["sentences"][-1].startswith("Photos, versions, processor and threads are those of the run")
    assert "model.onnx" in record["sentences"][1]
    assert (tmp_path / "kept" / "bundle" / "model.onnx").is_file()


def test_without_a_cache_everything_is_computed_anew(run: Path, again: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(
        "teliti.workflow.replay.train",
        lambda *_, out, **__: seen.append(cache_folder()) or shutil.copytree(again, out),
    )
    replay(run)
    replay(run, cached=True)
    assert seen[1] == cache_folder() != seen[0]
    assert not seen[0].exists()
    with caching_in(Path("elsewhere")):
        assert cache_folder() == Path("elsewhere")


@pytest.mark.usefixtures("again")
def test_versions_that_differ_are_named_first(run: Path, again: Path) -> None:
    state = json.loads((run / "run.json").read_text())
    state["record"]["environment"]["versions"]["torch"] = "1.0"
    (run / "run.json").write_text(json.dumps(state))
    record = replay(run)
    (change,) = record["environment"]
    assert (change["name"], change["was"], record["same"]) == ("torch", "1.0", True)
    assert record["sentences"][0].startswith("The same came out")
    assert "although torch was 1.0 and is " in record["sentences"][0]
    rows = (again / "splits.csv").read_text().replace(",train,", ",test,", 1)
    (again / "splits.csv").write_text(rows)
    first = replay(run)["first"]
    assert first["name"] == "torch"
    assert "of what came out, the split of the photos: " in first["sentence"]
    assert "was in train  and is in test" in first["sentence"]


def test_changed_photos_end_it_before_any_training(run: Path, parts_folder: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(parts_folder, tmp_path / "moved"))
    photos = sorted((moved / "good").iterdir())
    photos[0].write_bytes(photos[0].read_bytes() + b" ")
    sentence = replay(run, source=moved)["first"]["sentence"]
    assert sentence == f'the photos of "{moved}": "good/{photos[0].name}" has other content.'
    photos[1].unlink()
    photos[2].unlink()
    record = replay(run, source=moved, out=tmp_path / "kept")
    assert record["first"]["sentence"].endswith("is gone or can no longer be used (1 more likewise).")
    assert [check["name"] for check in record["checks"]] == ["photos"]
    assert (record["out"], (tmp_path / "kept").exists()) == (None, False)


def test_new_photos_and_other_labels_are_told_apart(run: Path, parts_folder: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(parts_folder, tmp_path / "moved"))
    assert replay(run, source=moved, cached=True)["checks"][0]["same"]
    first = sorted((moved / "good").iterdir())[0]
    (moved / "good" / "another.png").write_bytes(first.read_bytes())
    assert 'another.png" is new' in replay(run, source=moved)["first"]["sentence"]
    change_json(run / "run.json", photos=sha256_hex(b"labels"))
    sentence = replay(run, source=parts_folder)["first"]["sentence"]
    assert sentence.endswith("their labels, given parts, groups or masks are others.")


def test_the_first_check_that_fails_is_named(run: Path, again: Path) -> None:
    recipe = again / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("seed = 7", "seed = 8"))
    assert replay(run)["first"] == {"name": "recipe", "sentence": "the resolved recipe: seed was 7 and is 8."}
    shutil.copy(run / "recipe.toml", recipe)
    manifest = json.loads((again / "bundle" / "bundle.json").read_text())
    manifest["decision"]["threshold"] = 0.25
    (again / "bundle" / "bundle.json").write_text(json.dumps(manifest))
    first = replay(run)["first"]
    assert first["name"] == "verdict rule"
    assert first["sentence"].endswith("and is 0.25.")


def test_an_unfinished_run_a_torn_one_and_an_interruption(
    run: Path, again: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (again / "splits.csv").unlink()
    with pytest.raises(RunError, match=r"splits.csv\" could not be read"):
        replay(run)

    def interrupt(*_, out, **__):
        raise RunInterrupted(Path(out))

    monkeypatch.setattr("teliti.workflow.replay.train", interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        replay(run)
    assert not isinstance(caught.value, RunInterrupted)
    with pytest.raises(RunInterrupted):
        replay(run, out=tmp_path / "kept")
    change_json(run / "run.json", state="started")
    with pytest.raises(UserError, match="must be a finished run"):
        replay(run)


def test_every_sentence_of_a_replay_comes_from_its_record() -> None:
    failed = {"name": "model.onnx", "same": False, "sentence": "x."}
    said = say_replay({"same": False, "environment": [], "checks": [failed], "first": failed})
    assert said[0] == "Not the same. The first thing that differs: x."
    assert "the reason is none of these" in said[1]
    change = {"name": "numpy", "was": None, "is": "2"}
    (alone,) = say_replay({"same": False, "environment": [change], "checks": [failed], "first": failed})
    assert alone.startswith("Not the same")
    (same,) = say_replay({"same": True, "environment": [change], "checks": [], "first": None})
    assert same.endswith("although numpy was absent and is 2.")
