"""Who may ask: every route and method against foreign hosts, foreign pages and wrong tokens."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from starlette.testclient import WebSocketDisconnect

from served import AUTHORIZED, DARK, TOKEN, Api, running_api
from teliti.serve import guard
from teliti.serve.guard import PUBLIC
from teliti.serve.running import ServeOptions, choose_token

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")
ATTACKS = {
    "foreign host": ({"Host": "evil.example"}, {421}),
    "rebound name": ({"Host": "127.0.0.1.evil.example:8000"}, {421}),
    "other address": ({"Host": "10.0.0.1"}, {421}),
    "user in host": ({"Host": "127.0.0.1@evil.example"}, {421}),
    "foreign origin": ({"Origin": "http://evil.example"}, {403}),
    "other port": ({"Origin": "http://127.0.0.1:1"}, {403}),
    "null origin": ({"Origin": "null"}, {403}),
    "cross site": ({"Sec-Fetch-Site": "cross-site"}, {403}),
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(tmp_path_factory.mktemp("guard")) as running:
        yield running


def every_route(api: Api) -> list[str]:
    """Every path of the application, from its own table, and one that it does not have."""
    table = {route.path.replace("{name}", "line") for route in api.client.app._app.routes}
    assert table > PUBLIC
    return [*sorted(table), "/nothing"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_route_answers_another_site(api: Api, attack: str) -> None:
    """S8: 403 or 421 for every route and every method, with the right token, too."""
    headers, allowed = ATTACKS[attack]
    before = len(api.verdicts())
    for path in every_route(api):
        if attack == "cross site" and path == "/":  # a link from elsewhere may lead to the page
            continue
        for method in METHODS:
            answer = api.client.request(method, path, headers={**AUTHORIZED, **headers})
            assert answer.status_code in allowed, (method, path)
    assert len(api.verdicts()) == before


def test_no_route_that_changes_or_reveals_answers_without_token(api: Api) -> None:
    """S8, S9: no Origin with a cookie, a form post, JSON as text: 401, since all need the token."""
    for path in every_route(api):
        if path in {*PUBLIC, "/metrics"}:
            continue
        for method in METHODS:
            forms = ("text/plain", "application/json", "application/x-www-form-urlencoded", "multipart/form-data")
            for headers in ({"Cookie": f"token={TOKEN}"}, *({"Content-Type": form} for form in forms)):
                assert api.client.request(method, path, headers=headers).status_code == 401, (method, path)


@pytest.mark.parametrize("method", METHODS)
def test_public_pages_are_read_only(api: Api, method: str) -> None:
    for path in sorted(PUBLIC):
        status = api.client.request(method, path).status_code
        assert status in ({200} if method in {"GET", "HEAD"} else {405}) | ({405} if method == "HEAD" else set())


def test_a_websocket_is_closed(api: Api) -> None:
    """S8: WebSocket, at every path, with the right token, too."""
    for path in every_route(api):
        with pytest.raises(WebSocketDisconnect), api.client.websocket_connect(path, headers=AUTHORIZED):
            pass


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"X-Token": TOKEN},
        {"Authorization": f"Bearer {choose_token(ServeOptions())[0]}"},
    ],
)
def test_a_wrong_token_is_401(api: Api, headers: dict[str, str]) -> None:
    """S9: none, wrong, a prefix of the right one, and that of another start: so a token expires."""
    answer = api.client.post("/v1/predict", content=DARK, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.text


def test_a_token_in_the_url_does_not_count(api: Api) -> None:
    """S9: a token in the URL would stand in logs and histories."""
    assert api.client.get(f"/v1/models?token={TOKEN}&access_token={TOKEN}").status_code == 401


def test_two_tokens_are_none(api: Api) -> None:
    headers = [("Authorization", "Bearer wrong"), ("Authorization", f"Bearer {TOKEN}")]
    assert api.client.get("/v1/models", headers=headers).status_code == 401


def test_guesses_are_slowed_and_the_right_token_is_not(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """S9: guesses slowed."""
    monkeypatch.setattr(guard, "_DELAY_S", 0.05)
    for number in range(12):
        api.client.get("/v1/models", headers={"Authorization": f"Bearer guess-{number}"})

    def seconds(token: str) -> float:
        began = time.perf_counter()
        api.client.get("/v1/models", headers={"Authorization": f"Bearer {token}"})
        return time.perf_counter() - began

    assert min(seconds("guess") for _ in range(5)) >= 0.05
    assert statistics.median(seconds(TOKEN) for _ in range(9)) < 0.05


def test_the_token_is_not_shown(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """S9: token never in log or page source."""
    with caplog.at_level("DEBUG"):
        api.predict(DARK)
        pages = [api.client.get(path).text for path in sorted(PUBLIC)]
    assert TOKEN not in caplog.text
    assert not any(TOKEN in page for page in pages)
    assert TOKEN not in repr(guard.GuardOptions(TOKEN))


def test_an_error_is_found_in_the_log_by_its_number(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """S15: request number found in the log; S11: a name with a line break stays one line."""
    with caplog.at_level("INFO", logger="teliti.serve"):
        answer = api.client.get("/no%0athing", headers=AUTHORIZED)
    (line,) = [record.getMessage() for record in caplog.records if answer.json()["request_id"] in record.getMessage()]
    assert "\n" not in line
    assert " 404 " in line


def test_an_unexpected_failure_shows_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """S15: no absolute path and no trace, whatever breaks."""

    def fail() -> bytes:
        raise ZeroDivisionError("/etc/secret")

    monkeypatch.setattr(api.service.measures, "render", fail)
    api.client._transport.raise_server_exceptions = False
    answer = api.client.get("/metrics")
    assert answer.status_code == 500
    assert answer.json()["error"]["message"] == "Something unexpected went wrong."


def test_metrics_need_the_token_from_elsewhere(tmp_path) -> None:
    with running_api(tmp_path, client=("192.0.2.7", 1)) as api:
        assert api.client.get("/metrics").status_code == 401
        assert api.client.get("/metrics", headers=AUTHORIZED).status_code == 200


def test_a_proxy_does_not_make_a_client_local(api: Api) -> None:
    assert api.client.get("/metrics").status_code == 200
    assert api.client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 401


def traversals(*depths: int) -> list[str]:
    """Ways up and then down again, plain and encoded once and twice."""
    ups = ("../", "..\\", "%2e%2e/", "%2e%2e%2f", "%252e%252e%252f", "..%00/", "\u2025/", "....//")
    ends = ("etc/passwd", "etc/nothing", "bundle.json", "C:/boot.ini", "x#y", "x?y")
    return [up * depth + end for up in ups for depth in depths for end in ends]


@pytest.mark.parametrize(
    "depths", [(1, 8), pytest.param((1, 2, 3, 5, 8, 12, 16), marks=pytest.mark.reliability)]
)  # fmt: skip
def test_no_name_leads_outside(api: Api, depths: tuple[int, ...]) -> None:
    """S6: traversal strings on every route and field that takes a name: no byte from outside.

    The same answer whether the file exists or not; as the application gets a path, which no client has tidied up.
    """
    secret = Path("/etc/passwd").read_text(encoding="utf-8").splitlines()[0]
    answers = {}
    for name in [*traversals(*depths), "/etc/passwd", "/etc/nothing", "a" * 4000, "con"]:
        for method, path in (("POST", f"/v1/models/{name}/reload"), ("GET", f"/{name}"), ("GET", f"/page.js/{name}")):
            answers[method, path] = ask_raw(api, method, path)
            assert answers[method, path][0] in {400, 404, 405}, (method, path)
        for field in ("model", "name", "serial", "operator"):
            words = {"params": {field: name}, "content": b"no photo", "headers": AUTHORIZED}
            answer = api.client.post("/v1/predict", **words)
            assert answer.status_code in ({400, 404} if field == "model" else {400, 422}), (field, name)
            answers[field, name] = answer.status_code, ""
            assert secret not in answer.text
    for (method, path), (status, text) in answers.items():
        assert secret not in text
        assert (status, text) == answers.get((method, path.replace("passwd", "nothing")), (status, text))


def ask_raw(api: Api, method: str, path: str) -> tuple[int, str]:
    """Status and sentence of the answer to a path as it stands, which a client would have shortened."""
    sent: list[dict] = []

    async def receive() -> dict:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1:8000"), (b"authorization", AUTHORIZED["Authorization"].encode())]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": unquote(path), "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers,
        "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8000),
    }  # fmt: skip
    asyncio.run(api.client.app(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], json.loads(body)["error"]["message"]


def test_the_page_runs_nothing_but_its_own_file(api: Api) -> None:
    page = api.client.get("/")
    assert '<script src="/page.js" defer></script>' in page.text
    assert page.text.count("<script") == 1
    assert " style=" not in page.text
    assert "onclick" not in page.text
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert api.client.get("/page.js").headers["content-type"].startswith("text/javascript")
