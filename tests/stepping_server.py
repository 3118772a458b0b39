"""``heldout-server`` on a machine whose wall clock is stepped: by the seconds that a file holds.

::

    python stepping_server.py FILE serve --config …
"""

from __future__ import annotations

import sys
from pathlib import Path

from heldout_server import cli
from heldout_server.environment import SystemClock


def main() -> None:
    """Run the command."""
    step = Path(sys.argv.pop(1))
    now_s = SystemClock.now_s
    SystemClock.now_s = lambda clock: now_s(clock) + (float(step.read_text()) if step.exists() else 0.0)
    cli.main()


if __name__ == "__main__":
    main()
