"""The section of the policy that says who approves cards."""

from importlib import resources

import pytest

from heldout_policy.cards import CardsPolicy
from heldout_policy.errors import PolicyError
from heldout_policy.release_policy import parse_release_policy

DEFAULT = resources.files("heldout_policy").joinpath("defaults/release.toml").read_text(encoding="utf-8")
SECTION = '[cards]\nshipped = "signature"\napproved_by = "bank_tester"\n'


def with_section(section):
    assert DEFAULT.count(SECTION) == 1
    return parse_release_policy(DEFAULT.replace(SECTION, section))


def test_the_shipped_document_approves_what_ships_by_its_signature():
    assert parse_release_policy(DEFAULT).cards == CardsPolicy(shipped="signature", approved_by="bank_tester")


def test_without_the_section_the_strictest_holds():
    cards = with_section("").cards
    assert cards == CardsPolicy(shipped="approval", approved_by="bank_tester")
    assert not cards.signed


def test_a_run_tester_may_be_the_second_person():
    cards = with_section('[cards]\nshipped = "approval"\napproved_by = "run_tester"\n').cards
    assert cards.approved_by == "run_tester"


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ('[cards]\nshipped = "always"\napproved_by = "bank_tester"\n', "cards.shipped"),
        ('[cards]\nshipped = ["signature"]\napproved_by = "bank_tester"\n', "cards.shipped"),
        ('[cards]\nshipped = "approval"\napproved_by = "trainer"\n', "cards.approved_by"),
        ('[cards]\nshipped = "approval"\n', "cards.approved_by"),
        ('[cards]\nshipped = "approval"\napproved_by = "bank_tester"\ngate = false\n', "cards.gate"),
        ("cards = 1\n", "cards"),
    ],
)
def test_whatever_else_it_says_is_refused_by_its_key(section, key):
    with pytest.raises(PolicyError) as caught:
        with_section(section)
    assert caught.value.key in {key, "approvals." + key}  # a bare key belongs to the table above it
