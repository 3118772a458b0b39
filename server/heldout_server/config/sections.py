"""Read the sections that ``config.toml`` and ``window.toml`` both have, with the same meaning."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from heldout_server.config.reader import Reader
from heldout_server.domain import IDENTIFIER

MAX_PORT: Final = 65_535
ADDRESS: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
"""``host:port``, IPv6 in brackets."""

LogFormat: TypeAlias = Literal["console", "json"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Appliance:
    """``[appliance]``: its name, an identifier; the logs are called ``<name>/vault`` and ``<name>/window``."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """``[listen]``: ``host:port`` of the service and of the health server; port 0 takes any that is free."""

    address: str
    health_address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """``[tls]``: PEM files of the CA that client certificates come from, and of the server's own certificate."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """``[policy]``: the folder of the signed documents, and the public key that must have signed."""

    folder: Path
    signer: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """``[telemetry]``: the log's form and level; seconds between metric lines in it (1 to 3600, or 0 for none)."""

    log_format: LogFormat
    log_level: LogLevel
    metrics_interval_s: float


def read_appliance(reader: Reader) -> Appliance:
    """Read ``[appliance]``.

    Raises:
        ConfigError: its name is missing or no identifier.
    """
    return Appliance(name=reader.text("appliance", "name", IDENTIFIER, "an identifier such as heldout-dev"))


def read_tls(reader: Reader) -> Tls:
    """Read ``[tls]``.

    Raises:
        ConfigError: a file is missing.
    """
    return Tls(
        ca=reader.file("tls", "ca"), certificate=reader.file("tls", "certificate"), key=reader.file("tls", "key")
    )


def read_policy(reader: Reader) -> Policy:
    """Read ``[policy]``.

    Raises:
        ConfigError: its folder or its signer is missing.
    """
    return Policy(folder=reader.directory("policy", "folder"), signer=reader.file("policy", "signer"))


def read_telemetry(reader: Reader) -> Telemetry:
    """Read ``[telemetry]``.

    Raises:
        ConfigError: something in it is malformed or out of range.
    """
    return Telemetry(
        log_format=reader.choice("telemetry", "log_format", LogFormat, default="console"),
        log_level=reader.choice("telemetry", "log_level", LogLevel, default="info"),
        metrics_interval_s=_metrics_interval(reader),
    )


def read_listen(reader: Reader) -> Listen:
    """Read ``[listen]``.

    Raises:
        ConfigError: an address is missing or none, or both are the same.
    """
    example = "host:port such as 127.0.0.1:7443"
    addresses = [reader.text("listen", key, ADDRESS, example) for key in ("address", "health_address")]
    for key, address in zip(("address", "health_address"), addresses, strict=True):
        if int(address.rpartition(":")[2]) > MAX_PORT:
            raise reader.place("listen", key).error(f"there is no port above {MAX_PORT}", f"set listen.{key}")
    if addresses[0] == addresses[1] and not addresses[0].endswith(":0"):
        problem = "the same as listen.address"
        raise reader.place("listen", "health_address").error(problem, "health needs a port of its own")
    return Listen(address=addresses[0], health_address=addresses[1])


def _metrics_interval(reader: Reader) -> float:
    interval_s = reader.number("telemetry", "metrics_interval_s", low=0, high=3600, default=0.0)
    if 0 < interval_s < 1:
        problem = "must be 0, or 1 to 3600"
        raise reader.place("telemetry", "metrics_interval_s").error(problem, "0 writes no metrics into the log")
    return interval_s
