"""What somebody may have meant by a name that there is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES_SHOWN: Final = 8


def suggest(name: str, known: Sequence[str]) -> str:
    """Return the end of a sentence: the nearest name, or the last few; empty if there are none."""
    import difflib  # noqa: PLC0415 - only mistakes need it

    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there is: {list_names(known)}" if known else ""


def list_names(known: Sequence[str]) -> str:
    """Return the last few of some names."""
    more = ", …" if len(known) > NAMES_SHOWN else ""
    return ", ".join(known[-NAMES_SHOWN:]) + more
