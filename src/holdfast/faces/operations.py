"""For operators: is it alive, is it ready, what does it count. Health is told to all, counts to those they concern."""

from __future__ import annotations

import json
from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from holdfast.core.errors import HoldfastError, Unauthenticated
from holdfast.faces.http import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client.core import Metric

BUCKETS_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
_TEXT: Final = ("Content-Type", "text/plain; charset=utf-8")
_WHO_MAY: Final = "The setting `metrics` says who may read this; who logs in needs the right holdfast:GetMetrics."
_METHODS: Final = frozenset({"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"})


class Metrics:
    """Counts requests in plain dictionaries, as counting is on the path of every one; labels are a closed set."""

    def __init__(
        self,
        gauges: dict[str, tuple[str, Callable[[], float]]],
        counters: dict[str, tuple[str, str, Callable[[], Mapping[str, int]]]] | None = None,
    ) -> None:
        """`gauges`: name -> what it means, and how to read it; `counters`: name -> what, by which label, how to read.

        The values of a label are a closed set, known to who counts.
        """
        self._counters = counters or {}
        self._requests: dict[tuple[str, str, int], int] = {}
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        self._bytes_sent: dict[str, int] = {}
        self._gauges = gauges
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def count(self, face: str, method: str, status: int, seconds: float, bytes_sent: int) -> None:
        """Count one request that was answered."""
        key = (face, method if method in _METHODS else "other", status)
        self._requests[key] = self._requests.get(key, 0) + 1
        buckets = self._buckets.get(face)
        if buckets is None:
            buckets = self._buckets[face] = [0] * (len(BUCKETS_SECONDS) + 1)
            self._seconds[face] = 0.0
            self._bytes_sent[face] = 0
        buckets[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        self._seconds[face] += seconds
        self._bytes_sent[face] += bytes_sent

    def collect(self) -> Iterator[Metric]:
        """Give the metrics to the exposition library."""
        requests = CounterMetricFamily(
            "holdfast_http_requests", "Requests answered.", labels=("face", "method", "status")
        )
        for (face, method, status), count in self._requests.items():
            requests.add_metric((face, method, str(status)), count)
        yield requests
        durations = HistogramMetricFamily(
            "holdfast_http_request_duration_seconds", "From the head of a request to its answer.", labels=("face",)
        )
        sent = CounterMetricFamily("holdfast_http_sent_bytes", "Bytes of answers.", labels=("face",))
        for face, buckets in self._buckets.items():
            total, cumulated = 0, []
            for bound, count in zip((*map(str, BUCKETS_SECONDS), "+Inf"), buckets, strict=True):
                total += count
                cumulated.append((bound, total))
            durations.add_metric((face,), buckets=cumulated, sum_value=self._seconds[face])
            sent.add_metric((face,), self._bytes_sent[face])
        yield durations
        yield sent
        for name, (meaning, read) in self._gauges.items():
            yield GaugeMetricFamily(name, meaning, value=read())
        for name, (meaning, label, counts) in self._counters.items():
            family = CounterMetricFamily(name, meaning, labels=(label,))
            for value, count in counts().items():
                family.add_metric((value,), count)
            yield family

    def render(self) -> bytes:
        """Write the metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class OperationsFace:
    """Answers /livez, /readyz, /readyz/write and /metrics."""

    def __init__(
        self,
        metrics: Metrics,
        problems: Callable[[], list[str]],
        write_problems: Callable[[], list[str]],
        *,
        may_read: Callable[[Request], None] = lambda _: None,
    ) -> None:
        """`problems` tells what keeps the server from being ready, an empty list when nothing does.

        `write_problems` tells what keeps it from taking pushes while it is ready for pulls. `may_read` raises
        Unauthenticated, TooManyLogins, RateExceeded or AccessDenied for who may not read the metrics.
        """
        self._write_problems = write_problems
        self._metrics = metrics
        self._may_read = may_read
        self._problems = problems

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        if request.method not in {"GET", "HEAD"}:
            return Response(405, (("Allow", "GET, HEAD"), _TEXT), b"method not allowed\n")
        if request.path == "/livez":
            return Response(200, (_TEXT,), b"ok\n")
        if request.path in {"/readyz", "/readyz/write"}:
            problems, write_problems = self._problems(), self._write_problems()
            state = {"ready": not problems, "problems": problems}
            state |= {"writable": not problems and not write_problems, "write_problems": write_problems}
            is_ready = state["writable" if request.path.endswith("/write") else "ready"]
            body = json.dumps(state).encode() + b"\n"
            return Response(200 if is_ready else 503, (("Content-Type", "application/json"),), body)
        try:
            self._may_read(request)
        except Unauthenticated as error:
            challenge = ("WWW-Authenticate", 'Basic realm="metrics"')
            return Response(401, (_TEXT, challenge), f"{error.message}. {_WHO_MAY}\n".encode())
        except HoldfastError as error:
            wait = error.retry_after_seconds
            more = (("Retry-After", str(wait)),) if wait is not None else ()
            return Response(403 if wait is None else 429, (_TEXT, *more), f"{error.message}\n".encode())
        return Response(200, (("Content-Type", "text/plain; version=0.0.4; charset=utf-8"),), self._metrics.render())
