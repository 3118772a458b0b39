"""Where a checkpoint is wrong is said in words of ours: a line, a key that we know, a file's number, an ending."""

from __future__ import annotations

import re

import pytest

from heldout_server.checkpoints.manifest import MAX_LINE_CHARACTERS, MAX_MANIFEST_BYTES, parse_manifest
from heldout_server.checkpoints.refusal import Fault, Unacceptable
from heldout_server.domain import IDENTIFIER

GOOD = 'name = "nova-1"\nline = "nova"\nruntime = "scripted"\n'
SECRET = "olive"


def spot(act, *arguments):
    with pytest.raises(Unacceptable) as caught:
        act(*arguments)
    code = caught.value.spot.code()
    assert code == "" or IDENTIFIER.fullmatch(code)
    assert SECRET not in code
    return code


@pytest.mark.parametrize(
    ("document", "where"),
    [
        (GOOD.replace("runtime", "runtme"), "unknown_key.line-3"),
        (GOOD + f'{SECRET} = "x"\n', "unknown_key.line-4"),
        (GOOD + f"[{SECRET}]\n", "unknown_key.line-4"),
        (GOOD + f'"{SECRET}" = 1\n', "unknown_key"),
        (GOOD.replace('"nova"', f'"{SECRET} Oil"'), "not_a_name.key-line.line-2"),
        (GOOD.replace('"nova"', "3"), "not_a_name.key-line.line-2"),
        (GOOD + f'base = "{SECRET} Oil"\n', "not_a_name.key-base.line-4"),
        (GOOD.replace('line = "nova"\n', ""), "missing.key-line"),
        (f'{GOOD}"{SECRET}\n', "not_toml.line-4"),
        (f"{GOOD}files = 3\n", "not_digests.key-files.line-4"),
        (f'{GOOD}[files]\n"{SECRET}" = "12"\n', "not_digests.key-files.line-4"),
        (f'{GOOD}x = """{SECRET}\n"""\n', "several_lines.line-4"),
        (f"{GOOD}a.b.c.d.e = 1\n", "too_nested.line-4"),
        (f"{GOOD}#{'x' * MAX_LINE_CHARACTERS}\n", "too_long.line-4"),
        ("#" * MAX_MANIFEST_BYTES + "##", "too_long"),
    ],
)
def test_a_manifest_is_refused_with_the_line_and_a_key_of_ours(document, where):
    assert spot(parse_manifest, document.encode()) == where


def test_what_is_no_text_has_no_line():
    assert spot(parse_manifest, b"\xff") == "not_utf8"


@pytest.mark.parametrize(
    ("files", "where"),
    [
        ({"a.txt": b"x", "deep/olive.BIN": b"x"}, "file-3.ending-bin"),  # behind checkpoint.toml
        ({"a.olive": b"\x80\x04\x95"}, "file-1"),
        ({"olive.gguf": b"no weights"}, "file-2.ending-gguf"),
    ],
)
def test_a_file_is_named_by_its_number_and_an_ending_that_is_known(place, take_in, files, where):
    place.put(files=files)
    assert spot(take_in) == where


def test_a_folder_without_a_manifest_is_called_that_whatever_else_is_in_it(place, take_in):
    place.put(files={"w.bin": b"x"}, manifest=False)
    with pytest.raises(Unacceptable) as caught:
        take_in()
    assert caught.value.code == "manifest_missing"


def test_every_fault_is_one_word():
    assert all(re.fullmatch(r"[a-z0-9_]{1,20}", fault.value) for fault in Fault)
