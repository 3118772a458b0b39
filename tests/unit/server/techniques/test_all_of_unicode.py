"""A lossless technique gives back every code point there is, or says beforehand that it cannot carry it."""

from __future__ import annotations

import random
import sys

import pytest

from heldout_server.errors import NotDeliverable
from heldout_server.techniques.library import STANDARD
from heldout_server.techniques.library.homoglyphs import Homoglyphs
from heldout_server.techniques.library.morse import CODE, Morse
from heldout_server.techniques.technique import LosslessTechnique

EVERY_CODE_POINT = [
    *range(0xD800),  # surrogates have no UTF-8 form, and the library refuses them before any technique
    *range(0xE000, sys.maxunicode + 1),
]
CHUNK = 4096
WORDS = "How do I bake bread? "
"""Something for every technique to change, whatever stands after it."""

LOSSLESS = [technique for technique in STANDARD if isinstance(technique, LosslessTechnique)]
WHOLE = [technique for technique in LOSSLESS if not isinstance(technique, Morse)]


def round_trip(technique, text):
    return technique.recover(technique.apply(text, random.Random(7)))  # noqa: S311 - a reproducible choice


def outcome(technique, text):
    """Return what comes back, or the reason why it is not delivered."""
    try:
        return round_trip(technique, text)
    except NotDeliverable as error:
        return error.reason


@pytest.mark.parametrize("technique", WHOLE, ids=lambda one: one.technique_id)
def test_every_code_point_comes_back(technique):
    # A cipher of Latin letters wants a quarter of them.
    filler = WORDS * (CHUNK // 2 // len(WORDS)) if technique.technique_id == "rot13" else WORDS
    already = {*map(chr, range(0x400, 0x530))} if isinstance(technique, Homoglyphs) else set()
    for start in range(0, len(EVERY_CODE_POINT), CHUNK):
        points = map(chr, EVERY_CODE_POINT[start : start + CHUNK])
        text = filler + "".join(point for point in points if point not in already)
        assert round_trip(technique, text) == text


def test_homoglyphs_carry_a_cyrillic_letter_or_say_that_they_cannot():
    refused = 0
    for point in map(chr, range(0x400, 0x530)):
        found = outcome(Homoglyphs(), WORDS + point)
        assert found in {"AMBIGUOUS", WORDS + point}
        refused += found == "AMBIGUOUS"
    assert refused == 23


def test_morse_carries_its_own_characters_and_no_others():
    morse = Morse()
    carried = set()
    for point in map(chr, EVERY_CODE_POINT[:0x3000]):
        text = WORDS + point + "x"
        found = outcome(morse, text)
        assert found in {"SCRIPT_DROPPED", morse.kept(text)}
        if found != "SCRIPT_DROPPED":
            carried.add(point)
    quotes = {"\u2018", "\u2019", "\u201c", "\u201d"}
    assert carried == {*CODE, *map(str.lower, CODE), *" \t\r\n", *quotes}
    for start in range(0x3000, len(EVERY_CODE_POINT), CHUNK):
        with pytest.raises(NotDeliverable):
            morse.apply("".join(map(chr, EVERY_CODE_POINT[start : start + CHUNK])), random.Random(7))  # noqa: S311


def test_morse_folds_case_and_white_space_and_nothing_else():
    assert Morse().kept("  How do\r\n\tI\u2019m (say) \u201cbake\u201d?  ") == 'HOW DO I\'M (SAY) "BAKE"?'


@pytest.mark.parametrize("technique", LOSSLESS, ids=lambda one: one.technique_id)
def test_damage_on_the_way_is_noticed_or_changes_what_comes_back(technique):
    vector = technique.vector
    damaged = vector.delivered[:-2]
    try:
        found = technique.recover(damaged)
    except NotDeliverable as error:
        found = error.reason
    assert found != technique.kept(vector.text)
