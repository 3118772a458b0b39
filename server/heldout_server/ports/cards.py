"""Technique cards: where they are kept, whether their text gives away something of a prompt, and how they get out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from heldout_server.domain import Card, Principal

SHIPPED: Final = "heldout"
"""The author of cards that ship with the appliance. No identity: those are URIs."""

BY_POLICY: Final = "release-policy"
"""Who approved a card that ships where the policy's signature approves those."""


class CardRule(StrEnum):
    """Name what a card was refused for."""

    WORD_RUNS = "word_runs"
    """It has runs of a prompt's words, some of which may be changed."""
    CHARACTER_RUNS = "character_runs"
    """It has runs of a prompt's letters, however they are cut into words."""
    PAIRS_OVER_CARDS = "pairs_over_cards"
    """With the cards before it, it has about half of the pairs of words in a prompt."""
    WORDS_OVER_CARDS = "words_over_cards"
    """With the cards before it, it has nearly all words of a prompt, rare ones among them."""
    RARE_TOKENS = "rare_tokens"
    """With the cards before it, it has two tokens of a prompt that are hardly found by chance."""
    TOO_MANY_READINGS = "too_many_readings"
    """It can be read in more ways than are looked at: too much in it is encoded. Names no prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardText:
    """Hold the texts of a card, as they would be published."""

    title: str
    mechanism: str
    references: tuple[str, ...]
    mitigation: str


@dataclass(frozen=True, slots=True)
class CardHit:
    """Say by which rule a card gives a prompt away. For bank testers alone: ``handle`` may be empty."""

    rule: CardRule
    handle: str


class CardsGate(Protocol):
    """Compare cards with every prompt that was ever imported, by keyed traces: no text of a prompt is opened for it."""

    async def examine(self, cards: Sequence[CardText]) -> tuple[tuple[CardHit, ...], ...]:
        """Return for each card the prompts that it would give away with those admitted before, at most MAX_HITS.

        Nothing for a card that may be published.
        """
        ...

    async def admit(self, cards: Sequence[CardText]) -> tuple[tuple[CardHit, ...], ...]:
        """Do as :meth:`examine` does, one card after the other, and remember for good each that may be published."""
        ...


MAX_HITS = 20
"""Prompts that are named for one card; one that gives away more is refused all the same."""


class CardState(StrEnum):
    """Where a card stands. Editing one is proposing another, which takes its place."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCard:
    """Hold a card and where it stands.

    Attributes:
        number: of the record; 0 before it is stored.
        digest: hex SHA-256 of its canonical form (:mod:`heldout_server.card_document`).
        author: identity that wrote it, or :data:`SHIPPED`.
        decided_by: identity that approved, refused or withdrew it, or :data:`BY_POLICY`; empty before.
        withheld: approved, and not published: the gate found something of a prompt that came later.
        proposed_s: Unix seconds.
    """

    card: Card
    digest: str
    author: str
    state: CardState
    decided_by: str = ""
    withheld: bool = False
    proposed_s: int = 0
    number: int = 0

    @property
    def published(self) -> bool:
        """Say whether its text is out: approved by another person, and nothing was found in it."""
        return self.state is CardState.APPROVED and not self.withheld


class CardStore(Protocol):
    """Keep cards, the newest of each technique in force."""

    async def newest(self) -> Mapping[str, StoredCard]:
        """Return the newest card of every technique that has one, by technique in order.

        Raises:
            IntegrityError: a text is not what its digest says.
        """
        ...

    async def put(self, cards: Sequence[StoredCard]) -> None:
        """Store what is new (``number`` 0), and what was decided of what is there; all or none."""
        ...

    async def reviewed(self) -> int:
        """Return the number of the newest epoch at whose opening the published cards were compared anew; 0 for none."""
        ...

    async def note_review(self, epoch: int, cards: Sequence[StoredCard]) -> None:
        """Store what came of that comparison, together with the number of the epoch."""
        ...


class Cards(Protocol):
    """Propose, decide and publish cards. What one of these did stands in the log before it shows."""

    async def propose(
        self, technique: str, text: CardText, *, author: str
    ) -> tuple[StoredCard | None, Sequence[CardHit]]:
        """Record a card, unless the gate finds something in it: then nothing is kept, and the finds are returned.

        Raises:
            NotFound: there is no such technique.
        """
        ...

    async def records(self, principal: Principal) -> tuple[StoredCard, ...]:
        """Return the newest card of every technique, those that this principal may see, by technique."""
        ...

    async def approve(self, technique: str, *, digest: str, principal: Principal) -> StoredCard:
        """Approve and publish exactly this text, unless the gate finds something in it.

        Raises:
            NotFound: there is no such card, or not for this principal.
            WrongState: it is not proposed, has another digest, is the principal's own, is not for this role to approve,
                or something of a prompt is found in it.
        """
        ...

    async def refuse(self, technique: str, *, digest: str, principal: Principal) -> StoredCard:
        """Refuse a proposed card.

        Raises:
            NotFound: there is no such card, or not for this principal.
            WrongState: it is not proposed, or has another digest.
        """
        ...

    async def withdraw(self, technique: str, *, principal: Principal) -> StoredCard:
        """Take a card back, published or not.

        Raises:
            NotFound: there is no such card.
            WrongState: it was refused or withdrawn before.
        """
        ...

    async def digests(self) -> Mapping[str, str]:
        """Return the digests of the published cards, by technique in order."""
        ...
