"""kill -9 while what came during a sealing is put into the log: each call is in it once, whatever was acknowledged."""

import asyncio
import json
import random
import secrets
import signal
import sys
from pathlib import Path

import pytest

import kept_driver
import log_driver
from heldout_server.audit import KeptFile, begin_kept_key
from heldout_server.ports.seal import KeptCall
from key_ring_fakes import OneSecretKeyRing

DRIVER = Path(kept_driver.__file__)
CALLS = 12


async def keep_calls(folder):
    begin_kept_key(folder / "sealed-calls.jsonl", OneSecretKeyRing(), random_bytes=secrets.token_bytes)
    file = KeptFile(folder / "sealed-calls.jsonl", random_bytes=secrets.token_bytes)
    await file.keep_event("start_sealed", at_s=0)
    for number in range(CALLS):
        await file.keep(
            KeptCall(
                name="/heldout.v1.SealService/GetSealStatus",
                identity=f"spiffe://heldout.example/key-holder-{number % 3}",
                role="key_holder",
                decision="allow",
                rules=("seal",),
                status="OK",
                at_s=60,
                request_sha256="00" * 48,
            )
        )


async def unseal(folder, *, kill_at=None):
    """Start the driver, kill it once so many leaves were acknowledged, and say whether it ended by itself."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, DRIVER, folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    told = 0
    while (line := await process.stdout.readline()) and line != b"done\n":
        told += 1
        if told == kill_at:
            process.send_signal(signal.SIGKILL)
    _, said = await process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), said
    return process.returncode == 0


async def leaves_of(folder):
    log = await log_driver.open_log(folder)
    try:
        return [json.loads(entry) for entry in await log.entries(start=0, limit=log.size)]
    finally:
        await log.close()


async def check_once(folder):
    leaves = await leaves_of(folder)
    links = [leaf["details"]["kept"] for leaf in leaves if isinstance(leaf["details"].get("kept"), str)]
    assert len(links) == len(set(links)) == 1 + CALLS
    calls = [place for place, leaf in enumerate(leaves) if leaf["kind"] == "intent"]
    assert sorted(leaf["details"]["intent"] for leaf in leaves if leaf["kind"] == "outcome") == calls
    assert leaves[-1]["name"] == "unseal"
    assert leaves[-1]["details"]["kept_signed"] == "True"
    assert leaves[-1]["details"]["kept"] in (0, 1 + CALLS)  # none where the kill came after the file was removed
    assert not (folder / "sealed-calls.jsonl").exists()


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))])
async def test_each_call_is_in_the_log_once_however_often_it_is_killed(tmp_path, seed):
    moments = random.Random(seed)  # noqa: S311 - moments, not secrets
    await keep_calls(tmp_path)
    killed = 0
    while not await unseal(tmp_path, kill_at=moments.randint(2, 10)):
        killed += 1
    assert killed >= 2
    await check_once(tmp_path)
