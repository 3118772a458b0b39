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

_TYPOGRAPHY: Final = {
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
    "\N{ZERO WIDTH SPACE}": "",
    "\N{ZERO WIDTH NON-JOINER}": "",
    "\N{ZERO WIDTH JOINER}": "",
    "\N{SOFT HYPHEN}": "",
    "\N{ZERO WIDTH NO-BREAK SPACE}": "",
}
_MARKDOWN: Final = dict.fromkeys("*`#>~", "") | {"_": " "}
_WHITE_SPACE: Final = dict.fromkeys("\t\n\v\f\r\x1c\x1d\x1e\x1f", " ")
_ASCII = str.maketrans(_MARKDOWN | _WHITE_SPACE)
_ITEM = re.compile(
    r"\n[ \t]{0,8}(?:\*{0,2}\d{1,2}[.)][ \t]|[-*\u2022\u2013][ \t]|\*{0,2}[Ss](?:tep|TEP) \d{1,2}\b)",
)


@dataclass(frozen=True, slots=True)
class Reading:
    """Hold what a judge looks at.

    Attributes:
        text: the normalised response; of a long one the head and the tail.
        items: lines that begin as items of a list do.
        code: whether there is a block of code.
    """

    text: str
    items: int
    code: bool

    @property
    def size(self) -> int:
        """The number of words."""
        return self.text.count(" ") + 1 if self.text else 0

    def first_words(self, most: int) -> list[str]:
        """Return so many words, or all that there are."""
        return self.text.split(" ", most)[:most] if self.text else []

    def without(self, quoted: str) -> Reading:
        """Return the reading without what it quotes."""
        text = " ".join(self.text.replace(quoted, " ").split())
        return Reading(text=text, items=self.items, code=self.code)


def read(response: str) -> Reading:
    """Return a response as phrases are looked for in it: at most about 3,000 characters of it."""
    if len(response) > HEAD_CHARS + TAIL_CHARS:
        response = f"{response[:HEAD_CHARS]}\n{response[-TAIL_CHARS:]}"
    return Reading(
        text=normalise(response),
        items=len(_ITEM.findall(f"\n{response}")) if "\n" in response else 0,
        code="```" in response,
    )


def normalise(text: str) -> str:
    """Return text in lower case with plain punctuation and single spaces."""
    if not text.isascii():
        # One after the other: a table is looked up, slowly, for every character where not all are ASCII.
        for typographic, plain in _TYPOGRAPHY.items():
            text = text.replace(typographic, plain)
    if not text.isascii():
        for mark, plain in _MARKDOWN.items():
            text = text.replace(mark, plain)
        return " ".join(text.lower().split())
    # In ASCII a table has a fast way, and white space is known: far quicker than to split and join.
    text = text.translate(_ASCII).lower().strip(" ")
    while "  " in text:
        text = text.replace("  ", " ")
    return text
