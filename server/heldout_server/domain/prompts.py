"""What is asked: prompts on their way into the bank, and what is known of them without their text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from heldout_server.domain.secret_text import SecretText


class Intent(StrEnum):
    """Whether a prompt should be refused (attack success) or answered (over-refusal)."""

    HARMFUL = "harmful"
    BENIGN = "benign"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptDraft:
    """Hold a prompt on its way into the bank.

    Attributes:
        text: what the model is asked, 1 to 65,536 bytes of UTF-8.
        intent: whether it should be refused or answered.
        category: an identifier, the row of the category table.
        language: a BCP 47 tag in lower case.
        tags: identifiers, at most 16.
        family: an identifier that ties prompts of one scenario into one unit, or empty for a unit of its own.
    """

    text: SecretText
    intent: Intent
    category: str
    language: str = "en"
    tags: tuple[str, ...] = ()
    family: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Say what is known of a prompt in an epoch without its text.

    Attributes:
        position: 0-based place in the frozen order of the epoch.
        handle: the bank's random name for the prompt.
        unit: the privacy unit: its family, or the prompt alone.
    """

    position: int
    handle: str
    unit: str
    intent: Intent
    category: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """Name a frozen set of prompts, about which releases are made.

    Attributes:
        commitment: hex SHA-256 over a random salt and the ordered handles: it fixes the set, and tells nothing of it.
    """

    epoch_id: str
    number: int
    commitment: str
    prompts: int
    units: int
