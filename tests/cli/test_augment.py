"""`teliti augment` on a workflow made of records: which job it calls, what it prints, which options go together."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

RECORD = {
    "schema": 1, "source": "photos", "out": "copies", "data": "copies/labels.csv",
    "steps": [{"step": "flip"}, {"step": "noise"}], "policy": None, "views": 5, "seed": 7, "photos": 1200,
    "files": 6000, "written": 1000, "kept": 200, "refused": 1,
    "refused_photos": [{"path": "a.png", "reason": "empty file"}], "labels": "copies/labels.csv",
    "parameters": "copies/parameters.csv", "stale": [], "notes": [], "seconds": {"total": 3.0},
}  # fmt: skip


def row(words: str, *, stage: str = "confirmed", gain: float | None = 0.02, status: str = "unproven") -> dict:
    step = words.split(maxsplit=1)[0]
    return {
        "factors": {"augment": words}, "entry": {"step": step}, "stage": stage, "gain": gain,
        "interval": None if gain is None else [gain - 0.01, gain + 0.01], "accuracy_gain": 0.004,
        "p_adjusted": 0.01, "status": status, "repeats": 15, "photos": 787, "affinity": 0.95, "diversity": 1.25,
        "seconds": 3.0,
    }  # fmt: skip


@pytest.fixture
def found() -> dict:
    rows = [
        row("flip horizontal=0.5", status="shown"), row("blur sigma=3", stage="round 2", gain=-0.03),
        row("decolourise", stage="no effect", gain=None), row("augmix", stage="not tried", gain=None),
    ]  # fmt: skip
    return {
        "schema": 1, "source": "photos", "task": "classification", "classes": ["a", "b"], "criterion": "log loss",
        "head": {"name": "rbf_svm", "c": 4.0}, "photos": 1574, "views": 1,
        "design": {"first_half": 787, "second_half": 787, "round_photos": [394, 787], "round_trials": [4, 2],
                   "sentence": "Sealed."},
        "rows": rows, "whole": None, "policy": {"schema": 1, "name": "policy", "augment": [{"step": "flip"}]},
        "out": "my policy.toml", "best": rows[0], "sentences": ["flip: helps.", "Sealed."], "complete": True,
        "seconds": {"total": 301.0},
    }  # fmt: skip


@pytest.fixture
def calls(workflow, found) -> list:
    made = []

    def keep(name: str, record: dict):
        return lambda *words, **choices: made.append((name, words, choices)) or record

    workflow("augment", augment=keep("augment", RECORD))
    workflow("augment_preview", preview_augmented=keep("preview", RECORD | {"sheet": "sheet.png"}))
    workflow("policy_search", search_policy=keep("search", found))
    return made


def test_copies_are_written(run, calls) -> None:
    code, out, _ = run("augment", "photos", "copies", "-n", "3", "--seed", "9", "--policy", "A.toml", "--quiet")
    assert code == 0
    ((name, words, choices),) = calls
    assert (name, words) == ("augment", ("photos", Path("copies")))
    assert (choices["views"], choices["seed"], choices["policy"]) == (3, 9, Path("A.toml"))
    assert "6,000 copies of 1,200 photos by flip + noise, those of 200 were there already." in out
    assert "a.png: refused, empty file" in out
    assert "teliti train copies/labels.csv" in out


def test_five_views_unless_asked_otherwise(run, calls) -> None:
    run("augment", "photos", "copies")
    assert calls[0][2]["views"] == 5


@pytest.mark.usefixtures("calls")
def test_json_is_the_record(run) -> None:
    code, out, _ = run("augment", "photos", "copies", "--json")
    assert code == 0
    assert json.loads(out) == RECORD


def test_a_sheet_is_drawn(run, calls) -> None:
    code, out, _ = run("augment", "photos", "--preview", "--count", "2")
    assert code == 0
    assert calls[0][0] == "preview"
    assert calls[0][2]["photos"] == 2
    assert "Sheet   sheet.png" in out


def test_a_search_shows_its_table(run, calls) -> None:
    code, out, _ = run("augment", "photos", "--search", "--budget", "10m", "--out", "my policy.toml", "--quiet")
    assert code == 0
    name, _, choices = calls[0]
    assert name == "search"
    assert (choices["out"], choices["views"], choices["recipe"].train.budget) == (Path("my policy.toml"), 1, "10m")
    assert "2 augmentations tried on 1,574 photos in 5 min 01 s" in out
    assert "+0.0200" in out
    assert "+0.0100 to +0.0300" in out
    assert "shown to help" in out
    assert "out in round 2" in out
    assert "Leave these photos as they are: decolourise." in out
    assert "Not tried for want of time: augmix." in out
    assert "teliti augment DATA --policy 'my policy.toml' --compare" in out


@pytest.mark.usefixtures("calls")
def test_a_search_writes_its_rows(run, tmp_path: Path) -> None:
    code, out, _ = run("augment", "photos", "--search", "--csv", "-")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [one["augment"] for one in rows] == ["flip horizontal=0.5", "blur sigma=3", "decolourise", "augmix"]
    assert (rows[0]["gain"], rows[0]["low"], rows[0]["status"]) == ("0.02", "0.01", "shown")
    assert (rows[2]["gain"], rows[2]["low"]) == ("", "")
    run("augment", "photos", "--search", "--csv", str(tmp_path / "rows.csv"), "--quiet")
    assert (tmp_path / "rows.csv").read_text().splitlines() == out.splitlines()


def test_a_search_has_a_seed(run, calls) -> None:
    run("augment", "photos", "--search", "--seed", "3", "--json")
    assert calls[0][2]["recipe"].seed == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--search", "--preview"], "--preview and --search must not stand together"),
        (["copies", "--search"], "--search must stand without OUT"),
        (["copies", "--policy", "A.toml", "--compare"], "--compare must stand without OUT"),
        (["--compare"], "--compare needs --policy FILE"),
        (["--search", "--policy", "A.toml"], "--search must stand without --policy"),
        (["copies", "--measure", "recall"], "--measure needs --compare"),
        (["copies", "--csv", "a.csv"], "--csv needs --search or --compare"),
        (["copies", "--out", "a.toml"], "--out needs --search"),
        ([], "OUT must be given: a new folder for the augmented photos, got nothing"),
        (["--search", "--csv", "-", "--json"], "--json and --csv - must not stand together"),
    ],
)
def test_options_that_do_not_go_together(run, calls, words: list, message: str) -> None:
    code, out, err = run("augment", "photos", *words)
    assert code == 2
    assert message in out + err
    assert calls == []
