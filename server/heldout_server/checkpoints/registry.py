"""The registry: :class:`heldout_server.ports.checkpoints.Checkpoints` over a source and one SQLCipher database."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog

from heldout_server.anchored_database import AnchoredDatabase
from heldout_server.anchoring import Anchor, Content
from heldout_server.checkpoints.allowance import STAGING_FULL, decide_quota
from heldout_server.checkpoints.intake import Staged, digest_folder, remove, stage
from heldout_server.checkpoints.left_out import Waiting
from heldout_server.checkpoints.refusal import Reason, Unacceptable
from heldout_server.checkpoints.sources import Ready, Source, Unready
from heldout_server.checkpoints.turns import Turns
from heldout_server.config.watch import DEFAULT_LIMITS, Limits
from heldout_server.database import Connection
from heldout_server.domain import IDENTIFIER, Checkpoint, CheckpointFacts, CheckpointState, LeftOut
from heldout_server.errors import IntegrityError, NotFound, StorageError
from heldout_server.ports.environment import Clock
from heldout_server.ports.keys import KeyRing

T = TypeVar("T")
_log = structlog.get_logger("checkpoints")

RESERVED: Final = "refused-"
"""How the names begin that the registry gives to folders whose own cannot be recorded."""

MIGRATIONS: Final = (
    """
    CREATE TABLE checkpoint (
        sequence INTEGER PRIMARY KEY,
        folder TEXT NOT NULL UNIQUE,  -- hex SHA-256 of the folder's name, which may be anything
        name TEXT NOT NULL UNIQUE,
        line TEXT NOT NULL,
        runtime TEXT NOT NULL,
        digest TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('staged', 'refused')),
        reason TEXT NOT NULL,
        noticed_s INTEGER NOT NULL,
        settled INTEGER NOT NULL DEFAULT 0 CHECK (settled IN (0, 1))
    ) STRICT;
    CREATE INDEX checkpoint_pending ON checkpoint (sequence) WHERE settled = 0;
    """,
    """
    ALTER TABLE checkpoint ADD COLUMN precision TEXT NOT NULL DEFAULT '';
    ALTER TABLE checkpoint ADD COLUMN architecture TEXT NOT NULL DEFAULT '';
    ALTER TABLE checkpoint ADD COLUMN chat_template_digest TEXT NOT NULL DEFAULT '';
    """,
    # The checkpoint whose weights this one adapts, by name; '' for none.
    """
    ALTER TABLE checkpoint ADD COLUMN base TEXT NOT NULL DEFAULT '';
    """,
    # Where in it the reason lies, as one identifier in words of ours.
    """
    ALTER TABLE checkpoint ADD COLUMN detail TEXT NOT NULL DEFAULT '';
    """,
)

COLUMNS: Final = (
    "name, line, sequence, runtime, digest, state, reason, noticed_s,"
    " precision, architecture, chat_template_digest, base, detail"
)
INSERT: Final = f"INSERT INTO checkpoint (folder, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - fixed
CONTENT: Final = Content(
    rows={"checkpoint": f"SELECT folder, settled, {COLUMNS} FROM checkpoint ORDER BY sequence"}  # noqa: S608 - fixed
)
SELECT: Final = f"SELECT {COLUMNS} FROM checkpoint "  # noqa: S608 - fixed


class SqlCheckpoints:
    """Notice the checkpoints that appear in a source, and stage them.

    They are taken in one after the other, in the order of their markers. A failure that is one checkpoint's own (its
    files cannot be read though the source answers, or it does not fit on the disk now) does not hold up those behind
    it: it is passed over and tried again at later looks, so its sequence tells when it was taken in, not when it was
    marked. Where the staging folder's disk or the source as a whole fails, nothing is passed over and all wait.
    """

    def __init__(
        self,
        database: AnchoredDatabase,
        *,
        clock: Clock,
        source: Source,
        staging: Path,
        limits: Limits,
        quota: int,
        elsewhere: Container[str],
    ) -> None:
        self._database = database
        self._clock = clock
        self._source = source
        self._staging = staging
        self._limits = limits
        self._quota = quota
        self._elsewhere = elsewhere
        self._turns = Turns()
        self._waiting = Waiting(clock)
        self._scanning = asyncio.Lock()

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        keys: KeyRing,
        clock: Clock,
        source: Source,
        staging: Path,
        limits: Limits = DEFAULT_LIMITS,
        elsewhere: Container[str] = (),
        anchor: Anchor | None = None,
    ) -> SqlCheckpoints:
        """Open the registry, or create it, and throw away what a crash left half staged.

        Args:
            path: the database file; its folder must exist.
            keys: gives the database's key.
            clock: dates what is noticed.
            source: where checkpoints appear.
            staging: the folder that they are copied to, of which this registry is the only writer.
            limits: what one checkpoint may take.
            elsewhere: engines whose model is served elsewhere: of such a checkpoint nothing but its manifest is needed.
            anchor: holds the database to the vault's log.

        Raises:
            WrongKey: the file is there and this key ring does not open it.
            StorageError: the disk or the file fails.
            IntegrityError: the file was written by a newer version, or is not what the log says.
        """
        for leftover in staging.glob(".*.partial"):
            remove(leftover)
        quota = decide_quota(limits, staging)
        key = keys.database_key("checkpoints")
        database = AnchoredDatabase.open(path, key, MIGRATIONS, content=CONTENT, anchor=anchor)
        return cls(
            database,
            clock=clock,
            source=source,
            staging=staging.absolute(),
            limits=limits,
            quota=quota,
            elsewhere=elsewhere,
        )

    def close(self) -> None:
        """Wait for what was begun, then close the file."""
        self._database.close()

    async def scan(self) -> tuple[Checkpoint, ...]:
        """Look at the source and return what is new since any earlier scan, staged or refused, in order.

        Raises:
            StorageError: the source cannot be listed, or a disk fails, or some checkpoint was passed over; what was
                noticed stays noticed.
        """
        async with self._scanning:
            found: list[Checkpoint] = []
            failure: StorageError | None = None
            for one in self._turns.begin(await self._find_ready()):
                try:
                    found.append(await self._take_in(one))
                except StorageError as error:
                    if not _is_its_own(error):
                        raise
                    failure = failure or error
                    self._turns.pass_over(one)
                    await self._find_ready()  # a source that fails as a whole ends the look
            if failure is not None:
                raise failure
            return tuple(found)

    async def get(self, name: str) -> Checkpoint:
        """Return one checkpoint.

        Raises:
            NotFound: none of this name was noticed.
        """
        found = await self._select("WHERE name = ?", name)
        if not found:
            raise NotFound("no checkpoint of this name was noticed")
        return found[0]

    async def list(self, *, after: int, limit: int) -> tuple[Checkpoint, ...]:
        """Return up to ``limit`` checkpoints in the order they were noticed, those past sequence ``after``."""
        return await self._select("WHERE sequence > ? ORDER BY sequence LIMIT ?", after, limit)

    async def left_out(self) -> tuple[LeftOut, ...]:
        """Return what stands in the source and has not become ready for a while, the longest first; not all of many."""
        return self._waiting.list()

    async def pending(self) -> tuple[Checkpoint, ...]:
        """Return what was noticed and not settled yet, staged or refused, in order: across restarts too."""
        return await self._select("WHERE settled = 0 ORDER BY sequence")

    async def settle(self, name: str) -> None:
        """Record, durably, that a checkpoint is in the log and, where it is staged, was submitted. Idempotent.

        Raises:
            NotFound: none of this name was noticed.
        """

        def work(connection: Connection) -> int:
            """Mark the row and return how many there were."""
            return int(connection.execute("UPDATE checkpoint SET settled = 1 WHERE name = ?", (name,)).rowcount)

        if await self._database.write(work) == 0:
            raise NotFound("no checkpoint of this name was noticed")

    async def verify(self, checkpoint: Checkpoint) -> None:
        """Digest the staged files again, at load.

        So are those of the checkpoint that it adapts.

        Raises:
            NotFound: none of this name was noticed.
            IntegrityError: they are not what was staged, or nothing was.
            StorageError: the disk fails.
        """
        recorded = await self.get(checkpoint.name)
        if recorded.state is not CheckpointState.STAGED or recorded.digest != checkpoint.digest:
            raise IntegrityError(f"checkpoint {recorded.name}: not what was staged", reason="CHECKPOINT_RECORD")
        try:
            digest = await _in_thread(lambda stop: digest_folder(Path(recorded.path), stop=stop))
        except Unacceptable:
            digest = ""
        if digest != recorded.digest:
            raise IntegrityError(f"checkpoint {recorded.name}: its staged files changed", reason="STAGED_FILES_CHANGED")
        if recorded.base is not None:
            await self.verify(recorded.base)

    async def _find_ready(self) -> tuple[Ready, ...]:
        known = await self._database.read(_known_folders)
        unready: list[Unready] = []
        ready = await _in_thread(
            lambda stop: self._source.find_ready(
                lambda folder: _folder_key(folder) in known, stop=stop, on_unready=unready.append
            )
        )
        self._waiting.note(unready)
        return ready

    async def _take_in(self, ready: Ready) -> Checkpoint:
        if not _is_acceptable(ready.folder):
            return await self._record(ready, name="", staged=None, reason=Reason.BAD_NAME)
        name = ready.folder
        if ready.link:
            return await self._record(ready, name=name, staged=None, reason=Reason.SYMLINK)
        _log.info("checkpoint_noticed", checkpoint=name)
        try:
            staged = await _in_thread(
                lambda stop: stage(
                    self._source,
                    name=name,
                    staging=self._staging,
                    stop=stop,
                    quota=self._quota,
                    limits=self._limits,
                    elsewhere=self._elsewhere,
                )
            )
        except Unacceptable as refusal:
            return await self._record(ready, name=name, staged=None, reason=refusal.code, detail=refusal.spot.code())
        base = staged.manifest.base
        if base and not await self._select("WHERE name = ? AND state = 'staged' AND base = ''", base):
            await _in_thread(lambda _stop: remove(self._staging / name))
            return await self._record(ready, name=name, staged=None, reason=Reason.BASE_UNKNOWN)
        return await self._record(ready, name=name, staged=staged, reason=None)

    async def _record(
        self, ready: Ready, *, name: str, staged: Staged | None, reason: Reason | None, detail: str = ""
    ) -> Checkpoint:
        said_of = staged.manifest if staged else None
        line, runtime, base = (said_of.line, said_of.runtime, said_of.base) if said_of else ("", "", "")
        digest, state = (staged.digest, CheckpointState.STAGED) if staged else ("", CheckpointState.REFUSED)
        facts = staged.facts if staged else CheckpointFacts()
        said = (facts.precision, facts.architecture, facts.chat_template_digest)
        noticed_s = int(self._clock.now_s())

        def work(connection: Connection) -> Checkpoint:
            sequence = connection.execute("SELECT COALESCE(MAX(sequence), 0) + 1 FROM checkpoint").fetchone()[0]
            named, code = name or f"{RESERVED}{sequence}", reason.value if reason else ""
            row = (named, line, sequence, runtime, digest, state.value, code, noticed_s, *said, base, detail)
            connection.execute(INSERT, (_folder_key(ready.folder), *row))
            return self._checkpoint(connection, row)

        return await self._database.write(work)

    async def _select(self, where: str, *values: object) -> tuple[Checkpoint, ...]:
        def work(connection: Connection) -> tuple[Checkpoint, ...]:
            rows = connection.execute(SELECT + where, values)
            return tuple(self._checkpoint(connection, row) for row in rows.fetchall())

        return await self._database.read(work)

    def _checkpoint(self, connection: Connection, row: tuple[Any, ...]) -> Checkpoint:
        name, line, sequence, runtime, digest, state, reason, noticed_s, *said, base, detail = row
        precision, architecture, template = said
        facts = CheckpointFacts(precision=precision, architecture=architecture, chat_template_digest=template)
        adapted: Checkpoint | None = None
        if base:
            adapted = self._checkpoint(connection, connection.execute(f"{SELECT}WHERE name = ?", (base,)).fetchone())
            facts = _completed(facts, adapted.facts)
        return Checkpoint(
            name=name,
            line=line,
            sequence=sequence,
            runtime=runtime,
            digest=digest,
            state=CheckpointState(state),
            reason=reason,
            path=str(self._staging / name) if state == CheckpointState.STAGED else "",
            noticed_s=noticed_s,
            facts=facts,
            base=adapted,
            detail=detail,
        )


def _completed(adapter: CheckpointFacts, base: CheckpointFacts) -> CheckpointFacts:
    """Return what an adapter and its base say together: nearly all weights are the base's."""
    return CheckpointFacts(
        precision=base.precision or adapter.precision,
        architecture=base.architecture or adapter.architecture,
        chat_template_digest=adapter.chat_template_digest or base.chat_template_digest,
    )


def _is_its_own(failure: StorageError) -> bool:
    """Return whether taking in another checkpoint may go well."""
    return failure.reason == STAGING_FULL or failure.reason.startswith("SOURCE")


def _is_acceptable(folder: str) -> bool:
    return IDENTIFIER.fullmatch(folder) is not None and not folder.startswith(RESERVED)


def _folder_key(folder: str) -> str:
    return hashlib.sha256(os.fsencode(folder)).hexdigest()


def _known_folders(connection: Connection) -> frozenset[str]:
    return frozenset(folder for (folder,) in connection.execute("SELECT folder FROM checkpoint"))


async def _in_thread(work: Callable[[threading.Event], T]) -> T:
    """Run blocking work in a thread that stops at its next chunk when we are cancelled."""
    stop = threading.Event()
    try:
        return await asyncio.to_thread(work, stop)
    finally:
        stop.set()
