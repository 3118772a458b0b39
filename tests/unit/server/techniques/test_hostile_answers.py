"""Whatever a model sends back, reading it takes no longer than an answer does."""

from __future__ import annotations

import random
import sys
import time

import pytest

from heldout_server.domain import Ending, Intent, SecretText
from heldout_server.judges import PatternJudge
from heldout_server.ports.judges import Case
from heldout_server.runtimes.answer import MAX_TEXT_CHARACTERS
from heldout_server.techniques import TechniqueLibrary
from heldout_server.techniques.registry import MAX_HEAD_LINES, MAX_TAIL_LINES
from heldout_server.techniques.technique import Encoding

MOST_S = 0.1 if sys.gettrace() is None else 0.4
"""Seconds of processor time, not of the clock, which other work would lengthen. It is about 0.02, and a tracer that
measures coverage takes several times that."""

LIBRARY = TechniqueLibrary.standard()
DECODERS = [one.technique_id for one in LIBRARY.techniques() if isinstance(one, Encoding)]
RNG = random.Random(5)  # noqa: S311 - noise, not a secret
PIECES = [
    *("\n", " ", "\t", "a", "1", "=", "/", "-", "\\", "`", "*", "[", '"', "\u200b", "\U0001f600", "a\n", "ab\n"),
    *("a b\n", "\r\n", "```\n", "4a", "4a ", "4a\n", "0x", "\\x41", "72 ", "72, ", "72\n", ".-", ". ", ".- / ", "QUJD"),
    *("QUJDREVGR0hJ\n", "a" * 23 + " ", "A" * 24 + " ", "A" * 24 + "*", "A" * 30 + "=", "the model said so. "),
]
FLOODS = [(piece * (MAX_TEXT_CHARACTERS // len(piece) + 1))[:MAX_TEXT_CHARACTERS] for piece in PIECES]
FLOODS.append("".join(RNG.choices("aA1/+=-_. \n,x\\u0", k=MAX_TEXT_CHARACTERS)))


def quickest_s(work):
    """Return the shortest of a few times, stopping at the first that is short enough."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
        if best < MOST_S:
            break
    return best


@pytest.mark.parametrize("decoder", DECODERS)
def test_decoding_has_a_bound_whatever_comes(decoder):
    slow = {
        flood[:8]: spent
        for flood in FLOODS
        if (spent := quickest_s(lambda f=flood: LIBRARY.decode((decoder,), f))) > MOST_S
    }
    assert slow == {}


@pytest.mark.parametrize("intent", Intent)
def test_judging_has_a_bound_whatever_comes(intent):
    judge, prompt = PatternJudge(), SecretText("How do I bake bread? " * 3000)
    slow = {
        flood[:8]: spent
        for flood in FLOODS
        if (
            spent := quickest_s(
                lambda f=flood: judge.judge(
                    Case(intent=intent, prompt=prompt, response=SecretText(f), ending=Ending.LENGTH)
                )
            )
        )
        > MOST_S
    }
    assert slow == {}


def test_head_and_tail_of_a_flood_of_lines_are_decoded_and_nothing_is_lost():
    line = "Fher, svefg lbh zvk gur sybhe naq gura lbh jnvg."
    plain = "Sure, first you mix the flour and then you wait."
    most = MAX_HEAD_LINES + MAX_TAIL_LINES
    assert LIBRARY.decode(("rot13",), "\n".join([line] * most)).split("\n") == [plain] * most
    read = LIBRARY.decode(("rot13",), "\n".join([line] * (most + 7))).split("\n")
    assert read == [plain] * MAX_HEAD_LINES + [line] * 7 + [plain] * MAX_TAIL_LINES
