"""`teliti info`: facts as people read them."""

import json

import pytest

FACTS = {
    "schema": 1, "path": "/cache", "limit_bytes": 4 * 1024**3, "empty": [], "ready": True, "names": ["a", "b\x1b"],
    "spaces": [{"key": "k1", "about": "lite0", "used_at": 1.7e9, "rows": 2624, "bytes": 1536, "share": 0.25}],
    "environment": {"python": "3.11.7", "versions": {"numpy": "2.4.6"}, "threads": None},
}  # fmt: skip


@pytest.fixture(autouse=True)
def facts(workflow) -> None:
    workflow(
        "info",
        info_environment=lambda: {**FACTS, "asked": "environment"},
        info_cache=lambda: {**FACTS, "asked": "cache"},
        info_bundle=lambda bundle: {**FACTS, "asked": str(bundle)},
    )


@pytest.mark.parametrize(
    ("words", "asked"),
    [(["info"], "environment"), (["info", "--cache"], "cache"), (["info", "my/bundle"], "my/bundle")],
)
def test_what_is_asked(words: list[str], asked: str, run) -> None:
    assert json.loads(run(*words, "--json")[1])["asked"] == asked


def test_one_question_at_a_time(run) -> None:
    code, _, err = run("info", "bundle", "--cache")
    assert code == 2
    assert "--cache must stand without BUNDLE, got both." in err


def test_facts_are_drawn(run) -> None:
    code, out, _ = run("info")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 0
    assert "limit bytes 4.0 GiB" in lines
    assert "ready yes" in lines
    assert r"names a, b\x1b" in lines
    assert "threads -" in lines
    assert "empty -" in lines
    assert "versions.numpy 2.4.6" in lines
    row = next(line for line in lines if line.startswith("k1"))
    assert row.startswith("k1 lite0 2023-11-1")
    assert row.endswith("2,624 1.5 KiB 0.25")
    assert "schema" not in out


@pytest.mark.parametrize(("passed", "expected"), [(True, 0), (False, 1)])
def test_the_self_test_decides_the_exit_code(passed: bool, expected: int, workflow, run) -> None:
    record = {**FACTS, "self_test": {"photos": 6, "passed": passed}}
    workflow("info", info_bundle=lambda _: record, info_cache=dict, info_environment=dict)
    assert run("info", "bundle", "--self-test")[0] == expected
    assert run("info", "bundle")[0] == 0


def test_a_self_test_needs_a_bundle(run) -> None:
    code, _, err = run("info", "--self-test")
    assert code == 2
    assert "--self-test must stand beside BUNDLE." in err
