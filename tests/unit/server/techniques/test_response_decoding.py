"""An answer in Base64 is read; one that only looks a little like it is left alone."""

from __future__ import annotations

import base64
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout_server.errors import InvalidRequest
from heldout_server.techniques import TechniqueLibrary

LIBRARY = TechniqueLibrary.standard()
ANSWER = "Mix flour, water and salt; let the dough rest; bake it for forty minutes."
ENCODED = base64.b64encode(ANSWER.encode()).decode()


def decode(response):
    return LIBRARY.decode(("base64",), response)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (ENCODED, ANSWER),
        (f"  {ENCODED}\n", f"{ANSWER}\n"),
        (ENCODED.rstrip("="), ANSWER),
        ("\n".join(textwrap.wrap(ENCODED, 40)), ANSWER),
        (f"Here is the reply in Base64:\n\n{ENCODED}\n\nEnjoy!", f"Here is the reply in Base64:\n\n{ANSWER}\n\nEnjoy!"),
        (f"```\n{ENCODED}\n```", f"```\n{ANSWER}\n```"),
        (f"Answer: {ENCODED}.", f"Answer: {ANSWER}."),
        (f"{ENCODED}\n\n{ENCODED}", f"{ANSWER}\n\n{ANSWER}"),
        (base64.urlsafe_b64encode("Brot? Öfen??>>".encode()).decode(), "Brot? Öfen??>>"),
        (base64.b64encode(b"Erst mischen,\ndann backen.").decode(), "Erst mischen,\ndann backen."),
    ],
)
def test_base64_is_read(response, expected):
    assert decode(response) == expected


@pytest.mark.parametrize(
    "response",
    [
        "",
        "Mix flour and water.",
        "password",
        "internationalization",
        "Yes\nNo\nPerhaps",
        "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
        base64.b64encode(bytes(range(200))).decode(),
        base64.b64encode(b"short").decode(),
        "A" * 29,
        "https://example.org/a/path/that/is/rather/long/and/goes/on/for/a/while",
        "I cannot decode that.",
    ],
)
def test_what_is_no_base64_of_text_stays(response):
    assert decode(response) == response


def test_lines_that_are_each_encoded_are_read_one_by_one():
    lines = ["Mix flour and water well.", "Let it rest for an hour."]
    encoded = "\n".join(base64.b64encode(line.encode()).decode() for line in lines) + "\nunencodedword"
    assert decode(encoded) == "\n".join([*lines, "unencodedword"])


def test_without_a_decoder_nothing_is_read():
    assert LIBRARY.decode((), ENCODED) == ENCODED


def test_only_an_encoding_decodes():
    with pytest.raises(InvalidRequest) as refused:
        LIBRARY.decode(("fiction",), ENCODED)
    assert refused.value.reason == "NO_ENCODING"


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=9))
def test_any_printable_text_comes_back(text):
    assert decode(base64.b64encode(text.encode()).decode()) == text


@given(st.text(max_size=500))
def test_decoding_never_fails(response):
    assert isinstance(decode(response), str)


def test_decoding_a_flood_takes_linear_time():
    flood = "A" * 100_000 + "!" + "QUJD\n" * 20_000
    assert decode(flood)
