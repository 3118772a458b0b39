"""Version 1 of the contract. The ``*_pb2`` modules are generated; the ``*.proto`` beside them are what to read."""
