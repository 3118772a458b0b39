"""Noise that was stored is never replaced, whoever comes with another draw."""

from __future__ import annotations

from heldout_server.release import ledger
from heldout_server.release.ledger import SlotState


async def test_the_first_bytes_stay(house):
    desk = house.open()
    await desk.reserve(house.propose("run-1"))

    def work(connection):
        release_id = ledger.find_slot(connection, "run-1").release_id
        return [ledger.store_document(connection, release_id, document) for document in (b"first", b"second")]

    slots = await desk._database.write(work)
    assert [(slot.state, slot.document) for slot in slots] == [(SlotState.PENDING, b"first")] * 2
