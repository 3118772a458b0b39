"""Files of prompts, good and bad."""

import gzip
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout.bank_files import MAX_LINE_BYTES, read_rows
from heldout.bank_model import BadRow, Intent, PromptRow
from heldout.errors import BankFileError

GOOD = {"prompt": "How do I fold a letter?", "intent": "benign", "category": "paper"}


def line(**changes):
    return json.dumps({**GOOD, **changes})


def only(path):
    (row,) = read_rows(path)
    return row


def test_a_row_with_everything(write):
    row = only(write(line(language="de-at", tags=["a", "b.c"], family="letters")))
    assert isinstance(row, PromptRow)
    assert row.line == 1
    assert row.prompt.text == GOOD["prompt"]
    assert row.prompt.intent is Intent.BENIGN
    assert (row.prompt.language, row.prompt.tags, row.prompt.family) == ("de-at", ("a", "b.c"), "letters")


def test_what_may_be_left_out_has_defaults(write):
    row = only(write(json.dumps({"text": "Hi", "intent": "harmful", "category": "x"})))
    assert (row.prompt.language, row.prompt.tags, row.prompt.family) == ("en", (), "")


def test_lines_are_counted_as_an_editor_does(write):
    rows = list(read_rows(write(f"\n{line()}\r\n   \n\n{line()}")))
    assert [row.line for row in rows] == [2, 5]


def test_a_byte_order_mark_is_passed_over(write):
    assert isinstance(only(write(b"\xef\xbb\xbf" + line().encode())), PromptRow)


def test_gzip_is_known_by_its_content(write):
    path = write(gzip.compress(f"{line()}\n{line()}\n".encode()), name="prompts.data")
    assert len(list(read_rows(path))) == 2


def test_a_prompt_is_in_no_repr(write):
    assert GOOD["prompt"] not in repr(only(write(line())))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("{", "not_json"),
        ("[" * 100_000, "not_json"),
        ("9" * 10_000, "not_json"),
        ('"text"', "not_object"),
        ("[]", "not_object"),
        ("null", "not_object"),
        (line(extra=1), "unknown_key"),
        ('{"prompt": "a", "prompt": "b", "intent": "benign", "category": "x"}', "duplicate_key"),
        (line(text="two"), "prompt_twice"),
        ('{"intent": "benign", "category": "x"}', "prompt_missing"),
        (line(prompt=""), "text_empty"),
        (line(prompt=" \n\t"), "text_empty"),
        (line(prompt=7), "text_invalid"),
        (line(prompt="\ud800"), "text_not_unicode"),
        (line(prompt="ä" * 32_769), "text_too_long"),
        (line(intent="neutral"), "intent_invalid"),
        (line(intent=["benign"]), "intent_invalid"),
        ('{"prompt": "a", "category": "x"}', "intent_missing"),
        (line(category="//"), "category_invalid"),
        (line(category=""), "category_invalid"),
        (line(category=None), "category_invalid"),
        ('{"prompt": "a", "intent": "benign"}', "category_missing"),
        (line(language="EN"), "language_invalid"),
        (line(language=""), "language_invalid"),
        (line(tags="a"), "tags_invalid"),
        (line(tags=["A"]), "tag_invalid"),
        (line(tags=[1]), "tag_invalid"),
        (line(tags=["a"] * 17), "too_many_tags"),
        (line(family="no blanks"), "family_invalid"),
        (line(family=3), "family_invalid"),
    ],
)
def test_a_bad_row_is_named_by_its_line_and_a_code(write, raw, reason):
    assert list(read_rows(write(f"{line()}\n{raw}\n{line()}")))[1] == BadRow(2, reason)


def test_a_prompt_may_be_as_long_as_the_bank_takes(write):
    assert len(only(write(line(prompt="ä" * 32_768))).prompt.text) == 32_768


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n \n\r\n", "is empty"),
        (b"\x7fELF\x00\x01", "line 1: is binary"),
        (line().encode() + b"\nab\x00", "line 2: is binary"),
        (line().encode() + b"\n\xff\xfe\n", "line 2: is not UTF-8"),
        (b'{"prompt": "\xe4"}', "line 1: is not UTF-8"),
        (line().encode() + b"\n" + b"a" * (MAX_LINE_BYTES + 1), "line 2: is longer than 1,048,576 bytes"),
        (gzip.compress(line().encode() * 50, mtime=0)[:-9], "truncated or damaged gzip"),
        (gzip.compress(line().encode(), mtime=0)[:-6] + b"xxxxxx", "truncated or damaged gzip"),
        (b"\x1f\x8bnonsense", "truncated or damaged gzip"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + b"\xff" * 20, "truncated or damaged gzip"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_line(write, content, said):
    with pytest.raises(BankFileError, match=said) as caught:
        list(read_rows(write(content)))
    assert "\n" not in str(caught.value)


def test_a_line_that_never_ends_is_not_read_to_its_end(write):
    """A gzip of 64 MiB of one line: what is read of it is bounded."""
    with pytest.raises(BankFileError, match="longer than"):
        list(read_rows(write(gzip.compress(b"a" * (64 << 20), compresslevel=1, mtime=0))))


def test_a_missing_file(tmp_path):
    with pytest.raises(BankFileError, match="no such file"):
        list(read_rows(tmp_path / "none.jsonl"))


def test_a_folder_or_a_pipe_is_not_read(tmp_path):
    with pytest.raises(BankFileError, match="not a plain file"):
        list(read_rows(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BankFileError, match="not a plain file"):
        list(read_rows(tmp_path / "pipe"))


def test_what_the_system_refuses_is_said(write, monkeypatch):
    path = write(line())
    monkeypatch.setattr(type(path), "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(BankFileError, match="cannot be read"):
        list(read_rows(path))


@given(st.binary(max_size=300))
def test_any_bytes_give_rows_codes_or_one_error_and_nothing_else(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("bytes") / "file"
    path.write_bytes(content)
    rows, refused = [], ""
    try:
        rows = list(read_rows(path))
    except BankFileError as error:
        refused = str(error)
    assert bool(rows) is not bool(refused)
    assert "\n" not in refused
    assert all(isinstance(row, PromptRow | BadRow) for row in rows)
