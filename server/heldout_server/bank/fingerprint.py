"""Fingerprints by which the bank knows a text again: keyed, so that nobody can test a guess without the key."""

from __future__ import annotations

import hmac
import unicodedata
from typing import Final

from heldout_server.domain import SecretText

FINGERPRINT_BYTES: Final = 16
KEY_BYTES: Final = 32


def fingerprint(text: SecretText, key: bytes) -> bytes:
    """Return the HMAC-SHA-256 of a text's normal form, truncated to 128 bits (NIST SP 800-107 section 5.3.4).

    The normal form is Unicode NFC with line ends as line feeds and without white space around it: what differs only
    in those is the same text.
    """
    normal = text.reveal()
    if not normal.isascii():
        normal = unicodedata.normalize("NFC", normal)
    if "\r" in normal:
        normal = normal.replace("\r\n", "\n").replace("\r", "\n")
    return hmac.digest(key, normal.strip().encode(), "sha256")[:FINGERPRINT_BYTES]
