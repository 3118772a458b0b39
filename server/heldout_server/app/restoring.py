"""Accept a restore: say what was put back, record it for good, and see to it that nothing is refunded by it.

A backup that was put back whole fits itself, and nobody can know what came after it: it says of itself that it is one
(:mod:`heldout_server.app.backup_marks`), and everything counts as spent.

A database whose own content does not hold together is not accepted: a page or a row was exchanged, and only a whole
copy can take its place. A log that does not hold together is mended with ``heldout-server audit repair``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from heldout_policy.mechanism import EXACT_DEBIT_NANO_RHO, Side
from heldout_server.anchored_database import AnchoredDatabase
from heldout_server.anchoring import NO_LEAF, Anchored, Content, Position
from heldout_server.app.backup_marks import Marked, clear_marks, find_marks
from heldout_server.app.stopped import Stopped, open_stopped
from heldout_server.audit import AnchorBook
from heldout_server.bank import SqlBank
from heldout_server.bank import schema as bank
from heldout_server.checkpoints import registry as checkpoints
from heldout_server.config import Config
from heldout_server.database import Connection
from heldout_server.domain import IDENTIFIER
from heldout_server.errors import ConfigError, IntegrityError
from heldout_server.outcomes import runs
from heldout_server.outcomes import schema as outcomes
from heldout_server.ports.audit import Record
from heldout_server.ports.discrepancies import Cause, Discrepancy
from heldout_server.release import ledger
from heldout_server.window import SqlPublications, leave_heads, publisher, scores

EVENT: Final = "restore"
LEDGER: Final = "releases"
LEDGERS_LOG: Final = "audit-vault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Say what holds one database: the half of its folder, that of its log, its tables and its content."""

    name: str
    folder: str
    log: str
    migrations: tuple[str, ...]
    content: Content


HELD: Final = (
    Held(name="bank", folder="vault", log="vault", migrations=bank.MIGRATIONS, content=bank.CONTENT),
    Held(name="outcomes", folder="vault", log="vault", migrations=outcomes.MIGRATIONS, content=outcomes.CONTENT),
    Held(
        name="checkpoints", folder="vault", log="vault", migrations=checkpoints.MIGRATIONS, content=checkpoints.CONTENT
    ),
    Held(name="published", folder="window", log="vault", migrations=publisher.MIGRATIONS, content=publisher.CONTENT),
    Held(name=LEDGER, folder="vault", log="vault", migrations=ledger.MIGRATIONS, content=ledger.CONTENT),
    Held(name="window", folder="window", log="window", migrations=scores.MIGRATIONS, content=scores.CONTENT),
)

BY_NAME: Final = {held.name: held for held in HELD}
PAGE_RELEASES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Say what was found.

    Attributes:
        restored: databases and logs that are not what the logs say, and can be accepted.
        damaged: one line for each database that cannot.
        marked: files that are of a backup, and can be accepted whatever the logs say.
    """

    restored: tuple[Discrepancy, ...]
    damaged: tuple[str, ...]
    marked: tuple[Marked, ...]

    @property
    def acceptable(self) -> bool:
        """Say whether there is anything to accept."""
        return bool(self.restored or self.marked)

    @property
    def log_is_old(self) -> bool:
        """Say whether the log that the ledger is anchored in is old, or may be: then it lacks what was spent last."""
        found = {one.database for one in self.restored} | {one.database for one in self.marked}
        return LEDGERS_LOG in found or any(
            one.cause is Cause.OLD_LOG and BY_NAME[one.database].log == "vault" for one in self.restored
        )

    @property
    def ledger_is_old(self) -> bool:
        """Say whether the ledger is old, or may be."""
        return self.log_is_old or any(one.database == LEDGER for one in self.restored)


class _Looking:
    """Note what is found where an appliance would stop."""

    def __init__(self, book: AnchorBook, name: str, found: list[Discrepancy]) -> None:
        self._book = book
        self._name = name
        self._found = found

    def verify(self, position: Position) -> Anchored | None:
        discrepancy = self._book.compare(self._name, position)
        if discrepancy is not None:
            self._found.append(discrepancy)
            raise _Seen
        return None

    def attach(self, anchor: Callable[[], Awaitable[None]]) -> None:
        pass

    async def drop(self, position: Position) -> Anchored:
        raise AssertionError(position)  # pragma: no cover - a look writes nothing


class _Seen(Exception):
    """Leave a database as it is once it was looked at."""


class _Accepting:
    """Hold a database to its log from here on, whatever it was before."""

    def __init__(self, book: AnchorBook, name: str) -> None:
        self._book = book
        self._name = name

    def verify(self, position: Position) -> Anchored | None:
        kept = self._book.find(self._name)
        if kept is None:
            return Anchored(generation=-1, leaf=NO_LEAF, chain=position.chain)
        return Anchored(generation=-1, leaf=kept.anchored.leaf, chain=kept.anchored.chain)

    def attach(self, anchor: Callable[[], Awaitable[None]]) -> None:
        self._book.attach(anchor)

    async def drop(self, position: Position) -> Anchored:
        return await self._book.drop(self._name, position)


async def survey(config: Config, *, shares: Sequence[Path] = ()) -> Survey:
    """Look at every database and log of an appliance that does not run, and change nothing of their content.

    Args:
        config: of the appliance.
        shares: files of key shares, where its root key is shared.

    Raises:
        ConfigError: something that the operator wrote is missing or wrong.
        IntegrityError: a log does not hold together, or a database is gone.
        WrongKey: a key does not open a database.
        StorageError: the appliance runs, or a disk fails.
    """
    async with open_stopped(config, shares) as stopped:
        return await _look(stopped)


async def accept(config: Config, *, reason: str, shares: Sequence[Path] = ()) -> Survey:
    """Accept what :func:`survey` finds: record it in both logs, spend what may have been spent, and anchor anew.

    Of a ledger that is an old copy, every unit of the bank is brought up to the largest spend that the newest anchor
    says any unit had; where the log itself is old, or is of a backup, to the whole budget. The epochs there are are
    closed, and runs that are under way are cancelled. Of a backup the mark is taken out last: cut off before that, it
    is accepted again.

    Args:
        config: of the appliance, which does not run.
        reason: one word, an identifier, that stands in the logs.
        shares: files of key shares, where its root key is shared.

    Raises:
        ConfigError: the reason is not a word, or something that the operator wrote is missing or wrong.
        IntegrityError: a database or a log does not hold together. Nothing was accepted.
        WrongKey: a key does not open a database.
        StorageError: the appliance runs, or a disk fails.
    """
    if IDENTIFIER.fullmatch(reason) is None:
        raise ConfigError("the reason must be one word such as disk-lost: lower-case letters, digits, dots, dashes")
    async with open_stopped(config, shares) as stopped:
        found = await _look(stopped)
        if found.damaged:
            raise IntegrityError(f"nothing was accepted. {found.damaged[0]}", reason="CONTENT_CHANGED")
        # (1) In both logs, before anything is changed.
        events = [_event(discrepancy, reason) for discrepancy in found.restored]
        events += [_backup_event(found.marked, made, reason) for made in sorted({one.made for one in found.marked})]
        for event in events:
            for log in stopped.logs.values():
                await log.append(event)
        # (2) The ledger first: whatever comes after may fail, and the next look finds it again.
        names = {discrepancy.database for discrepancy in found.restored}
        if found.ledger_is_old:
            await _spend(stopped, found)
            await _cancel_runs(stopped)
        if "published" in names:
            await _publish_again(stopped)
        for held in HELD:
            if held.name in names - {LEDGER}:
                database = _open_accepted(stopped, held)
                try:
                    await database.anchor()
                finally:
                    database.close()
        # (3) Each log knows the other as it now is, and each half finds that in the database of the other.
        await _leave_heads(stopped, follow="published" in names)
    clear_marks(stopped.tools.ring, found.marked)
    return found


def _path(stopped: Stopped, held: Held) -> Path:
    data = stopped.config.data
    return (data.vault if held.folder == "vault" else data.window) / f"{held.name}.db"


async def _look(stopped: Stopped) -> Survey:
    restored = list(await stopped.anchors.find_log_discrepancies())
    damaged: list[str] = []
    for held in HELD:
        book = stopped.anchors.books[held.log]
        key = stopped.tools.ring.database_key(held.name)
        looking = _Looking(book, held.name, restored)
        try:
            AnchoredDatabase.open(
                _path(stopped, held), key, held.migrations, content=held.content, anchor=looking
            ).close()
        except _Seen:
            continue
        except IntegrityError as error:
            damaged.append(str(error))
    marked = await find_marks(stopped.config, stopped.tools.ring)
    return Survey(restored=tuple(restored), damaged=tuple(damaged), marked=marked)


def _open_accepted(stopped: Stopped, held: Held) -> AnchoredDatabase:
    accepting = _Accepting(stopped.anchors.books[held.log], held.name)
    key = stopped.tools.ring.database_key(held.name)
    return AnchoredDatabase.open(_path(stopped, held), key, held.migrations, content=held.content, anchor=accepting)


async def _spend(stopped: Stopped, found: Survey) -> None:
    """Bring every unit up to what any may have spent, close the epochs, and anchor that, all in one write."""
    units, epochs = await _read_bank(stopped)
    floor = _floor(stopped, found)
    sides = {side: frozenset(unit for unit, of in units if of is side) for side in Side}

    def spend(connection: Connection) -> None:
        ledger.raise_spending(connection, units=sides, floor_nano_rho=floor)
        for epoch_id in epochs:
            ledger.close_epoch(connection, epoch_id)

    database = _open_accepted(stopped, BY_NAME[LEDGER])
    try:
        await database.write(spend)
        await database.anchor()
    finally:
        database.close()


async def _cancel_runs(stopped: Stopped) -> None:
    """See to it that nothing more is tried in runs of which nothing will be published."""
    database = _open_accepted(stopped, BY_NAME["outcomes"])
    try:
        await database.write(runs.cancel_running)
        await database.anchor()
    finally:
        database.close()


async def _publish_again(stopped: Stopped) -> None:
    """See to it that the next start publishes what the window has lost."""
    publications = SqlPublications.open(_path(stopped, BY_NAME["published"]), keys=stopped.tools.ring)
    known: list[str] = []
    after = 0
    try:
        while page := await publications.releases(after=after, limit=PAGE_RELEASES):
            known += [one.release_id for one in page]
            after = page[-1].sequence
    finally:
        publications.close()
    database = _open_accepted(stopped, BY_NAME[LEDGER])
    try:
        await database.write(lambda connection: ledger.publish_again(connection, known=known))
        await database.anchor()
    finally:
        database.close()


async def _leave_heads(stopped: Stopped, *, follow: bool) -> None:
    """Let the logs anchor each other, and leave that for halves that are served as two processes.

    Args:
        stopped: the appliance.
        follow: ``published.db`` was accepted: where a window by itself has followed it, it stands there from now on.
    """
    books = stopped.anchors.books
    with contextlib.ExitStack() as stack:
        for half, name in (("vault", "published"), ("window", "window")):
            database = _open_accepted(stopped, BY_NAME[name])
            stack.callback(database.close)
            stopped.anchors.join(half, leave=partial(leave_heads, database))
            if name == "published" and follow and books["window"].find(name) is not None:
                await books["window"].follow(name, database.position, anyway=True)
        await stopped.anchors.exchange(anyway=True)


async def _read_bank(stopped: Stopped) -> tuple[frozenset[tuple[str, Side]], tuple[str, ...]]:
    opened = SqlBank.open(_path(stopped, BY_NAME["bank"]), keys=stopped.tools.ring, ids=stopped.tools.ids)
    try:
        units = frozenset((unit, Side(intent)) for unit, intent in await opened.units())
        return units, tuple(epoch.epoch_id for epoch in await opened.epochs())
    finally:
        opened.close()


def _floor(stopped: Stopped, found: Survey) -> int:
    """Return what every unit may have spent: what the newest anchor says, if the log is the newest."""
    budget = stopped.policies.release.budget_nano_rho or EXACT_DEBIT_NANO_RHO
    if found.log_is_old or any(one.cause is Cause.OLD_LOG for one in found.restored):
        return budget
    figures = next(one.figures for one in found.restored if one.database == LEDGER)
    return figures.get(ledger.LARGEST_SPENT, budget)


def _event(discrepancy: Discrepancy, reason: str) -> Record:
    position, anchored = discrepancy.position, discrepancy.anchored
    return Record(
        kind="event",
        name=EVENT,
        details={
            "database": discrepancy.database,
            "cause": discrepancy.cause.value,
            "reason": reason,
            "generation": position.generation,
            "digest": position.digest,
            "leaf": position.leaf,
            "anchored_generation": anchored.generation if anchored else 0,
            "anchored_leaf": anchored.leaf if anchored else NO_LEAF,
            "log_size": discrepancy.log_size,
        },
    )


def _backup_event(marked: Sequence[Marked], made: str, reason: str) -> Record:
    databases = tuple(sorted({one.database for one in marked if one.made == made}))
    return Record(
        kind="event",
        name=EVENT,
        details={"cause": "backup", "backup_time": made, "reason": reason, "databases": databases},
    )
