from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from heldout_server.domain import Checkpoint, CheckpointState, LeftOut, LeftOutReason
from heldout_server.errors import BudgetExhausted, RunUnderWay, StorageError
from heldout_server.ports.audit import LOG_FAILED
from heldout_server.watch import Watcher


def checkpoint(sequence, state=CheckpointState.STAGED):
    staged = state is CheckpointState.STAGED
    return Checkpoint(
        name=f"nova-{sequence}",
        line="nova",
        sequence=sequence,
        runtime="scripted",
        digest=f"{sequence:064x}" if staged else "",
        state=state,
        reason="" if staged else "pickle",
        path="",
        noticed_s=0,
    )


class MemoryCheckpoints:
    """Notice at each scan what the test put in line, and keep what is pending."""

    def __init__(self):
        self.line = []
        self.waiting = {}
        self.late = []

    async def scan(self):
        new = self.line.pop(0) if self.line else ()
        if isinstance(new, Exception):
            raise new
        self.waiting.update({one.name: one for one in new})
        return new

    async def left_out(self):
        return self.late.pop(0) if self.late else ()

    async def pending(self):
        return tuple(self.waiting.values())

    async def settle(self, name):
        del self.waiting[name]


class MemoryLog:
    def __init__(self):
        self.records = []
        self.error = None

    async def append(self, record):
        if self.error:
            raise self.error
        self.records.append(record)


class Lab:
    """Run a watcher for so many looks."""

    def __init__(self):
        self.checkpoints, self.log = MemoryCheckpoints(), MemoryLog()
        self.submitted, self.errors, self.pauses_s = [], {}, []

    async def submit(self, one):
        assert self.log.records[-1].details["name"] == one.name, "submitted before it was logged"
        if self.errors.get(one.name):
            raise self.errors[one.name].pop(0)
        self.submitted.append(one.name)

    async def watch(self, looks):
        class EnoughError(Exception):
            pass

        async def sleep(pause_s):
            self.pauses_s.append(pause_s)
            if len(self.pauses_s) == looks:
                raise EnoughError

        with pytest.raises(EnoughError):
            await Watcher(self.checkpoints, self.log, self.submit, 2.5, sleep=sleep).run()


@pytest.fixture
def lab():
    return Lab()


async def test_what_is_new_is_logged_then_submitted_then_settled_in_order(lab):
    lab.checkpoints.line = [(checkpoint(1), checkpoint(2)), (), (checkpoint(3),)]
    await lab.watch(looks=3)
    assert lab.submitted == ["nova-1", "nova-2", "nova-3"]
    assert lab.checkpoints.waiting == {}
    assert lab.pauses_s == [2.5, 2.5, 2.5]
    assert [(one.kind, one.name) for one in lab.log.records] == [("event", "checkpoint")] * 3
    assert lab.log.records[0].details == {
        "name": "nova-1",
        "sequence": 1,
        "digest": f"{1:064x}",
        "state": "staged",
        "reason": "",
    }


async def test_a_refused_checkpoint_is_logged_with_its_reason_and_not_submitted(lab):
    lab.checkpoints.line = [(checkpoint(1, CheckpointState.REFUSED), checkpoint(2))]
    await lab.watch(looks=1)
    assert lab.submitted == ["nova-2"]
    assert (lab.log.records[0].details["state"], lab.log.records[0].details["reason"]) == ("refused", "pickle")


async def test_what_an_earlier_process_left_is_submitted_before_anything_new(lab):
    lab.checkpoints.waiting = {"nova-1": checkpoint(1)}
    lab.checkpoints.line = [(checkpoint(2),)]
    await lab.watch(looks=1)
    assert lab.submitted == ["nova-1", "nova-2"]


def warnings(lines):
    return [line for line in lines if line["log_level"] != "info"]


async def test_what_becomes_of_a_checkpoint_is_said_once(lab):
    lab.checkpoints.line = [(checkpoint(1), checkpoint(2, CheckpointState.REFUSED))]
    with capture_logs() as lines:
        await lab.watch(looks=3)
    assert [(line["log_level"], line["event"], line["checkpoint"], line.get("reason")) for line in lines] == [
        ("info", "checkpoint_staged", "nova-1", None),
        ("warning", "checkpoint_refused", "nova-2", "pickle"),
    ]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(BudgetExhausted("nothing is left: canary"), "BUDGET_EXHAUSTED"), (KeyError("canary"), "KeyError")],
)
async def test_a_submission_that_fails_is_reported_by_its_reason_and_not_tried_again(lab, error, reason):
    lab.checkpoints.line = [(checkpoint(1), checkpoint(2))]
    lab.errors = {"nova-1": [error]}
    with capture_logs() as lines:
        await lab.watch(looks=3)
    assert lab.submitted == ["nova-2"]
    assert [(line["event"], line["checkpoint"], line["reason"]) for line in warnings(lines)] == [
        ("submit_failed", "nova-1", reason)
    ]
    assert "canary" not in str(lines)


async def test_a_failed_disk_is_tried_again_at_the_next_look_and_those_behind_wait(lab):
    lab.checkpoints.line = [(checkpoint(1), checkpoint(2))]
    lab.errors = {"nova-1": [StorageError("full"), StorageError("full")]}
    with capture_logs() as lines:
        await lab.watch(looks=3)
    assert lab.submitted == ["nova-1", "nova-2"]
    assert [line["event"] for line in warnings(lines)] == ["submit_postponed"] * 2
    assert [one.details["name"] for one in lab.log.records] == ["nova-1", "nova-2"]


async def test_a_submission_that_waits_for_a_run_is_made_again_and_nothing_is_said_of_it(lab):
    lab.checkpoints.line = [(checkpoint(1), checkpoint(2))]
    lab.errors = {"nova-1": [RunUnderWay("wait"), RunUnderWay("wait")]}
    with capture_logs() as lines:
        await lab.watch(looks=3)
    assert lab.submitted == ["nova-1", "nova-2"]
    assert (warnings(lines), len(lab.log.records)) == ([], 2)


async def test_a_scan_that_fails_is_reported_and_the_watch_goes_on(lab):
    lab.checkpoints.line = [StorageError("the source is away", reason="SOURCE"), (checkpoint(1),)]
    with capture_logs() as lines:
        await lab.watch(looks=2)
    assert lab.submitted == ["nova-1"]
    assert [(line["event"], line["reason"]) for line in warnings(lines)] == [("scan_failed", "SOURCE")]


async def test_without_a_log_nothing_is_submitted_and_the_watch_ends(lab):
    lab.checkpoints.waiting = {"nova-1": checkpoint(1)}
    lab.log.error = StorageError("no log")
    with pytest.raises(StorageError):
        await Watcher(lab.checkpoints, lab.log, lab.submit, 1).run()
    assert lab.submitted == []
    assert list(lab.checkpoints.waiting) == ["nova-1"]


async def test_a_log_that_fails_during_a_scan_ends_the_watch_without_a_word(lab):
    """The end of a log is told by itself, and nothing comes after it."""
    lab.checkpoints.line = [StorageError("no log", reason=LOG_FAILED)]
    with capture_logs() as lines, pytest.raises(StorageError):
        await Watcher(lab.checkpoints, lab.log, lab.submit, 1).run()
    assert warnings(lines) == []


async def test_a_log_that_fails_during_a_submission_ends_the_watch_and_leaves_it_pending(lab):
    lab.checkpoints.waiting = {"nova-1": checkpoint(1)}
    lab.errors = {"nova-1": [StorageError("no log", reason=LOG_FAILED)]}
    with capture_logs() as lines, pytest.raises(StorageError):
        await Watcher(lab.checkpoints, lab.log, lab.submit, 1).run()
    assert warnings(lines) == []
    assert list(lab.checkpoints.waiting) == ["nova-1"]


async def test_a_submission_that_is_cut_off_stays_pending(lab):
    begun = asyncio.Event()

    async def submit(_one):
        begun.set()
        await asyncio.Event().wait()

    lab.checkpoints.waiting = {"nova-1": checkpoint(1)}
    task = asyncio.create_task(Watcher(lab.checkpoints, lab.log, submit, 1).run())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(lab.checkpoints.waiting) == ["nova-1"]


async def test_what_does_not_become_ready_is_said_once_and_again_when_it_comes_back(lab):
    forgotten = LeftOut(name="nova-3", reason=LeftOutReason.NO_MARKER, seen_s=0)
    lab.checkpoints.late = [(), (forgotten,), (forgotten,), (), (forgotten,)]
    with capture_logs() as lines:
        await lab.watch(looks=5)
    said = [(line["event"], line["checkpoint"], line["reason"]) for line in lines]
    assert said == [("checkpoint_waits", "nova-3", "no_marker")] * 2
