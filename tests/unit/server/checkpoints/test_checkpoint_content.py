from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout_server.checkpoints import manifest
from heldout_server.checkpoints.content import verify_head, verify_name
from heldout_server.checkpoints.manifest import parse_manifest
from heldout_server.checkpoints.refusal import Unacceptable

MANIFEST = 'name = "nova-1"\nline = "nova"\nruntime = "scripted"\n'


def refusal(check, *arguments):
    with pytest.raises(Unacceptable) as caught:
        check(*arguments)
    return caught.value.code.value


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("model.pt", "pickle_name"),
        ("deep/er/pytorch_model.BIN", "pickle_name"),
        ("a.tar.pkl", "pickle_name"),
        ("a.pickle", "pickle_name"),
        ("a.ckpt", "pickle_name"),
        ("a.joblib", "pickle_name"),
        ("modeling_nova.py", "code"),
        ("kernel.so", "code"),
        ("weights.npz", "archive"),
        ("weights.zip", "archive"),
    ],
)
def test_a_suffix_can_refuse_a_file(path, reason):
    assert refusal(verify_name, path) == reason


@pytest.mark.parametrize(
    "path", ["model.safetensors", "model.gguf", "config.json", "tokenizer.model", "README", "py", ".py"]
)
def test_other_names_come_in(path):
    verify_name(path)


@given(st.integers(min_value=2, max_value=5), st.text() | st.dictionaries(st.text(), st.integers()))
def test_a_pickle_is_known_whatever_it_is_called(protocol, value):
    assert refusal(verify_head, "weights", pickle.dumps(value, protocol)) == "pickle"


@pytest.mark.parametrize(
    ("head", "reason"),
    [(b"\x7fELF\x02", "code"), (b"#!/bin/sh", "code"), (b"PK\x03\x04", "archive"), (b"\x1f\x8b", "archive")],
)
def test_code_and_archives_are_known_by_how_they_start(head, reason):
    assert refusal(verify_head, "weights", head) == reason


def test_a_safetensors_header_whose_length_looks_like_a_pickle_is_none():
    head = (0x0280).to_bytes(8, "little") + b'{"a"'
    verify_head("model.safetensors", head)
    assert refusal(verify_head, "model.other", head) == "pickle"


def test_a_pickle_that_is_called_safetensors_is_still_one():
    assert refusal(verify_head, "model.safetensors", pickle.dumps([1], 2)) == "pickle"


@pytest.mark.parametrize("head", [b"", b"\x80", b"\x80\x06", b"GGUF\x03", b"{}"])
def test_other_starts_come_in(head):
    verify_head("weights", head)


def test_a_manifest_says_name_line_runtime_and_files():
    said = parse_manifest(f'{MANIFEST}[files]\n"a/b" = "{"0" * 64}"'.encode())
    assert (said.name, said.line, said.runtime) == ("nova-1", "nova", "scripted")
    assert said.files == {"a/b": "0" * 64}
    assert parse_manifest(MANIFEST.encode()).files is None


@pytest.mark.parametrize(
    "document",
    [
        "",
        "name",
        MANIFEST.replace("nova-1", "Nova 1"),
        MANIFEST.replace('"nova"', '"../nova"'),
        MANIFEST.replace('"nova"', '""'),
        MANIFEST.replace('"scripted"', "1"),
        MANIFEST.replace("runtime", "engine"),
        MANIFEST + "trust_remote_code = true",
        MANIFEST + 'files = ["a"]',
        MANIFEST + '[files]\na = "00"',
        MANIFEST + "[files]\na = 1",
        MANIFEST + "x = " + "[" * 10_000,
        MANIFEST + "x = " + "[\n" * 10_000,
        ('"' + '\\"' * 500 + "\n") * 65,
        "\n".join(f"[a.b.c.d{n}]" for n in range(4000)),
    ],
)
def test_what_is_no_manifest_is_refused(document):
    assert refusal(parse_manifest, document.encode()) == "manifest_invalid"


def test_a_manifest_that_is_not_utf8_is_refused():
    assert refusal(parse_manifest, b"\xff\xfe") == "manifest_invalid"


@pytest.mark.parametrize(
    "document",
    [
        "a." * 1_500_000 + "b = 1",
        "a." * 20_000 + "b = 1",
        MANIFEST + "a." * 500 + "b = 1",
        MANIFEST + "[" + "a." * 500 + "b]",
        MANIFEST + "a.b.c.d.e = 1",
        MANIFEST + "\"a\" . b . 'c' . d . e = 1",
        MANIFEST + "x = [{a.b.c = {d.e.f = 1}}]",
        MANIFEST + "x = " + "{a = " * 5 + "1" + "}" * 5,
        MANIFEST + 'x = ["""a"\n\'""",{a.b.c.d.e = 1}] #\'',
        MANIFEST + "x = '''\n'''",
        MANIFEST + "# " + "x" * 1023,
        MANIFEST + "# x\n" * 20_000,
    ],
)
def test_what_would_take_the_toml_parser_long_is_refused_before_it_is_asked(document, monkeypatch):
    monkeypatch.setattr(manifest.tomllib, "loads", None)
    assert refusal(parse_manifest, document.encode()) == "manifest_invalid"


def test_quoted_paths_and_comments_may_have_any_dots_and_brackets():
    files = "".join(f'"a.b/c.d/[e.f]{{{n}.g.h.i" = "{"0" * 64}"\n' for n in range(500))
    assert len(parse_manifest(f"{MANIFEST}# a.b.c.d.e.f [[[[[[ \n[files]\n{files}".encode()).files) == 500
    assert len(parse_manifest(f"{MANIFEST}[files]\n'a.b.c.d.e\"' = '{'0' * 64}'".encode()).files) == 1
