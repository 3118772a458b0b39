"""Where checkpoints appear: a folder, or an object store. Intake reads both alike.

Nothing that a source says is believed before it is staged and digested, and nothing is ever written to one.
"""

from heldout_server.checkpoints.sources.folder import FolderSource
from heldout_server.checkpoints.sources.opening import open_source
from heldout_server.checkpoints.sources.source import MARKER, Holding, Ready, Source, Stopped, Tree, Unready

__all__ = ["MARKER", "FolderSource", "Holding", "Ready", "Source", "Stopped", "Tree", "Unready", "open_source"]
