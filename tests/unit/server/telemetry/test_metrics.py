import io
import json
import logging

import pytest
import structlog

from heldout_server.telemetry import configure_logging, configure_telemetry
from heldout_server.telemetry.logs import keep_declared
from heldout_server.telemetry.metrics import ATTRIBUTES, KEPT_SPANS

METHOD = "/heldout.v1.BankService/GetStats"


class FixedClock:
    def now_s(self):
        return 0.0

    def monotonic_s(self):
        return 0.0


@pytest.fixture
def telemetry():
    made = configure_telemetry()
    yield made
    made.shutdown()


def figures(telemetry):
    found = {}
    for resource in telemetry.reader.get_metrics_data().resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    found[metric.name, *sorted(point.attributes.items())] = point
    return found


def test_calls_are_counted_and_timed_by_method_and_status(telemetry):
    telemetry.metrics.call(METHOD, "OK", 0.25)
    telemetry.metrics.call(METHOD, "OK", 0.5)
    telemetry.metrics.call(METHOD, "REFUSED", 0.125)
    found = figures(telemetry)
    ok = (("method", METHOD), ("status", "OK"))
    assert found["heldout.calls", *ok].value == 2
    assert found["heldout.calls", ("method", METHOD), ("status", "REFUSED")].value == 1
    assert found["heldout.call.duration", *ok].sum == 0.75
    assert found["heldout.call.duration", *ok].count == 2


def test_what_is_not_shaped_like_a_method_or_a_status_is_counted_as_other(telemetry):
    telemetry.metrics.call("/heldout.v1.BankService/how do I", "a caller's own text", 0.0)
    assert figures(telemetry)["heldout.calls", ("method", "other"), ("status", "other")].value == 1


def test_attributes_that_are_not_declared_are_not_kept(telemetry):
    counter = telemetry.meters.get_meter("elsewhere").create_counter("heldout.stray")
    counter.add(1, {"prompt": "text", "status": "OK"})
    assert figures(telemetry)["heldout.stray", ("status", "OK")].value == 1


def test_what_a_library_measures_of_its_own_accord_is_not_kept(telemetry):
    telemetry.meters.get_meter("aiohttp").create_counter("http.client.requests").add(1, {"url": "how do I"})
    assert not [key for key in figures(telemetry) if key[0].startswith("http")]


def test_fields_that_no_log_line_could_hold_are_counted(telemetry):
    before = figures(telemetry)["heldout.log.dropped",].value
    keep_declared(None, "info", {"event": "started", "prompt": "text"})
    assert figures(telemetry)["heldout.log.dropped",].value == before + 1


def test_spans_are_kept_without_undeclared_attributes_and_in_a_bounded_number(telemetry):
    tracer = telemetry.tracers.get_tracer("edge")
    for _ in range(KEPT_SPANS + 1):
        with tracer.start_as_current_span("call", attributes={"prompt": "text", "method": METHOD}):
            pass
    spans = telemetry.spans.spans()
    assert len(spans) == KEPT_SPANS
    assert spans[-1].attributes == {"method": METHOD}
    assert spans[-1].attributes.keys() <= ATTRIBUTES
    assert spans[-1].duration_s >= 0


def test_of_a_span_neither_its_name_nor_a_value_nor_an_error_can_carry_prose(telemetry):
    tracer = telemetry.tracers.get_tracer("edge")
    attributes = {"method": "how do I", "status": "OK"}
    with pytest.raises(ValueError, match="text"), tracer.start_as_current_span("how do I", attributes=attributes):
        raise ValueError("text")  # which becomes an event of the span, with its text and its trace
    assert [(one.name, one.attributes) for one in telemetry.spans.spans()] == [("other", {"status": "OK"})]
    assert "text" not in repr(telemetry.spans.spans())


def test_the_figures_go_into_the_log_where_that_is_asked_for():
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    configure_logging(log_format="json", log_level="info", clock=FixedClock(), stream=stream)
    try:
        telemetry = configure_telemetry(metrics_interval_s=3600)
        telemetry.metrics.call(METHOD, "OK", 0.5)
        telemetry.meters.force_flush()
        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
        telemetry.shutdown()
    finally:
        logging.captureWarnings(capture=False)
        root.handlers = handlers
        root.setLevel(level)
        structlog.reset_defaults()
    described = {line["metric"]: (line["method"], line["status"], line["value"]) for line in lines if "method" in line}
    assert described == {"heldout.calls": (METHOD, "OK", 1), "heldout.call.duration": (METHOD, "OK", 0.5)}
    assert [line["count"] for line in lines if line["metric"] == "heldout.call.duration"] == [1]
    assert not any("dropped_fields" in line for line in lines)


def test_what_arrives_is_counted_apart_from_what_ends(telemetry):
    telemetry.metrics.arrived(METHOD)
    telemetry.metrics.arrived("a caller's own text")
    found = figures(telemetry)
    assert found["heldout.calls.arrived", ("method", METHOD)].value == 1
    assert found["heldout.calls.arrived", ("method", "other")].value == 1
    assert not any(key[0] == "heldout.calls" for key in found)
