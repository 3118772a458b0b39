"""What a client keeps once it saw an appliance go back: the evidence, and the line that every call then ends in."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from heldout.verification.note import VerifierKey, open_checkpoint

ACCEPT: Final = "heldout memory --accept-restore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setback:
    """Hold that a log is not what it was: what came contradicts what was signed before.

    An appliance that goes on from there grows past what was remembered, and nothing that a trainer may ask shows it any
    more. So this is kept, with both signed heads, until a person accepts it.

    Attributes:
        half: whose log, ``vault`` or ``window``.
        at_s: when it was seen, in Unix seconds by this machine's clock.
        told: what was seen, in a few words.
        before: the newest signed note before it; empty before any.
        after: the signed note that came.
    """

    half: str
    at_s: int
    told: str
    before: str
    after: str

    def verify(self, vkey: str) -> None:
        """Check that the log signed both heads.

        Raises:
            VerificationError: it did not.
        """
        for note in filter(None, (self.before, self.after)):
            open_checkpoint(note, VerifierKey.parse(vkey))

    def __str__(self) -> str:
        """Say it in one line, with what to do."""
        when = dt.datetime.fromtimestamp(self.at_s, tz=dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
        return (
            f"the appliance went back (seen {when}): {self.told}, in the {self.half}'s log. Nothing more is asked of"
            f" it. If its operator names the entry of that log which records a restore: {ACCEPT}"
        )
