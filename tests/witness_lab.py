"""A witness for tests: its key, and what it signs (c2sp.org/tlog-cosignature, version 1)."""

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from heldout_policy.witness import WitnessKey

NAME = "witness.example"


class TestWitness:
    """Cosign whatever it is given, as of any time."""

    __test__ = False

    def __init__(self, seed=b"w" * 32, name=NAME):
        self.name = name
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        public = b"\x04" + self._key.public_key().public_bytes_raw()
        self._key_id = hashlib.sha256(name.encode() + b"\n" + public).digest()[:4]
        self.vkey = f"{name}+{self._key_id.hex()}+{base64.b64encode(public).decode()}"
        self.key = WitnessKey.parse(self.vkey)

    def line(self, checkpoint, time_s):
        """Return the cosignature line over the text of a checkpoint."""
        text = checkpoint.partition("\n\n")[0] + "\n"
        signature = self._key.sign(f"cosignature/v1\ntime {time_s}\n{text}".encode())
        blob = self._key_id + time_s.to_bytes(8, "big") + signature
        return f"\N{EM DASH} {self.name} {base64.b64encode(blob).decode()}\n"

    def cosign(self, checkpoint, time_s):
        """Return a checkpoint with the line behind its other signatures."""
        return checkpoint + self.line(checkpoint, time_s)
