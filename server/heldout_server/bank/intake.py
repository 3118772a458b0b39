"""An import under way: rows go in batch by batch, unseen, and become visible all at once.

Everything here runs on the database's thread, each function inside one transaction.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
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


_COLUMNS: Final = ("number", "handle", "unit", "intent", "category", "language", "tags", "family", "shard", "sealed")


Checked = tuple[DraftRow, bytes]
"""A row that is right by itself, and its fingerprint."""


class _Admitted(NamedTuple):
    """A row that may enter. A tuple, since a large import makes very many."""

    line: int
    draft: PromptDraft
    handle: str
    unit: str


class _Block(NamedTuple):
    """Rows that go into one shard together."""

    first: int  # the number of the first
    shard: int
    sealer: Sealer
    rows: Sequence[_Admitted]


class Intake:
    """Take in the rows of one import."""

    def __init__(
        self,
        *,
        bank_id: str,
        fingerprint_key: bytes,
        shards: Shards,
        ids: Ids,
        sealing: Executor,
        skip_bad: bool,
    ) -> None:
        self._place_before = context(bank_id, "bank")
        self._place_after = context(VERSION, "text")
        self._fingerprints = Fingerprints(fingerprint_key)
        self._shards = shards
        self._ids = ids
        self._sealing = sealing
        self._skip_bad = skip_bad
        self._begun = False
        self._first_prompt = 0
        self._imported = 0
        self._own_shards: list[tuple[int, Sealer]] = []
        self._bad: list[BadRow] = []
        self._already: list[str] = []  # handles of live prompts that rows repeat
        self._repeated: list[str] = []  # handles of this import's own prompts that later rows repeat
        self._held: dict[bytes, list[int]] = {}  # numbers of the bank's prompts by fingerprint
        self._seen: dict[bytes, str] = {}  # handles of this import's own, in the order in which they were admitted
        self._lines = array("i")  # of this import's own, likewise
        self._categories: dict[str, str] = {}  # of the harmful members of each family met so far; "" for none yet

    @property
    def fails(self) -> bool:
        """Say whether the import will leave nothing, for a bad row that was not to be skipped."""
        return bool(self._bad) and not self._skip_bad

    def check(self, rows: Sequence[DraftRow]) -> list[Checked]:
        """Return the rows of a batch that are right by themselves, and list the others. Needs no database."""
        checked: list[Checked] = []
        mark_of = self._fingerprints.of
        for row in rows:
            reason = decide_reason(row.draft)
            if reason is None:
                checked.append((row, mark_of(row.draft.text)))
            else:
                self._bad.append(BadRow(row.line, reason))
        return checked

    def take(self, connection: Connection, batch: Sequence[Checked]) -> None:
        """Append what may enter of a batch, sealed and unseen."""
        if not self._begun:
            self._begin(connection)
        # (1) Against the bank and the rows before it.
        self._learn_families(connection, {row.draft.family for row, _ in batch if row.draft.family})
        admitted = [row for row in (self._admit(connection, row, mark) for row, mark in batch) if row is not None]
        # (2) A bad row that is not to be skipped leaves nothing: from there on rows are only checked.
        if not self.fails:
            self._append(connection, admitted)

    def finish(self, connection: Connection) -> ImportReport:
        """Make the rows visible, or drop them all, and say what was done."""
        bad = tuple(sorted(self._bad, key=lambda row: row.line))
        if self.fails:
            purge(connection)
            return ImportReport(imported=0, bad=bad, duplicates=tuple(self._already))
        if self._begun:
            connection.execute(_PUBLISH_ENTRIES)
            connection.execute(_PUBLISH_FAMILIES)
            marks = tuple(self._seen)
            for place, (shard, _) in enumerate(self._own_shards):
                start = place * SHARD_PROMPTS
                first = self._first_prompt + start
                self._shards.fill(
                    connection,
                    shard,
                    first,
                    fingerprints=marks[start : start + SHARD_PROMPTS],
                )
            connection.execute("DELETE FROM unfinished")
        return ImportReport(
            imported=self._imported,
            bad=bad,
            duplicates=tuple(self._already + self._repeated),
            first_prompt=self._first_prompt,
            lines=self._lines,
        )

    def _begin(self, connection: Connection) -> None:
        purge(connection)
        self._first_prompt, first_shard = connection.execute(
            "SELECT (SELECT coalesce(max(number), 0) + 1 FROM prompt), (SELECT coalesce(max(number), 0) + 1 FROM shard)"
        ).fetchone()
        connection.execute(
            "INSERT INTO unfinished (one, first_prompt, first_shard) VALUES (1, ?, ?)",
            (self._first_prompt, first_shard),
        )
        self._held = self._shards.fingerprints(connection)
        self._begun = True

    def _admit(self, connection: Connection, row: DraftRow, mark: bytes) -> _Admitted | None:
        """Return a row that may enter, or put it on the list of why not."""
        draft = row.draft
        # (1) A text that is live, or came before in this import, is left out.
        spent_unit = ""
        if mark in self._held:
            live_handle, spent_unit = _held(connection, self._held[mark])
            if live_handle:
                self._already.append(live_handle)
                return None
        if mark in self._seen:
            self._repeated.append(self._seen[mark])
            return None
        # (2) A text that was in an epoch stays in the unit whose budget it spent.
        handle = self._ids.new("prompt")
        unit = f"f-{draft.family}" if draft.family else f"p-{handle}"
        if spent_unit and not draft.family and spent_unit.startswith("p-"):
            unit = spent_unit
        elif spent_unit and unit != spent_unit:
            self._bad.append(BadRow(row.line, "unit_changed"))
            return None
        # (3) The harmful members of a family share one category.
        if draft.family and draft.intent is Intent.HARMFUL:
            category = self._categories[draft.family] or draft.category
            if category != draft.category:
                self._bad.append(BadRow(row.line, "family_mixes_categories"))
                return None
            self._categories[draft.family] = category
        self._seen[mark] = handle
        return _Admitted(row.line, draft, handle, unit)

    def _append(self, connection: Connection, admitted: Sequence[_Admitted]) -> None:
        """Append rows shard by shard. While the database writes one block, the next is sealed."""
        blocks = list(self._blocks(connection, admitted))
        for block, values in zip(blocks, self._sealing.map(self._seal, blocks), strict=True):
            connection.execute(_insert_statement(len(block.rows)), values)

    def _blocks(self, connection: Connection, admitted: Sequence[_Admitted]) -> Iterator[_Block]:
        """Cut what was admitted where a shard is full, and count it as imported."""
        start = 0
        while start < len(admitted):
            filled = self._imported % SHARD_PROMPTS
            if not filled:
                self._own_shards.append(self._shards.add(connection))
            rows = admitted[start : start + SHARD_PROMPTS - filled]
            yield _Block(self._first_prompt + self._imported, *self._own_shards[-1], rows)
            self._lines.extend(row.line for row in rows)
            self._imported += len(rows)
            start += len(rows)

    def _seal(self, block: _Block) -> list[Any]:
        """Return the values of a block's rows end to end, as the statement takes them. Touches no database."""
        before, after = self._place_before, self._place_after
        texts = [(row.draft.text, before + context(row.handle) + after) for row in block.rows]
        values: list[Any] = []
        number = block.first
        for (_, draft, handle, unit), sealed in zip(block.rows, block.sealer.seal_all(texts), strict=True):
            values += (
                number,
                handle,
                unit,
                INTENT_CODES[draft.intent],
                draft.category,
                draft.language,
                " ".join(draft.tags),
                draft.family,
                block.shard,
                sealed,
            )
            number += 1
        return values

    def _learn_families(self, connection: Connection, families: set[str]) -> None:
        """Look up the category of the live harmful members of families that this import has not met yet."""
        new = families - self._categories.keys()
        if new:
            self._categories.update(dict.fromkeys(new, ""))
            rows = connection.execute(
                "SELECT family.family, prompt.category FROM family JOIN prompt USING (number)"
                " JOIN entry ON entry.handle = prompt.handle"
                " WHERE family.family IN (SELECT value FROM json_each(?)) AND NOT entry.retired AND prompt.intent = ?",
                (json.dumps(sorted(new)), INTENT_CODES[Intent.HARMFUL]),
            )
            self._categories.update(rows)


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


def _held(connection: Connection, numbers: Sequence[int]) -> tuple[str, str]:
    """Return, of the bank's prompts with one text, the handle that is live and the unit that was in an epoch, or ''."""
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
    return live_handle, spent_unit
