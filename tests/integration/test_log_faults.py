"""When a log cannot be written, nothing is answered, and the process ends with one clear line: then and never later."""

import asyncio
import os
import shutil
import subprocess

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from heldout.errors import CallError
from heldout_server.app.logs import DATABASES
from heldout_server.cli import EXIT_LOG_FAILED
from lab_texts import POLICY, TABLE, write_checkpoint
from lab_texts import prompt_rows as prompts
from served_appliance import ServedAppliance, prompt_rows, until

SOON_S = 10
SLOW_TABLE = TABLE | {"latency_ms": 100}

CALLS = {
    "window": ("trainer", lambda client: client.findings.releases()),
    "vault": ("bank_tester", lambda client: client.bank.stats()),
}
"""For each half, a role and a call that its log records."""


def deleted(path):
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def deleted_alone(path):
    path.unlink()


def replaced_by_itself(path):
    """A copy has the same bytes, and is not the file that the process writes to."""
    copy = path.with_suffix(".copy")
    shutil.copyfile(path, copy)
    copy.rename(path)


def replaced_by_noise(path):
    path.with_suffix(".noise").write_bytes(os.urandom(65_536))
    path.with_suffix(".noise").rename(path)


FAULTS = (deleted, deleted_alone, replaced_by_itself, replaced_by_noise)


async def serving_status(served):
    """Return what the health port says: SERVING, NOT_SERVING, or nothing once nobody listens."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{served.health_port}") as channel:
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        except grpc.aio.AioRpcError:
            return ""
        return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


async def is_answered(served, half):
    role, call = CALLS[half]
    client = await served.client(role)
    try:
        await call(client)
    except CallError:
        return False
    return True


async def ends_with_one_line(served):
    """Wait for the end that a failed log has to have."""
    assert await served.ended(SOON_S) == EXIT_LOG_FAILED, served.said_last()
    *_, last = served.said_last()
    assert "an audit log cannot be written" in last
    assert sum("audit log" in line for line in served.said_last()) == 1
    assert not any("Traceback" in line for line in served.said_last())


@pytest.fixture
async def filled(served):
    """Serve an appliance with an epoch and no run."""
    await served.start()
    tester = await served.client("bank_tester")
    await tester.bank.import_prompts(prompt_rows(prompts()))
    await tester.bank.open_epoch()
    return served


@pytest.mark.parametrize("half", sorted(CALLS))
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_log_that_is_gone_or_another_ends_all_answers(served, half, fault):
    await served.start()
    assert await serving_status(served) == "SERVING"
    assert await is_answered(served, "window")
    assert await is_answered(served, "vault")

    fault(served.folder / half / "audit.db")

    assert not await is_answered(served, half)
    assert not await is_answered(served, "vault")
    assert not await is_answered(served, "window")
    assert await serving_status(served) in {"NOT_SERVING", ""}
    await ends_with_one_line(served)


async def test_a_start_after_a_database_was_deleted_says_so_and_does_not_begin_another(served):
    """An empty log or ledger in its place would give back what was spent and forget what was said."""
    await served.start()
    await served.stop()
    whole = served.folder.with_name("whole")
    shutil.copytree(served.folder, whole)
    for half, name in DATABASES[:-1]:
        deleted(served.folder / half / name)
        served.spawn()
        assert await served.ended() == 2, served.said_last()
        assert f"{half}/{name} is gone" in "\n".join(served.said_last())
        assert len(served.said_last()) == 1
        assert not (served.folder / half / name).exists()  # nothing was made that would let the next start in
        shutil.copyfile(whole / half / name, served.folder / half / name)
    await served.start()
    await served.stop()


@pytest.mark.parametrize("made", [1, 4, 7])
async def test_a_first_start_that_was_cut_off_can_be_made_again(served, made):
    half, name = DATABASES[made - 1]
    served.spawn()
    await until((served.folder / half / name).exists)  # and dies as soon as so many databases are there
    await served.kill()
    await served.start()
    assert await is_answered(served, "vault")
    await served.stop()


@pytest.mark.parametrize("half", sorted(CALLS))
async def test_a_start_with_a_log_of_noise_says_so(served, half):
    await served.start()
    await served.stop()
    replaced_by_noise(served.folder / half / "audit.db")
    served.spawn()
    assert await served.ended() == 2, served.said_last()
    assert "audit.db" in "\n".join(served.said_last())
    assert len(served.said_last()) <= 2


async def test_a_log_that_goes_while_nobody_calls_is_found_by_what_happens_next(filled):
    """The appliance itself writes to the vault's log when a checkpoint appears: no caller is needed."""
    deleted(filled.folder / "vault" / "audit.db")
    write_checkpoint(filled.folder / "checkpoints", "nova-v1")
    await ends_with_one_line(filled)


async def test_a_log_that_goes_in_the_middle_of_a_run_publishes_nothing(filled):
    write_checkpoint(filled.folder / "checkpoints", "nova-v1", table=SLOW_TABLE)
    await filled.run_of("nova-v1", states=("running",))
    deleted(filled.folder / "vault" / "audit.db")
    assert not await is_answered(filled, "vault")
    await ends_with_one_line(filled)


# A disk that is full. What can be filled safely is a small one of our own.


@pytest.fixture
def on_small_disk(tmp_path):
    """Install an appliance whose window folder is a disk of 3 MiB."""
    served = ServedAppliance.install(tmp_path, policy=POLICY)
    window = served.folder / "window"
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "tmpfs", window], check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root can mount a small disk")
    yield served
    subprocess.run(["umount", window], check=True)


@pytest.fixture
async def small_disk(on_small_disk):
    yield on_small_disk
    await on_small_disk.close()


def fill_up(folder):
    """Leave not a byte on the disk of a folder."""
    with (folder / "ballast").open("ab", buffering=0) as file:
        for size in (65_536, 4_096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return folder / "ballast"


async def test_a_full_disk_under_the_log_ends_all_answers_until_there_is_space(small_disk):
    served = await small_disk.start()
    assert await is_answered(served, "window")
    ballast = fill_up(served.folder / "window")

    assert not await is_answered(served, "window")
    await ends_with_one_line(served)

    ballast.unlink()
    await served.start()
    assert await is_answered(served, "window")
    assert (await served.ask("auditor", "audit", "verify"))[0] == 0
    await served.stop()


async def test_a_disk_that_fills_up_during_a_run_leaves_nothing_half_published(small_disk):
    served = await small_disk.start()
    tester = await served.client("bank_tester")
    await tester.bank.import_prompts(prompt_rows(prompts()))
    await tester.bank.open_epoch()
    write_checkpoint(served.folder / "checkpoints", "nova-v1", table=SLOW_TABLE)
    await served.run_of("nova-v1", states=("running",))
    ballast = fill_up(served.folder / "window")
    await until(lambda: "run_interrupted" in served.said(), 30)
    run = await served.run_of("nova-v1", states=("complete",))  # the vault has its own disk, and goes on
    assert not await is_answered(served, "window")
    await ends_with_one_line(served)

    ballast.unlink()
    await served.start()
    published = await served.run_of("nova-v1")
    assert published.run_id == run.run_id
    trainer = await served.client("trainer")
    (release,) = await trainer.findings.releases()
    assert release.run_id == run.run_id
    assert (await trainer.findings.budget()).releases_used == 1
    assert (await asyncio.wait_for(served.ask("auditor", "audit", "verify"), 60))[0] == 0
    await served.stop()


async def test_a_disk_that_became_read_only_is_refused_with_one_clear_line(small_disk):
    """The kernel refuses to remount a disk that is written to, so this is what a start finds after an error of it."""
    served = await small_disk.start()
    await served.stop()
    window = served.folder / "window"
    subprocess.run(["mount", "-o", "remount,ro", window], check=True)  # noqa: ASYNC221 - a moment
    served.spawn()
    assert await served.ended() == 2
    (line,) = served.said_last()
    assert "window/audit.db: cannot be locked (Read-only file system)" in line
    subprocess.run(["mount", "-o", "remount,rw", window], check=True)  # noqa: ASYNC221 - a moment
    await served.start()
    assert await is_answered(served, "window")
    await served.stop()
