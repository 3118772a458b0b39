"""How pages are laid out and figures written."""

import pytest
from client_fakes import make_release
from hypothesis import given
from hypothesis import strategies as st

from heldout.cli.screens import figures
from heldout.cli.screens.page import WIDTH, clean, columns_of, fill, join_parts, lay_out, shorten
from heldout.findings import compare_releases
from heldout.findings.intervals import Interval

# Layout


def test_columns_line_up_and_headings_set_no_width():
    rows = [["a", "bb", "c"], ["a heading that is longer than the columns"], ["dddd", "e", "ff"]]
    assert lay_out(rows, "<><") == [
        "a     bb  c",
        "a heading that is longer than the columns",
        "dddd   e  ff",
    ]
    assert lay_out([], "<") == []


def test_the_flexible_column_gives_way():
    lines = lay_out([["x" * 100, "1"], ["y", "2"]], "<>")
    assert [columns_of(line) for line in lines] == [80, 20, 80, 80]
    assert "".join(lines[:2]) == "x" * 100


@given(st.text(max_size=200), st.integers(1, 100))
def test_shortening_never_makes_longer(text, width):
    assert len(shorten(text, width)) <= max(width, 1) or columns_of(text) <= width


@given(st.text(max_size=300))
def test_nothing_can_steer_the_terminal(text):
    shown = clean(text)
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert clean(shown) == shown


def test_escapes_are_made_visible():
    assert clean("\x1b[2J\u202eabc\r") == "\\u001b[2J\\u202eabc\\u000d"


@given(st.text(max_size=400), st.sampled_from(["", "  ", "    "]))
def test_paragraphs_fit_and_lose_nothing(text, indent):
    lines = fill(text, indent=indent)
    assert all(columns_of(line) <= WIDTH for line in lines)
    assert "".join("".join(lines).split()) == "".join(clean(text).split())


def test_wide_characters_count_twice():
    assert columns_of("漢字e\u0301") == 5
    assert all(columns_of(line) <= WIDTH for line in fill("漢字" * 60))


def test_statements_are_joined_while_they_fit():
    assert join_parts(["a", "", "b"]) == ["a · b"]
    assert join_parts(["a" * 50, "b" * 40]) == ["a" * 50, "b" * 40]
    assert columns_of(join_parts(["a" * 100])[0]) == WIDTH


# Figures


def test_figures_are_clamped_for_display_and_changes_are_not():
    assert figures.rate(-0.02) == "0.0"
    assert figures.rate(1.3) == "100.0"
    assert figures.interval(Interval(-0.04, 0.08)) == "[0, 8]"
    assert figures.interval(Interval(0.04, 0.05)) == "[4.0, 5.0]"
    assert figures.signed(-0.104) == "\u221210.4"
    assert figures.published(-0.104) == "\u221210.4"
    assert [figures.published(value) for value in (-0.0004, 0.0, 1.3)] == ["0.0", "0.0", "130.0"]
    assert figures.published(-0.104, lower_bound=True) == "\u22650.0"


@pytest.mark.parametrize(("p", "said"), [(0.0001, "p < 0.001"), (0.002, "p = 0.002"), (0.41, "p = 0.41")])
def test_p_values(p, said):
    assert figures.p_value(p) == said


def test_an_end_near_zero_does_not_look_like_zero():
    comparison = compare_releases(make_release("v1", {"plain": 0.3}), make_release("v2", {"plain": 0.378}, number=2))
    change = comparison.overall
    assert change is not None
    assert "[+0," not in figures.change(change)
