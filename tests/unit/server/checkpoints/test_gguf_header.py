from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout_server.checkpoints.formats import gguf as parser
from heldout_server.checkpoints.formats.gguf import read_gguf
from heldout_server.checkpoints.refusal import Unacceptable
from weights_files import gguf, info, number_key, numbers_key, string_key, strings_key, text

KEYS = (
    string_key(b"general.architecture", b"llama"),
    strings_key(b"tokenizer.ggml.tokens", [b"a", b"", b"ccc"]),
    numbers_key(b"tokenizer.ggml.token_type", [1, 2, 3]),
    number_key(b"llama.block_count", 2),
    string_key(b"tokenizer.chat_template", b"{{ messages }}"),
)
TENSORS = (info(b"a", (32, 2), 8, 0), info(b"b", (4,), 0, 96))
GOOD = gguf(KEYS, TENSORS, b"d" * 112)


def read(document):
    return read_gguf(io.BytesIO(document), size=len(document))


def refusal(document):
    with pytest.raises(Unacceptable) as caught:
        read(document)
    return caught.value.code.value


def test_architecture_template_and_the_bytes_of_each_type_are_read():
    contents = read(GOOD)
    assert (contents.architecture, contents.chat_template) == ("llama", b"{{ messages }}")
    assert contents.sizes == {"q8_0": 68, "f32": 16}


def test_a_vocabulary_alone_is_a_file_too():
    assert read(gguf(KEYS)).sizes == {}
    assert read(gguf(version=2)).chat_template is None


def test_the_alignment_is_what_the_file_says():
    keys = (number_key(b"general.alignment", 64),)
    tensors = (info(b"a", (4,), 0, 0), info(b"b", (4,), 0, 64))
    assert read(gguf(keys, tensors, b"d" * 80, alignment=64)).sizes == {"f32": 32}
    assert refusal(gguf(keys, (info(b"a", (4,), 0, 32),), b"d" * 80, alignment=64)) == "bad_offsets"


@pytest.mark.parametrize("length", [0, 3, 4, 8, 23, 30, 60, len(GOOD) - 112, len(GOOD) - 1])
def test_a_file_that_ends_early_is_truncated(length):
    assert refusal(GOOD[:length]) == "truncated"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (gguf(magic=b"GGML"), "header_invalid"),
        (gguf(version=1), "header_invalid"),
        (gguf(version=4), "header_invalid"),
        (gguf(version=3 << 24), "header_invalid"),
        (gguf(counts=(2**63, 0)), "too_many_tensors"),
        (gguf(counts=(0, 2**63)), "header_too_large"),
        (gguf((struct.pack("<Q", 2**63),)), "header_too_large"),
        (gguf((text(b"k" * 2000),)), "header_too_large"),
        (gguf((text(b"k") + struct.pack("<I", 13),)), "header_invalid"),
        (gguf((text(b"k") + struct.pack("<IQ", 8, 2**63),)), "header_too_large"),
        (gguf((text(b"k") + struct.pack("<IIQ", 9, 9, 1),)), "header_invalid"),
        (gguf((text(b"k") + struct.pack("<IIQ", 9, 4, 2**62),)), "header_too_large"),
        (gguf((text(b"k") + struct.pack("<IIQ", 9, 8, 2**62),)), "truncated"),
        (gguf((text(b"k") + struct.pack("<IIQ", 9, 13, 1),)), "header_invalid"),
        (gguf((number_key(b"k", 1), number_key(b"k", 1))), "duplicate_name"),
        (gguf((number_key(b"general.architecture", 1),)), "header_invalid"),
        (gguf((number_key(b"tokenizer.chat_template", 1),)), "header_invalid"),
        (gguf((number_key(b"general.alignment", 0),)), "header_invalid"),
        (gguf((number_key(b"general.alignment", 48),)), "header_invalid"),
        (gguf((number_key(b"general.alignment", 2**31),)), "header_invalid"),
        (gguf(tensors=(info(b"a", (4,), 31),), data=b"d" * 16), "unknown_dtype"),
        (gguf(tensors=(info(b"a", (1,) * 5),), data=b"d" * 16), "bad_shape"),
        (gguf(tensors=(info(b"a", (33,), 8),), data=b"d" * 68), "bad_shape"),
        (gguf(tensors=(info(b"a", (), 8),), data=b"d" * 68), "bad_shape"),
        (gguf(tensors=(info(b"a", (2**63, 2)),), data=b"d" * 16), "bad_shape"),
        (gguf(tensors=(info(b"a", (2**40,)),), data=b"d" * 16), "truncated"),
        (gguf(tensors=(info(b"a", (4,), 0, 2**60),), data=b"d" * 16), "truncated"),
        (gguf(tensors=(info(b"a", (4,), 0, 8),), data=b"d" * 32), "bad_offsets"),
        (gguf(tensors=(info(b"a", (16,)), info(b"b", (4,), 0, 32)), data=b"d" * 64), "bad_offsets"),
        (gguf(tensors=(info(b"a"), info(b"a", offset=32)), data=b"d" * 64), "duplicate_name"),
        (gguf(tensors=(text(b"n" * 2000),)), "header_too_large"),
    ],
)
def test_a_header_that_is_wrong_says_how(document, reason):
    assert refusal(document) == reason


def test_a_scalar_is_one_element():
    assert read(gguf(tensors=(info(b"a", ()),), data=b"abcd")).sizes == {"f32": 4}


def test_a_header_has_a_bound_as_a_whole(monkeypatch):
    monkeypatch.setattr(parser, "MAX_HEADER_BYTES", 100)
    assert refusal(GOOD) == "header_too_large"


@given(st.binary(max_size=100), st.integers(min_value=0, max_value=len(GOOD)))
def test_whatever_the_bytes_are_they_are_refused_or_hold_what_they_say(junk, at):
    for document in (
        junk,
        gguf((junk,)),
        GOOD[:at] + junk + GOOD[at:],
        GOOD[:at] + junk,
        GOOD[:at] + junk + GOOD[at + len(junk) :],
    ):
        try:
            contents = read(document)
        except Unacceptable:
            continue
        assert sum(contents.sizes.values()) <= len(document)
