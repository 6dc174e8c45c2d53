"""`teliti predict` and `teliti evaluate`: verdicts, CSV, gates."""

import csv
import io
import json
from pathlib import Path

import pytest

from teliti.cli.verdicts import summarize_verdicts, write_verdicts


@pytest.fixture
def predicted(workflow, verdict_record):
    """The record that `predict` will return; change it before the call."""
    workflow("predict", predict=lambda *_, **__: verdict_record)
    return verdict_record


@pytest.mark.usefixtures("predicted")
def test_a_table_and_a_count(run) -> None:
    code, out, err = run("predict", "bundle", "photos")
    assert (code, err) == (0, "")
    assert "score 0.750 is not below 0.410" in out
    assert "! d.png: refused, empty file" in out
    assert out.splitlines()[-1] == "4 photos: 1 pass, 1 reject, 1 review, 1 refused."


def test_the_engine_reaches_the_job(workflow, verdict_record, run) -> None:
    asked = []
    workflow("predict", predict=lambda *_, **choices: asked.append(choices["engine"]) or verdict_record)
    run("predict", "bundle", "photos")
    run("predict", "bundle", "photos", "--engine", "openvino")
    assert asked == ["auto", "openvino"]
    assert run("predict", "bundle", "photos", "--engine", "abacus")[0] == 2


def test_json_is_the_record(predicted, run) -> None:
    code, out, _ = run("predict", "bundle", "photos", "--json")
    assert code == 0
    assert json.loads(out) == predicted


@pytest.mark.parametrize(
    ("rejects", "refused", "code"), [(True, True, 3), (True, False, 3), (False, True, 3), (False, False, 0)]
)
def test_a_reject_or_a_refusal_fails_the_gate(rejects: bool, refused: bool, code: int, predicted, run) -> None:
    if not rejects:
        predicted["results"] = [one for one in predicted["results"] if one["verdict"] != "reject"]
    if not refused:
        predicted["refused"] = []
    assert run("predict", "bundle", "photos")[0] == 0
    actual, out, err = run("predict", "bundle", "photos", "--json", "--fail-on", "reject")
    assert actual == code
    assert json.loads(out) == predicted
    assert ("--fail-on reject is not met" in err) == (code == 3)


def test_the_gate_needs_verdicts(predicted, run) -> None:
    predicted["results"][0]["verdict"] = "kind 3"
    code, _, err = run("predict", "bundle", "photos", "--fail-on", "reject")
    assert code == 2
    assert "--fail-on reject needs a bundle that says which classes pass" in err


def test_long_lists_are_cut_and_say_so(predicted, run) -> None:
    predicted["results"] *= 20
    predicted["refused"] *= 51
    _, out, _ = run("predict", "bundle", "photos")
    assert sum(".png  " in line for line in out.splitlines()) == 50
    assert "and 10 more: --csv FILE or --json gives all of them." in out
    assert "and 1 more: --csv FILE or --json names all of them." in out
    assert "111 photos: 20 pass, 20 reject, 20 review, 51 refused." in out
    assert len(json.loads(run("predict", "bundle", "photos", "--json")[1])["results"]) == 60


def test_class_names_as_verdicts_are_counted() -> None:
    results = [{"path": "x", "verdict": f"kind {i % 10}", "label": f"kind {i % 10}"} for i in range(95)]
    summary = summarize_verdicts({"results": results, "refused": []})
    assert summary.startswith('95 photos: 10 "kind 0", 10 "kind 1", ')
    assert summary.endswith("18 of other classes.")


def test_numbers_have_no_verdict(predicted, run) -> None:
    number = {"path": "a.png", "verdict": None, "label": None, "probs": {}, "score": -0.25, "reasons": []}
    predicted |= {"results": [number], "refused": []}
    _, out, _ = run("predict", "bundle", "a.png")
    assert "predicted" in out
    assert "-0.250" in out
    assert "verdict" not in out
    assert out.splitlines()[-1] == "1 photo: measured."


def test_hostile_names_cannot_touch_the_terminal(predicted, run) -> None:
    predicted["results"][0]["path"] = "\x1b[2J\u202e[red]\udcff\n.png"
    predicted["refused"][0]["path"] = "\x07\r"
    _, out, _ = run("predict", "bundle", "photos")
    assert r"\x1b[2J\u202e[red]\xff\n.png" in out
    assert r"\x07\r: refused" in out


def test_csv_file_has_every_row(predicted, run, tmp_path: Path) -> None:
    predicted["results"] *= 30
    target = tmp_path / "verdicts.csv"
    code, out, err = run("predict", "bundle", "photos", "--csv", str(target))
    assert (code, out) == (0, "")
    assert err == "91 photos: 30 pass, 30 reject, 30 review, 1 refused.\n"
    rows = list(csv.DictReader(io.StringIO(target.read_bytes().decode(), newline="")))
    assert len(rows) == 91
    assert rows[1]["verdict"] == "reject"
    assert (float(rows[1]["score"]), float(rows[1]["probability"])) == (0.75, 0.75)
    assert float(rows[1]["probability of good"]) == 0.25
    assert rows[-1] == {**dict.fromkeys(rows[0], ""), "path": "d.png", "verdict": "refused", "reasons": "empty file"}


@pytest.mark.usefixtures("predicted")
def test_csv_on_stdout(run) -> None:
    code, out, _ = run("predict", "bundle", "photos", "--csv", "-", "--quiet")
    assert code == 0
    assert len(list(csv.reader(io.StringIO(out)))) == 5


@pytest.mark.parametrize("name", ['a"b,c', "two\nlines", "=cmd|' /C calc'!A0", "+1", "-1", "@x", "\tx", "bad\udcff"])
def test_csv_cells_come_back_and_are_no_formula(name: str, verdict_record) -> None:
    verdict_record["results"][0]["path"] = name
    text = write_verdicts(verdict_record)
    cell = list(csv.reader(io.StringIO(text, newline="")))[1][0]
    assert cell.removeprefix("'") == name
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert text.endswith("\r\n")


def test_names_that_are_not_utf8_keep_their_bytes(predicted, run, tmp_path: Path) -> None:
    predicted["results"][0]["path"] = "bad\udcff.png"
    run("predict", "bundle", "photos", "--csv", str(tmp_path / "out.csv"))
    assert b"bad\xff.png,pass" in (tmp_path / "out.csv").read_bytes()


@pytest.mark.usefixtures("predicted")
def test_stdout_holds_one_document(run) -> None:
    code, out, _ = run("predict", "bundle", "photos", "--json", "--csv", "-")
    assert code == 2
    assert "both write to stdout" in json.loads(out)["error"]["message"]


@pytest.mark.usefixtures("predicted")
def test_a_full_disk_while_writing_csv(run) -> None:
    code, _, err = run("predict", "bundle", "photos", "--csv", "/proc/nowhere/out.csv")
    assert code == 1
    assert err.startswith('error: "/proc/nowhere/out.csv" could not be written')


def test_evaluate_prints_the_measures(workflow, run, solar_record) -> None:
    calls = []

    def evaluate(bundle: Path, source: str, **choices: object) -> dict:
        calls.append((bundle, source, choices["out"]))
        return {**solar_record, "run": None, "report": None}

    workflow("evaluate", evaluate=evaluate)
    code, out, _ = run("evaluate", "bundle", "photos", "--out", "new")
    assert code == 0
    assert calls == [(Path("bundle"), "photos", Path("new"))]
    assert "Measured on 525 photos\n" in out
    assert "Report" not in out


def test_evaluate_gates(workflow, run, solar_record) -> None:
    workflow("evaluate", evaluate=lambda *_, **__: solar_record)
    words = ["evaluate", "bundle", "photos", "--json", "--fail-on", "accuracy<0.5", "--fail-on", "recall<0.95"]
    code, out, err = run(*words)
    assert code == 3
    assert json.loads(out)["gate"] == {"met": False, "reasons": ["recall is 0.811, which fails the gate recall<0.95."]}
    assert err == "error: recall is 0.811, which fails the gate recall<0.95.\n"
    code, out, _ = run(*words[:-2])
    assert code == 0
    assert json.loads(out)["gate"] == {"met": True, "reasons": []}


def test_a_gate_that_cannot_be_read_stops_before_work(workflow, run) -> None:
    workflow("evaluate", evaluate=None)
    code, _, err = run("evaluate", "bundle", "photos", "--fail-on", "recall")
    assert code == 2
    assert "--fail-on must look like" in err
