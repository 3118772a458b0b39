"""What is wrong with a certificate, as far as it can be seen without calling anybody."""

import datetime as dt

import pytest
from client_fakes import IDENTITY
from profile_files import certificate

from heldout.certificates import find_doubt

DURING = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


def test_nothing_is_doubted_that_its_authority_signed():
    own = certificate(IDENTITY)  # which signed itself
    assert find_doubt(certificate=own, authority=own, now=DURING) == ""


def test_one_of_several_authorities_is_enough():
    own = certificate(IDENTITY)
    assert find_doubt(certificate=own, authority=certificate() + own, now=DURING) == ""


@pytest.mark.parametrize(
    ("authority", "now", "said"),
    [
        (certificate(), DURING, "did not sign its certificate"),
        (b"authority", DURING, "ca holds no PEM certificate"),
        (certificate(), dt.datetime(2036, 1, 1, tzinfo=dt.UTC), "ended on 2036-01-01"),
        (certificate(), dt.datetime(2025, 1, 1, tzinfo=dt.UTC), "begins on 2026-01-01"),
    ],
)
def test_what_shows_is_named(authority, now, said):
    assert said in find_doubt(certificate=certificate(IDENTITY), authority=authority, now=now)
