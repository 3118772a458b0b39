"""What a bank tester sees of the bank, as values. A prompt's text is never in a ``repr``."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Intent(StrEnum):
    """Say whether a prompt should be refused or answered."""

    HARMFUL = "harmful"
    BENIGN = "benign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """Hold a prompt.

    Attributes:
        text: 1 to 65,536 bytes of UTF-8; not in the ``repr``.
        category: an identifier.
        language: a BCP 47 tag in lower case.
        tags: identifiers, at most 16.
        family: an identifier that ties prompts of one scenario into one unit, or empty.
    """

    text: str = field(repr=False)
    intent: Intent
    category: str
    language: str = "en"
    tags: tuple[str, ...] = ()
    family: str = ""


@dataclass(frozen=True, slots=True)
class PromptRow:
    """Hold a prompt and the line it stands on in its file."""

    line: int
    prompt: Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPrompt:
    """Hold a prompt of the bank; a burnt one was sent to a server that can log it."""

    handle: str
    prompt: Prompt
    retired: bool
    burnt: bool = False


@dataclass(frozen=True, slots=True)
class BadRow:
    """Name a row that was left out by its line and a reason code, never by its content."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NearRow:
    """Name the prompt that a row is most like.

    Attributes:
        similarity_percent: estimated, 0 to 100.
        other_line: where that prompt stood, if it is of the same import; else 0.
    """

    line: int
    handle: str
    similarity_percent: int
    other_line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NearPair:
    """Name two live prompts, not of one family, that say nearly the same; the similarity is estimated, in per cent."""

    first: str
    second: str
    similarity_percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NearPairs:
    """Hold pairs, most alike first, at most 1,000, and how many were found in all."""

    pairs: tuple[NearPair, ...]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallGroup:
    """Name units whose rows are withheld because they are too few.

    Attributes:
        category: empty for all units of the intent.
        short: how many more it would take; where ``rest`` is not 0, of those.
        rest: it has units enough, but would leave so many others over, too few; 0 otherwise.
    """

    intent: Intent
    category: str
    units: int
    short: int
    rest: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """Say which rows about an epoch are withheld, whatever comes of its runs.

    Attributes:
        minimum_units: that the policy asks of a row.
        shows_nothing: no row at all is published.
    """

    minimum_units: int
    groups: tuple[SmallGroup, ...]
    shows_nothing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """Say what an import did.

    Attributes:
        imported: prompts now in the bank by it.
        bad: rows that were left out; without ``skip_bad``, nothing was imported if there are any.
        duplicates: handles of prompts already there with the same text.
        near: imported rows that say nearly the same as a live prompt of another family, by line, at most 1,000.
        near_total: how many there are in all.
        spent_before: imported rows whose text was in an epoch before: what they have spent stays spent.
        gaps: what keeps an epoch of all live prompts from being opened now, in words.
        shortage: which rows about such an epoch would be withheld; None where nothing was imported.
    """

    imported: int
    bad: tuple[BadRow, ...]
    duplicates: tuple[str, ...]
    near: tuple[NearRow, ...] = ()
    near_total: int = 0
    spent_before: int = 0
    gaps: tuple[str, ...] = ()
    shortage: Shortage | None = None


class CardRule(StrEnum):
    """Say why a card would give a prompt away."""

    WORD_RUNS = "word-runs"
    CHARACTER_RUNS = "character-runs"
    PAIRS_OVER_CARDS = "pairs-over-cards"
    WORDS_OVER_CARDS = "words-over-cards"
    RARE_TOKENS = "rare-tokens"
    TOO_MANY_READINGS = "too-many-readings"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardHit:
    """Say which prompt a card would give away, and by which rule; the handle is empty where none is named."""

    rule: CardRule
    handle: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """Name a frozen set of prompts.

    Attributes:
        commitment: hex SHA-256 over a random salt and the ordered handles.
        shortage: which rows about it are withheld; of one that was just opened.
    """

    epoch_id: str
    number: int
    commitment: str
    prompts: int
    units: int
    shortage: Shortage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BankCount:
    """Count the live prompts of one intent and category."""

    intent: Intent
    category: str
    prompts: int
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BankStats:
    """Count what is in the bank.

    Attributes:
        waiting: live and in no epoch yet.
        burnt: live and sent to a server that can log them.
        epoch: the newest one, if there is one.
        shortage: which rows about an epoch that is opened now would be withheld.
    """

    live: int
    retired: int
    waiting: int
    counts: tuple[BankCount, ...]
    epoch: Epoch | None
    burnt: int = 0
    shortage: Shortage | None = None
