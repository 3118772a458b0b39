"""The canonical form of a technique card, which approvals and releases name by its digest.

Compact JSON in UTF-8 with sorted keys (in the manner of RFC 8785), every field present.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from heldout_proto.v1 import findings_pb2
from heldout_server.domain import Card
from heldout_server.errors import IntegrityError
from heldout_server.ports.cards import StoredCard


def encode_card(card: Card) -> str:
    """Return the canonical JSON of a card."""
    return json.dumps(asdict(card), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def card_digest(card: Card) -> str:
    """Return the hex SHA-256 of the canonical JSON."""
    return hashlib.sha256(encode_card(card).encode()).hexdigest()


def decode_card(text: str, *, digest: str) -> Card:
    """Return the card that :func:`encode_card` wrote.

    Raises:
        IntegrityError: it is not what the digest says.
    """
    if hashlib.sha256(text.encode()).hexdigest() != digest:
        raise IntegrityError("a stored card is not what its digest says", reason="CARD_CHANGED")
    values: dict[str, Any] = json.loads(text)
    return Card(**{**values, "references": tuple(values["references"])})


def describe_card(stored: StoredCard) -> findings_pb2.Card:
    """Return a card as the contract has it."""
    card = stored.card
    return findings_pb2.Card(
        technique=card.technique,
        title=card.title,
        family=card.family,
        kind=card.kind,
        mechanism=card.mechanism,
        references=card.references,
        mitigation=card.mitigation,
        digest=stored.digest,
        author=stored.author,
        approved_by=stored.decided_by if stored.published else "",
    )


def card_set(published: Iterable[StoredCard]) -> findings_pb2.CardSet:
    """Return the window's standing document of all published cards."""
    return findings_pb2.CardSet(cards=[describe_card(one) for one in published])


def texts_of(cards: Iterable[findings_pb2.Card]) -> frozenset[str]:
    """Return every text of these cards: all that may leave as text."""
    return frozenset(text for card in cards for text in (card.title, card.mechanism, card.mitigation, *card.references))
