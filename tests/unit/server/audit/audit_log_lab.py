"""What tests of the log are made of: records, a log that is opened, and ways to look into it."""

import asyncio
import contextlib
import threading
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from heldout_server.audit import SqlAuditLog, store
from heldout_server.database import Database
from heldout_server.ports.audit import Record

KEY = bytes(range(32))
TESTER = "spiffe://heldout.example/bank-tester"
TRAINER = "spiffe://heldout.example/trainer"
METHOD = "/heldout.v1.BankService/GetStats"


@dataclass
class FixedClock:
    seconds: float = 90.0

    def now_s(self):
        return self.seconds

    def monotonic_s(self):
        return self.seconds


def intent(identity=TESTER):
    return Record(kind="intent", name=METHOD, identity=identity, role="bank_tester", details={"decision": "allow"})


def outcome(index):
    return Record(
        kind="outcome", name=METHOD, identity=TESTER, role="bank_tester", details={"intent": index, "status": "OK"}
    )


def event(name="start"):
    return Record(kind="event", name=name)


async def open_log(folder, **changes):
    settings = {
        "key": KEY,
        "origin": "lab/vault",
        "signing_key": Ed25519PrivateKey.from_private_bytes(KEY),
        "mac_key": b"m" * 32,
        "clock": FixedClock(),
    }
    return await SqlAuditLog.open(folder / "audit.db", **(settings | changes))


@contextlib.asynccontextmanager
async def opened(folder, **changes):
    log = await open_log(folder, **changes)
    try:
        yield log
    finally:
        await log.close()


@contextlib.contextmanager
def counted_commits(log):
    """Count the transactions of a log."""
    commits = []
    write = log._devices.write

    async def counting(work):
        commits.append(work)
        return await write(work)

    log._devices.write = counting
    yield commits
    log._devices.write = write


@contextlib.asynccontextmanager
async def held_up(log):
    """Hold the database's thread, so that commits stay on their way."""
    release, begun = threading.Event(), threading.Event()

    def hold(_connection):
        begun.set()
        release.wait(10)

    held = asyncio.ensure_future(log._devices.read(hold))
    await asyncio.to_thread(begun.wait, 10)
    try:
        yield
    finally:
        release.set()
        await held


async def let_others_run():
    for _ in range(4):  # the appends, then the task that commits
        await asyncio.sleep(0)


async def write_and_tamper(folder, *statements):
    """Write five leaves, close the log, and change it with its own database key."""
    async with opened(folder) as log:
        for _ in range(5):
            await log.append(event())
    database = Database.open(folder / "audit.db", KEY, store.MIGRATIONS)
    for statement in statements:
        await database.write(lambda connection, sql=statement: connection.execute(sql))
    database.close()


TRIGGER = "CREATE TRIGGER broken BEFORE INSERT ON leaves BEGIN SELECT RAISE(ABORT, 'x'); END"


def store_database(path, key=bytes(range(32))):
    return Database.open(path, key, store.MIGRATIONS)


async def break_device(log, name):
    (found,) = [one for one in log._devices._whole if one.name == name]
    await found.write(lambda connection: connection.execute(TRIGGER))


async def mend(path, key=bytes(range(32))):
    database = store_database(path, key)
    await database.write(lambda connection: connection.execute("DROP TRIGGER IF EXISTS broken"))
    database.close()


async def damage(path, leaf):
    database = store_database(path)
    await database.write(lambda connection: connection.execute("DELETE FROM leaves WHERE leaf = ?", (leaf,)))
    database.close()
