"""Keys: one root, and everything that hangs from it.

The room gives each other room the keys of its own. It never writes a key in the clear, except the root in the file of
the development provider, and it never opens a key file that others can read. It knows nothing of what the keys seal.
"""

from heldout_server.keys.policy_signature import sign_policy, verify_policy_signature
from heldout_server.keys.ring import FileKeyRing

__all__ = ["FileKeyRing", "sign_policy", "verify_policy_signature"]
