"""Approvals of everything but the checkpoint, for the runs that the appliance proposes by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evaluation_fakes import Bench, settle

from heldout_server.domain import RunState, TrustClass
from heldout_server.errors import NotFound, StorageError, WrongState

BOTH = ("bank_tester", "run_tester")
PEOPLE = ("spiffe://x/bank", "spiffe://x/run")


async def approved_bench(*, standing=PEOPLE):
    """Approve a run of the first checkpoint; these people for later checkpoints as well."""
    bench = Bench(approving_roles=BOTH)
    evaluation = bench.evaluation()
    run = await evaluation.propose(bench.request())
    for identity in PEOPLE:
        await evaluation.approve(run.run_id, identity=identity, digest=run.digest, standing=identity in standing)
    return bench


def put_checkpoint(bench, **fields):
    """Let the next checkpoint of the line appear."""
    later = {"name": "nova-v2", "digest": "7" * 64, "sequence": 2} | fields
    bench.checkpoints.checkpoint = replace(bench.checkpoints.checkpoint, **later)


def actions(bench):
    return [one.details["action"] for one in bench.audit.records if one.name == "approval"]


async def test_the_run_of_a_later_checkpoint_starts_by_itself_and_the_log_says_by_whose_approval():
    bench = await approved_bench()
    put_checkpoint(bench)
    async with bench.evaluation() as evaluation:
        run = await evaluation.submit("nova-v2", bench.request())
        assert run.state is RunState.RUNNING
        assert run.approvals == PEOPLE
        await settle(evaluation, run.run_id)
    assert actions(bench) == ["standing", "standing", "by_standing", "by_standing"]


async def test_both_must_have_said_so():
    bench = await approved_bench(standing=PEOPLE[:1])
    put_checkpoint(bench)
    with pytest.raises(WrongState) as refused:
        await bench.evaluation().submit("nova-v2", bench.request())
    assert refused.value.reason == "NOT_APPROVED"


async def test_a_run_that_a_person_proposes_is_approved_by_people():
    bench = await approved_bench()
    put_checkpoint(bench)
    evaluation = bench.evaluation()
    run = await evaluation.propose(bench.request(checkpoint="nova-v2"))
    with pytest.raises(WrongState) as refused:
        await evaluation.start(run.run_id)
    assert refused.value.reason == "NOT_APPROVED"


CHANGES = {
    "another line": lambda bench: put_checkpoint(bench, line="other"),
    "policy": lambda bench: bench.options.update(policy_digest="0" * 64),
    "judge": lambda bench: setattr(bench.judge, "digest", "0" * 64),
    "epoch": lambda bench: setattr(bench.bank, "epoch", replace(bench.bank.epoch, commitment="9" * 64)),
    "technique": lambda bench: setattr(bench.techniques, "version", "2"),
    "card": lambda bench: bench.cards.update(base64="8" * 64),
    "containment": lambda bench: setattr(bench.runtime, "trust", TrustClass.ATTESTED),
    "deadline": lambda bench: bench.options.update(deadline_s=6.0),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_it_holds_only_while_nothing_but_the_checkpoint_differs(what):
    bench = await approved_bench()
    put_checkpoint(bench)
    CHANGES[what](bench)
    with pytest.raises(WrongState) as refused:
        await bench.evaluation().submit("nova-v2", bench.request())
    assert refused.value.reason == "NOT_APPROVED"
    assert (await bench.outcomes.list(after="run-1", limit=9))[0].approvals == ()


async def test_another_plan_needs_another_approval():
    bench = await approved_bench()
    put_checkpoint(bench)
    with pytest.raises(WrongState):
        await bench.evaluation().submit("nova-v2", bench.request(attempts=2))


async def test_revoked_it_holds_no_more_and_the_log_says_who_revoked_it():
    bench = await approved_bench()
    evaluation = bench.evaluation()
    (template,) = {one.template for one in await bench.outcomes.standing()}
    bench.audit.failing = True
    with pytest.raises(StorageError):
        await evaluation.revoke(template, identity="spiffe://x/run")
    assert len(await bench.outcomes.standing()) == 2, "nothing happens that is not in the log"
    bench.audit.failing = False
    await evaluation.revoke(template, identity="spiffe://x/run")
    assert bench.audit.records[-1].details == {
        "action": "revoked",
        "template": template,
        "identity": "spiffe://x/run",
    }
    with pytest.raises(NotFound):
        await evaluation.revoke(template, identity="spiffe://x/run")
    put_checkpoint(bench)
    with pytest.raises(WrongState) as refused:
        await evaluation.submit("nova-v2", bench.request())
    assert refused.value.reason == "NOT_APPROVED"


async def test_it_counts_for_no_more_people_than_gave_it():
    bench = await approved_bench()
    put_checkpoint(bench)
    bench.options["approving_roles"] = (*BOTH, "bank_tester")
    with pytest.raises(WrongState):
        await bench.evaluation().submit("nova-v2", bench.request())
