"""`teliti export`: what it asks for and what it says."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from teliti.cli.export import _numbers, _tell_training


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
    "training_path": {"compared": True, "when": "now", "by": "the trained network in torch", "why": None,
                      "changed_verdicts": 0, "photos": 40},
    "measures": {"own": {"photos": 40, "accuracy": 0.95}, "openvino int8": {"photos": 40, "accuracy": 0.925}},
    "int8": {"ranges": "histogram", "calibration_photos": 300, "photos": 40, "chosen_on": "validation photos",
             "also_judged": 3, "floating": 0.1,
             "tried": [{"ranges": "largest", "floating": 0.0, "changed": 0.03},
                       {"ranges": "histogram", "floating": 0.1, "changed": 0.01}]},
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
    said = " ".join(out.split())  # whatever the terminal's width
    for part in ("own / openvino int8", "0.031", "12 of 40 photos the bundle has seen",
                 "Compared with the trained network in torch: 0 of 40 verdicts changed", "accuracy 0.925",
                 "Forced: The accuracy", "90 photos a second",
                 "value 3.0%, the least squared error with 10% of the convolutions in floating point 1.0%.",
                 "3 of these photos are judged here, too", "Exported to out/model.xml",
                 "Certificate out/parity.json"):  # fmt: skip
        assert part in said


@pytest.mark.parametrize(
    ("training", "sentence"),
    [
        ({"compared": False, "why": "torch is gone"}, "Not compared with torch: torch is gone."),
        (
            {"compared": True, "by": None, "when": "at the end", "why": "torch is gone"},
            "Torch was compared at the end: 0 of 9 verdicts changed. Not now: torch is gone.",
        ),
        (
            {"compared": True, "by": "the bundle's graph in torch", "when": "now", "why": "Lost."},
            "graph in torch: 0 of 9 verdicts changed. The trained network was not compared. Lost.",
        ),
    ],
)
def test_what_is_said_of_torch(training: dict, sentence: str) -> None:
    assert sentence in _tell_training({"changed_verdicts": 0, "photos": 9, **training})


def test_every_measure_is_said() -> None:
    assert list(_numbers({"photos": 4, "mae": {"x": 0.25, "y": 3.0}})) == ["mae of x 0.25", "mae of y 3"]
    assert list(_numbers({"accuracy": 0.5, "recall": {"a": 1.0}, "defect_recall": None})) == ["accuracy 0.5"]


def test_an_unknown_runtime(run) -> None:
    code, _, err = run("export", "b", "--to", "paper")
    assert code == 2
    assert "paper" in err
