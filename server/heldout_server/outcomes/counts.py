"""Verdicts counted by prompt and cell, in columns: what a release over a million trials reads.

An object for each count would cost a release more time than the database takes, and ten times the memory.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Collection, Iterator
from operator import itemgetter
from typing import Final

from heldout_server.database import Connection
from heldout_server.outcomes.schema import VERDICTS
from heldout_server.ports.outcomes import VerdictCount

FETCH_ROWS: Final = 10_000


class VerdictCounts(Collection[VerdictCount]):
    """Hold counts, 12 bytes each, and make each only while somebody looks at it.

    Position, cell and the stored code of a verdict are one integer: the database sorts, and Python fetches, one column
    in half the time that three take.
    """

    def __init__(self) -> None:
        self._keys = array("q")
        self._trials = array("i")

    def extend(self, rows: Collection[tuple[int, int]]) -> None:
        """Add rows of position, cell and verdict in one integer, and of trials."""
        self._keys.extend(map(itemgetter(0), rows))
        self._trials.extend(map(itemgetter(1), rows))

    def digest(self) -> str:
        """Return hex SHA-256 over the columns: of equal counts, in their order, on a machine of one byte order."""
        digest = hashlib.sha256(str(len(self)).encode())
        for column in (self._keys, self._trials):
            digest.update(column)
        return digest.hexdigest()

    def __iter__(self) -> Iterator[VerdictCount]:
        for key, trials in zip(self._keys, self._trials, strict=True):
            yield VerdictCount(key >> 32, key >> 8 & 0xFFFFFF, VERDICTS[key & 0xFF], trials)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, count: object) -> bool:
        return any(count == one for one in self)


_COUNT: Final = (
    "SELECT (position << 32) | (cell << 8) | verdict, count(*) FROM trial WHERE run = ? GROUP BY 1 ORDER BY 1"
)


def read_counts(connection: Connection, run: int) -> VerdictCounts:
    """Count the verdicts of the run with this number, ordered by prompt and cell. Runs on the database's thread."""
    counts = VerdictCounts()
    rows = connection.execute(_COUNT, (run,))
    while batch := rows.fetchmany(FETCH_ROWS):
        counts.extend(batch)
    return counts
