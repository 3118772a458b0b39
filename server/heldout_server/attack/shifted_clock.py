"""Serve an appliance whose wall clock is wrong.

::

    python -m heldout_server.attack.shifted_clock SECONDS -m MODULE serve …
    python -m heldout_server.attack.shifted_clock SECONDS SCRIPT serve …

What shifts the clock of a whole machine needs root, so the attack moves the appliance's own.
"""

from __future__ import annotations

import runpy
import sys
from typing import Final

from heldout_server.environment import SystemClock

NAME: Final = "heldout_server.attack.shifted_clock"


def shift(seconds: float) -> None:
    """Move the clock of this process by so many seconds."""
    true_now = SystemClock.now_s

    def now_s(self: SystemClock) -> float:
        """Return Unix time, shifted."""
        return true_now(self) + seconds

    SystemClock.now_s = now_s  # type: ignore[method-assign]  # the point of it


if __name__ == "__main__":
    shift(float(sys.argv.pop(1)))
    del sys.argv[0]
    if sys.argv[0] == "-m":
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__")
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")
