"""The data keys of the bank: one a shard, wrapped in the database, so that deleting it shreds the shard's texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from heldout_server.bank.fingerprint import FINGERPRINT_BYTES
from heldout_server.database import KEY_BYTES, Connection
from heldout_server.errors import IntegrityError
from heldout_server.ports.keys import KeyRing
from heldout_server.sealing import Sealer

SHARD_PROMPTS: Final = 1_000
"""Prompts that share one data key, at most. Imports never share a shard."""


class Shards:
    """Make and find the sealers of the shards. Used on the database's thread alone."""

    def __init__(self, keys: KeyRing, random_bytes: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._random_bytes = random_bytes
        self._sealers: dict[int, Sealer] = {}

    def make(self, number: int) -> tuple[Sealer, bytes]:
        """Return the sealer of a new shard, and its wrapped key, which is bound to the shard's number.

        Nothing is remembered: the transaction that stores it may yet be rolled back, and another take the number.
        """
        key = self._random_bytes(KEY_BYTES)
        return Sealer(key), self._keys.wrap(key, purpose=_purpose(number))

    def store(self, connection: Connection, number: int, wrapped_key: bytes) -> None:
        """Store a shard, unless it is stored."""
        connection.execute("INSERT OR IGNORE INTO shard (number, wrapped_key) VALUES (?, ?)", (number, wrapped_key))

    def fill(self, connection: Connection, number: int, first_prompt: int, *, fingerprints: Sequence[bytes]) -> None:
        """Say which prompts a shard holds: those from ``first_prompt`` on, with these fingerprints."""
        connection.execute(
            "UPDATE shard SET first_prompt = ?, fingerprints = ? WHERE number = ?",
            (first_prompt, b"".join(fingerprints), number),
        )

    def fingerprints(self, connection: Connection) -> dict[bytes, list[int]]:
        """Return the numbers of all prompts, retired ones too, by fingerprint."""
        numbers: dict[bytes, list[int]] = {}
        for first_prompt, marks in connection.execute("SELECT first_prompt, fingerprints FROM shard ORDER BY number"):
            for place in range(len(marks) // FINGERPRINT_BYTES):
                mark = marks[place * FINGERPRINT_BYTES : (place + 1) * FINGERPRINT_BYTES]
                numbers.setdefault(mark, []).append(first_prompt + place)
        return numbers

    def find(self, connection: Connection, number: int) -> Sealer:
        """Return the sealer of a shard.

        Raises:
            IntegrityError: the shard's key is gone, or is not what was stored.
        """
        sealer = self._sealers.get(number)
        if sealer is None:
            row = connection.execute("SELECT wrapped_key FROM shard WHERE number = ?", (number,)).fetchone()
            if row is None:
                raise IntegrityError(f"shard {number} of the bank has no key", reason="SHARD_SHREDDED")
            sealer = Sealer(self._keys.unwrap(row[0], purpose=_purpose(number)))
            self._sealers[number] = sealer
        return sealer


def _purpose(number: int) -> str:
    return f"bank-shard-{number}"
