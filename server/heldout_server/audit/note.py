"""Signed notes as C2SP has them: checkpoints, verifier keys, and the text of a proof.

Formats: c2sp.org/signed-note (Ed25519, signature type 0x01), c2sp.org/tlog-checkpoint, c2sp.org/tlog-proof@v1.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from heldout_server.errors import ConfigError, IntegrityError

ED25519: Final = b"\x01"
KEY_ID_BYTES: Final = 4
PROOF_HEADER: Final = "c2sp.org/tlog-proof@v1"


OTHER_NAME: Final = "AUDIT_OTHER_NAME"


def is_origin(text: str) -> bool:
    """Say whether a text can be the name of a log."""
    return bool(text) and text.isprintable() and " " not in text and "+" not in text


class CheckpointSigner:
    """Sign tree heads of one log under its own name.

    Attributes:
        origin: the log's name, which is also the name of its key.
        verifier_key: ``<origin>+<key id, 8 hex digits>+<base64(0x01 || public key)>``.
    """

    def __init__(self, origin: str, key: Ed25519PrivateKey) -> None:
        if not is_origin(origin):
            raise ConfigError("a log's origin is one word of printable characters without a plus sign")
        public = ED25519 + key.public_key().public_bytes_raw()
        self.origin = origin
        self._key = key
        self._key_id = sha256(origin.encode() + b"\n" + public).digest()[:KEY_ID_BYTES]
        self.verifier_key = f"{origin}+{self._key_id.hex()}+{_base64(public)}"

    def text(self, *, size: int, root: bytes) -> str:
        """Return the text of a checkpoint, which log and witnesses sign."""
        return f"{self.origin}\n{size}\n{_base64(root)}\n"

    def checkpoint(self, *, size: int, root: bytes) -> str:
        """Return the signed checkpoint of a tree. Ed25519 is deterministic: the same tree gives the same text."""
        return self._sign(self.text(size=size, root=root))

    def size_of(self, checkpoint: str) -> int | None:
        """Return the size of the tree of a checkpoint that this key signed; None for anything else."""
        text, _, _ = checkpoint.partition("\n\n")
        if self._sign(f"{text}\n") != checkpoint:  # deterministic: nothing else that this key signs is this text
            return None
        return int(text.split("\n")[1])

    def refuse_other_name(self, checkpoint: str) -> None:
        """Check that this key did not sign a checkpoint under another name, which no repair may put right.

        Raises:
            IntegrityError: it did: the config's name of the appliance was changed.
        """
        origin = checkpoint.partition("\n")[0]
        if origin == self.origin or not is_origin(origin):
            return
        if CheckpointSigner(origin, self._key).size_of(checkpoint) is not None:
            raise IntegrityError(
                f"the log is of {origin}, and the config calls it {self.origin}. Nothing was done, and nothing is"
                f" damaged: put [appliance] name back to {origin.rpartition('/')[0]}. It never changes.",
                reason=OTHER_NAME,
            )

    def _sign(self, text: str) -> str:
        signature = self._key_id + self._key.sign(text.encode())
        return f"{text}\n\N{EM DASH} {self.origin} {_base64(signature)}\n"


def proof_text(index: int, path: Sequence[bytes], checkpoint: str) -> str:
    """Return the text that proves leaf ``index`` to whoever holds the leaf and the log's verifier key."""
    lines = [PROOF_HEADER, f"index {index}", *map(_base64, path)]
    return "\n".join(lines) + "\n\n" + checkpoint


def _base64(data: bytes) -> str:
    return b64encode(data).decode("ascii")
