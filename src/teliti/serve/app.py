"""The routes. Everything they know is the service's; everything they refuse is a sentence."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from teliti import __version__
from teliti.errors import PhotoRefused
from teliti.serve.documents import Health, ModelFacts, ModelList, Problem, Readiness, Verdicts
from teliti.serve.guard import Guard, GuardOptions
from teliti.serve.measures import CONTENT_TYPE
from teliti.serve.problems import RequestError, to_document
from teliti.serve.service import Judged, Service
from teliti.serve.uploads import FIELD, body_size, read_photos
from teliti.types import Record

_PREDICT = "/v1/predict"
_NAME = Query(max_length=255)
_PAGE = {
    "/": ("page.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}
_WRONG = {"model": Problem, "description": "No verdict; `error.message` says why."}
_PHOTO = {"type": "string", "format": "binary"}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {FIELD: {"type": "array", "items": _PHOTO}},
                }
            },
            "application/octet-stream": {"schema": _PHOTO},
        },
    },
    "security": [{"token": []}],
}
_TOKEN: dict[str, Any] = {"security": [{"token": []}]}


def build_app(service: Service, guard: GuardOptions) -> ASGIApp:
    """The whole service as an ASGI application.

    Args:
        service: What answers.
        guard: Who may ask.
    """
    app = FastAPI(
        title="Teliti inspection service",
        version=__version__,
        docs_url=None,  # these pages load their scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    _add_answers_to_errors(app)
    _add_inspection(app, service)
    _add_models(app, service)
    _add_health(app, service)
    _add_page(app)
    _name_token(app)

    def admit(path: str) -> None:
        if path == _PREDICT:
            service.require_place(0)

    def count(status: int) -> None:
        service.measures.requests.labels(str(status)).inc()

    return Guard(app, guard, on_answer=count, admit=admit)


def _add_inspection(app: FastAPI, service: Service) -> None:
    @app.post(
        _PREDICT,
        response_model=None,
        responses={
            200: {"model": Verdicts},
            422: {"model": Verdicts},
            400: _WRONG,
            401: _WRONG,
            413: _WRONG,
            503: _WRONG,
        },
        openapi_extra=_BODY,
    )
    async def predict(
        request: Request,
        *,
        model: Annotated[str | None, Query(max_length=100)] = None,
        name: Annotated[str | None, _NAME] = None,
        serial: Annotated[str | None, _NAME] = None,
        operator: Annotated[str | None, _NAME] = None,
        heat_map: bool = False,
    ) -> Response:
        """Judge one or many photos; 422 when none of them can be used."""
        served = service.find_model(model)
        size = body_size(request, service.limits)
        service.require_place(size)
        photos = await read_photos(request, service.limits, name=name, serial=serial)
        if heat_map and len(photos) > 1:
            raise RequestError(
                400, f"A heat map must be asked for one photo, got {len(photos)}.", hint="Send them singly."
            )
        request_id = request.state.request_id
        began = time.perf_counter()
        with service.place(size):
            judged = await service.judge(served, photos, request_id=request_id, operator=operator)
            total_s = time.perf_counter() - began
            heat, why_none = await service.explain(served, judged[0]) if heat_map else (None, None)
        service.measures.seconds.observe(total_s)
        document = {
            "schema": 1,
            "request_id": request_id,
            "model": served.name,
            "model_hash": served.inspector.model_hash,
            "photos": [_said(one) for one in judged],
            "total_ms": round(total_s * 1000, 3),
            **({"heat_map": heat, "heat_map_note": why_none} if heat_map else {}),
        }
        return JSONResponse(document, status_code=422 if _are_all_refused(judged) else 200)


def _add_models(app: FastAPI, service: Service) -> None:
    @app.get("/v1/models", response_model=ModelList, responses={401: _WRONG}, openapi_extra=_TOKEN)
    async def models() -> Record:
        """Every bundle that is served."""
        return service.models.to_record()

    @app.post(
        "/v1/models/{name}/reload",
        response_model=ModelFacts,
        responses={401: _WRONG, 404: _WRONG, 409: _WRONG},
        openapi_extra=_TOKEN,
    )
    async def reload(name: Annotated[str, Path(max_length=100)]) -> Record:
        """Open the bundle's folder anew; photos in hand are finished by the old one."""
        served = await service.reload(name)
        return served.to_record(is_default=served is service.models.get(None))


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", response_model=Health)
    async def healthz() -> Record:
        """The process answers."""
        return {"alive": True}

    @app.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
    async def readyz() -> JSONResponse:
        """A stored photo gets its known answer and the journal can be written."""
        problems = await service.problems()
        return JSONResponse({"ready": not problems, "problems": problems}, status_code=503 if problems else 200)

    @app.get("/metrics", response_class=Response, openapi_extra=_TOKEN)
    async def metrics() -> Response:
        """Prometheus' text format."""
        return Response(service.measures.render(), media_type=CONTENT_TYPE)


def _add_page(app: FastAPI) -> None:
    folder = files("teliti.serve") / "page"
    for path, (name, kind) in _PAGE.items():
        app.add_api_route(path, _page(folder / name, kind), methods=["GET"], include_in_schema=False)


def _page(file: Traversable, kind: str) -> Callable[[], Awaitable[Response]]:
    content = file.read_bytes()

    async def page() -> Response:
        return Response(content, media_type=kind)

    return page


def _add_answers_to_errors(app: FastAPI) -> None:
    def answer(request: Request, refusal: RequestError) -> JSONResponse:
        document = to_document(refusal, request_id=request.state.request_id)
        headers = {"Connection": "close", **refusal.headers} if _is_body_unread(request) else refusal.headers
        return JSONResponse(document, status_code=refusal.status, headers=headers)

    @app.exception_handler(RequestError)
    async def refused(request: Request, error: RequestError) -> JSONResponse:
        return answer(request, error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        where = " and ".join(sorted({str(one["loc"][-1]) for one in error.errors()}))
        return answer(request, RequestError(400, f"The request must have a valid {where}.", hint="See /openapi.json."))

    @app.exception_handler(HTTPException)
    async def failed(request: Request, error: HTTPException) -> JSONResponse:
        sentence = "This service has no such page or method."
        return answer(request, RequestError(error.status_code, sentence, hint="See /openapi.json."))

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001 - the guard logs it
        return answer(request, RequestError(500, "Something unexpected went wrong.", hint="The log says more."))


def _name_token(app: FastAPI) -> None:
    """Say in the description of the interface how the token is sent."""
    document = app.openapi()
    document.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    app.openapi_schema = document


def _is_body_unread(request: Request) -> bool:
    """True where the client may still be sending: a connection that is kept would read it all."""
    return "transfer-encoding" in request.headers or int(_digits(request.headers.get("content-length", "0"))) > 1024**2


def _digits(text: str) -> str:
    return text if text.isascii() and text.isdigit() and len(text) < 19 else "9" * 18


def _are_all_refused(judged: Sequence[Judged]) -> bool:
    return all(isinstance(one.answer, PhotoRefused) for one in judged)


def _said(judged: Judged) -> Record:
    answer = judged.answer
    said: Record = (
        {"verdict": judged.verdict, "label": None, "probs": {}, "score": None, "reasons": [answer.reason]}
        if isinstance(answer, PhotoRefused)
        else answer.to_record()
    )
    return {
        "photo": judged.photo.name,
        "photo_hash": judged.photo.digest,
        "serial": judged.photo.serial,
        **said,
        "decode_ms": judged.decode_ms,
        "predict_ms": judged.predict_ms,
    }
