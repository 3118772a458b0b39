"""A witness: it follows a log, checks that each head continues the one before, and signs that it saw it.

What it signed last is on the disk before a signature leaves. So it never signs two heads that do not belong to one
history, however often it is killed: at worst it has noted a head that it then did not sign.
"""

from heldout.witness.head_store import HeadStore
from heldout.witness.key_file import read_signer, write_signer
from heldout.witness.witness import Witness

__all__ = ["HeadStore", "Witness", "read_signer", "write_signer"]
