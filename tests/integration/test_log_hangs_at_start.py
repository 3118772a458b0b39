"""A disk that hangs while the appliance starts: it ends with one line, or says what it waits for."""

import time

import pytest

from faulty_disk import FaultyDisk, compiled, note
from heldout_server.cli import EXIT_LOG_FAILED
from lab_texts import POLICY
from served_appliance import ServedAppliance, seconds_since, until

SOON_S = 12


@pytest.fixture
async def faulty(tmp_path, tmp_path_factory):
    disk = FaultyDisk(compiled(tmp_path_factory.getbasetemp()), tmp_path)
    served = ServedAppliance.install(tmp_path, policy=POLICY, commit_deadline_s="1.0")
    served.environment = disk.environment
    served.disk = disk
    yield served
    disk.heal()
    await served.close()


async def ends_with_one_line(served, file, fault):
    began = time.monotonic()
    served.spawn()
    assert await served.ended(SOON_S) == EXIT_LOG_FAILED, served.said_last()
    took_s = seconds_since(began)
    (line,) = [line for line in served.said_last() if line.startswith("heldout-server:")]
    assert f"{file}: its disk did not answer within 1 s" in line
    assert "Nothing was started" in line
    assert not any("Traceback" in line for line in served.said_last())
    note(fault, 1, f"exit 3 after {took_s:.1f} s, naming the file; whole at the next start")


@pytest.mark.parametrize("half", ["vault", pytest.param("window", marks=pytest.mark.slow)])
@pytest.mark.parametrize("killed", [False, pytest.param(True, marks=pytest.mark.slow)])
async def test_a_log_on_a_disk_that_hangs_ends_the_start_within_seconds(faulty, half, killed):
    served = await faulty.start()
    await (served.kill() if killed else served.stop())  # killed: its write-ahead log is still to be read, and emptied

    served.disk.fail("hang-fsync", f"{half}/audit.db")
    after = "killed" if killed else "stopped"
    await ends_with_one_line(served, f"{half}/audit.db", f"hang-fsync at start, {half}/audit.db, {after}")

    served.disk.heal()
    await served.start()
    await served.stop()


async def test_a_log_whose_lock_cannot_be_opened_ends_the_start_within_seconds(faulty):
    served = await faulty.start()
    await served.stop()
    served.disk.fail("hang-open", "window/audit.db.lock")
    await ends_with_one_line(served, "window/audit.db", "hang-open at start, window/audit.db.lock")
    served.disk.heal()
    await served.start()
    await served.stop()


@pytest.mark.slow  # the start says nothing for its first ten seconds
async def test_another_database_on_a_disk_that_hangs_is_named_while_the_start_waits_for_it(faulty):
    served = await faulty.start()
    await served.stop()
    served.disk.fail("hang-open", "vault/bank.db")
    served.spawn()
    said = await until(lambda: [line for line in served.said_last() if "not started after" in line], 30)
    assert "vault/bank.db" in said[0]
    assert "SIGKILL" in said[0]
    await served.kill()
    served.disk.heal()
    await served.start()
    await served.stop()
