"""Two hundred requests that cannot be answered: each says why, and none says anything about the machine."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from served import AUTHORIZED, DARK, Api, running_api
from teliti.serve import guard

TOLD = re.compile(
    r"Traceback|File \"|/(?:tmp|home|root|usr|var|etc)\b|site-packages|\.py\b|0x[0-9a-f]{6}"
    r"|(?:uvicorn|starlette|fastapi|h11|python|pydantic)[ /]?\d"
)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(tmp_path_factory.mktemp("errors"), has_journal=False) as running:
        yield running


def error_cases() -> list[tuple[str, str, dict]]:
    """Method, address and what is sent: wrong tokens, methods, places, queries, forms and photos."""
    paths = ("/v1/predict", "/v1/models", "/v1/models/line/reload", "/v1/models/other/reload", "/metrics/x", "/docs")
    odd = (
        "\0",
        "%",
        "\u202e",
        "..",
        "a" * 300,
        "-1",
        "1e999",
        "NaN",
        "{}",
        "[" * 200,
        "'--",
        "<b>",
        "\r\nX: 1",
        "\ud7ff",
    )
    tokens = ("Bearer no", "Bearer", "Basic x", "Bearer a b", "")
    cases = [
        (method, path, {"headers": {"Authorization": token}})
        for path in paths[:4] for method in ("GET", "POST") for token in tokens
    ]  # fmt: skip
    cases += [("POST", f"/v1/models/{text.encode('utf-8', 'replace').hex()}/reload", {}) for text in odd]
    cases += [(method, path, {}) for path in paths for method in ("PUT", "PATCH", "DELETE", "OPTIONS")]
    cases += [("GET", f"/v1/{text.encode('utf-8', 'replace').hex()}", {}) for text in odd]
    cases += [("POST", "/v1/predict", {"params": {"model": text}, "content": DARK}) for text in odd]
    cases += [
        ("POST", "/v1/predict", {"params": {name: "a" * 300}, "content": DARK})
        for name in ("name", "serial", "operator", "model")
    ]
    cases += [("POST", "/v1/predict", {"params": {"heat_map": text}, "content": DARK}) for text in odd if text]
    kinds = (
        "application/json",
        "text/plain",
        "text/xml",
        "application/x-www-form-urlencoded",
        "a",
        "multipart/mixed",
        "multipart/form-data",
    )
    bodies = (b'{"a": ' * 500, b"1e999", b"NaN", b"9" * 5000, b"<!ENTITY x SYSTEM 'file:///etc/passwd'>", b"a=b&" * 99)
    cases += [
        ("POST", "/v1/predict", {"content": body, "headers": {"Content-Type": kind}})
        for kind in kinds
        for body in bodies
    ]
    cases += [
        ("POST", "/v1/predict", {"content": body}) for body in (*bodies, b"GIF89a", b"%PDF-1.7", b"\x89PNG\r\n\x1a\n")
    ]
    lengths = ("-1", "1e3", "0x10", "9" * 30, " ", "1,1", "+5")
    cases += [("POST", "/v1/predict", {"content": b"x", "headers": {"Content-Length": one}}) for one in lengths]
    for disposition in (
        "",
        "form-data",
        'form-data; name="photos"',
        'form-data; name="other"; filename="a"',
        "x" * 5000,
    ):
        form = f"--b\r\nContent-Disposition: {disposition}\r\n\r\nx\r\n--b--".encode()
        for boundary in ("b", "c", '"', ""):
            kind = f"multipart/form-data; boundary={boundary}"
            cases.append(("POST", "/v1/predict", {"content": form, "headers": {"Content-Type": kind}}))
    return cases


def test_errors_tell_nothing_about_the_machine(
    api: Api, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S14, S15: 4xx with a sentence; no path, trace or version; its number stands in the log, one line a request."""
    monkeypatch.setattr(guard, "_DELAY_S", 0.0)
    cases = error_cases()
    assert len(cases) >= 200
    with caplog.at_level("INFO", logger="teliti.serve"):
        for method, path, words in cases:
            headers = {**AUTHORIZED, **words.pop("headers", {})}
            answer = api.client.request(method, path, headers=headers, **words)
            case = (method, path, words, answer.text)
            assert 400 <= answer.status_code < 500, case
            assert not TOLD.search(answer.text), case
            assert not TOLD.search(str(answer.headers)), case
            said = answer.json()
            assert said["request_id"] == answer.headers["x-request-id"]
            assert said["photos"][0]["reasons"] if "photos" in said else said["error"]["message"], case
            lines = [one.getMessage() for one in caplog.records if said["request_id"] in one.getMessage()]
            assert len(lines) == 1, case
            assert lines[0].isprintable(), case
            caplog.clear()
