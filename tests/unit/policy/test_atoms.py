"""Atoms: no group of units smaller than the minimum can be reached by subtracting released sums."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout_policy.atoms import Atom, Released, SetName, find_gaps, offered_sets, withhold
from heldout_policy.mechanism import RowPlan, Side, TableKind, TablePlan

MINIMUM = 3


def units(*numbers: int) -> frozenset[str]:
    return frozenset(f"u{number}" for number in numbers)


def name(epoch: str = "e1", category: str = "", side: Side = Side.HARMFUL) -> SetName:
    return SetName(epoch_id=epoch, side=side, category=category)


def epoch(epoch_id: str, categories: dict[str, range]) -> dict[SetName, frozenset[str]]:
    """Return the sets of a full release: all units, then each category."""
    sets = {category: units(*numbers) for category, numbers in categories.items()}
    return {name(epoch_id): frozenset().union(*sets.values())} | {
        name(epoch_id, category): held for category, held in sets.items()
    }


def test_a_small_category_takes_another_with_it():
    """Otherwise the whole minus the other categories would be the small one's own figure."""
    offered = epoch("e1", {"a": range(4), "b": range(4, 8), "c": range(8, 10)})
    released, withheld = Released().admit(offered, minimum=MINIMUM)

    assert withheld == {name(category="b"), name(category="c")}
    assert released.atoms(Side.HARMFUL) == (
        Atom(sets=(name(),), units=6),
        Atom(sets=(name(), name(category="a")), units=4),
    )


def test_categories_that_are_large_enough_are_all_released():
    offered = epoch("e1", {"a": range(3), "b": range(3, 6)})
    released, withheld = Released().admit(offered, minimum=MINIMUM)
    assert not withheld
    assert released.smallest(Side.HARMFUL) == 3


def test_an_epoch_that_gains_one_unit_is_withheld():
    """Epoch two minus epoch one would be that unit."""
    released, _ = Released().admit({name("e1"): units(*range(10))}, minimum=MINIMUM)
    released, withheld = released.admit({name("e2"): units(*range(11))}, minimum=MINIMUM)
    assert withheld == {name("e2")}
    assert released.smallest(Side.HARMFUL) == 10


def test_an_epoch_that_loses_one_unit_is_withheld():
    released, _ = Released().admit({name("e1"): units(*range(10))}, minimum=MINIMUM)
    _, withheld = released.admit({name("e2"): units(*range(9))}, minimum=MINIMUM)
    assert withheld == {name("e2")}


def test_an_epoch_that_changes_in_blocks_is_released():
    released, _ = Released().admit({name("e1"): units(*range(10))}, minimum=MINIMUM)
    released, withheld = released.admit({name("e2"): units(*range(3, 13))}, minimum=MINIMUM)
    assert not withheld
    assert [atom.units for atom in released.atoms(Side.HARMFUL)] == [3, 3, 7]


def test_a_set_released_before_is_released_again():
    offered = {name("e1"): units(*range(5))}
    released, _ = Released().admit(offered, minimum=MINIMUM)
    again, withheld = released.admit(offered, minimum=MINIMUM)
    assert not withheld
    assert again == released


def test_sides_are_apart():
    """A pair has a harmful and a benign figure, and neither is part of the other's sums."""
    released, _ = Released().admit({name("e1"): units(*range(5))}, minimum=MINIMUM)
    released, withheld = released.admit({name("e1", side=Side.BENIGN): units(*range(4, 8))}, minimum=MINIMUM)
    assert not withheld
    assert released.smallest(Side.BENIGN) == 4


def test_nothing_released_has_no_atom():
    assert Released().atoms(Side.HARMFUL) == ()
    assert Released().smallest(Side.BENIGN) == 0


def test_a_set_of_nobody_is_withheld():
    _, withheld = Released().admit({name("e1"): frozenset()}, minimum=MINIMUM)
    assert withheld == {name("e1")}


memberships = st.lists(st.sets(st.integers(0, 11), max_size=12), max_size=4)


@given(memberships, st.integers(1, 5))
def test_no_sum_or_difference_of_released_sets_is_smaller_than_the_minimum(chosen, minimum):
    """Checked by brute force: every intersection of released sets and complements, that lies in some released set."""
    offered = {name(f"e{place}"): units(*numbers) for place, numbers in enumerate(chosen)}
    released, withheld = Released().admit(offered, minimum=minimum)
    sets = list(released.sets.values())
    everyone = frozenset().union(*sets)

    assert set(released.sets) | withheld == set(offered)
    for inside in product((True, False), repeat=len(sets)):
        if any(inside):
            group = everyone
            for taken, one in zip(inside, sets, strict=True):
                group = group & one if taken else group - one
            assert not group or len(group) >= minimum


def table(kind, *rows, side=Side.HARMFUL):
    return TablePlan(
        kind=kind, side=side, debit_nano_rho=1, cells_per_unit=1, sigma_micro=1, grid_micro=1, rows=tuple(rows)
    )


def row(key, *, withheld=False):
    return RowPlan(key=key, units=1, withheld=withheld)


TABLES = (
    table(TableKind.TECHNIQUE, row("plain"), row("persona")),
    table(TableKind.CATEGORY, row("a"), row("b"), row("c", withheld=True)),
    table(TableKind.OVER_REFUSAL, row("all"), side=Side.BENIGN),
)


def test_a_release_offers_the_sets_that_its_rows_sum_over():
    """Rows of one set offer it once; a row that is withheld offers none."""
    offered = offered_sets("e1", TABLES, harmful={"u1": "a", "u2": "b", "u3": "c"}, benign=["u4"])
    assert offered == {
        name(): units(1, 2, 3),
        name(category="a"): units(1),
        name(category="b"): units(2),
        name(side=Side.BENIGN): units(4),
    }


def test_withholding_a_set_withholds_every_row_over_it_and_no_other():
    one = withhold(TABLES, frozenset({name(category="b")}), epoch_id="e1")
    assert [[row.withheld for row in table.rows] for table in one] == [[False] * 2, [False, True, True], [False]]
    whole = withhold(TABLES, frozenset({name()}), epoch_id="e1")
    assert [[row.withheld for row in table.rows] for table in whole] == [[True] * 2, [False, False, True], [False]]


def members_of(first, last):
    return frozenset(f"u{number}" for number in range(first, last))


def released_once(units, **categories):
    sets = {SetName(epoch_id="e1", side=Side.HARMFUL): units}
    sets |= {SetName(epoch_id="e1", side=Side.HARMFUL, category=name): some for name, some in categories.items()}
    return Released(sets)


@pytest.mark.parametrize(
    ("offered", "found"),
    [
        (members_of(0, 20), []),
        (members_of(0, 10), []),
        (members_of(0, 25), [("new", 5, 5)]),
        (members_of(4, 20), [("go", 4, 6)]),
        (members_of(16, 40), [("stay", 4, 6)]),
        (members_of(3, 21), [("new", 1, 9), ("go", 3, 7)]),
        (members_of(20, 29), []),
        (members_of(10, 30), []),
    ],
)
def test_gaps_say_how_many_units_are_missing_from_a_group(offered, found):
    """Of 20 released units, with a minimum of 10; a side with fewer shows no row and needs nothing."""
    gaps = find_gaps(released_once(members_of(0, 20)), {Side.HARMFUL: offered}, minimum=10)
    assert [(gap.change, gap.units, gap.short) for gap in gaps] == found


def test_gaps_are_counted_in_every_released_category():
    """Ten go, five of each category: of neither enough."""
    before = released_once(members_of(0, 40), a=members_of(0, 20), b=members_of(20, 40))
    gaps = find_gaps(before, {Side.HARMFUL: members_of(5, 35)}, minimum=10)
    assert [(gap.category, gap.change, gap.units, gap.short) for gap in gaps] == [("a", "go", 5, 5), ("b", "go", 5, 5)]


@given(
    st.lists(st.frozensets(st.integers(0, 30)), min_size=1, max_size=3),
    st.frozensets(st.integers(0, 30)),
    st.integers(2, 6),
)
def test_an_epoch_without_gaps_is_one_whose_whole_is_admitted(before, offered, minimum):
    """The gate at the opening and the rule at a release are one rule."""
    released = Released()
    for number, units in enumerate(before):
        name = SetName(epoch_id=f"e{number}", side=Side.HARMFUL)
        released, _ = released.admit({name: frozenset(map(str, units))}, minimum=minimum)
    names = frozenset(map(str, offered))
    whole = SetName(epoch_id="new", side=Side.HARMFUL)
    _, withheld = released.admit({whole: names}, minimum=minimum)

    gaps = find_gaps(released, {Side.HARMFUL: names}, minimum=minimum)
    if len(names) >= minimum:
        assert bool(gaps) == bool(withheld)
