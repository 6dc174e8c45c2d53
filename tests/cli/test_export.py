"""`teliti export`: what it asks for and what it says."""

import json
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class Options:
    to: str
    int8: bool = False
    force: bool = False
    min_defect_recall: float | None = None


RECORD = {
    "photos": 40, "seen": 12,
    "comparisons": [
        {"between": ["own", "openvino int8"], "photos": 40, "changed_verdicts": 1, "max_abs_difference": 0.031}
    ],
    "training_path": {"compared": True, "when": "at the end", "changed_verdicts": 0, "photos": 40},
    "measures": {"own": {"photos": 40, "accuracy": 0.95}, "openvino int8": {"photos": 40, "accuracy": 0.925}},
    "int8": {"ranges": "histogram", "calibration_photos": 300, "photos": 40, "chosen_on": "validation photos",
             "tried": [{"ranges": "largest", "changed": 0.03}, {"ranges": "histogram", "changed": 0.01}]},
    "objections": ["The accuracy is 0.9250, below 99% of 0.9500."],
    "speed": {"sentence": "It answers 90 photos a second on one core."},
    "path": "out/model.xml", "certificate": "out/parity.json",
}  # fmt: skip


@pytest.fixture
def asked(workflow) -> list[Any]:
    calls: list[Any] = []

    def export(bundle, options, **choices):
        calls.append((str(bundle), options, choices["data"], choices["out"]))
        return RECORD

    workflow("export", export=export, ExportOptions=Options)
    return calls


def test_options_reach_the_job(asked, run) -> None:
    code, out, _ = run("export", "b", "--to", "openvino", "--int8", "--force", "--data", "new", "--json")
    assert (code, json.loads(out)) == (0, RECORD)
    assert asked == [("b", Options("openvino", int8=True, force=True), "new", None)]


@pytest.mark.usefixtures("asked")
def test_what_is_said(run) -> None:
    _, out, _ = run("export", "b", "--to", "openvino", "--int8", "--force")
    for part in ("own / openvino int8", "0.031", "12 of 40 photos the bundle has seen",
                 "0 of 40 verdicts changed", "accuracy 0.925", "Forced: The accuracy",
                 "90 photos a second", "value 3.0%, the least squared error 1.0%", "Exported to out/model.xml",
                 "Certificate out/parity.json"):  # fmt: skip
        assert part in out


def test_an_unknown_runtime(run) -> None:
    code, _, err = run("export", "b", "--to", "paper")
    assert code == 2
    assert "paper" in err
