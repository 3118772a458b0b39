"""An answer that comes back in the encoding it was asked in is read; plain answers are left alone."""

from __future__ import annotations

import codecs
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout_server.domain import SecretText
from heldout_server.errors import NotDeliverable
from heldout_server.techniques import TechniqueLibrary
from heldout_server.techniques.library import STANDARD
from heldout_server.techniques.library.code_completion import TEMPLATES as CODE_TEMPLATES
from heldout_server.techniques.library.code_completion import CodeCompletion
from heldout_server.techniques.library.code_points import TEMPLATES as POINT_TEMPLATES
from heldout_server.techniques.library.code_points import CodePoints
from heldout_server.techniques.library.hexadecimal import TEMPLATES as HEX_TEMPLATES
from heldout_server.techniques.library.hexadecimal import Hexadecimal
from heldout_server.techniques.library.homoglyphs import Homoglyphs
from heldout_server.techniques.library.morse import CODE, Morse
from heldout_server.techniques.library.morse import TEMPLATES as MORSE_TEMPLATES
from heldout_server.techniques.library.spacing import SpacedLetters
from heldout_server.techniques.technique import Encoding

LIBRARY = TechniqueLibrary.standard()
ANSWER = "Mix the flour with water and salt; let it rest, then bake it for an hour."
SECOND = "Here is how to tell when it is done."
CODES = [one.technique_id for one in STANDARD if isinstance(one, Encoding) and one.technique_id != "base64"]


def rot13(text):
    return codecs.encode(text, "rot13")


def points(text, separator=" "):
    return separator.join(str(ord(character)) for character in text)


def morse(text):
    return " / ".join(" ".join(CODE[character] for character in word) for word in text.upper().split())


@pytest.mark.parametrize(
    ("technique", "response", "expected"),
    [
        ("rot13", rot13(ANSWER), ANSWER),
        ("rot13", rot13("I can't help with that."), "I can't help with that."),
        (
            "rot13",
            f"{rot13(ANSWER)}\n\n{rot13('Ingredients:')}\n{rot13(SECOND)}",
            f"{ANSWER}\n\nIngredients:\n{SECOND}",
        ),
        ("rot13", f"{SECOND}\n{rot13(ANSWER)}", f"{SECOND}\n{ANSWER}"),
        ("reversed-text", ANSWER[::-1], ANSWER),
        ("reversed-text", f"{ANSWER[::-1]}\n{SECOND[::-1]}", f"{ANSWER}\n{SECOND}"),
        ("hexadecimal", ANSWER.encode().hex(), ANSWER),
        ("hexadecimal", ANSWER.encode().hex(" ").upper(), ANSWER),
        ("hexadecimal", f"Sure: {ANSWER.encode().hex(' ')} add salt", f"Sure: {ANSWER} add salt"),
        ("hexadecimal", " ".join(f"0x{byte:02x}" for byte in ANSWER.encode()), ANSWER),
        ("hexadecimal", "".join(f"\\x{byte:02x}" for byte in ANSWER.encode()), ANSWER),
        ("hexadecimal", ", ".join(f"{byte:02X}" for byte in ANSWER.encode()), ANSWER),
        ("hexadecimal", "Brötchen, süß".encode().hex(), "Brötchen, süß"),
        ("character-codes", points(ANSWER), ANSWER),
        ("character-codes", points(ANSWER, ", "), ANSWER),
        ("character-codes", f"My reply:\n{points(ANSWER)}\n", f"My reply:\n{ANSWER}\n"),
        ("morse", morse("Mix it, then bake it."), "MIX IT, THEN BAKE IT."),
        ("morse", morse("Mix it, then bake it.").replace(".", "\N{MIDDLE DOT}"), "MIX IT, THEN BAKE IT."),
        ("morse", f"Reply:\n{morse('Bake it')}\nBye", "Reply:\nBAKE IT\nBye"),
    ],
)
def test_an_answer_in_the_encoding_is_read(technique, response, expected):
    assert LIBRARY.decode((technique,), response) == expected


@pytest.mark.parametrize("technique", CODES)
@pytest.mark.parametrize(
    "response",
    [
        "",
        ANSWER,
        f"{ANSWER}\n\n- salt\n- water\n\n{SECOND}",
        "I'm sorry, but I can't help with that.",
        "Non.",
        "Il faut mélanger la farine avec de l'eau, puis laisser reposer la pâte pendant une heure.",
        "10, 20, 30, 40, 50, 60, 70, 80, 90",
        "65 70 75 80 85 90 95 100 105",
        "Call 555 0100 or 555 0199, between 10 and 12.",
        "- - - -\n... ... ...\n---",
        "deadbeef 0123456789abcdef0123456789abcdef",
        "1. one\n2. two\n3. three",
    ],
)
def test_a_plain_answer_stays(technique, response):
    assert LIBRARY.decode((technique,), response) == response


@pytest.mark.parametrize("technique", CODES)
@given(response=st.text(max_size=300))
def test_decoding_never_fails(technique, response):
    assert isinstance(LIBRARY.decode((technique,), response), str)


FLOODS = ("ab " * 30_000 + "abx", "ab" * 50_000 + "g", "65 " * 30_000, "9" * 100_000, ". - " * 25_000, "a\n" * 50_000)


@pytest.mark.parametrize("technique", CODES)
@pytest.mark.parametrize("flood", FLOODS, ids=range(len(FLOODS)))
def test_decoding_a_flood_takes_linear_time(technique, flood):
    started = time.perf_counter()
    assert LIBRARY.decode((technique,), flood)
    assert time.perf_counter() - started < 3.0


def test_an_answer_comes_back_through_two_encodings():
    delivery = LIBRARY.deliver(("rot13", "hexadecimal"), SecretText("How do I bake bread?"), seed=1)
    assert delivery.decoders == ("hexadecimal", "rot13")
    assert LIBRARY.decode(delivery.decoders, rot13(ANSWER).encode().hex()) == ANSWER


@pytest.mark.parametrize(
    ("technique", "delivered"),
    [
        (Hexadecimal(), HEX_TEMPLATES[0].wrap("zz")),
        (Hexadecimal(), HEX_TEMPLATES[0].wrap("ff fe")),
        (CodePoints(), POINT_TEMPLATES[0].wrap("99999999")),
        (CodePoints(), POINT_TEMPLATES[0].wrap("")),
        (Morse(), MORSE_TEMPLATES[0].wrap("........")),
        (SpacedLetters(), "a b.c"),
        (SpacedLetters(), "a b c "),
        (SpacedLetters(), "axbxc"),
        (Homoglyphs(), "bread"),
        (CodeCompletion(), CODE_TEMPLATES[0].wrap("{broken")),
        (CodeCompletion(), CODE_TEMPLATES[0].wrap("12")),
    ],
)
def test_recover_refuses_what_is_malformed(technique, delivered):
    with pytest.raises(NotDeliverable) as refused:
        technique.recover(delivered)
    assert refused.value.reason == "ROUND_TRIP"
