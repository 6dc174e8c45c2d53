"""What a request is told when it gets no verdict: a status, the command line's sentence, a hint; never a path."""

from __future__ import annotations

from collections.abc import Mapping

from teliti.errors import PhotoRefused, TelitiError
from teliti.types import Record


class RequestError(TelitiError):
    """A request that is not answered as it asked.

    Args:
        status: The HTTP status.
        message: Why, one sentence.
        hint: What to do next.
        headers: To send along.
    """

    def __init__(self, status: int, message: str, *, hint: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.headers = dict(headers or {})


def busy(retry_after_s: int = 1) -> RequestError:
    """The queue is full."""
    return RequestError(
        503,
        "The service has more photos waiting than it may take.",
        hint=f"Send the photo again in {retry_after_s} s.",
        headers={"Retry-After": str(retry_after_s)},
    )


def unsafe(what: str) -> RequestError:
    """Something is broken, so that no verdict may be given.

    Args:
        what: A sentence without paths.
    """
    return RequestError(
        503, what, hint="Treat the part as not passed. The service's log says more.", headers={"Retry-After": "5"}
    )


def no_such_model() -> RequestError:
    """A model's name that is not served."""
    return RequestError(404, "There is no model of that name.", hint="GET /v1/models lists them.")


def to_document(error: TelitiError, *, request_id: str) -> Record:
    """The answer's JSON, as the command line's `--json` writes an error."""
    kind = "PhotoRefused" if isinstance(error, PhotoRefused) else type(error).__name__
    return {
        "schema": 1,
        "error": {"type": kind, "message": error.message, "hint": error.hint},
        "request_id": request_id,
    }
