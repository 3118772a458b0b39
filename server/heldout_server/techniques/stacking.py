"""Which technique may be put over which.

The rules are between kinds, and between neighbours: what lies deeper is out of reach of a technique that treats its
input as one opaque text. In words:

- An obfuscation rewrites letters, so it goes innermost: over an encoding it destroys it, over a framing, a persona, a
  split or a suffix it rewrites their own words. Over another obfuscation it may go, if that leaves the words it needs.
- A split cuts text in parts, so it goes under a framing, a persona or a suffix, not over one: their instructions would
  be cut.
- An encoding may go over anything, another encoding included: each proves its round trip, and answers are decoded from
  the outermost inwards.
- Two personas contradict each other.
- A suffix instructs the whole reply, so it goes over a framing or a persona, not into the scene.
- What folds text (Morse code has no case) goes under everything: what lay under it would not come back.
- Many-shot demonstrations are outermost: whatever goes over them takes them apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from heldout_server.errors import InvalidRequest
from heldout_server.techniques.technique import Kind, Technique

WHY: Final[Mapping[str, str]] = {
    "OBFUSCATION_OVER_ENCODING": "an obfuscation over an encoding destroys it; put the obfuscation first",
    "OBFUSCATION_OVER_WORDS": "an obfuscation over a frame, persona, split or suffix rewrites its words; put it first",
    "SPLIT_OVER_INSTRUCTIONS": "a split over a framing, persona or suffix cuts its instructions; put the split first",
    "SUFFIX_IN_A_SCENE": "a framing or persona over a suffix takes it into the scene; put the suffix last",
    "SPLIT_OF_A_SPLIT": "a split of a split gives two meanings to the name of a part",
    "TWO_PERSONAS": "two personas contradict each other",
    "MANY_SHOT_INSIDE": "many-shot demonstrations must be outermost; put them last",
    "FOLDS_TEXT": "it does not keep all of a text, so it goes innermost; put it first",
    "NO_WORDS_LEFT": "no ordinary words are left for it to rewrite; put it first",
}
"""What each reason means, with which one technique may not go directly over another."""

REFUSED: Final[Mapping[tuple[Kind, Kind], str]] = {
    (Kind.ENCODE, Kind.OBFUSCATE): "OBFUSCATION_OVER_ENCODING",
    (Kind.FRAME, Kind.OBFUSCATE): "OBFUSCATION_OVER_WORDS",
    (Kind.PERSONA, Kind.OBFUSCATE): "OBFUSCATION_OVER_WORDS",
    (Kind.SPLIT, Kind.OBFUSCATE): "OBFUSCATION_OVER_WORDS",
    (Kind.SUFFIX, Kind.OBFUSCATE): "OBFUSCATION_OVER_WORDS",
    (Kind.FRAME, Kind.SPLIT): "SPLIT_OVER_INSTRUCTIONS",
    (Kind.PERSONA, Kind.SPLIT): "SPLIT_OVER_INSTRUCTIONS",
    (Kind.SUFFIX, Kind.SPLIT): "SPLIT_OVER_INSTRUCTIONS",
    (Kind.SUFFIX, Kind.FRAME): "SUFFIX_IN_A_SCENE",
    (Kind.SUFFIX, Kind.PERSONA): "SUFFIX_IN_A_SCENE",
    (Kind.SPLIT, Kind.SPLIT): "SPLIT_OF_A_SPLIT",
    (Kind.PERSONA, Kind.PERSONA): "TWO_PERSONAS",
    **{(Kind.MANY_SHOT, outer): "MANY_SHOT_INSIDE" for outer in Kind},
}
"""Why a kind may not go directly over another, by (inner, outer)."""


def verify_stack(techniques: Sequence[Technique]) -> None:
    """Refuse a composition that makes no sense.

    Args:
        techniques: the first innermost.

    Raises:
        InvalidRequest: one is repeated (``REPEATED_TECHNIQUE``), or may not go over the one before it, with a reason of
            :data:`WHY`. The message quotes technique ids alone.
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
        reason = find_refusal(inner, outer)
        if reason is not None:
            raise InvalidRequest(
                f"{outer.technique_id} may not go over {inner.technique_id}: {WHY[reason]}", reason=reason
            )


def find_refusal(inner: Technique, outer: Technique) -> str | None:
    """Return the reason why one technique may not go directly over another, or None where it may."""
    if outer.folds:
        return "FOLDS_TEXT"
    if outer.needs_words and not inner.leaves_words:
        return "NO_WORDS_LEFT"
    return REFUSED.get((inner.kind, outer.kind))


def compatible_stacks(techniques: Sequence[Technique], *, size: int) -> tuple[tuple[str, ...], ...]:
    """Return every stack of so many techniques that :func:`verify_stack` lets pass.

    Rules are between neighbours, so longer stacks grow from shorter ones that pass.

    Args:
        techniques: what to compose, each id once; stacks come out in its order.
        size: techniques in a stack, at least 1.

    Raises:
        ValueError: the size is less than 1.
    """
    if size < 1:
        raise ValueError("a stack holds at least one technique")
    over = {inner.technique_id: [outer for outer in techniques if _may_follow(inner, outer)] for inner in techniques}
    stacks: list[tuple[Technique, ...]] = [(technique,) for technique in techniques]
    for _ in range(size - 1):
        stacks = [(*stack, outer) for stack in stacks for outer in over[stack[-1].technique_id] if outer not in stack]
    return tuple(tuple(technique.technique_id for technique in stack) for stack in stacks)


def _may_follow(inner: Technique, outer: Technique) -> bool:
    return outer is not inner and find_refusal(inner, outer) is None
