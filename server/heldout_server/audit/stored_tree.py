"""What is asked of a log that is stored: its leaves, and proofs over their tree, as far as the signed head goes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial

from heldout_server.audit.devices import Devices
from heldout_server.audit.store import read_damaged, read_entries, read_node
from heldout_server.audit.tree import consistency_proof, inclusion_proof, root
from heldout_server.errors import InvalidRequest
from heldout_server.ports.audit import DamagedLeaf


class StoredTree(ABC):
    """Read leaves and build proofs from whichever device can be read; nothing here writes.

    Args:
        devices: where the log is stored.
    """

    def __init__(self, devices: Devices) -> None:
        self._devices = devices

    @property
    @abstractmethod
    def size(self) -> int:
        """Return how many leaves the signed head covers."""

    async def entries(self, *, start: int, limit: int) -> tuple[bytes, ...]:
        """Return up to ``limit`` leaves from index ``start`` on; none past the end. A damaged one is empty.

        Raises:
            InvalidRequest: a negative start or limit.
            IntegrityError: a stored leaf is not what was hashed.
            StorageError: the disk or the database fails.
        """
        return await self._devices.read(partial(read_entries, **self._range(start, limit)))

    async def damaged(self, *, start: int, limit: int) -> tuple[DamagedLeaf, ...]:
        """Return the damaged leaves among the up to ``limit`` leaves from index ``start`` on.

        Raises:
            InvalidRequest: a negative start or limit.
            StorageError: the disk or the database fails.
        """
        return await self._devices.read(partial(read_damaged, **self._range(start, limit)))

    async def inclusion_proof(self, *, index: int, size: int) -> tuple[bytes, ...]:
        """Return the RFC 6962 section 2.1.1 proof that leaf ``index`` is in the tree of ``size``.

        Raises:
            InvalidRequest: there is no such leaf or no such tree.
            StorageError: the disk or the database fails.
        """
        if not 0 <= index < size <= self.size:
            raise InvalidRequest("there is no such leaf in such a tree", reason="NO_SUCH_LEAF")
        return await self._devices.read(lambda connection: inclusion_proof(index, size, partial(read_node, connection)))

    async def root(self, *, size: int) -> bytes:
        """Return the root of the tree of the first ``size`` leaves, 32 bytes.

        Raises:
            InvalidRequest: there is no such tree.
            StorageError: the disk or the database fails.
        """
        if not 0 <= size <= self.size:
            raise InvalidRequest("there is no such tree", reason="NO_SUCH_TREE")
        return await self._devices.read(lambda connection: root(size, partial(read_node, connection)))

    async def consistency_proof(self, *, old: int, new: int) -> tuple[bytes, ...]:
        """Return the RFC 6962 section 2.1.2 proof that the tree of ``new`` continues that of ``old``.

        Raises:
            InvalidRequest: there are no such trees, or ``old`` is empty, which every tree continues.
            StorageError: the disk or the database fails.
        """
        if not 1 <= old <= new <= self.size:
            raise InvalidRequest("there are no such trees", reason="NO_SUCH_TREE")
        return await self._devices.read(lambda connection: consistency_proof(old, new, partial(read_node, connection)))

    def _range(self, start: int, limit: int) -> dict[str, int]:
        if start < 0 or limit < 0:
            raise InvalidRequest("entries are listed from 0 on", reason="NO_SUCH_LEAF")
        return {"start": start, "end": min(start + limit, self.size)}
