"""Every bit of what a small log stores, flipped in turn: the self-audit finds it and names it, and nothing crashes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random

import pytest
from audit_log_lab import KEY, event, intent, opened
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from heldout_server.audit import Pace, repair_log, store
from heldout_server.audit.examination import Damage, Finding, examine
from heldout_server.audit.note import CheckpointSigner
from heldout_server.audit.reading import LogReader
from heldout_server.audit.store import read_leaves
from heldout_server.audit.sweep import SelfAudit
from heldout_server.audit.tree import HASH_BYTES
from heldout_server.database import Database

LEAVES = 5
SIGNER = CheckpointSigner("lab/vault", Ed25519PrivateKey.from_private_bytes(KEY))
AT_ONCE = Pace(leaves_per_s=1e9, pause_s=0.0)


async def write_log(folder, leaves=LEAVES):
    async with opened(folder) as log:
        for _ in range(leaves):
            await log.append(intent())


async def sweep(folder):
    """Sweep once and return what is named."""
    found = []

    async def name(finding):
        found.append(finding)

    audit = SelfAudit(folder / "audit.db", KEY, signer=SIGNER, pace=AT_ONCE, on_finding=name)
    await audit.sweep()
    await audit.close()
    return found


def flip(data, bit):
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


async def stored_of(folder):
    database = Database.open(folder / "audit.db", KEY, store.MIGRATIONS)
    leaves = await database.read(lambda connection: read_leaves(connection, start=0, end=LEAVES))
    head = await database.read(lambda connection: connection.execute("SELECT size, checkpoint FROM head").fetchone())
    return database, leaves, head


async def test_a_whole_log_has_no_findings(tmp_path):
    await write_log(tmp_path, 300)
    assert await sweep(tmp_path) == []


async def test_every_flipped_bit_of_a_leaf_names_that_leaf(tmp_path):
    await write_log(tmp_path)
    database, leaves, _ = await stored_of(tmp_path)
    database.close()
    flips = 0
    for leaf in leaves:
        for bit in range(8 * len(leaf.entry)):
            changed = [store.StoredLeaf(one.leaf, one.entry, one.row) for one in leaves]
            changed[leaf.leaf] = store.StoredLeaf(leaf.leaf, flip(leaf.entry, bit), leaf.row)
            assert list(examine(changed, peaks=[])) == [Finding(leaf.leaf, Damage.ENTRY)]
            flips += 1
    assert flips > 5_000


async def test_every_flipped_bit_of_a_hash_names_its_leaf_or_the_leaf_of_its_parent(tmp_path):
    await write_log(tmp_path)
    database, leaves, _ = await stored_of(tmp_path)
    database.close()
    for leaf in leaves:
        for bit in range(8 * len(leaf.row)):
            changed = list(leaves)
            changed[leaf.leaf] = store.StoredLeaf(leaf.leaf, leaf.entry, flip(leaf.row, bit))
            named = list(examine(changed, peaks=[]))
            assert all(leaf.leaf <= one.leaf <= leaf.leaf | 3 for one in named), (leaf, bit)
            # A peak that is the leaf's own has no parent; its own leaf, or else the signed head, tells.
            assert named or bit >= 8 * HASH_BYTES


async def test_every_flipped_byte_of_the_database_rows_is_found_and_named(tmp_path):
    """Through SQL, as a disk could not: SQLCipher's own page check would have spoken first."""
    await write_log(tmp_path)
    database, leaves, (size, checkpoint) = await stored_of(tmp_path)
    draw = random.Random(7)  # noqa: S311 - a bit of each byte, not a secret

    async def change(statement, *values):
        await database.write(lambda connection: connection.execute(statement, values))

    for leaf in leaves:
        for place in range(0, len(leaf.row), 5):
            await change(
                "UPDATE rows SET hashes = ? WHERE leaf = ?", flip(leaf.row, 8 * place + draw.randrange(8)), leaf.leaf
            )
            assert await sweep(tmp_path), (leaf.leaf, place)
        await change("UPDATE rows SET hashes = ? WHERE leaf = ?", leaf.row, leaf.leaf)
    for place, character in enumerate(checkpoint):
        changed = checkpoint[:place] + chr(ord(character) ^ 1) + checkpoint[place + 1 :]
        await change("UPDATE head SET checkpoint = ?", changed)
        assert Damage.HEAD in {finding.damage for finding in await sweep(tmp_path)}, place
    await change("UPDATE head SET checkpoint = ?", checkpoint)
    for bit in range(16):
        await change("UPDATE head SET size = ?", size ^ (1 << bit))
        assert await sweep(tmp_path), bit
    await change("UPDATE head SET size = ?", size)
    assert await sweep(tmp_path) == []
    database.close()


async def test_flipped_bits_of_the_file_are_found_named_and_repaired(tmp_path):
    """One bit of the file in each of many places: found by the self-audit, or in a page that holds nothing."""
    (tmp_path / "whole").mkdir()
    await write_log(tmp_path / "whole", 40)
    whole = (tmp_path / "whole" / "audit.db").read_bytes()
    folder = tmp_path / "flipped"
    folder.mkdir()
    path = folder / "audit.db"
    beyond_repair, repaired, unused = 0, 0, 0
    for place in range(100, len(whole), 1_361):  # three in each page of 4096 bytes
        for file in folder.iterdir():
            file.unlink()
        path.write_bytes(flip(whole, 8 * place + place % 8))
        named = await sweep(folder)
        if not named:
            unused += 1
            async with opened(folder) as log:
                assert log.size == 40
            continue
        if place < 4096:  # the first page: nothing opens without it
            assert named == [Finding(0, Damage.HEAD)]
            beyond_repair += 1
            continue
        await repair_log({"first": path}, key=KEY, signer=SIGNER, clock=FixedTime())
        repaired += 1
        assert await sweep(folder) == [], place
        async with opened(folder) as log:
            names = [json.loads(entry)["name"] for entry in await log.entries(start=40, limit=99)]
            assert names[-1] == "log_repaired"
            lost = await log.damaged(start=0, limit=99)
            assert names.count("repair") == len(lost)
            await log.append(event())
    assert repaired > 10
    assert (beyond_repair, unused <= beyond_repair + repaired) == (3, True)


class FixedTime:
    def now_s(self):
        return 120.0

    def monotonic_s(self):
        return 120.0


async def test_a_finding_is_an_event_a_fault_and_told_once(tmp_path):
    await write_log(tmp_path, 40)
    database = Database.open(tmp_path / "audit.db", KEY, store.MIGRATIONS)
    await database.write(lambda connection: connection.execute("UPDATE leaves SET entry = x'00' WHERE leaf = 7"))
    database.close()
    faults, told = [], asyncio.Event()

    def note(name):
        faults.append(name)
        told.set()

    monkey = store.CHECKED_LEAVES
    store.CHECKED_LEAVES = 4
    try:
        async with opened(tmp_path, on_fault=note) as log:
            auditing = asyncio.ensure_future(log.audit_itself(AT_ONCE))
            await asyncio.wait_for(told.wait(), 10)
            for _ in range(20):
                await log.append(intent())  # it goes on meanwhile
            auditing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await auditing
            (found,) = [
                entry["details"]
                for entry in map(json.loads, await log.entries(start=8, limit=100))
                if entry["name"] == "log_damaged"
            ]
            assert found == {"damage": "entry", "device": "first", "leaf": 7}
            assert faults == ["log_damaged"]
    finally:
        store.CHECKED_LEAVES = monkey


async def test_the_self_audit_keeps_its_pace(tmp_path):
    await write_log(tmp_path, 600)
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    async def name(_finding):
        raise AssertionError("nothing is damaged")

    pace = Pace(leaves_per_s=100.0, pause_s=9.0)
    audit = SelfAudit(tmp_path / "audit.db", KEY, signer=SIGNER, pace=pace, on_finding=name, sleep=sleep)
    await audit.sweep()
    await audit.close()
    assert slept == pytest.approx([2.56, 2.56, 0.88])


async def test_a_file_without_a_head_is_named_and_a_reader_that_read_nothing_is_closed(tmp_path):
    Database.open(tmp_path / "audit.db", KEY, store.MIGRATIONS).close()
    assert await sweep(tmp_path) == [Finding(0, Damage.HEAD)]
    reader = LogReader(tmp_path / "audit.db", KEY)
    reader.abandon()
    await reader.close()
