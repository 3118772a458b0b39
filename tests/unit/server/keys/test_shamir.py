"""Shamir's scheme: its field, its properties, and the vectors that SLIP-0039 publishes."""

import hashlib
import hmac
import json
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout_server.keys.shamir import combine, interpolate, multiply, split

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "slip39_shares.json").read_text())["vectors"]
DIGEST_AT, SECRET_AT = 254, 255
DIGEST_BYTES = 4
elements = st.integers(0, 255)


def draws(*values):
    """Return a source of random bytes that gives these, in order."""
    left = list(values)
    return lambda size: left.pop(0)[:size]


@given(elements, elements, elements)
def test_the_field_is_a_field(one, other, third):
    assert multiply(one, other) == multiply(other, one)
    assert multiply(multiply(one, other), third) == multiply(one, multiply(other, third))
    assert multiply(one, other ^ third) == multiply(one, other) ^ multiply(one, third)
    assert multiply(one, 1) == one
    assert one == 0 or sum(multiply(one, candidate) == 1 for candidate in range(256)) == 1


def test_products_are_those_of_fips_197():
    """FIPS 197 section 4.2: {57} · {83} = {c1}, {57} · {13} = {fe}."""
    assert (multiply(0x57, 0x83), multiply(0x57, 0x13)) == (0xC1, 0xFE)


@given(st.binary(min_size=1, max_size=40), st.data())
def test_any_shares_that_are_enough_give_the_secret_back(secret, data):
    shares = data.draw(st.integers(2, 6))
    threshold = data.draw(st.integers(2, shares))
    drawn = draws(*(data.draw(st.binary(min_size=len(secret), max_size=len(secret))) for _ in range(threshold - 1)))
    made = split(secret, shares=shares, threshold=threshold, draw=drawn)
    assert sorted(made) == list(range(1, shares + 1))
    for chosen in combinations(made, threshold):
        assert combine({number: made[number] for number in chosen}) == secret
    assert combine(made) == secret


@given(st.binary(min_size=4, max_size=4), st.binary(min_size=4, max_size=4))
def test_fewer_shares_fit_every_secret(seen, other_secret):
    """One of two shares says nothing: for any secret there is a draw under which that share is the very same."""
    made = split(
        other_secret, shares=2, threshold=2, draw=draws(bytes(a ^ b for a, b in zip(seen, other_secret, strict=True)))
    )
    assert made[1] == seen  # at 1 the polynomial is the secret plus the coefficient


@pytest.mark.parametrize(("shares", "threshold"), [(3, 1), (2, 3), (1, 1), (0, 0), (17, 2), (-1, 2)])
def test_there_are_no_such_shares(shares, threshold):
    with pytest.raises(ValueError, match="2 to 16"):
        split(b"secret", shares=shares, threshold=threshold, draw=draws(b"", b"", b""))


@pytest.mark.parametrize("points", [{}, {1: b"a", 2: b"ab"}, {256: b"a"}, {-1: b"a"}])
def test_what_are_no_shares_of_one_secret_is_refused(points):
    with pytest.raises(ValueError, match="one length"):
        combine(points)


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_published_vectors_of_slip_0039(vector):
    """Each group's shares give its secret and the digest that proves it; the groups' secrets give the master secret."""
    groups = {}
    for group in vector["groups"]:
        members = {int(number): bytes.fromhex(value) for number, value in group["members"].items()}
        groups[group["index"]] = recover(members, group["threshold"])
    encrypted = recover(groups, vector["group_threshold"])
    assert decrypt(encrypted, vector).hex() == vector["master_secret"]


def recover(points, threshold):
    """Recover a secret as SLIP-0039 does: it stands at 255, and at 254 a digest of it with its own key."""
    if threshold == 1:
        return next(iter(points.values()))
    secret = bytes(interpolate(points, at=SECRET_AT))
    proof = bytes(interpolate(points, at=DIGEST_AT))
    assert hmac.digest(proof[DIGEST_BYTES:], secret, "sha256")[:DIGEST_BYTES] == proof[:DIGEST_BYTES]
    return secret


def decrypt(secret, vector):
    """Undo the four Feistel rounds that SLIP-0039 puts around its master secret."""
    half = len(secret) // 2
    left, right = secret[:half], secret[half:]
    salt = b"" if vector["extendable"] else b"shamir" + vector["identifier"].to_bytes(2, "big")
    for step in (3, 2, 1, 0):
        rounds = (10_000 << vector["iteration_exponent"]) // 4
        key = hashlib.pbkdf2_hmac("sha256", bytes([step]) + b"TREZOR", salt + right, rounds, dklen=half)
        left, right = right, bytes(a ^ b for a, b in zip(left, key, strict=True))
    return right + left
