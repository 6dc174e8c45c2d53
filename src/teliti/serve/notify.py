"""Telling others of each verdict: a webhook or an MQTT broker, in order, at least once, never more than asked for.

How far a receiver was told stands in the journal. A record is told again when the process ends between the telling and
the note of it, so a receiver knows repetitions by the record's `hash`.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

from teliti.errors import RunError, UserError
from teliti.files import sha256_hex
from teliti.runtime import require
from teliti.types import Record

if TYPE_CHECKING:
    from teliti.journal.store import Journal

TIMEOUT_S = 5.0
ATTEMPTS = 5
FIRST_WAIT_S = 0.5  # doubled after each failure
_PAGE = 100
_MQTT_PORTS = {"mqtt": 1883, "mqtts": 8883}
_AGAIN = "Nothing is lost: start `teliti watch` anew, and it is told from that record on."


class Receiver(Protocol):
    """Somebody who is told of verdicts."""

    @property
    def shown(self) -> str:
        """A name for people, without secrets."""
        ...

    @property
    def key(self) -> str:
        """A name for the journal, the same at every start."""
        ...

    def send(self, record: Record) -> None:
        """Tell one record; returns when it was taken.

        Raises:
            OSError: it was not taken.
        """
        ...

    def close(self) -> None:
        """End the connection."""
        ...


class Webhook:
    """Posts each record as JSON and waits for an answer of 2xx; redirections are not followed.

    Args:
        url: http or https.
        timeout_s: For one attempt.

    Raises:
        UserError: not such a URL.
    """

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UserError(
                f"--webhook must be an http or https URL, got {url!r}.", hint="For instance https://mes/v1."
            )
        self._url = url
        self._timeout_s = timeout_s
        self._open = urllib.request.build_opener(_NoRedirection).open
        self.shown = f"webhook {parts.scheme}://{parts.hostname}"
        self.key = f"webhook {sha256_hex(url.encode())}"

    def send(self, record: Record) -> None:
        """Post one record."""
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self._url,
            data=json.dumps(record).encode("ascii"),
            headers={"Content-Type": "application/json", "Idempotency-Key": record["hash"], "User-Agent": "teliti"},
            method="POST",
        )
        try:
            with self._open(request, timeout=self._timeout_s) as answer:
                answer.read(1)
        except urllib.error.HTTPError as error:
            error.close()
            raise OSError(f"it answered {error.code}") from error
        except HTTPException as error:
            raise OSError(f"its answer was broken ({type(error).__name__})") from error

    def close(self) -> None:
        """Nothing is kept open."""


class Mqtt:
    """Publishes each record as JSON with quality of service 1: the broker has to acknowledge it.

    Args:
        url: `mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC`, or mqtts for TLS.
        timeout_s: For connecting, and for each acknowledgement.

    Raises:
        UserError: not such a URL.
        MissingExtraError: paho-mqtt is not installed.
    """

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url)
        self._topic = unquote(parts.path.lstrip("/"))
        if parts.scheme not in _MQTT_PORTS or not parts.hostname or not self._topic or set(self._topic) & set("+#"):
            raise UserError(
                "--mqtt must look like mqtt://HOST/TOPIC, without wildcards in the topic.",
                hint="For instance mqtt://broker/line-1/verdicts, or mqtts:// for TLS.",
            )
        self._library = require("paho.mqtt.client", extra="mqtt", purpose="send verdicts to an MQTT broker")
        self._url = parts
        self._host, self._port = parts.hostname, parts.port or _MQTT_PORTS[parts.scheme]
        self._timeout_s = timeout_s
        self._client: Any = None
        self.shown = f"MQTT broker {self._host}:{self._port}"
        self.key = f"mqtt {self._host}:{self._port}/{self._topic}"

    def send(self, record: Record) -> None:
        """Publish one record."""
        try:
            if self._client is None:
                self._client = self._connect()
            told = self._client.publish(self._topic, json.dumps(record), qos=1)
            told.wait_for_publish(self._timeout_s)
            if not told.is_published():
                raise OSError("it did not acknowledge in time")
        except (OSError, ValueError, RuntimeError) as error:
            self.close()
            raise OSError(str(error) or type(error).__name__) from error

    def close(self) -> None:
        """End the connection."""
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def _connect(self) -> Any:
        """A connected client; a new one each time, since an old one would send again what it has not seen taken."""
        client = self._library.Client(self._library.CallbackAPIVersion.VERSION2)
        client.connect_timeout = self._timeout_s
        if self._url.username is not None:
            client.username_pw_set(unquote(self._url.username), unquote(self._url.password or ""))
        if self._url.scheme == "mqtts":
            client.tls_set()
        client.connect(self._host, self._port)
        client.loop_start()
        return client


class Deliveries:
    """Tells every receiver of each verdict that one source added to the journal.

    Args:
        journal: Where the verdicts are, and how far each receiver was told.
        receivers: A new one is told of what comes, not of what was before.
        source: Whose verdicts.
        sleep: Waits between attempts, seconds.
    """

    def __init__(
        self,
        journal: Journal,
        receivers: Sequence[Receiver],
        *,
        source: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._journal = journal
        self._receivers = tuple(receivers)
        self._source = source
        self._sleep = sleep
        for receiver in self._receivers:
            if journal.delivered(receiver.key, source=source) is None:
                journal.mark_delivered(receiver.key, source=source, position=journal.head().position)

    def flush(self) -> None:
        """Tell what was not told.

        Raises:
            RunError: a receiver did not take a record after several attempts.
            StorageError: the journal cannot be read or written.
        """
        for receiver in self._receivers:
            while page := self._untold(receiver):
                self._tell(receiver, page)

    def close(self) -> None:
        """End every connection."""
        for receiver in self._receivers:
            receiver.close()

    def _untold(self, receiver: Receiver) -> list[Record]:
        after = self._journal.delivered(receiver.key, source=self._source) or 0
        return list(self._journal.records(after=after, kind="verdict", source=self._source, most=_PAGE))

    def _tell(self, receiver: Receiver, records: Sequence[Record]) -> None:
        told = 0
        try:
            for record in records:
                self._attempt(receiver, record)
                told = record["position"]
        finally:
            if told:
                self._journal.mark_delivered(receiver.key, source=self._source, position=told)

    def _attempt(self, receiver: Receiver, record: Record) -> None:
        for attempt in range(ATTEMPTS):
            try:
                receiver.send(record)
            except OSError as error:
                if attempt == ATTEMPTS - 1:
                    raise RunError(
                        f"The {receiver.shown} did not take record {record['position']}: {_said(error)}.", hint=_AGAIN
                    ) from error
                self._sleep(FIRST_WAIT_S * 2**attempt)
            else:
                return


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow nothing: the answer then is an error like others."""


def _said(error: OSError) -> str:
    reason = getattr(error, "reason", None)
    return str(reason or error.strerror or error).rstrip(".")
