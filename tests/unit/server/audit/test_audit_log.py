"""The log over a real SQLCipher file: group commit, proofs, reopening, and failing closed."""

from __future__ import annotations

import asyncio
import hmac
import shutil
from hashlib import sha256

import pytest
from audit_log_lab import (
    KEY,
    METHOD,
    TESTER,
    TRAINER,
    FixedClock,
    counted_commits,
    event,
    held_up,
    intent,
    let_others_run,
    open_log,
    opened,
    outcome,
    write_and_tamper,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from heldout.verification.merkle import leaf_hash, verify_consistency, verify_inclusion
from heldout.verification.note import VerifierKey, open_checkpoint
from heldout.verification.receipt import verify_logged
from heldout_server.audit import store
from heldout_server.database import Database
from heldout_server.errors import ConfigError, IntegrityError, InvalidRequest, StorageError, WrongKey
from heldout_server.ports.audit import AuditLog, Record


async def test_a_new_log_has_a_signed_head_over_nothing(tmp_path):
    async with opened(tmp_path) as log:
        port: AuditLog = log
        head = open_checkpoint(port.checkpoint(), VerifierKey.parse(log.verifier_key))
        assert (head.origin, head.size, head.root) == ("lab/vault", 0, sha256(b"").digest())
        assert await log.entries(start=0, limit=10) == ()


async def test_an_append_proves_itself_against_a_head_that_covers_it(tmp_path):
    async with opened(tmp_path) as log:
        for index in range(20):
            logged = await log.append(event())
            entry, head = verify_logged(logged.entry, logged.proof, log.verifier_key)
            assert (logged.index, entry.index, head.size) == (index, index, index + 1)
            assert logged.proof.endswith(log.checkpoint())
            assert log.size == index + 1
            assert entry.time_s == 60


async def test_appends_that_come_together_share_a_commit_and_each_is_proved(tmp_path):
    async with opened(tmp_path) as log:
        await log.append(event())
        with counted_commits(log) as commits:
            group = await asyncio.gather(*(log.append(intent()) for _ in range(200)))
        assert len(commits) == 1
        assert [logged.index for logged in group] == list(range(1, 201))
        for logged in group:
            _, head = verify_logged(logged.entry, logged.proof, log.verifier_key)
            assert head.size == 201


async def test_appends_that_arrive_during_a_commit_share_the_next(tmp_path):
    async with opened(tmp_path) as log:
        with counted_commits(log) as commits:
            async with held_up(log):
                first = asyncio.ensure_future(log.append(event()))
                await let_others_run()
                assert len(commits) == 1
                others = [asyncio.ensure_future(log.append(event())) for _ in range(50)]
                await let_others_run()
            logged = [await each for each in (first, *others)]
        assert len(commits) == 2
        heads = [verify_logged(each.entry, each.proof, log.verifier_key)[1].size for each in logged]
        assert heads == [1] + [51] * 50


async def test_counters_have_no_gap_and_are_by_identity(tmp_path):
    async with opened(tmp_path) as log:
        records = [intent(TESTER), intent(TRAINER), intent(TESTER), event(), intent(TESTER)]
        logged = await asyncio.gather(*map(log.append, records))
        entries = [verify_logged(each.entry, each.proof, log.verifier_key)[0] for each in logged]
        assert [entry.counter for entry in entries] == [1, 1, 2, 0, 3]


async def test_a_refused_record_takes_neither_index_nor_counter(tmp_path):
    async with opened(tmp_path) as log:
        bad = Record(kind="intent", name=METHOD, identity=TESTER, details={"text": "not one word"})
        with pytest.raises(InvalidRequest):
            await log.append(bad)
        logged = await log.append(intent())
        entry, _ = verify_logged(logged.entry, logged.proof, log.verifier_key)
        assert (entry.index, entry.counter) == (0, 1)
        assert not log.failed


async def test_an_outcome_must_name_an_intent_before_it(tmp_path):
    async with opened(tmp_path) as log:
        with pytest.raises(InvalidRequest):
            await log.append(outcome(0))
        begun = await log.append(intent())
        ended = await log.append(outcome(begun.index))
        assert ended.index == 1


async def test_entries_are_the_exact_leaves(tmp_path):
    async with opened(tmp_path) as log:
        logged = [await log.append(event(f"event-{number}")) for number in range(7)]
        leaves = tuple(each.entry for each in logged)
        assert await log.entries(start=0, limit=100) == leaves
        assert await log.entries(start=2, limit=3) == leaves[2:5]
        assert await log.entries(start=7, limit=3) == ()
        assert await log.entries(start=99, limit=3) == ()
        assert await log.entries(start=1, limit=0) == ()
        for start, limit in ((-1, 1), (0, -1)):
            with pytest.raises(InvalidRequest):
                await log.entries(start=start, limit=limit)


async def test_stored_proofs_verify_for_every_leaf_and_pair_of_sizes(tmp_path):
    async with opened(tmp_path) as log:
        key, heads = VerifierKey.parse(log.verifier_key), {}
        for _ in range(20):
            await log.append(event())
            heads[log.size] = open_checkpoint(log.checkpoint(), key).root
        leaves = await log.entries(start=0, limit=20)
        for size, root in heads.items():
            for index in range(size):
                proof = await log.inclusion_proof(index=index, size=size)
                verify_inclusion(index=index, size=size, leaf=leaf_hash(leaves[index]), proof=proof, root=root)
            for old in range(1, size + 1):
                proof = await log.consistency_proof(old=old, new=size)
                verify_consistency(old=old, new=size, old_root=heads[old], new_root=root, proof=proof)


async def test_proofs_of_what_is_not_there_are_refused(tmp_path):
    async with opened(tmp_path) as log:
        await log.append(event())
        for index, size in ((-1, 1), (1, 1), (0, 2), (0, 0)):
            with pytest.raises(InvalidRequest):
                await log.inclusion_proof(index=index, size=size)
        for old, new in ((0, 1), (2, 1), (1, 2), (-1, 1)):
            with pytest.raises(InvalidRequest):
                await log.consistency_proof(old=old, new=new)


async def test_a_reopened_log_goes_on_where_it_was(tmp_path):
    async with opened(tmp_path) as log:
        for _ in range(5):
            await log.append(intent())
        before = log.checkpoint()
    async with opened(tmp_path, clock=FixedClock(600.0)) as log:
        assert (log.checkpoint(), log.size) == (before, 5)
        logged = await log.append(intent())
        entry, head = verify_logged(logged.entry, logged.proof, log.verifier_key)
        assert (entry.index, entry.counter, entry.time_s, head.size) == (5, 6, 600, 6)
        old = open_checkpoint(before, VerifierKey.parse(log.verifier_key))
        proof = await log.consistency_proof(old=5, new=6)
        verify_consistency(old=5, new=6, old_root=old.root, new_root=head.root, proof=proof)


async def test_the_request_mac_is_hmac_sha256_under_the_key_of_the_log(tmp_path):
    async with opened(tmp_path, mac_key=b"one") as log:
        first, second = log.request_mac(b"request"), log.request_mac(b"request")
        for found in (first, second):
            salt = bytes.fromhex(found[:32])
            assert found[32:] == hmac.new(b"one", salt + b"request", sha256).hexdigest()
        assert first != second  # or a reader of the log could confirm a guess by sending it too


async def test_the_file_shows_nothing_of_an_entry(tmp_path):
    async with opened(tmp_path) as log:
        await log.append(intent())
        for file in tmp_path.iterdir():
            assert b"bank-tester" not in file.read_bytes()


async def test_a_caller_that_gives_up_leaves_its_record(tmp_path):
    async with opened(tmp_path) as log:
        async with held_up(log):
            given_up = asyncio.ensure_future(log.append(intent()))
            stays = asyncio.ensure_future(log.append(intent()))
            await let_others_run()
            given_up.cancel()
            await let_others_run()
        assert (await stays).index == 1
        assert given_up.cancelled()
        assert len(await log.entries(start=0, limit=9)) == 2


async def test_closing_commits_what_waits_and_takes_nothing_more(tmp_path):
    log = await open_log(tmp_path)
    waiting = [asyncio.ensure_future(log.append(event())) for _ in range(3)]
    await let_others_run()
    await log.close()
    assert [(await each).index for each in waiting] == [0, 1, 2]
    with pytest.raises(StorageError):
        await log.append(event())
    await log.close()
    async with opened(tmp_path) as log:
        assert log.size == 3


async def fail_next_commit(log):
    trigger = "CREATE TRIGGER broken BEFORE INSERT ON leaves BEGIN SELECT RAISE(ABORT, 'x'); END"
    await log._devices.write(lambda device: device.write(lambda connection: connection.execute(trigger)))


async def mend(folder):
    database = Database.open(folder / "audit.db", KEY, store.MIGRATIONS)
    await database.write(lambda connection: connection.execute("DROP TRIGGER broken"))
    database.close()


async def test_a_failed_commit_poisons_the_log(tmp_path):
    failures = []
    async with opened(tmp_path, on_failure=lambda: failures.append("called")) as log:
        await log.append(event())
        head = log.checkpoint()
        await fail_next_commit(log)
        assert not log.failed
        results = await asyncio.gather(*(log.append(intent()) for _ in range(3)), return_exceptions=True)
        assert [type(result) for result in results] == [StorageError] * 3
        assert log.failed
        await mend(tmp_path)
        with counted_commits(log) as commits, pytest.raises(StorageError):
            await log.append(event())  # at once, though the disk is well again
        assert commits == []
        assert failures == ["called"]
        assert log.checkpoint() == head
    async with opened(tmp_path) as log:
        assert (log.size, log.checkpoint()) == (1, head)
        logged = await log.append(intent())
        assert b'"counter":1,' in logged.entry


async def test_those_who_wait_for_the_next_commit_fail_with_the_one_before(tmp_path):
    async with opened(tmp_path) as log:
        await fail_next_commit(log)
        with counted_commits(log) as commits:
            async with held_up(log):
                first = asyncio.ensure_future(log.append(event()))
                await let_others_run()
                assert len(commits) == 1
                second = asyncio.ensure_future(log.append(event()))
                given_up = asyncio.ensure_future(log.append(event()))
                await let_others_run()
                given_up.cancel()
                await let_others_run()
            for each in (first, second):
                with pytest.raises(StorageError):
                    await each
        assert len(commits) == 1
        assert given_up.cancelled()


async def test_any_surprise_in_a_commit_poisons_the_log(tmp_path):
    async with opened(tmp_path) as log:
        log._signer.checkpoint = None
        with pytest.raises(StorageError, match="TypeError"):
            await log.append(event())
        assert log.failed


async def test_a_commit_that_is_ended_from_outside_poisons_the_log(tmp_path):
    async with opened(tmp_path) as log:
        async with held_up(log):
            waiting = asyncio.ensure_future(log.append(event()))
            await let_others_run()
            log._committer.cancel()
            with pytest.raises(StorageError):
                await waiting
        assert log.failed


async def test_a_commit_that_was_ended_before_it_began_is_taken_up_by_the_next(tmp_path):
    async with opened(tmp_path) as log:
        first = log.append(intent())
        log._committer.cancel()
        await let_others_run()
        second = await log.append(intent())
        assert ((await first).index, second.index) == (0, 1)


@pytest.mark.parametrize("name", ["audit.db", "audit.db-wal"])
@pytest.mark.parametrize("replaced", [False, True])
async def test_a_deleted_or_replaced_file_poisons_the_log(tmp_path, name, replaced):
    async with opened(tmp_path) as log:
        await log.append(event())
        if replaced:
            shutil.copy(tmp_path / name, tmp_path / "copy")
            (tmp_path / "copy").replace(tmp_path / name)
        else:
            (tmp_path / name).unlink()
        for _ in range(2):
            with pytest.raises(StorageError):
                await log.append(event())
        assert log.failed
        assert log.size == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE leaves SET entry = CAST(replace(CAST(entry AS TEXT), 'start', 'stops') AS BLOB) WHERE leaf = 3",
        "DELETE FROM leaves WHERE leaf = 4",
        "DELETE FROM leaves WHERE leaf = 3",
        "DELETE FROM rows WHERE leaf = 4",
        "DELETE FROM rows WHERE leaf = 3",
        "UPDATE rows SET hashes = CAST(printf('%032d', 0) || substr(hashes, 33) AS BLOB) WHERE leaf = 4",
        "UPDATE rows SET hashes = CAST(substr(hashes, 1, 64) || printf('%032d', 0) AS BLOB) WHERE leaf = 3",
        "INSERT INTO leaves VALUES (5, x'00')",
        "UPDATE head SET size = 4",
        "UPDATE head SET checkpoint = replace(checkpoint, 'lab/vault', 'lab/other')",
    ],
)
async def test_opening_notices_what_was_changed(tmp_path, statement):
    await write_and_tamper(tmp_path, statement)
    with pytest.raises(IntegrityError):
        await open_log(tmp_path)


async def test_a_truncated_log_does_not_open_under_its_head(tmp_path):
    await write_and_tamper(
        tmp_path,
        "DELETE FROM leaves WHERE leaf = 4",
        "DELETE FROM rows WHERE leaf = 4",
        "UPDATE head SET size = 4",
    )
    with pytest.raises(IntegrityError):
        await open_log(tmp_path)


async def test_an_old_leaf_that_was_changed_is_noticed_when_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "CHECKED_LEAVES", 2)
    await write_and_tamper(
        tmp_path, "UPDATE leaves SET entry = x'00' WHERE leaf = 1", "DELETE FROM rows WHERE leaf = 0"
    )
    async with opened(tmp_path) as log:
        assert len(await log.entries(start=2, limit=9)) == 3
        for start in (0, 1):
            with pytest.raises(IntegrityError):
                await log.entries(start=start, limit=9)
        with pytest.raises(IntegrityError):
            await log.inclusion_proof(index=1, size=2)


async def test_another_signing_key_or_origin_does_not_open_the_log(tmp_path):
    async with opened(tmp_path) as log:
        await log.append(event())
    for changes in ({"signing_key": Ed25519PrivateKey.generate()}, {"origin": "lab/other"}):
        with pytest.raises(IntegrityError):
            await open_log(tmp_path, **changes)
    with pytest.raises(WrongKey):
        await open_log(tmp_path, key=bytes(32))
    with pytest.raises(ConfigError):
        await open_log(tmp_path, origin="two words")
    async with opened(tmp_path) as log:
        assert log.size == 1
