"""The gate: what comes in must parse and keep the contract's rules, what goes out must fit its disclosure classes."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeAlias

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from protovalidate import ValidationError, Validator

from heldout_policy.disclosure import verify_disclosable
from heldout_proto.v1 import findings_pb2
from heldout_server.card_document import texts_of
from heldout_server.domain import Role
from heldout_server.errors import InvalidRequest

KEPT_ANSWERS: Final = 256
"""Answers from published documents whose bytes are kept: each is at most one message, and most are a few kilobytes."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """An answer that is made of published documents alone, so that it is the same for everybody and for ever.

    Attributes:
        documents: all that it is made of: equal documents make equal answers.
        build: makes the message.
    """

    documents: Hashable
    build: Callable[[], Message] = field(compare=False)


Answer: TypeAlias = Message | Fixed
"""What a servicer gives back."""


class ApprovedTexts:
    """Hold all that may leave as text: the texts of cards.

    The window's are those of the document that the vault published. The vault shows a run tester, where the policy asks
    for one, also those that wait for approval.
    """

    def __init__(self) -> None:
        self._published: frozenset[str] = frozenset()
        self._shown: frozenset[str] = frozenset()

    def publish(self, cards: findings_pb2.CardSet) -> None:
        """Let these texts out, and no other."""
        self._published = texts_of(cards.cards)

    def show(self, cards: findings_pb2.CardSet) -> None:
        """Let run testers see these texts besides, and no other."""
        self._shown = texts_of(cards.cards)

    def of(self, role: Role | None) -> frozenset[str]:
        """Return what somebody of a role may read; of None, what everybody may."""
        return self._published | self._shown if role is Role.RUN_TESTER else self._published


class Gate:
    """Parse requests; check and serialize answers.

    Args:
        approved: every text of every approved card.
    """

    def __init__(self, approved: ApprovedTexts) -> None:
        self._approved = approved
        self._validator = Validator()
        self._serialize_once = lru_cache(maxsize=KEPT_ANSWERS)(self._serialize_fixed)

    def parse(self, deserialize: Callable[[bytes], Message], request: bytes) -> Message:
        """Return the message in a request.

        Raises:
            InvalidRequest: it does not parse, breaks a rule of the contract, or holds a field that it does not know.
        """
        try:
            message = deserialize(request)
            if len(UnknownFieldSet(message)) > 0:
                raise InvalidRequest("the request holds a field that the contract does not know")
            self._validator.validate(message)
        except (DecodeError, ValidationError):
            # The library's text names fields and may quote values, so nothing of it goes on.
            raise InvalidRequest("the request does not parse or breaks a rule of the contract") from None
        return message

    def serialize(self, answer: Answer, role: Role) -> bytes:
        """Return the bytes of an answer. Whoever is not a bank tester gets it only if all of it fits its classes.

        What is fixed is checked and serialized once, and checked for everybody.

        Raises:
            NotDisclosable: a field has no class, or its value does not fit it.
        """
        if isinstance(answer, Fixed):
            return self._serialize_once(answer)
        if role is not Role.BANK_TESTER:
            verify_disclosable(answer, approved_texts=self._approved.of(role))
        return answer.SerializeToString(deterministic=True)

    def _serialize_fixed(self, fixed: Fixed) -> bytes:
        message = fixed.build()
        verify_disclosable(message, approved_texts=self._approved.of(None))
        return message.SerializeToString(deterministic=True)
