"""The bank's door: what it keeps sealed, counts, pages, retires and freezes."""

from __future__ import annotations

import hashlib
import os

import pytest

from heldout_server.bank.epochs import commit
from heldout_server.domain import Intent
from heldout_server.errors import IntegrityError, NotFound, WrongKey, WrongState
from heldout_server.ports.bank import Count

CANARY = "the third teapot is a mild canary"


async def handles(bank):
    return await bank.handles(after="", limit=1_000_000)


def run(bank, statement, values=()):
    """Work on the tables below the door."""
    return bank._database.write_now(lambda connection: connection.execute(statement, values).fetchall())


@pytest.fixture
async def stocked(bank, make, rows):
    """Hold six prompts in five units."""
    drafts = [
        make("one", category="a"),
        make("two", category="a"),
        make("three", category="a", family="f"),
        make("four", category="a", family="f"),
        make("five", Intent.BENIGN, category="a"),
        make("six", Intent.BENIGN, category="b"),
    ]
    await bank.import_prompts(rows(drafts), skip_bad=False)
    return bank


async def test_no_text_stands_in_any_file_nor_in_the_opened_database(path, bank, make, rows):
    await bank.import_prompts(rows([make(CANARY)]), skip_bad=False)
    for file in path.parent.iterdir():
        content = file.read_bytes()
        assert CANARY.encode() not in content
        assert b"kitchen" not in content
    dump = run(bank, "SELECT * FROM prompt") + run(bank, "SELECT * FROM shard") + run(bank, "SELECT * FROM bank")
    columns = [value if isinstance(value, bytes) else str(value).encode() for row in dump for value in row]
    assert any(b"kitchen" in value for value in columns)
    assert not any(CANARY.encode() in value for value in columns)
    assert not any(hashlib.sha256(CANARY.encode()).digest()[:16] in value for value in columns)


async def test_a_sealed_text_moved_to_another_row_does_not_open(stocked):
    one, other = (await handles(stocked))[:2]
    moved = "UPDATE prompt SET sealed = (SELECT sealed FROM prompt WHERE handle = ?) WHERE handle = ?"
    run(stocked, moved, (other, one))
    with pytest.raises(IntegrityError):
        await stocked.get(one)
    assert (await stocked.get(other)).draft.text


async def test_a_text_of_another_epochs_member_does_not_open_either(stocked):
    epoch = await stocked.open_epoch()
    one, other = (member.handle for member in (await stocked.members(epoch.epoch_id))[:2])
    run(stocked, "UPDATE prompt SET handle = 'x' WHERE handle = ?", (one,))
    run(stocked, "UPDATE prompt SET handle = ? WHERE handle = ?", (one, other))
    with pytest.raises(IntegrityError):
        await stocked.texts(epoch.epoch_id, start=0, stop=2)


async def test_deleting_a_shards_key_shreds_its_texts(stocked):
    (handle, *_) = await handles(stocked)
    run(stocked, "DELETE FROM shard")
    with pytest.raises(IntegrityError) as caught:
        await stocked.get(handle)
    assert caught.value.reason == "SHARD_SHREDDED"


async def test_another_key_ring_does_not_open_the_file_nor_change_it(path, open_bank, other_keys, make, rows):
    bank = open_bank()
    await bank.import_prompts(rows([make("one")]), skip_bad=False)
    bank.close()
    before = path.read_bytes()
    with pytest.raises(WrongKey):
        open_bank(keys=other_keys)
    assert path.read_bytes() == before
    bank = open_bank()
    assert (await bank.stats()).live == 1


async def test_a_ring_that_cannot_unwrap_leaves_no_thread_behind(open_bank, keys, other_keys):
    open_bank().close()
    other_keys.database_key = keys.database_key
    with pytest.raises(IntegrityError):
        open_bank(keys=other_keys)


async def test_everything_is_there_after_a_restart(open_bank, make, rows):
    bank = open_bank()
    await bank.import_prompts(rows([make("one"), make("two")]), skip_bad=False)
    epoch = await bank.open_epoch()
    texts = await bank.texts(epoch.epoch_id, start=0, stop=2)
    bank.close()
    bank = open_bank()
    assert await bank.epochs() == (epoch,)
    assert await bank.texts(epoch.epoch_id, start=0, stop=2) == texts
    assert len((await bank.import_prompts(rows([make("one")]), skip_bad=False)).duplicates) == 1


async def test_an_empty_bank_counts_nothing(bank):
    stats = await bank.stats()
    assert (stats.live, stats.retired, stats.waiting, stats.counts, stats.epoch) == (0, 0, 0, (), None)


async def test_the_counts_are_of_live_prompts_by_intent_and_category(stocked, make, rows):
    epoch = await stocked.open_epoch()
    await stocked.import_prompts(rows([make("seven", category="c")]), skip_bad=False)
    (one,) = [handle for handle in await handles(stocked) if (await stocked.get(handle)).draft.text.reveal() == "one"]
    await stocked.retire([one])
    stats = await stocked.stats()
    assert (stats.live, stats.retired, stats.waiting, stats.epoch) == (6, 1, 1, epoch)
    assert stats.counts == (
        Count(Intent.HARMFUL, "a", 3, 2),
        Count(Intent.HARMFUL, "c", 1, 1),
        Count(Intent.BENIGN, "a", 1, 1),
        Count(Intent.BENIGN, "b", 1, 1),
    )


async def test_handles_are_paged_in_order_and_hold_each_prompt_once(stocked):
    pages, after = [], ""
    while page := await stocked.handles(after=after, limit=4):
        pages.append(page)
        after = page[-1]
    assert [len(page) for page in pages] == [4, 2]
    everything = [handle for page in pages for handle in page]
    assert everything == sorted(set(everything))


async def test_an_unknown_handle_is_not_found_and_not_quoted(stocked):
    with pytest.raises(NotFound) as caught:
        await stocked.get("prompt-unknown")
    assert "prompt-unknown" not in str(caught.value)


async def test_retiring_counts_what_was_live(stocked):
    one, two, *_ = await handles(stocked)
    assert await stocked.retire([one, one]) == 1
    assert await stocked.retire([one, two]) == 1
    assert (await stocked.get(one)).retired
    assert (await stocked.stats()).retired == 2


async def test_retiring_an_unknown_handle_retires_nothing(stocked):
    one, *_ = await handles(stocked)
    with pytest.raises(NotFound):
        await stocked.retire([one, "prompt-unknown"])
    assert not (await stocked.get(one)).retired


async def test_an_epoch_holds_the_live_prompts_with_their_units(stocked):
    epoch = await stocked.open_epoch()
    members = await stocked.members(epoch.epoch_id)
    assert (epoch.number, epoch.prompts, epoch.units) == (1, 6, 5)
    assert [member.position for member in members] == list(range(6))
    for member in members:
        draft = (await stocked.get(member.handle)).draft
        assert (member.intent, member.category) == (draft.intent, draft.category)
        assert member.unit == (f"f-{draft.family}" if draft.family else f"p-{member.handle}")


async def test_texts_come_in_the_frozen_order_and_end_where_it_ends(stocked):
    epoch = await stocked.open_epoch()
    members = await stocked.members(epoch.epoch_id)
    expected = tuple([(await stocked.get(member.handle)).draft.text for member in members])
    assert await stocked.texts(epoch.epoch_id, start=0, stop=6) == expected
    assert await stocked.texts(epoch.epoch_id, start=2, stop=4) == expected[2:4]
    assert await stocked.texts(epoch.epoch_id, start=5, stop=99) == expected[5:]
    assert await stocked.texts(epoch.epoch_id, start=6, stop=9) == ()


async def test_an_epoch_stays_as_it_was_frozen(stocked, make, rows):
    first = await stocked.open_epoch()
    members = await stocked.members(first.epoch_id)
    texts = await stocked.texts(first.epoch_id, start=0, stop=6)
    await stocked.retire([members[0].handle])
    await stocked.import_prompts(rows([make("seven")]), skip_bad=False)
    second = await stocked.open_epoch()
    assert await stocked.members(first.epoch_id) == members
    assert await stocked.texts(first.epoch_id, start=0, stop=6) == texts
    now = {member.handle for member in await stocked.members(second.epoch_id)}
    assert members[0].handle not in now
    assert len(now) == 6
    assert await stocked.epochs() == (first, second)
    assert (await stocked.stats()).epoch == second


async def test_the_commitment_is_over_the_salt_and_the_ordered_handles(stocked):
    epoch = await stocked.open_epoch()
    members = await stocked.members(epoch.epoch_id)
    ((salt,),) = run(stocked, "SELECT salt FROM epoch")
    assert len(salt) == 32
    lines = "".join(f"{member.handle}\n" for member in members)
    assert epoch.commitment == hashlib.sha256(salt + lines.encode()).hexdigest()
    assert commit(salt, [member.handle for member in reversed(members)]) != epoch.commitment


async def test_members_that_are_not_those_committed_to_are_refused(stocked):
    epoch = await stocked.open_epoch()
    run(stocked, "DELETE FROM member WHERE position = 5")
    with pytest.raises(IntegrityError) as caught:
        await stocked.members(epoch.epoch_id)
    assert caught.value.reason == "EPOCH_CHANGED"


async def test_the_order_of_an_epoch_is_drawn_and_not_that_of_import(open_bank, make, rows):
    drawn = []

    def random_bytes(count):
        drawn.append(count)
        return os.urandom(count)

    bank = open_bank(random_bytes=random_bytes)
    imported = [f"prompt {number}" for number in range(40)]
    await bank.import_prompts(rows(make(text) for text in imported), skip_bad=False)
    epoch = await bank.open_epoch()
    order = [text.reveal() for text in await bank.texts(epoch.epoch_id, start=0, stop=40)]
    assert sorted(order) == sorted(imported)
    assert order != imported  # 1 in 40! by chance
    assert drawn[-2:] == [40 * 16, 32]


async def test_no_epoch_opens_over_an_empty_bank(bank):
    with pytest.raises(WrongState) as caught:
        await bank.open_epoch()
    assert caught.value.reason == "BANK_EMPTY"


async def test_no_epoch_opens_where_nothing_changed(stocked):
    await stocked.open_epoch()
    with pytest.raises(WrongState) as caught:
        await stocked.open_epoch()
    assert caught.value.reason == "EPOCH_UNCHANGED"
    await stocked.retire((await handles(stocked))[:1])
    assert (await stocked.open_epoch()).prompts == 5


async def test_an_unknown_epoch_is_not_found(stocked):
    with pytest.raises(NotFound):
        await stocked.members("epoch-unknown")
    with pytest.raises(NotFound):
        await stocked.texts("epoch-unknown", start=0, stop=1)


async def test_burning_an_epoch_marks_its_prompts_for_good_and_counts_those_that_live(stocked, make, rows):
    epoch = await stocked.open_epoch()
    assert (await stocked.stats()).burnt == 0
    assert [await stocked.burn(epoch.epoch_id), await stocked.burn(epoch.epoch_id)] == [6, 0]
    await stocked.import_prompts(rows([make("seven", category="a")]), skip_bad=False)
    assert (await stocked.stats()).burnt == 6
    burnt = [(await stocked.get(handle)).burnt for handle in await handles(stocked)]
    assert sorted(burnt) == [False] + [True] * 6
    await stocked.retire([(await stocked.members(epoch.epoch_id))[0].handle])
    assert (await stocked.stats()).burnt == 5
    later = await stocked.open_epoch()
    assert await stocked.burn(later.epoch_id) == 1


async def test_an_epoch_that_is_not_there_cannot_be_burnt(stocked):
    with pytest.raises(NotFound):
        await stocked.burn("epoch-none")
