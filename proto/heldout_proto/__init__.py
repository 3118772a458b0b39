"""The contract: ``*.proto`` of package ``heldout.v1`` and the code generated from them (``make proto``)."""
