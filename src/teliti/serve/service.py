"""What the web layer asks: verdicts, readiness, other models. No HTTP here but for the status of a refusal.

For each request first a place in the bounded queue, then its photos through a decoder child and one model, where photos
of several requests may share a call of the network, then the journal, then the answer. Whatever fails on the way, no
verdict leaves.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from teliti.errors import PhotoRefused, RunError, StorageError, TelitiError
from teliti.journal.entry import REFUSED, Entry
from teliti.serve.batcher import Batcher, Half
from teliti.serve.decoder import DecoderLimits, Decoders
from teliti.serve.measures import Measures
from teliti.serve.models import Models, Served
from teliti.serve.pace import Pace
from teliti.serve.problems import RequestError, busy, no_such_model, unsafe
from teliti.serve.recorder import Recorder
from teliti.workflow.heat_map import PASSES, explain_photo
from teliti.workflow.inspection import Photo

if TYPE_CHECKING:
    from teliti.journal.store import Journal
    from teliti.predictor import Prepared
    from teliti.types import Prediction, Record

LOG = logging.getLogger("teliti.serve")
SOURCE = "serve"
_READY_FOR_S, _READY_WITHIN_S = 2.0, 4.0


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """What the service takes on.

    Attributes:
        photo: What one photo may cost.
        max_body_bytes: One request, whole.
        max_photos: In one request.
        max_waiting: Requests in hand; more are told to come again.
        max_waiting_bytes: Their bodies together.
        max_wait_s: A request that would wait longer, by what photos took lately, is told to come again.
        body_s: For receiving a body.
        request_s: From a body to its answer.
    """

    photo: DecoderLimits = field(default_factory=DecoderLimits)
    max_body_bytes: int = 64 * 1024**2
    max_photos: int = 16
    max_waiting: int = 128
    max_waiting_bytes: int = 256 * 1024**2
    max_wait_s: float = 2.5
    body_s: float = 15.0
    request_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Judged:
    """The answer to one photo, and what it took.

    Attributes:
        photo: What was judged.
        answer: The verdict, or why there is none.
        decode_ms: In the child.
        predict_ms: Preparing and computing, with those that shared the call.
    """

    photo: Photo
    answer: Prediction | PhotoRefused
    decode_ms: float
    predict_ms: float

    @property
    def verdict(self) -> str:
        """What counts: a verdict, a class name, "refused", or "measured" for a regression."""
        if isinstance(self.answer, PhotoRefused):
            return REFUSED
        return self.answer.verdict or self.answer.label or "measured"


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A photo that waits for the network."""

    photo: Photo
    prepared: Prepared
    decode_ms: float
    prepare_ms: float


class Service:
    """Models, decoders, journal and queue of one process.

    Args:
        models: What judges.
        journal: Where every verdict is kept; None keeps none.
        limits: What it takes on.
        workers: Photos judged at once.
        decoder_command: The program to decode with instead of our child.

    Raises:
        StorageError: the journal cannot be written.
    """

    def __init__(
        self,
        models: Models,
        *,
        journal: Journal | None,
        limits: ServiceLimits | None = None,
        workers: int = 1,
        decoder_command: Sequence[str] | None = None,
    ) -> None:
        self.limits = limits or ServiceLimits()
        self.models = models
        if journal is not None:
            journal.append([entry for served in models.all() for entry in _opened(served)])
        self.decoders = Decoders(workers, limits=self.limits.photo, command=decoder_command)
        self._recorder = None if journal is None else Recorder(journal, source=SOURCE)
        self._batcher: Batcher[Served, _Decoded, Any] = Batcher(
            workers=workers, together=self._judge_together, most=lambda served: served.inspector.photos_per_call
        )
        self._pace = Pace(workers)
        self._asides = ThreadPoolExecutor(2, thread_name_prefix="teliti-aside")
        self._waiting = self._waiting_bytes = 0
        self._ready_lock = asyncio.Lock()
        self._ready: tuple[float, list[str]] | None = None
        self.measures = Measures(waiting=lambda: self._waiting)
        for served in self.models.all():
            self.measures.watch_model(served)

    @contextmanager
    def place(self, size: int) -> Iterator[None]:
        """A place in the queue for a request.

        Args:
            size: Bytes of its body.

        Raises:
            RequestError: there is none; to be asked again.
        """
        self.require_place(size)
        self._waiting += 1
        self._waiting_bytes += size
        try:
            yield
        finally:
            self._waiting -= 1
            self._waiting_bytes -= size

    def require_place(self, size: int) -> None:
        """Refuse a request of that size where the queue has no place for it now.

        Raises:
            RequestError: to be asked again.
        """
        limits = self.limits
        if self._waiting >= limits.max_waiting or self._waiting_bytes + size > limits.max_waiting_bytes:
            raise busy()
        if self._pace.wait_s > limits.max_wait_s:
            raise busy()

    def find_model(self, name: str | None) -> Served:
        """The model of that name, or the default.

        Raises:
            RequestError: there is none.
        """
        try:
            return self.models.get(name)
        except KeyError as error:
            raise no_such_model() from error

    async def judge(
        self, served: Served, photos: Sequence[Photo], *, request_id: str, operator: str | None = None
    ) -> list[Judged]:
        """Verdicts of the photos of one request, in order, all by one model, all in the journal.

        Raises:
            RequestError: none may be given.
        """
        jobs = [self._batcher.submit(partial(self._decode, served, photo)) for photo in photos]
        for job in jobs:
            self._pace.expect(job, 1)
        try:
            async with asyncio.timeout(self.limits.request_s):
                judged: list[Judged] = await asyncio.gather(*map(asyncio.wrap_future, jobs))
                await self._record(served, judged, request_id=request_id, operator=operator)
        except TimeoutError as error:
            raise self._withhold("The photo was not judged in time.", request_id, error) from error
        except StorageError as error:
            raise self._withhold("The journal cannot be written, so no verdict is given.", request_id, error) from error
        except RunError as error:
            raise self._withhold("The photo cannot be judged now.", request_id, error) from error
        finally:
            for job in jobs:
                job.cancel()  # where one photo failed, nobody waits for the others
        for one in judged:
            self.measures.verdicts.labels(served.name, one.verdict).inc()
            if not isinstance(one.answer, PhotoRefused):
                served.drift.add(one.answer)
                self.measures.outside.labels(served.name).inc(bool(one.answer.warnings))
        return judged

    async def explain(self, served: Served, judged: Judged) -> tuple[Record | None, str | None]:
        """The heat map of a judged photo, or why there is none. The verdict stands whatever becomes of it."""
        if isinstance(judged.answer, PhotoRefused):
            return None, "The photo was refused."
        deadline = time.monotonic() + self.limits.request_s
        job = self._batcher.submit_whole(partial(self._explain, served, judged.photo, deadline))
        self._pace.expect(job, PASSES)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(job), self.limits.request_s), None
        except TimeoutError:
            return None, "The heat map was not done in time."
        except TelitiError as error:
            return None, error.message

    async def reload(self, name: str) -> Served:
        """Put the bundle that now lies in the folder of that name in the place of the one that is served.

        Raises:
            RequestError: no such name, or it cannot be used; then the old one stays.
        """
        before = self.find_model(name)
        try:
            served = await asyncio.wrap_future(self._asides.submit(self.models.reload, name))
        except TelitiError as error:
            LOG.error("model %s was not exchanged: %s", name, error)
            raise RequestError(
                409, "The new bundle cannot be used, and the old one goes on.", hint="The service's log says why."
            ) from error
        self.measures.watch_model(served, before=before)
        self._ready = None
        if self._recorder is not None:
            with suppress(StorageError):  # the next verdict says so
                await asyncio.wrap_future(self._recorder.submit(_opened(served)))
        LOG.warning("model %s is now %s", name, served.inspector.model_hash)
        return served

    async def problems(self) -> list[str]:
        """Why no verdict should be asked for now, one sentence each; empty when all is well. Kept for two seconds."""
        async with self._ready_lock:
            if self._ready is None or time.monotonic() - self._ready[0] > _READY_FOR_S:
                job = self._asides.submit(self._find_problems)
                try:
                    found = await asyncio.wait_for(asyncio.wrap_future(job), _READY_WITHIN_S)
                except TimeoutError:
                    found = ["The self-test did not end in time."]
                self._ready = (time.monotonic(), found)
                self.measures.ready.set(not found)
            return self._ready[1]

    def close(self) -> None:
        """End the children, write what waits, end the threads."""
        self.decoders.close()
        self._batcher.close()
        self._asides.shutdown(cancel_futures=True)
        if self._recorder is not None:
            stop = self._recorder.submit([Entry("stop", SOURCE, reason="asked to")])
            self._recorder.close()
            if stop.exception() is not None:
                LOG.error("the stop was not recorded: %s", stop.exception())

    async def _record(self, served: Served, judged: Sequence[Judged], *, request_id: str, operator: str | None) -> None:
        if self._recorder is None:
            return
        details: dict[str, Any] = {"request": request_id, "model": served.name}
        entries = [
            served.inspector.entry(one.photo, one.answer, source=SOURCE, operator=operator, details=details)
            for one in judged
        ]
        await asyncio.wrap_future(self._recorder.submit(entries))

    def _withhold(self, what: str, request_id: str, cause: Exception) -> RequestError:
        self.measures.withheld.inc()
        LOG.error("request %s got no verdict: %s", request_id, str(cause) or type(cause).__name__)
        return unsafe(what)

    def _decode(self, served: Served, photo: Photo) -> Half[Served, _Decoded] | Judged:
        """A photo as the network takes it, or its refusal."""
        began = time.perf_counter()
        decode_ms: float | None = None
        try:
            plain = self.decoders.decode(photo.data or b"")
            decode_ms = _ms_since(began)
            prepared = served.inspector.prepare(plain)
        except PhotoRefused as refusal:
            took_ms = _ms_since(began)
            self._pace.took(took_ms / 1000)
            decode_ms = took_ms if decode_ms is None else decode_ms
            return Judged(photo, refusal, decode_ms, round(took_ms - decode_ms, 3))
        return Half(served, _Decoded(photo, prepared, decode_ms, round(_ms_since(began) - decode_ms, 3)))

    def _judge_together(self, served: Served, some: Sequence[_Decoded]) -> list[Judged | Exception]:
        """The answer for each photo, all by one model."""
        began = time.perf_counter()
        answers = served.inspector.judge([one.prepared for one in some])
        took_ms = _ms_since(began)
        self.measures.calls.labels(served.name).inc()
        judged: list[Judged | Exception] = []
        for one, answer in zip(some, answers, strict=True):
            self._pace.took((one.decode_ms + one.prepare_ms + took_ms / len(some)) / 1000)
            if isinstance(answer, RunError):
                judged.append(answer)
            else:
                judged.append(Judged(one.photo, answer, one.decode_ms, round(one.prepare_ms + took_ms, 3)))
        return judged

    def _explain(self, served: Served, photo: Photo, deadline: float) -> Record:
        plain = self.decoders.decode(photo.data or b"")
        return explain_photo(served.inspector.predictor, plain, is_wanted=lambda: time.monotonic() < deadline)

    def _find_problems(self) -> list[str]:
        checks: list[tuple[str, Callable[[], None]]] = [
            (f'The model "{served.name}" does not answer as it must.', partial(self._test, served))
            for served in self.models.all()
        ]
        if self._recorder is not None:
            checks.append(("The journal cannot be written.", self._recorder.probe))
        found = []
        for sentence, check in checks:
            try:
                check()
            except TelitiError as error:
                LOG.error("not ready: %s", error)
                found.append(sentence)
        return found

    def _test(self, served: Served) -> None:
        served.inspector.require_unchanged()
        if not served.inspector.answers_golden(lambda data: self.decoders.decode(data, wait_s=_READY_WITHIN_S)):
            raise RunError("A golden photo does not get its scores.", hint="Copy the bundle again.")


def _ms_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 3)


def _opened(served: Served) -> list[Entry]:
    details = {"model": served.name, **served.inspector.engine_record()}
    return [
        served.inspector.model_entry(source=SOURCE),
        Entry("start", SOURCE, model_hash=served.inspector.model_hash, details=details),
    ]
