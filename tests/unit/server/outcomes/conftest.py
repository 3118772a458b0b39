"""A key ring, ids, a clock and manifests for the tests of the outcomes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from heldout_server.domain import Manifest, Sampling, TrustClass
from heldout_server.errors import IntegrityError
from heldout_server.outcomes import SqlOutcomes


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


class HandClock:
    """Stand still until it is set."""

    def __init__(self) -> None:
        self.time_s = 1_700_000_000.9

    def now_s(self) -> float:
        return self.time_s

    def monotonic_s(self) -> float:
        return self.time_s


def manifest(**changes) -> Manifest:
    values = {
        "checkpoint": "step-100",
        "checkpoint_digest": "c" * 64,
        "line": "small",
        "epoch_id": "epoch-1",
        "epoch_commitment": "e" * 64,
        "techniques": ("plain", "base64", "fiction"),
        "stacks": (("base64", "fiction"),),
        "judge": "patterns",
        "judge_digest": "f" * 64,
        "policy_digest": "d" * 64,
        "runtime": "scripted",
        "trust": TrustClass.CONTAINED,
        "sampling": Sampling(temperature=0.5, seed=7),
    }
    return Manifest(**(values | changes))


@pytest.fixture
def keys() -> OneSecretKeyRing:
    return OneSecretKeyRing()


@pytest.fixture
def other_keys() -> OneSecretKeyRing:
    return OneSecretKeyRing(b"another root")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outcomes.db"


@pytest.fixture
def open_outcomes(path: Path, keys: OneSecretKeyRing, clock: HandClock) -> Iterator[Callable[..., SqlOutcomes]]:
    """Open the outcomes of the test, or another file or with other parts, and close them in the end."""
    opened = []

    def open_it(where: Path = path, **parts) -> SqlOutcomes:
        opened.append(SqlOutcomes.open(where, **({"keys": keys, "ids": RandomIds(), "clock": clock} | parts)))
        return opened[-1]

    yield open_it
    for outcomes in opened:
        outcomes.close()


@pytest.fixture
def outcomes(open_outcomes: Callable[..., SqlOutcomes]) -> SqlOutcomes:
    return open_outcomes()


@pytest.fixture
def make() -> Callable[..., Manifest]:
    """Make a manifest."""
    return manifest
