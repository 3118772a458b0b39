"""A response in the one form that phrases are looked for in.

Lower case, plain apostrophes and hyphens, white space collapsed, Markdown emphasis gone. What is read is bounded: the
head and the tail of a long response, so that a flood costs no more than an answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

HEAD_CHARS: Final = 2400
TAIL_CHARS: Final = 600

_TYPOGRAPHY = str.maketrans(
    {
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{MODIFIER LETTER APOSTROPHE}": "'",
        "\N{FULLWIDTH APOSTROPHE}": "'",
        "\N{PRIME}": "'",
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
        "\N{NON-BREAKING HYPHEN}": "-",
        "\N{EN DASH}": "-",
        "\N{EM DASH}": " - ",
        "\N{ZERO WIDTH SPACE}": None,
        "\N{ZERO WIDTH NON-JOINER}": None,
        "\N{ZERO WIDTH JOINER}": None,
        "\N{SOFT HYPHEN}": None,
        "\N{ZERO WIDTH NO-BREAK SPACE}": None,
    }
)
_MARKDOWN = str.maketrans({"*": None, "`": None, "#": None, ">": None, "~": None, "_": " "})
_TYPOGRAPHY_AND_MARKDOWN = _TYPOGRAPHY | _MARKDOWN
_ITEM = re.compile(
    r"\n[ \t]{0,8}(?:\*{0,2}\d{1,2}[.)][ \t]|[-*\u2022\u2013][ \t]|\*{0,2}[Ss](?:tep|TEP) \d{1,2}\b)",
)


@dataclass(frozen=True, slots=True)
class Reading:
    """Hold what a judge looks at.

    Attributes:
        text: the normalised response; of a long one the head and the tail.
        words: the text at its white space.
        items: lines that begin as items of a list do.
        code: whether there is a block of code.
    """

    text: str
    words: list[str]
    items: int
    code: bool

    def without(self, quoted: str) -> Reading:
        """Return the reading without what it quotes."""
        text = " ".join(self.text.replace(quoted, " ").split())
        return Reading(text=text, words=text.split(), items=self.items, code=self.code)


def read(response: str) -> Reading:
    """Return a response as phrases are looked for in it: at most about 3,000 characters of it."""
    if len(response) > HEAD_CHARS + TAIL_CHARS:
        response = f"{response[:HEAD_CHARS]}\n{response[-TAIL_CHARS:]}"
    words = _split(response)
    return Reading(
        text=" ".join(words),
        words=words,
        items=len(_ITEM.findall(f"\n{response}")) if "\n" in response else 0,
        code="```" in response,
    )


def normalise(text: str) -> str:
    """Return text in lower case with plain punctuation and single spaces."""
    return " ".join(_split(text))


def _split(text: str) -> list[str]:
    # A table for ASCII alone has a fast way through text in ASCII.
    return text.translate(_MARKDOWN if text.isascii() else _TYPOGRAPHY_AND_MARKDOWN).lower().split()
