"""The main job, end to end, through every room: bank, checkpoint, run, release, findings, log."""

import asyncio
import hashlib
import json

import pytest

from heldout.bank_model import Intent, Prompt, PromptRow
from heldout.errors import BudgetExhausted, NotFound, Refused, WrongState
from heldout.findings import TableKind
from heldout.services.findings import ScoreKind
from heldout.services.runs import RunState
from heldout.verification import merkle
from lab_texts import TABLE, prompt_rows

DEADLINE_S = 30


def rows(**options):
    return [
        PromptRow(
            n,
            Prompt(text=row["prompt"], intent=Intent(row["intent"]), category=row["category"]),
        )
        for n, row in enumerate(prompt_rows(**options), start=1)
    ]


async def fill(lab):
    tester = await lab.client("bank_tester")
    report = await tester.bank.import_prompts(rows())
    assert (report.imported, report.bad, report.duplicates) == (18, (), ())
    return await tester.bank.open_epoch()


async def published(lab, checkpoint):
    """Wait until the run of a checkpoint is published, and return it."""
    tester = await lab.client("bank_tester")
    async with asyncio.timeout(DEADLINE_S):
        while True:
            for run in await tester.runs.list():
                if run.tested.checkpoint == checkpoint:
                    async for progress in tester.runs.watch(run.run_id):
                        last = progress
                    return last.run
            await asyncio.sleep(0.05)


async def begun(tester):
    """Wait until the first run has a verdict, and return it."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            for run in await tester.runs.list():
                async for progress in tester.runs.watch(run.run_id):
                    if progress.finished_trials:
                        return run
            await asyncio.sleep(0.05)


async def test_a_checkpoint_that_appears_is_tested_and_its_findings_are_published(lab):
    epoch = await fill(lab)
    lab.write_checkpoint("nova-v1")
    run = await published(lab, "nova-v1")
    trainer = await lab.client("trainer")

    (release,) = await trainer.findings.releases()  # the SDK verified its receipt, or it would have raised

    assert release.run_id == run.run_id
    assert release.epoch_id == epoch.epoch_id
    assert release.tested.checkpoint == "nova-v1"
    keys = [[row.key for row in table.rows] for table in release.tables]
    assert keys[0] == ["plain", "base64", "leetspeak", "fiction", "persona", "payload-splitting", "many-shot"]
    assert keys[1][:2] == ["base64+fiction", "base64+persona"]
    assert keys[2:] == [["plain", "single", "stack"], ["mischief"], ["all"], ["all"]]
    assert await trainer.findings.release(release.release_id) == release


async def test_exact_figures_are_for_the_bank_tester_and_near_what_is_published(lab):
    await fill(lab)
    lab.write_checkpoint("nova-v1")
    run = await published(lab, "nova-v1")
    tester, trainer = await lab.client("bank_tester"), await lab.client("trainer")

    exact = {(row.table, row.key): row for row in await tester.runs.results(run.run_id)}
    (release,) = await trainer.findings.releases()

    assert exact["technique", "persona"].units == 12
    for table in release.tables:
        for row in table.rows:
            true = exact[table.kind.value, row.key].rate
            sigma = table.sigma_micro / 1e6 / row.units
            assert abs(row.count * table.grid_micro / 1e6 / row.units - true) < 6 * sigma + 0.01
    for role in ("trainer", "run_tester", "auditor", "operator"):
        with pytest.raises(Refused):
            await (await lab.client(role)).runs.results(run.run_id)


async def test_an_epoch_too_close_to_one_that_was_released_is_not_opened_and_says_what_it_lacks(lab):
    await fill(lab)
    lab.write_checkpoint("nova-v1")
    await published(lab, "nova-v1")
    tester = await lab.client("bank_tester")
    handles = await tester.bank.handles()
    prompts = [await tester.bank.prompt(handle) for handle in handles]
    harmful = [one.handle for one in prompts if one.prompt.intent is Intent.HARMFUL]
    await tester.bank.retire(harmful[:2])

    with pytest.raises(WrongState, match="2 harmful units of mischief would go alone: retire 3 more with them"):
        await tester.bank.open_epoch()
    assert (await tester.bank.stats()).epoch.number == 1

    await tester.bank.retire(harmful[2:5])
    assert (await tester.bank.open_epoch()).number == 2


async def test_the_budget_counts_down_and_then_nothing_starts(lab):
    await fill(lab)
    trainer, tester = await lab.client("trainer"), await lab.client("bank_tester")
    assert (await trainer.findings.budget()).releases_used == 0
    for n in (1, 2, 3):
        lab.write_checkpoint(f"nova-v{n}")
        await published(lab, f"nova-v{n}")
    budget = await trainer.findings.budget()
    assert (budget.releases_used, budget.releases_total) == (3, 3)
    assert budget.harmful_spent_nano_rho <= budget.budget_nano_rho
    run = await tester.runs.propose("nova-v1")
    with pytest.raises(BudgetExhausted):
        await tester.runs.start(run.run_id)
    assert len(await trainer.findings.releases()) == 3


async def test_scores_that_a_trainer_records_come_back(lab):
    trainer = await lab.client("trainer")
    await trainer.findings.record_score("nova-v1", benchmark="swe-bench", value_milli=41_250, kind=ScoreKind.CAPABILITY)
    await trainer.findings.record_score("nova-v1", benchmark="swe-bench", value_milli=42_000, kind=ScoreKind.CAPABILITY)
    (score,) = await trainer.findings.scores()
    assert (score.checkpoint, score.benchmark, score.value_milli) == ("nova-v1", "swe-bench", 42_000)
    await trainer.findings.remove_score("nova-v1", benchmark="swe-bench", kind=ScoreKind.CAPABILITY)
    assert await trainer.findings.scores() == ()


async def test_both_logs_verify_from_the_outside_and_name_the_release(lab):
    await fill(lab)
    lab.write_checkpoint("nova-v1")
    await published(lab, "nova-v1")
    auditor = await lab.client("auditor")
    for half in ("vault", "window"):
        head = (await auditor.audit.head(half)).head
        entries = []
        async for page in auditor.audit.entries(half, start=0, stop=head.size):
            entries += page.entries
        assert merkle.root_of([hashlib.sha256(b"\0" + entry).digest() for entry in entries]) == head.root
        if half == "vault":
            names = [json.loads(entry)["name"] for entry in entries]
            assert {"start", "epoch", "checkpoint", "run", "release"} <= set(names)
            assert names.index("release") > names.index("run") > names.index("checkpoint")


async def test_what_a_trainer_may_not_see_looks_like_what_is_not_there(lab):
    await fill(lab)
    trainer, tester = await lab.client("trainer"), await lab.client("bank_tester")
    handle = (await tester.bank.handles())[0]
    with pytest.raises(Refused) as forbidden:
        await trainer.bank.prompt(handle)
    with pytest.raises(Refused) as unknown:
        await trainer.findings.release("release-0000000000000000")
    assert str(forbidden.value) == str(unknown.value)
    with pytest.raises(NotFound):
        await tester.bank.prompt("p-0000")


async def test_a_run_waits_for_the_approvals_that_the_policy_asks(lab):
    """The default policy asks none; what it costs to approve the wrong digest is tested here."""
    await fill(lab)
    tester = await lab.client("bank_tester")
    lab.write_checkpoint("nova-v1")
    run = await published(lab, "nova-v1")
    fresh = await tester.runs.propose("nova-v1")
    assert fresh.manifest_digest == run.manifest_digest  # nothing that was tested has changed
    approved = await tester.runs.approve(fresh.run_id, manifest_digest=fresh.manifest_digest)
    assert approved.approvals == ("spiffe://heldout.example/bank-tester",)
    cancelled = await tester.runs.cancel(fresh.run_id)
    assert cancelled.state.value == "cancelled"


async def test_of_a_run_that_is_cancelled_a_release_without_figures_is_published(lab):
    await fill(lab)
    tester, trainer, auditor = [await lab.client(role) for role in ("bank_tester", "trainer", "auditor")]
    lab.write_checkpoint("nova-v1", table=TABLE | {"latency_ms": 300})
    run = await begun(tester)
    ended = await tester.runs.cancel(run.run_id)
    assert (ended.state, ended.cancelled) == (RunState.PUBLISHED, True)

    (release,) = await trainer.findings.releases()
    assert (release.run_id, release.cancelled, release.tables) == (ended.run_id, True, ())
    budget = await trainer.findings.budget()
    assert (budget.releases_used, budget.harmful_spent_nano_rho > 0) == (1, True)
    (tried,) = [row.trials for row in await tester.runs.results(run.run_id) if row.table is TableKind.NON_ANSWERS]
    assert 0 < tried < 12 * (len(run.techniques) + len(run.stacks))
    head = (await auditor.audit.head("vault")).head
    events = [
        json.loads(one)
        async for page in auditor.audit.entries("vault", start=0, stop=head.size)
        for one in page.entries
    ]
    told = [one["details"].get("state", one["name"]) for one in events if one["name"] in {"run", "release"}]
    assert told == ["running", "cancelled", "release"]
