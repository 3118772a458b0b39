"""The encrypted prompt bank."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from heldout_policy.shortage import EpochSizes
from heldout_server.domain import Epoch, Intent, Member, PromptDraft, SecretText
from heldout_server.errors import WrongState
from heldout_server.ports.cards import CardHit


@dataclass(frozen=True, slots=True)
class BadRow:
    """Name a row that was left out by its line and a reason code, never by its content."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class DraftRow:
    """Hold one row of an import: where it stood in its file, and what it says."""

    line: int
    draft: PromptDraft


MAX_NEAR: Final = 1_000
"""Near duplicates that are named; more are only counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NearRow:
    """Name the prompt that a row is most like.

    Attributes:
        similarity: 0 to 1, estimated.
        other_line: where that prompt stood, if it is of the same import; else 0.
    """

    line: int
    handle: str
    similarity: float
    other_line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NearPair:
    """Name two live prompts, not of one family, that say nearly the same. ``similarity`` is 0 to 1, estimated."""

    first: str
    second: str
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NearPairs:
    """Hold pairs, most alike first, at most :data:`MAX_NEAR`, and how many were found in all."""

    pairs: tuple[NearPair, ...]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """Say what an import did.

    Attributes:
        imported: prompts now in the bank by this import; 0 if ``bad`` is not empty and bad rows were not to be skipped.
        duplicates: handles of prompts already there with exactly the same text, whose rows were left out.
        first_prompt: the bank's number of the first prompt that entered; the others follow it.
        lines: where the prompts that entered stood in their file, in the order of their numbers.
        spent_before: rows that entered again after they were in an epoch: what they have spent stays spent.
    """

    imported: int
    bad: tuple[BadRow, ...]
    duplicates: tuple[str, ...]
    first_prompt: int = 0
    lines: Sequence[int] = ()
    spent_before: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NearRows:
    """Hold rows of one import that say nearly the same as a live prompt of another family.

    Attributes:
        rows: by line, at most :data:`MAX_NEAR`.
        total: how many there are in all.
    """

    rows: tuple[NearRow, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Count:
    """Count the live prompts of one intent and category."""

    intent: Intent
    category: str
    prompts: int
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BankStats:
    """Count what is in the bank.

    Attributes:
        waiting: prompts that are live and in no epoch yet.
        burnt: live prompts that were sent to a server that can log them.
        unstudied: prompts that are not compared with the others yet; the next question about duplicates does it.
        sizes: units that an epoch opened now would have.
    """

    live: int
    retired: int
    waiting: int
    counts: tuple[Count, ...]
    epoch: Epoch | None
    burnt: int = 0
    unstudied: int = 0
    sizes: EpochSizes = field(default_factory=EpochSizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPrompt:
    """Hold a prompt as a bank tester may see it."""

    handle: str
    draft: PromptDraft
    retired: bool
    burnt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochOffer:
    """Hold the units that an epoch would have, by intent, and how many they are."""

    units: Mapping[Intent, frozenset[str]]
    sizes: EpochSizes


Admission: TypeAlias = Callable[[EpochOffer], None]
"""Looks at what an epoch would have, and raises where it may not be opened."""


class CategoriesTell(WrongState):
    """Say from which categories' names which prompts could be read. For bank testers alone."""

    reason = "CATEGORY_TELLS"

    def __init__(self, hits: Mapping[str, Sequence[CardHit]]) -> None:
        super().__init__("the name of a category gives a prompt away")
        self.hits = hits


class Bank(Protocol):
    """Hold prompts, sealed, and freeze sets of them into epochs."""

    async def import_prompts(self, messages: AsyncIterator[Sequence[DraftRow]], *, skip_bad: bool) -> ImportReport:
        """Take in a stream of rows, as many at a time as they come, all of them or none.

        With ``skip_bad`` the bad rows are left out and reported. A stream that raises leaves nothing behind.
        """
        ...

    async def stats(self) -> BankStats:
        """Count what is there."""
        ...

    async def get(self, handle: str) -> StoredPrompt:
        """Return one prompt.

        Raises:
            NotFound: no prompt has this handle.
        """
        ...

    async def handles(self, *, after: str, limit: int, category: str = "") -> tuple[str, ...]:
        """Return up to ``limit`` handles in order, those past ``after``, of one category if it is named."""
        ...

    async def retire(self, handles: Sequence[str]) -> int:
        """Take prompts out of every later epoch and return how many were live.

        Raises:
            NotFound: one of the handles is unknown; then nothing is retired.
        """
        ...

    async def near_rows(self, report: ImportReport) -> NearRows:
        """Find the rows of an import that say nearly the same as a live prompt. Takes its time on a large one."""
        ...

    async def near_duplicates(self) -> NearPairs:
        """Find pairs of live prompts that say nearly the same."""
        ...

    async def offer(self) -> EpochOffer:
        """Return the units that an epoch opened now would have."""
        ...

    async def open_epoch(self, *, admit: Admission | None = None) -> Epoch:
        """Freeze all live prompts into a new epoch and return it.

        Args:
            admit: is told the units before anything is frozen, and may refuse by what it raises.

        Raises:
            CategoriesTell: the name of a category, which is published, gives a prompt away.
            WrongState: there is no live prompt, nothing changed since the epoch that is open, or something does while
                the names are compared.
        """
        ...

    async def burn(self, epoch_id: str) -> int:
        """Record every prompt of an epoch as sent to a server that can log it; return how many were not yet.

        Raises:
            NotFound: there is no such epoch.
        """
        ...

    async def epochs(self) -> tuple[Epoch, ...]:
        """Return all epochs, oldest first."""
        ...

    async def unlogged_epochs(self) -> tuple[Epoch, ...]:
        """Return the epochs that are not known to stand in the log, oldest first."""
        ...

    async def note_logged(self, epoch_id: str) -> None:
        """Take note that an epoch stands in the log."""
        ...

    async def members(self, epoch_id: str) -> tuple[Member, ...]:
        """Return the members of an epoch in its frozen order, without their texts.

        Raises:
            NotFound: there is no such epoch.
        """
        ...

    async def texts(self, epoch_id: str, *, start: int, stop: int) -> tuple[SecretText, ...]:
        """Return the texts of the members at positions ``start`` up to ``stop``, in order."""
        ...


class PackReader(Protocol):
    """Open one sealed pack, frame by frame."""

    @property
    def finished(self) -> bool:
        """Say whether its last frame was opened: a pack that was cut off has none."""
        ...

    def open(self, frame: bytes) -> bytes:
        """Return what is in the next frame; nothing for the first, which is the header.

        Raises:
            InvalidRequest: it is not the next frame of a pack that was sealed to this appliance.
        """
        ...


class Packs(Protocol):
    """Open packs of prompts that were sealed to this appliance."""

    @property
    def public_key(self) -> bytes:
        """Return the X25519 public key to which they are sealed, 32 bytes."""
        ...

    def reader(self) -> PackReader:
        """Return what opens the next pack."""
        ...


class Memberships(Protocol):
    """Say who is in an epoch: all that the release desk may know of the bank."""

    async def epochs(self) -> tuple[Epoch, ...]:
        """Return all epochs, oldest first."""
        ...

    async def members(self, epoch_id: str) -> tuple[Member, ...]:
        """Return the members of an epoch in its frozen order.

        Raises:
            NotFound: there is no such epoch.
        """
        ...
