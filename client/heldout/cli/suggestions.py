"""What somebody may have meant by a name that there is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES_SHOWN: Final = 8


def suggest(name: str, known: Sequence[str], *, listed_by: str = "") -> str:
    """Return the end of a sentence: the nearest name, or which there are; empty if there are none.

    Args:
        name: what somebody typed.
        known: the names that there are, the newest last.
        listed_by: the command that lists them, where they have no order in time: a few of them would say little.
    """
    import difflib  # noqa: PLC0415 - only mistakes need it

    if close := difflib.get_close_matches(name, known, n=1):
        return f"; did you mean {close[0]}?"
    if listed_by and len(known) > NAMES_SHOWN:
        return f"; {listed_by} names all {len(known)}"
    return f"; there is: {list_names(known)}" if known else ""


def list_names(known: Sequence[str]) -> str:
    """Return the last few of some names."""
    return ("…, " if len(known) > NAMES_SHOWN else "") + ", ".join(known[-NAMES_SHOWN:])
