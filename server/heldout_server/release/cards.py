"""The cards desk: how the one text that leaves gets out.

1.  A bank tester proposes a card of a technique that the appliance has. The gate compares it with the bank; if it finds
    something, nothing is kept. A new card takes the place of the one before, whose approval is gone with it.
2.  Somebody else approves exactly that digest: the role is the policy's. The gate compares again, with every card that
    was ever admitted, and remembers this one for good. What ships is approved so, or by the policy's signature.
3.  The card is in the window. A manifest names the digests of the cards of its techniques, and is outdated once one of
    them changes: what a release may say of its rows was written and approved before its run.
4.  At the opening of an epoch the gate compares all cards anew. One in which it finds something is withheld
    until an epoch at which it does not; to a trainer it is as if it had never been.

Each step stands in the log before it shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from heldout_policy.cards import CardsPolicy
from heldout_proto.v1 import findings_pb2
from heldout_server.card_document import card_digest, card_set
from heldout_server.domain import Card, Principal, Role
from heldout_server.errors import NotFound, WrongState
from heldout_server.ports.audit import AuditLog, Record
from heldout_server.ports.bank import Memberships
from heldout_server.ports.cards import (
    BY_POLICY,
    SHIPPED,
    CardHit,
    CardsGate,
    CardState,
    CardStore,
    CardText,
    StoredCard,
)
from heldout_server.ports.environment import Clock
from heldout_server.ports.window import Publisher

CARDS_STATE: Final = "cards"


class CardsDesk:
    """Propose, decide and publish cards (:class:`heldout_server.ports.cards.Cards`).

    Args:
        store: keeps the cards.
        gate: compares them with the bank.
        memberships: tells which epoch is the newest.
        shipped: the cards that ship, one for each technique there is.
        audit: the vault's log.
        publisher: where published cards appear.
        clock: tells when a card was proposed.
        policy: who approves.
        policy_digest: hex SHA-256 of the policy document.
        on_change: told of all that run testers may see, whenever it may have changed.
    """

    def __init__(
        self,
        *,
        store: CardStore,
        gate: CardsGate,
        memberships: Memberships,
        shipped: Sequence[Card],
        audit: AuditLog,
        publisher: Publisher,
        clock: Clock,
        policy: CardsPolicy,
        policy_digest: str,
        on_change: Callable[[findings_pb2.CardSet], None],
    ) -> None:
        self._store = store
        self._gate = gate
        self._memberships = memberships
        self._shipped = {card.technique: card for card in shipped}
        self._audit = audit
        self._publisher = publisher
        self._clock = clock
        self._policy = policy
        self._policy_digest = policy_digest
        self._on_change = on_change
        self._deciding = asyncio.Lock()  # what is decided of a card rests on where it stands

    async def open(self) -> None:
        """Take in what ships, as the policy has it, carry on a review that was cut off, and publish.

        Raises:
            StorageError: the log or a database cannot be written.
            IntegrityError: a stored card is not what its digest says.
        """
        async with self._deciding:
            newest = await self._store.newest()
            proposed = [
                self._draft(card, SHIPPED)
                for name, card in sorted(self._shipped.items())
                if (known := newest.get(name)) is None
                or (known.author == SHIPPED and known.digest != card_digest(card))
            ]
            await self._change("proposed", proposed, by=SHIPPED)
            newest = await self._store.newest()
            if self._policy.signed:
                wait = [one for one in newest.values() if one.author == SHIPPED and one.state is CardState.PROPOSED]
                hits = await self._gate.admit([_text(one.card) for one in wait])
                approved = [
                    replace(one, state=CardState.APPROVED, decided_by=BY_POLICY, withheld=bool(found))
                    for one, found in zip(wait, hits, strict=True)
                ]
                await self._change("approved", approved, by=BY_POLICY)
                await self._log("withheld", [one for one in approved if one.withheld], by="")
            else:
                dropped = [
                    replace(one, state=CardState.PROPOSED, decided_by="", withheld=False)
                    for one in newest.values()
                    if one.decided_by == BY_POLICY
                ]
                await self._change("proposed", dropped, by=SHIPPED)
        await self.review()

    async def review(self) -> None:
        """Compare the cards with the bank anew, if an epoch opened since that was done, and publish.

        Raises:
            StorageError: the log or a database cannot be written.
            IntegrityError: a text of the bank is not what was sealed.
        """
        async with self._deciding:
            epochs = await self._memberships.epochs()
            epoch = epochs[-1].number if epochs else 0
            if epoch > await self._store.reviewed():
                newest = (await self._store.newest()).values()
                cards = [one for one in newest if one.state in {CardState.PROPOSED, CardState.APPROVED}]
                hits = await self._gate.examine([_text(one.card) for one in cards])
                changed = [
                    replace(one, withheld=bool(found))
                    for one, found in zip(cards, hits, strict=True)
                    if one.withheld != bool(found)
                ]
                for action, withheld in (("withheld", True), ("let_out", False)):
                    await self._log(action, [one for one in changed if one.withheld is withheld], by="")
                await self._store.note_review(epoch, changed)
            await self._publish()

    async def propose(
        self, technique: str, text: CardText, *, author: str
    ) -> tuple[StoredCard | None, Sequence[CardHit]]:
        """Record a card, unless the gate finds something in it: then nothing is kept, and the finds are returned.

        Raises:
            NotFound: there is no such technique.
        """
        shipped = self._shipped.get(technique)
        if shipped is None:
            raise NotFound("there is no such technique", reason="NO_SUCH_TECHNIQUE")
        card = replace(
            shipped,
            title=text.title,
            mechanism=text.mechanism,
            references=text.references,
            mitigation=text.mitigation,
        )
        async with self._deciding:
            (hits,) = await self._gate.examine([text])
            if hits:
                # No digest: of a text that holds a prompt not even that leaves.
                details = {"action": "stopped", "technique": technique, "identity": author}
                await self._audit.append(Record(kind="event", name="card", details=details))
                return None, hits
            await self._change("proposed", [self._draft(card, author)], by=author)
            await self._publish()
            return (await self._store.newest())[technique], ()

    async def records(self, principal: Principal) -> tuple[StoredCard, ...]:
        """Return the newest card of every technique, those that this principal may see, by technique.

        A bank tester sees all. A run tester sees what is published, and what waits for run testers to approve it.
        """
        cards = (await self._store.newest()).values()
        if principal.role is Role.BANK_TESTER:
            return tuple(cards)
        return tuple(one for one in cards if one.published or self._awaits_run_tester(one))

    async def approve(self, technique: str, *, digest: str, principal: Principal) -> StoredCard:
        """Approve and publish exactly this text, unless the gate finds something in it.

        Raises:
            NotFound: there is no such card, or not for this principal.
            WrongState: it is not proposed, has another digest, is the principal's own, is not for this role to approve,
                or something of a prompt is found in it.
        """
        async with self._deciding:
            card = await self._proposed(technique, digest, principal)
            if card.author == principal.identity:
                raise WrongState("nobody approves a card of their own", reason="OWN_CARD")
            if principal.role.value != self._policy.approved_by:
                raise WrongState("the policy lets another role approve cards", reason="NOT_THE_APPROVER")
            (hits,) = await self._gate.admit([_text(card.card)])
            if hits:
                raise WrongState("something of a prompt is found in the card", reason="FOUND_IN_CARD")
            approved = replace(card, state=CardState.APPROVED, decided_by=principal.identity, withheld=False)
            await self._change("approved", [approved], by=principal.identity)
            await self._publish()
            return approved

    async def refuse(self, technique: str, *, digest: str, principal: Principal) -> StoredCard:
        """Refuse a proposed card.

        Raises:
            NotFound: there is no such card, or not for this principal.
            WrongState: it is not proposed, or has another digest.
        """
        async with self._deciding:
            card = await self._proposed(technique, digest, principal)
            refused = replace(card, state=CardState.REFUSED, decided_by=principal.identity)
            await self._change("refused", [refused], by=principal.identity)
            await self._publish()
            return refused

    async def withdraw(self, technique: str, *, principal: Principal) -> StoredCard:
        """Take a card back, published or not.

        Raises:
            NotFound: there is no such card.
            WrongState: it was refused or withdrawn before.
        """
        async with self._deciding:
            card = await self._find(technique, principal)
            if card.state not in {CardState.PROPOSED, CardState.APPROVED}:
                raise WrongState(f"the card is {card.state.value}", reason="CARD_STATE")
            withdrawn = replace(card, state=CardState.WITHDRAWN, decided_by=principal.identity, withheld=False)
            await self._change("withdrawn", [withdrawn], by=principal.identity)
            await self._publish()
            return withdrawn

    async def digests(self) -> Mapping[str, str]:
        """Return the digests of the published cards, by technique in order."""
        return {name: one.digest for name, one in (await self._store.newest()).items() if one.published}

    def _draft(self, card: Card, author: str) -> StoredCard:
        return StoredCard(
            card=card,
            digest=card_digest(card),
            author=author,
            state=CardState.PROPOSED,
            proposed_s=int(self._clock.now_s()),
        )

    def _awaits_run_tester(self, card: StoredCard) -> bool:
        return (
            card.state is CardState.PROPOSED and not card.withheld and self._policy.approved_by == Role.RUN_TESTER.value
        )

    async def _find(self, technique: str, principal: Principal) -> StoredCard:
        for one in await self.records(principal):
            if one.card.technique == technique:
                return one
        raise NotFound("there is no such card", reason="NO_SUCH_CARD")

    async def _proposed(self, technique: str, digest: str, principal: Principal) -> StoredCard:
        card = await self._find(technique, principal)
        if card.state is not CardState.PROPOSED:
            raise WrongState(f"the card is {card.state.value}", reason="CARD_STATE")
        if card.digest != digest:
            raise WrongState("the card has another digest", reason="DIGEST_DIFFERS")
        return card

    async def _change(self, action: str, cards: Sequence[StoredCard], *, by: str) -> None:
        if cards:
            await self._log(action, cards, by=by)
            await self._store.put(cards)

    async def _log(self, action: str, cards: Iterable[StoredCard], *, by: str) -> None:
        await asyncio.gather(
            *(
                self._audit.append(
                    Record(
                        kind="event",
                        name="card",
                        details={
                            "action": action,
                            "technique": one.card.technique,
                            "card_digest": one.digest,
                            "author": one.author,
                            "identity": by,
                            "policy_digest": self._policy_digest,
                        },
                    )
                )
                for one in cards
            )
        )

    async def _publish(self) -> None:
        cards = (await self._store.newest()).values()
        self._on_change(card_set(one for one in cards if one.published or self._awaits_run_tester(one)))
        published = card_set(one for one in cards if one.published)
        await self._publisher.put_state(CARDS_STATE, published.SerializeToString(deterministic=True))


def _text(card: Card) -> CardText:
    return CardText(title=card.title, mechanism=card.mechanism, references=card.references, mitigation=card.mitigation)
