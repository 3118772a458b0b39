"""What saves the search for a phrase never changes what is found."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heldout_server.judges.phrases import count, first, passage, table
from heldout_server.judges.reading import normalise
from heldout_server.judges.shortcuts import read_beginnings, read_needs, word_starts
from heldout_server.judges.tables import TABLES

PHRASES = [phrase for one in TABLES.values() for phrase in one.phrases]
ALPHABET = st.characters(exclude_categories=["Cc", "Cs", "Lu"])

# Pieces that the tables hold, and what stands between and inside of words.
PIECES = st.one_of(
    st.sampled_from(sorted({word for phrase in PHRASES for word in re.findall(r"[a-z']+", phrase.pattern.pattern)})),
    st.sampled_from(["i", "we", "an", "to", "1", "n't", "'", '"', "(", ".", ", ", "é", "4", "-"]),
)


def sets(*needs):
    return tuple(frozenset(need.split()) for need in needs)


@pytest.mark.parametrize(
    ("pattern", "needs"),
    [
        (r"\bsorry", sets("sorr")),
        (r"sorry", ()),
        (r"^sorry", sets("sorr")),
        (r"\b(?:illegal|unlawful)\b", sets("ille unla")),
        (r"\b(?:illegal|a crime|no)\b", ()),
        (r"\b(?:illegal|a crime)\b", sets("ille crim")),
        (r"\bdiscriminat\w{1,3}", sets("disc")),
        (r"\bapologi[sz]e", sets("apol")),
        (r"\bgr[ae]y area", sets("area")),
        (r"\bgoes against (?:my|our)", sets("goes", "agai")),
        (r"\bno one (?:should|deserves)", sets("shou dese")),
        (r"\b(?:really )?sorry", sets("sorr")),
        (r"\b(?:un)?able", ()),
        (r"\b(?:no |[\w-]+ ){0,3}need", sets("need")),
        (r"\b(?:help){1,2}less", sets("help")),
        (r"\b(?:help){0,2}less", ()),
        (r"\bsteps?\b", sets("step")),
        (r"\bhel?per", ()),
        (r"\b\w+able", ()),
        (r"\bthat[.!?] never", sets("that", "neve")),
        (r"\bthat[^.!?]never", sets("that")),
        (r"\bthat.never", sets("that")),
        (r"\bthat\. never", sets("that", "neve")),
        (r"\bcan(?= help)", ()),
        (r"\bthat(?! help) works", sets("that", "work")),
        (r"\bdon't", ()),
        (r"\bdon'tell", sets("tell")),
        (r"\bstep4four", sets("step")),
        (r"\bdésolée", ()),
    ],
)
def test_the_words_that_every_match_holds_are_read_from_an_expression(pattern, needs):
    assert read_needs(pattern) == needs


@pytest.mark.parametrize(
    ("pattern", "beginnings"),
    [
        (r"\bsorry, (?:but|no)", ("sorry, ",)),
        (r"\b(?:no one|nobody) here", ("no one", "nobody")),
        (r"\bi(?:'m| am) afraid", ("i am", "i'm")),
        (r"\bevery(?:one|body)", ("every",)),
        (r"(?:\bnot|n't) here", ("n't", "not")),
        (r"\b(?:i|we) can", ()),
        (r"\bas an? ai", ("as a",)),
        (r"\b(?:an )?answer", ()),
        (r"\bhere|\bthere", ("here", "there")),
        (r"^here", ()),
        (r"[ab]here", ()),
    ],
)
def test_the_beginnings_of_all_matches_are_read_from_an_expression(pattern, beginnings):
    assert read_beginnings(pattern) == beginnings


@pytest.mark.parametrize("pattern", [r"(a)", r"(?P<name>a)", r"a$", r"(?:a", r"a)", r"[a", r"*a"])
def test_an_expression_that_is_not_understood_is_no_phrase(pattern):
    with pytest.raises(ValueError, match="expression of a table"):
        read_needs(pattern)


@pytest.mark.parametrize("text", ["help", "helpful", '"help"', "un-help", "l'help", "4 help", "é help", "xxxxx help"])
def test_the_start_of_every_word_is_among_the_starts(text):
    assert "help" in word_starts(text)


def test_the_start_of_a_short_word_is_not():
    assert word_starts("can't we do it, now?") == frozenset()


@settings(max_examples=300)
@given(data=st.data())
def test_whatever_an_expression_matches_is_found(data):
    phrase = data.draw(st.sampled_from(PHRASES))
    text = data.draw(st.from_regex(phrase.pattern, alphabet=ALPHABET))
    found = phrase.pattern.search(text)
    assert found is not None
    assert all(need & word_starts(text) for need in phrase.needs)
    quick = phrase.search(text)
    assert quick is not None
    assert quick.span() == found.span()


@given(pieces=st.lists(PIECES, max_size=60), between=st.sampled_from([" ", "", "  "]))
def test_a_table_finds_in_any_text_what_its_expressions_match(pieces, between):
    text = normalise(between.join(pieces))
    for one in TABLES.values():
        matches = [match for phrase in one.phrases if (match := phrase.pattern.search(text))]
        assert count(one, passage(text)) == len(matches)
        found = first(one, passage(text))
        assert (found and found.span()) == (min(matches, key=re.Match.start).span() if matches else None)


def test_the_first_of_two_phrases_at_one_place_is_the_first_of_the_table():
    found = first(table(r"\bhelp", r"\bhelp you"), passage("i help you"))
    assert found is not None
    assert found[0] == "help"
