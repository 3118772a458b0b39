"""OpenTelemetry log records over HTTP, in JSON (OTLP 1.x, ``/v1/logs``)."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from heldout.errors import HeldoutClientError
from heldout.siem.sink import INFORMATIONAL, NOTICE, WARNING, SinkError, as_json, severity
from heldout.verification.entry import Entry

PATH: Final = "/v1/logs"
TIMEOUT_S: Final = 10.0
MOST_ANSWER_BYTES: Final = 1 << 16
NANO: Final = 1_000_000_000
OK: Final = 200
SEVERITIES: Final = {WARNING: (13, "WARN"), NOTICE: (10, "INFO2"), INFORMATIONAL: (9, "INFO")}
"""Numbers and names of the logs data model, by severity of RFC 5424 (its appendix B)."""


def payload(entries: Sequence[Entry], *, origin: str, now_s: float) -> dict[str, Any]:
    """Return the body of a request that exports entries as log records."""
    resource = {"attributes": [_attribute("service.name", "heldout"), _attribute("heldout.log", origin)]}
    records = [_record(entry, now_s=now_s) for entry in entries]
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": {"name": "heldout.audit"},
                                                                   "logRecords": records}]}]}  # fmt: skip


class OtlpSink:
    """Send entries to an OpenTelemetry collector, and wait until it has taken them.

    Args:
        url: of the collector, such as ``http://127.0.0.1:4318``; ``/v1/logs`` is added where it names no path.
        now_s: tells the time.
        authority: PEM file of the authority of an HTTPS collector; the system's if None.

    Raises:
        HeldoutClientError: the address is not one.
    """

    def __init__(self, url: str, *, now_s: Callable[[], float], authority: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise HeldoutClientError("an OTLP collector is http://host:4318 or https://host:4318")
        self._parts = parts
        self._path = parts.path if parts.path.strip("/") else PATH
        self._now_s = now_s
        self._authority = authority

    def send(self, entries: Sequence[Entry], *, origin: str) -> None:
        """Send entries.

        Raises:
            SinkError: the collector cannot be reached, or did not take all of them.
        """
        body = json.dumps(payload(entries, origin=origin, now_s=self._now_s()))
        connection = self._connect()
        try:
            connection.request("POST", self._path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read(MOST_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise SinkError(f"{self._parts.netloc}: {type(error).__name__}") from None
        finally:
            connection.close()
        if answer.status != OK:
            raise SinkError(f"{self._parts.netloc}: answered {answer.status}")
        if rejected := _rejected(said):
            raise SinkError(f"{self._parts.netloc}: did not take {rejected} of {len(entries)} entries")

    def close(self) -> None:
        """Do nothing: each request has its own connection."""

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        context = ssl.create_default_context(cafile=self._authority)
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)


def _rejected(answer: bytes) -> int:
    try:
        return int(json.loads(answer or b"{}").get("partialSuccess", {}).get("rejectedLogRecords", 0))
    except (ValueError, AttributeError, TypeError):
        return 0  # it said 200


def _record(entry: Entry, *, now_s: float) -> dict[str, Any]:
    number, text = SEVERITIES[severity(entry)]
    attributes = {"index": entry.index, "kind": entry.kind, "name": entry.name, "identity": entry.identity,
                  "role": entry.role, "counter": entry.counter}  # fmt: skip
    attributes |= {f"details.{key}": value for key, value in entry.details.items()}
    return {
        "timeUnixNano": str(entry.time_s * NANO),
        "observedTimeUnixNano": str(int(now_s * NANO)),
        "severityNumber": number,
        "severityText": text,
        "body": {"stringValue": as_json(entry)},
        "attributes": [_attribute(f"heldout.{key}", value) for key, value in attributes.items()],
    }


def _attribute(key: str, value: object) -> dict[str, Any]:
    return {"key": key, "value": _any_value(value)}


def _any_value(value: object) -> dict[str, Any]:
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, tuple):
        return {"arrayValue": {"values": [_any_value(one) for one in value]}}
    return {"stringValue": str(value)}
