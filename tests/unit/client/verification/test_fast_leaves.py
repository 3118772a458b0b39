"""The fast reading of a leaf takes nothing that the strict one refuses, and reads alike what both take."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from heldout.errors import VerificationError
from heldout.verification import leaf_fields
from heldout.verification.entry import parse_entry
from heldout.verification.leaf_fields import MOST_DETAILS, read_fields

WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=0x17F), max_size=12)
VALUES = st.one_of(WORDS, st.integers(-(2**60), 2**60), st.lists(WORDS, max_size=3))
KEYS = st.sampled_from(["counter", "decision", "intent", "policy_digest", "rules", "status", "a", "b2", "é", 'q"'])
ENTRIES = st.fixed_dictionaries(
    {
        "details": st.dictionaries(KEYS, VALUES, max_size=MOST_DETAILS + 2),
        "identity": WORDS,
        "kind": st.sampled_from(["intent", "outcome", "event", "other"]),
        "name": WORDS,
        "role": WORDS,
        "time_s": st.integers(-100, 2**40),
    },
    optional={"counter": st.integers(-5, 2**40)},
)


def encode(fields):
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def outcome_of(read, leaf):
    try:
        return read(leaf)
    except VerificationError as error:
        return str(error)


def slowly(leaf):
    return leaf_fields._slowly(parse_entry(leaf, index=7))


@given(ENTRIES)
def test_both_readings_agree_on_every_entry(fields):
    leaf = encode(fields)
    assert outcome_of(lambda each: read_fields(each, 7), leaf) == outcome_of(slowly, leaf)


INTENT = encode(
    {
        "counter": 3,
        "details": {"decision": "allow", "policy_digest": "d", "rules": ["r"]},
        "identity": "i", "kind": "intent", "name": "n", "role": "r", "time_s": 60,
    }
)  # fmt: skip


@given(st.integers(0, len(INTENT) - 1), st.integers(0, 255))
@example(INTENT.index(b"3"), ord("0"))
@example(INTENT.index(b"3"), ord("-"))
def test_both_readings_agree_on_an_entry_with_any_byte_changed(place, byte):
    leaf = INTENT[:place] + bytes([byte]) + INTENT[place + 1 :]
    assert outcome_of(lambda each: read_fields(each, 7), leaf) == outcome_of(slowly, leaf)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"counter":3,', b""),
        (b'"counter":3,', b'"counter":03,'),
        (b'"counter":3,', b'"counter":3,"counter":3,'),
        (b'"decision":"allow",', b'"decision":"allow","decision":"allow",'),
        (b'"decision":"allow","policy_digest":"d"', b'"policy_digest":"d","decision":"allow"'),
        (b'{"decision"', b'{,"decision"'),
        (b'["r"]', b'["r",]'),
        (b'["r"]', b'[["r"]]'),
        (b'"intent"', b'"event"'),
        (b"allow", b"al\\u006cow"),
        (b"allow", b"al\nlow"),
        (b"}", b"}\n"),
    ],
)
def test_another_form_is_refused_by_both(old, new):
    leaf = INTENT.replace(old, new)
    assert leaf != INTENT
    with pytest.raises(VerificationError):
        read_fields(leaf, 7)


def test_what_the_appliance_writes_is_read_fast(monkeypatch):
    monkeypatch.setattr(leaf_fields, "parse_entry", None)
    assert read_fields(INTENT, 7).call.counter == 3
