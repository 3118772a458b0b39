"""One canonical form for what looks or sounds the same: the cards gate compares texts in it, and nothing else does.

Unicode NFKC, then lower case, without accents and without characters that nobody sees; letters of other alphabets that
look Latin become Latin (a selection from Unicode TR39's confusables); digits and signs that stand for letters become
those letters, and all that are mistaken for one another become one (l, 1, i, | and !).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_LOOK_ALIKES: Final = {
    "a": "\u0430\u03b1\u0251",
    "b": "\u0432\u03b2\u044a\u044c\u00df",
    "c": "\u0441\u03f2",
    "d": "\u0501",
    "e": "\u0435\u0454\u03b5",
    "g": "\u0261\u0581",
    "h": "\u04bb\u043d",
    "i": "\u0456\u03b9\u0131\u0269\u04cf",
    "j": "\u0458\u03f3",
    "k": "\u043a\u03ba",
    "m": "\u043c",
    "n": "\u03b7\u0578",
    "o": "\u043e\u03bf\u03c3\u00f8\u0585",
    "p": "\u0440\u03c1\u00fe",
    "q": "\u051b",
    "r": "\u0433\u0280",
    "s": "\u0455\u0282",
    "t": "\u0442\u03c4\u0167",
    "u": "\u03c5\u057d\u028b",
    "v": "\u03bd\u0475",
    "w": "\u051d\u03c9\u0461",
    "x": "\u0445\u03c7",
    "y": "\u0443\u04af\u0263",
    "z": "\u0290",
}
_LATIN: Final = {ord(one): latin for latin, others in _LOOK_ALIKES.items() for one in others}
_INVISIBLE: Final = frozenset({"Cf", "Mn", "Me"})
_STANDS_FOR: Final = str.maketrans("0123456789l@$|", "oizeasgtbgiasi")
_APOSTROPHES: Final = str.maketrans(dict.fromkeys("'`\u2018\u2019\u00b4\u02bc"))
_EXCLAIMED: Final = re.compile(r"!(?=\w)")
_WORD: Final = re.compile(r"[^\W_]+")
_NO_BLANKS: Final = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")


def fold_letters(text: str) -> str:
    """Return a text in lower case with look-alikes, accents and what is invisible folded away. Digits stay digits."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
        text = "".join(one for one in text if unicodedata.category(one) not in _INVISIBLE).translate(_LATIN)
        return unicodedata.normalize("NFC", text)
    return text.lower()


def split_words(letters: str) -> list[str]:
    """Return the words of a text that :func:`fold_letters` returned, what stands for a letter being that letter.

    Scripts that are written without blanks give a word a character.
    """
    folded = _EXCLAIMED.sub("i", letters).translate(_APOSTROPHES).translate(_STANDS_FOR)
    if not folded.isascii():
        folded = _NO_BLANKS.sub(r" \g<0> ", folded)
    return _WORD.findall(folded)
