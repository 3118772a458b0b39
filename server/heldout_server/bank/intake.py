"""An import under way: rows go in batch by batch, unseen, and become visible all at once.

What is given a connection runs on the database's thread, inside one transaction.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from heldout_server.bank.fingerprint import Fingerprints
from heldout_server.bank.schema import INTENT_CODES, VERSION
from heldout_server.bank.shards import SHARD_PROMPTS, Shards
from heldout_server.bank.validation import decide_reason
from heldout_server.database import Connection
from heldout_server.domain import Intent, PromptDraft
from heldout_server.ports.bank import BadRow, DraftRow, ImportReport
from heldout_server.ports.environment import Ids
from heldout_server.sealing import Sealer, context

_PUBLISH_ENTRIES: Final = """
INSERT INTO entry (handle, number) SELECT handle, number FROM prompt
WHERE number >= (SELECT first_prompt FROM unfinished) ORDER BY handle
"""
_PUBLISH_FAMILIES: Final = """
INSERT INTO family (family, number) SELECT family, number FROM prompt
WHERE number >= (SELECT first_prompt FROM unfinished) AND family <> '' ORDER BY family, number
"""
_FAMILY_CATEGORIES: Final = """
SELECT DISTINCT family.family, prompt.category FROM family JOIN prompt USING (number)
JOIN entry ON entry.handle = prompt.handle WHERE NOT entry.retired AND prompt.intent = ?
"""
_COLUMNS: Final = ("number", "handle", "unit", "intent", "category", "language", "tags", "family", "shard", "sealed")
_STATEMENT_VALUES: Final = 3_000 * len(_COLUMNS)
"""SQLite takes 32,766. The fewer statements, the less often the database's thread waits for Python's lock."""


class _Held(NamedTuple):
    """What the bank holds of one text."""

    live_handle: str  # of the prompt that is live, or ""
    spent_unit: str  # that was in an epoch, or ""


_Admitted = tuple[PromptDraft, str, str]
"""A row that may enter, its handle and its unit."""


class _Shard(NamedTuple):
    """A shard of this import's own."""

    number: int
    sealer: Sealer
    wrapped_key: bytes


class Batch(NamedTuple):
    """Rows that are sealed and ready to be appended."""

    shards: Sequence[_Shard]  # those that begin with this batch
    values: list[Any]  # of the rows end to end, as a statement takes them


class Intake:
    """Take in the rows of one import.

    ``prepare`` does all that needs no database, on a thread of its own, while ``append`` writes the rows before.
    """

    def __init__(
        self,
        *,
        bank_id: str,
        fingerprint_key: bytes,
        shards: Shards,
        ids: Ids,
        look_up: Callable[[Callable[[Connection], Any]], Any],
        skip_bad: bool,
    ) -> None:
        """Take in rows for a bank.

        Args:
            bank_id: whose seals they get.
            fingerprint_key: 32 bytes.
            shards: makes the shards that they go into.
            ids: names the prompts.
            look_up: runs a reading function on the database's thread and returns its result; blocks.
            skip_bad: leave bad rows out, instead of leaving everything.
        """
        self._place_before = context(bank_id, "bank")
        self._place_after = context(VERSION, "text")
        self._fingerprints = Fingerprints(fingerprint_key)
        self._shards = shards
        self._ids = ids
        self._look_up = look_up
        self._skip_bad = skip_bad
        self._first_prompt = 0
        self._first_shard = 0
        self._imported = 0
        self._spent_before = 0  # rows whose text was in an epoch before
        self._own_shards: list[_Shard] = []
        self._bad: list[BadRow] = []
        self._already: list[str] = []  # handles of live prompts that rows repeat
        self._repeated: list[str] = []  # handles of this import's own prompts that later rows repeat
        self._held: dict[bytes, list[int]] = {}  # numbers of the bank's prompts by fingerprint
        self._seen: dict[bytes, str] = {}  # handles of this import's own, in the order in which they were admitted
        self._lines = array("i")  # of this import's own, likewise
        self._categories: dict[str, str] = {}  # of the harmful members of each family met so far

    @property
    def fails(self) -> bool:
        """Say whether the import will leave nothing, for a bad row that was not to be skipped."""
        return bool(self._bad) and not self._skip_bad

    def begin(self, connection: Connection) -> None:
        """Note that an import is under way, and learn what the bank holds."""
        purge(connection)
        self._first_prompt, self._first_shard = connection.execute(
            "SELECT (SELECT coalesce(max(number), 0) + 1 FROM prompt),"
            # A shard's number is never given again, not even when its key was deleted.
            " coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'shard'), 0) + 1"
        ).fetchone()
        connection.execute(
            "INSERT INTO unfinished (one, first_prompt, first_shard) VALUES (1, ?, ?)",
            (self._first_prompt, self._first_shard),
        )
        self._held = self._shards.fingerprints(connection)
        self._categories = dict(connection.execute(_FAMILY_CATEGORIES, (INTENT_CODES[Intent.HARMFUL],)))

    def prepare(self, rows: Sequence[DraftRow]) -> Batch:
        """Return what may enter of a batch, sealed, and list the other rows. Batches come one after the other."""
        marks = [self._mark(row) for row in rows]
        held = self._find_held([mark for mark in marks if mark in self._held])
        handles = self._ids.several("prompt", len(rows))
        admitted: list[_Admitted] = []
        for row, mark, handle in zip(rows, marks, handles, strict=True):
            unit = self._admit(row, mark, handle, held)
            if unit is not None:
                self._seen[mark] = handle
                self._lines.append(row.line)
                admitted.append((row.draft, handle, unit))
        # A bad row that is not to be skipped leaves nothing: from there on rows are only checked.
        return Batch((), []) if self.fails else self._seal(admitted)

    def append(self, connection: Connection, batch: Batch) -> None:
        """Append the rows of a batch, unseen."""
        for shard in batch.shards:
            self._shards.store(connection, shard.number, shard.wrapped_key)
        for start in range(0, len(batch.values), _STATEMENT_VALUES):
            values = batch.values[start : start + _STATEMENT_VALUES]
            connection.execute(_insert_statement(len(values) // len(_COLUMNS)), values)

    def finish(self, connection: Connection) -> ImportReport:
        """Make the rows visible, or drop them all, and say what was done."""
        bad = tuple(sorted(self._bad, key=lambda row: row.line))
        if self.fails:
            purge(connection)
            return ImportReport(imported=0, bad=bad, duplicates=tuple(self._already))
        connection.execute(_PUBLISH_ENTRIES)
        connection.execute(_PUBLISH_FAMILIES)
        marks = tuple(self._seen)
        for place, shard in enumerate(self._own_shards):
            start = place * SHARD_PROMPTS
            self._shards.fill(
                connection,
                shard.number,
                self._first_prompt + start,
                fingerprints=marks[start : start + SHARD_PROMPTS],
            )
        connection.execute("DELETE FROM unfinished")
        return ImportReport(
            imported=self._imported,
            bad=bad,
            duplicates=tuple(self._already + self._repeated),
            first_prompt=self._first_prompt,
            lines=self._lines,
            spent_before=self._spent_before,
        )

    def _mark(self, row: DraftRow) -> bytes:
        """Return a row's fingerprint, or nothing for one that is not right by itself, which is listed."""
        reason = decide_reason(row.draft)
        if reason is None:
            return self._fingerprints.of(row.draft.text)
        self._bad.append(BadRow(row.line, reason))
        return b""

    def _find_held(self, marks: Sequence[bytes]) -> Mapping[bytes, _Held]:
        """Ask the database for what the bank holds of texts, if there are any."""

        def work(connection: Connection) -> dict[bytes, _Held]:
            return {mark: _held(connection, self._held[mark]) for mark in marks}

        found: Mapping[bytes, _Held] = self._look_up(work) if marks else {}
        return found

    def _admit(self, row: DraftRow, mark: bytes, handle: str, held: Mapping[bytes, _Held]) -> str | None:
        """Return the unit of a row that may enter, or put it on the list of why not."""
        if not mark:
            return None
        draft = row.draft
        # (1) A text that is live, or came before in this import, is left out.
        spent_unit = ""
        if mark in held:
            live_handle, spent_unit = held[mark]
            if live_handle:
                self._already.append(live_handle)
                return None
        if mark in self._seen:
            self._repeated.append(self._seen[mark])
            return None
        # (2) A text that was in an epoch stays in the unit whose budget it spent.
        unit = f"f-{draft.family}" if draft.family else f"p-{handle}"
        if spent_unit and not draft.family and spent_unit.startswith("p-"):
            unit = spent_unit
        elif spent_unit and unit != spent_unit:
            self._bad.append(BadRow(row.line, "unit_changed"))
            return None
        # (3) The harmful members of a family share one category.
        if draft.family and draft.intent is Intent.HARMFUL:
            category = self._categories.setdefault(draft.family, draft.category)
            if category != draft.category:
                self._bad.append(BadRow(row.line, "family_mixes_categories"))
                return None
        self._spent_before += bool(spent_unit)
        return unit

    def _seal(self, admitted: Sequence[_Admitted]) -> Batch:
        """Seal rows into shards, beginning a new one where one is full, and count them as imported."""
        known = len(self._own_shards)
        values: list[Any] = []
        start = 0
        while start < len(admitted):
            filled = self._imported % SHARD_PROMPTS
            if not filled:
                number = self._first_shard + len(self._own_shards)
                self._own_shards.append(_Shard(number, *self._shards.make(number)))
            rows = admitted[start : start + SHARD_PROMPTS - filled]
            values += self._values(self._own_shards[-1], self._first_prompt + self._imported, rows)
            self._imported += len(rows)
            start += len(rows)
        return Batch(self._own_shards[known:], values)

    def _values(self, shard: _Shard, first: int, rows: Sequence[_Admitted]) -> list[Any]:
        """Return what is stored of rows that go into one shard, as prompts numbered from ``first`` on."""
        before, after = self._place_before, self._place_after
        texts = [(draft.text, before + context(handle) + after) for draft, handle, _ in rows]
        sealed_texts = shard.sealer.seal_all(texts)
        values: list[Any] = []
        for number, ((draft, handle, unit), sealed) in enumerate(zip(rows, sealed_texts, strict=True), start=first):
            values += (
                number,
                handle,
                unit,
                INTENT_CODES[draft.intent],
                draft.category,
                draft.language,
                " ".join(draft.tags),
                draft.family,
                shard.number,
                sealed,
            )
        return values


@lru_cache(maxsize=4)
def _insert_statement(rows: int) -> str:
    """Return one statement for many rows: the database works through it without asking for Python's lock again."""
    row = f"({', '.join('?' * len(_COLUMNS))})"
    return f"INSERT INTO prompt ({', '.join(_COLUMNS)}) VALUES {', '.join([row] * rows)}"  # noqa: S608 - our own names


def purge(connection: Connection) -> None:
    """Drop what an import that did not finish left behind, keys of its shards included."""
    for first_prompt, first_shard in connection.execute("SELECT first_prompt, first_shard FROM unfinished").fetchall():
        connection.execute("DELETE FROM prompt WHERE number >= ?", (first_prompt,))
        connection.execute("DELETE FROM shard WHERE number >= ?", (first_shard,))
        connection.execute("DELETE FROM unfinished")


def _held(connection: Connection, numbers: Sequence[int]) -> _Held:
    """Return what the prompts with these numbers, which share one text, are to the bank."""
    live_handle = spent_unit = ""
    for number in numbers:
        handle, unit, retired, spent = connection.execute(
            "SELECT entry.handle, prompt.unit, entry.retired,"
            " EXISTS (SELECT 1 FROM member WHERE member.prompt = prompt.number)"
            " FROM prompt JOIN entry ON entry.handle = prompt.handle WHERE prompt.number = ?",
            (number,),
        ).fetchone()
        live_handle = live_handle if retired else handle
        spent_unit = unit if spent else spent_unit
    return _Held(live_handle, spent_unit)
