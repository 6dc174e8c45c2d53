"""The service under load and under harm, as a real process."""

from __future__ import annotations

import json
import random
import socket
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from served import AUTHORIZED, DARK, Running, running_service
from teliti.files import sha256_hex
from teliti.journal.store import Journal
from watched import expected_verdict, part_photo

pytestmark = pytest.mark.reliability

WARM_UP, REQUESTS, AT_ONCE = 256, 2000, 64


def test_two_thousand_requests_a_tenth_of_them_bad(tmp_path: Path) -> None:
    """R25: no 5xx, bad ones 4xx with reason, each answer belongs to its request, memory and descriptors stay.

    Memory and descriptors are those of the service and its decoder children, after a first burst of as many clients.
    """
    with running_service(tmp_path) as service:
        ask_all(service, WARM_UP)
        memory, descriptors = service.memory_kb(), service.descriptors()
        answers = ask_all(service, REQUESTS)
        statuses, seconds = Counter(status for status, _ in answers), [took for _, took in answers]
        assert statuses == {200: REQUESTS * 9 // 10, 422: REQUESTS // 10}
        ranked = sorted(seconds)
        assert ranked[len(ranked) * 99 // 100] <= 20 * statistics.median(ranked)
        assert service.memory_kb() - memory <= 64 * 1024
        assert service.descriptors() <= descriptors
    with Journal(tmp_path / "line-journal.sqlite", create=False) as journal:
        assert journal.verify()["whole"]
        assert len(list(journal.records(kind="verdict"))) == REQUESTS + WARM_UP


def ask_all(service: Running, requests: int) -> list[tuple[int, float]]:
    """Status and seconds of each answer to so many requests of 64 clients; then a second without any."""
    with ThreadPoolExecutor(AT_ONCE) as clients:
        shares = [range(1 + start, requests + 1, AT_ONCE) for start in range(AT_ONCE)]
        asked = [clients.submit(ask_some, service, share) for share in shares]
        answers = [answer for one in asked for answer in one.result()]
    time.sleep(1)
    return answers


def ask_some(service: Running, numbers: range) -> list[tuple[int, float]]:
    answers = []
    connection = service.connect(60)
    for number in numbers:
        if number % 7 == 0:  # keep-alive and not
            connection.close()
        is_bad = number % 10 == 0
        body = f"no photo {number}".encode() if is_bad else part_photo(number)
        began = time.perf_counter()
        connection.request("POST", f"/v1/predict?serial={number}", body, AUTHORIZED)
        answer = connection.getresponse()
        said = json.loads(answer.read())
        answers.append((answer.status, time.perf_counter() - began))
        (photo,) = said["photos"]
        assert (photo["serial"], photo["photo_hash"]) == (str(number), sha256_hex(body))
        assert photo["verdict"] == ("refused" if is_bad else expected_verdict(number))
        assert not is_bad or "not an image" in photo["reasons"][0]
    connection.close()
    return answers


def test_slow_senders_are_cut_and_others_do_not_wait(tmp_path: Path) -> None:
    """S13 in small: 100 connections that send a byte now and then, in header and body; a good client is answered."""
    with running_service(tmp_path, "--no-journal") as service:
        head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x"
        slow = []
        for number in range(100):
            connection = socket.create_connection(("127.0.0.1", service.port))
            connection.sendall(head[: 20 + number % 40])
            slow.append(connection)
        quiet = statistics.median(_seconds(service) for _ in range(20))
        assert quiet < 1
        began = time.monotonic()
        for connection in slow:
            connection.settimeout(30)
            assert connection.recv(100) == b""
            connection.close()
        assert time.monotonic() - began <= 30


def test_bytes_of_every_kind_never_make_it_fail(tmp_path: Path) -> None:
    """S18 in small: broken HTTP and broken forms: no answer of 500, and the service lives."""
    chance = random.Random(3)
    good = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
    good += b"Content-Type: multipart/form-data; boundary=b\r\n"
    with running_service(tmp_path, "--no-journal") as service:
        whole = good + "".join(f"{k}: {v}\r\n" for k, v in AUTHORIZED.items()).encode() + b"\r\n--b--"
        for _ in range(500):
            raw = bytearray(whole)
            for _ in range(chance.randint(1, 6)):
                raw[chance.randrange(len(raw))] = chance.randrange(256)
            status = _try(service, bytes(raw) + b"\r\n\r\n")
            assert status is None or 200 <= status < 500, bytes(raw)
        assert service.ask("POST", "/v1/predict", DARK)[0] == 200


def _try(service: Running, raw: bytes) -> int | None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        try:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(65536)
        except OSError:
            return None
    return int(answer.split()[1]) if answer else None


def _seconds(service: Running) -> float:
    began = time.perf_counter()
    assert service.ask("POST", "/v1/predict", DARK)[0] == 200
    return time.perf_counter() - began
