"""`teliti replay` as it speaks: what was compared, exit code 1 where something differs, JSON."""

import json

import pytest

CHECKS = [
    {"name": "photos", "same": True, "was": "a", "is": "a"}, {"name": "model.onnx", "same": True, "was": "b", "is": "b"}
]  # fmt: skip
SAME = {"schema": 1, "same": True, "sentences": ["The same came out."], "checks": CHECKS, "out": None}
OTHER = {
    **SAME, "same": False, "sentences": ["Not the same.", "What differs with it: x."], "out": "kept",
    "checks": [CHECKS[0], CHECKS[1] | {"same": False, "is": "c"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("record", "code", "words"), [(SAME, 0, "same    model.onnx"), (OTHER, 1, "DIFFERS model.onnx")]
)
def test_what_was_compared_is_listed(run, workflow, record, code, words):
    workflow("replay", replay=lambda *_, **__: record)
    found, out, _ = run("replay", "runs/a")
    assert found == code
    assert words in out
    assert record["sentences"][-1] in out
    found, out, _ = run("replay", "runs/a", "--json")
    assert (found, json.loads(out)) == (code, record)


def test_options_reach_the_workflow(run, workflow):
    kept = {}
    workflow("replay", replay=lambda place, **options: kept.update(place=place, **options) or SAME)
    assert run("replay", "runs/a", "--data", "moved", "--out", "kept", "--cached", "--quiet")[0] == 0
    assert (str(kept["place"]), kept["source"], str(kept["out"]), kept["cached"]) == ("runs/a", "moved", "kept", True)
