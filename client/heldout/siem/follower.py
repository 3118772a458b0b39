"""Read a log as it grows, and believe no entry that does not hash to a signed head."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from heldout.errors import HeldoutClientError, VerificationError
from heldout.verification.entry import Entry, parse_entry
from heldout.verification.merkle import TreeHasher, leaf_hash, peaks_before, verify_inclusion
from heldout.verification.note import Checkpoint

if TYPE_CHECKING:
    from heldout.client import Audit

BATCH: Final = 1000


class Follower:
    """Follow one log from an entry on.

    Args:
        audit: asks the appliance.
        half: whose log, ``vault`` or ``window``.
        start: index of the first entry to yield.

    Attributes:
        next: index of the entry that comes next.
    """

    def __init__(self, audit: Audit, half: str, *, start: int) -> None:
        self._audit = audit
        self._half = half
        self._tree: TreeHasher | None = None
        self.next = start

    def read(self) -> Iterator[tuple[Entry, ...]]:
        """Yield what has come since the last time, in batches, each under a signed head that was checked.

        Raises:
            CallError: there is no answer.
            VerificationError: the entries are not those of the signed head, or the log did not just grow.
        """
        head = self._audit.head(self._half).head
        if head.size < self.next:
            raise HeldoutClientError(f"the log has {head.size:,} entries, and entry {self.next:,} was to be read")
        if head.size == self.next:
            return
        tree = self._tree or self._tree_before(head)
        entries: list[Entry] = []
        for page in self._audit.entries(self._half, start=self.next, stop=head.size):
            for index, leaf in enumerate(page.entries, start=page.start):
                tree.append(page.damaged.get(index, leaf_hash(leaf)))
                if index not in page.damaged:  # an event "repair" of this log says so, and is an entry too
                    entries.append(parse_entry(leaf, index=index))
        if tree.root() != head.root:
            raise VerificationError("the entries do not hash to the head that was signed")
        self._tree = tree
        for first in range(0, len(entries), BATCH):
            batch = tuple(entries[first : first + BATCH])
            yield batch
            self.next = batch[-1].index + 1
        self.next = head.size

    def _tree_before(self, head: Checkpoint) -> TreeHasher:
        """Return the tree of all entries before the next one, proved by that one's place in the signed tree."""
        index = self.next
        page = next(iter(self._audit.entries(self._half, start=index, stop=index + 1)))
        leaf = page.damaged.get(index, leaf_hash(page.entries[0]))
        proof = self._audit.inclusion_proof(self._half, index=index, tree_size=head.size)
        verify_inclusion(index=index, size=head.size, leaf=leaf, proof=proof, root=head.root)
        return TreeHasher(index, peaks_before(index=index, size=head.size, proof=proof))
