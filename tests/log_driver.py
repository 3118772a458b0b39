"""Append to a log under mixed load until it is killed, and tell each leaf that was acknowledged.

::

    python log_driver.py FOLDER ACKNOWLEDGED [LEAVES]

The log is ``FOLDER/audit.db``, and where ``FOLDER/second`` is a folder, that is its second device. Each acknowledged
leaf becomes a line ``index sha256`` of ``ACKNOWLEDGED``, written at once. With LEAVES it ends by itself after so many.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from heldout_policy.witness import Witnessing
from heldout_server.audit import Pace, SqlAuditLog
from heldout_server.environment import SystemClock
from heldout_server.ports.audit import Record
from witness_lab import TestWitness

KEY = bytes(range(32))
ORIGIN = "lab/vault"
CALLERS = 8
WITNESS = TestWitness()


async def open_log(folder: Path, **changes) -> SqlAuditLog:
    """Open the log of a driver."""
    second = folder / "second"
    settings = {
        "key": KEY,
        "origin": ORIGIN,
        "signing_key": Ed25519PrivateKey.from_private_bytes(KEY),
        "mac_key": KEY,
        "clock": SystemClock(),
        "second": second / "audit.db" if second.is_dir() else None,
        "witnessing": Witnessing(keys=(WITNESS.key,), maximum_age_s=3600),
        "commit_deadline_s": 60.0,
    }
    return await SqlAuditLog.open(folder / "audit.db", **(settings | changes))


async def drive(folder: Path, acknowledged: Path, leaves: int) -> None:
    """Append from many callers at once."""
    log = await open_log(folder)
    told = os.open(acknowledged, os.O_WRONLY | os.O_CREAT)
    os.lseek(told, 0, os.SEEK_END)
    numbers = iter(range(leaves)) if leaves else itertools.count()

    async def append(record):
        logged = await log.append(record)
        os.write(told, f"{logged.index} {hashlib.sha256(logged.entry).hexdigest()}\n".encode())
        return logged.index

    async def call(caller):
        identity = f"spiffe://heldout.example/caller-{caller}"
        for number in numbers:
            if number % 17 == 0:
                await append(Record(kind="event", name="checkpoint", details={"name": "n" * (number % 500)}))
            who = {"name": "/heldout.v1.BankService/GetStats", "identity": identity, "role": "trainer"}
            intent = await append(Record(kind="intent", **who))
            if number % 5 == 0:
                await log.entries(start=max(0, intent - 20), limit=20)
            await append(Record(kind="outcome", details={"intent": intent, "status": "OK"}, **who))
            if number % 29 == 0:
                await log.add_cosignatures(WITNESS.cosign(log.checkpoint(), 1_700_000_000))

    auditing = asyncio.ensure_future(log.audit_itself(Pace(leaves_per_s=20_000, pause_s=0.01)))
    await asyncio.gather(*(call(caller) for caller in range(CALLERS)))
    auditing.cancel()
    await asyncio.wait({auditing})
    await log.close()


if __name__ == "__main__":
    folder, acknowledged, *more = sys.argv[1:]
    asyncio.run(drive(Path(folder), Path(acknowledged), int(more[0]) if more else 0))
