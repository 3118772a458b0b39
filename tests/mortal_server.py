"""``heldout-server`` with noise that is known, and with places at which it ends at once (SIGKILL) when it is told to.

::

    python mortal_server.py FOLDER serve --config …

``FOLDER/die`` holds a place and how many times it is passed alive; it is gone once the process is. ``FOLDER/draws``
gets a line each time that noise is drawn for a table, so that a test can count.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
from pathlib import Path

from heldout_server import cli
from heldout_server.app import vault
from heldout_server.domain import RunState
from heldout_server.outcomes import SqlOutcomes
from heldout_server.release import SqlReleaseDesk, ledger
from heldout_server.window import SqlPublisher


class KnownNoise:
    """Add what follows from the place and the scale alone: the same run gets the same figures."""

    def __init__(self, draws):
        self._draws = draws

    def add(self, values, *, sigma):
        with self._draws.open("a") as draws:
            draws.write(f"{len(values)}\n")
        return [value + round(sigma * ((place * 7 + 3) % 5 - 2) / 2) for place, value in enumerate(values)]


class Reaper:
    """End the process at the place that the file names."""

    def __init__(self, order):
        self._order = order
        self._passed = 0

    def pass_by(self, place):
        if not self._order.exists():
            return
        wanted, alive = self._order.read_text().split()
        if wanted != place:
            return
        self._passed += 1
        if self._passed > int(alive):
            self._order.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, owner, name, *, before="", after="", when=lambda _: True):
        """Put places before and after a function, sync or async, where ``when`` holds of its keywords."""
        work = getattr(owner, name)

        @functools.wraps(work)
        async def begin_and_end(*arguments, **keywords):
            if when(keywords):
                self.pass_by(before)
            value = await work(*arguments, **keywords)
            if when(keywords):
                self.pass_by(after)
            return value

        @functools.wraps(work)
        def begin_and_end_at_once(*arguments, **keywords):
            self.pass_by(before)
            value = work(*arguments, **keywords)
            self.pass_by(after)
            return value

        setattr(owner, name, begin_and_end if inspect.iscoroutinefunction(work) else begin_and_end_at_once)


PLACES = {
    "at the reserve": ("asked", "debited", "reserved", "start_logged", "started"),
    "as verdicts are stored": ("batch", "batch_stored", "complete_logged", "completed"),
    "step 1, the bytes": ("drawn", "bytes_uncommitted", "bytes_stored"),
    "step 2, the log": ("leaf_logged", "receipt_uncommitted", "receipt_stored"),
    "step 3, the window": ("window", "window_inserted", "budget_refreshed"),
    "step 4, the slot": ("run_moved", "slot_uncommitted", "slot_published"),
}
"""Places by the class that a table shows, in the order in which a run passes them."""


def set_places(reaper):
    """Put every place of :data:`PLACES` into the appliance's code."""
    reaper.watch(SqlReleaseDesk, "reserve", before="asked", after="reserved")
    reaper.watch(ledger, "debit", after="debited")  # and the slot is not there yet
    reaper.watch(SqlOutcomes, "start", before="start_logged", after="started")
    reaper.watch(SqlOutcomes, "record", before="batch", after="batch_stored")
    completes = {"before": "complete_logged", "after": "completed"}
    reaper.watch(SqlOutcomes, "move", **completes, when=lambda move: move["state"] is RunState.COMPLETE)
    reaper.watch(ledger, "store_document", before="drawn", after="bytes_uncommitted")
    reaper.watch(SqlReleaseDesk, "_sample", after="bytes_stored")
    reaper.watch(ledger, "store_receipt", before="leaf_logged", after="receipt_uncommitted")
    reaper.watch(SqlReleaseDesk, "_keep_receipt", after="receipt_stored")
    reaper.watch(SqlPublisher, "insert", before="window", after="window_inserted")
    published = {"before": "budget_refreshed", "after": "run_moved"}
    reaper.watch(SqlOutcomes, "move", **published, when=lambda move: move["state"] is RunState.PUBLISHED)
    reaper.watch(ledger, "store_published", after="slot_uncommitted")
    reaper.watch(SqlReleaseDesk, "_go_on", after="slot_published")


def main():
    folder = Path(sys.argv.pop(1))
    vault.OpenDpNoise = lambda: KnownNoise(folder / "draws")
    set_places(Reaper(folder / "die"))
    cli.main()


if __name__ == "__main__":
    main()
