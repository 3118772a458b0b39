"""Find the leaf of a release that a crash cut off between the log's write and ours."""

from __future__ import annotations

import json
from functools import partial
from typing import Final

from heldout_server.ports.audit import AuditLog, Logged

PAGE_LEAVES: Final = 1_000


async def find_release(audit: AuditLog, *, start: int, release_id: str, document_sha256: str) -> Logged | None:
    """Return the leaf that names this release with this digest, among the leaves from ``start`` on; or None.

    Raises:
        StorageError: the log cannot be read.
        IntegrityError: a leaf is not what was hashed.
    """
    wanted = {"release_id": release_id, "document_sha256": document_sha256}
    while entries := await audit.entries(start=start, limit=PAGE_LEAVES):
        for index, entry in enumerate(entries, start):
            if release_id.encode() not in entry:
                continue
            fields = json.loads(entry)
            if fields["name"] == "release" and wanted.items() <= fields["details"].items():
                proof = await audit.prove(index)
                return Logged(index, entry, partial(str, proof))
        start += len(entries)
    return None
