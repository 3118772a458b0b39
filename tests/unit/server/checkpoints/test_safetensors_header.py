from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout_server.checkpoints.formats import safetensors as parser
from heldout_server.checkpoints.formats.safetensors import read_safetensors
from heldout_server.checkpoints.refusal import Unacceptable
from weights_files import safetensors, tensor

GOOD = safetensors(
    {
        "__metadata__": {"format": "pt", "note": 'with "quotes", {braces} and \\'},
        "b": tensor("F32", (1, 2), (8, 16)),
        "a": tensor("BF16", (2, 2), (0, 8)),
        "empty": tensor("F32", (0, 3), (8, 8)),
        "scalar": tensor("I64", (), (16, 24)),
    },
    b"d" * 24,
)


def read(document):
    return read_safetensors(io.BytesIO(document), size=len(document))


def refusal(document):
    with pytest.raises(Unacceptable) as caught:
        read(document)
    return caught.value.code.value


def test_the_bytes_of_each_type_are_counted():
    assert read(GOOD).sizes == {"bf16": 8, "f32": 8, "i64": 8}


@pytest.mark.parametrize("header", [b"{}", b"{ }  ", b'{"__metadata__":{}}', b'{"__metadata__":{"a":"b"}}   '])
def test_a_file_may_hold_no_tensors(header):
    assert read(safetensors(header)).sizes == {}


def test_types_of_less_than_a_byte_are_counted_in_bits():
    assert read(safetensors({"a": tensor("F4", (3, 2), (0, 3))}, b"abc")).sizes == {"f4": 3}
    assert refusal(safetensors({"a": tensor("F4", (3,), (0, 2))}, b"ab")) == "bad_offsets"


@pytest.mark.parametrize("length", [0, 7, 8, 40, len(GOOD) - 24, len(GOOD) - 1])
def test_a_file_that_ends_early_is_truncated(length):
    assert refusal(GOOD[:length]) == "truncated"


@pytest.mark.parametrize(
    ("header", "data", "reason"),
    [
        (b"", b"", "header_invalid"),
        (b"[]", b"", "header_invalid"),
        (b"\xff{}", b"", "header_invalid"),
        (b'{"a"', b"", "header_invalid"),
        (b'{"a":1}', b"", "header_invalid"),
        (b'{"a":{}}', b"", "header_invalid"),
        (b'{"a":{"dtype":"F32"} "b"', b"", "header_invalid"),
        (b"{} {}", b"", "header_invalid"),
        (b'{"__metadata__":{"a":1}}', b"", "header_invalid"),
        (b'{"__metadata__":{"a":{"b":"c"}}}', b"", "header_invalid"),
        (b'{"__metadata__":{},}', b"", "header_invalid"),
        (b'{"__metadata__":{}} x', b"", "header_invalid"),
        (b'{"\\x":{}}', b"", "header_invalid"),
        (b'{"a":{"x":' + b"[" * 1500 + b"}}", b"", "header_invalid"),
        (b'{"a":{"dtype":"F32","shape":[' + b"1," * 2000 + b'1],"data_offsets":[0,4]}}', b"abcd", "header_invalid"),
        ({"a": tensor() | {"more": 1}}, b"weights!", "header_invalid"),
        ({"a": tensor("F33")}, b"weights!", "unknown_dtype"),
        ({"a": tensor(["F32"])}, b"weights!", "unknown_dtype"),
        ({"a": tensor(shape=(-4,))}, b"weights!", "bad_shape"),
        ({"a": tensor(shape=(4.0,))}, b"weights!", "bad_shape"),
        ({"a": tensor(shape=(True, 4))}, b"weights!", "bad_shape"),
        ({"a": tensor(shape=(2**63, 0), offsets=(0, 0))}, b"", "bad_shape"),
        ({"a": tensor(shape=(1,) * 17, offsets=(0, 2))}, b"ab", "bad_shape"),
        ({"a": {"dtype": "F32", "shape": 1, "data_offsets": [0, 4]}}, b"abcd", "bad_shape"),
        ({"a": tensor(shape=(float("inf"),))}, b"weights!", "bad_shape"),
        ({"a": tensor(shape=(float("nan"),))}, b"weights!", "bad_shape"),
        (b'{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,4]}}', b"abcd", "bad_shape"),
        ({"a": tensor(offsets=(8, 0))}, b"weights!", "bad_offsets"),
        ({"a": tensor(offsets=(0, 8, 8))}, b"weights!", "bad_offsets"),
        ({"a": tensor(offsets=(-8, 0))}, b"weights!", "bad_offsets"),
        ({"a": tensor(offsets=(0, 6))}, b"weight", "bad_offsets"),
        ({"a": tensor(), "b": tensor()}, b"weights!", "bad_offsets"),
        ({"a": tensor(), "b": tensor(offsets=(4, 12))}, b"weights!weig", "bad_offsets"),
        ({"a": tensor(offsets=(8, 16))}, b"weights!weights!", "bad_offsets"),
        ({"a": tensor()}, b"weights! and more", "bad_offsets"),
        ({"a": tensor(offsets=(0, 2**40), shape=(2**39,))}, b"weights!", "truncated"),
    ],
)
def test_a_header_that_is_wrong_says_how(header, data, reason):
    assert refusal(safetensors(header, data)) == reason


def test_a_name_may_stand_once():
    body = json.dumps(tensor())
    assert refusal(safetensors(f'{{"a":{body},"\\u0061":{body}}}'.encode(), b"weights!")) == "duplicate_name"
    assert refusal(safetensors(b'{"__metadata__":{},"__metadata__":{}}')) == "duplicate_name"
    twice = body.replace("{", '{"dtype":"F32",')
    assert refusal(safetensors(f'{{"a":{twice}}}'.encode(), b"weights!")) == "header_invalid"


def test_a_header_has_a_bound_on_its_length_and_on_its_tensors(monkeypatch):
    assert refusal((2**63).to_bytes(8, "little") + b"{}") == "header_too_large"
    monkeypatch.setattr(parser, "MAX_TENSORS", 3)
    assert refusal(GOOD) == "too_many_tensors"


@given(st.binary(max_size=200), st.integers(min_value=0, max_value=len(GOOD)))
def test_whatever_the_bytes_are_they_are_refused_or_hold_what_they_say(junk, at):
    for document in (junk, safetensors(junk), GOOD[:at] + junk + GOOD[at:], GOOD[:at] + junk):
        try:
            contents = read(document)
        except Unacceptable:
            continue
        assert sum(contents.sizes.values()) <= len(document)
