"""Read a paged list to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from heldout.errors import UnknownAnswer

T = TypeVar("T")

PAGE_SIZE: Final = 100
MAX_PAGES: Final = 100_000
"""More than any appliance holds; an appliance that never stops is not followed for ever."""


async def read_pages(fetch: Callable[[str], Awaitable[tuple[Sequence[T], str]]]) -> list[T]:
    """Return the items of every page.

    Args:
        fetch: takes a page token, empty for the first page, and returns the items and the next token.

    Raises:
        UnknownAnswer: the pages go round in a circle, or never end.
    """
    items: list[T] = []
    token = ""
    seen = {token}
    for _ in range(MAX_PAGES):
        page, token = await fetch(token)
        items += page
        if not token:
            return items
        if token in seen:
            break
        seen.add(token)
    raise UnknownAnswer("the appliance's list does not end")
