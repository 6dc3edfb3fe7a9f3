"""Figures of this process, for Prometheus.

Where PROMETHEUS_MULTIPROC_DIR names a folder, the figures of all processes that share it are one:
counts are added up, and so are the present states of the processes that live
(https://prometheus.github.io/client_python/multiprocess).
"""

import os
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_REGISTRY = CollectorRegistry()
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


def _counter(name: str, help: str, *labels: str) -> Counter:
    return Counter(f"dicom_graph_{name}", help, labels, registry=_REGISTRY)


def _gauge(name: str, help: str) -> Gauge:
    return Gauge(f"dicom_graph_{name}", help, registry=_REGISTRY, multiprocess_mode="livesum")


REQUESTS = _counter("http_requests", "HTTP requests answered.", "method", "route", "status")
REQUEST_SECONDS = Histogram(
    "dicom_graph_http_request_seconds",
    "Time from a request to the end of its answer.",
    ("route",),
    buckets=_SECONDS,
    registry=_REGISTRY,
)
OPERATIONS = _counter("graphql_operations", "GraphQL operations.", "type", "outcome")
OPERATION_SECONDS = Histogram(
    "dicom_graph_graphql_operation_seconds",
    "Time for a query or mutation.",
    ("type",),
    buckets=_SECONDS,
    registry=_REGISTRY,
)
ERRORS = _counter("graphql_errors", "Errors in answers of GraphQL, by their code.", "code")
WEBSOCKETS = _gauge("websockets", "WebSockets that are open.")
CONNECTIONS = _gauge("connections", "Connections of clients that are open.")
CUT_OFF = _counter(
    "cut_off",
    "Connections, requests and streams that waited for their client and were ended, to make room.",
    "kind",
)
IN_PROGRESS = _gauge("http_requests_in_progress", "HTTP requests that are being answered.")
POOL_SIZE = _gauge("database_pool_size", "Connections that the server may hold for questions.")
POOL_IN_USE = _gauge("database_pool_in_use", "Connections that answer questions now.")
DECODING = _gauge("decoding_in_use", "Processes that decode now.")
DECODING_QUEUED = _gauge("decoding_queued", "Requests that wait for a process that decodes.")
DECODING_CRASHED = _counter("decoding_crashed", "Decoders that crashed or were ended for time.")
AUDIT_WAITING = _gauge("audit_waiting", "Lines of the audit log that are not written yet.")
AUDIT_LOST = _gauge("audit_lost", "Lines of the audit log lost since the start of the server.")


def is_shared() -> bool:
    """Whether several processes share their figures."""
    return "PROMETHEUS_MULTIPROC_DIR" in os.environ


def leave() -> None:
    """This process ends: its present states no longer count."""
    if is_shared():
        mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]


def render(further: Iterable[Metric]) -> bytes:
    """All figures in Prometheus' text format, and further ones that are the same for all."""
    registry = _REGISTRY
    if is_shared():
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    added = CollectorRegistry()
    added.register(_Given(list(further)))
    return generate_latest(registry) + generate_latest(added)


class _Given(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics
