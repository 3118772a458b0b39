from __future__ import annotations

import json

import pytest

from heldout.errors import VerificationError
from heldout.verification.entry import parse_entry

FIELDS = {
    "counter": 3,
    "details": {"decision": "allow", "number": 7, "rules": ["one", "two"]},
    "identity": "spiffe://heldout.example/trainer",
    "kind": "intent",
    "name": "/heldout.v1.FindingsService/GetRelease",
    "role": "trainer",
    "time_s": 120,
}


def encode(fields):
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def without(key):
    return {name: value for name, value in FIELDS.items() if name != key}


def test_an_intent_reads_as_it_was_written():
    entry = parse_entry(encode(FIELDS), index=9)
    assert (entry.index, entry.kind, entry.counter, entry.time_s, entry.role) == (9, "intent", 3, 120, "trainer")
    assert entry.details == {"decision": "allow", "number": 7, "rules": ("one", "two")}
    assert (entry.name, entry.identity) == (FIELDS["name"], FIELDS["identity"])


@pytest.mark.parametrize("kind", ["outcome", "event"])
def test_other_kinds_have_no_counter(kind):
    assert parse_entry(encode(without("counter") | {"kind": kind}), index=0).counter == 0


@pytest.mark.parametrize(
    "fields",
    [
        *(without(key) for key in FIELDS),
        FIELDS | {"more": 1},
        FIELDS | {"kind": "event"},
        FIELDS | {"kind": "event", "counter": None},
        FIELDS | {"kind": "outcome", "counter": 0},
        without("counter") | {"kind": "note"},
        FIELDS | {"kind": 3},
        FIELDS | {"kind": ["intent"]},
        FIELDS | {"counter": "3"},
        FIELDS | {"counter": True},
        FIELDS | {"counter": 3.0},
        FIELDS | {"name": 3},
        FIELDS | {"role": None},
        FIELDS | {"identity": ["x"]},
        FIELDS | {"time_s": "120"},
        FIELDS | {"time_s": 120.0},
        FIELDS | {"details": []},
        *(FIELDS | {"details": {"x": value}} for value in (None, True, 1.5, {}, [1], [[]], ["a", None])),
        [],
        "text",
        3,
        None,
    ],
)
def test_an_entry_of_another_shape_is_refused(fields):
    with pytest.raises(VerificationError):
        parse_entry(encode(fields), index=0)


@pytest.mark.parametrize(
    "leaf",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        json.dumps(FIELDS).encode(),
        json.dumps(FIELDS, sort_keys=True, separators=(",", ":")).encode() + b"\n",
        json.dumps(dict(reversed(FIELDS.items())), separators=(",", ":")).encode(),
        encode(FIELDS).replace(b'"counter":3,', b'"counter":2,"counter":3,'),
        encode(FIELDS).replace(b"trainer", b"tr\\u0061iner"),
        encode(FIELDS).replace(b"trainer", b"tr\\ud800iner"),
        encode(FIELDS).replace(b"120", b"-0"),
        encode(FIELDS).replace(b"120", b"1" * 5000),
        encode(FIELDS).decode().encode("utf-16"),
    ],
)
def test_an_entry_in_another_form_is_refused(leaf):
    with pytest.raises(VerificationError):
        parse_entry(leaf, index=0)
