"""`--engine`, `--address` and `--workers`: what reaches the workflow, and what is refused in one sentence."""

from __future__ import annotations

import json

import pytest

from teliti.tuning.machines import Machines


@pytest.fixture
def asked(workflow, verdict_record):
    """What the workflow was called with."""
    found = {}

    def keep(*_, **choices):
        found.update(choices)
        return verdict_record

    workflow("predict", predict=keep)
    workflow("train_together", train_together=keep, resume_together=keep)
    return found


def test_ray_here_or_a_cluster_reaches_the_workflow(run, asked) -> None:
    assert run("predict", "bundle", "photos", "--json")[0] == 0
    assert asked["machines"] is None
    assert run("predict", "bundle", "photos", "--json", "--engine", "ray", "--workers", "3")[0] == 0
    assert (asked["machines"], asked["workers"]) == (Machines("ray"), 3)
    assert run("predict", "bundle", "photos", "--json", "--engine", "ray", "--address", "head:6379")[0] == 0
    assert asked["machines"] == Machines("ray", "head:6379")


def test_train_on_several_workers_begins_and_goes_on(run, asked) -> None:
    words = ("--engine", "ray", "--workers", "2", "--json")
    assert run("train", "photos", "--mode", "scratch", *words)[0] == 0
    assert (asked["machines"], asked["workers"]) == (Machines("ray"), 2)
    assert asked["command"] == "teliti train photos --mode scratch --engine ray --workers 2 --json"
    asked.clear()
    assert run("train", "--resume", "run", *words)[0] == 0
    assert asked["workers"] == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("predict", "b", "p", "--address", "head:1"), "--address must stand with --engine ray, got head:1 alone."),
        (("predict", "b", "p", "--workers", "2"), "--workers must stand with --engine ray here, got 2 alone."),
        (("train", "p", "--workers", "2"), "--workers must stand with --engine ray here, got 2 alone."),
        (("train", "p", "--engine", "ray"), "--workers must be at least 1 with --engine ray, got none."),
        (("tune", "p", "--engine", "ray", "--address", "head"), "--address must be HOST:PORT of a Ray cluster's first"),
        (("prepare", "p", "--preview", "--engine", "ray"), "--engine must stand without --preview and --compare"),
    ],
)
def test_what_does_not_fit_is_one_sentence(run, words: tuple[str, ...], sentence: str) -> None:
    code, out, _ = run(*words, "--json")
    assert code == 2
    assert json.loads(out)["error"]["message"].startswith(sentence)
    assert json.loads(out)["error"]["hint"]


def test_without_ray_the_install_command_is_told(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teliti.runtime.is_installed", lambda library: library != "ray")
    code, _, err = run("sensitivity", "photos", "--engine", "ray")
    assert code == 2
    assert 'pip install "teliti[cluster]"' in err
