"""The release room: from complete outcomes to one published document, under a budget that lasts a unit's whole life.

It aggregates, adds noise, debits, records in the log, and publishes. It refuses to know a prompt or a response: it sees
memberships and counted verdicts, through two narrow ports. It refuses to draw noise twice, to refund, and to publish
what is not in the log. Nothing outside this room builds a release.
"""

from __future__ import annotations

from heldout_server.release.cards import CardsDesk
from heldout_server.release.desk import SqlReleaseDesk
from heldout_server.release.noise import OpenDpNoise

__all__ = ["CardsDesk", "OpenDpNoise", "SqlReleaseDesk"]
