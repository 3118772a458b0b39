"""What is found when a database and its log do not belong together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from heldout_server.anchoring import Anchored, Position


class Cause(StrEnum):
    """Say which of the two is old."""

    OLD_COPY = "old_copy"
    OLD_LOG = "old_log"
    ANOTHER = "another"


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """Say how a database and its log differ.

    Attributes:
        database: its name; ``audit-vault`` or ``audit-window`` for a log, which the other log anchors.
        cause: which of them is old.
        position: where the database stands.
        anchored: its newest anchor in the log, or None.
        figures: of that anchor, see :class:`heldout_server.anchoring.Content`.
        log_size: leaves of the log.
    """

    database: str
    cause: Cause
    position: Position
    anchored: Anchored | None
    figures: Mapping[str, int]
    log_size: int

    def say(self) -> str:
        """Return one line: which file, what, and what to do."""
        file, at = f"{self.database}.db", self.position.generation
        match self.cause:
            case Cause.OLD_COPY:
                seen = self.anchored.generation if self.anchored else 0
                what = f"{file} is an old copy: it has seen {at} changes, and the log {seen}"
            case Cause.OLD_LOG:
                what = (
                    f"the log of {file} is an old copy: it has {self.log_size} leaves, and {file} was anchored at"
                    f" leaf {self.position.leaf}"
                )
            case _:
                what = f"{file} is not what the log says: after {at} changes it holds something else"
        return f"{what}. Nothing was started. Put the newest files back, or see heldout-server restore."
