"""`teliti serve` as a process and as a command line: mistakes, start, signals, what it listens at."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from handmade import write_brightness_bundle
from served import AUTHORIZED, BRIGHT, DARK, TOKEN, Running, exchange_bundle, running_service
from sockets import listening
from surroundings import odd_surroundings
from teliti.bundle import MANIFEST, MODEL
from teliti.journal.store import Journal


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    return str(write_brightness_bundle(tmp_path / "line").path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "`teliti serve` must have a bundle."),
        (["{bundle}", "{bundle}"], 'got "line" twice'),
        (["{bundle}", "--no-journal", "--journal", "x"], "--journal must stand without --no-journal"),
        (["{bundle}", "--max-waiting", "0"], "--max-waiting must be at least 1"),
        (["{bundle}", "--batch", "0"], "--batch must be 1 to 64, got 0"),
        (["{bundle}", "--batch", "10000"], "--batch must be 1 to 64, got 10000"),
        (["{bundle}", "--port", "99999"], "--port must be 0 to 65535"),
        (["{bundle}", "--host", "0.0.0.0"], "so a token must be given"),
        (["{bundle}", "--token-file", "missing"], "cannot be read"),
        (["{bundle}/nothing", "--port", "0", "--no-journal"], "is not a bundle"),
        (["{newer}", "--port", "0", "--no-journal"], "has bundle schema 99, this version reads 1 to"),
        (["{empty}", "--port", "0", "--no-journal"], "is not a whole bundle: model.onnx is missing"),
        (["{bundle}", "--prot", "8000"], "Did you mean"),
    ],
)
def test_mistakes(run, bundle: str, words: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """R28, S16: exit code 2, one line with the next step, with less than 3 s of work; nothing listens."""
    monkeypatch.delenv("TELITI_TOKEN", raising=False)
    newer = write_brightness_bundle(Path(bundle).with_name("newer")).path
    manifest = json.loads((newer / MANIFEST).read_text())
    (newer / MANIFEST).write_text(json.dumps(manifest | {"schema": 99}))
    empty = write_brightness_bundle(Path(bundle).with_name("empty")).path
    (empty / MODEL).unlink()
    began = time.process_time()
    code, out, err = run("serve", *(word.format(bundle=bundle, newer=newer, empty=empty) for word in words))
    assert time.process_time() - began <= 3
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())
    assert err.startswith("error: ")
    assert err.count("\n") == 2
    assert "Traceback" not in err


def test_a_journal_that_cannot_be_written(run, bundle: str) -> None:
    """R28: no right to write where the journal is to be, for whatever reason: nothing is served."""
    (Path(bundle).parent / "a-file").write_text("")
    place = Path(bundle).parent / "a-file" / "journal.sqlite"
    code, out, err = run("serve", bundle, "--port", "0", "--journal", str(place))
    assert (code, out) == (1, "")
    assert "a-file" in err
    assert "Traceback" not in err


def test_a_port_in_use(run, bundle: str) -> None:
    """R28: the user's mistake, with the next step."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = run("serve", bundle, "--port", str(taken.getsockname()[1]), "--no-journal")
    assert code == 2
    assert "Address already in use" in err
    assert "Choose another --port" in err


def test_a_service_from_start_to_end(tmp_path: Path) -> None:
    """R27, R29, S9, S16, S19 on the real process: start, verdict, exchange by SIGHUP, SIGTERM with exit code 0.

    R31 too: in German, in another time zone, with a read-only home and all of it recorded with a point and in UTC.
    """
    with running_service(tmp_path, **odd_surroundings(tmp_path, "de_DE")) as service:
        assert service.ready["token"] is None
        assert Path(service.ready["journal"]) == tmp_path / "line-journal.sqlite"
        assert (tmp_path / "line-journal.sqlite").stat().st_mode & 0o077 == 0
        status, _, body = service.ask("POST", "/v1/predict?name=A1.png", BRIGHT)
        assert (status, json.loads(body)["photos"][0]["verdict"]) == (200, "reject")
        assert service.ask("GET", "/readyz")[0] == 200
        assert listening(service.process.pid) == {"127.0.0.1"}
        assert TOKEN not in Path(f"/proc/{service.process.pid}/cmdline").read_text(encoding="utf-8")
        fresh = exchange_bundle(tmp_path / "line", threshold=0.9)
        service.process.send_signal(signal.SIGHUP)
        _wait(lambda: json.loads(service.ask("GET", "/v1/models")[2])["models"][0]["model_hash"] == fresh)
        assert json.loads(service.ask("POST", "/v1/predict", BRIGHT)[2])["photos"][0]["verdict"] == "pass"
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(10) == 0
    log = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert TOKEN not in log
    assert "Traceback" not in log
    with Journal(tmp_path / "line-journal.sqlite", create=False) as journal:
        assert journal.verify()["whole"]
        kinds = [record["kind"] for record in journal.records()]
        assert all(record["time"].endswith("+00:00") for record in journal.records())
    assert kinds == ["model", "start", "verdict", "model", "start", "verdict", "stop"]


def test_what_is_in_hand_is_answered(tmp_path: Path) -> None:
    """R27: SIGTERM with 32 requests in flight: all 32 answered, new ones refused meanwhile, exit 0 within 10 s."""
    with running_service(tmp_path, threads=1) as service:
        started, are_refused = threading.Barrier(33), threading.Event()
        descriptors = service.descriptors()

        def ask(number: int) -> int:
            connection = service.connect()
            connection.putrequest("POST", f"/v1/predict?serial={number}")
            for name, value in {**AUTHORIZED, "Content-Length": str(len(DARK))}.items():
                connection.putheader(name, value)
            connection.endheaders(DARK[:10])
            started.wait(20)
            assert are_refused.wait(20)  # the rest of the photo comes while the service is ending
            connection.send(DARK[10:])
            answer = connection.getresponse()
            said = json.loads(answer.read())
            connection.close()
            assert said["photos"][0]["serial"] == str(number)
            return answer.status

        with ThreadPoolExecutor(32) as clients:
            waiting = [clients.submit(ask, number) for number in range(32)]
            started.wait(20)
            _wait(lambda: service.descriptors() >= descriptors + 32)
            time.sleep(0.3)  # for their headers to be read, too
            began = time.monotonic()
            service.process.send_signal(signal.SIGTERM)
            _wait(lambda: not _takes_connections(service))
            are_refused.set()
            assert [one.result() for one in waiting] == [200] * 32
        assert service.process.wait(10) == 0
        assert time.monotonic() - began <= 10


def test_a_random_token_works(tmp_path: Path) -> None:
    """R31 too: Turkish, another time zone, a read-only home: the same numbers with a point."""
    odd = odd_surroundings(tmp_path, "tr_TR")
    with running_service(tmp_path, "--no-journal", TELITI_TOKEN=None, **odd) as service:
        token = service.ready["token"]
        assert len(token) >= 40
        assert service.ready["journal"] is None
        assert service.ask("GET", "/v1/models", Authorization=f"Bearer {token}")[0] == 200
        said = json.loads(service.ask("POST", "/v1/predict", BRIGHT, Authorization=f"Bearer {token}")[2])
        assert abs(said["photos"][0]["score"] - 220 / 255) < 1e-6
        assert service.ask("GET", "/v1/models")[0] == 401
        assert not list(tmp_path.glob("*.sqlite"))


def test_requests_that_want_too_much(tmp_path: Path) -> None:
    """S12, S14: long queries, many headers and ranges, bodies too large, odd or in pieces: 4xx, soon, nothing kept."""
    token = f"Authorization: Bearer {TOKEN}\r\n".encode()
    post = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n" + token
    ranges = ",".join(f"{n}-{n}" for n in range(10_000)).encode()
    form = b"Content-Type: multipart/form-data; boundary=b\r\n"
    parts = b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\nx\r\n' * 100_000
    packed = gzip.compress(bytes(50_000_000))
    json_post = post + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
    odd = {"deep JSON": b"[" * 500_000, "huge integers": b"9" * 500_000, "numbers that are none": b"[NaN, 1e999]"}
    requests = {
        "long query": b"GET /healthz?" + b"q" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "ranges": b"GET / HTTP/1.1\r\nHost: localhost\r\nRange: bytes=" + ranges + b"\r\n\r\n",
        "headers": b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: 1\r\n" * 10_000 + b"\r\n",
        "boundary": post + b"Content-Type: multipart/form-data; boundary=" + b"b" * 1_000_000 + b"\r\n\r\n",
        "said too large": post + b"Content-Length: 999999999999\r\n\r\n",
        "absurd length": post + b"Content-Length: " + b"9" * 400 + b"\r\n\r\n",
        "length that is none": post + b"Content-Length: -5\r\n\r\n",
        "chunks": post + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 100_000,
        "chunks of a byte": post + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 3_000_000,
        "packed": post + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed,
        "one field of 1 GB": post + form + b"Content-Length: 1000000000\r\n\r\n" + parts[:60],
        "parts": post + form + f"Content-Length: {len(parts)}\r\n\r\n".encode() + parts,
        "grammar": b"GET\x00/ HTTP/9.9\r\n\r\n",
        "deep JSON in a query": b"GET /v1/models?model=%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"[" * 20_000),
        **{name: json_post % (len(body), body) for name, body in odd.items()},
    }
    cheap = {"long query", "ranges", "absurd length", "length that is none", "deep JSON in a query", *odd}
    (tmp_path / "scratch").mkdir()
    with running_service(tmp_path, "--no-journal", TMPDIR=str(tmp_path / "scratch")) as service:
        service.ask("POST", "/v1/predict", DARK)
        memory = service.memory_kb()
        for name, raw in requests.items():
            began, cpu = time.monotonic(), _cpu_s(service)
            assert service.send(raw) in {400, 413, 415, 431, None}, name  # None: cut before it was all sent
            assert time.monotonic() - began <= 2, name
            if name in cheap:
                assert _cpu_s(service) - cpu <= 0.1, name
        assert service.ask("POST", "/v1/predict", DARK)[0] == 200
        assert service.memory_kb() - memory <= 64 * 1024
        assert not list((tmp_path / "scratch").iterdir())


def test_a_refusal_reaches_a_client_that_is_still_sending(tmp_path: Path) -> None:
    """R25: a reason, and no reset, for a large photo that is refused before it was read."""
    large = b"x" * 8_000_000
    with running_service(tmp_path, "--no-journal") as service:
        for path, headers, status in (
            ("/v1/predict", {"Authorization": "Bearer wrong"}, 401),
            ("/v1/predict?model=other", {}, 404),
            ("/nothing", {}, 404),
        ):
            assert service.ask("POST", path, large, **headers)[0] == status


def _takes_connections(service: Running) -> bool:
    try:
        socket.create_connection(("127.0.0.1", service.port), timeout=20).close()
    except (ConnectionRefusedError, ConnectionResetError):
        return False
    return True


def _cpu_s(service: Running) -> float:
    """Processor time of the service without its children."""
    times = Path(f"/proc/{service.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")


def _wait(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
