"""A disk under a log that is full, fails, hangs or is read-only, one after the other, under a real appliance.

Faults are made by a shim that stands between the process and its disk (``fault_shim.c``), so that no root is needed and
SQLite meets them where the kernel would have them: in write and fsync.
"""

import json
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from faulty_disk import FaultyDisk, compiled, note
from heldout.errors import CallError
from heldout_server.cli import EXIT_LOG_FAILED
from lab_texts import POLICY
from served_appliance import ServedAppliance, seconds_since, until

SOON_S = 10
KINDS = ("enospc-write", "eio-write", "eio-fsync-once", "erofs-write")
CALLS = {
    "window": ("trainer", lambda client: client.findings.releases()),
    "vault": ("bank_tester", lambda client: client.bank.stats()),
}


@pytest.fixture
async def faulty(tmp_path, tmp_path_factory):
    disk = FaultyDisk(compiled(tmp_path_factory.getbasetemp()), tmp_path)
    served = ServedAppliance.install(tmp_path, policy=POLICY, commit_deadline_s="1.0")
    served.environment = disk.environment
    served.disk = disk
    yield served
    disk.heal()
    await served.close()


@pytest.fixture
def mirrored(faulty):
    """Keep the logs on a second device besides."""
    (faulty.folder / "mirror").mkdir(mode=0o700)
    config = faulty.folder / "config.toml"
    config.write_text(config.read_text().replace("[audit]\n", '[audit]\nsecond = "mirror"\n'))
    return faulty


async def is_answered(served, half):
    role, call = CALLS[half]
    client = await served.client(role)
    try:
        await call(client)
    except CallError:
        return False
    return True


async def health_of(served, part):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{served.health_port}") as channel:
        request = health_pb2.HealthCheckRequest(service=part)
        answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=5)
        return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


async def names_of(served, half):
    auditor = await served.client("auditor")
    head = await auditor.audit.head(half)
    return [
        json.loads(entry)["name"]
        async for page in auditor.audit.entries(half, start=0, stop=head.head.size)
        for entry in page.entries
    ]


@pytest.mark.parametrize("half", ["window", pytest.param("vault", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["hang-fsync", *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS)])
async def test_a_failing_disk_ends_all_answers_within_seconds(faulty, half, kind):
    served = await faulty.start()
    for _ in range(3):
        assert await is_answered(served, half)
    told = len(await names_of(served, half))

    served.disk.fail(kind, f"{half}/audit.db")
    began = time.monotonic()
    assert not await is_answered(served, half)
    assert not await is_answered(served, "window")
    assert not await is_answered(served, "vault")
    assert await served.ended(SOON_S) == EXIT_LOG_FAILED, served.said_last()
    took_s = seconds_since(began)
    assert any("an audit log cannot be written" in line for line in served.said_last())
    assert not any("Traceback" in line for line in served.said_last())

    served.disk.heal()
    await served.start()
    assert len(await names_of(served, half)) > told
    assert await is_answered(served, half)
    await served.stop()
    note(f"{kind}, {half}/audit.db", 1, f"no answer, exit 3 after {took_s:.1f} s; log whole at the next start")


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("hang-fsync", "window/audit.db"),
        pytest.param("hang-fsync", "mirror/audit-window.db", marks=pytest.mark.slow),
        pytest.param("eio-fsync-once", "window/audit.db", marks=pytest.mark.slow),
        pytest.param("eio-fsync-once", "mirror/audit-window.db", marks=pytest.mark.slow),
    ],
)
async def test_with_two_devices_it_goes_on_while_one_is_whole_and_says_so(mirrored, kind, word):
    served = await mirrored.start()
    assert await health_of(served, "log-devices") == "SERVING"

    served.disk.fail(kind, word)
    assert await is_answered(served, "window")
    assert await is_answered(served, "window")
    served.disk.heal()
    await until(lambda: "log_device_lost" in served.said())
    assert await health_of(served, "") == "SERVING"
    await until(lambda: _is(served, "log-devices", "NOT_SERVING"))
    assert (await names_of(served, "window")).count("log_device_lost") == 1
    assert not any("Traceback" in line for line in served.said_last())
    await served.stop()

    await served.start()
    assert any("log_device_caught_up" in line for line in served.said_last())
    assert await health_of(served, "log-devices") == "SERVING"
    assert await is_answered(served, "window")
    await served.stop()
    note(f"{kind}, {word}, two devices", 1, "answered throughout, told, caught up at the next start")


async def _is(served, part, status):
    return await health_of(served, part) == status


async def test_a_second_process_on_the_same_logs_is_refused(faulty):
    served = await faulty.start()
    first, began = served.process, served._began
    served.spawn()
    assert await served.ended() == 2
    (line,) = [line for line in served.said_last() if line]
    assert "another process has this log open" in line
    served.process, served._began = first, began
    assert await is_answered(served, "vault")
    await served.stop()
