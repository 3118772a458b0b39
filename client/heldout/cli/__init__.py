"""The ``heldout`` command: one file an audience, screens apart from commands.

Whatever goes wrong is one line on stderr and an exit code, never a traceback: 0 done, 1 the answer is no or does not
verify, 2 the command or its configuration is wrong. What comes from the appliance is printed with its control
characters made visible. Nothing heavy is imported before it is needed, so that help is there at once.
"""

from __future__ import annotations

from heldout.cli.app import main, run

__all__ = ["main", "run"]
