"""The import of 100,000 prompts, against plain sqlite3 inserting the same rows; and the cards gate."""

from __future__ import annotations

import itertools
import sqlite3
import statistics
from pathlib import Path

from measuring import Effort, Row, Stopwatch, Target, scratch, take_turns
from rooms import draft_rows, stream

from heldout_server.bank import SqlBank
from heldout_server.environment import RandomIds
from heldout_server.keys import FileKeyRing
from heldout_server.ports.bank import DraftRow
from heldout_server.ports.cards import CardText
from heldout_server.techniques import TechniqueLibrary

TABLE = """
CREATE TABLE prompt (
    number INTEGER PRIMARY KEY, handle TEXT{unique}, unit TEXT, intent TEXT, category TEXT, language TEXT, tags TEXT,
    family TEXT, text TEXT
)
"""
INSERT = (
    "INSERT INTO prompt (handle, unit, intent, category, language, tags, family, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
ROUNDS = 3


async def measure(effort: Effort) -> list[Row]:
    """Take turns, each time with a new file.

    What sqlite3 inserts is what the bank keeps of a prompt, with the text as it is, found again by its handle. A table
    that finds nothing again is measured beside it.
    """
    count = effort.pick(100_000, 10_000)
    rows = draft_rows(harmful=count * 4 // 5, benign=count // 5)
    plain_rows = _plain_rows(rows)
    names = itertools.count()
    without_index: list[float] = []
    with scratch() as folder:
        keys = FileKeyRing.create(folder / "root.key", folder / "ring.json")

        async def product() -> float:
            bank = SqlBank.open(folder / f"bank-{next(names)}.db", keys=keys, ids=RandomIds())
            watch = Stopwatch()
            report = await bank.import_prompts(stream(rows), skip_bad=False)
            seconds = watch.seconds()
            bank.close()
            assert report.imported == count
            return count / seconds

        async def baseline() -> float:
            without_index.append(_plain_rate(folder / f"plain-{next(names)}.db", plain_rows, unique=False))
            return _plain_rate(folder / f"plain-{next(names)}.db", plain_rows, unique=True)

        async def study() -> float:
            """Find near duplicates of a fifth of the rows: this comes after an import, and does not hold it up."""
            some = rows[: count // 5]
            bank = SqlBank.open(folder / f"bank-{next(names)}.db", keys=keys, ids=RandomIds())
            await bank.import_prompts(stream(some), skip_bad=False)
            watch = Stopwatch()
            await bank.near_duplicates()
            seconds = watch.seconds()
            bank.close()
            return len(some) / seconds

        value, plain = await take_turns(product, baseline, rounds=effort.pick(ROUNDS, 1), what="bank import")
        studied = await study()
    return [
        Row(
            name=f"bank import, {count:,} prompts, near duplicates not yet searched",
            value=value,
            baseline=plain,
            unit="prompts/s, against plain sqlite3 inserting the same rows by handle",
            target=Target("ratio", ">=", 0.4),
        ),
        Row(
            name="  against a table without an index",
            value=value,
            baseline=statistics.median(without_index[1:]),
            unit="prompts/s",
        ),
        Row(name=f"  search of near duplicates after it, {count // 5:,} prompts", value=studied, unit="prompts/s"),
    ]


async def measure_gate(effort: Effort) -> list[Row]:
    """Compare each card that ships with a bank of 10,000 prompts, one by one, once the bank knows its own texts."""
    count = effort.pick(10_000, 1_000)
    cards = [
        CardText(title=card.title, mechanism=card.mechanism, references=card.references, mitigation=card.mitigation)
        for card in TechniqueLibrary.standard().cards()
    ]
    with scratch() as folder:
        keys = FileKeyRing.create(folder / "root.key", folder / "ring.json")
        bank = SqlBank.open(folder / "bank.db", keys=keys, ids=RandomIds())
        await bank.import_prompts(stream(draft_rows(harmful=count * 4 // 5, benign=count // 5)), skip_bad=False)
        await bank.gate.examine(cards[:1])
        took: list[float] = []
        for card in cards:
            watch = Stopwatch()
            await bank.gate.examine([card])
            took.append(1_000 * watch.seconds())
        bank.close()
    return [
        Row(
            name=f"cards gate, {count:,} prompts",
            value=statistics.median(took),
            unit="ms a card, median of those that ship",
            target=Target("value", "<=", 200),
        ),
        Row(name="  the slowest of them", value=max(took), unit="ms"),
    ]


def _plain_rows(rows: list[DraftRow]) -> list[tuple]:
    ids = RandomIds()
    handles = [ids.new("prompt") for _ in rows]
    drafts = [row.draft for row in rows]
    return [
        (
            handle,
            f"p-{handle}",
            draft.intent.value,
            draft.category,
            draft.language,
            " ".join(draft.tags),
            draft.family,
            draft.text.reveal(),
        )
        for handle, draft in zip(handles, drafts, strict=True)
    ]


def _plain_rate(path: Path, rows: list[tuple], *, unique: bool) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(TABLE.format(unique=" UNIQUE" if unique else ""))
    watch = Stopwatch()
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(INSERT, rows)
    connection.execute("COMMIT")
    seconds = watch.seconds()
    connection.close()
    return len(rows) / seconds
