"""An epoch becomes known: its commitment in the log, cards compared with its prompts, its budget in the window."""

from __future__ import annotations

from heldout_server.bank import SqlBank
from heldout_server.ports.audit import AuditLog, Record
from heldout_server.ports.release import ReleaseDesk
from heldout_server.release import CardsDesk


async def announce_epochs(bank: SqlBank, audit: AuditLog, desk: ReleaseDesk, cards: CardsDesk) -> None:
    """Log every epoch that is not known to stand in the log, review the cards, and publish what the newest has left.

    After an epoch was opened, and at each start: a crash may have come in between. One between the leaf and the note of
    it leaves two leaves of the same words.

    Raises:
        StorageError: the log or a database cannot be written.
    """
    for epoch in await bank.unlogged_epochs():
        await audit.append(
            Record(
                kind="event",
                name="epoch",
                details={
                    "epoch_id": epoch.epoch_id,
                    "number": epoch.number,
                    "commitment": epoch.commitment,
                    "units": epoch.units,
                },
            )
        )
        await bank.note_logged(epoch.epoch_id)
    await cards.review()
    await desk.refresh_budget()
