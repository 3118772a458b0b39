"""Notice checkpoints in a source, once and in order; digest them, and stage them read-only.

What comes in was made by the people it is tested for, so nothing in it is believed: links and special files are not
followed, pickles and code not taken in, names and contents never quoted. The room opens no model and runs nothing.
"""

from heldout_server.checkpoints.registry import SqlCheckpoints
from heldout_server.checkpoints.sources import FolderSource, open_source

__all__ = ["FolderSource", "SqlCheckpoints", "open_source"]
