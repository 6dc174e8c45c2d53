"""What Prometheus asks for: counts by verdict and status, times, what waits, drift of the scores."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from teliti.serve.models import Served

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Measures:
    """One registry of its own, so that several services may live in one process.

    Args:
        waiting: Tells how many requests are in hand.
    """

    def __init__(self, *, waiting: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.verdicts = Counter(
            "teliti_verdicts", "Photos judged, by verdict.", ["model", "verdict"], registry=self._registry
        )
        self.calls = Counter(
            "teliti_network_calls", "Calls of the network, each for one photo or several.", ["model"],
            registry=self._registry,
        )  # fmt: skip
        self.requests = Counter("teliti_requests", "Requests answered, by status.", ["status"], registry=self._registry)
        self.withheld = Counter(
            "teliti_withheld", "Requests that got no verdict since none may be given.", registry=self._registry
        )
        self.seconds = Histogram(
            "teliti_predict_seconds", "From the photo received to its verdict on the disk.",
            buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip
        self.ready = Gauge("teliti_ready", "1 when the last readiness check passed.", registry=self._registry)
        self._models = Gauge(
            "teliti_model_info", "The network that judges under a name.", ["model", "model_hash"],
            registry=self._registry,
        )  # fmt: skip
        self._drift = Gauge(
            "teliti_score_drift", "Population stability index of the latest scores.", ["model", "against"],
            registry=self._registry,
        )  # fmt: skip
        self._conditions = Gauge(
            "teliti_condition_drift", "Population stability index of the latest photos against the training photos.",
            ["model", "property"], registry=self._registry,
        )  # fmt: skip
        self.outside = Counter(
            "teliti_outside_envelope", "Photos outside the model's envelope.", ["model"], registry=self._registry
        )
        Gauge("teliti_requests_waiting", "Requests in hand.", registry=self._registry).set_function(waiting)

    def watch_model(self, served: Served, *, before: Served | None = None) -> None:
        """Follow a model; in the place of the one that it replaces."""
        if before is not None:
            with suppress(KeyError):  # two reloads at once
                self._models.remove(before.name, before.inspector.model_hash)
            for gauge, kinds in ((self._drift, before.drift.scores), (self._conditions, before.drift.conditions)):
                for kind in kinds:
                    with suppress(KeyError):
                        gauge.remove(before.name, kind)
        self._models.labels(served.name, served.inspector.model_hash).set(1)
        for against, drift in served.drift.scores.items():
            self._drift.labels(served.name, against).set_function(drift.index)
        for name, drift in served.drift.conditions.items():
            self._conditions.labels(served.name, name).set_function(drift.index)

    def render(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self._registry)
