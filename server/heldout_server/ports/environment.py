"""What is not ours to decide: time, names, randomness. Injected, so that tests own them."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Tell the time."""

    def now_s(self) -> float:
        """Return Unix time in seconds."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds that never go back, from an arbitrary start."""
        ...


class Ids(Protocol):
    """Invent names that nobody can guess and that carry no meaning."""

    def new(self, prefix: str) -> str:
        """Return a fresh identifier such as ``run-4f0c9a1be2d37c55``."""
        ...

    def several(self, prefix: str, count: int) -> list[str]:
        """Return ``count`` fresh identifiers; many at once cost less each."""
        ...


class Noise(Protocol):
    """Draw the noise that a release adds."""

    def add(self, values: list[int], *, sigma: float) -> list[int]:
        """Return each value plus an independent discrete Gaussian of scale ``sigma`` (in the values' own unit)."""
        ...
