"""A database that is held to a log: what is anchored and when, and what is found when it is opened again."""

import asyncio
import threading
from dataclasses import dataclass, field

import pytest

from heldout_server.anchored_database import AnchoredDatabase
from heldout_server.anchoring import Anchored, Content, chain_on
from heldout_server.database import Database
from heldout_server.errors import IntegrityError, StorageError

KEY = bytes(32)
SCHEMA = ("CREATE TABLE thing (name TEXT PRIMARY KEY); CREATE TABLE aside (name TEXT);",)
CONTENT = Content(
    rows={"thing": "SELECT name FROM thing ORDER BY name"}, figures={"things": "SELECT count(*) FROM thing"}
)


@dataclass
class KeptAnchor:
    """Keep positions as a log would; ``fails`` makes the next one fail, ``pauses`` makes each wait a turn."""

    positions: list = field(default_factory=list)
    newest: Anchored | None = None
    fails: bool = False
    attached: object = None

    def verify(self, position):
        self.opened_at = position
        return self.newest

    def attach(self, anchor):
        self.attached = anchor

    async def drop(self, position):
        await asyncio.sleep(0)
        if self.fails:
            raise StorageError("the log is full")
        self.positions.append(position)
        chain = chain_on(position.chain, digest=position.digest, generation=position.generation)
        self.newest = Anchored(generation=position.generation, leaf=len(self.positions), chain=chain)
        return self.newest


@pytest.fixture
def anchor():
    return KeptAnchor()


@pytest.fixture
def open_database(tmp_path, anchor):
    opened = []

    def opening(content=CONTENT, schema=SCHEMA):
        opened.append(AnchoredDatabase.open(tmp_path / "thing.db", KEY, schema, content=content, anchor=anchor))
        return opened[-1]

    yield opening
    for database in opened:
        database.close()


def insert(name, table="thing"):
    return lambda connection: connection.execute(f"INSERT INTO {table} VALUES (?)", (name,))  # noqa: S608 - our own table


def names(connection):
    return [name for (name,) in connection.execute("SELECT name FROM thing ORDER BY name")]


async def test_a_change_is_anchored_before_its_write_returns(open_database, anchor):
    database = open_database()
    await database.write(insert("a"))
    assert anchor.positions[-1].generation == database.position.generation
    assert (anchor.positions[-1].figures, anchor.positions[-1].schema) == ({"things": 1}, 1)
    await database.write(insert("b"))
    assert [position.generation for position in anchor.positions] == [2, 3]  # 1: the empty content


async def test_what_leaves_the_content_as_it_is_is_not_anchored(open_database, anchor):
    database = open_database()
    await database.write(insert("a"))
    await database.write(lambda connection: connection.execute("UPDATE thing SET name = 'a'"))
    await database.write_aside(insert("x", "aside"))
    database.begin_write(insert("y", "aside")).result()
    assert len(anchor.positions) == 1


async def test_a_write_that_raises_counts_nothing(open_database, anchor):
    database = open_database()

    def half(connection):
        insert("a")(connection)
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        await database.write(half)
    before = database.position
    await database.write(insert("b"))
    assert database.position.generation == before.generation + 1
    assert await database.read(names) == ["b"]


async def test_writes_that_come_together_are_all_in_the_newest_anchor_when_they_return(open_database, anchor):
    database = open_database()

    async def one(n):
        await database.write(insert(f"{n:02}"))
        assert any(f"{n:02}" <= "99" and position.figures["things"] > n for position in anchor.positions)

    await asyncio.gather(*(one(n) for n in range(20)))
    assert anchor.positions[-1].generation == database.position.generation
    assert len(anchor.positions) <= 20


async def test_a_log_that_fails_fails_the_write_and_the_next_one_anchors_both(open_database, anchor):
    database = open_database()
    anchor.fails = True
    with pytest.raises(StorageError):
        await database.write(insert("a"))
    anchor.fails = False
    await database.write(insert("b"))
    assert anchor.positions[-1].figures == {"things": 2}


async def test_a_caller_that_goes_away_leaves_a_change_that_is_anchored_later(open_database, anchor):
    database = open_database()
    begun, go_on = threading.Event(), threading.Event()

    def insert_slowly(connection):
        begun.set()
        assert go_on.wait(timeout=10)
        insert("a")(connection)

    writing = asyncio.ensure_future(database.write(insert_slowly))
    assert await asyncio.to_thread(begun.wait, 10)
    writing.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await database.anchor()
    assert anchor.positions[-1].figures == {"things": 1}


async def test_it_opens_where_it_was_and_says_nothing_twice(open_database, anchor):
    database = open_database()
    await database.write(insert("a"))
    left = database.position
    database.close()
    again = open_database()
    assert (again.position.generation, again.position.digest) == (left.generation, left.digest)
    await anchor.attached()
    assert len(anchor.positions) == 1


async def test_a_crash_between_the_commit_and_the_anchor_is_made_good_when_it_is_opened(open_database, anchor):
    database = open_database()
    anchor.fails = True
    with pytest.raises(StorageError):
        await database.write(insert("a"))
    database.close()
    anchor.fails = False
    open_database()
    await anchor.attached()
    assert anchor.positions[-1].figures == {"things": 1}


async def test_a_crash_between_the_anchor_and_the_note_of_it_is_made_good_by_what_the_log_says(open_database, anchor):
    database = open_database()
    await database.write(insert("a"))
    database.close()
    again = open_database()
    assert again.position.leaf in {-1, 1}
    await again.write(insert("b"))
    assert anchor.positions[-1].leaf == 1
    assert anchor.positions[-1].chain != ""


async def test_a_row_that_was_exchanged_stops_the_opening(open_database, tmp_path):
    database = open_database()
    await database.write(insert("a"))
    database.close()
    past = Database.open(tmp_path / "thing.db", KEY, SCHEMA)
    await past.write(lambda connection: connection.execute("UPDATE thing SET name = 'b'"))
    past.close()
    with pytest.raises(IntegrityError) as caught:
        open_database()
    assert caught.value.reason == "CONTENT_CHANGED"
    assert "thing.db" in str(caught.value)


async def test_what_something_else_wrote_is_found_by_the_next_write(open_database, tmp_path):
    database = open_database()
    other = AnchoredDatabase.open(tmp_path / "thing.db", KEY, SCHEMA, content=CONTENT, anchor=None)
    await other.write(insert("a"))
    other.close()
    with pytest.raises(IntegrityError) as caught:
        await database.write(insert("b"))
    assert caught.value.reason == "POSITION_CHANGED"
    assert await database.read(names) == ["a"]


async def test_another_version_checks_by_the_words_of_the_one_before_and_then_by_its_own(open_database, anchor):
    database = open_database()
    await database.write(insert("a"))
    left = database.position
    database.close()
    wider = Content(rows={**CONTENT.rows, "aside": "SELECT name, number FROM aside"})
    schema = (*SCHEMA, "ALTER TABLE aside ADD COLUMN number INTEGER;")
    again = open_database(wider, schema)
    assert anchor.opened_at.digest == left.digest
    assert again.position.generation == left.generation + 1
    await anchor.attached()
    assert anchor.positions[-1].schema == 2


async def test_equal_contents_have_digests_that_nobody_can_compare(tmp_path):
    digests = set()
    for name in ("one.db", "other.db"):
        database = AnchoredDatabase.open(tmp_path / name, KEY, SCHEMA, content=CONTENT, anchor=None)
        await database.write(insert("a"))
        digests.add(database.position.digest)
        database.close()
    assert len(digests) == 2


async def test_a_log_that_does_not_agree_stops_the_opening_and_leaves_the_file_closed(open_database, anchor):
    open_database().close()

    def disagree(_position):
        raise IntegrityError("thing.db is an old copy")

    anchor.verify = disagree
    with pytest.raises(IntegrityError, match="old copy"):
        open_database()
