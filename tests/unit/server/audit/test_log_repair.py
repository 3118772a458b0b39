"""Repair of damaged logs: what can be had back is had back, what cannot is named, and nothing is believed unsigned."""

from __future__ import annotations

import json
from functools import partial

import pytest
from audit_log_lab import KEY, FixedClock, event, intent, opened
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from heldout.verification.merkle import leaf_hash, verify_consistency, verify_inclusion
from heldout.verification.note import VerifierKey, open_checkpoint
from heldout_policy.witness import Witnessing
from heldout_server.audit import Pace, repair, repair_log, store
from heldout_server.audit.entry import is_repair_of, repair_record
from heldout_server.audit.examination import Damage, Finding
from heldout_server.audit.note import CheckpointSigner
from heldout_server.audit.sweep import SelfAudit
from heldout_server.database import Database, read_file_mark, write_file_mark
from heldout_server.errors import IntegrityError, StorageError
from witness_lab import TestWitness

SIGNER = CheckpointSigner("lab/vault", Ed25519PrivateKey.from_private_bytes(KEY))
LEAVES = 11


async def mend(folder, *, second=None):
    paths = {"first": folder / "audit.db"} | ({} if second is None else {"second": second})
    return await repair_log(paths, key=KEY, signer=SIGNER, clock=FixedClock(120.0))


async def change(path, *statements):
    """Change what is stored, as a disk would."""
    database = Database.open(path, KEY, store.MIGRATIONS)
    for statement in statements:
        await database.write(lambda connection, sql=statement: connection.execute(sql))
    database.close()


async def write_log(folder, **settings):
    """Write a log; return its leaves and its head."""
    async with opened(folder, **settings) as log:
        for _ in range(LEAVES):
            await log.append(intent())
        return await log.entries(start=0, limit=LEAVES), log.checkpoint()


async def verify_continues(log, before):
    key = VerifierKey.parse(log.verifier_key)
    old, new = open_checkpoint(before, key), open_checkpoint(log.checkpoint(), key)
    proof = await log.consistency_proof(old=old.size, new=new.size)
    verify_consistency(old=old.size, new=new.size, old_root=old.root, new_root=new.root, proof=proof)
    return new


async def events_of(log):
    entries = [json.loads(entry) for entry in await log.entries(start=LEAVES, limit=99)]
    return [(entry["name"], entry["details"]) for entry in entries]


async def test_a_repaired_log_of_a_backup_is_still_of_a_backup(tmp_path):
    await write_log(tmp_path)
    path = tmp_path / "audit.db"
    write_file_mark(path, KEY, made_s=1_700_000_040.0)
    await change(path, "DELETE FROM leaves WHERE leaf = 3")
    assert (await mend(tmp_path)).damaged == (3,)
    assert read_file_mark(path, KEY) == 1_700_000_040


async def test_a_whole_log_is_left_as_it_is(tmp_path):
    _, head = await write_log(tmp_path)
    before = (tmp_path / "audit.db").read_bytes()
    report = await mend(tmp_path)
    assert (report.rewritten, report.damaged, report.checkpoint, report.size) == ((), (), head, LEAVES)
    assert (tmp_path / "audit.db").read_bytes() == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE leaves SET entry = x'00' WHERE leaf = 7",
        "UPDATE leaves SET entry = x'' WHERE leaf = 7",
        "DELETE FROM leaves WHERE leaf = 7",
    ],
)
async def test_a_damaged_entry_is_named_and_the_log_goes_on(tmp_path, statement):
    leaves, head = await write_log(tmp_path)
    await change(tmp_path / "audit.db", statement)
    with pytest.raises(IntegrityError, match=r"entry 7 is not what was hashed.*audit repair"):
        async with opened(tmp_path):
            pass

    report = await mend(tmp_path)
    assert (report.damaged, report.rewritten, report.unreadable, report.head_lost) == ((7,), ("first",), (), False)

    lost = leaf_hash(leaves[7])
    async with opened(tmp_path) as log:
        assert log.checkpoint() == report.checkpoint
        new = await verify_continues(log, head)  # whoever saw the old head sees that nothing else changed
        assert await log.entries(start=0, limit=LEAVES) == (*leaves[:7], b"", *leaves[8:])
        (damaged,) = await log.damaged(start=0, limit=99)
        assert (damaged.index, damaged.leaf_hash) == (7, lost)
        assert await log.damaged(start=8, limit=99) == ()
        proof = await log.inclusion_proof(index=7, size=new.size)
        verify_inclusion(index=7, size=new.size, leaf=lost, proof=proof, root=new.root)
        assert await events_of(log) == [
            ("repair", {"damage": "entry", "leaf": 7, "leaf_hash": lost.hex()}),
            ("log_repaired", {"damaged": 1, "devices": ["first"], "head": "kept"}),
        ]
        logged = await log.append(intent())
        assert b'"counter":12,' in logged.entry
    assert (tmp_path / "audit.db.damaged").exists()
    assert (await mend(tmp_path)).rewritten == ()  # and that is that


async def test_a_repair_entry_that_is_damaged_itself_is_made_anew(tmp_path):
    _, head = await write_log(tmp_path)
    await change(tmp_path / "audit.db", "DELETE FROM leaves WHERE leaf = 2")
    await mend(tmp_path)
    await change(tmp_path / "audit.db", "DELETE FROM leaves WHERE leaf = 11")
    report = await mend(tmp_path)
    assert report.damaged == (2, LEAVES)
    async with opened(tmp_path) as log:
        await verify_continues(log, head)
        entries = await log.entries(start=0, limit=99)
        for leaf in await log.damaged(start=0, limit=99):
            assert any(is_repair_of(entry, leaf=leaf.index, leaf_hash=leaf.leaf_hash) for entry in entries)
    assert (tmp_path / "audit.db.damaged-2").exists()


async def test_an_entry_that_is_named_already_is_not_named_again(tmp_path):
    _, head = await write_log(tmp_path)
    for leaf in (2, 5, 8):
        await change(tmp_path / "audit.db", f"DELETE FROM leaves WHERE leaf = {leaf}")  # noqa: S608 - a constant
        await mend(tmp_path)
    async with opened(tmp_path) as log:
        await verify_continues(log, head)
        named = [details["leaf"] for name, details in await events_of(log) if name == "repair"]
        assert named == [2, 5, 8]
        assert [leaf.index for leaf in await log.damaged(start=0, limit=99)] == named
    assert (tmp_path / "audit.db.damaged-3").exists()


async def test_an_empty_entry_whose_event_is_of_another_is_found_and_named_anew(tmp_path):
    await write_log(tmp_path)
    await change(tmp_path / "audit.db", "DELETE FROM leaves WHERE leaf = 2")
    await mend(tmp_path)
    for event_of in (3, 999):
        await change(tmp_path / "audit.db", f"UPDATE damaged SET repair = {event_of}")  # noqa: S608 - a constant
        found = []

        async def name(finding, found=found):
            found.append(finding)

        audit = SelfAudit(tmp_path / "audit.db", KEY, signer=SIGNER, pace=Pace(leaves_per_s=1e9), on_finding=name)
        await audit.sweep()
        await audit.close()
        assert found == [Finding(2, Damage.ENTRY)]
        assert (await mend(tmp_path)).rewritten == ("first",)
        assert (await mend(tmp_path)).rewritten == ()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE rows SET hashes = CAST(printf('%032d', 0) || substr(hashes, 33) AS BLOB) WHERE leaf = 6",
        "UPDATE rows SET hashes = CAST(printf('%032d', 0) || substr(hashes, 33) AS BLOB) WHERE leaf = 10",
        "UPDATE rows SET hashes = CAST(substr(hashes, 1, 64) || printf('%032d', 0) AS BLOB) WHERE leaf = 7",
        "DELETE FROM rows WHERE leaf = 3",
        "UPDATE rows SET hashes = x'00' WHERE leaf = 3",
    ],
)
async def test_damaged_hashes_are_computed_anew_and_nothing_is_lost(tmp_path, statement):
    leaves, head = await write_log(tmp_path)
    await change(tmp_path / "audit.db", statement)
    report = await mend(tmp_path)
    assert (report.damaged, report.rewritten) == ((), ("first",))
    async with opened(tmp_path) as log:
        await verify_continues(log, head)
        assert await log.entries(start=0, limit=LEAVES) == leaves
        assert await events_of(log) == [("log_repaired", {"damaged": 0, "devices": ["first"], "head": "kept"})]


@pytest.mark.parametrize(
    ("statement", "lost"),
    [
        ("UPDATE head SET checkpoint = replace(checkpoint, 'lab', 'lob')", True),
        ("DELETE FROM head", True),
        ("UPDATE head SET size = 3", False),
    ],
)
async def test_a_damaged_head_is_signed_again_and_the_log_says_if_nothing_vouches_for_its_end(
    tmp_path, statement, lost
):
    leaves, head = await write_log(tmp_path)
    await change(tmp_path / "audit.db", statement)
    report = await mend(tmp_path)
    assert (report.head_lost, report.rewritten) == (lost, ("first",))
    async with opened(tmp_path) as log:
        await verify_continues(log, head)
        assert await log.entries(start=0, limit=LEAVES) == leaves
        ((_, details),) = await events_of(log)
        assert details["head"] == ("lost" if lost else "kept")


async def test_what_does_not_lead_to_the_signed_head_is_not_believed(tmp_path):
    await write_log(tmp_path)
    await change(
        tmp_path / "audit.db",
        "UPDATE leaves SET entry = x'00' WHERE leaf = 2",
        "UPDATE rows SET hashes = CAST(printf('%032d', 0) || substr(hashes, 33) AS BLOB) WHERE leaf = 2",
    )
    before = (tmp_path / "audit.db").read_bytes()
    with pytest.raises(IntegrityError, match=r"does not lead to the signed head over 11 entries.*backup"):
        await mend(tmp_path)
    assert (tmp_path / "audit.db").read_bytes() == before


async def test_an_entry_without_any_trace_is_beyond_repair(tmp_path):
    await write_log(tmp_path)
    await change(tmp_path / "audit.db", "DELETE FROM leaves WHERE leaf = 2", "DELETE FROM rows WHERE leaf = 2")
    with pytest.raises(IntegrityError, match="entry 2 has left neither bytes nor hash"):
        await mend(tmp_path)


async def test_a_file_that_cannot_be_read_at_all_is_beyond_repair(tmp_path):
    await write_log(tmp_path)
    (tmp_path / "audit.db").write_bytes(bytes(8_192))
    with pytest.raises(IntegrityError, match="no log device can be read"):
        await mend(tmp_path)


async def test_a_log_that_is_open_is_not_repaired(tmp_path):
    async with opened(tmp_path) as log:
        await log.append(event())
        with pytest.raises(StorageError, match="another process has this log open"):
            await mend(tmp_path)


# Two devices: each gives what the other has lost.


@pytest.fixture
def second(tmp_path):
    (tmp_path / "other").mkdir()
    return tmp_path / "other" / "audit.db"


async def test_entries_are_taken_from_the_device_that_has_them(tmp_path, second):
    leaves, head = await write_log(tmp_path, second=second)
    await change(tmp_path / "audit.db", "DELETE FROM leaves WHERE leaf IN (1, 2)")
    await change(second, "DELETE FROM leaves WHERE leaf IN (2, 3)", "DELETE FROM rows WHERE leaf = 1")
    report = await mend(tmp_path, second=second)
    assert (report.damaged, report.rewritten) == ((2,), ("first", "second"))
    async with opened(tmp_path, second=second) as log:
        await verify_continues(log, head)
        assert await log.entries(start=0, limit=LEAVES) == (*leaves[:2], b"", *leaves[3:])
        assert await log.damaged(start=0, limit=99)
        await log.append(event())


@pytest.mark.parametrize("gone", ["first", "second"])
@pytest.mark.parametrize("how", ["missing", "noise"])
async def test_a_device_that_is_gone_is_made_from_the_other(tmp_path, second, gone, how):
    leaves, head = await write_log(tmp_path, second=second)
    path = {"first": tmp_path / "audit.db", "second": second}[gone]
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(bytes(8_192))
    report = await mend(tmp_path, second=second)
    assert (report.damaged, report.rewritten, report.unreadable) == ((), (gone,), (gone,))
    async with opened(tmp_path, second=second) as log:
        await verify_continues(log, head)
        assert await log.entries(start=0, limit=LEAVES) == leaves


async def test_a_device_that_fell_behind_does_not_shorten_the_log(tmp_path, second):
    await write_log(tmp_path, second=second)
    old = second.read_bytes()
    async with opened(tmp_path, second=second) as log:
        for _ in range(3):
            await log.append(intent())
        head = log.checkpoint()
    second.write_bytes(old)
    await change(tmp_path / "audit.db", "DELETE FROM leaves WHERE leaf IN (4, 12)")
    report = await mend(tmp_path, second=second)
    assert (report.size, report.damaged) == (LEAVES + 3, (12,))  # entry 4 was in the old copy
    async with opened(tmp_path, second=second) as log:
        await verify_continues(log, head)


async def test_a_second_device_that_is_no_longer_configured_is_let_go_by_a_repair(tmp_path, second):
    _, head = await write_log(tmp_path, second=second)
    with pytest.raises(IntegrityError, match="second is not in the config"):
        async with opened(tmp_path):
            pass
    report = await mend(tmp_path)
    assert report.rewritten == ("first",)
    async with opened(tmp_path) as log:
        await verify_continues(log, head)


async def test_cosignatures_survive_a_repair(tmp_path):
    witness = TestWitness()
    settings = {"witnessing": Witnessing(keys=(witness.key,), maximum_age_s=1_000)}
    async with opened(tmp_path, **settings) as log:
        await log.append(event())
        await log.append(event())
        await log.add_cosignatures(witness.cosign(log.checkpoint(), 90))
        note = log.cosigned_checkpoint()
    await change(tmp_path / "audit.db", "DELETE FROM leaves WHERE leaf = 0")
    await mend(tmp_path)
    async with opened(tmp_path, **settings) as log:
        assert log.cosigned_checkpoint() == note


@pytest.mark.parametrize("step", range(4))
async def test_a_repair_that_was_cut_off_can_be_made_again(tmp_path, monkeypatch, step):
    leaves, head = await write_log(tmp_path)
    await change(tmp_path / "audit.db", "DELETE FROM leaves WHERE leaf = 7")
    steps = iter(range(99))
    rename = repair.Path.rename

    def cut_off(path, target):
        if next(steps) == step:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(repair.Path, "rename", cut_off)
    try:
        await mend(tmp_path)
    except KeyboardInterrupt:
        monkeypatch.undo()
        await mend(tmp_path)
    monkeypatch.undo()
    async with opened(tmp_path) as log:
        await verify_continues(log, head)
        assert await log.entries(start=0, limit=LEAVES) == (*leaves[:7], b"", *leaves[8:])


async def test_a_disk_that_fails_during_the_repair_says_so(tmp_path, monkeypatch):
    await write_log(tmp_path)
    await change(tmp_path / "audit.db", "DELETE FROM leaves WHERE leaf = 7")

    def full(_source, _target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(repair.shutil, "copyfile", full)
    with pytest.raises(StorageError, match=r"No space left on device\. Run the repair again"):
        await mend(tmp_path)
    monkeypatch.undo()
    assert (await mend(tmp_path)).damaged == (7,)


@pytest.mark.parametrize("entry", [b"", b"{", b"[]", b'{"kind":"event","name":"repair","details":{}}'])
def test_what_names_no_damage_excuses_none(entry):
    assert not is_repair_of(entry, leaf=0, leaf_hash=bytes(32))


def test_a_repair_names_leaf_and_hash():
    record = repair_record(leaf=3, leaf_hash=b"h" * 32)
    entry = partial(json.dumps, {"kind": record.kind, "name": record.name, "details": dict(record.details)})().encode()
    assert is_repair_of(entry, leaf=3, leaf_hash=b"h" * 32)
    assert not is_repair_of(entry, leaf=4, leaf_hash=b"h" * 32)
    assert not is_repair_of(entry, leaf=3, leaf_hash=b"i" * 32)


async def test_a_log_of_another_name_is_neither_opened_nor_repaired(tmp_path):
    """The key fits, and the appliance's name in the config was changed: a repair would sign the tree anew."""
    await write_log(tmp_path, origin="before/vault")
    with pytest.raises(IntegrityError, match=r"of before/vault, .* put \[appliance\] name back to before") as caught:
        await mend(tmp_path)
    assert caught.value.reason == "AUDIT_OTHER_NAME"
    with pytest.raises(IntegrityError, match="nothing is damaged") as caught:
        async with opened(tmp_path):
            pass
    assert "audit repair" not in str(caught.value)
    async with opened(tmp_path, origin="before/vault") as log:  # which goes on under its own
        assert open_checkpoint(log.checkpoint(), VerifierKey.parse(log.verifier_key)).size == LEAVES
