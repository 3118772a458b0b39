"""RFC 5424 messages over TCP or TLS (octet counting, RFC 6587 and 5425), UDP (RFC 5426), or a local socket."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from heldout.errors import HeldoutClientError
from heldout.siem.sink import SinkError, as_json, severity
from heldout.verification.entry import Entry

FACILITY: Final = 13
"""Log audit (RFC 5424, table 1)."""

SD_ID: Final = "heldout@32473"
"""No enterprise number is ours: 32473 is the one that RFC 5612 keeps for such cases."""

PORTS: Final = {"tcp": 601, "tls": 6514, "udp": 514}
TIMEOUT_S: Final = 10.0
MOST_HOSTNAME: Final = 255

_ESCAPED: Final = re.compile(r'(["\\\]])')
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_UNPRINTABLE: Final = re.compile(r"[^!-~]")


@dataclass(frozen=True, slots=True)
class Target:
    """Say where messages go.

    Attributes:
        scheme: ``tcp``, ``tls``, ``udp`` or ``unix``.
        host: its name; of a local socket its path.
        port: 0 for a local socket.
    """

    scheme: str
    host: str
    port: int = 0


def parse_target(url: str) -> Target:
    """Read ``tcp://host:601``, ``tls://host:6514``, ``udp://host:514`` or ``unix:/dev/log``.

    Raises:
        HeldoutClientError: it is something else.
    """
    parts = urlsplit(url)
    try:
        if parts.scheme == "unix" and parts.path:
            return Target("unix", parts.path)
        if parts.scheme in PORTS and parts.hostname:
            return Target(parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme])
    except ValueError:
        pass
    raise HeldoutClientError("a syslog target is tcp://host:port, tls://host:port, udp://host:port or unix:/dev/log")


def message(entry: Entry, *, origin: str) -> bytes:
    """Return an entry as an RFC 5424 message: its fields as structured data, all of it as JSON."""
    time = dt.datetime.fromtimestamp(entry.time_s, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    host = _UNPRINTABLE.sub("_", origin)[:MOST_HOSTNAME]
    fields = {"log": origin, "index": entry.index, "name": entry.name, "identity": entry.identity, "role": entry.role}
    for key in ("decision", "status"):
        if key in entry.details:
            fields[key] = str(entry.details[key])
    data = " ".join(f'{key}="{_escape(str(value))}"' for key, value in fields.items())
    priority = FACILITY * 8 + severity(entry)
    return f"<{priority}>1 {time} {host} heldout - {entry.kind} [{SD_ID} {data}] {as_json(entry)}".encode()


def _escape(value: str) -> str:
    """Escape a parameter's value (RFC 5424 section 6.3.3); a line break in it would end the message for some."""
    return _ESCAPED.sub(r"\\\1", _CONTROL.sub("_", value))


class SyslogSink:
    """Send entries to a syslog receiver. What it takes is not acknowledged: syslog knows no such thing.

    Args:
        target: where to.
        authority: PEM file of the authority of a TLS receiver; the system's if None.
    """

    def __init__(self, target: Target, *, authority: str | None = None) -> None:
        self._target = target
        self._authority = authority
        self._socket: socket.socket | None = None

    def send(self, entries: Sequence[Entry], *, origin: str) -> None:
        """Send entries.

        Raises:
            SinkError: the receiver cannot be reached, or hung up.
        """
        messages = [message(entry, origin=origin) for entry in entries]
        try:
            connection = self._socket = self._socket or self._connect()
            if self._target.scheme in {"tcp", "tls"}:
                connection.sendall(b"".join(b"%d %b" % (len(one), one) for one in messages))
            else:
                for one in messages:
                    connection.send(one)
        except OSError as error:
            self.close()
            where = f"{self._target.host}:{self._target.port}" if self._target.port else self._target.host
            raise SinkError(f"syslog at {where}: {error.strerror or error}") from None

    def close(self) -> None:
        """Give up the connection."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None

    def _connect(self) -> socket.socket:
        target = self._target
        if target.scheme == "unix":
            return _datagrams(socket.AF_UNIX, target.host)
        if target.scheme == "udp":
            family, *_, address = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_DGRAM)[0]
            return _datagrams(family, address)
        stream = socket.create_connection((target.host, target.port), timeout=TIMEOUT_S)
        if target.scheme == "tcp":
            return stream
        context = ssl.create_default_context(cafile=self._authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        with contextlib.ExitStack() as stack:
            stack.callback(stream.close)
            wrapped = context.wrap_socket(stream, server_hostname=target.host)
            stack.pop_all()
        return wrapped


def _datagrams(family: int, address: Any) -> socket.socket:
    with contextlib.ExitStack() as stack:
        datagrams = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        datagrams.settimeout(TIMEOUT_S)
        datagrams.connect(address)
        stack.pop_all()
    return datagrams
