"""Count calls and time them, with declared attributes alone, inside the process.

Error counts and times of an *endpoint* are outcomes of a checkpoint, so they are not measured here.
Nothing is exported over a network; on request the figures go into the log.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import structlog
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    HistogramDataPoint,
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    MetricReader,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import DropAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

from heldout_server.telemetry.fields import is_declared
from heldout_server.telemetry.logs import drops

CALLS: Final = "heldout.calls"
ARRIVALS: Final = "heldout.calls.arrived"
CALL_DURATION: Final = "heldout.call.duration"
LOG_FAULTS: Final = "heldout.log.faults"
DROPPED_FIELDS: Final = "heldout.log.dropped"
ATTRIBUTES: Final = frozenset({"method", "status"})
"""The only attributes that a measurement or a kept span may have, each of its shape in :mod:`.fields`."""

SCOPE: Final = "heldout"
OTHER: Final = "other"
KEPT_SPANS: Final = 256
KNOWN_LABELS: Final = 256


class Metrics:
    """Count calls by method and status.

    What arrived and neither ended nor is under way was refused by gRPC before a handler saw it: an oversize message,
    for instance.

    Args:
        meter: makes the instruments.
    """

    def __init__(self, meter: Meter) -> None:
        # Counted here and observed when somebody reads: an instrument takes several microseconds for each call.
        self._ended: Counter[tuple[str, str]] = Counter()
        self._arrived: Counter[str] = Counter()
        meter.create_observable_counter(CALLS, [self._observe_ended], unit="{call}", description="Calls that ended.")
        meter.create_observable_counter(
            ARRIVALS, [self._observe_arrived], unit="{call}", description="Calls whose method was named."
        )
        self._durations = meter.create_histogram(CALL_DURATION, unit="s", description="Seconds from intent to answer.")
        self._log_faults = meter.create_counter(LOG_FAULTS, unit="{fault}", description="Faults a log lives on with.")

        meter.create_observable_counter(
            DROPPED_FIELDS, [_observe_dropped], unit="{field}", description="Fields that no log line could hold."
        )

    def arrived(self, method: str) -> None:
        """Count one call that gRPC announced, before its message was read."""
        self._arrived[_method_label(method)] += 1

    def log_fault(self, status: str) -> None:
        """Count a fault by which an audit log goes on: ``LOG_DEVICE_LOST`` or ``LOG_DAMAGED``."""
        self._log_faults.add(1, {"status": _status_label(status)})

    def call(self, method: str, status: str, duration_s: float) -> None:
        """Count one call.

        Args:
            method: full name; anything that is not shaped like a method of the contract is counted as ``other``.
            status: ``OK`` or a reason code; anything else is counted as ``other``.
            duration_s: seconds, at least 0.
        """
        attributes = {"method": _method_label(method), "status": _status_label(status)}
        self._ended[attributes["method"], attributes["status"]] += 1
        self._durations.record(duration_s, attributes)

    def _observe_ended(self, _options: CallbackOptions) -> Iterator[Observation]:
        for (method, status), count in tuple(self._ended.items()):
            yield Observation(count, {"method": method, "status": status})

    def _observe_arrived(self, _options: CallbackOptions) -> Iterator[Observation]:
        for method, count in tuple(self._arrived.items()):
            yield Observation(count, {"method": method})


def _observe_dropped(_options: CallbackOptions) -> Iterator[Observation]:
    yield Observation(drops.fields)


@lru_cache(maxsize=KNOWN_LABELS)
def _method_label(method: str) -> str:
    return method if is_declared("method", method) else OTHER


@lru_cache(maxsize=KNOWN_LABELS)
def _status_label(status: str) -> str:
    return status if is_declared("status", status) else OTHER


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSpan:
    """Hold what is kept of a span: name, declared attributes, seconds."""

    name: str
    attributes: Mapping[str, Any]
    duration_s: float


class RecentSpans(SpanProcessor):
    """Keep the newest spans in the process, without events, and without attributes that are not declared.

    A span whose name has not the shape of an event's is called ``other``.
    """

    def __init__(self) -> None:
        self._kept: deque[KeptSpan] = deque(maxlen=KEPT_SPANS)

    def on_end(self, span: ReadableSpan) -> None:
        """Keep a span that ended."""
        attributes = _declared(span.attributes)
        duration_ns = (span.end_time or 0) - (span.start_time or 0)
        name = span.name if is_declared("event", span.name) else OTHER
        self._kept.append(KeptSpan(name=name, attributes=attributes, duration_s=duration_ns / 1e9))

    def spans(self) -> tuple[KeptSpan, ...]:
        """Return what is kept, oldest first."""
        return tuple(self._kept)


class LogExporter(MetricExporter):
    """Write each figure as one log line."""

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> MetricExportResult:
        """Write all figures; ``timeout_millis`` is for exporters that wait for a network."""
        del timeout_millis
        log = structlog.get_logger("metrics")
        for fields in _figures(metrics_data):
            log.info("metric", **fields)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Return at once: nothing waits here."""
        del timeout_millis
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        """Do nothing: there is nothing to close."""
        del timeout_millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """Hold the providers of a process.

    Attributes:
        metrics: what the edge counts with.
        tracers: makes tracers; their spans end in ``spans``.
        spans: the newest spans.
        reader: reads the figures inside the process.
    """

    metrics: Metrics
    tracers: TracerProvider
    spans: RecentSpans
    reader: InMemoryMetricReader
    meters: MeterProvider

    def shutdown(self) -> None:
        """Write the last figures, if they go into the log, and end all threads."""
        self.meters.shutdown()
        self.tracers.shutdown()


def configure_telemetry(*, metrics_interval_s: float = 0.0) -> Telemetry:
    """Build the meters and tracers of a process.

    Args:
        metrics_interval_s: seconds between two rounds of metric lines in the log; 0 for none, and then no thread.
    """
    resource = Resource({"service.name": "heldout-server"})  # not Resource.create, which reads the environment
    reader = InMemoryMetricReader()
    readers: list[MetricReader] = [reader]
    if metrics_interval_s:
        interval_ms = metrics_interval_s * 1000
        readers.append(PeriodicExportingMetricReader(LogExporter(), export_interval_millis=interval_ms))
    views = [
        View(instrument_name="heldout.*", attribute_keys=set(ATTRIBUTES)),
        View(instrument_name="*", aggregation=DropAggregation()),  # what a library measures of its own accord
    ]
    meters = MeterProvider(readers, resource=resource, shutdown_on_exit=False, views=views)
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    spans = RecentSpans()
    tracers.add_span_processor(spans)
    return Telemetry(
        metrics=Metrics(meters.get_meter(SCOPE)), tracers=tracers, spans=spans, reader=reader, meters=meters
    )


def _figures(data: MetricsData) -> Iterator[dict[str, Any]]:
    for resource_metrics in data.resource_metrics:
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                for point in metric.data.data_points:
                    if isinstance(point, HistogramDataPoint):
                        figure = {"value": point.sum, "count": point.count}
                    else:
                        figure = {"value": getattr(point, "value", 0)}
                    yield {"metric": metric.name, **figure, **_declared(point.attributes)}


def _declared(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (attributes or {}).items() if key in ATTRIBUTES and is_declared(key, value)}
