"""Fingerprints know the same text again, and only with the key."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from heldout_server.bank.fingerprint import Fingerprints
from heldout_server.domain import SecretText

KEY = b"k" * 32


def mark(text: str, key: bytes = KEY) -> bytes:
    return Fingerprints(key).of(SecretText(text))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("caf\u00e9", "cafe\u0301"),
        ("two\r\nlines", "two\nlines"),
        ("two\rlines", "two\nlines"),
        (" a space around ", "a space around"),
    ],
)
def test_the_same_text_in_another_form_has_the_same_fingerprint(one, other):
    assert mark(one) == mark(other)


@pytest.mark.parametrize(("one", "other"), [("Boil an egg", "boil an egg"), ("a b", "a  b"), ("a", "b"), ("ﬁ", "fi")])
def test_another_text_has_another_fingerprint(one, other):
    assert mark(one) != mark(other)


def test_it_is_a_truncated_hmac_and_not_a_bare_hash():
    assert mark("tea") == hmac.new(KEY, b"tea", hashlib.sha256).digest()[:16]
    assert mark("tea") != mark("tea", b"another key")
