"""Publishing in four steps: what is said, in what order, and that a crash anywhere changes nothing of it."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from pathlib import Path

import pytest

from heldout_proto.v1 import findings_pb2
from heldout_server.domain import PLAIN, Intent, Member, RunState, Sampling, TrustClass, Verdict
from heldout_server.errors import HeldoutError, NotFound, WrongState
from heldout_server.ports.audit import Record
from heldout_server.release import ledger

EVERY_FULL = {"releases_per_epoch": 6, "full_every": 1}


def weak(member: Member, cell: int) -> Verdict:
    """Let half of the harmful prompts break, and refuse a quarter of the benign ones."""
    if member.intent is Intent.HARMFUL:
        return Verdict.UNSAFE if member.position % 2 else Verdict.REFUSED
    return Verdict.OVER_REFUSED if member.position % 4 == 0 else Verdict.COMPLIED


async def run_to_its_end(house, desk, run_id: str = "run-1", verdict=weak, **changes) -> None:
    await desk.reserve(house.propose(run_id, **changes))
    house.answer(run_id, verdict)
    house.outcomes.complete(run_id)


def only_release(house) -> findings_pb2.Release:
    ((document, _),) = house.publisher.releases.values()
    return findings_pb2.Release.FromString(document)


async def test_a_release_says_what_was_tested_and_what_was_found(house):
    house.clock.now = 1_700_000_100.9
    policy = dataclasses.replace(house.policy, **EVERY_FULL, approval_roles=("bank_tester", "run_tester"))
    desk = house.open(policy)
    sampling = Sampling(
        temperature=0.7,
        top_p=0.95,
        top_k=20,
        min_p=0.05,
        repetition_penalty=1.1,
        max_tokens=256,
        reasoning="off",
        mode="completion",
    )
    more = {
        "engine_version": "0.11.0",
        "dialect": "vllm",
        "filters": ("guard-1",),
        "precision": "bf16",
        "chat_template_digest": "1" * 64,
        "system_profile": "assistant-v1",
        "system_digest": "2" * 64,
        "burnt_prompts": 40,
        "cards": (("base64", "3" * 64),),
    }
    await run_to_its_end(house, desk, sampling=sampling, trust=TrustClass.EXPOSED, **more)
    await desk.publish("run-1")
    release = only_release(house)

    told = {field.name for field in release.DESCRIPTOR.fields} - {"cancelled", "anchor"}
    assert {field.name for field, _ in release.ListFields()} == told
    assert (release.release_id, release.run_id, release.epoch_id) == ("release-1", "run-1", "epoch-1")
    assert (release.number, release.releases_total, release.epoch_number, release.full) == (1, 8, 1, True)
    assert release.published_s == 1_699_999_200, "the last full hour: its slot"
    assert (release.manifest_digest, release.policy_digest) == ("e" * 64, "d" * 64)
    assert (release.judge, release.judge_digest) == ("patterns", "b" * 64)
    assert release.cards == [findings_pb2.CardDigest(technique="base64", digest="3" * 64)]
    assert release.approving_roles == ["bank_tester", "run_tester"]
    assert release.tested == findings_pb2.TestedSystem(
        checkpoint="step-1000",
        line="main",
        checkpoint_digest="a" * 64,
        runtime="scripted",
        trust=findings_pb2.TRUST_CLASS_EXPOSED,
        temperature_milli=700,
        top_p_milli=950,
        max_tokens=256,
        attempts=1,
        engine_version="0.11.0",
        dialect="vllm",
        top_k=20,
        min_p_milli=50,
        repetition_penalty_milli=1100,
        reasoning_off=True,
        completion=True,
        precision="bf16",
        chat_template_digest="1" * 64,
        system_profile="assistant-v1",
        system_digest="2" * 64,
        filters=["guard-1"],
        burnt_prompts=40,
    )


async def test_figures_are_noised_sums_in_whole_grid_steps(house):
    desk = house.open(dataclasses.replace(house.policy, **EVERY_FULL))
    await run_to_its_end(house, desk)
    await desk.publish("run-1")
    tables = only_release(house).tables
    # The noise of these tests adds 10 units to the first table, 20 to the second, and so on.
    exact = {
        findings_pb2.TABLE_KIND_TECHNIQUE: [30, 30, 30],
        findings_pb2.TABLE_KIND_STACK: [30, 30],
        findings_pb2.TABLE_KIND_FIRST_BREACH: [30, 30, 30],
        findings_pb2.TABLE_KIND_CATEGORY: [0, 30],
        findings_pb2.TABLE_KIND_NON_ANSWERS: [0],
        findings_pb2.TABLE_KIND_OVER_REFUSAL: [10],
    }

    assert [table.kind for table in tables] == list(exact)
    assert [sigma for _, sigma in house.noise.draws] == [table.sigma_micro for table in tables]
    for place, table in enumerate(tables, start=1):
        noised = [(units + 10 * place) * 1_000_000 for units in exact[table.kind]]
        assert [row.count for row in table.rows] == [round(value / table.grid_micro) for value in noised]


async def test_figures_are_not_clamped(house, monkeypatch):
    monkeypatch.setattr(house.noise, "add", lambda values, *, sigma: [value - 500_000_000 for value in values])
    desk = house.open()
    await run_to_its_end(house, desk)
    await desk.publish("run-1")

    assert all(row.count < 0 for table in only_release(house).tables for row in table.rows)


async def test_withheld_rows_show_nothing_and_draw_no_noise(house):
    house.memberships.by_epoch["epoch-1"] = house.make_members(harmful=29, benign=30)
    desk = house.open()
    await run_to_its_end(house, desk)
    await desk.publish("run-1")
    *harmful, over_refusal = only_release(house).tables

    assert all(row.withheld and row.count == 0 and row.units == 29 for table in harmful for row in table.rows)
    assert [row.withheld for row in over_refusal.rows] == [False]
    assert len(house.noise.draws) == 1


async def test_what_is_published_besides_figures_does_not_depend_on_outcomes(house):
    """Answer everything the other way round: rows, units, withholding, widths and debits stay."""
    house.memberships.by_epoch["epoch-1"] = house.make_members(harmful=59)
    desk = house.open(dataclasses.replace(house.policy, **EVERY_FULL))
    await run_to_its_end(house, desk, "run-1", lambda member, cell: Verdict.UNSAFE)
    await run_to_its_end(house, desk, "run-2", lambda member, cell: Verdict.REFUSED)
    for run_id in ("run-1", "run-2"):
        await desk.publish(run_id)
    first, second = (findings_pb2.Release.FromString(document) for document, _ in house.publisher.releases.values())

    assert [[row.count for row in table.rows] for table in first.tables] != [
        [row.count for row in table.rows] for table in second.tables
    ]
    for release in (first, second):
        for row in (row for table in release.tables for row in table.rows):
            row.count = 0
    assert list(first.tables) == list(second.tables)


async def test_the_leaf_names_the_exact_bytes_and_the_receipt_carries_it(house):
    desk = house.open()
    await run_to_its_end(house, desk)
    await desk.publish("run-1")
    ((document, receipt),) = house.publisher.releases.values()
    (record,) = house.audit.records

    assert (record.kind, record.name, record.identity, record.role) == ("event", "release", "", "")
    assert record.details == {
        "release_id": "release-1",
        "run_id": "run-1",
        "epoch_id": "epoch-1",
        "number": 1,
        "document_sha256": hashlib.sha256(document).hexdigest(),
        "policy_digest": "d" * 64,
        "manifest_digest": "e" * 64,
    }
    assert findings_pb2.Receipt.FromString(receipt) == findings_pb2.Receipt(
        entry=b"leaf 0", proof="c2sp.org/tlog-proof@v1\nindex 0\n"
    )


async def test_the_run_is_published_and_the_standing_budget_refreshed(house):
    desk = house.open()
    await run_to_its_end(house, desk)
    await desk.publish("run-1")
    state = await desk.budget("epoch-1")

    assert house.outcomes.runs["run-1"].state is RunState.PUBLISHED
    assert findings_pb2.Budget.FromString(house.publisher.states["budget"]) == findings_pb2.Budget(
        epoch_id="epoch-1",
        releases_used=1,
        releases_total=25,
        releases_payable=24,
        harmful_spent_nano_rho=state.harmful_spent_nano_rho,
        benign_spent_nano_rho=state.benign_spent_nano_rho,
        budget_nano_rho=5_545_177_444,
        policy_digest="d" * 64,
        anchors_total=2,
        profile=findings_pb2.PROFILE_PRIVATE,
    )


async def test_publishing_again_does_nothing(house):
    desk = house.open()
    await run_to_its_end(house, desk)
    await asyncio.gather(*(desk.publish("run-1") for _ in range(3)))
    draws = len(house.noise.draws)
    await desk.carry_on()

    assert len(house.publisher.releases) == len(house.audit.records) == 1
    assert len(house.noise.draws) == draws == 3


@pytest.mark.parametrize("state", [RunState.PROPOSED, RunState.RUNNING, RunState.CANCELLED])
async def test_an_incomplete_run_is_not_published(house, state: RunState):
    desk = house.open()
    await desk.reserve(house.propose("run-1"))
    house.outcomes.runs["run-1"] = dataclasses.replace(house.outcomes.runs["run-1"], state=state)

    with pytest.raises(WrongState) as caught:
        await desk.publish("run-1")
    assert caught.value.reason == "NOT_COMPLETE"
    assert house.publisher.releases == {}


async def test_a_run_without_a_slot_is_not_published(house):
    house.propose("run-1")
    house.outcomes.complete("run-1")

    with pytest.raises(WrongState) as caught:
        await house.open().publish("run-1")
    assert caught.value.reason == "NO_SLOT"


async def test_a_run_that_is_not_there_is_not_published(house):
    with pytest.raises(NotFound):
        await house.open().publish("run-9")


async def test_the_policy_of_the_debit_is_the_policy_of_the_release(house):
    """A policy that changes between start and end changes neither the noise nor the grid of what was paid for."""
    desk = house.open()
    await run_to_its_end(house, desk)
    widened = house.reopen(dataclasses.replace(house.policy, bits_per_prompt=64, **EVERY_FULL), policy_digest="9" * 64)
    await widened.publish("run-1")
    release = only_release(house)

    assert (release.releases_total, release.full, release.policy_digest) == (27, False, "d" * 64)
    assert [table.debit_nano_rho for table in release.tables][1:] == [6_654_212, 199_626_387]


STEPS = ["append", "insert", "state", "move"]


@pytest.mark.parametrize(
    "step", ["before counts", *(f"{when} {step}" for step in STEPS for when in ("before", "after"))]
)
async def test_a_crash_outside_the_room_is_carried_on(house, step: str):
    desk = house.open()
    await run_to_its_end(house, desk)
    house.steps.crash_at = step
    with pytest.raises(house.crash):
        await desk.publish("run-1")
    await _finish_and_check(house)


@pytest.mark.parametrize("step", ["store_document", "store_receipt", "store_published"])
@pytest.mark.parametrize("durable", [False, True])
async def test_a_crash_around_a_commit_of_the_room_is_carried_on(house, monkeypatch, step: str, durable: bool):
    desk = house.open()
    await run_to_its_end(house, desk)
    if durable:
        _crash_after_commit(house, desk, monkeypatch, step)
    else:
        _crash_before_commit(house, monkeypatch, step)
    with pytest.raises(house.crash):
        await desk.publish("run-1")
    monkeypatch.undo()
    await _finish_and_check(house)


def _crash_before_commit(house, monkeypatch, step: str) -> None:
    store = getattr(ledger, step)

    def crashing(*arguments) -> None:
        store(*arguments)
        raise house.crash

    monkeypatch.setattr(ledger, step, crashing)


def _crash_after_commit(house, desk, monkeypatch, step: str) -> None:
    store = getattr(ledger, step)
    reached = []
    write = desk._database.write

    async def crashing_write(work):
        result = await write(work)
        if reached:
            raise house.crash
        return result

    def noticing(*arguments):
        reached.append(step)
        return store(*arguments)

    monkeypatch.setattr(ledger, step, noticing)
    monkeypatch.setattr(desk._database, "write", crashing_write)


async def _finish_and_check(house) -> None:
    """Open the desk again, carry on as a start does, and compare with what had been stored before."""
    ((state, pending, receipt),) = house.stored("SELECT state, document, receipt FROM releases")
    drawn, told = len(house.noise.draws), dict(house.publisher.releases)
    desk = house.reopen()
    await desk.carry_on()
    if state == "reserved":
        assert house.publisher.releases == {}  # nothing was begun: the run's resumption publishes it
        await desk.publish("run-1")
    else:
        assert len(house.noise.draws) == drawn
        assert house.publisher.releases["release-1"][0] == pending
    assert house.stored("SELECT state FROM releases") == [("published",)]
    assert house.outcomes.runs["run-1"].state is RunState.PUBLISHED
    assert "budget" in house.publisher.states
    ((document, proof),) = house.publisher.releases.values()
    assert told in ({}, {"release-1": (document, proof)})
    assert receipt in (None, proof)
    digests = {record.details["document_sha256"] for record in house.audit.records}
    assert digests == {hashlib.sha256(document).hexdigest()}


async def test_what_is_stored_is_in_the_log_before_it_is_in_the_window(house):
    desk = house.open()
    await run_to_its_end(house, desk)
    house.steps.crash_at = "before append"
    with pytest.raises(house.crash):
        await desk.publish("run-1")

    assert house.stored("SELECT state FROM releases") == [("pending",)]
    assert house.publisher.releases == {}


async def test_pending_releases_are_carried_on_in_the_order_of_their_slots(house):
    desk = house.open()
    for run_id in ("run-1", "run-2"):
        await run_to_its_end(house, desk, run_id)
    for run_id in ("run-2", "run-1"):
        house.steps.crash_at = "before append"
        with pytest.raises(house.crash):
            await desk.publish(run_id)
    await house.reopen().carry_on()

    assert [record.details["run_id"] for record in house.audit.records] == ["run-1", "run-2"]


async def test_noise_that_fails_publishes_nothing_and_can_be_tried_again(house, monkeypatch):
    desk = house.open()
    await run_to_its_end(house, desk)
    with monkeypatch.context() as patch:

        def failing(values, *, sigma):
            raise HeldoutError("noise could not be drawn", reason="NOISE")

        patch.setattr(house.noise, "add", failing)
        with pytest.raises(HeldoutError):
            await desk.publish("run-1")
    assert house.publisher.releases == {}
    await desk.publish("run-1")

    assert len(house.publisher.releases) == 1


async def test_a_start_with_no_epoch_has_no_budget_to_state(house):
    house.memberships.by_epoch.clear()
    await house.open().carry_on()

    assert house.publisher.states == {}


async def test_the_standing_budget_is_that_of_the_newest_epoch(house):
    house.memberships.by_epoch["epoch-2"] = house.make_members(harmful=1)
    await house.open().carry_on()

    assert findings_pb2.Budget.FromString(house.publisher.states["budget"]).epoch_id == "epoch-2"


async def test_the_same_run_with_the_same_noise_gives_the_same_bytes(house, tmp_path: Path):
    other = type(house)(tmp_path.joinpath("other"))
    other.folder.mkdir()
    documents = []
    for each in (house, other):
        desk = each.open()
        await run_to_its_end(each, desk)
        await desk.publish("run-1")
        documents.append(each.publisher.releases["release-1"][0])
        desk.close()

    assert documents[0] == documents[1]


def test_the_plain_cell_is_part_of_the_plans_here(house):
    assert PLAIN in house.propose("run-1").manifest.techniques


async def test_a_release_whose_run_is_gone_stays_and_holds_up_no_other(house):
    """An older copy of the outcomes that was accepted may lack a run whose release is pending."""
    desk = house.open()
    for run_id in ("run-1", "run-2"):
        await run_to_its_end(house, desk, run_id)
        house.steps.crash_at = "before append"
        with pytest.raises(house.crash):
            await desk.publish(run_id)
    del house.outcomes.runs["run-1"]
    await house.reopen().carry_on()

    assert house.stored("SELECT state FROM releases ORDER BY number") == [("pending",), ("published",)]
    assert [record.details["run_id"] for record in house.audit.records] == ["run-2"]


async def test_a_release_before_its_moment_is_not_published(house):
    assert house.policy.schedule.is_planned
    desk = house.open()
    await run_to_its_end(house, desk)
    house.outcomes.runs["run-1"] = dataclasses.replace(
        house.outcomes.runs["run-1"], publishes_s=int(house.clock.now) + 60
    )
    with pytest.raises(WrongState) as caught:
        await desk.publish("run-1")
    assert caught.value.reason == "NOT_DUE"
    assert house.publisher.releases == {}
    assert house.noise.draws == []


@pytest.mark.parametrize("other", ["another event", "another document"])
async def test_an_entry_that_only_names_a_release_is_not_taken_for_its_own(house, other):
    desk = house.open()
    await run_to_its_end(house, desk)
    house.steps.crash_at = "before append"
    with pytest.raises(house.crash):
        await desk.publish("run-1")
    details = {"release_id": "release-1", "document_sha256": "0" * 64}
    house.audit.records.append(
        Record(kind="event", name="release" if other == "another document" else "noted", details=details)
    )
    await house.reopen().carry_on()

    assert [record.name for record in house.audit.records][1:] == ["release"]
    ((document, receipt),) = house.publisher.releases.values()
    assert house.audit.records[1].details["document_sha256"] == hashlib.sha256(document).hexdigest()
    assert b"index 1" in receipt


@pytest.mark.parametrize("crash_at", ["", "after append"])
async def test_of_a_cancelled_run_a_release_without_figures_is_published(house, crash_at):
    """No outcome is read and no noise drawn: whatever was tried until then, the document is the same."""
    desk = house.open()
    await run_to_its_end(house, desk)
    house.outcomes.runs["run-1"] = dataclasses.replace(house.outcomes.runs["run-1"], cancelled=True)
    house.outcomes.verdicts.clear()
    spent = await desk.budget("epoch-1")
    if crash_at:
        house.steps.crash_at = crash_at
        with pytest.raises(house.crash):
            await desk.publish("run-1")
        await house.open().carry_on()
    else:
        await desk.publish("run-1")
    release = only_release(house)
    assert release.cancelled
    assert not release.tables
    assert (release.number, release.run_id, release.tested.checkpoint) == (1, "run-1", "step-1000")
    assert release.published_s == house.clock.now // 3600 * 3600
    assert house.noise.draws == []
    assert await desk.budget("epoch-1") == spent
    assert spent.harmful_spent_nano_rho > 0
    assert house.outcomes.runs["run-1"].state is RunState.PUBLISHED
