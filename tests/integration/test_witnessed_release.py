"""A real appliance whose policy asks for a witness: a release comes out when its leaf is cosigned, and not before."""

import time

import pytest

from heldout.errors import CallError
from heldout_proto.v1 import findings_pb2
from lab_texts import POLICY, write_checkpoint
from lab_texts import prompt_rows as prompts
from served_appliance import ServedAppliance, prompt_rows, until
from witness_lab import TestWitness

WITNESS = TestWitness()
WITNESSED = POLICY + f'\n[witness]\nkeys = ["{WITNESS.vkey}"]\nmaximum_age_s = 3600\n'


@pytest.fixture
async def witnessed(tmp_path):
    served = ServedAppliance.install(tmp_path, policy=WITNESSED)
    yield served
    await served.close()


async def cosign(served, half="vault"):
    """Follow and cosign as a witness does, and return how many leaves it vouches for."""
    auditor = await served.client("auditor")
    head = await auditor.audit.head(half)
    return await auditor.audit.add_cosignature(half, WITNESS.cosign(head.note, int(time.time())))


async def releases(served):
    return list(await (await served.client("trainer")).findings.releases())


async def test_a_release_is_published_once_a_witness_has_cosigned_its_leaf_over_a_restart(witnessed):
    served = await witnessed.start()
    tester = await served.client("bank_tester")
    await tester.bank.import_prompts(prompt_rows(prompts()))
    await tester.bank.open_epoch()
    assert await cosign(served) > 0  # too early for what comes now
    write_checkpoint(served.folder / "checkpoints", "nova-v1")
    await until(lambda: "release_waits_for_witness" in served.said(), 60)
    run = await served.run_of("nova-v1", states=("complete",))
    assert await releases(served) == []

    await served.kill()
    await served.start()
    assert await releases(served) == []
    assert (await served.run_of("nova-v1", states=("complete",))).run_id == run.run_id

    size = await cosign(served)
    assert (await served.run_of("nova-v1")).run_id == run.run_id
    trainer = await served.client("trainer")
    (release,) = await releases(served)
    assert release.run_id == run.run_id
    answer = await trainer._caller.unary(
        "FindingsService",
        "GetRelease",
        findings_pb2.GetReleaseRequest(release_id=release.release_id),
        findings_pb2.GetReleaseResponse,
    )
    proof = answer.release.receipt.proof
    assert f"\n{size}\n" in proof.partition("\n\n")[2]
    assert f"\N{EM DASH} {WITNESS.name} " in proof

    auditor = await served.client("auditor")
    head = await auditor.audit.head("vault")
    assert WITNESS.name in head.cosigned
    for half in ("vault", "window"):
        stranger = TestWitness(b"s" * 32, "stranger.example")
        with pytest.raises(CallError):
            await auditor.audit.add_cosignature(half, stranger.cosign(head.note, int(time.time())))
    await served.stop()
