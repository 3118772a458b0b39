"""What a checkpoint's files say of themselves, read by parsers of our own from staged copies.

Only headers and configs are read, under small limits, by what the formats' own pages say. Whatever is malformed is
refused, so that no engine's parser meets it first; no tensor is opened.
"""

from heldout_server.checkpoints.formats.inspection import Inspection

__all__ = ["Inspection"]
