"""kill -9 at any moment of a run, and a restart: it goes on and publishes, and nothing is lost, doubled or redrawn.

The model answers slowly, so that most of a run is trials. The first run is left alone: the same table answers the same
prompts alike whatever the checkpoint is called, so each run that was killed must end with exactly the same figures.
"""

import asyncio
import hashlib
import json
import random
import time
from dataclasses import dataclass, field

import pytest

from heldout.findings.model import TableKind
from heldout.verification import LogExport, verify_export
from heldout_proto.v1 import findings_pb2
from lab_texts import POLICY, TABLE, write_checkpoint
from lab_texts import prompt_rows as prompts
from served_appliance import ServedAppliance, prompt_rows, seconds_since, until

ROUNDS = 4
SLOW_ROUNDS = 10
SLOW_APPLIANCES = 5
SLOW_TABLE = TABLE | {"latency_ms": 60}
BENIGN = TableKind.OVER_REFUSAL


@dataclass
class Seen:
    """Hold what was seen of the appliance from the outside, which no restart may take back.

    Attributes:
        documents: exact bytes of each release by run.
        heads: signed tree heads by half, oldest first.
    """

    documents: dict[str, bytes] = field(default_factory=dict)
    heads: dict[str, list[str]] = field(default_factory=lambda: {"vault": [], "window": []})


async def export_of(served, half, folder, earlier):
    """Export a log as an auditor does, and verify it offline against the heads that were seen."""
    auditor = await served.client("auditor")
    head = await auditor.audit.head(half)
    export = LogExport(folder)
    entries = []
    async for page in auditor.audit.entries(half, start=0, stop=head.head.size):
        export.add(page)
        entries += page
    export.finish(head.note)
    report = await asyncio.to_thread(verify_export, folder, auditor.audit.vkey(half), earlier=earlier)
    return head.note, report, [json.loads(entry) for entry in entries]


async def keep_heads(served, seen):
    auditor = await served.client("auditor")
    for half, heads in seen.heads.items():
        heads.append((await auditor.audit.head(half)).note)


async def documents_of(served):
    """Return the exact bytes of each published release, by run; a run has at most one."""
    trainer = await served.client("trainer")
    found = {}
    for release in await trainer.findings.releases():
        assert release.run_id not in found
        answer = await trainer._caller.unary(
            "FindingsService",
            "GetRelease",
            findings_pb2.GetReleaseRequest(release_id=release.release_id),
            findings_pb2.GetReleaseResponse,
        )
        found[release.run_id] = answer.release.release.SerializeToString(deterministic=True)
    return found


async def check(served, seen, run, figures, folder):
    """Check a published run, and that nothing that was seen before was taken back."""
    tester, trainer = await served.client("bank_tester"), await served.client("trainer")
    # (1) Every trial has exactly one verdict, and it is the one that it has without a crash.
    exact = await tester.runs.results(run.run_id)
    counted = [row for row in exact if row.table in {TableKind.TECHNIQUE, TableKind.STACK, BENIGN}]
    assert sum(row.trials for row in counted) == run.planned_trials
    assert figures is None or exact == figures
    # (2) One release a run, and what was published stays as it was.
    documents = await documents_of(served)
    assert run.run_id in documents
    assert {run_id: documents[run_id] for run_id in seen.documents} == seen.documents
    seen.documents = documents
    # (3) Both logs verify, and go on from every head that was seen.
    for half in ("vault", "window"):
        earlier = seen.heads[half]
        note, report, entries = await export_of(served, half, folder / half, earlier)
        assert report.earlier_heads == len(earlier)
        earlier.append(note)
        if half == "vault":
            leaves = [entry["details"] for entry in entries if entry["name"] == "release"]
    # (4) Each run's release leaves name one release and one document: that which is published.
    told = {(leaf["run_id"], leaf["document_sha256"]) for leaf in leaves}
    assert told == {(run_id, hashlib.sha256(document).hexdigest()) for run_id, document in documents.items()}
    assert len({leaf["release_id"] for leaf in leaves}) == len(documents)
    # (5) The ledger was debited once a release.
    budget = await trainer.findings.budget()
    debits = {True: 0, False: 0}
    for document in documents.values():
        for table in findings_pb2.Release.FromString(document).tables:
            debits[table.kind == findings_pb2.TABLE_KIND_OVER_REFUSAL] += table.debit_nano_rho
    assert budget.releases_used == len(documents)
    assert (budget.benign_spent_nano_rho, budget.harmful_spent_nano_rho) == (debits[True], debits[False])
    return exact


async def run_undisturbed(served, seen, folder):
    """Run one checkpoint without a crash; return its exact figures and how long it took."""
    began = time.monotonic()
    write_checkpoint(served.folder / "checkpoints", "nova-v0", table=SLOW_TABLE)
    run = await served.run_of("nova-v0")
    took_s = seconds_since(began)
    return await check(served, seen, run, None, folder), took_s


async def kill_and_go_on(served, seen, name, moment_s):
    """Let a checkpoint appear, kill the appliance so many seconds later, start it again, and return the run's end."""
    await keep_heads(served, seen)
    began = time.monotonic()
    write_checkpoint(served.folder / "checkpoints", name, table=SLOW_TABLE)
    await until(lambda: seconds_since(began) >= moment_s, moment_s + 5)
    await served.kill()
    await served.start()
    seen.documents |= await documents_of(served)
    return await served.run_of(name)


async def kill_often(tmp_path, rounds):
    served = ServedAppliance.install(
        tmp_path,
        policy=POLICY.replace("releases_per_epoch = 3", f"releases_per_epoch = {rounds + 1}"),
        in_flight="8",
    )
    try:
        await served.start()
        tester = await served.client("bank_tester")
        await tester.bank.import_prompts(prompt_rows(prompts()))
        await tester.bank.open_epoch()
        seen = Seen()
        figures, took_s = await run_undisturbed(served, seen, tmp_path / "export-0")
        for number in range(1, rounds + 1):
            # Each round has a stretch of the run of its own, and a random moment in it.
            moment_s = took_s * (number - random.random()) / rounds  # noqa: S311 - a moment, not a secret
            run = await kill_and_go_on(served, seen, f"nova-v{number}", moment_s)
            await check(served, seen, run, figures, tmp_path / f"export-{number}")
        await served.stop()
    finally:
        await served.close()


async def test_a_run_goes_on_after_kill_9(tmp_path):
    await kill_often(tmp_path, ROUNDS)


@pytest.mark.slow
@pytest.mark.parametrize("appliance", range(SLOW_APPLIANCES))
async def test_a_run_goes_on_after_kill_9_at_fifty_moments(tmp_path, appliance):
    await kill_often(tmp_path, SLOW_ROUNDS)


async def test_kill_9_again_and_again_during_one_run(tmp_path):
    """Even killed more often than it can finish in between, a run gets a little further each time."""
    served = ServedAppliance.install(tmp_path, policy=POLICY, in_flight="4")
    try:
        await served.start()
        tester = await served.client("bank_tester")
        await tester.bank.import_prompts(prompt_rows(prompts(harmful=16)))
        await tester.bank.open_epoch()
        write_checkpoint(served.folder / "checkpoints", "nova-v1", table=SLOW_TABLE)
        finished = 0
        for _ in range(3):
            run = await served.run_of("nova-v1", states=("running",))
            finished = await progress_past(served, run.run_id, finished)
            await served.kill()
            await served.start()
        run = await served.run_of("nova-v1")
        tester = await served.client("bank_tester")
        exact = await tester.runs.results(run.run_id)
        assert sum(row.trials for row in exact if row.table in {TableKind.TECHNIQUE, TableKind.STACK, BENIGN}) == (
            run.planned_trials
        )
        assert len(await documents_of(served)) == 1
    finally:
        await served.close()


async def progress_past(served, run_id, finished):
    """Wait until more trials have a verdict than before, and return how many."""
    tester = await served.client("bank_tester")
    async for progress in tester.runs.watch(run_id):
        assert progress.finished_trials >= finished
        if progress.finished_trials > finished or progress.run.state.value == "published":
            return progress.finished_trials
    raise AssertionError("the stream ended before the run did")
