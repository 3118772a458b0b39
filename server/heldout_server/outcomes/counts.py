"""Verdicts counted by prompt and cell, in columns: what a release over a million trials reads.

An object for each count would cost a release more time than the database takes, and ten times the memory.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Collection, Iterator
from typing import Final

from heldout_server.database import Connection
from heldout_server.outcomes.schema import VERDICTS
from heldout_server.ports.outcomes import VerdictCount

FETCH_ROWS: Final = 10_000


class VerdictCounts(Collection[VerdictCount]):
    """Hold counts, 13 bytes each, and make each only while somebody looks at it."""

    def __init__(self) -> None:
        self._positions = array("i")
        self._cells = array("i")
        self._codes = array("B")
        self._trials = array("i")

    def extend(self, rows: Collection[tuple[int, int, int, int]]) -> None:
        """Add rows of position, cell, the stored code of a verdict, and trials."""
        columns = zip(*rows, strict=True)
        for column, values in zip((self._positions, self._cells, self._codes, self._trials), columns, strict=False):
            column.extend(values)

    def digest(self) -> str:
        """Return hex SHA-256 over the columns: of equal counts, in their order, on a machine of one byte order."""
        digest = hashlib.sha256(str(len(self)).encode())
        for column in (self._positions, self._cells, self._codes, self._trials):
            digest.update(column)
        return digest.hexdigest()

    def __iter__(self) -> Iterator[VerdictCount]:
        verdicts = map(VERDICTS.__getitem__, self._codes)
        return map(VerdictCount, self._positions, self._cells, verdicts, self._trials)

    def __len__(self) -> int:
        return len(self._positions)

    def __contains__(self, count: object) -> bool:
        return any(count == one for one in self)


def read_counts(connection: Connection, run: int) -> VerdictCounts:
    """Count the verdicts of the run with this number, ordered by prompt and cell. Runs on the database's thread."""
    counts = VerdictCounts()
    rows = connection.execute(
        "SELECT position, cell, verdict, count(*) FROM trial WHERE run = ? GROUP BY 1, 2, 3 ORDER BY 1, 2, 3", (run,)
    )
    while batch := rows.fetchmany(FETCH_ROWS):
        counts.extend(batch)
    return counts
