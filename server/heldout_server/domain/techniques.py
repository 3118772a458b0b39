"""What is said of a technique."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Describe a technique: the only text about it that may leave, written and approved beforehand.

    Attributes:
        mechanism: how it works, in general.
        references: public sources.
        mitigation: what helps against it, from public knowledge alone.
    """

    technique: str
    title: str
    family: str
    kind: str
    mechanism: str
    references: tuple[str, ...]
    mitigation: str
