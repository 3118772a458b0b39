"""Where in a document something stands, and the error that says so."""

from __future__ import annotations

from dataclasses import dataclass

from heldout_server.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Place:
    """Say where in a document something stands.

    Attributes:
        document: file name of the document.
        line: 1-based line, or None if there is no single one.
        key: ``section.key``, or empty.
    """

    document: str
    line: int | None
    key: str = ""

    def error(self, problem: str, remedy: str) -> ConfigError:
        """Return the error that says what is wrong here, and on a second line what to do."""
        place = self.document if self.line is None else f"{self.document} line {self.line}"
        return ConfigError(": ".join(part for part in (place, self.key, problem) if part) + f"\n  {remedy}")
