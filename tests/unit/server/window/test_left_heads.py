"""What a half leaves of its log for the other half, in the database that it alone writes."""

import pytest

from heldout_server.anchored_database import AnchoredDatabase
from heldout_server.errors import WrongKey
from heldout_server.window import Head, Heads, leave_heads, read_heads, scores

KEY = bytes(32)
OWN, SEEN = Head(size=7, root="a" * 64), Head(size=3, root="b" * 64)


@pytest.fixture
def database(tmp_path):
    opened = AnchoredDatabase.open(tmp_path / "window.db", KEY, scores.MIGRATIONS, content=scores.CONTENT, anchor=None)
    yield opened
    opened.close()


async def read(database):
    return await read_heads(database.path, KEY, scores.MIGRATIONS)


async def test_before_anything_was_left_there_is_nothing(database, tmp_path):
    assert await read(database) is None
    assert await read_heads(tmp_path / "none.db", KEY, scores.MIGRATIONS) is None
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("heads", [Heads(own=OWN, other=None), Heads(own=OWN, other=SEEN)])
async def test_what_was_left_is_read_while_the_writer_has_it_open(database, heads):
    await leave_heads(database, heads)
    assert await read(database) == heads


async def test_the_newest_stands_and_the_content_counts_no_change(database):
    before = database.position
    await leave_heads(database, Heads(own=OWN, other=SEEN))
    await leave_heads(database, Heads(own=Head(size=9, root="c" * 64), other=SEEN))
    assert (await read(database)).own.size == 9
    assert database.position == before


async def test_another_key_reads_nothing(database):
    with pytest.raises(WrongKey):
        await read_heads(database.path, b"x" * 32, scores.MIGRATIONS)
