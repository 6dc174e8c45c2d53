"""`--fail-on recall<0.95`: when a measure fails a run."""

import pytest

from teliti.cli.gates import Gate, parse_gate, reasons_unmet
from teliti.errors import UserError

MEASURES = {"n": 10, "recall": 0.9, "roc_auc": None, "confusion_matrix": [[5, 0], [1, 4]]}


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("recall<0.95", Gate("recall", "<", 0.95)),
        (" log_loss > 0.4 ", Gate("log_loss", ">", 0.4)),
        ("r2<-1e-3", Gate("r2", "<", -0.001)),
    ],
)
def test_a_gate_is_read(text: str, gate: Gate) -> None:
    assert parse_gate(text) == gate


@pytest.mark.parametrize("text", ["recall", "recall=0.9", "recall<high", "recall<1.2.3", "<0.5", "recall<=0.5", ""])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(
        UserError,
        match=r'MEASURE<VALUE or MEASURE>VALUE, got .* For instance --fail-on "recall<0\.95" or '
        r'--fail-on "log_loss>0\.4"\.$',
    ):
        parse_gate(text)


@pytest.mark.parametrize(
    ("text", "met"),
    [("recall<0.95", False), ("recall<0.9", True), ("recall<0.85", True), ("recall>0.85", False), ("recall>0.9", True)],
)
def test_the_limit_itself_passes(text: str, met: bool) -> None:
    assert (parse_gate(text).verdict(MEASURES) is None) == met


def test_the_reason_names_measure_and_gate() -> None:
    assert parse_gate("recall<0.95").verdict(MEASURES) == "recall is 0.9, which fails the gate recall<0.95."


def test_an_undefined_measure_does_not_pass() -> None:
    assert "roc_auc is undefined on these photos" in (parse_gate("roc_auc<0.5").verdict(MEASURES) or "")


def test_an_unknown_measure_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match=r"--fail-on must name one of n, recall, roc_auc, got 'recal'.*\"recall\""):
        parse_gate("recal<0.5").verdict(MEASURES)


def test_what_could_not_be_proven_fails_the_gate_and_says_what_it_takes() -> None:
    short = {"rate": 0.01, "photos": 100, "needed": 299, "held": False}
    record = {"test": MEASURES, "threshold": {"proven": False, "promises": [short]}}
    assert reasons_unmet([parse_gate("unproven"), parse_gate("recall<0.5")], record) == [
        "a rate of at most 0.01 could not be shown with 100 photos, 299 are needed: the gate unproven is not met."
    ]
    assert reasons_unmet([parse_gate("unproven")], {"test": MEASURES, "threshold": {"proven": True}}) == []


def test_where_nothing_was_to_be_proven_the_gate_is_a_mistake() -> None:
    with pytest.raises(
        UserError,
        match=r"a threshold that something was to be proven of.* Train with --set "
        r"decide\.max_miss_rate=0\.02 --set decide\.confidence=0\.95, for instance\.$",
    ):
        reasons_unmet([parse_gate("unproven")], {"test": MEASURES, "threshold": {"value": 0.5, "proven": None}})
