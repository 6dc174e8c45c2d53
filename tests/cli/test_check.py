"""`teliti check` and `teliti agree` as they speak: summary by severity, gate, JSON, cleaned labels."""

import json

import pytest


@pytest.fixture
def checked():
    def finding(kind, severity, message, *paths):
        return {"kind": kind, "severity": severity, "paths": list(paths), "message": message, "score": 1.0}

    findings = [
        finding("leak", "error", "It is a byte copy of b.png.", "a.png", "b.png"),
        *(finding("blurred", "warning", "Its blur is 0.90.", f"{at}.png") for at in range(5)),
    ]
    summary = [
        {
            "kind": "leak",
            "severity": "error",
            "title": "Copies on both sides",
            "count": 1,
            "photos": 2,
            "advice": "Move.",
        },
        {"kind": "blurred", "severity": "warning", "title": "Blurred", "count": 5, "photos": 5, "advice": "Again."},
    ]
    return {
        "schema": 1, "source": "photos", "photos": 1200, "refused": 2, "classes": {"good": 1000, "bad": 200},
        "findings": findings, "summary": summary, "features": {"computed": False, "reason": "not asked for"},
    }  # fmt: skip


def test_findings_are_said_by_severity_and_the_rest_is_counted(run, workflow, checked):
    workflow("check", check=lambda *_, **__: checked)
    code, out, _ = run("check", "photos")
    assert code == 0
    assert "1,200 photos, 2 files not used: good 1,000, bad 200" in out
    assert out.index("Copies on both sides (1). Move.") < out.index("Blurred (5). Again.")
    assert "a.png: It is a byte copy of b.png." in out
    assert "and 2 more" in out
    assert "the same with pictures, and a table" in out
    assert "teliti check photos --out checked" in out


def test_options_reach_the_job(run, workflow, checked):
    seen = {}
    workflow("check", check=lambda source, **choices: seen.update(choices, source=source) or checked)
    run("check", "photos", "--no-features", "--masks", "{stem}_m.png", "--out", "o", "--json", "--quiet")
    assert (seen["source"], seen["features"], list(seen["masks"])) == ("photos", False, ["{stem}_m.png"])
    assert str(seen["out"]) == "o"


@pytest.mark.parametrize(("gate", "code"), [("error", 3), ("warning", 3)])
def test_the_gate_leaves_with_three_and_says_why(run, workflow, checked, gate, code):
    workflow("check", check=lambda *_, **__: checked)
    left, out, err = run("check", "photos", "--fail-on", gate, "--json")
    assert left == code
    assert json.loads(out)["gate"]["met"] is False
    assert f"There are findings that fail the gate {gate}: copies on both sides (1)" in " ".join(err.split())


def test_the_gate_is_met_without_such_findings(run, workflow, checked):
    checked["summary"] = [row | {"severity": "info"} for row in checked["summary"]]
    workflow("check", check=lambda *_, **__: checked)
    code, out, _ = run("check", "photos", "--fail-on", "warning", "--json")
    assert (code, json.loads(out)["gate"]) == (0, {"met": True, "reasons": []})


def test_nothing_found_is_said(run, workflow, checked):
    workflow("check", check=lambda *_, **__: checked | {"findings": [], "summary": []})
    assert "Nothing was found." in run("check", "photos")[1]


def test_fixes_need_a_place(run):
    code, _, err = run("check", "photos", "--apply", "fixes.csv")
    assert code == 2
    assert "--apply must have --out FILE.csv" in err


def test_cleaning_says_what_is_left_and_how_to_go_on(run, workflow):
    record = {"photos": 98, "excluded": 2, "relabelled": 1, "cleaned": "photos/cleaned.csv"}
    workflow("check", clean=lambda *_, **__: record)
    code, out, _ = run("check", "photos", "--apply", "fixes.csv", "--out", "photos/cleaned.csv")
    assert code == 0
    assert "98 photos left (2 excluded, 1 relabelled); the photos themselves are as they were." in " ".join(out.split())
    assert "train on what is left" in out
    assert "teliti train photos/cleaned.csv" in out


def test_agreement_is_said_with_the_queue(run, workflow):
    queue = [{"path": f"{at}.png", "labels": {"anna": "ok", "ben": "bad"}} for at in range(12)]
    workflow("agree", agree=lambda *_, **__: {"sentences": ["2 people agree."], "queue": queue})
    code, out, _ = run("agree", "labels.csv")
    assert code == 0
    assert "2 people agree." in out
    assert "0.png  anna: ok, ben: bad" in out
    assert "and 2 more" in out


def test_agreement_is_one_document_with_json(run, tmp_path):
    (tmp_path / "l.csv").write_text("path,anna,ben\na.png,ok,ok\nb.png,bad,ok\nc.png,bad,bad\n")
    code, out, _ = run("agree", str(tmp_path / "l.csv"), "--json")
    record = json.loads(out)
    assert code == 0
    assert record["people"]["value"] == 0.4  # 2/3 agree, 4/9 by chance: (2/3 - 4/9) / (1 - 4/9)
    assert [row["path"] for row in record["queue"]] == ["b.png"]
    assert run("agree", str(tmp_path / "none.csv"))[0] == 2
