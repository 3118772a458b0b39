"""Several processes check a log as one does, and find the same."""

from __future__ import annotations

import os

import pytest

from heldout.errors import VerificationError
from heldout.verification import segment, workers
from heldout.verification.export import verify_export
from heldout.verification.log_folder import LogExport

TRAINER = "spiffe://heldout.example/trainer"


@pytest.fixture
def small_segments(monkeypatch):
    """Make segments of one bundle, here; what another process is given are the bounds."""
    monkeypatch.setattr(workers, "SEGMENT_LEAVES", 256)


@pytest.fixture
def long_log(log, tmp_path, small_segments):
    """A log of five segments, with calls that end in a later segment than they begin in, and a reload in the middle."""
    log.add(name="start", policy_digest="p")
    early = [log.intent(number) for number in range(1, 301)]
    log.add(name="reload", policy_digest="p")
    for index in early:
        log.outcome(index)
    for number in range(301, 601):
        log.outcome(log.intent(number))
    log.intent(1, identity=TRAINER, role="trainer")
    return log


def export(log, folder):
    writer = LogExport(folder)
    writer.add(log.leaves)
    writer.finish(log.checkpoint())
    return folder


def tell(log, index, *, number):
    """Have an outcome tell its caller the number of the call."""
    log.leaves[index] = log.leaves[index].replace(b'"details":{', b'"details":{"counter":%d,' % number)


@pytest.mark.parametrize("processes", [1, 2])
def test_calls_are_followed_across_segments(long_log, tmp_path, processes):
    heads = [long_log.checkpoint(size) for size in (1, 256, 300, 512, 1000)]
    report = verify_export(export(long_log, tmp_path / "log"), long_log.vkey, earlier=heads, processes=processes)
    assert (report.intents, report.outcomes, report.events) == (601, 600, 2)
    assert report.open_intents == (len(long_log.leaves) - 1,)
    assert report.counters == {"spiffe://heldout.example/bank-tester": 600, TRAINER: 1}
    periods = {(group.period, group.identity): group.calls for group in report.history.calls}
    tester = "spiffe://heldout.example/bank-tester"
    assert periods == {(0, tester): 300, (301, tester): 300, (301, TRAINER): 1}
    assert report.history.endings == {(tester, "bank_tester", "/heldout.v1.BankService/GetStats", "OK"): 600}


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("size", [255, 256, 300, 1100])
def test_a_fork_is_found_in_any_segment(long_log, tmp_path, processes, size):
    head = long_log.checkpoint(size)
    long_log.leaves[size - 1] = long_log.leaves[size - 1].replace(b'"time_s":60', b'"time_s":120')
    folder = export(long_log, tmp_path / "log")
    with pytest.raises(VerificationError, match=f"first {size} entries"):
        verify_export(folder, long_log.vkey, earlier=[head], processes=processes)


@pytest.mark.parametrize("processes", [1, 2])
def test_the_first_of_two_faults_is_named(long_log, tmp_path, processes):
    long_log.leaves[700] = b"text"
    long_log.leaves[1100] = b"text"
    folder = export(long_log, tmp_path / "log")
    with pytest.raises(VerificationError, match="entry 700 "):
        verify_export(folder, long_log.vkey, processes=processes)


def test_a_gap_between_segments_is_named(log, tmp_path, small_segments):
    for number in [*range(1, 257), *range(258, 300)]:
        log.intent(number)
    with pytest.raises(VerificationError, match="entry 256 is intent 258 of its identity, and 257 comes next"):
        verify_export(export(log, tmp_path / "log"), log.vkey)


def test_an_outcome_of_another_number_is_noticed(log, tmp_path, small_segments):
    intents = [log.intent(number) for number in range(1, 260)]
    tell(log, log.outcome(intents[0]), number=1)
    assert verify_export(export(log, tmp_path / "one"), log.vkey).outcomes == 1
    tell(log, log.outcome(intents[1]), number=1)
    with pytest.raises(VerificationError, match="ends another call"):
        verify_export(export(log, tmp_path / "two"), log.vkey)


def test_what_a_dead_process_leaves_over_is_done_here(long_log, tmp_path, monkeypatch):
    monkeypatch.setattr(workers.sys, "executable", "/bin/false")
    assert verify_export(export(long_log, tmp_path / "one"), long_log.vkey, processes=2).outcomes == 600
    monkeypatch.setattr(workers.sys, "executable", "/no/such/python")
    assert verify_export(export(long_log, tmp_path / "two"), long_log.vkey, processes=2).outcomes == 600


def test_small_logs_start_no_process(long_log, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "SEGMENT_LEAVES", segment.SEGMENT_LEAVES)
    monkeypatch.setattr(workers.subprocess, "Popen", None)
    monkeypatch.setattr(workers.os, "sched_getaffinity", lambda _pid: set(range(os.cpu_count() + 8)))
    assert verify_export(export(long_log, tmp_path / "log"), long_log.vkey).outcomes == 600
