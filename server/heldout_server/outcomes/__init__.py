"""Runs, and what came of their trials: verdicts as enums, responses sealed.

One row a trial, unique by trial, durable before anyone is told: kill -9 anywhere loses and doubles no verdict. The
room refuses to change a verdict that is there, to record one for a run that is not running, and to move a run other
than forward. It knows no prompt: a trial names its prompt by the position in the epoch.
"""

from heldout_server.outcomes.manifest import manifest_digest
from heldout_server.outcomes.store import SqlOutcomes

__all__ = ["SqlOutcomes", "manifest_digest"]
