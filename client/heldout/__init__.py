"""The client of a Heldout appliance: the SDK and the ``heldout`` command.

::

    from heldout import Client

    with Client.from_profile("trainer.toml") as client:
        for release in client.findings.releases():
            print(release.tested.checkpoint, release.number)

Every answer is checked against the appliance's log before it is returned. The client knows neither the server nor the
policy: it believes the log keys of its profile, and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from heldout.client import AsyncClient, Client
    from heldout.errors import HeldoutClientError, VerificationError
    from heldout.profile import Profile, read_profile

__all__ = ["AsyncClient", "Client", "HeldoutClientError", "Profile", "VerificationError", "read_profile"]

_HOMES = {
    "AsyncClient": "heldout.client",
    "Client": "heldout.client",
    "HeldoutClientError": "heldout.errors",
    "Profile": "heldout.profile",
    "VerificationError": "heldout.errors",
    "read_profile": "heldout.profile",
}


def __getattr__(name: str) -> object:
    """Load what is asked for when it is: the command's help needs none of it."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - see above

    return getattr(import_module(home), name)
