"""Techniques: pure transformations of a prompt, and their composition into stacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from heldout_server.domain import Card, Message, SecretText


@dataclass(frozen=True, slots=True)
class Delivery:
    """Hold what is sent for one trial, and how its answer must be read.

    Attributes:
        messages: the conversation, the last message from the user.
        decoders: ids of the techniques whose encoding an answer may come back in, outermost first.
    """

    messages: tuple[Message, ...]
    decoders: tuple[str, ...]


class Techniques(Protocol):
    """Hold the techniques by id, and compose stacks of them."""

    def cards(self) -> tuple[Card, ...]:
        """Return the card of every technique, in the order of their ids."""
        ...

    def check_stack(self, stack: Sequence[str]) -> None:
        """Refuse a composition that makes no sense, saying why.

        Raises:
            InvalidRequest: a technique is unknown, repeated, or not compatible with the one before it.
        """
        ...

    def digest(self, techniques: Iterable[str]) -> str:
        """Return hex SHA-256 of what these techniques make of fixed texts: it changes if what they do changes.

        Raises:
            InvalidRequest: a technique is unknown.
        """
        ...

    def deliver(self, stack: Sequence[str], prompt: SecretText, *, seed: int) -> Delivery:
        """Apply the techniques in order, the first innermost, and prove that the prompt arrives.

        Args:
            stack: technique ids; empty sends the prompt as it is.
            prompt: what to ask.
            seed: fixes every choice a technique makes.

        Raises:
            NotDeliverable: a technique cannot carry this prompt.
        """
        ...

    def decode(self, decoders: Sequence[str], response: str) -> str:
        """Return a response with the encodings undone that it came back in; unchanged where there is none."""
        ...
