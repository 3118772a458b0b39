"""Calls that come while no log is open: kept whole or not at all, and put into the log once, whenever a crash comes."""

import dataclasses
import errno
import itertools
import json
import os

import pytest
from audit_log_lab import event, open_log, opened

from heldout_server.audit import UNSEAL, KeptFile, kept, kept_lines
from heldout_server.errors import IntegrityError, StorageError
from heldout_server.ports.seal import KeptCall
from key_ring_fakes import OneSecretKeyRing

HOLDER = "spiffe://heldout.example/key-holder-1"
OPERATOR = "spiffe://heldout.example/operator"
CALL = KeptCall(
    name="/heldout.v1.SealService/GiveShare",
    identity=HOLDER,
    role="key_holder",
    decision="allow",
    rules=("key-holder-gives-share",),
    status="OK",
    at_s=1_700_000_040,
    request_sha256="ab" * 48,
    response_sha256="cd" * 32,
)
REFUSED = dataclasses.replace(
    CALL, identity=OPERATOR, role="operator", decision="deny", status="REFUSED", response_sha256=""
)
POLICY = "ef" * 32
RING = OneSecretKeyRing()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sealed-calls.jsonl"


def reopened(path, start=0):
    """Open the file as a process does that starts; each process draws salts of its own."""
    numbers = itertools.count(start)
    return KeptFile(path, random_bytes=lambda size: next(numbers).to_bytes(size, "big"))


async def filled(path, calls=(CALL, REFUSED)):
    file = reopened(path)
    await file.keep_event("start_sealed", at_s=1_700_000_000)
    for call in calls:
        assert await file.keep(call)
    return file


async def leaves(log):
    """Return what the log was told, but for the keys of lines to come, which each recording ends with."""
    found = [json.loads(entry) for entry in await log.entries(start=0, limit=log.size)]
    return [leaf for leaf in found if leaf["name"] != "kept_key"]


def words(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


# What the log is given


async def test_what_was_kept_becomes_leaves_in_order_and_the_file_goes(path, tmp_path):
    file = await filled(path)
    assert path.stat().st_mode & 0o777 == 0o600
    links = [line["link"] for line in words(path)]
    async with opened(tmp_path) as log:
        recorded = await file.record(log, RING, policy_digest=POLICY)
        begun, first, answered, second, refused = await leaves(log)
    assert (begun["name"], begun["details"]) == ("start_sealed", {"at_s": 1_700_000_000, "kept": links[0]})
    assert first["details"] == {
        "at_s": CALL.at_s,
        "decision": "allow",
        "kept": links[1],
        "policy_digest": POLICY,
        "request_sha256": CALL.request_sha256,
        "rules": list(CALL.rules),
    }
    assert answered["details"] == {"intent": 1, "counter": 1, "status": "OK", "response_sha256": CALL.response_sha256}
    assert (second["identity"], second["counter"]) == (OPERATOR, 1)
    assert refused["details"] == {"intent": 3, "counter": 1, "status": "REFUSED"}
    assert (recorded.lines, recorded.head) == (3, links[-1])
    assert {who: logged.index for who, logged in recorded.outcomes.items()} == {HOLDER: 2, OPERATOR: 4}
    assert not path.exists()


async def test_with_nothing_kept_nothing_of_it_is_logged(path, tmp_path):
    async with opened(tmp_path) as log:
        recorded = await reopened(path).record(log, RING, policy_digest=POLICY)
        assert (await leaves(log), recorded.lines, recorded.head, recorded.outcomes) == ([], 0, "", {})


async def test_what_comes_while_the_log_is_being_told_is_told_too(path, tmp_path):
    file = await filled(path, calls=[CALL])
    async with opened(tmp_path) as log:
        append, late = log.append, [REFUSED]

        def append_and_let_one_come(record):
            if late:
                file._add(late.pop())
            return append(record)

        log.append = append_and_let_one_come
        recorded = await file.record(log, RING, policy_digest=POLICY)
        assert recorded.lines == 3
        assert [leaf["identity"] for leaf in await leaves(log)] == ["", HOLDER, HOLDER, OPERATOR, OPERATOR]
    assert not path.exists()


async def test_beyond_its_bound_a_call_is_not_kept_unless_it_must_be(path, monkeypatch):
    monkeypatch.setattr(kept, "MOST_KEPT", 2)
    file = await filled(path, calls=[CALL])
    assert not await file.keep(REFUSED)
    assert await file.keep(CALL, anyway=True)
    await file.keep_event("stop_sealed", at_s=0)
    assert [line["name"].rpartition("/")[2] for line in words(path)] == [
        "start_sealed",
        "GiveShare",
        "GiveShare",
        "stop_sealed",
    ]
    assert not await reopened(path).keep(REFUSED)  # the bound outlives a restart


# A crash


@pytest.mark.parametrize("appended", range(7))
async def test_a_log_that_was_told_a_part_is_told_the_rest_once(path, tmp_path, appended):
    """It ends after so many leaves; the last is the end of all, before the file is removed."""
    await filled(path)
    async with opened(tmp_path) as log:
        await log.append(event(UNSEAL))
        before = await leaves(log)
    async with opened(tmp_path) as log:
        append, left = log.append, [None] * appended

        def append_until_the_end(record):
            if not left:
                raise StorageError("the end")
            left.pop()
            return append(record)

        log.append = append_until_the_end
        file = reopened(path)
        file._forget = lambda done, _key: done == 3 and (_ for _ in ()).throw(StorageError("the end"))
        with pytest.raises(StorageError, match="the end"):
            await file.record(log, RING, policy_digest=POLICY)
    assert len(words(path)) == 3
    async with opened(tmp_path) as log:
        file = reopened(path, start=100)
        await file.keep(CALL)  # the same words again, and another call
        recorded = await file.record(log, RING, policy_digest=POLICY)
        assert recorded.lines == 4
        told = (await leaves(log))[len(before) :]
        stored = [json.loads(entry) for entry in await log.entries(start=0, limit=log.size)]
    assert [leaf["name"].rpartition("/")[2] for leaf in told] == ["start_sealed", *["GiveShare"] * 6]
    kept_links = [leaf["details"]["kept"] for leaf in told if "kept" in leaf["details"]]
    assert len(set(kept_links)) == len(kept_links) == 4
    intents = {leaf["counter"]: place for place, leaf in enumerate(told) if leaf["kind"] == "intent"}
    assert len(intents) == 2  # two of the holder, whose counters go on, and one of the operator
    ended = [leaf["details"]["intent"] for leaf in stored if leaf["kind"] == "outcome"]
    assert sorted(ended) == [place for place, leaf in enumerate(stored) if leaf["kind"] == "intent"]
    assert not path.exists()


async def test_only_what_stands_behind_the_last_unsealing_counts_as_told(path, tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "PAGE", 2)
    file = await filled(path, calls=[CALL])
    copy = path.read_bytes()
    async with opened(tmp_path) as log:
        await file.record(log, RING, policy_digest=POLICY)
        path.write_bytes(copy)
        assert (await reopened(path).record(log, RING, policy_digest=POLICY)).outcomes == {}
        assert len(await leaves(log)) == 3
        await log.append(event(UNSEAL))
        path.write_bytes(copy)
        await reopened(path).record(log, RING, policy_digest=POLICY)
        assert len(await leaves(log)) == 7


async def test_the_same_words_of_two_sealings_are_two_lines(path, tmp_path):
    async with opened(tmp_path) as log:
        for start in (0, 10):
            file = reopened(path, start=start)
            await file.keep(CALL)
            await reopened(path).record(log, RING, policy_digest=POLICY)  # as an earlier process's
        assert [leaf.get("counter") for leaf in await leaves(log)] == [1, None, 2, None]


async def test_a_last_line_that_a_crash_cut_off_is_taken_off_and_what_follows_is_whole(path, tmp_path):
    await filled(path)
    whole = path.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    for size in range(1, len(last)):
        path.write_bytes(whole[: -len(last)] + last[:size])
        file = reopened(path)
        assert path.read_bytes() == whole[: -len(last)]
    await file.keep(REFUSED)
    assert len(words(path)) == 3
    async with opened(tmp_path) as log:
        assert (await reopened(path).record(log, RING, policy_digest=POLICY)).lines == 3


# A disk that fails


@pytest.mark.parametrize("wrote", [0, 20])
async def test_a_line_that_finds_the_disk_full_leaves_no_half_of_itself(path, tmp_path, monkeypatch, wrote):
    file = await filled(path)
    before, write = path.read_bytes(), os.write
    begun = []

    def write_a_part(descriptor, data):
        if wrote and not begun:
            begun.append(data)
            return write(descriptor, data[:wrote])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write_a_part)
    with pytest.raises(
        StorageError, match=r"sealed-calls.jsonl: cannot be written \(No space left on device\)"
    ) as caught:
        await file.keep(CALL)
    assert caught.value.reason == "KEPT_CALLS"
    monkeypatch.undo()
    assert path.read_bytes() == before
    await file.keep(REFUSED)
    async with opened(tmp_path) as log:
        assert (await file.record(log, RING, policy_digest=POLICY)).lines == 4
        assert len(await leaves(log)) == 7  # nobody was answered the call that was not kept


async def test_a_line_that_the_disk_takes_in_pieces_is_whole(path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:100]))
    await filled(path)
    monkeypatch.undo()
    assert [line["at_s"] for line in words(path)] == [1_700_000_000, CALL.at_s, REFUSED.at_s]
    reopened(path)


async def test_a_file_that_cannot_be_removed_fails_the_unsealing(path, tmp_path, monkeypatch):
    file = await filled(path)

    def fail(*_words, **_more):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(type(path), "unlink", fail)
    async with opened(tmp_path) as log:
        with pytest.raises(StorageError, match="Read-only"):
            await file.record(log, RING, policy_digest=POLICY)


async def test_a_log_that_fails_leaves_the_file(path, tmp_path):
    file = await filled(path)
    before = path.read_bytes()
    log = await open_log(tmp_path)
    await log.close()
    with pytest.raises(StorageError):
        await file.record(log, RING, policy_digest=POLICY)
    assert path.read_bytes() == before


def test_a_file_that_cannot_be_read_says_so(path):
    path.mkdir()
    with pytest.raises(StorageError, match="cannot be read"):
        reopened(path)


# Damage


def without(place):
    return lambda lines: lines[:place] + lines[place + 1 :]


def swapped(lines):
    return [lines[1], lines[0], lines[2]]


def changed(key, value):
    def change(lines):
        fields = json.loads(lines[1])
        return [lines[0], json.dumps({**fields, key: value}).encode(), lines[2]]

    return change


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(without(0), id="first-gone"),
        pytest.param(without(1), id="middle-gone"),
        pytest.param(swapped, id="swapped"),
        pytest.param(changed("status", "REFUSED"), id="status"),
        pytest.param(changed("more", 1), id="another-key"),
        pytest.param(changed("link", "00"), id="link"),
        *(
            pytest.param(lambda lines, bad=bad: [lines[0], bad, lines[2]], id=repr(bad))
            for bad in (b"", b"{}", b"[]", b"7", b"null", b"not json", b"\xff", b'{"link": ""}', b"[" * 100_000)
        ),
    ],
)
async def test_a_damaged_file_is_refused_with_one_line_and_kept(path, damage):
    await filled(path)
    content = b"\n".join(damage(path.read_bytes().splitlines())) + b"\n"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"sealed-calls.jsonl.*is damaged.*nothing was started") as caught:
        reopened(path)
    assert caught.value.reason == "KEPT_CALLS_BROKEN"
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "fields",
    [
        {"salt": "00"},
        {"salt": "00", "name": "start_sealed"},
        {"salt": "00", "name": "start_sealed", "at_s": 0, "more": 1},
        {"salt": "00", "identity": HOLDER},
        {"name": "start_sealed", "at_s": 0},
    ],
)
def test_a_linked_line_that_says_something_else_is_refused(path, fields):
    path.write_text(json.dumps({**fields, "link": kept_lines.link_of(kept_lines.BEFORE_ALL, fields)}) + "\n")
    with pytest.raises(IntegrityError, match="is damaged"):
        reopened(path)
