"""The encrypted bank: prompts that stay in, and the frozen sets of them that releases are made about.

Every text is sealed under the key of its shard, inside a database that is itself encrypted. The room takes prompts
in, counts them, retires them and freezes them into epochs. It refuses to change a prompt once it is there, to reopen
an epoch, to show half an import, and to give a text that was in an epoch a fresh privacy budget by way of a new unit.
"""

from heldout_server.bank.packs import SealedPacks
from heldout_server.bank.store import SqlBank

__all__ = ["SealedPacks", "SqlBank"]
