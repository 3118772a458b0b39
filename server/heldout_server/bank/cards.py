"""The cards in the bank's database: :class:`heldout_server.ports.cards.CardStore`.

Every card that was proposed stays; the newest of a technique is the one that counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from heldout_server.anchored_database import AnchoredDatabase
from heldout_server.card_document import decode_card, encode_card
from heldout_server.database import Connection
from heldout_server.ports.cards import CardState, StoredCard

_NEWEST: Final = (
    "SELECT number, text, digest, author, state, decided_by, withheld, proposed_s FROM card"
    " WHERE number IN (SELECT max(number) FROM card GROUP BY technique) ORDER BY technique"
)


class SqlCardStore:
    """Keep cards beside the prompts that they are compared with."""

    def __init__(self, database: AnchoredDatabase) -> None:
        self._database = database

    async def newest(self) -> Mapping[str, StoredCard]:
        """Return the newest card of every technique that has one, by technique in order.

        Raises:
            IntegrityError: a text is not what its digest says.
        """

        def work(connection: Connection) -> dict[str, StoredCard]:
            found = (_stored(row) for row in connection.execute(_NEWEST).fetchall())
            return {one.card.technique: one for one in found}

        return await self._database.read(work)

    async def put(self, cards: Sequence[StoredCard]) -> None:
        """Store what is new (``number`` 0), and what was decided of what is there; all or none."""
        await self._database.write(lambda connection: _put(connection, cards))

    async def reviewed(self) -> int:
        """Return the number of the newest epoch at whose opening the published cards were compared anew; 0 for none."""
        return await self._database.read(
            lambda connection: int(connection.execute("SELECT coalesce(max(epoch), 0) FROM card_review").fetchone()[0])
        )

    async def note_review(self, epoch: int, cards: Sequence[StoredCard]) -> None:
        """Store what came of that comparison, together with the number of the epoch."""

        def work(connection: Connection) -> None:
            _put(connection, cards)
            connection.execute("INSERT OR REPLACE INTO card_review (one, epoch) VALUES (1, ?)", (epoch,))

        await self._database.write(work)


def _put(connection: Connection, cards: Sequence[StoredCard]) -> None:
    for one in cards:
        if one.number:
            connection.execute(
                "UPDATE card SET state = ?, decided_by = ?, withheld = ? WHERE number = ?",
                (one.state.value, one.decided_by, int(one.withheld), one.number),
            )
        else:
            connection.execute(
                "INSERT INTO card (technique, text, digest, author, state, decided_by, withheld, proposed_s)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    one.card.technique,
                    encode_card(one.card),
                    one.digest,
                    one.author,
                    one.state.value,
                    one.decided_by,
                    int(one.withheld),
                    one.proposed_s,
                ),
            )


def _stored(row: tuple[int, str, str, str, str, str, int, int]) -> StoredCard:
    number, text, digest, author, state, decided_by, withheld, proposed_s = row
    return StoredCard(
        number=number,
        card=decode_card(text, digest=digest),
        digest=digest,
        author=author,
        state=CardState(state),
        decided_by=decided_by,
        withheld=withheld == 1,
        proposed_s=proposed_s,
    )
