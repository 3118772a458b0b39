"""Standing approvals as they are stored: of a manifest without its checkpoint, and gone with what they gave."""

import pytest

from heldout_server.errors import NotFound
from heldout_server.ports.outcomes import StandingApproval


async def test_a_template_is_the_manifest_without_its_checkpoint(outcomes, make):
    first = await outcomes.create(make(), planned_trials=12)
    later = await outcomes.create(make(checkpoint="step-200", checkpoint_digest="9" * 64), planned_trials=12)
    others = [
        await outcomes.create(make(**{name: value}), planned_trials=12)
        for name, value in (("line", "other"), ("policy_digest", "1" * 64), ("precision", "q4_k"), ("attempts", 2))
    ]
    assert first.template == later.template
    assert len({first.template, *(one.template for one in others)}) == 5


async def test_standing_approvals_stand_once_and_survive_a_restart(outcomes, open_outcomes, make):
    run = await outcomes.create(make(), planned_trials=12)
    approval = StandingApproval(template=run.template, line="small", identity="a", run_id=run.run_id, given_s=60)
    await outcomes.put_standing(approval)
    await outcomes.put_standing(approval)
    outcomes.close()
    assert await open_outcomes().standing() == (approval,)


async def test_revoking_takes_back_what_it_gave_to_runs_that_did_not_start(outcomes, make):
    given, by_hand, started = [await outcomes.create(make(), planned_trials=12) for _ in range(3)]
    for identity in ("a", "b"):
        await outcomes.put_standing(
            StandingApproval(template=given.template, line="small", identity=identity, run_id="run-1", given_s=60)
        )
        for run in (given, by_hand, started):
            await outcomes.approve(run.run_id, identity=identity, digest=run.digest, template=run.template)
    await outcomes.approve(by_hand.run_id, identity="a", digest=by_hand.digest)
    await outcomes.start(started.run_id, release_number=1)
    await outcomes.drop_standing(given.template)
    assert await outcomes.standing() == ()
    assert [(await outcomes.get(run.run_id)).approvals for run in (given, by_hand, started)] == [
        (),
        ("a",),
        ("a", "b"),
    ]
    with pytest.raises(NotFound):
        await outcomes.drop_standing(given.template)
