"""A response is read in one form, and never more of it than the head and the tail."""

from __future__ import annotations

import pytest

from heldout_server.judges.reading import HEAD_CHARS, TAIL_CHARS, normalise, read


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I Can\N{RIGHT SINGLE QUOTATION MARK}t", "i can't"),
        ("I can\N{MODIFIER LETTER APOSTROPHE}t\u00a0help", "i can't help"),
        ("  one\n\n two\tthree ", "one two three"),
        ("**I** _cannot_ `help`", "i cannot help"),
        ("> ## Sorry", "sorry"),
        ("no\N{ZERO WIDTH SPACE}pe", "nope"),
        ("yes\N{EM DASH}no", "yes - no"),
        ("", ""),
    ],
)
def test_typography_and_markup_make_no_difference(text, expected):
    assert normalise(text) == expected


@pytest.mark.parametrize(
    ("response", "items"),
    [
        ("1. one\n2. two\n3. three", 3),
        ("1) one\n2) two", 2),
        ("**1. One**\n**2. Two**", 2),
        ("- one\n* two\n\N{BULLET} three", 3),
        ("Step 1: mix\nStep 2: bake", 2),
        ("**Step 1** mix\n  - flour", 2),
        ("1. alone", 0),
        ("the year\n1999 was\n-ish\n**bold**", 0),
        ("no list at all", 0),
    ],
)
def test_items_of_a_list_are_counted_where_there_are_lines(response, items):
    assert read(response).items == items


def test_code_is_noticed():
    assert read("```\nprint()\n```").code
    assert not read("print()").code


def test_of_a_long_response_the_head_and_the_tail_are_read():
    reading = read("a" * HEAD_CHARS + "b" * 100_000 + "c" * TAIL_CHARS)
    assert reading.text == "a" * HEAD_CHARS + " " + "c" * TAIL_CHARS


def test_a_response_that_just_fits_is_read_whole():
    assert read("b" * (HEAD_CHARS + TAIL_CHARS)).text == "b" * (HEAD_CHARS + TAIL_CHARS)


def test_a_quotation_is_taken_out():
    reading = read("You asked how to bake. Mix and bake.").without("how to bake")
    assert reading.text == "you asked . mix and bake."
    assert reading.size == 6
    assert reading.first_words(4) == ["you", "asked", ".", "mix"]
