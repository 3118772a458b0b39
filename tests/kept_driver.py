"""Put kept calls into a log and tell each leaf that was acknowledged, until it is done or killed.

::

    python kept_driver.py FOLDER

The log is ``FOLDER/audit.db``, the file ``FOLDER/sealed-calls.jsonl``. Each acknowledged leaf is a line on stdout, and
so is ``done``.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from pathlib import Path

from heldout_server.audit import UNSEAL, KeptFile
from heldout_server.ports.audit import Record
from key_ring_fakes import OneSecretKeyRing
from log_driver import open_log


async def drive(folder: Path) -> None:
    """Do as an appliance does that opens."""
    log = await open_log(folder)
    append = log.append

    def tell(record):
        answer = append(record)
        answer.add_done_callback(lambda logged: print(logged.result().index, flush=True))  # noqa: T201 - to whoever kills
        return answer

    log.append = tell
    await log.append(Record(kind="event", name="start"))
    file = KeptFile(folder / "sealed-calls.jsonl", random_bytes=secrets.token_bytes)
    recorded = await file.record(log, OneSecretKeyRing(), policy_digest="00" * 32)
    details = {
        "kept": recorded.lines,
        "kept_head": recorded.head,
        "kept_signed": str(recorded.signed),
        "row": recorded.row,
    }
    await log.append(Record(kind="event", name=UNSEAL, details=details))
    await log.close()
    print("done", flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(drive(Path(sys.argv[1])))
