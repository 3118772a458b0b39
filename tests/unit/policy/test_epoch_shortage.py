"""Which rows about an epoch would be withheld for too few units, known before it is frozen."""

import dataclasses
from decimal import Decimal
from importlib import resources

from exact_policy import EXACT
from hypothesis import given
from hypothesis import strategies as st

from heldout_policy.atoms import Released, SetName
from heldout_policy.mechanism import Side, TableKind, plan_tables
from heldout_policy.release_policy import parse_release_policy
from heldout_policy.shortage import EpochSizes, SmallGroup, find_shortage

DEFAULT = parse_release_policy(resources.files("heldout_policy").joinpath("defaults/release.toml").read_text())
WITHOUT_NOISE = parse_release_policy(EXACT)


def short_of(policy, harmful, benign):
    return find_shortage(policy, EpochSizes(harmful=harmful, benign=benign))


def test_a_category_and_a_side_that_are_too_small_say_how_many_more_they_take():
    found = short_of(DEFAULT, {"tricks": 29, "skips": 5, "plots": 30}, 12)
    assert found.groups == (
        SmallGroup(side=Side.BENIGN, units=12, short=18),
        SmallGroup(side=Side.HARMFUL, category="skips", units=5, short=25),
        SmallGroup(side=Side.HARMFUL, category="tricks", units=29, short=1),
    )
    assert (found.minimum_units, found.shows_nothing) == (30, False)


def test_a_category_that_would_leave_too_few_over_is_withheld_with_the_small_one():
    found = short_of(DEFAULT, {"fibs": 36, "shortcuts": 36, "snooping": 12}, 30)
    assert found.groups == (
        SmallGroup(side=Side.HARMFUL, category="shortcuts", units=36, short=18, rest=12),
        SmallGroup(side=Side.HARMFUL, category="snooping", units=12, short=18),
    )


def test_of_a_side_that_is_too_small_the_whole_alone_is_named():
    found = short_of(DEFAULT, {"tricks": 20, "skips": 8}, 0)
    assert [(group.side, group.category, group.short) for group in found.groups] == [
        (Side.HARMFUL, "", 2),
        (Side.BENIGN, "", 30),
    ]
    assert found.shows_nothing


def test_a_table_that_the_policy_does_not_publish_is_not_spoken_of():
    quiet = dataclasses.replace(DEFAULT, benign=dataclasses.replace(DEFAULT.benign, over_refusal=Decimal(0)))
    quiet = dataclasses.replace(quiet, harmful=dataclasses.replace(quiet.harmful, category=Decimal(0)))
    assert short_of(quiet, {"tricks": 29, "skips": 5}, 0).groups == ()
    assert short_of(quiet, {}, 100).shows_nothing


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 40)),
    st.integers(0, 40),
    st.sampled_from((DEFAULT, WITHOUT_NOISE)),
)
def test_a_release_withholds_just_what_was_foretold(harmful, benign, policy):
    """Against the mechanism and the atoms themselves: rows of a full release over such members."""
    members = [_Unit(f"{name}{n}", Side.HARMFUL, name) for name, units in harmful.items() for n in range(units)]
    members += [_Unit(f"benign{n}", Side.BENIGN, "x") for n in range(benign)]
    tables = plan_tables(
        policy, release_number=policy.full_every, techniques=["plain"], stacks=[["a", "b"]], members=members
    )
    rows = [(table.kind, row) for table in tables for row in table.rows]
    offered = {}
    for kind, row in rows:
        side = Side.BENIGN if kind is TableKind.OVER_REFUSAL else Side.HARMFUL
        category = row.key if kind is TableKind.CATEGORY else ""
        name = SetName(epoch_id="epoch-1", side=side, category=category)
        offered[name] = frozenset(one.unit for one in members if one.intent == side and category in {"", one.category})
    _, withheld = Released().admit(offered, minimum=policy.minimum_units_per_cell)
    found = short_of(policy, harmful, benign)
    assert found.shows_nothing == (withheld == offered.keys())
    sides = {group.side for group in found.groups if not group.category}
    categories = {group.category for group in found.groups if group.category}
    for name in offered:
        assert (name in withheld) == (name.side in sides or name.category in categories)


@dataclasses.dataclass
class _Unit:
    unit: str
    intent: str
    category: str
