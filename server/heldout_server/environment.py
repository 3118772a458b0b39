"""Take time and names from the machine: the real adapters of ``ports.environment``."""

from __future__ import annotations

import os
import time
from typing import Final

RANDOM_BYTES: Final = 8
"""64 random bits a name: nobody guesses one, and a collision among a million names has odds of one in 10^7."""


class SystemClock:
    """Tell the machine's time."""

    def now_s(self) -> float:
        """Return Unix time in seconds."""
        return time.time()

    def monotonic_s(self) -> float:
        """Return seconds that never go back, from an arbitrary start."""
        return time.monotonic()


class RandomIds:
    """Draw names from the operating system's generator."""

    def new(self, prefix: str) -> str:
        """Return ``prefix``, a dash, and 16 hex digits: ``run-4f0c9a1be2d37c55``."""
        return f"{prefix}-{os.urandom(RANDOM_BYTES).hex()}"

    def several(self, prefix: str, count: int) -> list[str]:
        """Return ``count`` such names, drawn in one go."""
        digits = os.urandom(RANDOM_BYTES * count).hex()
        width = 2 * RANDOM_BYTES
        return [f"{prefix}-{digits[start : start + width]}" for start in range(0, len(digits), width)]
