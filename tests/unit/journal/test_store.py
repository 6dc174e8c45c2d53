"""The journal on SQLite and on PostgreSQL: append, look up, tell who was told, verify, several writers."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from journals import swap, tamper, verdict_entry
from teliti.errors import StorageError
from teliti.journal.entry import Entry, Head, parse_head
from teliti.journal.store import Journal


def test_records_are_chained_and_come_back(place: str) -> None:
    with Journal(place) as journal:
        first, second = journal.append([verdict_entry(60), Entry("stop", "watch /line")])
        assert (first["position"], second["position"]) == (1, 2)
        assert second["previous"] == first["hash"]
        assert journal.head() == Head(2, second["hash"])
    with Journal(place, create=False) as again:
        assert list(again.records()) == [first, second]
        assert first["probs"] == {"dark": 0.4, "bright": 0.6}
        assert again.verify()["whole"]


def test_a_key_is_there_once(place: str) -> None:
    with Journal(place) as journal:
        (first,) = journal.append([verdict_entry(1, once="a.png 12")])
        again, other = journal.append([verdict_entry(99, once="a.png 12"), verdict_entry(2, once="b.png 12")])
        assert again == first
        assert other["position"] == 2
        assert journal.by_once(["b.png 12", "nothing"]) == {"b.png 12": other}
        (one, two) = journal.append([verdict_entry(3, once="c"), verdict_entry(4, once="c")])
        assert one == two


def test_nothing_of_a_failed_call_stays(place: str) -> None:
    with Journal(place) as journal:
        with pytest.raises(ValueError, match="JSON"):
            journal.append([verdict_entry(1), verdict_entry(2, details={"share": float("nan")})])
        assert journal.head().position == 0
        assert list(journal.records()) == []


def test_pages_kinds_sources_and_parts(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teliti.journal.store._PAGE", 3)
    with Journal(place) as journal:
        journal.append([verdict_entry(number) for number in range(1, 11)])
        journal.append([Entry("correction", "desk", serial="A4", corrects=4, label="dark", operator="Eva")])
        assert [record["position"] for record in journal.records()] == list(range(1, 12))
        assert [record["position"] for record in journal.records(after=8)] == [9, 10, 11]
        assert len(list(journal.records(most=4))) == 4
        assert [record["operator"] for record in journal.records(kind="correction")] == ["Eva"]
        assert len(list(journal.records(source="watch /line"))) == 10
        assert [record["kind"] for record in journal.by_serial("A4")] == ["verdict", "correction"]
        assert [record["label"] for record in journal.corrections_of([3, 4])] == ["dark"]
        assert journal.at(7)["serial"] == "A7"
        assert journal.at(99) is None


def test_the_model_of_a_verdict_is_that_of_its_bundle(place: str) -> None:
    with Journal(place) as journal:
        for bundle in ("one", "two"):
            journal.append([Entry("model", "x", model_hash="c" * 64, details={"bundle_hash": bundle})])
        verdict, foreign = journal.append(
            [verdict_entry(details={"bundle_hash": "one"}), verdict_entry(2, model_hash="d")]
        )
        assert journal.model_of(verdict)["details"] == {"bundle_hash": "one"}
        assert journal.model_of(foreign) is None


def test_who_was_told_what(place: str) -> None:
    with Journal(place) as journal:
        assert journal.delivered("webhook", source="a") is None
        journal.mark_delivered("webhook", source="a", position=3)
        journal.mark_delivered("webhook", source="a", position=7)
        assert journal.delivered("webhook", source="a") == 7
        assert journal.delivered("webhook", source="b") is None


@pytest.mark.parametrize("statement", ["UPDATE teliti_journal SET verdict = 'pass'", "DELETE FROM teliti_journal"])
def test_the_database_refuses_to_change_a_record(place: str, statement: str) -> None:
    with Journal(place) as journal:
        journal.append([verdict_entry()])
        with pytest.raises(StorageError, match="append-only"), journal._database.writing() as connection:
            connection.execute(sa.text(statement))
        assert journal.verify()["whole"]


@pytest.mark.parametrize(
    ("statements", "position", "kind"),
    [
        (["UPDATE teliti_journal SET verdict = 'review' WHERE position = 4"], 4, "changed"),
        (["UPDATE teliti_journal SET score = score + 1e-12 WHERE position = 5"], 5, "changed"),
        (["DELETE FROM teliti_journal WHERE position = 3"], 3, "removed"),
        (["DELETE FROM teliti_journal WHERE position >= 9"], 9, "removed"),
        (swap(2, 8), 2, "reordered"),
    ],
    ids=["verdict", "last digit of a score", "removed", "cut", "reordered"],
)  # fmt: skip
def test_verify_names_the_first_damaged_record(place: str, statements: list[str], position: int, kind: str) -> None:
    with Journal(place) as journal:
        journal.append([verdict_entry(number) for number in range(1, 11)])
    tamper(place, *statements)
    with Journal(place) as journal:
        found = journal.verify()
    assert not found["whole"]
    assert (found["problem"]["position"], found["problem"]["kind"]) == (position, kind)


def test_audit_trail_of_a_thousand_verdicts(tmp_path: Path) -> None:
    """S22: one record of 1,000 changed, deleted, reordered or cut: named in 100 of 100 cases."""
    place = str(tmp_path / "journal.sqlite")
    chance = random.Random(22)
    with Journal(place) as journal:
        journal.append([verdict_entry(number) for number in range(1, 1001)])
        tamper(place, "CREATE TABLE kept AS SELECT * FROM teliti_journal")
        for case in range(100):
            position, later = sorted(chance.sample(range(1, 1001), 2))
            damage = {
                0: [f"UPDATE teliti_journal SET operator = 'Eve' WHERE position = {position}"],
                1: [f"DELETE FROM teliti_journal WHERE position = {position}"],
                2: swap(position, later),
                3: [f"DELETE FROM teliti_journal WHERE position >= {position}"],
            }[case % 4]
            tamper(place, *damage)
            assert journal.verify()["problem"]["position"] == position, (case, position, later)
            tamper(place, "DELETE FROM teliti_journal", "INSERT INTO teliti_journal SELECT * FROM kept")
        assert journal.verify()["whole"]


def test_a_head_kept_elsewhere_proves_the_end(place: str) -> None:
    with Journal(place) as journal:
        journal.append([verdict_entry(1), verdict_entry(2)])
        kept = parse_head(str(journal.head()))
        journal.append([verdict_entry(3)])
        assert journal.verify(expect=kept)["whole"]
        forged = Head(kept.position, "f" * 64)
        assert journal.verify(expect=forged)["problem"]["kind"] == "rewritten"


def test_several_writers_make_one_chain(place: str) -> None:
    """R7 for the journal: writers at once, none waits in vain, none breaks the chain, a key is there once."""
    Journal(place).close()
    failures: list[Exception] = []

    def write(writer: int) -> None:
        try:
            with Journal(place) as journal:
                for number in range(10):
                    own = verdict_entry(writer * 100 + number)
                    journal.append([own, verdict_entry(number, once=f"shared {number}")])
        except Exception as error:  # noqa: BLE001 - told by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with Journal(place) as journal:
        found = journal.verify()
    assert found["whole"]
    assert found["records"] == 4 * 10 + 10


def test_opened_by_several_at_once_it_is_made_once(place: str) -> None:
    failures: list[Exception] = []

    def make() -> None:
        try:
            Journal(place).close()
        except Exception as error:  # noqa: BLE001 - told by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with Journal(place, create=False) as journal:
        assert journal.verify()["whole"]


def test_a_clock_that_went_back_keeps_the_order_and_is_noted(place: str) -> None:
    """R31, S24: the clock jumps back one day; records keep their order by number, and the jump is recorded."""
    times = iter([datetime(2026, 5, 4, tzinfo=UTC), datetime(2026, 5, 3, tzinfo=UTC)])
    with Journal(place, clock=lambda: next(times)) as journal:
        journal.append([verdict_entry(1)])
        (late,) = journal.append([verdict_entry(2)])
        assert late["details"]["clock_back_s"] == timedelta(days=1).total_seconds()
        assert [record["serial"] for record in journal.records()] == ["A1", "A2"]
        assert journal.verify()["whole"]


def test_a_changed_record_is_not_intact(place: str) -> None:
    with Journal(place) as journal:
        (record,) = journal.append([verdict_entry()])
        assert journal.is_intact(record)
        tamper(place, "UPDATE teliti_journal SET label = 'dark', hash = 'x'")
        assert not journal.is_intact(record)


def test_a_serial_number_is_looked_up_by_an_index(tmp_path: Path) -> None:
    """S23: what makes a trace take the same time at 100,000 records."""
    with Journal(tmp_path / "journal.sqlite") as journal, journal._database.reading() as connection:
        for column in ("serial", "once", "photo_hash", "corrects"):
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN SELECT * FROM teliti_journal WHERE {column} = 'A1'")
            assert "USING INDEX" in plan.one()[-1], column
