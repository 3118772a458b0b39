"""Which technique may be put over which.

The rules are between kinds, and between neighbours: what lies deeper is out of reach of a technique that treats its
input as one opaque text. In words:

- An obfuscation rewrites letters, so it goes innermost: over an encoding it destroys it, over a framing, a persona or a
  split it rewrites their own words. Over another obfuscation it may go.
- A split cuts text in parts, so it goes under a framing or a persona, not over one: their instructions would be cut.
- An encoding may go over anything, another encoding included: each proves its round trip, and answers are decoded from
  the outermost inwards.
- Two personas contradict each other.
- Many-shot demonstrations are outermost: whatever goes over them takes them apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from heldout_server.errors import InvalidRequest
from heldout_server.techniques.technique import Kind, Technique

REFUSED: Final[Mapping[tuple[Kind, Kind], str]] = {
    (Kind.ENCODE, Kind.OBFUSCATE): "an obfuscation over an encoding destroys it",
    (Kind.FRAME, Kind.OBFUSCATE): "an obfuscation over a framing rewrites its words; put the obfuscation first",
    (Kind.PERSONA, Kind.OBFUSCATE): "an obfuscation over a persona rewrites its words; put the obfuscation first",
    (Kind.SPLIT, Kind.OBFUSCATE): "an obfuscation over a split rewrites the names of its parts; put it first",
    (Kind.FRAME, Kind.SPLIT): "a split over a framing cuts its instructions; put the split first",
    (Kind.PERSONA, Kind.SPLIT): "a split over a persona cuts its instructions; put the split first",
    (Kind.SPLIT, Kind.SPLIT): "a split of a split gives two meanings to the name of a part",
    (Kind.PERSONA, Kind.PERSONA): "two personas contradict each other",
    **{(Kind.MANY_SHOT, outer): "many-shot demonstrations must be outermost" for outer in Kind},
}
"""Why a kind may not go directly over another, by (inner, outer)."""


def verify_stack(techniques: Sequence[Technique]) -> None:
    """Refuse a composition that makes no sense.

    Args:
        techniques: the first innermost.

    Raises:
        InvalidRequest: one is repeated, or may not go over the one before it. The message quotes technique ids alone.
    """
    seen: set[str] = set()
    for technique in techniques:
        if technique.technique_id in seen:
            raise InvalidRequest(
                f"a stack holds {technique.technique_id} twice: once over itself it says nothing new",
                reason="REPEATED_TECHNIQUE",
            )
        seen.add(technique.technique_id)
    for inner, outer in pairwise(techniques):
        why = REFUSED.get((inner.kind, outer.kind))
        if why is not None:
            raise InvalidRequest(
                f"{outer.technique_id} may not go over {inner.technique_id}: {why}",
                reason="INCOMPATIBLE_STACK",
            )
