"""What the bank learns from its own texts after an import.

Sketches, by which it finds near duplicates, and traces, by which the cards gate knows a prompt again.

An import is done once its rows are durable; this comes after it, shard by shard, each durable by itself. What an
interruption leaves undone the next question carries on, so that nothing is ever searched by half.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from heldout_server.anchored_database import AnchoredDatabase
from heldout_server.bank import near
from heldout_server.bank.fingerprint import FINGERPRINT_BYTES
from heldout_server.bank.near import Families, Likeness, Sketches
from heldout_server.bank.schema import VERSION
from heldout_server.bank.shards import Shards
from heldout_server.bank.sketch import sketch
from heldout_server.bank.traces import Tracer, pack
from heldout_server.database import Connection
from heldout_server.domain import SecretText
from heldout_server.errors import IntegrityError
from heldout_server.ports.bank import MAX_NEAR, ImportReport, NearPair, NearPairs, NearRow, NearRows
from heldout_server.sealing import context

_UNSTUDIED: Final = "(sketches = x'' OR trace_sizes = x'') AND fingerprints <> x''"


class _Lesson(NamedTuple):
    """A shard to be studied, its texts in the order of their numbers."""

    shard: int
    texts: Sequence[SecretText]


class Studies:
    """Study the shards that are new, and answer from what was learnt."""

    def __init__(self, database: AnchoredDatabase, *, bank_id: str, key: bytes, tracer: Tracer, shards: Shards) -> None:
        self._database = database
        self._place = context(bank_id, "bank")
        self._key = key
        self._tracer = tracer
        self._shards = shards
        self._studying = asyncio.Lock()

    async def catch_up(self) -> None:
        """Study every shard that is visible and was not yet."""
        async with self._studying:
            while (lesson := await self._database.read(self._next)) is not None:
                await self._study(lesson)

    async def near_rows(self, report: ImportReport) -> NearRows:
        """Return the rows of an import that say nearly the same as a live prompt of another family."""
        await self.catch_up()
        if not report.imported:
            return NearRows(rows=(), total=0)
        first, last = report.first_prompt, report.first_prompt + report.imported - 1
        live = await self._database.read(_live_sketches)
        families = await self._database.read(_families)

        def search() -> list[Likeness]:
            new = {number: one for number, one in live.items() if first <= number <= last}
            return near.find_nearest(new, {number: one for number, one in live.items() if number not in new}, families)

        found = await asyncio.to_thread(search)
        handles = await self._handles(found)
        rows = [
            NearRow(
                line=report.lines[one.number - first],
                handle=handles[one.other],
                similarity=one.similarity,
                other_line=report.lines[one.other - first] if first <= one.other <= last else 0,
            )
            for one in found
        ]
        rows.sort(key=lambda row: row.line)
        return NearRows(rows=tuple(rows[:MAX_NEAR]), total=len(rows))

    async def near_pairs(self) -> NearPairs:
        """Return pairs of live prompts, not of one family, that say nearly the same, most alike first."""
        await self.catch_up()
        live = await self._database.read(_live_sketches)
        found = await asyncio.to_thread(near.find_pairs, live, await self._database.read(_families))
        named = found[:MAX_NEAR]
        handles = await self._handles(named)
        pairs = (
            NearPair(first=handles[one.number], second=handles[one.other], similarity=one.similarity) for one in named
        )
        return NearPairs(pairs=tuple(pairs), total=len(found))

    def _next(self, connection: Connection) -> _Lesson | None:
        row = connection.execute(
            f"SELECT number, first_prompt, length(fingerprints) / {FINGERPRINT_BYTES} FROM shard"  # noqa: S608 - our own words
            f" WHERE {_UNSTUDIED} ORDER BY number LIMIT 1"
        ).fetchone()
        if row is None:
            return None
        shard, first, prompts = row
        sealed = connection.execute(
            "SELECT handle, sealed FROM prompt WHERE number >= ? AND number < ? ORDER BY number",
            (first, first + prompts),
        )
        sealer = self._shards.find(connection, shard)
        after = context(VERSION, "text")
        return _Lesson(shard, [sealer.open(one, self._place + context(handle) + after) for handle, one in sealed])

    async def _study(self, lesson: _Lesson) -> None:
        def learn() -> tuple[bytes, bytes, bytes]:
            sketches = b"".join(sketch(text, self._key) for text in lesson.texts)
            return sketches, *pack(self._tracer.trace(text.reveal()) for text in lesson.texts)

        learnt = await asyncio.to_thread(learn)
        await self._database.write_aside(
            lambda connection: connection.execute(
                "UPDATE shard SET sketches = ?, trace_sizes = ?, traces = ? WHERE number = ?", (*learnt, lesson.shard)
            )
        )

    async def _handles(self, found: Sequence[Likeness]) -> dict[int, str]:
        numbers = {number for one in found for number in (one.number, one.other)}
        return await self._database.read(
            lambda connection: {number: find_handle(connection, number) for number in numbers}
        )


def find_handle(connection: Connection, number: int) -> str:
    """Return the handle of a prompt that was studied.

    Raises:
        IntegrityError: the prompt is not there any more.
    """
    row = connection.execute("SELECT handle FROM prompt WHERE number = ?", (number,)).fetchone()
    if row is None:
        raise IntegrityError("a prompt of the bank is missing: an old page was put back", reason="PROMPTS_MISSING")
    return str(row[0])


def count_unstudied(connection: Connection) -> int:
    """Return how many prompts were not studied yet."""
    statement = f"SELECT coalesce(sum(length(fingerprints)), 0) / {FINGERPRINT_BYTES} FROM shard WHERE {_UNSTUDIED}"  # noqa: S608 - our own words
    return int(connection.execute(statement).fetchone()[0])


def _families(connection: Connection) -> Families:
    return {number: family for family, number in connection.execute("SELECT family, number FROM family")}


def _live_sketches(connection: Connection) -> Sketches:
    live = {number for (number,) in connection.execute("SELECT number FROM entry WHERE NOT retired")}
    sketches: dict[int, bytes] = {}
    for first_prompt, stored in connection.execute("SELECT first_prompt, sketches FROM shard ORDER BY first_prompt"):
        sketches.update(near.split(first_prompt, stored))
    return {number: one for number, one in sketches.items() if number in live}
