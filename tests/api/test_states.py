"""The safe state: whatever is broken, no verdict leaves, readiness says so, the process lives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from handmade import even_photo, write_brightness_bundle
from parts import encode_png
from served import AUTHORIZED, BRIGHT, DARK, LIMITS, Api, evil_command, exchange_bundle, running_api
from teliti.errors import StorageError
from teliti.journal.entry import Entry
from teliti.journal.store import Journal
from teliti.serve import service as service_module


def ready(api: Api) -> tuple[int, list[str]]:
    answer = api.client.get("/readyz")
    assert api.client.get("/healthz").json() == {"alive": True}
    return answer.status_code, answer.json()["problems"]


@pytest.fixture(autouse=True)
def checked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "_READY_FOR_S", -1.0)


def break_model(api: Api) -> None:
    api.bundle.joinpath("model.onnx").write_bytes(b"broken")


def remove_model(api: Api) -> None:
    api.bundle.joinpath("model.onnx").unlink()


def remove_journal(api: Api) -> None:
    Path(api.journal.shown).unlink()


def fill_disk(api: Api) -> None:
    api.journal.free_bytes = lambda: 1024


def fill_last_page(journal: Journal) -> None:
    for _ in range(100_000):
        journal.append([Entry("stop", "x")])
    raise AssertionError("the journal takes what no page is left for")


def kill_decoders(api: Api) -> None:
    for decoder in api.service.decoders.all:
        decoder._command = ["/nonexistent"]
        decoder._process.kill()
        decoder._process.wait()


@pytest.mark.parametrize(
    ("hurt", "said"),
    [
        (break_model, 'The model "line" does not answer as it must.'),
        (remove_model, 'The model "line" does not answer as it must.'),
        (kill_decoders, 'The model "line" does not answer as it must.'),
        (remove_journal, "The journal cannot be written."),
        (fill_disk, "The journal cannot be written."),
    ],
)
def test_readiness_is_a_real_test(tmp_path: Path, hurt: Callable[[Api], None], said: str) -> None:
    """R29: false within 5 s when something is broken after the start; liveness stays true."""
    with running_api(tmp_path) as api:
        assert ready(api) == (200, [])
        hurt(api)
        began = time.monotonic()
        assert ready(api) == (503, [said])
        assert time.monotonic() - began <= 5


def test_readiness_is_kept_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "_READY_FOR_S", 60.0)
    with running_api(tmp_path) as api:
        assert ready(api)[0] == 200
        break_model(api)
        assert ready(api)[0] == 200


def test_a_journal_that_is_gone_gives_no_verdict(tmp_path: Path) -> None:
    """S24: log file removed: the safe state, never a pass."""
    with running_api(tmp_path) as api:
        remove_journal(api)
        answer = api.predict(DARK)
        assert answer.status_code == 503
        assert answer.json()["error"]["message"] == "The journal cannot be written, so no verdict is given."
        assert "photos" not in answer.json()
        assert str(tmp_path) not in answer.text


def test_a_gap_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """S24: after a full disk the first record says how many verdicts were withheld."""

    def fail(*_: object) -> None:
        raise StorageError("The disk is full.")

    with running_api(tmp_path) as api:
        with monkeypatch.context() as full:
            full.setattr(Journal, "append", fail)
            assert [api.predict(DARK).status_code for _ in range(3)] == [503] * 3
        assert api.predict(BRIGHT).status_code == 200
        *_, note, verdict = api.journal.records()
        assert (note["kind"], note["details"]) == ("start", {"withheld": 3})
        assert verdict["verdict"] == "reject"
        assert len(api.verdicts()) == 1
        assert "teliti_withheld_total 3.0" in api.client.get("/metrics").text


def test_a_service_that_withheld_is_ready_once_its_gap_is_recorded(tmp_path: Path) -> None:
    """R29, S24: what a probe writes may fit on a full disk where a record does not; the record decides."""
    with running_api(tmp_path) as api, api.journal._database.engine.connect() as connection:
        assert ready(api) == (200, [])
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        bound = [pages]

        @sa.event.listens_for(api.journal._database.engine, "checkout")
        def limit(connection: object, *_: object) -> None:
            connection.execute(f"PRAGMA max_page_count = {bound[0]}")

        with pytest.raises(StorageError, match="disk is full"):
            fill_last_page(api.journal)
        assert api.predict(DARK).status_code == 503
        assert ready(api) == (503, ["The journal cannot be written."])
        bound[0] = pages + 1000
        assert ready(api) == (200, [])
        *_, note = api.journal.records()
        assert note["details"] == {"withheld": 1}
        assert api.journal.verify()["whole"]


def test_no_decoder_gives_no_verdict(tmp_path: Path) -> None:
    with running_api(tmp_path, decoder_command=["/nonexistent"]) as api:
        assert api.predict(DARK).status_code == 503
        assert api.verdicts() == []


def test_a_photo_that_kills_its_decoder_is_reported(tmp_path: Path) -> None:
    """R14: that file is reported, the service is up, others are answered meanwhile and afterwards."""
    with (
        running_api(tmp_path, decoder_command=evil_command(tmp_path), workers=2) as api,
        ThreadPoolExecutor(1) as aside,
    ):
        api.predict(DARK)
        for data, said in ((b"segfault", "did not survive"), (b"hang", "longer than 5 s"), (b"memory", "more memory")):
            evil = aside.submit(api.predict, data)
            assert api.predict(DARK).json()["photos"][0]["verdict"] == "pass"
            assert data != b"hang" or not evil.done()
            answer = evil.result()
            assert api.predict(DARK).json()["photos"][0]["verdict"] == "pass"
            assert answer.status_code == 422
            assert said in answer.json()["photos"][0]["reasons"][0]


def test_more_than_the_queue_takes_is_told_to_come_again(tmp_path: Path) -> None:
    """R26: the queue is bounded; the excess gets 503 with Retry-After at once."""
    limits = replace(LIMITS, max_waiting=3)
    with (
        running_api(tmp_path, limits=limits, decoder_command=evil_command(tmp_path)) as api,
        ThreadPoolExecutor(3) as clients,
    ):
        api.predict(DARK)
        slow = [clients.submit(api.predict, b"slow" + DARK) for _ in range(3)]
        while api.service._waiting < 3:
            time.sleep(0.005)
        seconds = []
        for _ in range(3):
            began = time.perf_counter()
            answer = api.predict(DARK)
            seconds.append(time.perf_counter() - began)
        assert min(seconds) <= 0.1  # the others may have waited for a processor
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "more photos waiting" in answer.json()["error"]["message"]
        assert [one.result().status_code for one in slow] == [200] * 3
        assert api.predict(DARK).status_code == 200


def test_what_takes_too_long_gets_no_verdict(tmp_path: Path) -> None:
    limits = replace(LIMITS, request_s=0.1)
    with running_api(tmp_path, limits=limits, decoder_command=evil_command(tmp_path)) as api:
        answer = api.predict(b"slow" + DARK)
        assert answer.status_code == 503
        assert answer.json()["error"]["message"] == "The photo was not judged in time."
        time.sleep(0.4)
        assert api.verdicts() == []
        assert api.client.get("/healthz").status_code == 200


def test_each_answer_comes_wholly_from_one_model(tmp_path: Path) -> None:
    """R30: a model is exchanged under load; verdicts and hash of an answer belong together, no failure.

    Photos of several requests go through the network together meanwhile.
    """
    with running_api(tmp_path, workers=2, photos_per_call=4) as api:
        says = {api.service.models.get(None).inspector.model_hash: "pass"}
        answers = []
        done = threading.Event()

        def ask() -> None:
            files = [("photos", (f"{number}.png", DARK)) for number in range(3)]
            while not done.is_set():
                answers.append(api.client.post("/v1/predict", files=files, headers=AUTHORIZED))

        clients = [threading.Thread(target=ask) for _ in range(3)]
        for client in clients:
            client.start()
        for threshold in (0.1, 0.9, 0.12, 0.8):
            says[exchange_bundle(api.bundle, threshold=threshold)] = "reject" if threshold < 0.15 else "pass"
            assert api.client.post("/v1/models/line/reload", headers=AUTHORIZED).status_code == 200
            enough = len(answers) + 2 * len(clients)  # of each client one that was begun after the exchange
            deadline = time.monotonic() + 30
            while len(answers) < enough and time.monotonic() < deadline:
                time.sleep(0.005)
        done.set()
        for client in clients:
            client.join()
        assert {answer.status_code for answer in answers} == {200}
        for answer in answers:
            said = answer.json()
            assert {photo["verdict"] for photo in said["photos"]} == {says[said["model_hash"]]}
        assert len({answer.json()["model_hash"] for answer in answers}) >= 4


def test_photos_of_several_requests_share_a_call_and_keep_their_answers(tmp_path: Path) -> None:
    """While one photo holds the only worker, others gather; each gets the answer that it gets alone, bad ones too."""
    command = evil_command(tmp_path)
    sent = {f"A{number}": even_photo(20 * number) for number in range(1, 12)}
    with (
        running_api(tmp_path, decoder_command=command, photos_per_call=4) as api,
        ThreadPoolExecutor(12) as clients,
    ):
        alone = {name: api.predict(encode_png(photo)).json()["photos"][0] for name, photo in sent.items()}
        calls = network_calls(api)
        slow = clients.submit(api.predict, b"slow" + DARK)
        while not api.service._waiting:
            time.sleep(0.005)
        asked = {name: clients.submit(api.predict, encode_png(sent[name]), f"?serial={name}") for name in sent}
        bad = clients.submit(api.predict, b"no photo")
        for name, answer in asked.items():
            (photo,) = answer.result().json()["photos"]
            assert photo["serial"] == name
            assert {key: photo[key] for key in ("verdict", "label", "photo_hash")} == {
                key: alone[name][key] for key in ("verdict", "label", "photo_hash")
            }
            assert photo["score"] == pytest.approx(alone[name]["score"], abs=1e-5)
        assert (slow.result().status_code, bad.result().status_code) == (200, 422)
        assert network_calls(api) - calls < len(sent)


def network_calls(api: Api) -> float:
    text = api.client.get("/metrics").text
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith("teliti_network_calls_total"))


def test_a_bundle_that_cannot_be_used_does_not_replace_one(tmp_path: Path) -> None:
    with running_api(tmp_path) as api:
        before = api.client.get("/v1/models", headers=AUTHORIZED).json()
        break_model(api)
        answer = api.client.post("/v1/models/line/reload", headers=AUTHORIZED)
        assert answer.status_code == 409
        assert "the old one goes on" in answer.json()["error"]["message"]
        assert str(tmp_path) not in answer.text
        assert api.client.get("/v1/models", headers=AUTHORIZED).json() == before
        assert api.predict(DARK).status_code == 200
        write_brightness_bundle(api.bundle, threshold=0.1)
        assert api.client.post("/v1/models/line/reload", headers=AUTHORIZED).json()["threshold"] == 0.1
        assert api.predict(DARK).json()["photos"][0]["verdict"] == "reject"
        assert ready(api) == (200, [])
        assert [record["kind"] for record in api.journal.records()].count("model") == 2


def test_whoever_would_wait_too_long_is_told_to_come_again(tmp_path: Path) -> None:
    """R26: the wait is bounded, too, and by what photos take on this machine."""
    with running_api(tmp_path, limits=replace(LIMITS, max_wait_s=0.5)) as api:
        ahead: Future[None] = Future()
        api.service._pace.took(0.6)
        api.service._pace.expect(ahead, 1)
        answer = api.predict(DARK)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        ahead.set_result(None)
        assert api.predict(DARK).status_code == 200
