"""The techniques that ship, one file each: generic, published, and with mild templates of our own.

No file here holds a prompt, and none knows another.
"""

from typing import Final

from heldout_server.techniques.library.base64_text import Base64Text
from heldout_server.techniques.library.fiction import Fiction
from heldout_server.techniques.library.leetspeak import Leetspeak
from heldout_server.techniques.library.many_shot import ManyShot
from heldout_server.techniques.library.payload_splitting import PayloadSplitting
from heldout_server.techniques.library.persona import Persona
from heldout_server.techniques.technique import Technique

STANDARD: Final[tuple[Technique, ...]] = (
    Base64Text(),
    Leetspeak(),
    Fiction(),
    Persona(),
    PayloadSplitting(),
    ManyShot(),
)
"""Every technique that ships, in the order of the default table."""

__all__ = ["STANDARD"]
