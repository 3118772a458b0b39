"""The composition root: it builds every room from the config and brings them together. Nothing else does.

The order is the order of trust: keys, then the signed policy, then the logs, and only then the rooms and the door.
Whatever is unclear on the way stops the start, before a port is bound. Read ``serving`` first, then ``vault`` and
``window``, which build the rooms of the two halves and never meet: ``halves`` alone picks between them. So a window
that is served by itself has no code in its process that could read a prompt. For the same reason nothing is imported
here.
"""
