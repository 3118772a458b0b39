"""Technique cards on their way out: written by one person, approved by another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from heldout.bank_model import CardHit
from heldout.calls import Caller
from heldout.errors import VerificationError
from heldout.findings.documents import card_from, known
from heldout.findings.model import Card
from heldout.services.bank import card_hits
from heldout.services.paging import PAGE_SIZE, read_pages
from heldout_proto.v1 import card_pb2 as pb

SERVICE: Final = "CardService"
SHIPPED: Final = "heldout"
"""The author of cards that ship with the appliance."""


class CardState(StrEnum):
    """Say where a card stands."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    WITHHELD = "withheld"


STATES: Final[Mapping[int, CardState]] = {
    pb.CARD_STATE_PROPOSED: CardState.PROPOSED,
    pb.CARD_STATE_APPROVED: CardState.APPROVED,
    pb.CARD_STATE_REFUSED: CardState.REFUSED,
    pb.CARD_STATE_WITHDRAWN: CardState.WITHDRAWN,
    pb.CARD_STATE_WITHHELD: CardState.WITHHELD,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRecord:
    """Hold a card and where it stands. ``proposed_s`` is Unix seconds, a whole minute."""

    card: Card
    state: CardState
    proposed_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Say what became of a proposal: the card that was kept, or what was found in it, and then nothing was kept."""

    record: CardRecord | None
    hits: tuple[CardHit, ...]


class AsyncCards:
    """Propose and decide cards. Each call raises ``CallError`` if it was not done."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def propose(
        self, technique: str, *, title: str, mechanism: str, references: Sequence[str], mitigation: str
    ) -> Proposal:
        """Hand in a card of a technique; it takes the place of the one before, whose approval is gone."""
        request = pb.ProposeCardRequest(
            technique=technique, title=title, mechanism=mechanism, references=references, mitigation=mitigation
        )
        answer = await self._caller.unary(SERVICE, "ProposeCard", request, pb.ProposeCardResponse)
        record = _record(answer.card) if answer.HasField("card") else None
        return Proposal(record=record, hits=card_hits(answer.hits))

    async def list(self) -> tuple[CardRecord, ...]:
        """Return the newest card of every technique, those that the caller may see."""

        async def fetch(token: str) -> tuple[Sequence[pb.CardRecord], str]:
            request = pb.ListCardRecordsRequest(page_size=PAGE_SIZE, page_token=token)
            answer = await self._caller.unary(SERVICE, "ListCardRecords", request, pb.ListCardRecordsResponse)
            return answer.cards, answer.next_page_token

        return tuple(_record(one) for one in await read_pages(fetch))

    async def get(self, technique: str) -> CardRecord:
        """Return the newest card of a technique."""
        request = pb.GetCardRecordRequest(technique=technique)
        answer = await self._caller.unary(SERVICE, "GetCardRecord", request, pb.GetCardRecordResponse)
        if answer.card.card.technique != technique:
            raise VerificationError("the answer is about another technique: do not trust it")
        return _record(answer.card)

    async def approve(self, technique: str, *, digest: str) -> CardRecord:
        """Approve and publish exactly the text that has this digest."""
        request = pb.ApproveCardRequest(technique=technique, digest=digest)
        answer = await self._caller.unary(SERVICE, "ApproveCard", request, pb.ApproveCardResponse)
        return _record(answer.card)

    async def refuse(self, technique: str, *, digest: str) -> None:
        """Refuse a proposed card."""
        request = pb.RefuseCardRequest(technique=technique, digest=digest)
        await self._caller.unary(SERVICE, "RefuseCard", request, pb.RefuseCardResponse)

    async def withdraw(self, technique: str) -> CardRecord:
        """Take a card back, published or not."""
        request = pb.WithdrawCardRequest(technique=technique)
        answer = await self._caller.unary(SERVICE, "WithdrawCard", request, pb.WithdrawCardResponse)
        return _record(answer.card)


def _record(message: pb.CardRecord) -> CardRecord:
    return CardRecord(
        card=card_from(message.card),
        state=known(STATES, message.state, "card state"),
        proposed_s=message.proposed_s,
    )
