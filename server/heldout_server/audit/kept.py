"""Calls and events that come while no log is open: kept in a file, and put into the log once it is.

The file is JSON lines, mode 0600, synced line by line. It holds no share and no answer, only what the log will say.
Nothing signs it: until the appliance is unsealed, whoever can write to its disk can take lines out (SECURITY.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from heldout_server.audit.entry import EVENT, INTENT, OUTCOME
from heldout_server.errors import IntegrityError, StorageError
from heldout_server.ports.audit import AuditLog, Logged, Record
from heldout_server.ports.seal import KeptCall

MOST_KEPT: Final = 10_000
"""Calls beyond it are counted."""


class KeptFile:
    """Keep calls. Implements :class:`heldout_server.ports.seal.KeptCalls`.

    Args:
        path: of the file; what an earlier process kept there is still to be logged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = _read(path)

    async def keep(self, call: KeptCall, *, anyway: bool = False) -> bool:
        """Keep a call, durable; say whether there was room for it.

        Raises:
            StorageError: it cannot be kept. Nothing may be answered then.
        """
        if len(self._lines) >= MOST_KEPT and not anyway:
            return False
        await self._add(dataclasses.asdict(call))
        return True

    async def keep_event(self, name: str, *, at_s: int) -> None:
        """Keep an event, durable.

        Raises:
            StorageError: it cannot be kept.
        """
        await self._add({"name": name, "at_s": at_s})

    async def record(self, log: AuditLog, *, policy_digest: str) -> dict[str, Logged]:
        """Put everything that was kept into the log, durable, then forget it.

        A crash between the two leaves the same words in the log twice.

        Returns:
            The outcome of the last call of each identity.

        Raises:
            StorageError: the log cannot be written.
            IntegrityError: the file holds something else.
        """
        outcomes: dict[str, Logged] = {}
        lines, self._lines = self._lines, []
        for line in lines:
            try:
                call = KeptCall(**{**line, "rules": tuple(line["rules"])}) if "identity" in line else None
            except (TypeError, KeyError):
                raise _damaged(self._path) from None
            if call is None:
                await log.append(Record(kind=EVENT, name=str(line["name"]), details={"at_s": int(line["at_s"])}))
            else:
                outcomes[call.identity] = await _record(log, call, policy_digest=policy_digest)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        return outcomes

    async def _add(self, line: Mapping[str, Any]) -> None:
        self._lines.append(dict(line))
        try:
            await asyncio.to_thread(_append, self._path, json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise StorageError(
                f"{self._path.name}: cannot be written ({error.strerror})", reason="KEPT_CALLS"
            ) from None


async def _record(log: AuditLog, call: KeptCall, *, policy_digest: str) -> Logged:
    intent = await log.append(
        Record(
            kind=INTENT,
            name=call.name,
            identity=call.identity,
            role=call.role,
            details={
                "at_s": call.at_s,
                "decision": call.decision,
                "policy_digest": policy_digest,
                "request_sha256": call.request_sha256,
                "rules": call.rules,
            },
        )
    )
    details: dict[str, str | int] = {"intent": intent.index, "counter": intent.counter, "status": call.status}
    if call.response_sha256:
        details["response_sha256"] = call.response_sha256
    return await log.append(
        Record(kind=OUTCOME, name=call.name, identity=call.identity, role=call.role, details=details)
    )


def _append(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> list[dict[str, Any]]:
    """Return what is in the file; a last line that a crash cut off was never answered."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror})", reason="KEPT_CALLS") from None
    whole, _, cut_off = content.rpartition(b"\n")
    if cut_off:
        os.truncate(path, len(content) - len(cut_off))
    try:
        lines = [json.loads(line) for line in whole.split(b"\n")] if whole else []
    except ValueError:
        raise _damaged(path) from None
    if not all(isinstance(line, dict) and {"name", "at_s"} <= line.keys() for line in lines):
        raise _damaged(path)
    return lines


def _damaged(path: Path) -> IntegrityError:
    return IntegrityError(
        f"{path}: it should hold the calls that came while the appliance was sealed, and is damaged. Keep it for the"
        " auditor and move it away; nothing was started.",
        reason="KEPT_CALLS_BROKEN",
    )
