"""`teliti compare` as it speaks: what changed, the gates, JSON, and costs as typed."""

import json

import pytest

FLIP = {
    "path": "a.png", "label": "bad", "kind": "newly_missed", "tested": True,
    "old": {"verdict": "reject", "score": 0.75, "reasons": []},
    "new": {"verdict": "pass", "score": 0.25, "reasons": []},
}  # fmt: skip
RECORD = {
    "schema": 1, "photos": 8, "changed": 1, "labelled": True, "has_verdicts": True, "flips": [FLIP],
    "sentences": ["1 of 8 photos change their verdict.", "NEW is not shown to be worse."],
    "worse": {"shown": False, "reasons": [], "p": {}},
}  # fmt: skip
WORSE = {"worse": {"shown": True, "reasons": ["NEW makes more errors."], "p": {}}}


def asked(workflow, **changes):
    kept = {}
    workflow("flips", compare=lambda *words, **options: kept.update(words=words, **options) or RECORD | changes)
    workflow("changes.kinds", KINDS={"newly_missed": ("Newly missed", "")})
    return kept


def test_the_changes_are_said_by_kind(run, workflow):
    asked(workflow)
    code, out, _ = run("compare", "old", "new", "photos")
    assert code == 0
    assert "1 of 8 photos change their verdict." in out
    assert "Newly missed (1)" in out
    assert "a.png: reject 0.750, now pass 0.250" in out
    assert "teliti compare old new photos --out compared" in out


def test_json_is_the_record_with_the_gate(run, workflow):
    asked(workflow)
    code, out, err = run("compare", "old", "new", "photos", "--json", "--fail-on", "missed", "--fail-on", "worse")
    assert code == 3
    assert json.loads(out)["gate"] == {
        "met": False, "reasons": ["1 newly missed, the first is a.png: the gate missed is not met."]
    }  # fmt: skip
    assert "gate missed is not met" in err


@pytest.mark.parametrize(
    ("gate", "changes", "code", "words"),
    [
        ("worse", {}, 0, ""),
        ("worse", WORSE, 3, "NEW makes more errors. The gate worse is not met."),
        ("missed", {"flips": []}, 0, ""),
        ("missed", {"flips": [FLIP | {"tested": False}]}, 0, ""),
        ("flips", {}, 3, "1 photos change their verdict: the gate flips is not met."),
        ("flips", {"changed": 0}, 0, ""),
        (
            "flips",
            {"changed": 0, "relabelled": 2, "labels": [{}]},
            3,
            "2 photos change their verdict or labels: the gate",
        ),
        ("flips", {"tolerance": {"from": "given"}}, 3, "1 photos move by more than the tolerance: the gate flips"),
        (
            "worse",
            {"labelled": False},
            2,
            "labels to judge by, and these photos have none. Name labelled photos, or use --fail-on flips.",
        ),
        ("missed", {"has_verdicts": False}, 2, "--fail-on missed needs bundles that say which classes pass"),
    ],
)
def test_gates(run, workflow, gate, changes, code, words):
    asked(workflow, **changes)
    found, _, err = run("compare", "old", "new", "photos", "--fail-on", gate)
    assert found == code
    assert words in " ".join(err.split())


def test_costs_are_typed_as_in_a_recipe(run, workflow):
    kept = asked(workflow)
    words = ("--cost", "miss=50,false_alarm=1", "--defect-rate", "0.01", "--per-day", "100", "--no-labels")
    assert run("compare", "old", "new", "photos", *words)[0] == 0
    assert kept["decide"] == {"cost": {"miss": 50, "false_alarm": 1}, "defect_rate": 0.01, "per_day": 100}
    assert kept["labels"] is False
    code, _, err = run("compare", "old", "new", "photos", "--per-day", "100")
    assert code == 2
    said = " ".join(err.split())
    assert "--per-day must stand beside --cost, got it alone." in said
    assert 'For instance --cost "miss=50,false_alarm=1" --defect-rate 0.01.' in said


@pytest.mark.parametrize(("typed", "read"), [("0.5", 0.5), ("x=1, y=2.5", {"x": 1.0, "y": 2.5}), (None, None)])
def test_a_tolerance_is_one_number_or_one_by_name(run, workflow, typed, read):
    kept = asked(workflow)
    assert run("compare", "old", "new", "photos", *(() if typed is None else ("--tolerance", typed)))[0] == 0
    assert kept["tolerance"] == read


@pytest.mark.parametrize("typed", ["wide", "x=1,y", "x=1=2", "x=wide"])
def test_a_tolerance_of_another_form_is_told(run, workflow, typed):
    asked(workflow)
    code, _, err = run("compare", "old", "new", "photos", "--tolerance", typed)
    assert code == 2
    assert f"--tolerance must be a number, or NAME=NUMBER separated by commas, got '{typed}'" in " ".join(err.split())
