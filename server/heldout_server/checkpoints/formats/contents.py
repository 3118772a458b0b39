"""What a file of weights says of itself, in any format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MAX_TENSORS: Final = 100_000
"""How many tensors one file may hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Hold what a header says.

    Attributes:
        sizes: bytes of tensors by their type, in lower case.
        architecture: as the file calls it, unchecked; empty if it does not say.
        chat_template: its UTF-8 text, unchecked; None if there is none.
        adapter: it adapts other weights, and is none by itself.
    """

    sizes: Mapping[str, int]
    architecture: str = ""
    chat_template: bytes | None = None
    adapter: bool = False
