"""The cards gate: whether the text of a card gives away something of a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


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

    async def examine(self, card: CardText) -> tuple[CardHit, ...]:
        """Return the prompts that a card would give away, at most :data:`MAX_HITS`; nothing if it may be published."""
        ...

    async def admit(self, card: CardText) -> tuple[CardHit, ...]:
        """Do as :meth:`examine` does, and remember a card that may be published: later ones are judged with it."""
        ...


MAX_HITS = 20
"""Prompts that are named for one card; one that gives away more is refused all the same."""
