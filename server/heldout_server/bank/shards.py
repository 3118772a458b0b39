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

PLACEHOLDER: Final = b""
"""Stands for a wrapped key until the number of its shard, which the wrapping is bound to, is known."""


class Shards:
    """Make and find the sealers of the shards. Used on the database's thread alone."""

    def __init__(self, keys: KeyRing, random_bytes: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._random_bytes = random_bytes
        self._sealers: dict[int, Sealer] = {}

    def add(self, connection: Connection) -> tuple[int, Sealer]:
        """Store a new shard and return its number and sealer.

        Nothing is remembered: the transaction may yet be rolled back, and the number given to another key.
        """
        number = connection.execute("INSERT INTO shard (wrapped_key) VALUES (?)", (PLACEHOLDER,)).lastrowid
        key = self._random_bytes(KEY_BYTES)
        wrapped = self._keys.wrap(key, purpose=_purpose(number))
        connection.execute("UPDATE shard SET wrapped_key = ? WHERE number = ?", (wrapped, number))
        return number, Sealer(key)

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
