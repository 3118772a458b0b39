"""Installation: make the folder of an appliance, once, so that ``serve`` finds all it needs.

It stands beside the composition root, above the rooms, and runs before there is anything to serve. Every key that it
makes lies in a file, those of the CA and of the policy signer included, until people take theirs away; the root key
does only for development, and is otherwise split. It never touches a folder that holds something, and leaves nothing
half-made.
"""

from heldout_server.installation.folder import Installed, Sharing, describe, install

__all__ = ["Installed", "Sharing", "describe", "install"]
