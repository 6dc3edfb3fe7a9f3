"""Spans of requests and operations, where OpenTelemetry is installed and configured.

It is configured by its own variables: OTEL_TRACES_EXPORTER, OTEL_EXPORTER_OTLP_ENDPOINT,
OTEL_SERVICE_NAME and so on. A span holds names, never texts of queries, arguments or addresses.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import entry_points
from typing import Any

try:
    from opentelemetry import propagate, trace
except ImportError:
    trace = None  # type: ignore[assignment]

log = logging.getLogger(__name__)


def configure() -> None:
    """Export spans as the variables say; nothing where they say nothing."""
    name = os.environ.get("OTEL_TRACES_EXPORTER", "")
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    is_off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or name == "none"
    if is_off or not (name or any(map(os.environ.get, endpoints))):
        return
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning("OTEL_ variables are set, and OpenTelemetry is missing: pip install "
                    "'.[otel]' in a clone")  # fmt: skip
        return
    os.environ.setdefault("OTEL_SERVICE_NAME", "dicom-graph")
    provider = TracerProvider(resource=Resource.create())
    for exporter in (name or "otlp").split(","):
        made = _exporter(exporter.strip())
        if made is not None:
            provider.add_span_processor(BatchSpanProcessor(made))
    trace.set_tracer_provider(provider)


def _exporter(name: str) -> Any:
    if name == "otlp":
        protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get(
            "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"
        )
        name = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    for found in entry_points(group="opentelemetry_traces_exporter", name=name):
        return found.load()()
    log.warning("there is no exporter of traces %r: install it, or set OTEL_TRACES_EXPORTER", name)
    return None


def close() -> None:
    """Send what waits to be sent."""
    provider = trace.get_tracer_provider() if trace is not None else None
    flush = getattr(provider, "force_flush", None)
    if flush is not None:
        flush()


def span(
    name: str, headers: Mapping[str, str] | None = None, *, is_server: bool = False
) -> AbstractContextManager["Span"]:
    """A span of what is done within. That of a server is what further spans belong to; the
    `headers` of its request may name what it belongs to itself.
    """
    # Where nobody has set up what takes spans, none is made.
    if trace is None or isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return nullcontext(_NO_SPAN)
    return _span(name, headers, is_server)


@contextmanager
def _span(name: str, headers: Mapping[str, str] | None, is_server: bool) -> Iterator["Span"]:
    tracer = trace.get_tracer("dicom_graph")
    if not is_server:
        # Not the current one: generators end in other contexts than they begin in.
        made = tracer.start_span(name)
        try:
            yield Span(made if made.is_recording() else None)
        finally:
            made.end()
        return
    with tracer.start_as_current_span(
        name, propagate.extract(headers or {}), trace.SpanKind.SERVER,
        record_exception=False, set_status_on_exception=False,
    ) as made:  # fmt: skip
        yield Span(made if made.is_recording() else None)


class Span:
    """A span that may be recorded, or not."""

    __slots__ = ("_span",)

    def __init__(self, span: Any) -> None:
        self._span = span

    def tell(self, name: str | None = None, **attributes: str | int | list[str] | None) -> None:
        """Give it another name, and attributes, whose names have dots for double underscores."""
        if self._span is None:
            return
        if name is not None:
            self._span.update_name(name)
        for key, value in attributes.items():
            if value is not None:
                self._span.set_attribute(key.replace("__", "."), value)

    def fail(self) -> None:
        """It went wrong; what exactly is not told."""
        if self._span is not None:
            self._span.set_status(trace.StatusCode.ERROR)


_NO_SPAN = Span(None)
