"""`POST /v1/predict`: photos in, verdicts out, each kept in the journal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from handmade import even_photo
from parts import encode_png
from photos import broken_photos
from served import AUTHORIZED, BRIGHT, DARK, Api, running_api
from teliti.errors import RunError
from teliti.files import sha256_hex
from teliti.predictor import Predictor
from teliti.serve import service as service_module
from teliti.serve.documents import Verdicts


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


def test_one_photo_as_the_body(api: Api) -> None:
    answer = api.predict(BRIGHT, "?name=A17.png&operator=Ana")
    said = answer.json()
    (photo,) = said["photos"]
    assert answer.status_code == 200
    assert (photo["verdict"], photo["label"], photo["serial"]) == ("reject", "bright", "A17")
    assert photo["score"] == pytest.approx(220 / 255)
    assert photo["photo_hash"] == sha256_hex(BRIGHT)
    assert said["model_hash"] == Predictor.open(api.bundle).bundle.model_hash
    assert said["request_id"] == answer.headers["x-request-id"]
    assert said["total_ms"] >= photo["decode_ms"] > 0
    record = list(api.journal.records(kind="verdict"))[-1]
    assert (record["photo"], record["serial"], record["operator"]) == ("A17.png", "A17", "Ana")
    assert record["photo_hash"] == sha256_hex(BRIGHT)
    assert record["details"]["request"] == said["request_id"]


def test_many_photos_in_a_form_and_one_that_is_none(api: Api) -> None:
    files = [("photos", (name, data)) for name, data in (("a.png", DARK), ("b.png", b"no photo"), ("c.png", BRIGHT))]
    answer = api.client.post("/v1/predict", files=files, headers=AUTHORIZED)
    said = {photo["photo"]: photo["verdict"] for photo in answer.json()["photos"]}
    assert answer.status_code == 200
    assert said == {"a.png": "pass", "b.png": "refused", "c.png": "reject"}
    assert api.verdicts()[-3:] == list(said.items())


@pytest.mark.parametrize("name", sorted(broken_photos()))
def test_a_photo_that_cannot_be_used_is_refused_with_its_reason(api: Api, name: str) -> None:
    """R25: bad ones 4xx with reason; never a pass, and in the journal."""
    broken = broken_photos()[name]
    answer = api.predict(broken.data or b"", f"?name={name}")
    if not broken.data:
        assert answer.status_code == 400
        return
    (photo,) = answer.json()["photos"]
    assert answer.status_code == 422
    assert photo["verdict"] == "refused"
    assert photo["score"] is None
    assert photo["reasons"][0]
    assert api.verdicts()[-1] == (name, "refused")


def test_the_scores_are_those_of_the_predictor(api: Api) -> None:
    photo = encode_png((even_photo(90, side=24) + 3).astype("uint8"))
    (expected,) = Predictor.open(api.bundle).predict([photo])
    assert api.predict(photo).json()["photos"][0]["score"] == expected.score


def test_a_regression_has_a_number_and_no_verdict(tmp_path: Path) -> None:
    with running_api(tmp_path, is_regression=True, has_journal=False) as api:
        (photo,) = api.predict(DARK).json()["photos"]
    assert (photo["verdict"], photo["score"]) == (None, pytest.approx(40))


@pytest.mark.parametrize(
    ("status", "words", "said"),
    [
        (415, {"content": b"{}", "headers": {"content-type": "application/json"}}, "must be a photo or multipart"),
        (415, {"data": {"photos": "x"}}, "must be a photo or multipart"),
        (415, {"content": b"x", "headers": {"content-type": "text/plain"}}, "must be a photo or multipart"),
        (415, {"content": DARK, "headers": {"content-encoding": "gzip"}}, "must not be compressed"),
        (400, {"content": b""}, "got an empty body"),
        (400, {"content": iter([DARK])}, "must say Content-Length"),
        (400, {"files": [("pictures", ("a.png", DARK))]}, "files in the field `photos`"),
        (400, {"files": [("photos", ("a.png", DARK))] * 5}, "at most 4 photos"),
        (400, {"content": b"x", "headers": {"content-type": "multipart/form-data"}}, "be whole"),
        (400, {"content": b"junk", "headers": {"content-type": "multipart/form-data; boundary=x"}}, "be whole"),
        (400, {"content": DARK, "params": {"name": "n" * 300}}, "must have a valid name"),
        (413, {"content": b"x" * 2_000_001}, "must be at most 2 MB"),
        (404, {"content": DARK, "params": {"model": "other"}}, "no model of that name"),
        (404, {"content": DARK, "params": {"model": "../../etc/passwd"}}, "no model of that name"),
    ],
)
def test_what_is_not_understood_gets_a_sentence(api: Api, status: int, words: dict, said: str) -> None:
    """S15: no path, no trace, no version; the request's number stands in the answer."""
    headers = {**AUTHORIZED, **words.pop("headers", {})}
    answer = api.client.post("/v1/predict", headers=headers, **words)
    assert answer.status_code == status
    assert said in answer.json()["error"]["message"]
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert not re.search(r"Traceback|/tmp|site-packages|uvicorn|starlette|\.py\b", answer.text)


def test_a_photo_over_the_byte_limit_is_refused(api: Api) -> None:
    answer = api.predict(b"x" * 1_000_001)
    assert answer.status_code == 422
    assert "1.0 MB is over the limit of 1.0 MB" in answer.json()["photos"][0]["reasons"][0]


def test_a_name_is_kept_without_its_folders(api: Api) -> None:
    """S6: a name is shown and recorded; nothing of that name is opened."""
    for name in ("../../etc/passwd", "..\\..\\boot.ini", "/etc/shadow"):
        answer = api.client.post("/v1/predict", files=[("photos", (name, DARK))], headers=AUTHORIZED)
        assert answer.json()["photos"][0]["photo"] == re.split(r"[/\\]", name)[-1]


def test_the_interface_describes_itself(api: Api) -> None:
    document = api.client.get("/openapi.json").json()
    assert {"/v1/predict", "/v1/models", "/v1/models/{name}/reload", "/healthz", "/readyz", "/metrics"} == set(
        document["paths"]
    )
    assert document["paths"]["/v1/predict"]["post"]["security"] == [{"token": []}]
    for place in ("/docs", "/redoc"):
        assert api.client.get(place, headers=AUTHORIZED).status_code == 404


def test_metrics_count_by_verdict(api: Api) -> None:
    def count() -> float:
        lines = api.client.get("/metrics").text.splitlines()
        found = [line for line in lines if line.startswith('teliti_verdicts_total{model="line",verdict="pass"}')]
        return float(found[0].split()[-1]) if found else 0.0

    before = count()
    api.predict(DARK)
    assert count() == before + 1
    assert 'teliti_score_drift{against="start",model="line"} NaN' in api.client.get("/metrics").text


def test_a_heat_map_is_there_when_it_is_asked_for(api: Api) -> None:
    assert "heat_map" not in api.predict(BRIGHT).json()
    said = api.predict(BRIGHT, "?heat_map=true").json()
    assert said["photos"][0]["verdict"] == "reject"
    assert said["heat_map"]["of"] == "bright"
    assert (len(said["heat_map"]["values"]), said["heat_map_note"]) == (7, None)
    Verdicts.model_validate(said)


def test_no_heat_map_changes_no_verdict(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = api.predict(b"no photo", "?heat_map=true")
    assert (refused.status_code, refused.json()["heat_map_note"]) == (422, "The photo was refused.")

    def fail(*_: object, **__: object) -> None:
        raise RunError("The heat map was given up.")

    monkeypatch.setattr(service_module, "explain_photo", fail)
    said = api.predict(BRIGHT, "?heat_map=true").json()
    assert (said["photos"][0]["verdict"], said["heat_map"]) == ("reject", None)
    assert said["heat_map_note"] == "The heat map was given up."
    many = [("photos", ("a.png", DARK)), ("photos", ("b.png", DARK))]
    answer = api.client.post("/v1/predict?heat_map=true", files=many, headers=AUTHORIZED)
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        400, "A heat map must be asked for one photo, got 2.",
    )  # fmt: skip
