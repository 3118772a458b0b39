"""A start that takes long says on which file it waits, and is silent otherwise."""

import io
import threading

import pytest
from rich.console import Console

from heldout_server.cli import serving
from heldout_server.database import Database
from served_appliance import until


@pytest.fixture
def said(monkeypatch):
    text = io.StringIO()
    monkeypatch.setattr(serving, "console", Console(file=text, width=200))
    monkeypatch.setattr(serving, "SLOW_START_S", 0.02)
    return text


async def test_a_start_that_waits_for_a_database_names_it(said, tmp_path):
    database = Database.open(tmp_path / "bank.db", bytes(32), ())
    release = threading.Event()
    held = database.begin_write(lambda _connection: release.wait(20))
    try:
        with serving._saying_what_is_slow():
            await until(lambda: f"waiting for {tmp_path}/bank.db. If its disk hangs" in said.getvalue())
    finally:
        release.set()
        held.result()
        database.close()


async def test_a_start_that_waits_for_something_else_says_that_too(said):
    with serving._saying_what_is_slow():
        await until(lambda: "waiting for something that is not a database" in said.getvalue())


def test_a_start_that_is_fast_says_nothing(said, monkeypatch):
    monkeypatch.setattr(serving, "SLOW_START_S", 60.0)
    with serving._saying_what_is_slow():
        watch = next(one for one in threading.enumerate() if one.name == "slow-start")
    watch.join(10)
    assert not watch.is_alive()
    assert said.getvalue() == ""
