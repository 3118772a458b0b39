"""What the release room stores: the ledger of every unit, and the slots of the releases.

Every function here runs inside a transaction of the room's database; :mod:`heldout_server.release.desk` begins it.

The ledger follows the unit, over checkpoints and epochs. It is written before a run starts, only ever grows, and is
never refunded. A unit's spend is the sum over both sides: one with harmful and benign prompts pays both from its one
budget.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from heldout_policy.mechanism import Side
from heldout_server.anchoring import Content
from heldout_server.database import Connection
from heldout_server.domain import Member
from heldout_server.errors import BudgetExhausted, ConfigError

MIGRATIONS: Final = (
    """
    CREATE TABLE ledger (
        unit TEXT NOT NULL,
        side TEXT NOT NULL CHECK (side IN ('harmful', 'benign')),
        spent_nano_rho INTEGER NOT NULL CHECK (spent_nano_rho >= 0),
        PRIMARY KEY (unit, side)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE releases (
        sequence INTEGER PRIMARY KEY,
        release_id TEXT NOT NULL UNIQUE,
        run_id TEXT NOT NULL UNIQUE,
        epoch_id TEXT NOT NULL,
        number INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('reserved', 'pending', 'logged', 'published')),
        draft BLOB NOT NULL,
        document BLOB CHECK ((document IS NULL) = (state = 'reserved')),
        receipt BLOB CHECK ((receipt IS NULL) = (state IN ('reserved', 'pending'))),
        UNIQUE (epoch_id, number)
    ) STRICT;
    """,
    # Epochs of which nothing is released any more, since it is not known what was.
    """
    CREATE TABLE closed_epoch (epoch_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
    """,
    # Every policy that was in force, so that none that was replaced comes back.
    """
    CREATE TABLE policy (version INTEGER PRIMARY KEY, digest TEXT NOT NULL) STRICT;
    """,
)

LARGEST_SPENT: Final = "largest_spent_nano_rho"

CONTENT: Final = Content(
    rows={
        "ledger": "SELECT unit, side, spent_nano_rho FROM ledger ORDER BY unit, side",
        "releases": "SELECT sequence, release_id, run_id, epoch_id, number, state, draft, document, receipt"
        " FROM releases ORDER BY sequence",
        "closed_epoch": "SELECT epoch_id FROM closed_epoch ORDER BY epoch_id",
        "policy": "SELECT version, digest FROM policy ORDER BY version",
    },
    figures={
        "releases": "SELECT count(*) FROM releases",
        LARGEST_SPENT: "SELECT coalesce(max(spent), 0) FROM"
        " (SELECT sum(spent_nano_rho) AS spent FROM ledger GROUP BY unit)",
    },
)
"""What must not be swapped: all of it. The largest spend of a unit stands in the anchors, so that a ledger of which the
newest pages are lost can be brought up to it."""


class SlotState(StrEnum):
    """Where a release stands; it only ever moves on."""

    RESERVED = "reserved"
    PENDING = "pending"
    LOGGED = "logged"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Hold one release of an epoch, from the debit to the publication.

    Attributes:
        number: 1-based in the epoch.
        draft: the document without figures, as it was when the ledger was debited.
        document: the exact bytes to publish, noise included; empty while ``reserved``.
        receipt: serialized ``heldout.v1.Receipt``; empty before ``logged``.
    """

    release_id: str
    run_id: str
    epoch_id: str
    number: int
    state: SlotState
    draft: bytes
    document: bytes
    receipt: bytes


_COLUMNS: Final = "release_id, run_id, epoch_id, number, state, draft, document, receipt"


def units_by_side(members: Iterable[Member]) -> dict[Side, frozenset[str]]:
    """Return the units that have prompts on each side."""
    units: dict[Side, set[str]] = {Side.HARMFUL: set(), Side.BENIGN: set()}
    for member in members:
        units[Side(member.intent)].add(member.unit)
    return {side: frozenset(names) for side, names in units.items()}


def spent_by_unit(connection: Connection) -> dict[str, int]:
    """Return what every unit has spent in all, in billionths of zCDP rho."""
    return dict(connection.execute("SELECT unit, SUM(spent_nano_rho) FROM ledger GROUP BY unit"))


def debit(
    connection: Connection,
    *,
    units: Mapping[Side, Iterable[str]],
    debits: Mapping[Side, int],
    budget_nano_rho: int | None,
) -> None:
    """Debit every unit on each side it has prompts on.

    Args:
        connection: inside a transaction.
        units: by side.
        debits: of each of them, in billionths of zCDP rho.
        budget_nano_rho: what none may pass; None where there is no bound, in the ``exact`` profile.

    Raises:
        BudgetExhausted: one of the units would pass the budget. The caller's transaction rolls back.
    """
    spent = spent_by_unit(connection)
    for side, names in units.items():
        for unit in names:
            spent[unit] = spent.get(unit, 0) + debits[side]
            if budget_nano_rho is not None and spent[unit] > budget_nano_rho:
                raise BudgetExhausted("a unit of the epoch has too little left for this release: rotate the bank")
        connection.executemany(
            "INSERT INTO ledger (unit, side, spent_nano_rho) VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET spent_nano_rho = spent_nano_rho + excluded.spent_nano_rho",
            [(unit, side.value, debits[side]) for unit in names],
        )


def raise_spending(connection: Connection, *, units: Mapping[Side, Iterable[str]], floor_nano_rho: int) -> None:
    """Bring every unit up to a spend that none has passed, and every one that is in the ledger: nothing is refunded.

    Args:
        connection: inside a transaction.
        units: all there are, by side.
        floor_nano_rho: zCDP rho in billionths.
    """
    spent = spent_by_unit(connection)
    known = connection.execute("SELECT unit, side FROM ledger ORDER BY unit, side DESC").fetchall()
    sides = {unit: side for side, names in units.items() for unit in names} | {unit: Side(side) for unit, side in known}
    connection.executemany(
        "INSERT INTO ledger (unit, side, spent_nano_rho) VALUES (?, ?, ?) "
        "ON CONFLICT DO UPDATE SET spent_nano_rho = spent_nano_rho + excluded.spent_nano_rho",
        [
            (unit, side.value, floor_nano_rho - spent.get(unit, 0))
            for unit, side in sides.items()
            if spent.get(unit, 0) < floor_nano_rho
        ],
    )


def close_epoch(connection: Connection, epoch_id: str) -> None:
    """Release nothing of an epoch any more."""
    connection.execute("INSERT INTO closed_epoch VALUES (?) ON CONFLICT DO NOTHING", (epoch_id,))


def is_closed(connection: Connection, epoch_id: str) -> bool:
    """Say whether nothing of an epoch is released any more."""
    return connection.execute("SELECT 1 FROM closed_epoch WHERE epoch_id = ?", (epoch_id,)).fetchone() is not None


def adopt_policy(connection: Connection, *, version: int, digest: str) -> bool:
    """Note which policy is in force from here on, and say whether it is another than before.

    Raises:
        ConfigError: a later one, or another of this version, was in force.
    """
    newest = connection.execute("SELECT version, digest FROM policy ORDER BY version DESC LIMIT 1").fetchone()
    if newest is not None and newest[0] > version:
        raise ConfigError(
            f"release.toml is version {version}, and version {newest[0]} was in force. Nothing was started.",
            reason="POLICY_OLDER",
        )
    if newest is not None and newest[0] == version:
        if newest[1] == digest:
            return False
        raise ConfigError(
            f"release.toml was changed and is still version {version}. Raise it and sign it. Nothing was started.",
            reason="POLICY_VERSION",
        )
    connection.execute("INSERT INTO policy VALUES (?, ?)", (version, digest))
    return True


def publish_again(connection: Connection, *, known: Collection[str]) -> None:
    """Move the slots whose release the window has lost back to ``logged``, from where they are carried on.

    Args:
        connection: inside a transaction.
        known: ids of the releases that the window has.
    """
    connection.execute(
        "UPDATE releases SET state = 'logged' WHERE state = 'published'"
        " AND release_id NOT IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(known)),),
    )


def count_slots(connection: Connection, epoch_id: str) -> int:
    """Return how many releases of an epoch are taken."""
    counted: int = connection.execute("SELECT COUNT(*) FROM releases WHERE epoch_id = ?", (epoch_id,)).fetchone()[0]
    return counted


def list_drafts(connection: Connection) -> tuple[tuple[str, bytes], ...]:
    """Return epoch and draft of every release that was ever taken, in that order."""
    return tuple(connection.execute("SELECT epoch_id, draft FROM releases ORDER BY sequence"))


def find_slot(connection: Connection, run_id: str) -> Slot | None:
    """Return the slot of a run, or None."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM releases WHERE run_id = ?", (run_id,)).fetchone()  # noqa: S608 - a constant
    return None if row is None else _slot(row)


def unfinished_slots(connection: Connection) -> tuple[Slot, ...]:
    """Return the slots whose publication was begun and not finished, in the order they were taken."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM releases WHERE state IN ('pending', 'logged') ORDER BY sequence"  # noqa: S608 - a constant
    )
    return tuple(_slot(row) for row in rows)


def insert_slot(
    connection: Connection, *, release_id: str, run_id: str, epoch_id: str, number: int, draft: bytes
) -> None:
    """Take a slot for a run."""
    connection.execute(
        "INSERT INTO releases (release_id, run_id, epoch_id, number, state, draft) VALUES (?, ?, ?, ?, 'reserved', ?)",
        (release_id, run_id, epoch_id, number, draft),
    )


def store_document(connection: Connection, release_id: str, document: bytes) -> Slot:
    """Move a slot from ``reserved`` to ``pending`` with the bytes to publish, and return it as it then stands.

    Noise once stored is never replaced: if there are bytes already, those stay, and are returned.
    """
    connection.execute(
        "UPDATE releases SET state = 'pending', document = ? WHERE release_id = ? AND state = 'reserved'",
        (document, release_id),
    )
    return _stored(connection, release_id)


def store_receipt(connection: Connection, release_id: str, receipt: bytes) -> Slot:
    """Move a slot from ``pending`` to ``logged`` with the log's proof, and return it as it then stands."""
    connection.execute(
        "UPDATE releases SET state = 'logged', receipt = ? WHERE release_id = ? AND state = 'pending'",
        (receipt, release_id),
    )
    return _stored(connection, release_id)


def store_published(connection: Connection, release_id: str) -> None:
    """Move a slot from ``logged`` to ``published``."""
    connection.execute(
        "UPDATE releases SET state = 'published' WHERE release_id = ? AND state = 'logged'", (release_id,)
    )


def _stored(connection: Connection, release_id: str) -> Slot:
    return _slot(
        connection.execute(f"SELECT {_COLUMNS} FROM releases WHERE release_id = ?", (release_id,)).fetchone()  # noqa: S608 - a constant
    )


def _slot(row: Any) -> Slot:
    release_id, run_id, epoch_id, number, state, draft, document, receipt = row
    return Slot(
        release_id=release_id,
        run_id=run_id,
        epoch_id=epoch_id,
        number=number,
        state=SlotState(state),
        draft=draft,
        document=document or b"",
        receipt=receipt or b"",
    )
