"""What is published comes back byte for byte; the window can read it and cannot change it."""

from __future__ import annotations

from pathlib import Path

import pytest

from heldout_server.database import Database
from heldout_server.errors import IntegrityError, NotFound, StorageError, WrongKey
from heldout_server.ports.window import Published, Score
from heldout_server.window import SqlPublications, SqlPublisher, SqlScores
from heldout_server.window.publisher import MIGRATIONS


class OneKey:
    """Give every database a key of its own name, under one root."""

    def __init__(self, root: bytes = b"k") -> None:
        self._root = root

    def database_key(self, name: str) -> bytes:
        return name.encode().ljust(32, self._root)


class SetClock:
    """Tell the time that a test sets."""

    now = 1_700_000_059.5

    def now_s(self) -> float:
        return self.now


@pytest.fixture
def publisher(tmp_path: Path):
    opened = SqlPublisher.open(tmp_path / "published.db", keys=OneKey(), clock=SetClock())
    yield opened
    opened.close()


@pytest.fixture
def publications(tmp_path: Path, publisher: SqlPublisher):
    opened = SqlPublications.open(tmp_path / "published.db", keys=OneKey())
    yield opened
    opened.close()


@pytest.fixture
def scores(tmp_path: Path):
    opened = SqlScores.open(tmp_path / "window.db", keys=OneKey())
    yield opened
    opened.close()


def score(checkpoint: str = "step-1", *, kind: str = "capability", value_milli: int = 41_250, at: int = 60) -> Score:
    return Score(
        checkpoint=checkpoint,
        kind=kind,
        benchmark="swe-bench",
        value_milli=value_milli,
        recorded_by="spiffe://heldout.example/trainer",
        recorded_s=at,
    )


async def test_a_release_comes_back_byte_for_byte(publisher, publications):
    await publisher.insert("release-1", b"\x00document", b"receipt\xff")

    assert await publications.release("release-1") == Published(
        sequence=1, release_id="release-1", document=b"\x00document", receipt=b"receipt\xff"
    )


async def test_releases_are_paged_in_the_order_of_publication(publisher, publications):
    for name in ("c", "a", "b"):
        await publisher.insert(f"release-{name}", name.encode(), b"")

    first = await publications.releases(after=0, limit=2)
    rest = await publications.releases(after=first[-1].sequence, limit=2)
    assert [release.release_id for release in (*first, *rest)] == ["release-c", "release-a", "release-b"]
    assert await publications.releases(after=rest[-1].sequence, limit=2) == ()


async def test_inserting_again_changes_nothing(publisher, publications):
    await publisher.insert("release-1", b"document", b"first")
    await publisher.insert("release-1", b"document", b"second")

    assert [release.receipt for release in await publications.releases(after=0, limit=9)] == [b"first"]


async def test_another_document_under_the_same_id_is_refused(publisher, publications):
    await publisher.insert("release-1", b"document", b"")

    with pytest.raises(IntegrityError) as caught:
        await publisher.insert("release-1", b"another", b"")
    assert caught.value.reason == "PUBLISHED_DIFFERENTLY"
    assert (await publications.release("release-1")).document == b"document"


async def test_what_is_not_published_is_not_found(publications):
    with pytest.raises(NotFound):
        await publications.release("release-1")


async def test_a_standing_document_is_the_last_one_put(publisher, publications):
    assert await publications.state("budget") is None

    await publisher.put_state("budget", b"one")
    await publisher.put_state("cards", b"other")
    await publisher.put_state("budget", b"two")

    assert (await publications.state("budget"), await publications.state("cards")) == (b"two", b"other")


async def test_the_stores_keep_whole_minutes(publisher, publications):
    await publisher.insert("release-1", b"document", b"")
    await publisher.put_state("budget", b"document")
    times = await publications._database.read(
        lambda connection: connection.execute(
            "SELECT inserted_s FROM releases UNION ALL SELECT updated_s FROM states"
        ).fetchall()
    )

    assert times == [(1_700_000_040,), (1_700_000_040,)]


async def test_the_window_cannot_write_what_is_published(publisher, publications):
    await publisher.insert("release-1", b"document", b"")

    for statement in ("DELETE FROM releases", "UPDATE releases SET document = x'00'", "DROP TABLE states"):
        with pytest.raises(StorageError):
            await publications._database.write(lambda connection, run=statement: connection.execute(run))
        with pytest.raises(StorageError):
            await publications._database.read(lambda connection, run=statement: connection.execute(run))
    assert (await publications.release("release-1")).document == b"document"


async def test_the_window_still_reads_after_the_vault_has_gone(publisher, publications):
    await publisher.insert("release-1", b"document", b"")
    publisher.close()

    assert (await publications.release("release-1")).document == b"document"


async def test_the_window_opens_what_a_vault_wrote_before_it(tmp_path: Path, publisher):
    """Without the writer there is no -shm file: reading must not depend on it."""
    await publisher.insert("release-1", b"document", b"")
    publisher.close()
    opened = SqlPublications.open(tmp_path / "published.db", keys=OneKey())

    assert (await opened.release("release-1")).document == b"document"
    opened.close()


def test_the_window_creates_no_file(tmp_path: Path):
    with pytest.raises(StorageError):
        SqlPublications.open(tmp_path / "published.db", keys=OneKey())
    assert list(tmp_path.iterdir()) == []


def test_the_window_waits_for_the_schema(tmp_path: Path):
    (tmp_path / "published.db").touch()

    with pytest.raises(StorageError) as caught:
        SqlPublications.open(tmp_path / "published.db", keys=OneKey())
    assert caught.value.reason == "NOT_READY"


def test_another_key_opens_nothing(tmp_path: Path, publisher):
    with pytest.raises(WrongKey):
        SqlPublications.open(tmp_path / "published.db", keys=OneKey(b"x"))


async def test_releases_survive_a_restart(tmp_path: Path, publisher):
    await publisher.insert("release-1", b"document", b"")
    publisher.close()
    again = SqlPublisher.open(tmp_path / "published.db", keys=OneKey(), clock=SetClock())
    with pytest.raises(IntegrityError):
        await again.insert("release-1", b"another", b"")
    again.close()


async def test_scores_are_listed_in_the_order_they_were_first_recorded(scores):
    for name in ("step-2", "step-1", "step-3"):
        await scores.record(score(name))

    first = await scores.list(after=0, limit=2)
    rest = await scores.list(after=first[-1][0], limit=2)
    assert [entry.checkpoint for _, entry in (*first, *rest)] == ["step-2", "step-1", "step-3"]
    assert first[0][1] == score("step-2")


async def test_a_later_score_takes_the_place_of_an_earlier_one(scores):
    await scores.record(score())
    await scores.record(score(kind="internal_safety", value_milli=1))
    await scores.record(score(value_milli=43_000, at=120))

    assert [(entry.kind, entry.value_milli, entry.recorded_s) for _, entry in await scores.list(after=0, limit=9)] == [
        ("capability", 43_000, 120),
        ("internal_safety", 1, 60),
    ]


async def test_a_score_that_was_taken_back_is_gone_after_a_restart_and_the_others_stay(tmp_path: Path, scores):
    await scores.record(score())
    await scores.record(score(kind="internal_safety", value_milli=1))
    for _ in range(2):  # the second time there is none
        await scores.remove(checkpoint=score().checkpoint, kind=score().kind, benchmark=score().benchmark)
    scores.close()
    again = SqlScores.open(tmp_path / "window.db", keys=OneKey())
    assert [entry.kind for _, entry in await again.list(after=0, limit=9)] == ["internal_safety"]
    again.close()


async def test_scores_survive_a_restart(tmp_path: Path, scores):
    await scores.record(score())
    scores.close()
    again = SqlScores.open(tmp_path / "window.db", keys=OneKey())

    assert [entry for _, entry in await again.list(after=0, limit=9)] == [score()]
    again.close()


async def test_what_the_vault_did_not_say_is_not_answered(tmp_path, publisher, publications):
    await publisher.insert("rel-1", b"document", b"receipt")
    assert len(await publications.releases(after=0, limit=9)) == 1
    other = Database.open(tmp_path / "published.db", OneKey().database_key("published"), MIGRATIONS)
    await other.write(lambda connection: connection.execute("UPDATE releases SET document = ?", (b"another",)))
    other.close()
    for ask in (publications.releases(after=0, limit=9), publications.release("rel-1"), publications.position()):
        with pytest.raises(IntegrityError, match="not what was stored"):
            await ask


async def test_what_is_published_is_there_at_once_for_a_reader_that_looked_before(publisher, publications):
    before = await publications.position()
    await publisher.insert("rel-1", b"document", b"receipt")
    assert [one.release_id for one in await publications.releases(after=0, limit=9)] == ["rel-1"]
    assert (await publications.position()).generation == before.generation + 1
