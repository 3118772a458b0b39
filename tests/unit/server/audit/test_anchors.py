"""Anchors in a log: who is the old one, and that the newest of each database is found again."""

import dataclasses
import json

import pytest

from heldout_server.anchoring import NO_LEAF, Anchored, Position, chain_on
from heldout_server.audit.anchors import AnchorBook, Kept, decide_discrepancy, decide_log_discrepancy
from heldout_server.errors import IntegrityError
from heldout_server.ports.audit import Logged, Record
from heldout_server.ports.discrepancies import Cause

DIGEST, OTHER = "a" * 64, "b" * 64


class MemoryLog:
    """Keep records as a log would."""

    origin = "lab/vault"

    def __init__(self):
        self.leaves = []

    async def append(self, record):
        fields = {"kind": record.kind, "name": record.name, "details": dict(record.details)}
        self.leaves.append(json.dumps(fields, default=list).encode())
        index = len(self.leaves) - 1
        return Logged(index, self.leaves[index], lambda: "")

    async def entries(self, *, start, limit):
        return tuple(self.leaves[start : start + limit])

    def checkpoint(self):
        return f"{self.origin}\n{len(self.leaves)}\nroot\n"


def position(generation=5, *, digest=DIGEST, leaf=NO_LEAF, chain=""):
    return Position(generation=generation, schema=1, digest=digest, figures={"slots": 3}, leaf=leaf, chain=chain)


def kept(generation=5, *, digest=DIGEST, leaf=7, chain="c1"):
    anchored = Anchored(generation=generation, leaf=leaf, chain=chain)
    return Kept(anchored=anchored, digest=digest, figures={})


NEXT = chain_on("c0", digest=DIGEST, generation=5)

CASES = {
    "new, and no anchor yet": (position(1), None, 9, None),
    "as it was left": (position(leaf=7, chain="c1"), kept(), 9, None),
    "further on, after a crash": (position(6, digest=OTHER, leaf=7, chain="c1"), kept(), 9, None),
    "the note of the newest anchor was lost": (position(leaf=3, chain="c0"), kept(chain=NEXT), 9, None),
    "that and further on": (position(6, digest=OTHER, leaf=3, chain="c0"), kept(chain=NEXT), 9, None),
    "an old file": (position(4, leaf=3, chain="c0"), kept(), 9, Cause.OLD_COPY),
    "an old file from before any anchor": (position(1), kept(), 9, Cause.OLD_COPY),
    "as many changes, and others": (position(digest=OTHER, leaf=7, chain="c1"), kept(), 9, Cause.ANOTHER),
    "an old file that went on under another log": (position(8, leaf=7, chain="cX"), kept(), 9, Cause.ANOTHER),
    "one that skipped an anchor": (position(8, leaf=3, chain="c0"), kept(), 9, Cause.ANOTHER),
    "an old log": (position(leaf=20, chain="c9"), kept(), 9, Cause.OLD_LOG),
    "an old log without an anchor": (position(leaf=20, chain="c9"), None, 9, Cause.OLD_LOG),
    "another log": (position(leaf=3, chain="c9"), None, 9, Cause.ANOTHER),
}


@pytest.mark.parametrize("case", CASES)
def test_the_old_one_is_told_from_the_newest(case):
    stands, anchored, size, cause = CASES[case]
    found = decide_discrepancy("releases", stands, anchored, size=size)
    assert (found and found.cause) == cause


@pytest.mark.parametrize("case", [case for case, (*_, cause) in CASES.items() if cause])
def test_what_is_found_is_said_in_one_line_with_file_and_advice(case):
    stands, anchored, size, _ = CASES[case]
    line = decide_discrepancy("releases", stands, anchored, size=size).say()
    assert "\n" not in line
    assert "releases.db" in line
    assert "Nothing was started" in line
    assert "heldout-server restore" in line


@pytest.mark.parametrize(
    ("generation", "root", "cause"),
    [(9, DIGEST, None), (7, DIGEST, None), (4, "", Cause.OLD_COPY), (9, OTHER, Cause.ANOTHER)],
)
def test_a_log_is_held_to_what_the_other_has_seen(generation, root, cause):
    found = decide_log_discrepancy("audit-window", position(generation), kept(), root=root, size=30)
    assert (found and found.cause) == cause


async def test_the_newest_anchor_of_each_database_is_found_again_from_the_end():
    log = MemoryLog()
    book = await AnchorBook.open(log)
    anchored = {}
    for generation in range(1, 4):
        for name in ("bank", "releases", "outcomes"):
            if (generation, name) != (3, "bank"):
                anchored[name] = await book.drop(name, position(generation))
    for _ in range(2_100):  # more than a page of calls since
        await log.append(Record(kind="event", name="start"))

    again = await AnchorBook.open(log)

    assert {name: again.find(name).anchored for name in anchored} == anchored
    assert again.find("bank").anchored.generation == 2
    assert dict(again.find("bank").figures) == {"slots": 3}
    assert again.find("window") is None


async def test_a_database_is_held_to_the_log_from_one_opening_to_the_next():
    log = MemoryLog()
    first = (await AnchorBook.open(log)).of("bank")
    assert first.verify(position(1)) is None
    anchored = await first.drop(position(1))

    second = (await AnchorBook.open(log)).of("bank")
    assert second.verify(position(1)) == anchored  # the note of it was lost
    assert second.verify(position(1, leaf=anchored.leaf, chain=anchored.chain)) == anchored
    with pytest.raises(IntegrityError) as caught:
        second.verify(position(0))
    assert caught.value.reason == "OLD_COPY"


async def test_an_anchor_that_names_what_is_none_is_refused():
    log = MemoryLog()
    book = await AnchorBook.open(log)
    await book.drop("bank", position())
    await book.drop("releases", position())
    for entry in (json.dumps({"kind": "event", "name": "start", "details": {}}), log.leaves[1].decode()):
        log.leaves[0] = entry.encode()
        with pytest.raises(IntegrityError):
            await AnchorBook.open(log)


async def test_what_is_attached_is_settled():
    book = await AnchorBook.open(MemoryLog())
    settled = []

    async def anchor():
        settled.append("bank")

    book.of("bank").attach(anchor)
    await book.settle()
    assert settled == ["bank"]


async def test_an_anchor_that_was_damaged_and_repaired_leaves_an_older_one_that_does_not_fit():
    log = MemoryLog()
    book = await AnchorBook.open(log)
    await book.drop("bank", position(1))
    newest = await book.drop("bank", position(2))
    log.leaves[newest.leaf] = b""
    again = await AnchorBook.open(log)
    stands = dataclasses.replace(position(2), leaf=newest.leaf, chain=newest.chain)
    assert again.compare("bank", stands).cause is Cause.ANOTHER


async def test_a_database_of_another_process_is_followed_and_never_goes_back():
    log = MemoryLog()
    book = await AnchorBook.open(log)
    await book.follow("published", position(3, leaf=40, chain="of another log"))
    await book.follow("published", position(3, leaf=41, chain="of another log"))
    assert len(log.leaves) == 1  # where it stands was known
    await book.follow("published", position(5, digest=OTHER))
    again = await AnchorBook.open(log)
    assert again.find("published").anchored.generation == 5
    for back in (position(4), position(5, digest=DIGEST)):
        with pytest.raises(IntegrityError, match="published"):
            await again.follow("published", back)


async def test_an_accepted_restore_is_followed_from_where_it_stands():
    book = await AnchorBook.open(MemoryLog())
    await book.follow("published", position(5))
    await book.follow("published", position(2, digest=OTHER), anyway=True)
    await book.follow("published", position(3))
    assert book.find("published").anchored.generation == 3
