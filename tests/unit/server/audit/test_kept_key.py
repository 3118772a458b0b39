"""Calls that are kept are signed by a key that moves on: what came before it was taken cannot be made anew."""

import json

import pytest
from audit_log_lab import opened

from heldout_server.audit import UNSEAL, KeptFile, begin_kept_key, kept_key, kept_lines
from heldout_server.errors import IntegrityError, StorageError
from heldout_server.ports.audit import Record
from heldout_server.ports.seal import KeptCall
from key_ring_fakes import OneSecretKeyRing

RING = OneSecretKeyRing()
CALL = KeptCall(
    name="/heldout.v1.SealService/GiveShare",
    identity="spiffe://heldout.example/key-holder-1",
    role="key_holder",
    decision="allow",
    rules=("key-holder-gives-share",),
    status="INVALID_REQUEST",
    at_s=60,
    request_sha256="ab" * 48,
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "sealed-calls.jsonl"
    begin_kept_key(path, RING, random_bytes=bytes)
    return path


def reopened(path):
    return KeptFile(path, random_bytes=bytes)


def both(path):
    """Return what is in the file and in its key: what somebody who has the disk has."""
    return path.read_bytes(), path.with_suffix(".key").read_bytes()


def put_back(path, content, key):
    path.write_bytes(content)
    path.with_suffix(".key").write_bytes(key)


async def filled(path, lines=3):
    file = reopened(path)
    for _ in range(lines):
        assert await file.keep(CALL)
    return file


async def unseal(path, log):
    """Do as an appliance does that opens, and return what was recorded."""
    recorded = await reopened(path).record(log, RING, policy_digest="ef" * 32)
    await log.append(Record(kind="event", name=UNSEAL, details={"kept": recorded.lines, "row": recorded.row}))
    return recorded


def forge(path, *, after, words):
    """Make lines anew from a place on, as whoever holds the disk can, under the key that lies there now."""
    lines = path.read_bytes().splitlines(keepends=True)[:after]
    key = kept_key.read_key(path.with_suffix(".key"))
    before = json.loads(lines[-1])["link"] if lines else kept_lines.BEFORE_ALL
    said = {**words, "salt": "00", "row": key.row}
    link = kept_lines.link_of(before, said)
    lines.append(json.dumps({**said, "link": link, "signature": key.sign(link)}).encode() + b"\n")
    path.write_bytes(b"".join(lines))


async def test_every_line_is_signed_and_the_log_says_so(path, tmp_path):
    await filled(path)
    async with opened(tmp_path) as log:
        recorded = await unseal(path, log)
        assert (recorded.lines, recorded.signed) == (3, True)


async def test_a_key_never_signs_two_lines_and_none_leads_back(path):
    seen = []
    file = reopened(path)
    for step in range(3):
        seen.append(kept_key.read_key(path.with_suffix(".key")))
        assert seen[-1].step == step
        await file.keep(CALL)
    signatures = [json.loads(line)["signature"] for line in path.read_bytes().splitlines()]
    links = [json.loads(line)["link"] for line in path.read_bytes().splitlines()]
    assert [key.sign(link) for key, link in zip(seen, links, strict=True)] == signatures
    assert len({key.key for key in seen}) == 3
    assert seen[0].moved_on() == seen[1]


@pytest.mark.parametrize("left", [0, 1, 2])
async def test_lines_taken_off_the_end_are_missed_at_the_next_start(path, left):
    await filled(path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:left]))
    with pytest.raises(IntegrityError, match="is damaged"):
        reopened(path)


async def test_a_file_that_is_gone_is_missed_at_the_next_start(path):
    await filled(path)
    path.unlink()
    with pytest.raises(IntegrityError, match="is damaged"):
        reopened(path)


@pytest.mark.parametrize("after", [0, 1, 2])
async def test_lines_made_anew_with_the_key_that_is_left_are_refused(path, tmp_path, after):
    await filled(path)
    words = json.loads(path.read_bytes().splitlines()[0])
    words = {name: words[name] for name in words if name not in {"salt", "row", "link", "signature"}}
    while len(path.read_bytes().splitlines()) > after:
        forge(path, after=after, words=words | {"status": "OK"})
        after += 1
        if after == 3:
            break
    async with opened(tmp_path) as log:
        with pytest.raises(IntegrityError, match="is damaged"):
            await unseal(path, log)
        assert log.size == 0


async def test_a_crash_before_the_key_moved_on_loses_nothing(path, tmp_path):
    file = await filled(path, lines=2)
    key = path.with_suffix(".key").read_bytes()
    await file.keep(CALL)
    path.with_suffix(".key").write_bytes(key)
    await filled(path, lines=1)
    async with opened(tmp_path) as log:
        recorded = await unseal(path, log)
        assert (recorded.lines, recorded.signed) == (4, True)


async def test_a_key_older_than_the_lines_is_refused(path):
    old = path.with_suffix(".key").read_bytes()
    await filled(path)
    path.with_suffix(".key").write_bytes(old)
    with pytest.raises(IntegrityError, match="is damaged"):
        reopened(path)


@pytest.mark.parametrize("step", ["the key was named", "the key was written"])
async def test_a_crash_in_the_middle_of_an_unsealing_can_be_gone_on_from(path, tmp_path, monkeypatch, step):
    await filled(path)
    async with opened(tmp_path) as log:
        await unseal(path, log)
        await filled(path)

        def end(*_words):
            raise OSError(5, "the end")

        with monkeypatch.context() as patch:
            if step == "the key was named":
                patch.setattr("heldout_server.audit.kept.write_key", end)
            else:
                patch.setattr("pathlib.Path.unlink", lambda *_words, **_more: end())
            with pytest.raises(StorageError):
                await unseal(path, log)
        await filled(path, lines=1)
        recorded = await unseal(path, log)
        assert (recorded.lines, recorded.signed) == (4, True)
        told = [json.loads(entry) for entry in await log.entries(start=0, limit=log.size)]
        assert sum(entry["kind"] == "intent" for entry in told) == 7  # each once


async def test_files_of_an_earlier_sealing_are_refused(path, tmp_path):
    await filled(path)
    old = both(path)
    async with opened(tmp_path) as log:
        await unseal(path, log)
        await filled(path, lines=1)
        put_back(path, *old)
        with pytest.raises(IntegrityError, match="is damaged"):
            await unseal(path, log)


async def test_a_key_of_another_appliance_is_refused(path, tmp_path):
    begin_kept_key(path, OneSecretKeyRing(b"another"), random_bytes=bytes)
    await filled(path)
    async with opened(tmp_path) as log:
        with pytest.raises(IntegrityError, match="is damaged"):
            await unseal(path, log)


async def test_whoever_takes_the_key_away_leaves_lines_that_the_log_calls_unsigned(path, tmp_path):
    path.with_suffix(".key").unlink()
    await filled(path)
    async with opened(tmp_path) as log:
        assert not (await unseal(path, log)).signed
        await filled(path)  # from then on there is a key again
        assert (await unseal(path, log)).signed


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"format": "heldout-kept-key/1"}'])
def test_what_is_no_key_is_refused(path, content):
    path.with_suffix(".key").write_bytes(content)
    with pytest.raises(IntegrityError, match="does not hold a key of kept calls"):
        reopened(path)


def test_a_key_that_cannot_be_read_is_named(path):
    path.with_suffix(".key").unlink()
    path.with_suffix(".key").mkdir()
    with pytest.raises(StorageError, match="cannot be read"):
        reopened(path)
