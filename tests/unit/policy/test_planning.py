"""The planner: figures before a key is turned, as they were simulated, and as the mechanism will do."""

from __future__ import annotations

import dataclasses
import math
from decimal import Decimal
from importlib import resources

import pytest
from exact_policy import EXACT
from hypothesis import given
from hypothesis import strategies as st

from heldout_policy.cards import CardsPolicy
from heldout_policy.explanation import explain, table_shares
from heldout_policy.mechanism import Side, TableKind
from heldout_policy.planning import READABLE, EpochShape, plan_epoch, units_for, with_releases
from heldout_policy.release_policy import parse_release_policy

POLICY = parse_release_policy(
    resources.files("heldout_policy").joinpath("defaults/release.toml").read_text(encoding="utf-8")
)
SHAPE = EpochShape(harmful_units=300, benign_units=100, techniques=12, stacks=30, categories=8)

PUBLISHED = {
    "technique": (25, 7.75, 5.1, 7.6, 7.2),
    "overall": (25, 7.75, 1.5, 5.8, 2.1),
    "stack": (5, 7.75, 5.1, 7.6, 7.2),
    "non_answers": (25, 8.67, 5.7, 8.0, 8.0),
    "first_breach": (5, 5.48, 3.6, 6.7, 5.1),
    "over_refusal": (25, 1.58, 3.1, 10.3, 4.4),
}
"""Releases, sigma, noise, noise and sampling, change: the figures that the mechanism was specified with."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_default_policy_has_the_specified_widths(name):
    """At 300 harmful and 100 benign units; the grid adds at most a tenth of a point."""
    (table,) = (one for one in plan_epoch(POLICY, SHAPE).tables if one.name == name)
    releases, sigma, noise, sampling, change = PUBLISHED[name]

    assert table.releases == releases
    assert table.sigma == pytest.approx(sigma, abs=0.006)
    assert [100 * table.noise, 100 * table.noise_and_sampling, 100 * table.change] == pytest.approx(
        [noise, sampling, change], abs=0.11
    )


def test_a_fresh_pair_of_look_alikes_ends_before_the_epoch():
    """It pays both sides from one budget."""
    payable = plan_epoch(POLICY, SHAPE).payable
    assert payable == {"harmful": 25, "benign": 25, "pair": 14}


def test_an_epoch_never_plans_to_spend_more_than_the_budget():
    outlook = plan_epoch(POLICY, SHAPE)
    assert max(outlook.spent_nano_rho.values()) <= POLICY.budget_nano_rho
    assert outlook.claims[Side.HARMFUL].one_question_accuracy < 0.952


def test_more_units_by_the_planners_own_figure_make_a_table_readable():
    """And one unit fewer would not."""
    shape = dataclasses.replace(SHAPE, techniques=70)
    (table,) = plan_epoch(POLICY, shape).unreadable
    assert table.name == "technique"
    assert 0.17 < table.change < 0.18

    needed = units_for(POLICY, shape, "technique")
    enough = plan_epoch(POLICY, dataclasses.replace(shape, harmful_units=needed))
    short = plan_epoch(POLICY, dataclasses.replace(shape, harmful_units=needed - 1))
    assert "technique" not in [one.name for one in enough.unreadable]
    assert "technique" in [one.name for one in short.unreadable]


def test_rows_about_too_few_units_are_counted_as_withheld():
    """A table with nothing to show has no width."""
    shape = dataclasses.replace(SHAPE, harmful_units=100)
    names = [table.name for table in plan_epoch(POLICY, shape).tables]
    assert "category" not in names
    assert "technique" in names


def test_stacks_left_out_of_a_plan_leave_no_table():
    names = [table.name for table in plan_epoch(POLICY, dataclasses.replace(SHAPE, stacks=0)).tables]
    assert "stack" not in names


def test_a_run_tries_every_harmful_prompt_in_every_cell_and_every_benign_one_plainly():
    shape = EpochShape(
        harmful_units=10, benign_units=4, techniques=3, stacks=2, categories=1, prompts_per_unit=2, attempts=5
    )
    assert shape.trials == (10 * 5 + 4) * 2 * 5


@given(releases=st.integers(1, 60))
def test_more_releases_never_narrow_a_table(releases):
    """Sigma grows with the square root of the releases that hold the table."""
    few = plan_epoch(with_releases(POLICY, releases), SHAPE).tables
    more = plan_epoch(with_releases(POLICY, releases + 10), SHAPE).tables
    for before, after in zip(few, more, strict=True):
        assert after.noise >= before.noise * math.sqrt(before.releases / after.releases)
        assert after.sigma >= before.sigma or after.releases <= before.releases


def test_a_policy_that_makes_every_release_full_says_so():
    policy = dataclasses.replace(POLICY, full_every=1)
    (stack,) = (table for table in plan_epoch(policy, SHAPE).tables if table.name == "stack")
    assert stack.releases == 25
    assert any("in every release; 22.5 %" in line for _, lines in explain(policy) for line in lines)


def test_an_explanation_names_every_table_and_the_budget():
    text = " ".join(line for _, lines in explain(POLICY) for line in lines)
    assert "in one release of 5; 22.5 % of the budget of a harmful unit" in text
    assert "rho 5.545" in text
    assert "95.2%" in text
    assert "No approval is needed before a run starts: right for development, and every release says so." in text


@pytest.mark.parametrize(
    ("cards", "said"),
    [
        (CardsPolicy(), ("once a bank tester who did not write it", "approved one by one, too")),
        (
            CardsPolicy(shipped="signature", approved_by="run_tester"),
            ("once a run tester who did not write it", "The signature of this document approves the cards that ship."),
        ),
    ],
)
def test_an_explanation_says_who_approves_cards(cards, said):
    text = " ".join(line for _, lines in explain(dataclasses.replace(POLICY, cards=cards)) for line in lines)
    assert all(one in text for one in said)


def test_an_explanation_says_who_must_approve_and_which_table_never_leaves():
    policy = dataclasses.replace(
        POLICY,
        approval_roles=("bank_tester", "run_tester"),
        harmful=dataclasses.replace(POLICY.harmful, category=Decimal(0)),
    )
    text = " ".join(line for _, lines in explain(policy) for line in lines)
    assert "A bank tester and a run tester must approve" in text
    assert "attack success rate by category of prompt: never" in text


def test_every_table_has_a_share():
    assert list(table_shares(POLICY)) == [
        TableKind.TECHNIQUE,
        TableKind.STACK,
        TableKind.FIRST_BREACH,
        TableKind.CATEGORY,
        TableKind.NON_ANSWERS,
        TableKind.OVER_REFUSAL,
    ]
    assert READABLE == 0.15


def test_without_noise_the_outlook_states_no_claim_but_a_bit_a_row():
    """Six releases: 12 techniques and 2 single rows each, two full ones with 30 stacks, 3 levels and 8 categories."""
    outlook = plan_epoch(parse_release_policy(EXACT), SHAPE)

    assert outlook.exact_bits == 6 * 14 + 2 * (30 + 3 + 8) + 14  # and one anchor
    assert outlook.payable == {"harmful": 6, "benign": 6, "pair": 6}
    assert plan_epoch(POLICY, SHAPE).exact_bits is None


def test_quotas_of_lines_decide_how_many_releases_are_full():
    outlook = plan_epoch(dataclasses.replace(POLICY, lines={"a": 9, "b": 9}), SHAPE)
    releases = {table.name: table.releases for table in outlook.tables}

    assert (outlook.releases, releases["technique"], releases["stack"]) == (18, 18, 2)


def test_an_explanation_of_the_exact_profile_begins_with_its_warning():
    (heading, sentences), *_ = explain(parse_release_policy(EXACT))

    assert heading.startswith("WARNING")
    assert any("for certain" in sentence for sentence in sentences)
    assert not any(
        "at most 0.0 bits" in sentence for _, said in explain(parse_release_policy(EXACT)) for sentence in said
    )


def test_an_explanation_names_lines_and_anchors():
    said = [line for _, lines in explain(dataclasses.replace(POLICY, lines={"nova": 9})) for line in lines]

    assert any("nova 9. Another line is granted none" in line for line in said)
    assert any("2 to restate" in line for line in said)


def test_a_table_without_a_row_that_may_be_shown_is_named_and_not_left_out():
    """Twenty harmful units are under the minimum of thirty; a category then holds three at most."""
    outlook = plan_epoch(POLICY, dataclasses.replace(SHAPE, harmful_units=20))
    assert [table.name for table in outlook.tables] == ["over_refusal"]
    withheld = {hidden.name: hidden.units for hidden in outlook.withheld}
    assert (withheld["technique"], withheld["category"]) == (20, 3)
    assert plan_epoch(POLICY, SHAPE).withheld == ()
