"""An import under way: rows go in batch by batch, unseen, and become visible all at once.

Everything here runs on the database's thread, each function inside one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, NamedTuple

from heldout_server.bank.fingerprint import fingerprint
from heldout_server.bank.near import find_near
from heldout_server.bank.schema import INTENT_CODES, VERSION
from heldout_server.bank.shards import SHARD_PROMPTS, Shards
from heldout_server.bank.sketch import sketch
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


class _Admitted(NamedTuple):
    """A row that may enter. A tuple, since a large import makes very many."""

    line: int
    draft: PromptDraft
    handle: str
    unit: str


class Intake:
    """Take in the rows of one import."""

    def __init__(self, *, bank_id: str, fingerprint_key: bytes, shards: Shards, ids: Ids, skip_bad: bool) -> None:
        self._place_before = context(bank_id, "bank")
        self._place_after = context(VERSION, "text")
        self._fingerprint_key = fingerprint_key
        self._shards = shards
        self._ids = ids
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
        self._sketches: list[bytes] = []  # of this import's own, in the order in which they were admitted
        self._lines: list[int] = []  # likewise
        self._categories: dict[str, str] = {}  # of the harmful members of each family met so far; "" for none yet

    @property
    def fails(self) -> bool:
        """Say whether the import will leave nothing, for a bad row that was not to be skipped."""
        return bool(self._bad) and not self._skip_bad

    def take(self, connection: Connection, rows: Sequence[DraftRow]) -> None:
        """Check a batch and append what may enter, sealed and unseen."""
        if not self._begun:
            self._begin(connection)
        # (1) Each row by itself.
        drafts: list[tuple[DraftRow, bytes]] = []
        for row in rows:
            reason = decide_reason(row.draft)
            if reason is None:
                drafts.append((row, fingerprint(row.draft.text, self._fingerprint_key)))
            else:
                self._bad.append(BadRow(row.line, reason))
        # (2) Against the bank and the rows before it.
        self._learn_families(connection, {row.draft.family for row, _ in drafts if row.draft.family})
        admitted = [row for row in (self._admit(connection, row, mark) for row, mark in drafts) if row is not None]
        # (3) A bad row that is not to be skipped leaves nothing: from there on rows are only checked.
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
                    sketches=self._sketches[start : start + SHARD_PROMPTS],
                )
            connection.execute("DELETE FROM unfinished")
        near, near_total = find_near(connection, self._sketches, first_prompt=self._first_prompt, lines=self._lines)
        return ImportReport(
            imported=self._imported,
            bad=bad,
            duplicates=tuple(self._already + self._repeated),
            near=near,
            near_total=near_total,
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
        rows = []
        for entering in admitted:
            draft, handle = entering.draft, entering.handle
            if self._imported % SHARD_PROMPTS == 0:
                self._own_shards.append(self._shards.add(connection))
            shard, sealer = self._own_shards[-1]
            where = self._place_before + context(handle) + self._place_after
            rows.append(
                (
                    self._first_prompt + self._imported,
                    handle,
                    entering.unit,
                    INTENT_CODES[draft.intent],
                    draft.category,
                    draft.language,
                    " ".join(draft.tags),
                    draft.family,
                    shard,
                    sealer.seal(draft.text, where),
                )
            )
            self._imported += 1
            self._sketches.append(sketch(draft.text, self._fingerprint_key))
            self._lines.append(entering.line)
        connection.executemany(
            "INSERT INTO prompt (number, handle, unit, intent, category, language, tags, family, shard, sealed)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )

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
