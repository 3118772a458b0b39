"""Which halves a process serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from heldout_server.app.half import Opener

Served: TypeAlias = Literal["both", "vault", "window"]
SERVED: Final[tuple[Served, ...]] = ("both", "vault", "window")


def pick(served: Served) -> Mapping[str, Opener]:
    """Return what opens the halves that are to be served, in the order in which they are opened.

    The code of a half that is not served is not even loaded.
    """
    openers: dict[str, Opener] = {}
    if served in {"both", "vault"}:
        from heldout_server.app import vault  # noqa: PLC0415 - a window must hold no code that reads a prompt

        openers["vault"] = vault.open_half
    if served in {"both", "window"}:
        from heldout_server.app import window  # noqa: PLC0415 - as above

        openers["window"] = window.open_half
    return openers
