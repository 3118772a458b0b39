"""The leaf of a release in the vault's log: what it says, and how it is found after a crash between two writes."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import Final

from heldout_server.domain import Run
from heldout_server.ports.audit import AuditLog, Logged, Record
from heldout_server.release.ledger import Slot

PAGE_LEAVES: Final = 1_000
NAME: Final = "release"


def release_record(slot: Slot, run: Run) -> Record:
    """Return what stands in the log of a release whose document is stored: names and digests alone."""
    return Record(
        kind="event",
        name=NAME,
        details={
            "release_id": slot.release_id,
            "run_id": slot.run_id,
            "epoch_id": slot.epoch_id,
            "number": slot.number,
            "document_sha256": hashlib.sha256(slot.document).hexdigest(),
            "policy_digest": run.manifest.policy_digest,
            "manifest_digest": run.digest,
        },
    )


async def find_release(audit: AuditLog, slot: Slot, *, start: int) -> Logged | None:
    """Return the leaf that names this release with its digest, among the leaves from ``start`` on; or None.

    Raises:
        StorageError: the log cannot be read.
        IntegrityError: a leaf is not what was hashed.
    """
    wanted = {"release_id": slot.release_id, "document_sha256": hashlib.sha256(slot.document).hexdigest()}
    while entries := await audit.entries(start=start, limit=PAGE_LEAVES):
        for index, entry in enumerate(entries, start):
            if slot.release_id.encode() not in entry:
                continue
            fields = json.loads(entry)
            if fields["name"] == NAME and wanted.items() <= fields["details"].items():
                proof = await audit.prove(index)
                return Logged(index, entry, partial(str, proof))
        start += len(entries)
    return None
