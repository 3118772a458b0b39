"""Judged trials are stored in batches, none lost, none twice."""

from __future__ import annotations

import asyncio

import pytest

from heldout_server.errors import StorageError
from heldout_server.evaluation.batching import BatchWriter

LONG_S = 3600.0


async def test_a_full_batch_does_not_wait_and_closing_stores_the_rest():
    batches = []

    async def store(batch):
        batches.append(list(batch))

    writer = BatchWriter(store, size=3, linger_s=LONG_S)
    async with asyncio.TaskGroup() as group:
        group.create_task(writer.run())
        for number in range(8):
            writer.add(number)
            await asyncio.sleep(0)
        writer.close()
    assert [number for batch in batches for number in batch] == list(range(8))
    assert max(map(len, batches)) == 3


async def test_a_lone_trial_is_stored_without_waiting_for_more():
    stored = asyncio.Event()

    async def store(batch):
        assert batch == ["only"]
        stored.set()

    writer = BatchWriter(store, size=100, linger_s=0)
    async with asyncio.TaskGroup() as group:
        group.create_task(writer.run())
        writer.add("only")
        await stored.wait()
        writer.close()


async def test_what_comes_while_a_batch_is_stored_forms_the_next():
    storing, go_on, batches = asyncio.Event(), asyncio.Event(), []

    async def store(batch):
        batches.append(list(batch))
        storing.set()
        await go_on.wait()

    writer = BatchWriter(store, size=10, linger_s=0)
    async with asyncio.TaskGroup() as group:
        group.create_task(writer.run())
        writer.add(0)
        await storing.wait()
        for number in range(1, 5):
            writer.add(number)
        go_on.set()
        writer.close()
    assert batches == [[0], [1, 2, 3, 4]]


async def test_workers_are_held_back_while_four_batches_wait():
    go_on = asyncio.Event()

    async def store(_batch):
        await go_on.wait()

    writer = BatchWriter(store, size=2, linger_s=0)
    async with asyncio.TaskGroup() as group:
        for number in range(8):
            writer.add(number)
        held = group.create_task(writer.room())
        await asyncio.sleep(0)
        assert not held.done()
        group.create_task(writer.run())
        go_on.set()
        await held
        writer.close()


async def test_closing_with_nothing_stores_nothing():
    async def store(_batch):
        raise AssertionError("nothing was added")

    writer = BatchWriter(store)
    writer.close()
    await writer.run()


async def test_a_failing_store_is_not_hidden():
    async def store(_batch):
        raise StorageError("the disk is full")

    writer = BatchWriter(store, linger_s=0)
    writer.add(1)
    with pytest.raises(StorageError):
        await writer.run()
