"""The mechanism: rows, noise and debits that follow from policy and membership alone."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout_policy.mechanism import (
    Side,
    TableKind,
    noise_scale_micro,
    plan_tables,
    side_debit,
    state_claims,
    table_debit_nano_rho,
    to_grid,
)
from heldout_policy.release_policy import ReleasePolicy, parse_release_policy

POLICY = parse_release_policy(
    resources.files("heldout_policy").joinpath("defaults/release.toml").read_text(encoding="utf-8")
)


@dataclass(frozen=True)
class Prompt:
    unit: str
    intent: str
    category: str


def harmful(count: int, *, categories: int = 8) -> list[Prompt]:
    return [Prompt(f"h{number}", "harmful", f"category-{number % categories}") for number in range(count)]


def benign(count: int) -> list[Prompt]:
    return [Prompt(f"b{number}", "benign", "everyday") for number in range(count)]


TECHNIQUES = tuple(f"technique-{number}" for number in range(12))
STACKS = tuple((f"technique-{number}", "persona") for number in range(30))


def plan(policy: ReleasePolicy = POLICY, *, number: int = 5, members=None, stacks=STACKS):
    members = [*harmful(300), *benign(100)] if members is None else members
    return plan_tables(policy, release_number=number, techniques=TECHNIQUES, stacks=stacks, members=members)


policies = st.builds(
    lambda bits, releases, full_every, cuts: dataclasses.replace(
        POLICY,
        bits_per_prompt=Decimal(bits) / 8,
        releases_per_epoch=releases,
        full_every=min(full_every, releases),
        harmful=dataclasses.replace(
            POLICY.harmful,
            technique=Decimal(cuts[0]) / 1000,
            stack=Decimal(cuts[1] - cuts[0]) / 1000,
            category=Decimal(cuts[2] - cuts[1]) / 1000,
            non_answers=Decimal(cuts[3] - cuts[2]) / 1000,
            first_breach=Decimal(cuts[4] - cuts[3]) / 1000,
            reserve=Decimal(0),
        ),
    ),
    st.integers(1, 512),
    st.integers(1, 40),
    st.integers(1, 40),
    st.lists(st.integers(0, 1000), min_size=5, max_size=5).map(sorted),
)


def test_the_default_policy_has_the_widths_of_the_design():
    tables = plan()

    assert [(table.kind, round(table.sigma_micro / 1e6, 2)) for table in tables] == [
        (TableKind.TECHNIQUE, 7.75),
        (TableKind.STACK, 7.75),
        (TableKind.FIRST_BREACH, 5.48),
        (TableKind.CATEGORY, 1.58),
        (TableKind.NON_ANSWERS, 8.67),
        (TableKind.OVER_REFUSAL, 1.58),
    ]
    assert [table.cells_per_unit for table in tables] == [12, 30, 3, 1, 1, 1]


def test_rows_stand_in_the_order_of_the_plan_and_categories_sorted():
    members = [*reversed(harmful(300)), *benign(100)]
    technique, stack, first_breach, category, non_answers, over_refusal = plan(members=members)

    assert [row.key for row in technique.rows] == list(TECHNIQUES)
    assert [row.key for row in stack.rows] == [f"technique-{number}+persona" for number in range(30)]
    assert [(row.key, row.units) for row in first_breach.rows] == [("plain", 300), ("single", 300), ("stack", 300)]
    assert [(row.key, row.units) for row in category.rows] == [
        (f"category-{number}", 38 if number < 4 else 37) for number in range(8)
    ]
    assert [(row.key, row.units) for row in non_answers.rows] == [("all", 300)]
    assert [(row.key, row.units) for row in over_refusal.rows] == [("all", 100)]


def test_light_releases_leave_out_stacks_and_categories():
    light = {TableKind.TECHNIQUE, TableKind.NON_ANSWERS, TableKind.OVER_REFUSAL}

    assert [{table.kind for table in plan(number=number)} == light for number in range(1, 11)] == [
        number % 5 != 0 for number in range(1, 11)
    ]


def test_a_family_is_one_unit_in_one_category():
    family = [Prompt("family", "harmful", "second"), Prompt("family", "harmful", "first")] * 20
    tables = {table.kind: table for table in plan(members=family)}

    assert [(row.key, row.units) for row in tables[TableKind.CATEGORY].rows] == [("second", 1)]
    assert {row.units for row in tables[TableKind.TECHNIQUE].rows} == {1}


def test_rows_of_too_few_units_are_withheld_and_cost_the_same():
    tables = {table.kind: table for table in plan(members=[*harmful(59, categories=2), *benign(29)])}

    assert [(row.units, row.withheld) for row in tables[TableKind.CATEGORY].rows] == [(30, False), (29, True)]
    assert [row.withheld for row in tables[TableKind.OVER_REFUSAL].rows] == [True]
    assert [table.debit_nano_rho for table in tables.values()] == [table.debit_nano_rho for table in plan()]


def test_a_table_without_rows_or_without_a_share_is_left_out_and_costs_nothing():
    no_stacks = plan(stacks=())
    no_share = plan(dataclasses.replace(POLICY, harmful=dataclasses.replace(POLICY.harmful, stack=Decimal(0))))
    no_harmful = plan(members=benign(100))

    assert TableKind.STACK not in {table.kind for table in no_stacks}
    assert [table.kind for table in no_share] == [table.kind for table in no_stacks]
    assert side_debit(plan(), Side.HARMFUL) - side_debit(no_stacks, Side.HARMFUL) == table_debit_nano_rho(
        POLICY, TableKind.STACK
    )
    assert TableKind.CATEGORY not in {table.kind for table in no_harmful}


def test_debits_are_counted_by_side():
    tables = plan()

    assert side_debit(tables, Side.BENIGN) == tables[-1].debit_nano_rho
    assert side_debit(tables, Side.HARMFUL) == sum(table.debit_nano_rho for table in tables[:-1])


@given(policies)
def test_an_epoch_of_releases_never_debits_more_than_the_shares(policy: ReleasePolicy):
    spent = dict.fromkeys(TableKind, 0)
    for number in range(1, policy.releases_per_epoch + 1):
        for table in plan(policy, number=number, members=[*harmful(40), *benign(40)]):
            spent[table.kind] += table.debit_nano_rho

    for kind in TableKind:
        side = policy.benign if kind is TableKind.OVER_REFUSAL else policy.harmful
        assert spent[kind] <= getattr(side, kind.value) * policy.budget_nano_rho
    assert sum(spent.values()) - spent[TableKind.OVER_REFUSAL] <= policy.budget_nano_rho


@given(st.integers(1, 400), st.integers(1, 10**11))
def test_sigma_is_the_least_that_costs_no_more_than_the_debit(cells: int, debit: int):
    sigma = noise_scale_micro(cells_per_unit=cells, debit_nano_rho=debit)

    def cost_nano(sigma_micro: int) -> Fraction:
        return Fraction(cells * 10**12 * 10**9, 2 * sigma_micro**2)

    assert cost_nano(sigma) <= debit
    assert sigma == 1 or cost_nano(sigma - 1) > debit


@given(policies, st.sampled_from(["0.5", "0.25", "0.000001"]))
def test_the_grid_is_a_whole_step_of_at_most_half_of_sigma(policy: ReleasePolicy, fraction: str):
    for table in plan(dataclasses.replace(policy, grid_fraction=Decimal(fraction))):
        assert 1 <= table.grid_micro <= table.sigma_micro / 2
        assert table.grid_micro <= max(1, Decimal(fraction) * table.sigma_micro)


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**7))
def test_a_figure_goes_to_the_nearest_step_and_ties_to_the_even_one(value: int, grid: int):
    assert to_grid(value, grid_micro=grid) == round(Fraction(value, grid))


def test_the_three_figures_of_the_claim_are_those_of_the_design():
    claims = state_claims(POLICY.budget_nano_rho)

    assert claims.tight_bits == pytest.approx(2.0, abs=1e-6)
    assert claims.general_bits == pytest.approx(8.0, abs=1e-6)
    assert claims.one_question_accuracy == pytest.approx(0.952, abs=5e-4)


def test_nothing_spent_lets_out_nothing():
    claims = state_claims(0)

    assert (claims.tight_bits, claims.general_bits, claims.one_question_accuracy) == (0, 0, 0.5)


def test_the_overall_figure_is_as_narrow_as_the_design_says():
    technique = plan()[0]
    half_width = 1.96 * technique.sigma_micro / 1e6 / math.sqrt(len(technique.rows)) / 300

    assert half_width == pytest.approx(0.0146, abs=1e-3)
