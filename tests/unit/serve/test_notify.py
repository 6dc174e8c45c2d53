"""Receivers of verdicts: in order, at least once, a few attempts, then a stop that loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from journals import verdict_entry
from postgres import free_port
from receivers import running_broker, running_hook
from teliti.errors import MissingExtraError, RunError, UserError
from teliti.journal.store import Journal
from teliti.serve import notify
from teliti.serve.notify import Deliveries, Mqtt, Webhook

SOURCE = "watch /line"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite") as journal:
        yield journal


def test_a_webhook_gets_every_new_verdict_in_order_with_an_id(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "_PAGE", 2)
    journal.append([verdict_entry(1)])
    with running_hook() as hook:
        deliveries = Deliveries(journal, [Webhook(hook.url)], source=SOURCE)
        records = journal.append([verdict_entry(number) for number in range(2, 7)])
        deliveries.flush()
        deliveries.flush()
        deliveries.close()
        assert hook.posted == records
        assert hook.keys == [record["hash"] for record in records]


def test_a_receiver_that_fails_is_tried_again_in_order(journal: Journal) -> None:
    waits: list[float] = []
    with running_hook() as hook:
        deliveries = Deliveries(journal, [Webhook(hook.url)], source=SOURCE, sleep=waits.append)
        journal.append([verdict_entry(1), verdict_entry(2)])
        hook.answers = [503, 302, 429]
        deliveries.flush()
        assert [record["serial"] for record in hook.posted] == ["A1", "A2"]
    assert waits == [0.5, 1.0, 2.0]


def test_one_that_goes_on_failing_ends_the_inspection_and_is_told_later(journal: Journal) -> None:
    with running_hook() as hook:
        deliveries = Deliveries(journal, [Webhook(hook.url)], source=SOURCE, sleep=lambda _: None)
        journal.append([verdict_entry(1), verdict_entry(2)])
        hook.answers = [204, *[500] * notify.ATTEMPTS]
        with pytest.raises(
            RunError, match=r"The webhook http://127\.0\.0\.1 did not take record 2: it answered 500"
        ) as caught:
            deliveries.flush()
        assert "secret" not in str(caught.value)
        assert [record["serial"] for record in hook.posted] == ["A1"]
        Deliveries(journal, [Webhook(hook.url)], source=SOURCE).flush()
        assert [record["serial"] for record in hook.posted] == ["A1", "A2"]


def test_nobody_there(journal: Journal) -> None:
    hook = Webhook(f"http://127.0.0.1:{free_port()}/")
    deliveries = Deliveries(journal, [hook], source=SOURCE, sleep=lambda _: None)
    journal.append([verdict_entry(1)])
    with pytest.raises(RunError, match=r"did not take record 1: .*refused"):
        deliveries.flush()


@pytest.mark.parametrize("url", ["ftp://host/x", "file:///etc/passwd", "host/path", "http://"])
def test_what_is_no_webhook(url: str) -> None:
    with pytest.raises(UserError, match="--webhook must be an http or https URL"):
        Webhook(url)


def test_a_broker_gets_every_verdict_and_acknowledges_it(journal: Journal) -> None:
    with running_broker() as broker:
        url = f"mqtt://ana:word@127.0.0.1:{broker.port}/line-1/verdicts"
        deliveries = Deliveries(journal, [Mqtt(url)], source=SOURCE)
        records = journal.append([verdict_entry(1), verdict_entry(2)])
        deliveries.flush()
        deliveries.close()
        assert broker.published == [("line-1/verdicts", record) for record in records]
        assert b"ana" in broker.logins[0]


def test_a_broker_that_does_not_acknowledge(journal: Journal) -> None:
    with running_broker() as broker:
        broker.is_silent = True
        receiver = Mqtt(f"mqtt://127.0.0.1:{broker.port}/verdicts", timeout_s=0.2)
        deliveries = Deliveries(journal, [receiver], source=SOURCE, sleep=lambda _: None)
        journal.append([verdict_entry(1)])
        with pytest.raises(
            RunError, match=r"MQTT broker 127\.0\.0\.1:\d+ did not take record 1: it did not acknowledge in time"
        ):
            deliveries.flush()
        deliveries.close()


def test_no_broker_there(journal: Journal) -> None:
    receiver = Mqtt(f"mqtt://127.0.0.1:{free_port()}/verdicts", timeout_s=0.2)
    deliveries = Deliveries(journal, [receiver], source=SOURCE, sleep=lambda _: None)
    journal.append([verdict_entry(1)])
    with pytest.raises(RunError, match=r"did not take record 1: .*refused"):
        deliveries.flush()


@pytest.mark.parametrize("url", ["mqtt://host", "mqtt://host/", "http://host/x", "mqtt:///topic", "mqtt://host/a/%23"])
def test_what_is_no_broker(url: str) -> None:
    with pytest.raises(UserError, match="--mqtt must look like mqtt://HOST/TOPIC, without wildcards"):
        Mqtt(url)


def test_the_library_of_mqtt_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teliti.runtime.is_installed", lambda library: library != "paho")
    with pytest.raises(MissingExtraError, match=r'pip install "teliti\[mqtt\]"'):
        Mqtt("mqtt://host/topic")
