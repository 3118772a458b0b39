"""Take ``principals.toml`` and the certificates anew, while the appliance runs.

Both are read again when one of their files changes, and on request (SIGHUP). What does not hold is not taken: the old
stays in force. Either way an event ``reload`` in both logs says so. Nothing else reloads: rules and the release policy
hold until the next start.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

import structlog

from heldout_policy.errors import PolicyError
from heldout_policy.principals import parse_principals
from heldout_server.api.server import ShownCertificates
from heldout_server.app.documents import decode_document, read_document
from heldout_server.app.door import read_certificates
from heldout_server.app.policies import PRINCIPALS, Policies
from heldout_server.config import AnyConfig
from heldout_server.errors import ConfigError
from heldout_server.ports.audit import AuditLog, Record
from heldout_server.ports.environment import Clock

CERTIFICATES: Final = "certificates"
Seen: TypeAlias = tuple[tuple[int, int, int] | None, ...]
"""Of each file its inode, time of change in ns, and size in bytes; None where it is not there."""

_log = structlog.get_logger("reload")


class Reloader:
    """Compare files with what was read of them, and take what is new."""

    def __init__(
        self,
        config: AnyConfig,
        policies: Policies,
        shown: ShownCertificates,
        logs: Mapping[str, AuditLog],
        clock: Clock,
    ) -> None:
        self._config = config
        self._policies = policies
        self._shown = shown
        self._logs = logs
        self._clock = clock
        tls = config.tls
        self._principals = config.policy.folder / PRINCIPALS
        self._certificates = (tls.ca, tls.certificate, tls.key)
        self._seen_principals = _look_at(self._principals)
        self._seen_certificates = _look_at(*self._certificates)

    async def look(self, *, asked: bool) -> None:
        """Take what changed; if asked, take everything again.

        Raises:
            StorageError: a log cannot be written.
        """
        seen = _look_at(self._principals)  # before reading: what changes meanwhile is read once more
        if asked or seen != self._seen_principals:
            self._seen_principals = seen
            await self._take(PRINCIPALS, self._prepare_principals)
        seen = _look_at(*self._certificates)
        if asked or seen != self._seen_certificates:
            self._seen_certificates = seen
            await self._take(CERTIFICATES, self._prepare_certificates)

    async def _take(self, document: str, prepare: Callable[[], dict[str, str]]) -> None:
        details: dict[str, str | int] = {"document": document, "status": "OK"}
        try:
            details |= prepare()
        except PolicyError as error:
            details |= {"status": "REFUSED", "reason": "POLICY", "line": error.line or 0, "key": error.key}
        except ConfigError as error:
            details |= {"status": "REFUSED", "reason": error.reason}
        record = Record(kind="event", name="reload", details={**details, **self._policies.documents.digests()})
        # Nothing is awaited between here and the change: calls that stand before this event were decided by the old.
        appended = [log.append(record) for log in self._logs.values()]
        if details["status"] == "REFUSED":
            line, key = details.get("line", 0), details.get("key", "")
            _log.warning(
                "reload_refused", document=document, reason=details["reason"], document_line=line, document_key=key
            )
        else:
            _log.info("reloaded", document=document)
        await asyncio.gather(*appended)

    def _prepare_principals(self) -> dict[str, str]:
        content = read_document(self._principals)
        self._policies.take_principals(content, parse_principals(decode_document(content, PRINCIPALS)))
        return {}

    def _prepare_certificates(self) -> dict[str, str]:
        certificates = read_certificates(self._config, now_s=self._clock.now_s())
        self._shown.replace(certificates)
        return {
            "authority_sha256": hashlib.sha256(certificates.authority).hexdigest(),
            "certificate_sha256": hashlib.sha256(certificates.certificate).hexdigest(),
        }


def _look_at(*paths: Path) -> Seen:
    return tuple(_stat(path) for path in paths)


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
