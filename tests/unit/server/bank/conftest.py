"""A key ring, ids and drafts for the tests of the bank."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from heldout_server.bank import SqlBank
from heldout_server.domain import Intent, PromptDraft, SecretText
from heldout_server.errors import IntegrityError
from heldout_server.ports.bank import DraftRow


class OneSecretKeyRing:
    """Hang every key from one secret, as the real ring does, without files."""

    def __init__(self, secret: bytes = b"root") -> None:
        self._secret = secret

    def database_key(self, name: str) -> bytes:
        return self._derive(f"database-{name}")

    def wrap(self, key: bytes, *, purpose: str) -> bytes:
        nonce = secrets.token_bytes(12)
        return nonce + AESGCM(self._derive("wrap")).encrypt(nonce, key, purpose.encode())

    def unwrap(self, wrapped: bytes, *, purpose: str) -> bytes:
        try:
            return AESGCM(self._derive("wrap")).decrypt(wrapped[:12], wrapped[12:], purpose.encode())
        except InvalidTag:
            raise IntegrityError("a wrapped key does not open") from None

    def audit_signing_key(self, half: str) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._derive(f"sign-{half}"))

    def audit_mac_key(self, half: str) -> bytes:
        return self._derive(f"mac-{half}")

    def _derive(self, name: str) -> bytes:
        return hashlib.sha256(self._secret + name.encode()).digest()


class RandomIds:
    """Invent names as the real port does."""

    def new(self, prefix: str) -> str:
        return f"{prefix}-{secrets.token_hex(8)}"


@pytest.fixture
def keys() -> OneSecretKeyRing:
    return OneSecretKeyRing()


@pytest.fixture
def other_keys() -> OneSecretKeyRing:
    return OneSecretKeyRing(b"another root")


@pytest.fixture
def ids() -> RandomIds:
    return RandomIds()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bank.db"


@pytest.fixture
def open_bank(path: Path, keys: OneSecretKeyRing, ids: RandomIds) -> Iterator[Callable[..., SqlBank]]:
    """Open the bank of the test, or another file or with other parts, and close it in the end."""
    opened = []

    def open_it(where: Path = path, **parts) -> SqlBank:
        opened.append(SqlBank.open(where, **({"keys": keys, "ids": ids} | parts)))
        return opened[-1]

    yield open_it
    for bank in opened:
        bank.close()


@pytest.fixture
def bank(open_bank: Callable[..., SqlBank]) -> SqlBank:
    return open_bank()


def draft(text: str, intent: Intent = Intent.HARMFUL, category: str = "kitchen", **more) -> PromptDraft:
    return PromptDraft(text=SecretText(text), intent=intent, category=category, **more)


async def stream(drafts: Iterable[PromptDraft]) -> AsyncIterator[DraftRow]:
    for line, one in enumerate(drafts, start=1):
        yield DraftRow(line, one)


@pytest.fixture
def make() -> Callable[..., PromptDraft]:
    """Make a mild draft."""
    return draft


@pytest.fixture
def rows() -> Callable[..., AsyncIterator[DraftRow]]:
    """Stream drafts as rows, counting lines from 1."""
    return stream
