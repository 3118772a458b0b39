"""Pages of a list: a size within bounds, and a token that is the last key of the page before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

DEFAULT_SIZE: Final = 50


def page_size(asked: int) -> int:
    """Return how many items a page holds; 0 asks for the default. The contract bounds ``asked``."""
    return asked or DEFAULT_SIZE


def after_sequence(token: str) -> int:
    """Return the sequence number that a page goes on from. The contract lets only digits through."""
    return int(token or 0)


def next_token(items: Sequence[T], size: int, key: Callable[[T], object]) -> str:
    """Return the token of the next page, empty if this page is the last."""
    return str(key(items[-1])) if len(items) == size else ""
