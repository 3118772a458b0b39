"""What stands in the source and is not ready is told of after a while: a marker that was forgotten says nothing."""

from __future__ import annotations

import pytest

from heldout_server.checkpoints import FolderSource, SqlCheckpoints, left_out
from heldout_server.config.watch import Limits
from heldout_server.domain import LeftOut, LeftOutReason


class MovedClock:
    def __init__(self):
        self.seconds = 0.0

    def now_s(self):
        return 1_750_000_000.0 + self.seconds

    def monotonic_s(self):
        return self.seconds


@pytest.fixture
def clock():
    return MovedClock()


@pytest.fixture
def registry(place, clock):
    keys = type("Keys", (), {"database_key": lambda _self, _name: bytes(32)})()
    opened = SqlCheckpoints.open(
        place.folder / "checkpoints.db",
        keys=keys,
        clock=clock,
        source=FolderSource(place.source),
        staging=place.staging,
        limits=Limits(min_free_bytes=0),
    )
    yield opened
    opened.close()


async def test_what_waits_for_its_marker_or_lies_there_by_itself_is_told_of_after_a_while(place, registry, clock):
    place.put("nova-1", ready_s=None)
    (place.source / "weights.gguf").touch()
    (place.source / ".hidden").touch()
    await registry.scan()
    assert await registry.left_out() == ()  # it may be on its way
    clock.seconds = left_out.PATIENCE_S
    await registry.scan()
    assert await registry.left_out() == (
        LeftOut(name="nova-1", reason=LeftOutReason.NO_MARKER, seen_s=1_750_000_000),
        LeftOut(name="weights.gguf", reason=LeftOutReason.STRAY_FILE, seen_s=1_750_000_000),
    )


async def test_what_became_ready_or_went_away_is_told_of_no_more(place, registry, clock):
    place.put("nova-1", ready_s=None)
    (place.source / "weights.gguf").touch()
    await registry.scan()
    clock.seconds = left_out.PATIENCE_S
    place.mark("nova-1")
    (place.source / "weights.gguf").unlink()
    assert [one.name for one in await registry.scan()] == ["nova-1"]
    assert await registry.left_out() == ()


async def test_a_name_that_is_no_identifier_is_not_repeated_and_many_are_cut_off(place, registry, clock, monkeypatch):
    monkeypatch.setattr(left_out, "MOST", 2)
    for name in ("Some words of mine", "b", "c"):
        place.put(name, ready_s=None)
    await registry.scan()
    clock.seconds = left_out.PATIENCE_S
    assert [one.name for one in await registry.left_out()] == ["waiting-1", "b"]
