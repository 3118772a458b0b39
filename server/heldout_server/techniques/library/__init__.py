"""The techniques that ship, one file each: generic, published, and with mild templates of our own.

No file here holds a prompt, and none knows another.
"""

from typing import Final

from heldout_server.techniques.library.base64_text import Base64Text
from heldout_server.techniques.library.code_completion import CodeCompletion
from heldout_server.techniques.library.code_points import CodePoints
from heldout_server.techniques.library.fiction import Fiction
from heldout_server.techniques.library.hexadecimal import Hexadecimal
from heldout_server.techniques.library.homoglyphs import Homoglyphs
from heldout_server.techniques.library.hypothetical import Hypothetical
from heldout_server.techniques.library.leetspeak import Leetspeak
from heldout_server.techniques.library.many_shot import ManyShot
from heldout_server.techniques.library.morse import Morse
from heldout_server.techniques.library.payload_splitting import PayloadSplitting
from heldout_server.techniques.library.persona import Persona
from heldout_server.techniques.library.prefix_injection import PrefixInjection
from heldout_server.techniques.library.refusal_suppression import RefusalSuppression
from heldout_server.techniques.library.research import Research
from heldout_server.techniques.library.reversed_text import ReversedText
from heldout_server.techniques.library.reversed_words import ReversedWords
from heldout_server.techniques.library.rot13 import Rot13
from heldout_server.techniques.library.spacing import SpacedLetters, ZeroWidth
from heldout_server.techniques.technique import Technique

DEFAULT: Final[tuple[Technique, ...]] = (
    Base64Text(),
    Leetspeak(),
    Fiction(),
    Persona(),
    PayloadSplitting(),
    ManyShot(),
)
"""The techniques of the default table, in its order."""

STANDARD: Final[tuple[Technique, ...]] = (
    *DEFAULT,
    Rot13(),
    Hexadecimal(),
    CodePoints(),
    Morse(),
    ReversedText(),
    ReversedWords(),
    Homoglyphs(),
    SpacedLetters(),
    ZeroWidth(),
    Research(),
    Hypothetical(),
    CodeCompletion(),
    PrefixInjection(),
    RefusalSuppression(),
)
"""Every technique that ships: those of the default table first, the others by id alone."""

__all__ = ["DEFAULT", "STANDARD"]
