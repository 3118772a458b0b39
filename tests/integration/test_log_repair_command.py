"""A damaged log under a real appliance: found while it serves, mended by the operator, and verified by the auditor."""

import asyncio
import json

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from lab_texts import POLICY
from served_appliance import BIN, ServedAppliance, until

PAGE_BYTES = 4_096
CALLS = 120


@pytest.fixture
async def swept(tmp_path):
    """Install an appliance whose logs read themselves again each second."""
    served = ServedAppliance.install(tmp_path, policy=POLICY, sweep_pause_s="1.0")
    yield served
    await served.close()


async def mend(served, *words):
    """Run the operator's command as typed; return its exit code and lines."""
    process = await asyncio.create_subprocess_exec(
        BIN / "heldout-server",
        *("audit", "repair", "--config", served.folder / "config.toml", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode().splitlines()


async def status_of(served, part=""):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{served.health_port}") as channel:
        request = health_pb2.HealthCheckRequest(service=part)
        answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=5)
        return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


def damage(path, page):
    """Flip one bit of a page, as a disk does."""
    with path.open("r+b") as file:
        file.seek(page * PAGE_BYTES + 1_000)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 4]))


async def call_often(served):
    trainer = await served.client("trainer")
    for _ in range(CALLS):
        await trainer.findings.releases()


async def test_damage_is_found_while_it_serves_and_named_and_mended_and_verified(swept):
    served = await swept.start()
    await call_often(served)
    await served.stop()
    path = served.folder / "window" / "audit.db"
    pages = path.stat().st_size // PAGE_BYTES
    await served.start()
    assert await status_of(served) == "SERVING"

    for page in range(pages // 2, pages // 2 + 3):  # not all of them hold what is still in use
        damage(path, page)
    await until(lambda: "log_damaged" in served.said(), 30)
    await until(lambda: _is(served, "NOT_SERVING"), 10)
    await served.stop()
    code, lines = await mend(served)
    assert code == 0, lines
    assert any("entries, whole. Nothing was done." in line for line in lines)
    assert any("heldout-dev/window" in line and "written anew: first" in line for line in lines)

    await served.start()
    assert await status_of(served) == "SERVING"
    code, out, err = await served.ask("auditor", "audit", "verify")
    assert code == 0, out + err
    await served.stop()


async def _is(served, status):
    return await status_of(served) == status


async def test_a_log_device_that_is_gone_stops_the_start_until_the_operator_makes_it_anew(swept):
    (swept.folder / "mirror").mkdir(mode=0o700)
    config = swept.folder / "config.toml"
    config.write_text(config.read_text().replace("[audit]\n", '[audit]\nsecond = "mirror"\n'))
    served = await swept.start()
    code, lines = await mend(served)
    assert code == 2
    assert "another process has this log open" in "\n".join(lines)
    await served.stop()

    (served.folder / "mirror" / "audit-vault.db").unlink()
    served.spawn()
    assert await served.ended() == 2
    (said,) = served.said_last()
    assert "log device second is gone" in said
    assert "heldout-server audit repair" in said

    code, lines = await mend(served, "--json")
    assert code == 0, lines
    vault, window = map(json.loads, lines)
    assert (vault["rewritten"], vault["unreadable"], window["rewritten"]) == (["second"], ["second"], [])
    await served.start()
    assert await status_of(served, "log-devices") == "SERVING"
    await served.stop()
