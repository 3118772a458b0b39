"""Imports are all or nothing, name bad rows by line and code, and leave out what is there already."""

from __future__ import annotations

import asyncio
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heldout_server.bank import store
from heldout_server.bank.shards import SHARD_PROMPTS
from heldout_server.domain import Intent
from heldout_server.ports.bank import BadRow


async def handles(bank):
    return await bank.handles(after="", limit=1_000_000)


def raw(bank, statement):
    """Look at the tables below the door."""
    return bank._database.write_now(lambda connection: connection.execute(statement).fetchall())


async def test_a_prompt_comes_back_as_it_went_in(bank, make, rows):
    one = make("Wie kocht man Tee?\n", Intent.BENIGN, "drinks", language="de", tags=("b", "a", "b"), family="tea")
    report = await bank.import_prompts(rows([one]), skip_bad=False)
    assert (report.imported, report.bad, report.duplicates) == (1, (), ())
    (handle,) = await handles(bank)
    stored = await bank.get(handle)
    assert (stored.handle, stored.draft, stored.retired) == (handle, one, False)


async def test_nothing_to_import_changes_nothing(bank, rows):
    report = await bank.import_prompts(rows([]), skip_bad=False)
    assert report.imported == 0
    assert await handles(bank) == ()


async def test_one_bad_row_keeps_all_out_and_every_bad_row_is_named(bank, make, rows):
    drafts = [make("one"), make(""), make("two"), make("three", category="No")]
    report = await bank.import_prompts(rows(drafts), skip_bad=False)
    assert report.imported == 0
    assert report.bad == (BadRow(2, "text_empty"), BadRow(4, "category_invalid"))
    assert await handles(bank) == ()
    assert raw(bank, "SELECT count(*) FROM prompt") == raw(bank, "SELECT count(*) FROM shard") == [(0,)]


async def test_skipping_bad_rows_takes_in_the_others(bank, make, rows):
    drafts = [make("one"), make("a\x00b"), make("two")]
    report = await bank.import_prompts(rows(drafts), skip_bad=True)
    assert report.imported == 2
    assert report.bad == (BadRow(2, "text_control_characters"),)
    texts = {(await bank.get(handle)).draft.text.reveal() for handle in await handles(bank)}
    assert texts == {"one", "two"}


async def test_a_bad_row_in_a_later_batch_keeps_earlier_batches_out(bank, make, rows, monkeypatch):
    monkeypatch.setattr(store, "BATCH_ROWS", 2)
    drafts = [make(f"prompt {number}") for number in range(5)] + [make(" ")] + [make("after"), make("and after")]
    report = await bank.import_prompts(rows(drafts), skip_bad=False)
    assert (report.imported, report.bad) == (0, (BadRow(6, "text_empty"),))
    assert await handles(bank) == ()


async def test_batches_are_bounded_by_characters_too(bank, make, rows, monkeypatch):
    monkeypatch.setattr(store, "BATCH_CHARACTERS", 10)
    batches = [len(batch) async for batch in store._batches(rows([make("x" * 6) for _ in range(5)]))]
    assert batches == [2, 2, 1]


async def test_a_stream_that_raises_leaves_nothing_behind(bank, make, monkeypatch, rows):
    monkeypatch.setattr(store, "BATCH_ROWS", 2)

    async def breaks():
        async for row in rows([make(f"prompt {number}") for number in range(5)]):
            yield row
        assert raw(bank, "SELECT count(*) FROM prompt") == [(4,)]  # staged, and not to be seen:
        assert await handles(bank) == ()
        assert (await bank.stats()).live == 0
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await bank.import_prompts(breaks(), skip_bad=False)
    for table in ("prompt", "shard", "entry", "unfinished"):
        assert raw(bank, f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608 - our own four names
    assert (await bank.import_prompts(rows([make("prompt 0")]), skip_bad=False)).imported == 1


async def test_a_cancelled_import_leaves_nothing_behind(bank, make, rows, monkeypatch):
    monkeypatch.setattr(store, "BATCH_ROWS", 1)
    reached = asyncio.Event()

    async def stalls():
        async for row in rows([make("one"), make("two")]):
            yield row
        reached.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(bank.import_prompts(stalls(), skip_bad=True))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert raw(bank, "SELECT count(*) FROM prompt") == [(0,)]


async def test_a_crash_in_the_middle_leaves_nothing_behind(path, open_bank, make, rows, monkeypatch):
    monkeypatch.setattr(store, "BATCH_ROWS", 2)
    bank = open_bank()
    await bank.import_prompts(rows([make("was there before")]), skip_bad=False)
    copy = path.parent / "crashed.db"

    async def dies():
        async for row in rows([make(f"prompt {number}") for number in range(5)]):
            yield row
        for end in ("", "-wal"):  # what a machine that stops here would find on its disk
            (copy.parent / f"{copy.name}{end}").write_bytes((path.parent / f"{path.name}{end}").read_bytes())

    assert (await bank.import_prompts(dies(), skip_bad=False)).imported == 5

    after = open_bank(copy)
    assert raw(after, "SELECT count(*) FROM prompt") == raw(after, "SELECT count(*) FROM shard") == [(1,)]
    assert len(await handles(after)) == 1
    assert (await after.import_prompts(rows([make("prompt 0")]), skip_bad=False)).duplicates == ()


async def test_imports_wait_for_each_other(bank, make, rows, monkeypatch):
    monkeypatch.setattr(store, "BATCH_ROWS", 1)
    some = [make(f"prompt {number}") for number in range(4)]
    reports = await asyncio.gather(*(bank.import_prompts(rows(some), skip_bad=False) for _ in range(2)))
    assert sorted(report.imported for report in reports) == [0, 4]
    assert sorted(len(report.duplicates) for report in reports) == [0, 4]


async def test_a_text_that_is_live_is_left_out_and_its_handle_named(bank, make, rows):
    await bank.import_prompts(rows([make("one")]), skip_bad=False)
    (there,) = await handles(bank)
    report = await bank.import_prompts(rows([make("two"), make(" one\r\n")]), skip_bad=False)
    assert (report.imported, report.bad, report.duplicates) == (1, (), (there,))


async def test_a_text_twice_in_one_import_enters_once(bank, make, rows, monkeypatch):
    monkeypatch.setattr(store, "BATCH_ROWS", 2)
    report = await bank.import_prompts(rows([make("one"), make("one"), make("two"), make("one")]), skip_bad=False)
    assert report.imported == 2
    first, second = report.duplicates
    assert first == second
    assert (await bank.get(first)).draft.text.reveal() == "one"


async def test_an_import_that_leaves_nothing_names_no_handle_of_its_own(bank, make, rows):
    await bank.import_prompts(rows([make("there")]), skip_bad=False)
    report = await bank.import_prompts(rows([make("one"), make("one"), make("there"), make("")]), skip_bad=False)
    assert report.duplicates == await handles(bank)


async def test_a_familys_harmful_members_share_one_category(bank, make, rows):
    drafts = [
        make("one", category="a", family="f"),
        make("two", category="b", family="f"),
        make("look-alike", Intent.BENIGN, category="c", family="f"),
        make("three", category="b", family="g"),
        make("four", category="b"),
    ]
    report = await bank.import_prompts(rows(drafts), skip_bad=True)
    assert report.bad == (BadRow(2, "family_mixes_categories"),)
    again = [make("five", category="b", family="f"), make("six", category="a", family="f")]
    report = await bank.import_prompts(rows(again), skip_bad=True)
    assert report.bad == (BadRow(1, "family_mixes_categories"),)
    assert report.imported == 1


async def test_a_family_is_free_again_once_its_harmful_members_are_retired(bank, make, rows):
    await bank.import_prompts(rows([make("one", category="a", family="f")]), skip_bad=False)
    await bank.retire(await handles(bank))
    assert (await bank.import_prompts(rows([make("two", category="b", family="f")]), skip_bad=False)).imported == 1


async def test_a_retired_text_may_come_back_corrected_before_any_epoch(bank, make, rows):
    await bank.import_prompts(rows([make("one", family="wrong")]), skip_bad=False)
    (old,) = await handles(bank)
    await bank.retire([old])
    report = await bank.import_prompts(rows([make("one", family="right")]), skip_bad=False)
    assert (report.imported, report.duplicates) == (1, ())


async def test_a_text_that_was_in_an_epoch_stays_in_its_unit(bank, make, rows):
    """Otherwise retiring and importing again would refresh the budget that the unit has spent."""
    await bank.import_prompts(rows([make("alone"), make("tied", family="f")]), skip_bad=False)
    first = await bank.members((await bank.open_epoch()).epoch_id)
    await bank.retire(await handles(bank))

    moved = await bank.import_prompts(rows([make("alone", family="g"), make("tied")]), skip_bad=False)
    assert moved.bad == (BadRow(1, "unit_changed"), BadRow(2, "unit_changed"))
    assert (await bank.import_prompts(rows([make("alone"), make("tied", family="f")]), skip_bad=False)).imported == 2
    second = await bank.members((await bank.open_epoch()).epoch_id)
    assert {member.unit for member in first} == {member.unit for member in second}
    assert {member.handle for member in first}.isdisjoint(member.handle for member in second)

    await bank.retire(await handles(bank))
    assert (await bank.import_prompts(rows([make("alone")]), skip_bad=False)).imported == 1
    (third,) = await bank.members((await bank.open_epoch()).epoch_id)
    assert third.unit in {member.unit for member in first}


async def test_a_shard_holds_no_more_than_its_share(bank, make, rows):
    await bank.import_prompts(rows(make(f"prompt {n}") for n in range(SHARD_PROMPTS + 1)), skip_bad=False)
    await bank.import_prompts(rows([make("of another import")]), skip_bad=False)
    assert raw(bank, "SELECT count(*) FROM prompt GROUP BY shard ORDER BY shard") == [(SHARD_PROMPTS,), (1,), (1,)]
    report = await bank.import_prompts(rows([make(f"prompt {SHARD_PROMPTS}")]), skip_bad=False)
    (handle,) = report.duplicates
    assert (await bank.get(handle)).draft.text.reveal() == f"prompt {SHARD_PROMPTS}"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).filter(lambda text: not text.isspace()))
async def test_any_text_survives_the_round_trip(bank, make, rows, text):
    """One bank for all examples: it only grows, and an example that comes twice is a duplicate."""
    before = set(await handles(bank))
    report = await bank.import_prompts(rows([make(text)]), skip_bad=False)
    (handle,) = report.duplicates or set(await handles(bank)) - before
    stored = (await bank.get(handle)).draft.text.reveal()
    if report.imported:
        assert stored == text
    else:
        assert unicodedata.normalize("NFC", stored).strip() == unicodedata.normalize("NFC", text).strip()
