"""Split a secret so that some of its shares give it back and fewer say nothing: Shamir's scheme over GF(2^8).

A. Shamir, "How to Share a Secret", CACM 22(11), 1979. Each byte of the secret is the value at 0 of a random polynomial
whose degree is one less than the threshold; share ``x`` is the value at ``x``. The field is that of AES (FIPS 197
section 4.2), as in SLIP-0039, whose published vectors the tests run through :func:`interpolate`.

Arithmetic on secret bytes looks nothing up and branches on nothing: no table, no logarithm. What Python's integers do
beneath is not ours to promise; a share is given a few times in a year.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

MOST_SHARES: Final = 16
"""More people than ever come together. The field has 255 places."""

LEAST_THRESHOLD: Final = 2
"""With one, each share would be the secret itself."""

SECRET_AT: Final = 0
_LAST_PLACE: Final = 255
_BYTE_BITS: Final = 8
_REDUCE: Final = 0x1B
"""What x^8 is in this field: x^4 + x^3 + x + 1."""

_INVERSE_POWER: Final = 254


def split(secret: bytes, *, shares: int, threshold: int, draw: Callable[[int], bytes]) -> dict[int, bytes]:
    """Return the shares of a secret by their number, from 1 on.

    Args:
        secret: what is split.
        shares: how many there are, up to :data:`MOST_SHARES`.
        threshold: how many give the secret back, from :data:`LEAST_THRESHOLD` to ``shares``.
        draw: returns so many random bytes; all secrecy is in them.

    Raises:
        ValueError: there are no such shares.
    """
    if not LEAST_THRESHOLD <= threshold <= shares <= MOST_SHARES:
        raise ValueError(f"a secret has 2 to {MOST_SHARES} shares, and at least 2 of them give it back")
    coefficients = (secret, *(draw(len(secret)) for _ in range(threshold - 1)))
    return {number: _evaluate(coefficients, number) for number in range(1, shares + 1)}


def combine(shares: Mapping[int, bytes]) -> bytearray:
    """Return the secret, to be overwritten by whoever asked for it.

    Too few shares, or a wrong one among them, give bytes that mean nothing: nothing here can tell.

    Args:
        shares: by number, at least as many as the threshold.

    Raises:
        ValueError: none was given, they differ in length, or a number is out of range.
    """
    return interpolate(shares, at=SECRET_AT)


def interpolate(points: Mapping[int, bytes], *, at: int) -> bytearray:
    """Return the value at ``at`` of the polynomials through these points (Lagrange), byte by byte.

    Args:
        points: values by where they are, 0 to 255.
        at: where the value is wanted, 0 to 255.

    Raises:
        ValueError: no points, values of different lengths, or a place out of range.
    """
    lengths = {len(value) for value in points.values()}
    if len(lengths) != 1 or not all(0 <= place <= _LAST_PLACE for place in (*points, at)):
        raise ValueError("shares of one secret have one length, and numbers from 0 to 255")
    result = bytearray(lengths.pop())
    for place, value in points.items():
        weight = 1
        for other in points.keys() - {place}:  # numbers of shares are no secret
            weight = multiply(weight, multiply(at ^ other, _invert(place ^ other)))
        for index, byte in enumerate(value):
            result[index] ^= multiply(weight, byte)
    return result


def multiply(one: int, other: int) -> int:
    """Return the product of two elements of the field (FIPS 197 section 4.2), each 0 to 255."""
    product = 0
    for _ in range(_BYTE_BITS):
        product ^= -(other & 1) & one
        one = ((one << 1) & 0xFF) ^ (-(one >> 7) & _REDUCE)
        other >>= 1
    return product


def _evaluate(coefficients: tuple[bytes, ...], place: int) -> bytes:
    """Return the polynomials at a place, by Horner's rule; the constant coefficients come first."""
    value = bytes(len(coefficients[0]))
    for coefficient in reversed(coefficients):
        value = bytes(multiply(before, place) ^ byte for before, byte in zip(value, coefficient, strict=True))
    return value


def _invert(element: int) -> int:
    """Return the inverse of an element that is not 0: its 254th power, since its 255th is 1."""
    inverse, power, exponent = 1, element, _INVERSE_POWER
    while exponent:
        if exponent & 1:
            inverse = multiply(inverse, power)
        power = multiply(power, power)
        exponent >>= 1
    return inverse
