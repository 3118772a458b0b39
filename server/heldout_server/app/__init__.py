"""The composition root: it builds every room from the config and brings them together. Nothing else does.

The order is the order of trust: keys, then the signed policy, then the logs, and only then the rooms and the door.
Whatever is unclear on the way stops the start, before a port is bound. Read ``serving`` first.
"""

from heldout_server.app.serving import Appliance, serve

__all__ = ["Appliance", "serve"]
