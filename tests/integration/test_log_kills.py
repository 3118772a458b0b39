"""kill -9 under mixed load, and power that fails at every fsync: acknowledged means present and included.

A kill leaves what the kernel was given. A power cut leaves what was synced: so a run is recorded write by write (by the
shim of ``fault_shim.c``), and the files are made again as they would have been found after each fsync, without the
writes that were not synced, and once more with some of those, in any choice.
"""

import asyncio
import hashlib
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

import faulty_disk
import log_driver
from heldout.verification.merkle import leaf_hash, verify_consistency, verify_inclusion
from heldout.verification.note import VerifierKey, open_checkpoint
from served_appliance import until

DRIVER = Path(log_driver.__file__)
ROUNDS = 4
SLOW_ROUNDS = 50
SLOW_PARTS = 20
LEAVES = 24
SLOW_LEAVES = 200


def acknowledged(file):
    """Return the digests of the leaves that were acknowledged, by index; a line that was cut off was not told."""
    text = file.read_text() if file.exists() else ""
    lines = text[: text.rfind("\n") + 1].splitlines()
    return {int(index): digest for index, digest in (line.split() for line in lines)}


async def check(folder, told, earlier, draw):
    """Open a log as a start does, and check all that was told of it."""
    log = await log_driver.open_log(folder)
    try:
        key = VerifierKey.parse(log.verifier_key)
        head = open_checkpoint(log.checkpoint(), key)
        if told:
            entries = await log.entries(start=min(told), limit=max(told) - min(told) + 1)
            for index, digest in told.items():
                assert hashlib.sha256(entries[index - min(told)]).hexdigest() == digest, f"leaf {index} is another"
            for index in draw.sample(sorted(told), min(20, len(told))):
                proof = await log.inclusion_proof(index=index, size=head.size)
                leaf = leaf_hash(entries[index - min(told)])
                verify_inclusion(index=index, size=head.size, leaf=leaf, proof=proof, root=head.root)
        if earlier is not None and earlier.size:
            proof = await log.consistency_proof(old=earlier.size, new=head.size)
            verify_consistency(old=earlier.size, new=head.size, old_root=earlier.root, new_root=head.root, proof=proof)
        return head
    finally:
        await log.close()


async def kill_often(folder, *, rounds, seed, devices):
    """Kill the driver at random moments, and check the log after each."""
    draw = random.Random(seed)  # noqa: S311 - moments, not secrets
    if devices == 2:
        (folder / "second").mkdir()
    head, leaves = None, 0
    for number in range(rounds):
        told_file = folder / f"told-{number}"
        process = await asyncio.create_subprocess_exec(
            sys.executable, DRIVER, folder, told_file, stderr=asyncio.subprocess.PIPE
        )
        await until(lambda told=told_file, process=process: told.exists() or process.returncode is not None, 30)
        moment = time.monotonic() + draw.random() * 0.25
        await until(lambda moment=moment: time.monotonic() >= moment, 5)
        process.send_signal(signal.SIGKILL)
        _, said = await process.communicate()
        assert process.returncode == -signal.SIGKILL, said
        told = acknowledged(told_file)
        head = await check(folder, told, head, draw)
        leaves += len(told)
        told_file.unlink()
    assert leaves
    return leaves, head


@pytest.mark.parametrize("devices", [1, 2])
async def test_what_was_acknowledged_is_there_after_kill_9(tmp_path, devices):
    await kill_often(tmp_path, rounds=ROUNDS // devices, seed=devices, devices=devices)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(SLOW_PARTS))
async def test_what_was_acknowledged_is_there_after_a_thousand_kills(tmp_path, part):
    devices = 1 + part % 2
    leaves, head = await kill_often(tmp_path, rounds=SLOW_ROUNDS, seed=100 + part, devices=devices)
    found = f"all of {leaves:,} acknowledged leaves present and included; log of {head.size:,}"
    faulty_disk.note(f"kill -9 under mixed load, log devices: {devices}, part {part:02}", SLOW_ROUNDS, found)


def files_at(record, end, folder, draw):
    """Return the content of each file after so much of the record: what was synced, and a choice of what was not.

    Args:
        draw: None to lose all that was not synced; else chooses what of it is kept.
    """
    synced = {}
    for place, done in enumerate(record[:end]):
        if done.kind == "s":
            synced[done.path] = place
    contents = {}
    for place, done in enumerate(record[:end]):
        if done.kind == "s" or not done.path.startswith(str(folder)) or done.path.endswith("-shm"):
            continue
        where = str(Path(done.path).parent) if done.kind == "u" else done.path  # a name lives in its folder
        kept = place < synced.get(where, -1) or (draw is not None and draw.random() < 0.5)
        content = contents.setdefault(done.path, bytearray())
        if not kept:
            continue
        if done.kind == "u":
            del contents[done.path]
            continue
        if done.kind == "t":
            del content[done.offset :]
            continue
        content.extend(bytes(max(0, done.offset - len(content))))
        content[done.offset : done.offset + len(done.data)] = done.data
    return contents


async def lose_power_at_every_sync(tmp_path, disk, *, leaves):
    """Record a run, and check what a power cut would have left, right before and after each fsync."""
    folder, told_file, recorded = tmp_path / "log", tmp_path / "told", tmp_path / "record"
    folder.mkdir()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        DRIVER,
        folder,
        told_file,
        str(leaves),
        env=os.environ | {"LD_PRELOAD": str(disk), "HELDOUT_RECORD": str(recorded)},
    )
    assert await asyncio.wait_for(process.wait(), 60) == 0
    record = faulty_disk.read_record(recorded)
    boundaries = [place for place, done in enumerate(record) if done.kind == "s"]
    assert len(boundaries) > leaves // 8
    draw = random.Random(7)  # noqa: S311 - which writes survive, not secrets
    told, cuts, present = b"", 0, 0
    place = 0
    for boundary in boundaries:
        for end in (boundary, boundary + 1):
            while place < end:
                if record[place].path == str(told_file):
                    told += record[place].data
                place += 1
            (tmp_path / "told-then").write_bytes(told)
            known = acknowledged(tmp_path / "told-then")
            for chooses in (None, draw):
                again = tmp_path / "again"
                again.mkdir()
                for path, content in files_at(record, end, folder, chooses).items():
                    (again / Path(path).name).write_bytes(content)
                if known or (again / "audit.db").exists():
                    await check(again, known, None, draw)
                    cuts += 1
                    present += len(known)
                shutil.rmtree(again)
    return cuts, len(boundaries), present


async def test_what_was_acknowledged_is_there_after_a_power_cut_at_any_sync(tmp_path, tmp_path_factory):
    disk = faulty_disk.compiled(tmp_path_factory.getbasetemp())
    cuts, _, present = await lose_power_at_every_sync(tmp_path, disk, leaves=LEAVES)
    assert cuts > 2 * LEAVES // 8
    assert present


@pytest.mark.slow
async def test_what_was_acknowledged_is_there_after_a_power_cut_at_any_sync_of_a_longer_run(tmp_path, tmp_path_factory):
    disk = faulty_disk.compiled(tmp_path_factory.getbasetemp())
    cuts, syncs, _ = await lose_power_at_every_sync(tmp_path, disk, leaves=SLOW_LEAVES)
    found = f"every acknowledged leaf, at each of {syncs:,} fsyncs; unsynced writes lost or kept by chance"
    faulty_disk.note("power cut at every fsync, replayed from a shim's record", cuts, found)
