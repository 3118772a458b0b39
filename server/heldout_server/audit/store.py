"""What the audit log keeps in SQL, and how it is read back and checked. Runs on the database's own thread."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from heldout_server.audit.cosignature import Cosignature
from heldout_server.audit.entry import INTENT
from heldout_server.audit.examination import Damage, Finding, Peaks, StoredLeaf, examine
from heldout_server.audit.note import CheckpointSigner, proof_text
from heldout_server.audit.tree import Frontier, Growth, completing_leaf, leaf_hash, node_in_row, peak_levels
from heldout_server.database import Connection
from heldout_server.errors import IntegrityError
from heldout_server.ports.audit import DamagedLeaf

MIGRATIONS: Final = (
    """
    CREATE TABLE leaves (leaf INTEGER PRIMARY KEY, entry BLOB NOT NULL) STRICT;
    CREATE TABLE rows (leaf INTEGER PRIMARY KEY, hashes BLOB NOT NULL) STRICT;
    CREATE TABLE counters (identity TEXT PRIMARY KEY, counter INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE head (
        only INTEGER PRIMARY KEY CHECK (only = 0), size INTEGER NOT NULL, checkpoint TEXT NOT NULL
    ) STRICT;
    """,
    # damaged: leaves whose entry is empty, because it was lost, and the leaf of the event that names each.
    # devices: every device that this log was ever written to. cosignatures: the newest of each witness.
    """
    CREATE TABLE damaged (leaf INTEGER PRIMARY KEY, repair INTEGER NOT NULL) STRICT;
    CREATE TABLE devices (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
    CREATE TABLE cosignatures (
        witness TEXT PRIMARY KEY, size INTEGER NOT NULL, time_s INTEGER NOT NULL, line TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
)

CHECKED_LEAVES: Final = 1_024
"""How many of the newest leaves are hashed again on opening; the self-audit and the auditor's export hash them all."""

ADVICE: Final = "Nothing was started. Mend it with heldout-server audit repair."


@dataclass(frozen=True, slots=True)
class Stored:
    """Hold what a log goes on from.

    Attributes:
        frontier: of the tree that the signed head covers.
        checkpoint: the signed head.
        counters: number of the last intent of each identity.
        devices: names of every device that the log was written to.
        cosignatures: the newest of each witness.
    """

    frontier: Frontier
    checkpoint: str
    counters: dict[str, int]
    devices: frozenset[str]
    cosignatures: tuple[Cosignature, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Hold the leaves of one commit, in order, and the counters that they move."""

    entries: tuple[bytes, ...]
    counters: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Commit:
    """Hold what one commit made: the growth of the tree and the head signed over it."""

    growth: Growth
    checkpoint: str

    def proof(self, index: int) -> str:
        """Return the tlog-proof text of one of its leaves."""
        return proof_text(index, self.growth.inclusion_proof(index), self.checkpoint)


def load(connection: Connection, *, signer: CheckpointSigner) -> Stored:
    """Read and check a stored log, or sign the head of an empty one.

    Raises:
        IntegrityError: the stored head, hashes and newest leaves do not belong together, or another key signed.
    """
    stored = connection.execute("SELECT size, checkpoint FROM head").fetchone()
    if stored is None:
        stored = (0, signer.checkpoint(size=0, root=Frontier().root()))
        connection.execute("INSERT INTO head VALUES (0, ?, ?)", stored)
    size, checkpoint = stored
    signer.refuse_other_name(checkpoint)
    # (1) The leaves and rows end where the head says.
    ends = connection.execute("SELECT (SELECT max(leaf) FROM leaves), (SELECT max(leaf) FROM rows)").fetchone()
    if ends != ((size - 1, size - 1) if size else (None, None)):
        raise IntegrityError(f"the head covers {size} leaves, and others are stored. {ADVICE}")
    # (2) The newest leaves hash to what is stored of them.
    start = max(0, size - CHECKED_LEAVES)
    peaks = load_peaks(connection, size=start)
    leaves = read_leaves(connection, start=start, end=size)
    for finding in examine(leaves, peaks=peaks):
        raise damage_error(finding)
    counters = read_counters(connection)
    verify_counters(leaves, counters)
    # (3) The stored subtrees have the root that was signed, by this key and under this name: signing is deterministic.
    frontier = Frontier.load(size, partial(read_node, connection))
    if signer.checkpoint(size=size, root=frontier.root()) != checkpoint:
        raise IntegrityError(f"the signed head is not of these leaves, or another key or name signed it. {ADVICE}")
    return Stored(
        frontier,
        checkpoint,
        counters,
        read_devices(connection),
        read_cosignatures(connection),
    )


def verify_counters(leaves: Sequence[StoredLeaf], counters: Mapping[str, int]) -> None:
    """Check that each identity goes on from the newest of its intents among these leaves.

    Raises:
        IntegrityError: one would be counted twice: an old page was put back.
    """
    newest: dict[str, int] = {}
    for leaf in leaves:
        if leaf.entry and b'"counter":' in leaf.entry:
            fields = json.loads(leaf.entry)
            if fields["kind"] == INTENT:
                newest[fields["identity"]] = fields["counter"]
    lost = sum(leaf.repair is not None for leaf in leaves)  # each may have been a newer intent
    for identity, counter in newest.items():
        if not counter <= counters.get(identity, 0) <= counter + lost:
            raise IntegrityError(
                f"the counters are not those of the newest entries: an old page was put back. {ADVICE}",
                reason="AUDIT_COUNTERS",
            )


def write_group(connection: Connection, *, before: Frontier, group: Group, signer: CheckpointSigner) -> Commit:
    """Store new leaves behind a tree, and the signed head over all: the whole of one commit.

    Raises:
        IntegrityError: what was read back is not what was to be stored; then nothing may be signed.
    """
    # (1) Hash every leaf, and store it with its hashes.
    growth = before.extend(map(leaf_hash, group.entries))
    insert_leaves(connection, first=before.size, entries=group.entries, rows=growth.rows)
    # (2) Read all of it back and compute the tree again: a bit that fell over in between must never be signed.
    leaves = read_leaves(connection, start=before.size, end=growth.after.size)
    again = before.extend(leaf_hash(leaf.entry or b"") for leaf in leaves)
    if again != growth or tuple(leaf.row for leaf in leaves) != growth.rows:
        raise IntegrityError("new leaves do not read back as they were written", reason="AUDIT_REREAD")
    # (3) Sign the head over it.
    checkpoint = signer.checkpoint(size=growth.after.size, root=growth.after.root())
    write_counters(connection, counters=group.counters)
    write_head(connection, size=growth.after.size, checkpoint=checkpoint)
    return Commit(growth, checkpoint)


def insert_leaves(connection: Connection, *, first: int, entries: Sequence[bytes], rows: Sequence[bytes]) -> None:
    """Insert leaves from index ``first`` on, and their rows."""
    connection.executemany("INSERT INTO leaves VALUES (?, ?)", list(enumerate(entries, first)))
    connection.executemany("INSERT INTO rows VALUES (?, ?)", list(enumerate(rows, first)))


def insert_copies(connection: Connection, leaves: Sequence[StoredLeaf]) -> None:
    """Insert leaves as they are stored elsewhere, whole ones and repaired ones."""
    first, entries = leaves[0].leaf, [leaf.entry or b"" for leaf in leaves]
    insert_leaves(connection, first=first, entries=entries, rows=[leaf.row or b"" for leaf in leaves])
    repaired = [(leaf.leaf, leaf.repair) for leaf in leaves if leaf.repair is not None]
    connection.executemany("INSERT INTO damaged VALUES (?, ?)", repaired)


def write_counters(connection: Connection, *, counters: Mapping[str, int]) -> None:
    """Replace the counters of these identities."""
    connection.executemany("INSERT OR REPLACE INTO counters VALUES (?, ?)", list(counters.items()))


def write_head(connection: Connection, *, size: int, checkpoint: str) -> None:
    """Replace the signed head."""
    connection.execute("INSERT OR REPLACE INTO head VALUES (0, ?, ?)", (size, checkpoint))


def write_devices(connection: Connection, *, names: Sequence[str]) -> None:
    """Replace the names of the devices that the log is written to."""
    connection.execute("DELETE FROM devices")
    connection.executemany("INSERT INTO devices VALUES (?)", [(name,) for name in names])


def write_cosignatures(connection: Connection, *, cosignatures: Sequence[Cosignature]) -> None:
    """Replace the cosignatures of these witnesses."""
    connection.executemany(
        "INSERT OR REPLACE INTO cosignatures VALUES (?, ?, ?, ?)",
        [(one.witness, one.size, one.time_s, one.line) for one in cosignatures],
    )


def read_counters(connection: Connection) -> dict[str, int]:
    """Return the number of the last intent of each identity."""
    return dict(connection.execute("SELECT identity, counter FROM counters"))


def read_devices(connection: Connection) -> frozenset[str]:
    """Return the names of the devices that the log was written to."""
    return frozenset(name for (name,) in connection.execute("SELECT name FROM devices"))


def read_cosignatures(connection: Connection) -> tuple[Cosignature, ...]:
    """Return the newest cosignature of each witness."""
    rows = connection.execute("SELECT witness, size, time_s, line FROM cosignatures ORDER BY witness")
    return tuple(Cosignature(*row) for row in rows)


def read_beside(connection: Connection) -> None:
    """Read all that stands beside leaves and hashes: it fails if something of it cannot be read."""
    for table in ("counters", "cosignatures", "devices", "damaged", "head"):
        connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - a constant


def read_node(connection: Connection, level: int, index: int) -> bytes:
    """Return the hash of a complete subtree.

    Raises:
        IntegrityError: it is not there.
    """
    leaf = completing_leaf(level, index)
    row = connection.execute("SELECT hashes FROM rows WHERE leaf = ?", (leaf,)).fetchone()
    if row is None:
        raise IntegrityError(f"the hashes of leaf {leaf} are missing. {ADVICE}", reason="AUDIT_LEAF_MISSING")
    return node_in_row(row[0], level)


def load_peaks(connection: Connection, *, size: int) -> Peaks:
    """Return the stored peaks of the tree of the first ``size`` leaves, for :func:`examine`."""
    peaks: Peaks = []
    for level in peak_levels(size):
        try:
            peaks.append(read_node(connection, level, (size >> level) - 1))
        except IntegrityError:
            peaks.append(None)
    return peaks


def read_leaves(connection: Connection, *, start: int, end: int) -> list[StoredLeaf]:
    """Return what is stored of the leaves from ``start`` up to ``end``, none left out, nothing checked."""
    limits = (start, end)
    entries = dict(connection.execute("SELECT leaf, entry FROM leaves WHERE leaf >= ? AND leaf < ?", limits))
    rows = dict(connection.execute("SELECT leaf, hashes FROM rows WHERE leaf >= ? AND leaf < ?", limits))
    damaged = dict(connection.execute("SELECT leaf, repair FROM damaged WHERE leaf >= ? AND leaf < ?", limits))
    return [StoredLeaf(leaf, entries.get(leaf), rows.get(leaf), damaged.get(leaf)) for leaf in range(start, end)]


def read_entries(connection: Connection, *, start: int, end: int) -> tuple[bytes, ...]:
    """Return the leaves from ``start`` up to ``end``, each hashed again; one that was repaired is empty.

    Raises:
        IntegrityError: one is missing, or is not what was hashed.
    """
    entries: list[bytes] = []
    for leaf in read_leaves(connection, start=start, end=end):
        recorded = b"" if leaf.row is None else node_in_row(leaf.row, 0)
        stands_in = leaf.repair is not None and leaf.entry == b""
        if leaf.entry is None or (leaf_hash(leaf.entry) != recorded and not stands_in):
            raise damage_error(Finding(leaf.leaf, Damage.ENTRY))
        entries.append(leaf.entry)
    return tuple(entries)


def read_damaged(connection: Connection, *, start: int, end: int) -> tuple[DamagedLeaf, ...]:
    """Return the repaired leaves from ``start`` up to ``end``."""
    rows = connection.execute(
        "SELECT leaf, hashes FROM damaged JOIN rows USING (leaf) WHERE leaf >= ? AND leaf < ? ORDER BY leaf",
        (start, end),
    )
    return tuple(DamagedLeaf(leaf, node_in_row(hashes, 0)) for leaf, hashes in rows)


def damage_error(finding: Finding) -> IntegrityError:
    """Return the error that names what is damaged, and says what to do."""
    what = {
        Damage.ENTRY: f"entry {finding.leaf} is not what was hashed",
        Damage.HASHES: f"the hashes at entry {finding.leaf} are not those of the tree",
        Damage.HEAD: f"the signed head over {finding.leaf} entries is not of them",
    }
    return IntegrityError(f"{what[finding.damage]}. {ADVICE}", reason="AUDIT_DAMAGED")
