"""The window's stores: what is published, and what trainers record.

``published.db`` is written by the vault half alone (:class:`SqlPublisher`) and read by the window half
(:class:`SqlPublications`), which cannot write it. ``window.db`` is the window half's own (:class:`SqlScores`). The room
refuses to know where a document comes from or what it says: bytes in, the same bytes out.
"""

from __future__ import annotations

from heldout_server.window.heads import Head, Heads, leave_heads, read_heads
from heldout_server.window.publications import SqlPublications
from heldout_server.window.publisher import SqlPublisher
from heldout_server.window.scores import SqlScores

__all__ = ["Head", "Heads", "SqlPublications", "SqlPublisher", "SqlScores", "leave_heads", "read_heads"]
