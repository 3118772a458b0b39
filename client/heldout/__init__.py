"""The client of a Heldout appliance: the SDK and the ``heldout`` command."""
