"""The heads of our log that trusted witnesses cosigned: the newest of each witness. Pure, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from heldout_policy.witness import Witnessing
from heldout_server.audit.cosignature import Cosignature, CosignedHead, read_cosigned
from heldout_server.errors import InvalidRequest


class WitnessedHeads:
    """Know which head may be shown as cosigned, and which was cosigned lately.

    Args:
        witnessing: whose cosignatures count, how many of them, and how long; None for nobody's.
    """

    def __init__(self, witnessing: Witnessing | None) -> None:
        self._keys = () if witnessing is None else witnessing.keys
        self._maximum_age_s = 0 if witnessing is None else witnessing.maximum_age_s
        self._needed = 1 if witnessing is None else witnessing.needed
        self._newest: dict[str, Cosignature] = {}
        self._checkpoints: dict[int, str] = {}

    def read(self, note: str, *, now_s: float) -> CosignedHead:
        """Read a note and check the cosignatures of trusted witnesses.

        Raises:
            InvalidRequest: see :func:`heldout_server.audit.cosignature.read_cosigned`, or no witness is trusted.
        """
        if not self._keys:
            raise InvalidRequest("the release policy trusts no witness", reason="COSIGNATURE_UNKNOWN")
        return read_cosigned(note, keys=self._keys, now_s=now_s)

    def newer(self, cosignatures: Iterable[Cosignature]) -> tuple[Cosignature, ...]:
        """Return those of trusted witnesses that are of a larger tree, or later, than what is known of each."""
        trusted = {f"{key.name}+{key.key_id.hex()}" for key in self._keys}
        found = []
        for one in cosignatures:
            known = self._newest.get(one.witness)
            if one.witness in trusted and (known is None or (one.size, one.time_s) > (known.size, known.time_s)):
                found.append(one)
        return tuple(found)

    def take(self, cosignatures: Iterable[Cosignature], *, checkpoints: Mapping[int, str]) -> None:
        """Keep cosignatures that are stored, and the signed checkpoints that they are of, by size."""
        self._newest |= {one.witness: one for one in self.newer(cosignatures)}
        sizes = {one.size for one in self._newest.values()}
        known = {**self._checkpoints, **checkpoints}
        self._checkpoints = {size: known[size] for size in sizes}

    def with_lines(self, size: int, checkpoint: str) -> str:
        """Return a signed checkpoint with the cosignature lines that are known of its tree."""
        lines = [one.line for _, one in sorted(self._newest.items()) if one.size == size]
        return checkpoint + "".join(f"{line}\n" for line in lines)

    def newest(self) -> str:
        """Return the newest cosigned checkpoint with its lines, or an empty string."""
        return self._note(max((one.size for one in self._newest.values()), default=None))

    def covering(self, index: int, *, now_s: float) -> tuple[int, str] | None:
        """Return size and note of the newest head, cosigned lately, whose tree holds a leaf.

        None if fewer witnesses than are needed have lately cosigned a head that holds it. These need not be one head:
        each witness has seen that its own continues all that it cosigned before, and all are heads of this log.
        """
        fresh = [one for one in self._newest.values() if index < one.size and now_s - one.time_s <= self._maximum_age_s]
        if len({one.witness.rpartition("+")[0] for one in fresh}) < self._needed:
            return None
        size = max(one.size for one in fresh)
        return size, self._note(size)

    def _note(self, size: int | None) -> str:
        return "" if size is None else self.with_lines(size, self._checkpoints[size])
