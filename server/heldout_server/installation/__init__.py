"""Installation: make the folder of an appliance, once, so that ``serve`` finds all it needs.

It stands beside the composition root, above the rooms, and runs before there is anything to serve. What it makes is
for development: every key lies in a file, the keys of the CA and of the policy signer included. It never touches a
folder that holds something, and leaves nothing half-made.
"""

from heldout_server.installation.folder import Installed, describe, install

__all__ = ["Installed", "describe", "install"]
