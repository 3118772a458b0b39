"""CardService: cards on their way out, for both kinds of tester."""

from __future__ import annotations

from typing import Final

from heldout_policy.disclosure import whole_minute
from heldout_proto.v1 import card_pb2 as pb
from heldout_proto.v1 import card_pb2_grpc
from heldout_server.api.bank import card_hits
from heldout_server.api.edge import Call
from heldout_server.api.paging import next_token, page_size
from heldout_server.card_document import describe_card
from heldout_server.errors import NotFound
from heldout_server.ports.cards import Cards, CardState, CardText, StoredCard

STATES: Final = {
    CardState.PROPOSED: pb.CARD_STATE_PROPOSED,
    CardState.APPROVED: pb.CARD_STATE_APPROVED,
    CardState.REFUSED: pb.CARD_STATE_REFUSED,
    CardState.WITHDRAWN: pb.CARD_STATE_WITHDRAWN,
}


class CardServicer(card_pb2_grpc.CardServiceServicer):
    """Translate between the contract and the cards desk."""

    def __init__(self, *, cards: Cards) -> None:
        self._cards = cards

    async def ProposeCard(self, request: pb.ProposeCardRequest, call: Call) -> pb.ProposeCardResponse:  # noqa: N802 - the contract's name
        """Record a card, unless something of a prompt is found in it."""
        text = CardText(
            title=request.title,
            mechanism=request.mechanism,
            references=tuple(request.references),
            mitigation=request.mitigation,
        )
        stored, hits = await self._cards.propose(request.technique, text, author=call.principal.identity)
        return pb.ProposeCardResponse(card=None if stored is None else _record(stored), hits=card_hits(hits))

    async def ListCardRecords(self, request: pb.ListCardRecordsRequest, call: Call) -> pb.ListCardRecordsResponse:  # noqa: N802 - the contract's name
        """List the newest card of every technique, those that the caller may see."""
        size = page_size(request.page_size)
        records = [one for one in await self._cards.records(call.principal) if one.card.technique > request.page_token][
            :size
        ]
        return pb.ListCardRecordsResponse(
            cards=[_record(one) for one in records],
            next_page_token=next_token(records, size, lambda one: one.card.technique),
        )

    async def GetCardRecord(self, request: pb.GetCardRecordRequest, call: Call) -> pb.GetCardRecordResponse:  # noqa: N802 - the contract's name
        """Return the newest card of a technique."""
        for one in await self._cards.records(call.principal):
            if one.card.technique == request.technique:
                return pb.GetCardRecordResponse(card=_record(one))
        raise NotFound("there is no such card", reason="NO_SUCH_CARD")

    async def ApproveCard(self, request: pb.ApproveCardRequest, call: Call) -> pb.ApproveCardResponse:  # noqa: N802 - the contract's name
        """Approve exactly one digest, and publish it."""
        stored = await self._cards.approve(request.technique, digest=request.digest, principal=call.principal)
        return pb.ApproveCardResponse(card=_record(stored))

    async def RefuseCard(self, request: pb.RefuseCardRequest, call: Call) -> pb.RefuseCardResponse:  # noqa: N802 - the contract's name
        """Refuse a proposed card. The answer of a refusal holds no text: it may not leave any more."""
        stored = await self._cards.refuse(request.technique, digest=request.digest, principal=call.principal)
        record = _record(stored)
        for text in ("title", "mechanism", "references", "mitigation"):
            record.card.ClearField(text)
        return pb.RefuseCardResponse(card=record)

    async def WithdrawCard(self, request: pb.WithdrawCardRequest, call: Call) -> pb.WithdrawCardResponse:  # noqa: N802 - the contract's name
        """Take a card back."""
        return pb.WithdrawCardResponse(
            card=_record(await self._cards.withdraw(request.technique, principal=call.principal))
        )


def _record(stored: StoredCard) -> pb.CardRecord:
    withheld = stored.state is CardState.APPROVED and stored.withheld
    return pb.CardRecord(
        card=describe_card(stored),
        state=pb.CARD_STATE_WITHHELD if withheld else STATES[stored.state],
        proposed_s=whole_minute(stored.proposed_s),
    )
