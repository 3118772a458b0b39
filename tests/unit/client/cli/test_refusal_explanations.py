"""Why a tester's command was not done, said from what that tester may see anyway."""

import pytest

from heldout import errors
from heldout_proto.v1 import checkpoint_pb2, evaluation_pb2, findings_pb2

RUN = evaluation_pb2.Run(
    run_id="run-1",
    state=evaluation_pb2.RUN_STATE_PUBLISHED,
    tested=findings_pb2.TestedSystem(checkpoint="v1", line="nova", trust=findings_pb2.TRUST_CLASS_CONTAINED),
    techniques=["plain"],
    manifest_digest="a" * 64,
    planned_trials=12,
)
UNTOLD = errors.WrongState("not in this state", reason="WRONG_STATE")
METHODS = {"start": "StartRun", "approve": "ApproveRun", "cancel": "CancelRun"}


@pytest.fixture
def runs(heldout):
    heldout.appliance.answers |= dict.fromkeys((*METHODS.values(), "ProposeRun", "PreflightCheckpoint"), UNTOLD)
    heldout.appliance.answers["GetRun"] = evaluation_pb2.GetRunResponse(run=RUN)
    return heldout


@pytest.mark.parametrize("verb", METHODS)
def test_a_run_that_is_past_it_is_named_with_its_state(runs, verb):
    assert runs("run", verb, "run-1", code=1) == f"heldout: run-1 is published: it is too late to {verb} it\n"


@pytest.mark.parametrize("verb", METHODS)
def test_an_exact_reason_stands_as_it_is(runs, verb):
    exact = errors.WrongState("the run is not proposed any more (not_proposed)", reason="NOT_PROPOSED")
    runs.appliance.answers[METHODS[verb]] = exact
    assert runs("run", verb, "run-1", code=1) == f"heldout: {exact}\n"


def test_nothing_is_made_up_of_a_run_in_the_right_state(runs):
    running = evaluation_pb2.Run()
    running.CopyFrom(RUN)
    running.state = evaluation_pb2.RUN_STATE_RUNNING
    runs.appliance.answers["GetRun"] = evaluation_pb2.GetRunResponse(run=running)
    assert runs("run", "cancel", "run-1", code=1) == "heldout: not in this state\n"


@pytest.mark.parametrize("command", [("run", "propose", "v1"), ("run", "preflight", "v1")])
@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"state": "REFUSED", "reason": "pickle"}, "v1 was refused (pickle): heldout checkpoints"),
        ({"state": "STAGED", "reason": "no_runtime", "digest": "a" * 64}, "v1 cannot run (no_runtime): heldout"),
    ],
)
def test_a_checkpoint_is_explained_by_what_the_list_shows(runs, command, known, said):
    state = checkpoint_pb2.CheckpointState.Value(f"CHECKPOINT_STATE_{known['state']}")
    listed = checkpoint_pb2.Checkpoint(name="v1", sequence=1, noticed_s=60, **known | {"state": state})
    runs.appliance.answers["ListCheckpoints"] = checkpoint_pb2.ListCheckpointsResponse(checkpoints=[listed])
    assert said in runs(*command, code=1)


def test_what_the_list_does_not_show_is_what_is_left(runs):
    staged = checkpoint_pb2.Checkpoint(name="v1", state=checkpoint_pb2.CHECKPOINT_STATE_STAGED, digest="a" * 64)
    runs.appliance.answers["ListCheckpoints"] = checkpoint_pb2.ListCheckpointsResponse(checkpoints=[staged])
    assert "no epoch is open, or an exposed runtime serves v1" in runs("run", "propose", "v1", code=1)
    assert runs("run", "preflight", "v1", code=1) == "heldout: not in this state\n"


def test_the_list_says_where_and_what_to_change(heldout):
    def listed(name, state, reason="", **rest):
        return checkpoint_pb2.Checkpoint(name=name, state=state, reason=reason, noticed_s=60, **rest)

    refused, staged = checkpoint_pb2.CHECKPOINT_STATE_REFUSED, checkpoint_pb2.CHECKPOINT_STATE_STAGED
    waiting = checkpoint_pb2.CHECKPOINT_STATE_WAITING
    heldout.appliance.answers["ListCheckpoints"] = checkpoint_pb2.ListCheckpointsResponse(
        checkpoints=[
            listed("v1", refused, "manifest_invalid", detail="unknown_key.line-3"),
            listed("v2", refused, "manifest_invalid", detail="missing.key-runtime"),
            listed("v3", refused, "pickle_name", detail="file-2.ending-bin"),
            listed("refused-4", refused, "bad_name"),
            listed("v5", staged, "no_runtime", digest="a" * 64),
            listed("v6", waiting, "no_marker"),
        ]
    )
    out = " ".join(heldout("checkpoints").split())
    assert "v1: checkpoint.toml line 3 has a key that is not known; name, line, runtime" in out
    assert "v2: checkpoint.toml: runtime is missing" in out
    assert "v3: file 2, a .bin, in the order of their paths" in out
    assert "a name such as refused-4 stands in for one that is no identifier" in out
    assert "no_runtime: nothing here serves the engine" in out
    assert "no_marker: READY is not in the folder" in out
    assert "v6 waiting 1970-01-01 00:01 no_marker" in out
    assert heldout.json("checkpoints")[2]["detail"] == "file-2.ending-bin"
