"""The bank's door: :class:`heldout_server.ports.bank.Bank` over one SQLCipher database."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from heldout_policy.shortage import EpochSizes
from heldout_server.anchored_database import AnchoredDatabase
from heldout_server.anchoring import Anchor
from heldout_server.bank import epochs
from heldout_server.bank.cards import SqlCardStore
from heldout_server.bank.fingerprint import KEY_BYTES
from heldout_server.bank.gate import SqlCardsGate
from heldout_server.bank.intake import Intake, purge
from heldout_server.bank.schema import CONTENT, INTENT_CODES, INTENTS, MIGRATIONS, VERSION
from heldout_server.bank.shards import Shards
from heldout_server.bank.studies import Studies, count_unstudied
from heldout_server.bank.traces import Tracer
from heldout_server.database import Connection
from heldout_server.domain import Epoch, Intent, Member, PromptDraft, SecretText
from heldout_server.errors import NotFound
from heldout_server.ports.bank import (
    Admission,
    BankStats,
    CategoriesTell,
    Count,
    DraftRow,
    EpochOffer,
    ImportReport,
    NearPairs,
    NearRows,
    StoredPrompt,
)
from heldout_server.ports.environment import Ids
from heldout_server.ports.keys import KeyRing
from heldout_server.sealing import context

BATCH_ROWS: Final = 3_000
BATCH_CHARACTERS: Final = 4_000_000
"""Bounds of what an import holds in memory between two appends. Twice as many rows took an eighth longer."""

FINGERPRINT_PURPOSE: Final = "bank-fingerprint"


class SqlBank:
    """Hold prompts, sealed, and freeze sets of them into epochs.

    Attributes:
        gate: judges cards by what is in the bank.
        cards: keeps them.
    """

    def __init__(
        self,
        database: AnchoredDatabase,
        *,
        bank_id: str,
        fingerprint_key: bytes,
        shards: Shards,
        ids: Ids,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._bank_id = bank_id
        self._fingerprint_key = fingerprint_key
        self._shards = shards
        self._ids = ids
        self._random_bytes = random_bytes
        tracer = Tracer(fingerprint_key)
        self._studies = Studies(database, bank_id=bank_id, key=fingerprint_key, tracer=tracer, shards=shards)
        self.gate = SqlCardsGate(database, tracer=tracer, studies=self._studies)
        self.cards = SqlCardStore(database)
        self._importing = asyncio.Lock()

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        keys: KeyRing,
        ids: Ids,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        anchor: Anchor | None = None,
    ) -> SqlBank:
        """Open the bank, or create it, and drop what an interrupted import left.

        Args:
            path: the database file; its folder must exist.
            keys: gives the database's key, and wraps those of the shards.
            ids: invents handles and epoch ids.
            random_bytes: draws keys, salts and the order of an epoch.
            anchor: holds the database to the vault's log.

        Raises:
            WrongKey: the file is there and this key ring does not open it.
            StorageError: the disk or the file fails.
            IntegrityError: the file was written by a newer version, its keys are not what was stored, or it is not what
                the log says.
        """
        key = keys.database_key("bank")
        database = AnchoredDatabase.open(path, key, MIGRATIONS, content=CONTENT, anchor=anchor)

        def tidy(connection: Connection) -> tuple[str, bytes] | None:
            purge(connection)
            row: tuple[str, bytes] | None = connection.execute("SELECT bank_id, fingerprint_key FROM bank").fetchone()
            return row

        def begin(connection: Connection) -> tuple[str, bytes]:
            row = (ids.new("bank"), keys.wrap(random_bytes(KEY_BYTES), purpose=FINGERPRINT_PURPOSE))
            connection.execute("INSERT INTO bank (one, bank_id, fingerprint_key) VALUES (1, ?, ?)", row)
            return row

        try:
            bank_id, wrapped = database.begin_write(tidy).result() or database.write_now(begin)
            fingerprint_key = keys.unwrap(wrapped, purpose=FINGERPRINT_PURPOSE)
        except BaseException:
            database.close()
            raise
        return cls(
            database,
            bank_id=bank_id,
            fingerprint_key=fingerprint_key,
            shards=Shards(keys, random_bytes),
            ids=ids,
            random_bytes=random_bytes,
        )

    def close(self) -> None:
        """Wait for what was begun, then close the file."""
        self._database.close()

    async def import_prompts(self, messages: AsyncIterator[Sequence[DraftRow]], *, skip_bad: bool) -> ImportReport:
        """Take in a stream of rows, all of them or none. A second import waits for the first.

        With ``skip_bad`` the bad rows are left out and reported. A stream that raises leaves nothing behind.
        """
        async with self._importing:
            intake = Intake(
                bank_id=self._bank_id,
                fingerprint_key=self._fingerprint_key,
                shards=self._shards,
                ids=self._ids,
                look_up=self._database.read_now,
                skip_bad=skip_bad,
            )
            await self._database.read(epochs.verify_members)
            try:
                writing = self._database.begin_write(intake.begin)
                await asyncio.wrap_future(writing)
                async for batch in _batches(messages):
                    # The next batch is read, checked and sealed while the one before it is written.
                    prepared = await asyncio.to_thread(intake.prepare, batch)
                    await asyncio.wrap_future(writing)
                    writing = self._database.begin_write(partial(intake.append, batch=prepared))
                await asyncio.wrap_future(writing)
                return await self._database.write(intake.finish)
            except BaseException:
                await self._database.write_aside(purge)
                raise

    async def stats(self) -> BankStats:
        """Count what is there."""
        return await self._database.read(_stats)

    async def get(self, handle: str) -> StoredPrompt:
        """Return one prompt.

        Raises:
            NotFound: no prompt has this handle.
            IntegrityError: its text is not what was sealed.
        """

        def work(connection: Connection) -> StoredPrompt:
            row = connection.execute(
                "SELECT intent, category, language, tags, family, shard, sealed, retired,"
                " EXISTS (SELECT 1 FROM burnt WHERE burnt.prompt = number)"
                " FROM entry JOIN prompt USING (number) WHERE entry.handle = ?",
                (handle,),
            ).fetchone()
            if row is None:
                raise NotFound("there is no such prompt")
            intent, category, language, tags, family, shard, sealed, retired, burnt = row
            where = context(self._bank_id, "bank", handle, VERSION, "text")
            draft = PromptDraft(
                text=self._shards.find(connection, shard).open(sealed, where),
                intent=INTENTS[intent],
                category=category,
                language=language,
                tags=tuple(tags.split()),
                family=family,
            )
            return StoredPrompt(handle=handle, draft=draft, retired=bool(retired), burnt=bool(burnt))

        return await self._database.read(work)

    async def handles(self, *, after: str, limit: int, category: str = "") -> tuple[str, ...]:
        """Return up to ``limit`` handles in order, those past ``after``, of one category if it is named.

        Retired ones are among them.
        """
        of_category = " JOIN prompt USING (number) WHERE entry.handle > ?1 AND prompt.category = ?3"
        chosen = of_category if category else " WHERE entry.handle > ?1"
        statement = f"SELECT entry.handle FROM entry{chosen} ORDER BY entry.handle LIMIT ?2"  # noqa: S608 - our own words
        values = (after, limit, category) if category else (after, limit)

        def work(connection: Connection) -> tuple[str, ...]:
            return tuple(row[0] for row in connection.execute(statement, values))

        return await self._database.read(work)

    async def retire(self, handles: Sequence[str]) -> int:
        """Take prompts out of every later epoch and return how many were live.

        Raises:
            NotFound: one of the handles is unknown; then nothing is retired.
        """

        def work(connection: Connection) -> int:
            live = 0
            for handle in handles:
                row = connection.execute("SELECT retired FROM entry WHERE handle = ?", (handle,)).fetchone()
                if row is None:
                    raise NotFound("there is no such prompt")
                if not row[0]:
                    connection.execute("UPDATE entry SET retired = 1 WHERE handle = ?", (handle,))
                    live += 1
            return live

        return await self._database.write(work)

    async def near_duplicates(self) -> NearPairs:
        """Find pairs of live prompts that say nearly the same."""
        return await self._studies.near_pairs()

    async def near_rows(self, report: ImportReport) -> NearRows:
        """Find the rows of an import that say nearly the same as a live prompt. Takes its time on a large one."""
        return await self._studies.near_rows(report)

    async def offer(self) -> EpochOffer:
        """Return the units that an epoch opened now would have."""
        return await self._database.read(epochs.read_offer)

    async def open_epoch(self, *, admit: Admission | None = None) -> Epoch:
        """Freeze all live prompts into a new epoch and return it.

        Args:
            admit: is told the units before anything is frozen, and may refuse by what it raises.

        Raises:
            CategoriesTell: the name of a category, which is published, gives a prompt away.
            WrongState: there is no live prompt, nothing changed since the epoch that is open, or something does while
                the names are compared.
        """
        named = await self._database.read(epochs.read_names)
        if found := await self.gate.admit_names(named.categories):
            raise CategoriesTell(found)
        epoch_id = self._ids.new("epoch")
        return await self._database.write(
            lambda connection: epochs.open_epoch(
                connection, epoch_id=epoch_id, random_bytes=self._random_bytes, named=named, admit=admit
            )
        )

    async def burn(self, epoch_id: str) -> int:
        """Record every prompt of an epoch as sent to a server that can log it; return how many were not yet.

        Raises:
            NotFound: there is no such epoch.
        """
        return await self._database.write(lambda connection: epochs.burn(connection, epoch_id))

    async def epochs(self) -> tuple[Epoch, ...]:
        """Return all epochs, oldest first."""
        return await self._database.read(epochs.list_epochs)

    async def unlogged_epochs(self) -> tuple[Epoch, ...]:
        """Return the epochs that are not known to stand in the log, oldest first."""
        return await self._database.read(lambda connection: epochs.list_epochs(connection, unlogged=True))

    async def note_logged(self, epoch_id: str) -> None:
        """Take note that an epoch stands in the log."""
        await self._database.write_aside(
            lambda connection: connection.execute("UPDATE epoch SET logged = 1 WHERE epoch_id = ?", (epoch_id,))
        )

    async def units(self) -> frozenset[tuple[str, Intent]]:
        """Return every unit there ever was, with the intents of its prompts."""
        statement = "SELECT DISTINCT unit, intent FROM entry JOIN prompt USING (number)"
        rows = await self._database.read(lambda connection: connection.execute(statement).fetchall())
        return frozenset((unit, INTENTS[intent]) for unit, intent in rows)

    async def members(self, epoch_id: str) -> tuple[Member, ...]:
        """Return the members of an epoch in its frozen order, without their texts.

        Raises:
            NotFound: there is no such epoch.
            IntegrityError: they are not those that the epoch committed to.
        """
        return await self._database.read(lambda connection: epochs.list_members(connection, epoch_id))

    async def texts(self, epoch_id: str, *, start: int, stop: int) -> tuple[SecretText, ...]:
        """Return the texts of the members at positions ``start`` up to ``stop``, in order.

        Raises:
            NotFound: there is no such epoch.
            IntegrityError: a text is not what was sealed.
        """
        return await self._database.read(
            lambda connection: epochs.read_texts(
                connection, epoch_id, start=start, stop=stop, bank_id=self._bank_id, shards=self._shards
            )
        )


async def _batches(messages: AsyncIterator[Sequence[DraftRow]]) -> AsyncIterator[list[DraftRow]]:
    """Gather messages, which a client bounds as it likes up to gRPC's own limit, into batches."""
    batch: list[DraftRow] = []
    characters = 0
    async for rows in messages:
        batch += rows
        characters += sum(len(row.draft.text) for row in rows)
        if len(batch) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _stats(connection: Connection) -> BankStats:
    live, retired, waiting, burnt = connection.execute(
        "SELECT coalesce(sum(NOT retired), 0), coalesce(sum(retired), 0),"
        " coalesce(sum(NOT retired AND NOT EXISTS (SELECT 1 FROM member WHERE member.prompt = entry.number)), 0),"
        " coalesce(sum(NOT retired AND EXISTS (SELECT 1 FROM burnt WHERE burnt.prompt = entry.number)), 0)"
        " FROM entry"
    ).fetchone()
    counts = connection.execute(
        "SELECT prompt.intent, prompt.category, count(*), count(DISTINCT prompt.unit)"
        " FROM entry JOIN prompt USING (number) WHERE NOT entry.retired GROUP BY 1, 2 ORDER BY 1, 2"
    )
    found = tuple(Count(INTENTS[intent], category, prompts, units) for intent, category, prompts, units in counts)
    # A family's benign prompts may be in several categories, its harmful ones may not.
    benign = connection.execute(
        "SELECT count(DISTINCT prompt.unit) FROM entry JOIN prompt USING (number)"
        " WHERE NOT entry.retired AND prompt.intent = ?",
        (INTENT_CODES[Intent.BENIGN],),
    ).fetchone()[0]
    harmful = {count.category: count.units for count in found if count.intent is Intent.HARMFUL}
    everything = epochs.list_epochs(connection)
    return BankStats(
        live=live,
        retired=retired,
        waiting=waiting,
        burnt=burnt,
        counts=found,
        sizes=EpochSizes(harmful=harmful, benign=benign),
        epoch=everything[-1] if everything else None,
        unstudied=count_unstudied(connection),
    )
