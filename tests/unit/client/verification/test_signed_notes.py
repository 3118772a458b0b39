"""Signed notes and checkpoints as C2SP has them, against notes signed here."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from heldout.errors import VerificationError
from heldout.verification.note import (
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    VerifierKey,
    decode_base64,
    open_checkpoint,
    open_note,
    parse_checkpoint,
)

LOG = Ed25519PrivateKey.from_private_bytes(b"l" * 32)
WITNESS = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
ROOT = sha256(b"root").digest()
ROOT_TEXT = b64encode(ROOT).decode()
TEXT = f"lab/vault\n7\n{ROOT_TEXT}\n"


def vkey(name, key, kind=b"\x01"):
    public = kind + key.public_key().public_bytes_raw()
    key_id = sha256(name.encode() + b"\n" + public).digest()[:4]
    return f"{name}+{key_id.hex()}+{b64encode(public).decode()}"


def line(name, key, text=TEXT, *, key_id=None):
    if key_id is None:
        key_id = VerifierKey.parse(vkey(name, key)).key_id
    return f"\u2014 {name} {b64encode(key_id + key.sign(text.encode())).decode()}\n"


def note(*lines, text=TEXT):
    return text + "\n" + "".join(lines)


LOG_KEY = VerifierKey.parse(vkey("lab/vault", LOG))
WITNESS_KEY = VerifierKey.parse(vkey("witness", WITNESS))
GOOD = note(line("lab/vault", LOG))


def test_a_good_note_opens():
    opened = open_note(GOOD, [LOG_KEY])
    assert (opened.text, opened.signers) == (TEXT, (LOG_KEY,))


def test_every_known_signer_is_named_once_and_in_order():
    signed = note(line("witness", WITNESS), line("lab/vault", LOG), line("witness", WITNESS))
    assert open_note(signed, [LOG_KEY, WITNESS_KEY]).signers == (WITNESS_KEY, LOG_KEY)


def test_the_text_ends_at_the_last_empty_line():
    text = "one\n\ntwo\n\n\nthree\n"
    assert open_note(note(line("lab/vault", LOG, text), text=text), [LOG_KEY]).text == text


def test_unknown_keys_are_passed_over_whatever_they_signed():
    other_id = line("lab/vault", WITNESS, key_id=b"\x00\x00\x00\x01")
    other_name = line("someone", WITNESS, key_id=LOG_KEY.key_id)
    long_signature = f"\u2014 quantum {b64encode(bytes(2424)).decode()}\n"
    signed = note(other_id, other_name, long_signature, line("lab/vault", LOG))
    assert open_note(signed, [LOG_KEY]).signers == (LOG_KEY,)


def test_a_bad_signature_of_a_known_key_ends_the_check_even_beside_a_good_one():
    bad = line("lab/vault", LOG, "another text\n")
    for lines in ((bad,), (line("lab/vault", LOG), bad), (bad, line("witness", WITNESS))):
        with pytest.raises(VerificationError, match="lab/vault"):
            open_note(note(*lines), [LOG_KEY, WITNESS_KEY])


def test_a_short_signature_of_a_known_key_ends_the_check():
    cut = f"\u2014 lab/vault {b64encode(LOG_KEY.key_id + bytes(1)).decode()}\n"
    with pytest.raises(VerificationError):
        open_note(note(cut, line("lab/vault", LOG)), [LOG_KEY])


def test_a_note_that_only_strangers_signed_is_refused():
    with pytest.raises(VerificationError, match="known key"):
        open_note(note(line("witness", WITNESS)), [LOG_KEY])
    with pytest.raises(VerificationError, match="known key"):
        open_note(GOOD, [])


def test_many_signatures_are_read_and_too_many_refused():
    others = [line("witness", WITNESS)] * (MAX_SIGNATURES - 1)
    assert MAX_SIGNATURES >= 16
    assert open_note(note(*others, line("lab/vault", LOG)), [LOG_KEY]).signers == (LOG_KEY,)
    with pytest.raises(VerificationError, match="more than"):
        open_note(note(*others, line("witness", WITNESS), line("lab/vault", LOG)), [LOG_KEY])


SIGNATURE = b64encode(LOG_KEY.key_id + LOG.sign(TEXT.encode())).decode()


@pytest.mark.parametrize(
    "malformed",
    [
        "",
        "\n",
        "\n\n",
        TEXT,
        TEXT + "\n",
        GOOD.removesuffix("\n"),
        GOOD + "\n",
        GOOD.replace("\n\n", "\n"),
        GOOD.replace("\u2014 ", "- "),
        GOOD.replace("\u2014 ", "\u2014"),
        GOOD.replace("\u2014 ", "\u2014  "),
        GOOD.replace("\n\u2014", "\n \u2014"),
        GOOD.replace("7", "7\r"),
        GOOD.replace("7", "7\x00"),
        GOOD.replace("7", "7\t"),
        GOOD.replace("7", "\ud800"),
        note(f"\u2014 lab/vault {SIGNATURE} \n"),
        note(f"\u2014 lab/vault {SIGNATURE}=\n"),
        note(f"\u2014 lab/vault {SIGNATURE[:-1]}\n"),
        note(f"\u2014 lab/vault {SIGNATURE} extra\n"),
        note("\u2014 lab/vault\n"),
        note("\u2014 lab/vault \n"),
        note(f"\u2014 lab/vault {b64encode(LOG_KEY.key_id).decode()}\n"),
        note(f"\u2014 lab+vault {SIGNATURE}\n", line("lab/vault", LOG)),
        note(f"\u2014 lab\u00a0vault {SIGNATURE}\n", line("lab/vault", LOG)),
        note(line("lab/vault", LOG), "rubbish\n"),
    ],
)
def test_a_malformed_note_is_refused(malformed):
    with pytest.raises(VerificationError):
        open_note(malformed, [LOG_KEY])


def test_an_endless_note_is_refused():
    text = "x" * MAX_NOTE_BYTES + "\n"
    with pytest.raises(VerificationError, match="longer"):
        open_note(note(line("lab/vault", LOG, text), text=text), [LOG_KEY])


@settings(deadline=None)
@given(data=st.data())
def test_no_changed_character_goes_unnoticed(data):
    place = data.draw(st.integers(0, len(GOOD) - 1))
    character = data.draw(st.characters(exclude_characters=GOOD[place]))
    with pytest.raises(VerificationError):
        open_checkpoint(GOOD[:place] + character + GOOD[place + 1 :], LOG_KEY)


def test_a_checkpoint_opens():
    head = open_checkpoint(GOOD, LOG_KEY)
    assert (head.origin, head.size, head.root, head.extensions) == ("lab/vault", 7, ROOT, ())


def test_extension_lines_are_kept():
    text = TEXT + "one\ntwo words\n"
    assert open_checkpoint(note(line("lab/vault", LOG, text), text=text), LOG_KEY).extensions == ("one", "two words")


def test_a_checkpoint_of_another_log_is_refused_though_the_key_signed_it():
    text = TEXT.replace("lab/vault", "lab/window")
    with pytest.raises(VerificationError, match="another log"):
        open_checkpoint(note(line("lab/vault", LOG, text), text=text), LOG_KEY)


WRONG_SIZES = ("07", "00", "+7", "-7", "7 ", "7.0", "0x7", "\u0667", "1" * 20, "")


@pytest.mark.parametrize("size", ["0", "1", "9223372036854775807"])
def test_a_size_is_a_plain_decimal(size):
    assert parse_checkpoint(f"lab\n{size}\n{ROOT_TEXT}\n").size == int(size)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "lab\n7\n",
        f"lab\n7\n{ROOT_TEXT}",
        f"\n7\n{ROOT_TEXT}\n",
        f"lab\n\n{ROOT_TEXT}\n",
        "lab\n7\n\n",
        f"lab\n7\n{ROOT_TEXT}\n\n",
        f"lab\n7\n{ROOT_TEXT}\n\nextension\n",
        *(
            f"lab\n{size}\n{ROOT_TEXT}\n"
            for size in ("07", "00", "+7", "-7", "7 ", "7.0", "0x7", "\u0667", "1" * 20, "")
        ),
        f"lab\n7\n{b64encode(ROOT[:31]).decode()}\n",
        f"lab\n7\n{b64encode(ROOT + bytes(1)).decode()}\n",
        f"lab\n7\n{ROOT_TEXT[:-1]}\n",
        f"lab\n7\n {ROOT_TEXT}\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(text):
    with pytest.raises(VerificationError):
        parse_checkpoint(text)


def test_a_verifier_key_reads_back_though_base64_has_plus_signs():
    for number in range(40):
        key = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
        parsed = VerifierKey.parse(vkey("lab/vault", key))
        assert (parsed.name, parsed.public_key) == ("lab/vault", key.public_key().public_bytes_raw())
    assert any("+" in vkey("lab/vault", Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32))[19:] for n in range(40))


NAME, KEY_ID, ENCODED = vkey("lab/vault", LOG).split("+", 2)


@pytest.mark.parametrize(
    "malformed",
    [
        "",
        NAME,
        f"{NAME}+{KEY_ID}",
        f"+{KEY_ID}+{ENCODED}",
        f"other+{KEY_ID}+{ENCODED}",
        f"lab vault+{KEY_ID}+{ENCODED}",
        f"{NAME}+00000000+{ENCODED}",
        f"{NAME}+{KEY_ID[:-1]}+{ENCODED}",
        f"{NAME}+{KEY_ID.upper()}+{ENCODED}",
        f"{NAME}+{KEY_ID}+{ENCODED}x",
        f"{NAME}+{KEY_ID}+{ENCODED[:-4]}",
        vkey("lab/vault", LOG, kind=b"\x04"),
        vkey("lab/vault", LOG, kind=b"\x01\x01"),
    ],
)
def test_a_malformed_verifier_key_is_refused(malformed):
    with pytest.raises(VerificationError):
        VerifierKey.parse(malformed)


@pytest.mark.parametrize("text", ["A", "AA", "AA=", "AA==\n", "AB==", "A-_A", "AAAA=", "\u00e9AAA", " AAAA", "AA=A"])
def test_base64_has_one_form(text):
    with pytest.raises(VerificationError):
        decode_base64(text, what="it")


@settings(deadline=None)
@given(st.binary(max_size=64))
def test_base64_reads_back(data):
    assert decode_base64(b64encode(data).decode(), what="it") == data
