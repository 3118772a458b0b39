"""Pack keys as people pass them on, and packs that are none."""

import pytest

from heldout import packs
from heldout.errors import BankFileError

KEY = bytes(range(32))


def test_a_key_comes_back_as_it_was_written():
    text = packs.format_key(KEY)
    assert text.startswith("heldout-pack-key-")
    assert packs.parse_key(text) == KEY
    assert packs.fingerprint(KEY) == "630d cd29 66c4 3366"


@pytest.mark.parametrize("change", [lambda text: text[:-1], lambda text: text + "A", lambda text: text[17:], str.lower])
def test_a_mistyped_key_is_refused(change):
    with pytest.raises(packs.PackKeyError, match="mistyped"):
        packs.parse_key(change(packs.format_key(KEY)))


@pytest.mark.parametrize("text", ["", "heldout-pack-key-", "heldout-pack-key-é", "x" * 99])
def test_what_is_no_key_is_refused(text):
    with pytest.raises(packs.PackKeyError):
        packs.parse_key(text)


@pytest.mark.parametrize("content", [b"\x00\x00", b"\x00\x00\x00\x05abc", b"\x00\x00\x00\x00", b"\xff\xff\xff\xff" * 2])
def test_a_pack_that_is_cut_off_is_refused(tmp_path, content):
    path = tmp_path / "x.sealed"
    path.write_bytes(content)
    assert not packs.is_pack(path)
    with pytest.raises(BankFileError, match="truncated or damaged pack"):
        list(packs.read_frames(path))


def test_what_cannot_be_read_is_no_pack(tmp_path, monkeypatch):
    assert not packs.is_pack(tmp_path)
    with pytest.raises(BankFileError, match="cannot be read"):
        list(packs.read_frames(tmp_path / "none"))
    path = tmp_path / "x"
    path.touch()
    monkeypatch.setattr(type(path), "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "no")))
    assert not packs.is_pack(path)
