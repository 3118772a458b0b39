"""A log in memory that signs like the server's, for what the client must accept and refuse."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass, field
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from heldout.verification.merkle import leaf_hash, root_of

TESTER = "spiffe://heldout.example/bank-tester"
METHOD = "/heldout.v1.BankService/GetStats"


@dataclass
class SmallLog:
    """Hold leaves, and prove them by the recursive definitions of RFC 6962."""

    origin: str = "lab/vault"
    key: Ed25519PrivateKey = field(default_factory=lambda: Ed25519PrivateKey.from_private_bytes(b"l" * 32))
    leaves: list[bytes] = field(default_factory=list)

    @property
    def vkey(self):
        public = b"\x01" + self.key.public_key().public_bytes_raw()
        return f"{self.origin}+{self.key_id.hex()}+{b64encode(public).decode()}"

    @property
    def key_id(self):
        public = b"\x01" + self.key.public_key().public_bytes_raw()
        return sha256(self.origin.encode() + b"\n" + public).digest()[:4]

    def add(self, kind="event", name="start", *, identity="", role="", counter=None, **details):
        fields = {
            "details": details, "identity": identity, "kind": kind, "name": name, "role": role, "time_s": 60,
        }  # fmt: skip
        if counter is not None:
            fields["counter"] = counter
        self.leaves.append(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode())
        return len(self.leaves) - 1

    def intent(self, counter, *, identity=TESTER, name=METHOD, role="bank_tester"):
        return self.add("intent", name, identity=identity, role=role, counter=counter, decision="allow")

    def outcome(self, intent, *, identity=TESTER, name=METHOD, role="bank_tester", **details):
        return self.add("outcome", name, identity=identity, role=role, intent=intent, status="OK", **details)

    def checkpoint(self, size=None):
        size = len(self.leaves) if size is None else size
        root = root_of(map(leaf_hash, self.leaves[:size]))
        body = f"{self.origin}\n{size}\n{b64encode(root).decode()}\n"
        signature = b64encode(self.key_id + self.key.sign(body.encode())).decode()
        return f"{body}\n\u2014 {self.origin} {signature}\n"

    def proof(self, index):
        path = _path(index, [leaf_hash(leaf) for leaf in self.leaves])
        lines = ["c2sp.org/tlog-proof@v1", f"index {index}", *(b64encode(each).decode() for each in path)]
        return "\n".join(lines) + "\n\n" + self.checkpoint()


def _path(m, leaves):
    if len(leaves) == 1:
        return []
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    if m < k:
        return [*_path(m, leaves[:k]), root_of(leaves[k:])]
    return [*_path(m - k, leaves[k:]), root_of(leaves[:k])]


@pytest.fixture
def log():
    return SmallLog()
