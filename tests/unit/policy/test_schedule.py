"""Slots follow from plan, deadlines and queue, and from nothing else."""

import dataclasses
from importlib import resources

from hypothesis import given
from hypothesis import strategies as st

from heldout_policy.explanation import explain
from heldout_policy.release_policy import parse_release_policy
from heldout_policy.schedule import STRIKES, Schedule, run_time_s

POLICY = parse_release_policy(
    resources.files("heldout_policy").joinpath("defaults", "release.toml").read_text(encoding="utf-8")
)
HOURLY = Schedule(slot_s=3600)


def says(schedule: Schedule) -> str:
    return " ".join(dict(explain(dataclasses.replace(POLICY, schedule=schedule)))["When"])


def test_a_run_has_a_deadline_for_each_trial_and_three_more_for_each_unit():
    assert run_time_s(trials=1000, units=100, width=64, deadline_s=30.0, start_s=10.0) == 10 + 30 * (16 + STRIKES * 100)


def test_a_run_publishes_at_the_first_slot_that_leaves_it_all_of_its_time():
    assert HOURLY.plan_slot(now_s=7_000.0, run_s=100.0, latest_s=0) == 7_200
    assert HOURLY.plan_slot(now_s=7_000.0, run_s=170.0, latest_s=0) == 7_200
    assert HOURLY.plan_slot(now_s=7_000.0, run_s=171.0, latest_s=0) == 10_800, "30 s of a slot are for its end"
    assert HOURLY.plan_slot(now_s=7_000.0, run_s=10_000.0, latest_s=0) == 18_000


def test_runs_that_are_started_together_get_slots_one_after_another():
    first = HOURLY.plan_slot(now_s=7_000.0, run_s=4_000.0, latest_s=0)
    second = HOURLY.plan_slot(now_s=7_000.0, run_s=4_000.0, latest_s=first)
    third = HOURLY.plan_slot(now_s=7_000.0, run_s=4_000.0, latest_s=second)
    assert (first, second, third) == (14_400, 21_600, 28_800)
    assert HOURLY.plan_slot(now_s=50_000.0, run_s=100.0, latest_s=third) == 50_400, (
        "a queue that is past counts no more"
    )


@given(
    slot_s=st.integers(1, 604_800),
    now_s=st.floats(0, 4e9),
    run_s=st.floats(0, 1e6),
    ahead_s=st.integers(-10, 10),
)
def test_a_slot_is_a_whole_number_of_steps_after_every_other_and_leaves_the_run_its_time(slot_s, now_s, run_s, ahead_s):
    schedule = Schedule(slot_s=slot_s)
    latest_s = max(0, schedule.next_slot(now_s) + ahead_s * slot_s)
    slot = schedule.plan_slot(now_s=now_s, run_s=run_s, latest_s=latest_s)
    assert slot % slot_s == 0
    assert slot > latest_s
    assert slot - schedule.closing_s >= max(now_s, latest_s) + run_s - 1e-3
    assert schedule.last_slot(slot) == slot == schedule.next_slot(slot)
    assert schedule.last_slot(slot + slot_s / 2) == slot


def test_without_slots_nothing_is_planned():
    schedule = Schedule(slot_s=0)
    assert schedule.plan_slot(now_s=7_000.0, run_s=100.0, latest_s=9_000) == 0
    assert schedule.last_slot(7_000.9) == 7_000


def test_the_policy_says_in_plain_words_when_releases_come():
    assert "at a slot, every hour counted from 1970-01-01 00:00 UTC" in says(HOURLY)
    assert "every 2 days counted" in says(Schedule(slot_s=172_800))
    assert "every 90 seconds counted" in says(Schedule(slot_s=90))
    assert "FOR DEVELOPMENT" in says(Schedule(slot_s=0))
    assert "FOR DEVELOPMENT" not in says(HOURLY)
