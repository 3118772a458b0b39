"""Verifier keys of witnesses, and the section of the policy that names them."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

import pytest

from heldout_policy.errors import PolicyError
from heldout_policy.explanation import explain
from heldout_policy.release_policy import parse_release_policy
from heldout_policy.witness import WitnessKey

DEFAULT = resources.files("heldout_policy").joinpath("defaults", "release.toml").read_text(encoding="utf-8")


def vkey(name="witness.example", key=b"\x04" + bytes(range(32)), key_id=None):
    made = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4].hex()
    return f"{name}+{key_id or made}+{base64.b64encode(key).decode()}"


def with_witness(keys, age="3600"):
    return DEFAULT + f"\n[witness]\nkeys = {keys}\nmaximum_age_s = {age}\n"


def test_a_verifier_key_is_read():
    key = WitnessKey.parse(vkey())
    assert (key.name, key.public_key) == ("witness.example", bytes(range(32)))
    assert vkey().split("+")[1] == key.key_id.hex()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "witness.example",
        vkey(name="two words"),
        vkey(name=""),
        vkey(key=b"\x01" + bytes(32)),
        vkey(key=b"\x04" + bytes(31)),
        vkey(key_id="00000000"),
        vkey() + "\n",
        vkey().replace("BA", "B!", 1),
        vkey()[:-1] + "9",
    ],
)
def test_what_is_no_verifier_key_of_a_witness_is_refused(text):
    with pytest.raises(ValueError, match="verifier key"):
        WitnessKey.parse(text)


def test_a_policy_without_the_section_asks_for_no_witness():
    assert parse_release_policy(DEFAULT).witness is None


def test_the_section_names_keys_and_an_age():
    found = parse_release_policy(with_witness([vkey(), vkey("other.example", key=b"\x04" + bytes(32))])).witness
    assert found is not None
    assert [key.name for key in found.keys] == ["witness.example", "other.example"]
    assert found.maximum_age_s == 3600


@pytest.mark.parametrize(
    ("keys", "age", "key"),
    [
        ("[]", "1", "witness.keys"),
        ('"x"', "1", "witness.keys"),
        ("[1]", "1", "witness.keys"),
        (["nobody"], "1", "witness.keys"),
        ([vkey(), vkey()], "1", "witness.keys"),
        ([vkey(f"w{n}.example", key=b"\x04" + bytes([n]) * 32) for n in range(17)], "1", "witness.keys"),
        ([vkey()], "0", "witness.maximum_age_s"),
        ([vkey()], "2592001", "witness.maximum_age_s"),
    ],
)
def test_what_is_wrong_with_the_section_is_named(keys, age, key):
    with pytest.raises(PolicyError) as refused:
        parse_release_policy(with_witness(keys, age))
    assert refused.value.key == key


def test_the_section_has_both_keys_or_is_not_there():
    with pytest.raises(PolicyError):
        parse_release_policy(DEFAULT + f"\n[witness]\nkeys = ['{vkey()}']\n")


def with_needed(needed, *keys):
    return with_witness(list(keys)) + f"needed = {needed}\n"


A, B = vkey("a.example"), vkey("b.example", key=b"\x04" + bytes(32))
B_AGAIN = vkey("b.example", key=b"\x04" + bytes([7]) * 32)


def test_any_one_witness_will_do_unless_the_policy_says_how_many():
    assert parse_release_policy(with_witness([A, B])).witness.needed == 1
    assert parse_release_policy(with_needed(2, A, B, B_AGAIN)).witness.needed == 2


@pytest.mark.parametrize("needed", ["0", "3", "true", '"2"'])
def test_as_many_witnesses_are_needed_as_there_are_names_at_most(needed):
    with pytest.raises(PolicyError) as refused:
        parse_release_policy(with_needed(needed, A, B, B_AGAIN))  # three keys, and two witnesses
    assert refused.value.key == "witness.needed"


def test_one_key_under_two_names_is_not_two_witnesses():
    with pytest.raises(PolicyError, match="counts twice"):
        parse_release_policy(with_needed(2, A, vkey("b.example")))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (with_witness([A]), "once a.example has cosigned a head of the log that holds it, in the last hour;"),
        (with_needed(1, A, B), "once 1 of 2 witnesses (a.example, b.example) has cosigned"),
        (with_needed(2, A, B), "once 2 of 2 witnesses (a.example, b.example) have each cosigned"),
    ],
)
def test_the_explanation_says_which_witnesses_a_release_waits_for(text, told):
    said = [line for _, lines in explain(parse_release_policy(text)) for line in lines]
    assert any(told in line for line in said)
    assert not any("cosigned" in line for _, lines in explain(parse_release_policy(DEFAULT)) for line in lines)
