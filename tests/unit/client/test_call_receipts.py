"""No answer is believed without its receipt."""

import dataclasses

import pytest
from client_fakes import IDENTITY, FakeAppliance, make_release, to_message

from heldout.bank_model import Intent, Prompt, PromptRow
from heldout.errors import VerificationError
from heldout.transport import Answer
from heldout_proto.v1 import bank_pb2, evaluation_pb2, findings_pb2

BUDGET = findings_pb2.GetBudgetResponse(budget=findings_pb2.Budget(epoch_id="epoch-1", releases_used=2))


def with_budget(**options):
    return FakeAppliance(answers={"GetBudget": BUDGET}, **options)


async def test_an_answer_with_its_receipt_is_returned():
    budget = await with_budget().client().findings.budget()
    assert (budget.epoch_id, budget.releases_used) == ("epoch-1", 2)


async def test_calls_have_the_deadline_of_the_contract():
    appliance = with_budget()
    await appliance.client().findings.budget()
    assert appliance.timeouts == {"/heldout.v1.FindingsService/GetBudget": 5.0}


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        (lambda answer: Answer(answer.body, None), "without a receipt"),
        (lambda answer: Answer(answer.body, b"\xff\xff\xff"), "malformed"),
        (lambda answer: Answer(answer.body + b"\x0a\x00", answer.receipt), "response_sha256"),
        (lambda answer: Answer(None, answer.receipt), "response_sha256"),
        (lambda answer: Answer(answer.body, answer.receipt[:-1] + b"x"), "response_sha256"),
    ],
    ids=["missing", "malformed", "other bytes", "no bytes", "other salt"],
)
async def test_a_missing_or_wrong_receipt_is_an_error(alter, said):
    with pytest.raises(VerificationError, match=said):
        await with_budget(alter=alter).client().findings.budget()


async def test_a_receipt_of_another_log_is_an_error():
    appliance = with_budget()
    client = appliance.client()
    appliance.logs["window"] = FakeAppliance().logs["vault"]
    with pytest.raises(VerificationError):
        await client.findings.budget()


async def test_a_receipt_of_another_caller_is_an_error():
    appliance = with_budget(identity="spiffe://heldout.example/auditor")
    with pytest.raises(VerificationError, match="another call"):
        await appliance.client().findings.budget()
    assert appliance.identity != IDENTITY


async def test_a_receipt_of_another_method_is_an_error():
    """Two methods whose answers are equal bytes: the log says which one was called."""
    appliance = FakeAppliance(
        answers={"ListCards": findings_pb2.ListCardsResponse(), "ListScores": findings_pb2.ListScoresResponse()}
    )
    client = appliance.client()
    kept = []
    appliance.alter = lambda answer: kept.append(answer) or answer
    await client.findings.cards()
    appliance.alter = lambda answer: kept[0]
    with pytest.raises(VerificationError, match="another call"):
        await client.findings.scores()


async def test_an_old_answer_with_its_old_receipt_is_an_error():
    appliance = with_budget()
    client = appliance.client()
    kept = []
    appliance.alter = lambda answer: kept.append(answer) or answer
    await client.findings.budget()
    appliance.alter = lambda answer: kept[0]
    with pytest.raises(VerificationError, match="our call number 1 was answered again"):
        await client.findings.budget()


async def test_bytes_that_do_not_parse_are_an_error():
    class Garbage:
        def SerializeToString(self, **options):  # noqa: N802 - protobuf's name
            return b"\xff"

    appliance = FakeAppliance(answers={"GetBudget": Garbage()})
    with pytest.raises(VerificationError, match="does not parse"):
        await appliance.client().findings.budget()


async def test_a_release_is_checked_against_the_log_of_the_vault(appliance):
    release = make_release()
    appliance.publish(to_message(release))
    assert await appliance.client().findings.releases() == (release,)


async def test_a_release_that_was_changed_after_it_was_logged_is_an_error(appliance):
    appliance.publish(to_message(make_release()))
    honest = appliance.answers["ListReleases"]

    def forged(request):
        answer = honest(request)
        answer.releases[0].release.tables[0].rows[0].count += 1
        return answer

    appliance.answers["ListReleases"] = forged
    with pytest.raises(VerificationError, match="document_sha256"):
        await appliance.client().findings.releases()


async def test_a_field_that_this_version_does_not_know_is_part_of_what_was_logged(appliance):
    """Unknown fields make the round trip, so a newer appliance's releases still verify."""
    message = to_message(make_release())
    newer = findings_pb2.Release.FromString(message.SerializeToString() + b"\xf8\x07\x01")
    appliance.publish(newer)
    (release,) = await appliance.client().findings.releases()
    assert release == make_release()


async def test_one_release_is_checked_too(appliance):
    message = to_message(make_release())
    appliance.publish(message)
    listed = appliance.answers["ListReleases"](b"").releases[0]
    appliance.answers["GetRelease"] = findings_pb2.GetReleaseResponse(release=listed)
    assert (await appliance.client().findings.release("release-v1-1")).number == 1
    listed.release.number = 2
    appliance.answers["GetRelease"] = findings_pb2.GetReleaseResponse(release=listed)
    with pytest.raises(VerificationError):
        await appliance.client().findings.release("release-v1-1")


def row(n):
    return PromptRow(n, Prompt(text=f"How do I fold a letter {n} times?", intent=Intent.BENIGN, category="paper"))


async def test_a_stream_of_requests_has_a_receipt_too():
    appliance = FakeAppliance(answers={"ImportPrompts": bank_pb2.ImportPromptsResponse(imported=2)})
    client = appliance.client()
    assert (await client.bank.import_prompts([row(1), row(2)])).imported == 2
    appliance.alter = lambda answer: Answer(answer.body, None)
    with pytest.raises(VerificationError):
        await client.bank.import_prompts([row(1)])


def progress(finished):
    tested = findings_pb2.TestedSystem(checkpoint="v1", trust=findings_pb2.TRUST_CLASS_CONTAINED)
    run = evaluation_pb2.Run(run_id="run-1", state=evaluation_pb2.RUN_STATE_RUNNING, tested=tested)
    return evaluation_pb2.WatchRunResponse(run=run, finished_trials=finished)


async def test_a_stream_of_answers_is_checked_at_its_end():
    appliance = FakeAppliance(answers={"WatchRun": [progress(1), progress(2)]})
    seen = [one.finished_trials async for one in appliance.client().runs.watch("run-1")]
    assert seen == [1, 2]


async def test_a_stream_of_answers_is_not_believed_without_its_receipt_or_with_a_wrong_one():
    appliance = FakeAppliance(answers={"WatchRun": [progress(1), progress(2)]})
    assert len([one async for one in appliance.client().runs.watch("run-1")]) == 2

    appliance.alter = lambda answer: dataclasses.replace(answer, receipt=None)
    with pytest.raises(VerificationError):
        [one async for one in appliance.client().runs.watch("run-1")]

    changed = progress(3).SerializeToString(deterministic=True)
    appliance.alter = lambda answer: answer if answer.body is None else Answer(changed, None)
    with pytest.raises(VerificationError):
        [one async for one in appliance.client().runs.watch("run-1")]


async def test_an_answer_about_something_else_is_not_believed():
    appliance = FakeAppliance(
        answers={
            "GetRun": evaluation_pb2.GetRunResponse(run=evaluation_pb2.Run(run_id="run-2")),
            "GetPrompt": bank_pb2.GetPromptResponse(handle="prompt-2"),
        }
    )
    client = appliance.client()
    with pytest.raises(VerificationError, match="another run"):
        await client.runs.get("run-1")
    with pytest.raises(VerificationError, match="another prompt"):
        await client.bank.prompt("prompt-1")
