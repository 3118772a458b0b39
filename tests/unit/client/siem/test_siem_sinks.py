"""Entries on their way to a SIEM: their form on the wire, and what is not taken for delivered."""

import http.server
import json
import re
import socket
import threading

import pytest

from heldout.errors import HeldoutClientError
from heldout.siem import OtlpSink, SinkError, SyslogSink, parse_target
from heldout.siem.otlp import payload
from heldout.siem.syslog import message
from heldout.verification.entry import Entry

NOW_S = 1_795_600_000.0
ORIGIN = "lab/window"
RFC5424 = re.compile(
    r"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (\S{1,255}) (\S{1,48}) (\S{1,128}) (\S{1,32}) (\[.*?[^\\]\]) (.*)"
)


def entry(index=7, kind="intent", name="/heldout.v1.BankService/GetStats", **details):
    identity = "" if kind == "event" else "spiffe://heldout.example/trainer"
    return Entry(
        index=index, kind=kind, name=name, identity=identity, role="trainer", time_s=1_795_572_840,
        counter=3, details=details or {"decision": "allow", "rules": ("one",)},
    )  # fmt: skip


def parse(raw):
    return RFC5424.fullmatch(raw.decode()).groups()


def test_a_message_has_the_form_of_rfc_5424():
    priority, time, host, app, process, kind, data, text = parse(message(entry(), origin=ORIGIN))
    assert (priority, time) == (str(13 * 8 + 6), "2026-11-25T02:14:00Z")
    assert (host, app, process, kind) == ("lab/window", "heldout", "-", "intent")
    assert data.startswith('[heldout@32473 log="lab/window" index="7" name="/heldout.v1.BankService/GetStats"')
    assert 'decision="allow"' in data
    assert json.loads(text)["details"] == {"decision": "allow", "rules": ["one"]}


@pytest.mark.parametrize(
    ("weighed", "severity"),
    [
        (entry(), 6),
        (entry(decision="deny"), 4),
        (entry(name="unknown-method", request_mac="x"), 4),
        (entry(kind="event", name="release", number=1), 5),
        (entry(kind="event", name="denials", count=9), 4),
        (entry(kind="event", name="restore", database="bank"), 4),
        (entry(kind="outcome", status="OK"), 6),
    ],
)
def test_what_matters_more_is_more_severe(weighed, severity):
    assert int(parse(message(weighed, origin=ORIGIN))[0]) == 13 * 8 + severity


def test_nothing_in_an_entry_can_break_out_of_its_field():
    hostile = entry(name='n"] [evil x="1', status='a\\"]b')
    *_, data, text = parse(message(hostile, origin="two words\n"))
    assert r'name="n\"\] [evil x=\"1"' in data
    assert r'status="a\\\"\]b"' in data
    assert "\n" not in text
    assert parse(message(entry(), origin="two words\n"))[2] == "two_words_"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("tcp://siem.example", ("tcp", "siem.example", 601)),
        ("tls://siem.example", ("tls", "siem.example", 6514)),
        ("udp://127.0.0.1:5514", ("udp", "127.0.0.1", 5514)),
        ("unix:/dev/log", ("unix", "/dev/log", 0)),
        ("unix:///dev/log", ("unix", "/dev/log", 0)),
    ],
)
def test_targets_are_read(url, place):
    target = parse_target(url)
    assert (target.scheme, target.host, target.port) == place


@pytest.mark.parametrize("url", ["siem.example:514", "http://x", "tcp://", "tcp://x:99999", "unix:", ""])
def test_other_targets_are_refused(url):
    with pytest.raises(HeldoutClientError, match="a syslog target is"):
        parse_target(url)


def test_over_tcp_each_message_comes_after_its_length():
    with socket.create_server(("127.0.0.1", 0)) as server:
        sink = SyslogSink(parse_target(f"tcp://127.0.0.1:{server.getsockname()[1]}"))
        sink.send([entry(1), entry(2)], origin=ORIGIN)
        sink.send([entry(3)], origin=ORIGIN)
        sink.close()
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as stream:
            data = stream.read()
    indices = []
    while data:
        length, _, rest = data.partition(b" ")
        indices.append(json.loads(parse(rest[: int(length)])[-1])["index"])
        data = rest[int(length) :]
    assert indices == [1, 2, 3]


@pytest.mark.parametrize("scheme", ["udp", "unix"])
def test_a_datagram_is_a_message(scheme, tmp_path):
    family = socket.AF_INET if scheme == "udp" else socket.AF_UNIX
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0) if scheme == "udp" else str(tmp_path / "log"))
        server.settimeout(5)
        url = f"udp://127.0.0.1:{server.getsockname()[1]}" if scheme == "udp" else f"unix:{tmp_path / 'log'}"
        sink = SyslogSink(parse_target(url))
        sink.send([entry(1), entry(2)], origin=ORIGIN)
        assert [json.loads(parse(server.recv(9000))[-1])["index"] for _ in range(2)] == [1, 2]
        sink.close()


def test_a_receiver_that_is_not_there_is_no_delivery(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(SinkError, match=f"127.0.0.1:{port}"):
        SyslogSink(parse_target(f"tcp://127.0.0.1:{port}")).send([entry()], origin=ORIGIN)
    with pytest.raises(SinkError):
        SyslogSink(parse_target(f"unix:{tmp_path}/none")).send([entry()], origin=ORIGIN)
    with pytest.raises(SinkError):
        OtlpSink(f"http://127.0.0.1:{port}", now_s=lambda: NOW_S).send([entry()], origin=ORIGIN)


def test_log_records_have_the_form_of_otlp():
    body = payload([entry(decision="deny", tried=2, rules=("one", "two"))], origin=ORIGIN, now_s=NOW_S)
    (resource,) = body["resourceLogs"]
    names = {each["key"]: each["value"] for each in resource["resource"]["attributes"]}
    assert names == {"service.name": {"stringValue": "heldout"}, "heldout.log": {"stringValue": ORIGIN}}
    (record,) = resource["scopeLogs"][0]["logRecords"]
    assert record["timeUnixNano"] == "1795572840000000000"
    assert record["observedTimeUnixNano"] == "1795600000000000000"
    assert (record["severityNumber"], record["severityText"]) == (13, "WARN")
    attributes = {each["key"]: each["value"] for each in record["attributes"]}
    assert attributes["heldout.details.tried"] == {"intValue": "2"}
    values = attributes["heldout.details.rules"]["arrayValue"]["values"]
    assert values == [{"stringValue": "one"}, {"stringValue": "two"}]


@pytest.fixture
def collector():
    """A collector that keeps what it is sent and answers what it is told to."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["Content-Length"])
            self.server.received.append((self.path, json.loads(self.rfile.read(length))))
            self.send_response(self.server.status)
            self.end_headers()
            self.wfile.write(self.server.answer)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.received, server.status, server.answer = [], 200, b"{}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def otlp(collector, path=""):
    return OtlpSink(f"http://127.0.0.1:{collector.server_port}{path}", now_s=lambda: NOW_S)


def test_entries_are_delivered_once_the_collector_has_taken_them(collector):
    otlp(collector).send([entry(1), entry(2)], origin=ORIGIN)
    otlp(collector, "/custom").send([entry(3)], origin=ORIGIN)
    assert [path for path, _ in collector.received] == ["/v1/logs", "/custom"]
    records = collector.received[0][1]["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert [json.loads(record["body"]["stringValue"])["index"] for record in records] == [1, 2]


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (503, b"", "answered 503"),
        (400, b"{}", "answered 400"),
        (200, b'{"partialSuccess": {"rejectedLogRecords": "1"}}', "did not take 1 of 2"),
    ],
)
def test_what_the_collector_did_not_take_is_not_delivered(collector, status, answer, said):
    collector.status, collector.answer = status, answer
    with pytest.raises(SinkError, match=said):
        otlp(collector).send([entry(1), entry(2)], origin=ORIGIN)


@pytest.mark.parametrize("answer", [b"", b"{}", b"[]", b"ok", b'{"partialSuccess": {}}'])
def test_a_collector_that_says_200_has_taken_them(collector, answer):
    collector.answer = answer
    otlp(collector).send([entry(1)], origin=ORIGIN)


@pytest.mark.parametrize("url", ["127.0.0.1:4318", "grpc://x:4317", "http://"])
def test_other_collectors_are_refused(url):
    with pytest.raises(HeldoutClientError, match="an OTLP collector is"):
        OtlpSink(url, now_s=lambda: NOW_S)
