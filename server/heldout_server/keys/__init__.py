"""Keys: one root, and everything that hangs from it.

The room gives each other room the keys of its own. It never writes a key in the clear, except the root in the file of
the development provider; shares of a root are written once, each into a file of its own. It never opens a key file that
others can read. It knows nothing of what the keys seal.
"""

from heldout_server.keys.policy_signature import sign_policy, verify_policy_signature
from heldout_server.keys.resharing import put_in_force, share_anew, write_shares
from heldout_server.keys.ring import FileKeyRing
from heldout_server.keys.unsealing import Unsealing, open_ring
from heldout_server.keys.window_ring import WindowKeyRing, write_window_ring

__all__ = [
    "FileKeyRing",
    "Unsealing",
    "WindowKeyRing",
    "open_ring",
    "put_in_force",
    "share_anew",
    "sign_policy",
    "verify_policy_signature",
    "write_shares",
    "write_window_ring",
]
