"""What a technique is: a published way to put a prompt, with a card that describes it.

::

    Technique                 changes the text; what it cannot carry it refuses
    └── LosslessTechnique     can be undone exactly, and is: every delivery proves its round trip
        └── Encoding          an answer may come back in the same encoding

A technique holds no state. All choices it makes come from the random source that it is handed, so a seed fixes them.
"""

from __future__ import annotations

import random
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from heldout_server.domain import Card


class Kind(StrEnum):
    """What a technique does to a prompt: stacking rules are written between kinds."""

    ENCODE = "encode"
    OBFUSCATE = "obfuscate"
    FRAME = "frame"
    PERSONA = "persona"
    SPLIT = "split"
    MANY_SHOT = "many_shot"
    SUFFIX = "suffix"


@dataclass(frozen=True, slots=True)
class Vector:
    """Fix one delivery for good: a change of it is a new technique, and breaks every trend.

    Attributes:
        text: what is delivered.
        seed: what the random source is made from.
        delivered: the exact result.
    """

    text: str
    seed: int
    delivered: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """Hold the parts of a card that a technique writes itself.

    Attributes:
        title: a few words.
        mechanism: how it works, in general.
        references: public sources.
        mitigation: what helps against it, from public knowledge alone.
    """

    title: str
    mechanism: str
    references: tuple[str, ...]
    mitigation: str


class Technique(ABC):
    """Put a prompt in one published way.

    Attributes:
        technique_id: its name in manifests and tables.
        family: the group it is reported with.
        kind: what stacking rules go by.
        phrase: matches every text that it delivers, as long as no technique that rewrites text lies over it.
        description: its part of the card.
        vector: one delivery, fixed.
        refuses: reason codes of what it cannot carry; empty where it carries every text.
        needs_words: whether it rewrites letters of ordinary words, and so needs some.
        leaves_words: whether ordinary words are left for another obfuscation to rewrite.
        folds: whether it keeps less than the text, so that nothing but the prompt may lie under it.
    """

    technique_id: ClassVar[str]
    family: ClassVar[str]
    kind: ClassVar[Kind]
    phrase: ClassVar[re.Pattern[str]]
    description: ClassVar[Description]
    vector: ClassVar[Vector]
    refuses: ClassVar[frozenset[str]] = frozenset()
    needs_words: ClassVar[bool] = False
    leaves_words: ClassVar[bool] = True
    folds: ClassVar[bool] = False

    @abstractmethod
    def apply(self, text: str, rng: random.Random) -> str:
        """Return the text as this technique puts it.

        Args:
            text: a prompt, or what the technique below made of it; at least one character that is not white space.
            rng: makes every choice.

        Raises:
            NotDeliverable: the text cannot be carried.
        """

    @property
    def card(self) -> Card:
        """The only text about the technique that may leave."""
        return Card(
            technique=self.technique_id,
            title=self.description.title,
            family=self.family,
            kind=self.kind.value,
            mechanism=self.description.mechanism,
            references=self.description.references,
            mitigation=self.description.mitigation,
        )


class LosslessTechnique(Technique):
    """Put a prompt so that it can be read back exactly, or as exactly as its card says."""

    def kept(self, text: str) -> str:
        """Return what of a text this technique promises to carry: all of it, unless it folds."""
        return text

    @abstractmethod
    def recover(self, delivered: str) -> str:
        """Return the text that was delivered.

        Raises:
            NotDeliverable: this technique cannot have delivered that.
        """


class Encoding(LosslessTechnique):
    """Put a prompt in an encoding that an answer may come back in."""

    @abstractmethod
    def decode(self, response: str) -> str:
        """Return a response with this encoding undone where it is plain that it was used; unchanged otherwise."""
