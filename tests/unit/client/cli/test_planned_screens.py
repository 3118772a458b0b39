"""A run that has a slot says when it publishes, and nothing of how far it is; why it pauses, a bank tester is told."""

import pytest

from heldout_proto.v1 import evaluation_pb2, findings_pb2

SLOT_S = 1_795_617_000  # 2026-11-25 14:30 UTC


@pytest.fixture
def planned(heldout):
    run = evaluation_pb2.Run(
        run_id="run-1",
        state=evaluation_pb2.RUN_STATE_RUNNING,
        tested=findings_pb2.TestedSystem(checkpoint="v1", line="nova", trust=findings_pb2.TRUST_CLASS_CONTAINED),
        techniques=["plain"],
        manifest_digest="a" * 64,
        planned_trials=12,
        release_number=1,
        publishes_s=SLOT_S,
        planned_time_percent=40,
    )
    proposed = evaluation_pb2.Run()
    proposed.CopyFrom(run)
    proposed.MergeFrom(evaluation_pb2.Run(run_id="run-2", state=evaluation_pb2.RUN_STATE_PROPOSED))
    proposed.ClearField("publishes_s")
    fault = "ZeroDivisionError heldout_server.judges.patterns:12"
    progress = {"run": run, "finished_trials": 6}
    heldout.appliance.answers |= {
        "GetRun": evaluation_pb2.GetRunResponse(run=run),
        "ListRuns": evaluation_pb2.ListRunsResponse(runs=[run, proposed]),
        "WatchRun": [
            evaluation_pb2.WatchRunResponse(**progress),
            evaluation_pb2.WatchRunResponse(**progress, paused="ENDPOINT_UNAVAILABLE", faults=[fault]),
            evaluation_pb2.WatchRunResponse(**progress, paused="ENDPOINT_UNAVAILABLE", faults=[fault]),
            evaluation_pb2.WatchRunResponse(**progress, faults=[fault]),
        ],
    }
    return heldout


def test_a_run_says_when_it_publishes_and_how_much_of_its_planned_time_has_passed(planned):
    assert "about 40 % of its planned time · publishes at 2026-11-25 14:30 UTC" in planned("run", "show", "run-1")
    shown = planned.json("run", "show", "run-1")
    assert (shown["publishes_s"], shown["planned_time_percent"]) == (SLOT_S, 40)


def told_before_its_start(heldout, publishes_s):
    run = evaluation_pb2.Run(
        run_id="run-1",
        state=evaluation_pb2.RUN_STATE_PROPOSED,
        tested=findings_pb2.TestedSystem(checkpoint="v1", line="nova", trust=findings_pb2.TRUST_CLASS_CONTAINED),
        techniques=["plain"],
        manifest_digest="a" * 64,
        planned_trials=12_700,
    )
    given = evaluation_pb2.PlannedTime(
        publishes_s=publishes_s, run_s=41_970, width=64, units=400, deadline_ms=30_000, start_s=600
    )
    heldout.appliance.answers["GetRun"] = evaluation_pb2.GetRunResponse(run=run, planned=given)
    return " ".join(heldout("run", "show", "run-1").split())


def test_a_proposed_run_says_when_it_would_publish_and_why(heldout):
    said = told_before_its_start(heldout, SLOT_S)
    assert (
        "started now it publishes at 2026-11-25 14:30 UTC, whatever the checkpoint does: 11 h 40 min are kept" in said
    )
    assert "12,700 trials, 64 at a time, and 3 more of each of 400 units alone, 30 s each, 10 min to come up" in said
    assert heldout.json("run", "show", "run-1")["planned"]["run_s"] == 41_970


def test_a_proposed_run_under_a_policy_without_slots_says_what_its_moment_will_tell(heldout):
    assert "it publishes when it is complete: the moment tells how long it took" in told_before_its_start(heldout, 0)


def test_a_list_with_slots_tells_them_in_the_place_of_creation(planned):
    header, first, second, *_ = planned("run", "list").splitlines()
    assert header.split() == ["run", "checkpoint", "state", "release", "publishes"]
    assert first.endswith("2026-11-25 14:30 UTC")
    assert "UTC" not in second


def test_a_watch_says_once_why_nothing_is_tried_and_each_fault_once(planned):
    planned("run", "watch", "run-1")
    assert planned.notes.count("paused: ENDPOINT_UNAVAILABLE") == 1
    assert planned.notes.count("ZeroDivisionError") == 1
