from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heldout.verification.entry import parse_entry
from heldout_server.audit.entry import MAX_INTEGER, MAX_LEAF_BYTES, encode_entry, intent_of
from heldout_server.domain import Role
from heldout_server.errors import InvalidRequest
from heldout_server.ports.audit import Record

WORDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=512)
DETAILS = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
    WORDS | st.integers(-MAX_INTEGER, MAX_INTEGER) | st.lists(WORDS, max_size=4).map(tuple),
    max_size=6,
)


def encode(**fields):
    return encode_entry(Record(**{"kind": "event", "name": "start", **fields}), counter=0, now_s=0.0)


def test_a_leaf_is_compact_json_with_sorted_keys():
    record = Record(
        kind="intent",
        name="/heldout.v1.BankService/GetStats",
        identity="spiffe://heldout.example/bank-tester",
        role=Role.BANK_TESTER,
        details={"rules": ("bank-reads",), "decision": "allow", "size": 3},
    )
    assert encode_entry(record, counter=7, now_s=119.9).decode() == (
        '{"counter":7,"details":{"decision":"allow","rules":["bank-reads"],"size":3},'
        '"identity":"spiffe://heldout.example/bank-tester","kind":"intent",'
        '"name":"/heldout.v1.BankService/GetStats","role":"bank_tester","time_s":60}'
    )


@pytest.mark.parametrize("kind", ["outcome", "event"])
def test_only_intents_carry_a_counter(kind):
    entry = encode_entry(Record(kind=kind, name="start"), counter=7, now_s=0.0)
    assert "counter" not in json.loads(entry)


@settings(deadline=None)
@given(details=DETAILS, now_s=st.floats(0, 2**40))
def test_what_the_server_writes_the_client_reads(details, now_s):
    record = Record(kind="intent", name="/a/B", identity="spiffe://x/y", role="trainer", details=details)
    entry = parse_entry(encode_entry(record, counter=3, now_s=now_s), index=5)
    assert (entry.index, entry.kind, entry.name, entry.identity, entry.role) == (
        5, "intent", "/a/B", "spiffe://x/y", "trainer",
    )  # fmt: skip
    assert (entry.counter, entry.details) == (3, details)
    assert entry.time_s % 60 == 0
    assert 0 <= now_s - entry.time_s < 60


@pytest.mark.parametrize(
    "value",
    [
        "two words",
        "line\nbreak",
        "tab\t",
        "caf\u00e9",
        "\u202e",
        "\ud800",
        "x" * 513,
        True,
        1.5,
        None,
        b"bytes",
        ["list"],
        {"a": 1},
        ("two words",),
        (1,),
        MAX_INTEGER + 1,
        -MAX_INTEGER - 1,
    ],
)
def test_a_detail_that_is_no_word_number_or_list_of_words_is_refused_and_not_quoted(value):
    with pytest.raises(InvalidRequest) as caught:
        encode(details={"what": value})
    assert caught.value.reason == "AUDIT_SCHEMA"
    assert str(value) not in str(caught.value)


@pytest.mark.parametrize("key", ["", "Upper", "1st", "with space", "x" * 65, 3])
def test_a_key_that_is_no_identifier_is_refused(key):
    with pytest.raises(InvalidRequest):
        encode(details={key: "x"})


@pytest.mark.parametrize(
    "fields", [{"kind": "note"}, {"name": ""}, {"name": "a b"}, {"identity": "a b"}, {"role": "a b"}, {"role": None}]
)
def test_a_record_with_a_misfit_is_refused(fields):
    with pytest.raises(InvalidRequest):
        encode(**fields)


def test_a_leaf_fits_a_uint16():
    word = "x" * 512
    room = MAX_LEAF_BYTES - len(encode(details={"a": (word,) * 127, "b": ""}))
    assert len(encode(details={"a": (word,) * 127, "b": "y" * room})) == MAX_LEAF_BYTES
    with pytest.raises(InvalidRequest) as caught:
        encode(details={"a": (word,) * 127, "b": "y" * (room + 1)})
    assert caught.value.reason == "AUDIT_RECORD_TOO_LONG"


@pytest.mark.parametrize("details", [{}, {"intent": "3"}, {"intent": -1}])
def test_an_outcome_names_its_intent(details):
    with pytest.raises(InvalidRequest):
        intent_of(Record(kind="outcome", name="/a/B", details=details))
    assert intent_of(Record(kind="outcome", name="/a/B", details={"intent": 3})) == 3
