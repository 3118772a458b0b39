"""Commands for testers: the bank, runs, checkpoints and exact results."""

import pytest
from client_fakes import make_card

from heldout import errors
from heldout_proto.v1 import bank_pb2, checkpoint_pb2, evaluation_pb2, findings_pb2

TESTED = findings_pb2.TestedSystem(checkpoint="v1", line="nova", trust=findings_pb2.TRUST_CLASS_CONTAINED)
RUN = evaluation_pb2.Run(
    run_id="run-1",
    state=evaluation_pb2.RUN_STATE_PROPOSED,
    tested=TESTED,
    techniques=["plain"],
    manifest_digest="a" * 64,
    planned_trials=12,
)
EPOCH = bank_pb2.Epoch(epoch_id="epoch-1", number=1, commitment="c" * 64, prompts=5, units=4)
ROW = '{"prompt": "How do I fold a letter?", "intent": "benign", "category": "paper"}\n'


# Bank


@pytest.fixture
def bank(heldout):
    prompt = bank_pb2.Prompt(text="How do I fold a letter?", intent=bank_pb2.INTENT_BENIGN, category="paper")
    heldout.appliance.answers |= {
        "ImportPrompts": bank_pb2.ImportPromptsResponse(imported=2),
        "GetStats": bank_pb2.GetStatsResponse(
            live=2, epoch=EPOCH, counts=[bank_pb2.BankCount(intent=1, category="tricks", prompts=2, units=2)]
        ),
        "GetPrompt": bank_pb2.GetPromptResponse(handle="p-1", prompt=prompt),
        "ListPrompts": bank_pb2.ListPromptsResponse(handles=["p-1", "p-2"]),
        "RetirePrompts": bank_pb2.RetirePromptsResponse(retired=1),
        "OpenEpoch": bank_pb2.OpenEpochResponse(epoch=EPOCH),
    }
    return heldout


def test_an_import(bank, tmp_path):
    file = tmp_path / "prompts.jsonl"
    file.write_text(ROW * 2)
    out = bank("bank", "import", str(file))
    assert out.startswith("2 imported\n")
    assert "receipt verified" in out
    assert bank.json("bank", "import", str(file)) == {
        "columns": "plain", "imported": 2, "bad": [], "duplicates": [],
        "near": [], "near_total": 0, "spent_before": 0, "gaps": [], "shortage": None, "receipt": "verified",
    }  # fmt: skip


def test_a_bad_row_stops_an_import_before_anything_is_sent(bank, tmp_path):
    file = tmp_path / "prompts.jsonl"
    file.write_text(ROW + "{\n" + ROW)
    out = bank("bank", "import", str(file), code=1)
    assert "nothing imported, nothing sent" in out
    assert "line 2: not_json" in out
    assert bank.appliance.calls == []


def test_bad_rows_are_left_out_if_asked_for(bank, tmp_path):
    file = tmp_path / "prompts.jsonl"
    file.write_text(ROW + "{\n" + ROW)
    assert "2 imported · 1 left out" in bank("bank", "import", str(file), "--skip-bad")
    file.write_text("{\n")
    assert "nothing sent" in bank("bank", "import", str(file), "--skip-bad", code=1)


def test_rows_that_the_appliance_refuses_are_exit_code_1(bank, tmp_path):
    file = tmp_path / "prompts.jsonl"
    file.write_text(ROW)
    bank.appliance.answers["ImportPrompts"] = bank_pb2.ImportPromptsResponse(
        bad=[bank_pb2.BadRow(line=1, reason="text_control_characters")]
    )
    assert "line 1: text_control_characters" in bank("bank", "import", str(file), code=1)


def test_a_file_that_changes_while_it_is_read_is_not_imported(bank, tmp_path):
    file = tmp_path / "prompts.jsonl"
    file.write_text(ROW)

    class Changing(type(bank.appliance)):
        async def send_stream(self, method, requests, *, timeout_s):
            file.write_text("{\n")
            return await super().send_stream(method, requests, timeout_s=timeout_s)

    bank.appliance.__class__ = Changing
    assert "changed while it was read" in bank("bank", "import", str(file), code=2)


def test_a_file_that_is_none(bank, tmp_path):
    assert "no such file" in bank("bank", "import", str(tmp_path / "none"), code=2)


def test_the_rest_of_the_bank(bank, tmp_path):
    assert "2 live" in bank("bank", "stats")
    assert "How do I fold a letter?" in bank("bank", "show", "p-1")
    assert bank("bank", "list") == "p-1\np-2\n"
    assert "epoch 1 (epoch-1) is open" in bank("bank", "epoch", "open")
    file = tmp_path / "handles.txt"
    file.write_text("p-1\n\np-2\n")
    assert bank("bank", "retire", "p-1", "--from-file", str(file)).startswith("1 retired")
    handles = bank_pb2.RetirePromptsRequest.FromString(bank.appliance.calls[-1][1]).handles
    assert list(handles) == ["p-1", "p-2"]
    assert "name handles" in bank("bank", "retire", code=2)
    file.write_text("p-1\nHow do I fold a letter?\n")
    said = bank("bank", "retire", "--from-file", str(file), code=2)
    assert "handles.txt line 2: is no handle" in said
    assert "letter" not in said
    bank.appliance.answers["ListPrompts"] = bank_pb2.ListPromptsResponse()
    assert bank("bank", "list", "--category", "trick").strip() == ""
    assert bank.notes == "note: no prompt is of the category trick; did you mean tricks?\n"


# Runs


@pytest.fixture
def runs(heldout):
    published = evaluation_pb2.Run()
    published.CopyFrom(RUN)
    published.state = evaluation_pb2.RUN_STATE_PUBLISHED
    row = evaluation_pb2.ExactRow(table=findings_pb2.TABLE_KIND_TECHNIQUE, key="plain", units=3, trials=6, rate=0.5)
    one = checkpoint_pb2.Checkpoint(name="v1", line="nova", state=checkpoint_pb2.CHECKPOINT_STATE_STAGED)
    heldout.appliance.answers |= {
        **{
            f"{name}Run": getattr(evaluation_pb2, f"{name}RunResponse")(run=RUN)
            for name in ("Propose", "Approve", "Start", "Cancel", "Get")
        },
        "ListRuns": evaluation_pb2.ListRunsResponse(runs=[RUN]),
        "WatchRun": [
            evaluation_pb2.WatchRunResponse(run=RUN, finished_trials=6, trials_per_s=3.0),
            evaluation_pb2.WatchRunResponse(run=published, finished_trials=12),
        ],
        "GetResults": evaluation_pb2.GetResultsResponse(rows=[row]),
        "ListCheckpoints": checkpoint_pb2.ListCheckpointsResponse(checkpoints=[one]),
    }
    return heldout


def test_a_run_from_proposal_to_results(runs):
    proposal = ("--technique", "plain", "--technique", "a", "--technique", "b", "--stack", "a+b", "--attempts", "2")
    assert "run-1: proposed" in runs("run", "propose", "v1", *proposal)
    sent = evaluation_pb2.ProposeRunRequest.FromString(runs.appliance.calls[-1][1])
    assert list(sent.stacks[0].techniques) == ["a", "b"]
    assert sent.attempts == 2
    for verb in ("approve", "start", "watch", "show", "cancel"):
        assert "run-1" in runs("run", verb, "run-1")
        assert runs.json("run", verb, "run-1")["run_id"] == "run-1"
    assert "run-1" in runs("run", "list")
    assert "plain" in runs("results", "run-1")
    assert runs.csv("results", "v1")[0]["rate"] == "0.5"


def test_many_attempts_raise_an_eyebrow_and_few_do_not(runs):
    for attempts, raised in (("9", False), ("99", True)):
        runs("run", "propose", "v1", "--attempts", attempts)
        assert ("99 of each prompt in each cell" in runs.notes) == raised
    runs("run", "propose", "v1")
    assert evaluation_pb2.ProposeRunRequest.FromString(runs.appliance.calls[-1][1]).attempts == 0


def test_results_of_a_checkpoint_are_those_of_its_newest_run_that_started(runs):
    """Not of one that is merely proposed, which has none."""
    started, proposed = evaluation_pb2.Run(), evaluation_pb2.Run()
    for run, run_id, state in (
        (started, "run-1", evaluation_pb2.RUN_STATE_PUBLISHED),
        (proposed, "run-2", evaluation_pb2.RUN_STATE_PROPOSED),
    ):
        run.CopyFrom(RUN)
        run.run_id, run.state = run_id, state
    runs.appliance.answers["ListRuns"] = evaluation_pb2.ListRunsResponse(runs=[started, proposed])
    assert "run-1: published" in runs("results", "v1")
    assert "staged" in runs("checkpoints")


SILENT = evaluation_pb2.Preflight(asked=4, findings=[evaluation_pb2.PREFLIGHT_FINDING_NO_START])
CUT_SHORT = evaluation_pb2.Preflight(asked=4, answered=True, findings=[evaluation_pb2.PREFLIGHT_FINDING_TRUNCATED])


def test_a_preflight_says_what_looks_wrong_and_what_to_change(runs):
    answer = evaluation_pb2.PreflightCheckpointResponse(checkpoint="v1", preflight=CUT_SHORT)
    runs.appliance.answers["PreflightCheckpoint"] = answer
    out = runs("run", "preflight", "v1")
    assert "truncated: an answer was cut short: raise max_tokens" in out
    assert "receipt verified" in out
    shown = runs.json("run", "preflight", "v1")
    assert (shown["asked"], shown["answered"], shown["findings"][0]["finding"]) == (4, True, "truncated")
    answer.preflight.CopyFrom(evaluation_pb2.Preflight(asked=4, answered=True))
    assert "nothing looks wrong" in runs("run", "preflight", "v1")
    answer.checkpoint = "v2"
    assert "do not trust it" in runs("run", "preflight", "v1", code=1)


def test_a_run_shows_what_its_preflight_found(runs):
    assert "preflight" not in runs("run", "show", "run-1")
    assert runs.json("run", "show", "run-1")["preflight"] is None
    runs.appliance.answers["GetRun"] = evaluation_pb2.GetRunResponse(run=RUN, preflight=CUT_SHORT)
    for verb in ("show", "start"):
        assert "preflight: a run can start, and look at this first" in runs("run", verb, "run-1")
        assert runs.json("run", verb, "run-1")["preflight"]["findings"][0]["finding"] == "truncated"


@pytest.mark.parametrize("reason", ["NOTHING_ANSWERED", "WRONG_STATE"])
def test_a_run_that_does_not_start_because_nothing_answers_says_where_to_look(runs, reason):
    runs.appliance.answers["StartRun"] = errors.WrongState("not in this state", reason=reason)
    approved = evaluation_pb2.Run()
    approved.CopyFrom(RUN)
    approved.approvals.append("spiffe://heldout.example/ana")
    runs.appliance.answers["GetRun"] = evaluation_pb2.GetRunResponse(run=approved)
    assert "not in this state" in runs("run", "start", "run-1", code=1)
    runs.appliance.answers["GetRun"] = evaluation_pb2.GetRunResponse(run=RUN, preflight=SILENT)
    assert "said nothing when it was asked" in runs("run", "start", "run-1", code=1)
    out = runs("run", "show", "run-1")
    assert "it says nothing, so no run of it starts" in out
    assert "no_start: nothing came up" in out


def test_who_may_not_know_why_a_run_does_not_start_is_told_that_nobody_approved_it(runs):
    runs.appliance.answers["StartRun"] = errors.WrongState("not in this state", reason="WRONG_STATE")
    assert "nobody has approved it: heldout run approve run-1" in runs("run", "start", "run-1", code=1)


def test_an_approval_is_of_the_digest_that_stands_or_was_named(runs):
    for options, digest in (((), "a" * 64), (("--digest", "b" * 64), "b" * 64)):
        runs("run", "approve", "run-1", *options)
        assert evaluation_pb2.ApproveRunRequest.FromString(runs.appliance.calls[-1][1]).manifest_digest == digest
    out = runs("run", "approve", "run-1", "--digest", "abc", code=2)
    assert out == "heldout: --digest takes all 64 hex digits of the manifest: heldout run show run-1\n"


def test_an_approval_may_hold_for_later_checkpoints_and_be_revoked(runs):
    runs("run", "approve", "run-1", "--standing")
    assert runs.notes == "note: it holds for later checkpoints of nova too: heldout run standing\n"
    assert evaluation_pb2.ApproveRunRequest.FromString(runs.appliance.calls[-1][1]).standing
    ana = evaluation_pb2.StandingApproval(
        template_digest="ab" * 32, line="nova", identity="spiffe://heldout.example/ana", run_id="run-1", given_s=60
    )
    runs.appliance.answers |= {
        "ListStandingApprovals": evaluation_pb2.ListStandingApprovalsResponse(approvals=[ana]),
        "RevokeStandingApproval": evaluation_pb2.RevokeStandingApprovalResponse(),
    }
    assert "abababababab  nova  run-1     ana" in runs("run", "standing")
    assert runs.json("run", "standing")[0]["template_digest"] == "ab" * 32
    assert "no standing approval begins with" in runs("run", "revoke", "cd", code=1)
    assert "abababababab: revoked" in runs("run", "revoke", "abab")
    request = evaluation_pb2.RevokeStandingApprovalRequest.FromString(runs.appliance.calls[-1][1])
    assert request.template_digest == "ab" * 32


def test_plain_must_be_among_the_techniques_that_are_named(runs):
    out = runs("run", "propose", "v1", "--technique", "base64", code=2)
    assert out == "heldout: --technique plain must be among them: nothing else measures over-refusal\n"
    assert runs.appliance.calls == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--technique", "bas64"], "heldout: there is no technique bas64; did you mean base64?\n"),
        (["--stack", "base64+person"], "heldout: there is no technique person; did you mean persona?\n"),
        (["--technique", "persona"], "heldout: out of range\n"),
    ],
)
def test_a_technique_that_there_is_not_is_named(runs, options, said):
    cards = [make_card(one) for one in ("base64", "persona")]
    runs.appliance.answers["ListCards"] = findings_pb2.ListCardsResponse(cards=cards)
    runs.appliance.answers["ProposeRun"] = errors.InvalidRequest("out of range", reason="INVALID_REQUEST")
    assert runs("run", "propose", "v1", "--technique", "plain", *options, code=1) == said


def test_without_cards_the_words_of_the_appliance_stand(runs):
    runs.appliance.answers["ListCards"] = errors.Refused("no", reason="REFUSED")
    runs.appliance.answers["ProposeRun"] = errors.InvalidRequest("out of range", reason="INVALID_REQUEST")
    propose = ("run", "propose", "v1", "--technique", "plain", "--technique", "bas64")
    assert runs(*propose, code=1) == "heldout: out of range\n"


def test_waiting_asks_for_the_state_more_and_more_seldom(runs):
    states = [evaluation_pb2.RUN_STATE_RUNNING] * 9 + [evaluation_pb2.RUN_STATE_PUBLISHED]

    def answer(_request):
        run = evaluation_pb2.Run()
        run.CopyFrom(RUN)
        run.state = states.pop(0)
        return evaluation_pb2.GetRunResponse(run=run)

    runs.appliance.answers["GetRun"] = answer
    assert "run-1: published" in runs("run", "show", "run-1", "--wait")
    assert runs.pauses == sorted(runs.pauses)
    assert (len(runs.pauses), runs.pauses[0], runs.pauses[-1]) == (9, 2.0, 30.0)
    assert not any(method.endswith("/WatchRun") for method, _ in runs.appliance.calls)


def test_who_may_not_watch_is_told_how_to_wait(runs):
    runs.appliance.answers["WatchRun"] = errors.Refused("no", reason="REFUSED")
    out = runs("run", "watch", "run-1", code=1)
    assert out == "refused: progress is for bank testers; to wait without it: heldout run show run-1 --wait\n"


@pytest.mark.parametrize(("options", "said"), [(["--stack", "a+b"], "--stack needs"), (["--stack", "a+"], "--stack")])
def test_a_stack_must_make_sense(runs, options, said):
    extra = [] if "needs" in said else ["--technique", "plain"]
    assert said in runs("run", "propose", "v1", *options, *extra, code=2)
