"""Receipts: the proof, sent along with an answer or a release, that its digest stands in the log.

Format of the proof: c2sp.org/tlog-proof@v1. Extra data in it is unauthenticated, and ignored.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

from heldout.errors import VerificationError
from heldout.verification.entry import EVENT, OUTCOME, RELEASE, Entry, parse_entry
from heldout.verification.merkle import leaf_hash, verify_inclusion
from heldout.verification.note import Checkpoint, VerifierKey, decode_base64, open_checkpoint, parse_number

HEADER: Final = "c2sp.org/tlog-proof@v1"
SALT_BYTES: Final = 16
"""Fixed, so that no byte can be moved between the salt and the response that it is hashed with."""

MAX_PATH: Final = 64
"""No tree has more levels."""


class ReceiptMessage(Protocol):
    """Look like ``heldout.v1.Receipt``."""

    @property
    def entry(self) -> bytes:
        """The exact leaf."""

    @property
    def proof(self) -> str:
        """The text of its proof."""

    @property
    def salt(self) -> bytes:
        """The salt of the response digest in the leaf; empty in a release's receipt."""


@dataclass(frozen=True, slots=True)
class LogProof:
    """Hold what the text of a proof says, nothing of it checked yet.

    Attributes:
        index: 0-based place of the leaf.
        path: inclusion proof from the leaf up.
        checkpoint: the signed note.
        extra: opaque and unauthenticated.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: str
    extra: bytes = b""

    def text(self) -> str:
        """Return the proof as it is written."""
        lines = [HEADER, *([f"extra {b64encode(self.extra).decode()}"] if self.extra else []), f"index {self.index}"]
        return "\n".join([*lines, *(b64encode(each).decode() for each in self.path)]) + "\n\n" + self.checkpoint


def parse_proof(text: str) -> LogProof:
    """Read the text of a proof.

    Raises:
        VerificationError: it is malformed.
    """
    head, blank, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not blank or lines.pop(0) != HEADER:
        raise VerificationError("a proof does not begin as one")
    extra = b""
    if lines and lines[0].startswith("extra "):
        extra = decode_base64(lines.pop(0).removeprefix("extra "), what="a proof's extra data")
    if not lines or not lines[0].startswith("index "):
        raise VerificationError("a proof names no index")
    index = parse_number(lines.pop(0).removeprefix("index "), what="a proof's index")
    if len(lines) > MAX_PATH:
        raise VerificationError("a proof is longer than any tree is high")
    return LogProof(index, tuple(decode_base64(line, what="a hash of a proof") for line in lines), checkpoint, extra)


def verify_logged(entry: bytes, proof: str, vkey: str) -> tuple[Entry, Checkpoint]:
    """Check that a leaf stands in a log, and return what it says and the signed head that covers it.

    Args:
        entry: the exact leaf.
        proof: the text of its proof.
        vkey: the log's verifier key.

    Raises:
        VerificationError: the proof does not show it.
    """
    parsed = parse_proof(proof)
    head = open_checkpoint(parsed.checkpoint, VerifierKey.parse(vkey))
    verify_inclusion(index=parsed.index, size=head.size, leaf=leaf_hash(entry), proof=parsed.path, root=head.root)
    return parse_entry(entry, index=parsed.index), head


def verify_call_receipt(response_bytes: bytes, receipt: ReceiptMessage, vkey: str) -> tuple[Entry, Checkpoint]:
    """Check the receipt of a call over the exact bytes of its response; return the outcome's entry and the signed head.

    The caller compares the entry's ``name`` and ``identity`` with the call it made: a receipt proves that this answer
    was logged, and an old one goes on proving it for an equal answer.

    Raises:
        VerificationError: the receipt is not of these bytes, or is not of this log.
    """
    entry, head = verify_logged(receipt.entry, receipt.proof, vkey)
    if entry.kind != OUTCOME:
        raise VerificationError("the receipt is not of the outcome of a call")
    if len(receipt.salt) != SALT_BYTES:
        raise VerificationError(f"the salt of a receipt has not {SALT_BYTES} bytes")
    _check_digest(entry, "response_sha256", (receipt.salt, response_bytes))
    return entry, head


def verify_release_receipt(document_bytes: bytes, receipt: ReceiptMessage, vkey: str) -> tuple[Entry, Checkpoint]:
    """Check the receipt of a release over its exact serialized document; return its entry and the signed head.

    Raises:
        VerificationError: the receipt is not of this document, or is not of this log.
    """
    entry, head = verify_logged(receipt.entry, receipt.proof, vkey)
    if entry.kind != EVENT or entry.name != RELEASE:
        raise VerificationError("the receipt is not of a release")
    _check_digest(entry, "document_sha256", (document_bytes,))
    return entry, head


def _check_digest(entry: Entry, key: str, parts: Sequence[bytes]) -> None:
    if entry.details.get(key) != sha256(b"".join(parts)).hexdigest():
        raise VerificationError(f"the {key} in the log is not that of what was received")
