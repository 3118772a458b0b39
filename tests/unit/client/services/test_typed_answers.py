"""From messages to frozen values, and back."""

import hashlib

import pytest
from client_fakes import FakeAppliance, make_card, make_release, to_message

from heldout.bank_model import Intent, Prompt, PromptRow
from heldout.errors import UnknownAnswer, VerificationError, WrongState
from heldout.findings import ScoreKind, TableKind, TrustClass
from heldout.services.batches import BATCH_ROWS
from heldout.services.checkpoints import CheckpointState
from heldout.services.paging import read_pages
from heldout.services.runs import RunState
from heldout_proto.v1 import audit_pb2, bank_pb2, checkpoint_pb2, evaluation_pb2, findings_pb2

TESTED = findings_pb2.TestedSystem(checkpoint="v1", line="nova", trust=findings_pb2.TRUST_CLASS_EXPOSED, attempts=2)
RUN = evaluation_pb2.Run(
    run_id="run-1",
    state=evaluation_pb2.RUN_STATE_PROPOSED,
    tested=TESTED,
    techniques=["plain", "base64"],
    stacks=[evaluation_pb2.Stack(techniques=["base64", "fiction"])],
    approvals=["spiffe://heldout.example/run-tester"],
    manifest_digest="a" * 64,
    planned_trials=12,
)
EPOCH = bank_pb2.Epoch(epoch_id="epoch-1", number=1, commitment="c" * 64, prompts=5, units=4)


def asked(appliance, name, kind):
    """Return the last request of a method."""
    return kind.FromString(next(body for method, body in reversed(appliance.calls) if method.endswith(f"/{name}")))


async def test_pages_are_read_to_their_end():
    def cards(request):
        token = findings_pb2.ListCardsRequest.FromString(request).page_token
        page = {"": ("base64", "1"), "1": ("persona", "2"), "2": ("", "")}[token]
        found = [make_card(page[0])] if page[0] else []
        return findings_pb2.ListCardsResponse(cards=found, next_page_token=page[1])

    appliance = FakeAppliance(answers={"ListCards": cards})
    assert [card.technique for card in await appliance.client().findings.cards()] == ["base64", "persona"]


async def test_pages_that_go_round_end_in_an_error():
    async def fetch(token):
        return ["x"], {"": "1", "1": "2", "2": "1"}[token]

    with pytest.raises(UnknownAnswer, match="does not end"):
        await read_pages(fetch)


async def test_scores_go_out_as_thousandths_and_come_back_as_points():
    stored = findings_pb2.Score(
        checkpoint="v1", kind=findings_pb2.SCORE_KIND_INTERNAL_SAFETY, benchmark="ours", value_milli=41_250
    )
    appliance = FakeAppliance(
        answers={
            "RecordScore": findings_pb2.RecordScoreResponse(),
            "ListScores": findings_pb2.ListScoresResponse(scores=[stored]),
        }
    )
    client = appliance.client()
    await client.findings.record_score("v1", benchmark="ours", value_milli=41_250, kind=ScoreKind.INTERNAL_SAFETY)
    assert asked(appliance, "RecordScore", findings_pb2.RecordScoreRequest).score == stored
    (score,) = await client.findings.scores()
    assert (score.kind, score.value) == (ScoreKind.INTERNAL_SAFETY, 41.25)


async def test_what_this_version_does_not_know_is_an_error_and_no_guess(appliance):
    message = to_message(make_release())
    message.tables[0].kind = 99
    appliance.publish(message)
    with pytest.raises(UnknownAnswer, match="table"):
        await appliance.client().findings.releases()


async def test_a_run_in_every_field():
    appliance = FakeAppliance(answers={"ProposeRun": evaluation_pb2.ProposeRunResponse(run=RUN)})
    run = await appliance.client().runs.propose(
        "v1", techniques=["plain", "base64"], stacks=[["base64", "fiction"]], attempts=2
    )
    request = asked(appliance, "ProposeRun", evaluation_pb2.ProposeRunRequest)
    assert (list(request.techniques), request.attempts) == (["plain", "base64"], 2)
    assert list(request.stacks[0].techniques) == ["base64", "fiction"]
    assert (run.state, run.stacks, run.planned_trials) == (RunState.PROPOSED, (("base64", "fiction"),), 12)
    assert run.tested.trust is TrustClass.EXPOSED


@pytest.mark.parametrize("verb", ["start", "cancel", "get"])
async def test_verbs_name_their_run(verb):
    name = {"start": "StartRun", "cancel": "CancelRun", "get": "GetRun"}[verb]
    appliance = FakeAppliance(answers={name: getattr(evaluation_pb2, f"{name}Response")(run=RUN)})
    run = await getattr(appliance.client().runs, verb)("run-1")
    assert run.run_id == "run-1"
    assert asked(appliance, name, getattr(evaluation_pb2, f"{name}Request")).run_id == "run-1"


async def test_an_approval_names_the_digest():
    appliance = FakeAppliance(answers={"ApproveRun": evaluation_pb2.ApproveRunResponse(run=RUN)})
    await appliance.client().runs.approve("run-1", manifest_digest="a" * 64)
    assert asked(appliance, "ApproveRun", evaluation_pb2.ApproveRunRequest).manifest_digest == "a" * 64


async def test_runs_and_results():
    row = evaluation_pb2.ExactRow(
        table=findings_pb2.TABLE_KIND_STACK, key="a+b", units=3, trials=6, rate=0.5, low=0.2, high=0.8, worst=0.6
    )
    appliance = FakeAppliance(
        answers={
            "ListRuns": evaluation_pb2.ListRunsResponse(runs=[RUN, RUN]),
            "GetResults": evaluation_pb2.GetResultsResponse(rows=[row]),
        }
    )
    assert len(await appliance.client().runs.list()) == 2
    (exact,) = await appliance.client().runs.results("run-1")
    assert (exact.table, exact.trials, exact.worst) == (TableKind.STACK, 6, 0.6)


async def test_checkpoints():
    one = checkpoint_pb2.Checkpoint(
        name="v1", sequence=1, state=checkpoint_pb2.CHECKPOINT_STATE_REFUSED, reason="symlink"
    )
    appliance = FakeAppliance(answers={"ListCheckpoints": checkpoint_pb2.ListCheckpointsResponse(checkpoints=[one])})
    (checkpoint,) = await appliance.client().checkpoints.list()
    assert (checkpoint.state, checkpoint.reason) == (CheckpointState.REFUSED, "symlink")


def prompts(count, text="How do I fold a letter?"):
    return [PromptRow(n, Prompt(text=text, intent=Intent.BENIGN, category="paper")) for n in range(1, count + 1)]


async def sent_by_import(rows, **options):
    bodies = []

    class Recording(FakeAppliance):
        async def send_stream(self, method, requests, *, timeout_s):
            bodies.extend([request async for request in requests])
            return self._answer(method, b"", timeout_s)

    answer = bank_pb2.ImportPromptsResponse(imported=1, bad=[bank_pb2.BadRow(line=2, reason="text_empty")])
    appliance = Recording(answers={"ImportPrompts": answer})
    report = await appliance.client().bank.import_prompts(rows, **options)
    return report, [bank_pb2.ImportPromptsRequest.FromString(body) for body in bodies]


async def test_an_import_sends_its_options_first_and_then_rows_in_batches():
    counted = []
    report, messages = await sent_by_import(prompts(BATCH_ROWS + 7), skip_bad=True, on_sent=counted.append)
    assert messages[0].options.skip_bad
    assert [len(message.rows) for message in messages] == [0, BATCH_ROWS, 7, 0] == [0, *counted, 0]
    assert [message.last for message in messages] == [False, False, False, True]
    assert messages[2].rows[-1].line == BATCH_ROWS + 7
    assert (report.imported, report.bad[0].reason) == (1, "text_empty")


async def test_rows_that_raise_are_never_said_to_be_all():
    def rows():
        yield from prompts(3)
        raise ValueError("bad row")

    bodies = []

    class Recording(FakeAppliance):
        async def send_stream(self, method, requests, *, timeout_s):
            while True:
                bodies.append(await anext(requests))

    with pytest.raises(ValueError, match="bad row"):
        await Recording().client().bank.import_prompts(rows())
    assert bodies
    assert not any(bank_pb2.ImportPromptsRequest.FromString(body).last for body in bodies)


async def test_long_prompts_make_smaller_batches():
    _, messages = await sent_by_import(prompts(40, text="x" * 65_536))
    assert max(message.ByteSize() for message in messages) < 2 << 20
    assert sum(len(message.rows) for message in messages) == 40


async def test_the_bank_in_every_field():
    prompt = bank_pb2.Prompt(text="Hi", intent=bank_pb2.INTENT_HARMFUL, category="x", language="en", tags=["a"])
    count = bank_pb2.BankCount(intent=bank_pb2.INTENT_BENIGN, category="x", prompts=3, units=2)
    appliance = FakeAppliance(
        answers={
            "GetPrompt": bank_pb2.GetPromptResponse(handle="p-1", prompt=prompt, retired=True),
            "ListPrompts": bank_pb2.ListPromptsResponse(handles=["p-1", "p-2"]),
            "GetStats": bank_pb2.GetStatsResponse(live=3, retired=1, waiting=2, counts=[count], epoch=EPOCH),
            "RetirePrompts": bank_pb2.RetirePromptsResponse(retired=2),
            "OpenEpoch": bank_pb2.OpenEpochResponse(epoch=EPOCH),
        }
    )
    bank = appliance.client().bank
    stored = await bank.prompt("p-1")
    assert (stored.prompt.intent, stored.prompt.tags, stored.retired) == (Intent.HARMFUL, ("a",), True)
    assert await bank.handles() == ("p-1", "p-2")
    stats = await bank.stats()
    assert (stats.live, stats.waiting, stats.counts[0].units, stats.epoch.number) == (3, 2, 2, 1)
    assert await bank.retire(["p-1", "p-2"]) == 2
    assert (await bank.open_epoch()).commitment == "c" * 64
    appliance.answers["GetStats"] = bank_pb2.GetStatsResponse()
    assert (await bank.stats()).epoch is None


async def test_an_epoch_that_is_not_opened_says_which_categories_and_which_prompts(appliance):
    hits = [bank_pb2.CardHit(rule=bank_pb2.CARD_RULE_WORD_RUNS, handle=f"p-{n}") for n in range(5)]
    encoded = bank_pb2.CardHit(rule=bank_pb2.CARD_RULE_TOO_MANY_READINGS)
    told = [
        bank_pb2.CategoryHit(category="how-tea-is-made", hits=hits),
        bank_pb2.CategoryHit(category="abc", hits=[encoded]),
    ]
    appliance.answers.update({"OpenEpoch": bank_pb2.OpenEpochResponse(categories=told)})
    named = r"how-tea-is-made \(p-0, p-1, p-2 and 2 more\); abc \(too-many-readings\)"
    with pytest.raises(WrongState, match=named) as said:
        await appliance.client().bank.open_epoch()
    assert said.value.reason == "CATEGORY_TELLS"


async def test_entries_are_read_in_pages_up_to_where_one_asked(appliance):
    log = appliance.logs["vault"]
    for n in range(8):
        log.add("event", "start", number=n)
    pages = [page async for page in appliance.client().audit.entries("vault", start=2, stop=7)]
    assert [leaf for page in pages for leaf in page.entries] == log.leaves[2:7]
    assert [page.start for page in pages] == [2, 5]


async def test_a_log_that_gives_out_less_than_it_signed_for_is_an_error(appliance):
    appliance.answers["ListEntries"] = audit_pb2.ListEntriesResponse()
    with pytest.raises(VerificationError, match="signed for 5"):
        [page async for page in appliance.client().audit.entries("vault", start=0, stop=5)]


async def test_a_head_must_be_signed_by_the_log_that_was_asked_for(appliance):
    appliance.logs["vault"].add("event", "start")
    head = await appliance.client().audit.head("vault")
    assert (head.head.origin, head.head.size) == ("lab/vault", 1)
    other = appliance.logs["window"].checkpoint(0)
    appliance.answers["GetTreeHead"] = audit_pb2.GetTreeHeadResponse(checkpoint=other)
    with pytest.raises(VerificationError):
        await appliance.client().audit.head("vault")


async def test_proofs_and_policy():
    document = b"bits_per_prompt = 8\n"
    appliance = FakeAppliance(
        answers={
            "GetConsistencyProof": audit_pb2.GetConsistencyProofResponse(hashes=[b"h" * 32]),
            "GetPolicy": audit_pb2.GetPolicyResponse(
                release_toml=document, policy_digest=hashlib.sha256(document).hexdigest()
            ),
        }
    )
    audit = appliance.client().audit
    assert await audit.consistency_proof("window", old_size=1, new_size=2) == (b"h" * 32,)
    assert (await audit.policy()).release_toml == document
    appliance.answers["GetPolicy"].policy_digest = "0" * 64
    with pytest.raises(VerificationError, match="policy"):
        await audit.policy()
