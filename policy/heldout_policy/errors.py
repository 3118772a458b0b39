"""The one error of the policy: a document that a person wrote does not hold.

A policy document that is missing a part, or says something that cannot be, is refused whole: nothing is guessed and
nothing falls back to a default. The message says where to look, so that the person can mend it.
"""

from __future__ import annotations


class PolicyError(Exception):
    """Say what is wrong in a policy document, and where.

    ``str()`` reads ``principals.toml line 7: role: no such role: trainr``.

    Attributes:
        document: name of the document, for instance ``release.toml``.
        line: 1-based line, or None where no single line is at fault.
        key: the key or rule that is at fault, or empty.
        message: what is wrong, in one clause.
    """

    def __init__(self, message: str, *, document: str, line: int | None = None, key: str = "") -> None:
        self.document = document
        self.line = line
        self.key = key
        self.message = message
        place = document if line is None else f"{document} line {line}"
        super().__init__(": ".join(part for part in (place, key, message) if part))
