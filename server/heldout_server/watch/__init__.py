"""Notice what is new, record it, and submit checkpoints for evaluation.

The room decides nothing: what a submission means, and whether it starts a run, is its caller's. It refuses to submit
twice what it knows to have submitted, and to submit what is not in the log.
"""

from heldout_server.watch.watcher import Watcher

__all__ = ["Watcher"]
