"""The one type for text that must not leave."""

from __future__ import annotations

from typing import Final, NoReturn


class SecretText:
    """Hold text that must not leave: a prompt, a response, a template.

    ``repr`` and ``str`` are redacted and pickling is refused, so that it cannot slip into a log line, an exception
    or a file. The one way to the text is :meth:`reveal`; a grep for ``reveal(`` is the list of places to review.
    """

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        """Return the text itself. Every call is a place that a reviewer looks at."""
        return self.__text

    def __len__(self) -> int:
        return len(self.__text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretText) and self.__text == other.reveal()

    def __hash__(self) -> int:
        return hash((SecretText, self.__text))

    def __repr__(self) -> str:
        return "SecretText(…)"

    __str__ = __repr__

    def __format__(self, spec: str, /) -> str:
        return format(repr(self), spec)

    def __reduce__(self) -> NoReturn:
        raise TypeError("SecretText is never pickled")


NOTHING: Final = SecretText("")
"""No text at all."""
