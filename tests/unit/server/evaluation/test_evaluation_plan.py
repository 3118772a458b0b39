"""The plan numbers every trial once, the same way each time."""

from __future__ import annotations

import itertools

import pytest
from evaluation_fakes import manifest_of, member, members_of
from hypothesis import given
from hypothesis import strategies as st

from heldout_server.domain import Intent
from heldout_server.errors import InvalidRequest
from heldout_server.evaluation.plan import Plan, Trial, trial_seed

intents = st.lists(st.sampled_from(Intent), min_size=0, max_size=12)
techniques = st.permutations(["plain", "base64", "persona"]).flatmap(
    lambda names: st.integers(1, 3).map(lambda size: tuple(dict.fromkeys(["plain", *names][:size])))
)
stack_counts = st.integers(0, 2)
attempts = st.integers(1, 3)


def plan_of(intents, techniques, stacks, attempts):
    members = tuple(member(position, intent) for position, intent in enumerate(intents))
    pairs = (("base64", "persona"), ("persona", "base64"))[:stacks]
    return Plan(manifest_of(techniques, pairs, attempts), members), members


@given(intents, techniques, stack_counts, attempts)
def test_numbers_and_trials_are_one_to_one(intents, techniques, stacks, attempts):
    plan, _ = plan_of(intents, techniques, stacks, attempts)
    trials = list(plan.trials())
    assert [trial.number for trial in trials] == list(range(len(plan)))
    for trial in trials:
        assert plan.number(position=trial.position, cell=trial.cell, attempt=trial.attempt) == trial.number


@given(intents, techniques, stack_counts, attempts)
def test_harmful_members_meet_every_cell_and_benign_ones_only_plain(intents, techniques, stacks, attempts):
    plan, members = plan_of(intents, techniques, stacks, attempts)
    plain = techniques.index("plain")
    for each in members:
        met = [(trial.cell, trial.attempt) for trial in plan.trials() if trial.position == each.position]
        cells = [plain] if each.intent is Intent.BENIGN else range(len(techniques) + stacks)
        assert met == list(itertools.product(cells, range(attempts)))


@given(intents, techniques, st.data())
def test_a_slice_of_members_is_a_slice_of_the_numbers(intents, techniques, data):
    plan, _ = plan_of(intents, techniques, 1, 2)
    start = data.draw(st.integers(0, plan.members))
    stop = data.draw(st.integers(start, plan.members))
    assert [trial.number for trial in plan.trials(start=start, stop=stop)] == list(plan.span(start=start, stop=stop))


def test_the_order_is_members_then_cells_then_attempts():
    plan = Plan(manifest_of(("plain", "base64"), (("base64", "persona"),), attempts=2), members_of(1, 1))
    assert plan.cells == ((), ("base64",), ("base64", "persona"))
    trials = list(plan.trials())
    assert trials[3] == Trial(3, 0, 1, 1)
    assert trials[7] == Trial(7, 1, 0, 1)
    assert len(trials) == len(plan) == 8


def test_a_manifest_without_plain_is_refused():
    with pytest.raises(InvalidRequest) as refused:
        Plan(manifest_of(("base64",)), members_of(1))
    assert refused.value.reason == "NO_PLAIN_CELL"


@pytest.mark.parametrize(
    ("position", "cell", "attempt"), [(1, 1, 0), (2, 0, 0), (0, 2, 0), (0, 0, 1), (-1, 0, 0), (0, -1, 0)]
)
def test_a_trial_outside_the_plan_has_no_number(position, cell, attempt):
    with pytest.raises(InvalidRequest):
        Plan(manifest_of(), members_of(1, 1)).number(position=position, cell=cell, attempt=attempt)


def test_trials_are_made_lazily():
    """A thousand million trials cost nothing until they are asked for."""
    plan = Plan(manifest_of(attempts=10**6), members_of(500))
    assert len(plan) == 10**9
    assert [trial.number for trial in itertools.islice(plan.trials(), 3)] == [0, 1, 2]
    assert plan.number(position=499, cell=1, attempt=10**6 - 1) == 10**9 - 1


def test_seeds_follow_from_the_epoch_and_the_place_alone():
    """Two checkpoints over one epoch are sent the same texts, whatever else the two plans hold."""
    small, large = manifest_of(), manifest_of(("plain", "persona", "base64"), checkpoint="nova-v2")
    seeds = {}
    for manifest in (small, large):
        plan = Plan(manifest, members_of(100))
        for trial in plan.trials():
            cell = plan.cells[trial.cell]
            seed = trial_seed(manifest, trial, cell)
            assert seeds.setdefault((trial.position, cell, trial.attempt), seed) == seed
            assert 0 <= seed < 2**31
    assert len(set(seeds.values())) == len(seeds) == 300
    another = manifest_of(epoch_commitment="0" * 64)
    assert trial_seed(another, Trial(0, 0, 0, 0), ()) != seeds[0, (), 0]


def test_attempts_at_one_prompt_have_different_seeds():
    manifest = manifest_of(attempts=5)
    assert len({trial_seed(manifest, Trial(attempt, 0, 0, attempt), ()) for attempt in range(5)}) == 5
