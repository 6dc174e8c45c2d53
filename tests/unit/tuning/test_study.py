"""Studies: each number once, the same choices after a kill, pruning, importance, and a journal torn in the middle."""

from __future__ import annotations

from pathlib import Path

import pytest

from teliti.errors import RunError, UserError
from teliti.tuning.space import Parameter, Space
from teliti.tuning.study import Study

SPACE = Space(
    (
        Parameter("kind", choices=("a", "b")),
        Parameter("x", low=0.0, high=10.0),
        Parameter("n", low=1.0, high=8.0, is_whole=True, is_log=True),
        Parameter("depth", low=1.0, high=3.0, is_whole=True, only="b"),
    )
)


def open_study(path: Path | str, *, owner: str = "me", seed: int = 7, space: Space = SPACE) -> Study:
    return Study(space, storage=path, name="s", owner=owner, seed=seed, more_is_better=True)


def value_of(point: dict) -> float:
    return -abs(float(point["x"]) - 3.0) - (point["kind"] == "a")


def run(study: Study, trials: int) -> None:
    for number, point in study.ask(trials=trials):
        study.finish(number, value_of(point), {"seconds": 1.0})


def test_as_many_trials_as_wanted_and_the_same_seed_gives_the_same(tmp_path: Path) -> None:
    first, second = open_study(tmp_path / "a.journal"), open_study(tmp_path / "b.journal")
    run(first, 12)
    run(second, 12)
    assert [row.number for row in first.rows()] == list(range(12))
    assert [row.point for row in first.rows()] == [row.point for row in second.rows()]
    assert all(("depth@b" in row.point) == (row.point["kind"] == "b") for row in first.rows())
    assert all(isinstance(row.point["n"], int) for row in first.rows())


def test_a_resumed_search_goes_on_as_an_uninterrupted_one_does(tmp_path: Path) -> None:
    whole = open_study(tmp_path / "a.journal")
    run(whole, 14)
    run(open_study(tmp_path / "b.journal"), 6)
    unfinished = open_study(tmp_path / "b.journal")
    number, point = next(unfinished.ask(trials=14))  # begun, and then killed
    again = open_study(tmp_path / "b.journal")
    assert next(again.ask(trials=14)) == (number, point)
    run(again, 14)
    assert [row.point for row in again.rows()] == [row.point for row in whole.rows()]


def test_the_search_finds_what_is_there_to_find(tmp_path: Path) -> None:
    study = open_study(tmp_path / "s.journal")
    run(study, 40)
    best = max(study.rows(), key=lambda row: row.value)
    assert best.point["kind"] == "b"
    assert abs(best.point["x"] - 3.0) < 0.5
    shares = study.importances()
    assert next(iter(shares)) == "x"
    assert shares["x"] > 0.5
    assert "depth@b" not in shares
    assert sum(shares.values()) == pytest.approx(1.0)
    under = study.importances(under="b")
    assert set(under) == {"x", "n", "depth@b"}
    assert sum(under.values()) == pytest.approx(1.0)
    assert study.importances(under="a") == {}


def test_a_second_answer_for_a_number_is_dropped(tmp_path: Path) -> None:
    study = open_study(tmp_path / "s.journal")
    run(study, 1)
    study.finish(0, 99.0)
    study.fail(0, "late")
    (row,) = study.rows()
    assert row.state == "done"
    assert row.value < 1.0
    assert row.reason == ""


def test_two_owners_share_a_database_and_do_no_more_than_was_asked_for(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'shared.db'}"
    mine, yours = open_study(address, owner="me"), open_study(address, owner="you")
    asked_by_me, asked_by_you = mine.ask(trials=5), yours.ask(trials=5)
    numbers = []
    for asked, study in [(asked_by_me, mine), (asked_by_you, yours)] * 2:
        number, point = next(asked)
        numbers.append(number)
        study.finish(number, value_of(point))
    rest = [number for number, _ in asked_by_me] + [number for number, _ in asked_by_you]
    assert sorted(numbers + rest) == [0, 1, 2, 3, 4]


def test_what_another_owner_has_begun_is_left_to_it(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'shared.db'}"
    next(open_study(address, owner="you").ask(trials=3))
    assert [number for number, _ in open_study(address, owner="me").ask(trials=3)] == [1, 2]


def test_a_trial_that_most_others_beat_on_the_way_is_stopped(tmp_path: Path) -> None:
    study = open_study(tmp_path / "s.journal")
    asked = study.ask(trials=6)
    for _ in range(5):
        number, _point = next(asked)
        assert not any(study.report(number, step, 0.5 + step / 10) for step in range(5))
        study.finish(number, 0.9)
    number, _point = next(asked)
    assert [study.report(number, step, 0.1) for step in range(4)] == [False, False, True, True]
    study.prune(number, {"seconds": 2.0})
    assert study.rows()[-1].state == "pruned"


def test_a_journal_torn_in_the_middle_of_a_line_and_a_lock_left_behind_are_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "s.journal"
    run(open_study(path), 3)
    with path.open("ab") as file:
        file.write(b'{"op_code": 4, "wor')
    Path(f"{path}.lock").touch()
    study = open_study(path)
    run(study, 5)
    assert [row.number for row in open_study(path).rows()] == [0, 1, 2, 3, 4]


def test_another_space_is_refused(tmp_path: Path) -> None:
    run(open_study(tmp_path / "s.journal"), 1)
    with pytest.raises(UserError, match="must have the space that is asked for"):
        open_study(tmp_path / "s.journal", space=Space(SPACE.parameters[:2]))


def test_a_journal_that_is_none_and_a_database_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "s.journal").write_text("not a journal\n", encoding="utf-8")
    with pytest.raises(RunError, match="could not be read"):
        open_study(tmp_path / "s.journal")
    with pytest.raises(UserError, match=r"--storage must be the address of a database that can be reached, got nodb"):
        open_study("nodb://user:secret@nowhere/x")


def test_too_few_or_equal_trials_have_no_importance(tmp_path: Path) -> None:
    study = open_study(tmp_path / "s.journal")
    assert study.importances() == {}
    for number, _ in study.ask(trials=5):
        study.finish(number, 1.0)
    assert study.importances() == {}
