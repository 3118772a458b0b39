"""What comes of old files, old pages and old logs: nothing starts, one line says what was put back, and an accepted
restore refunds nothing."""

import asyncio
import json
import shutil
from collections import Counter

import pytest

from heldout.errors import BudgetExhausted
from heldout.services.findings import ScoreKind
from heldout_server.anchored_database import AnchoredDatabase
from heldout_server.app import restoring
from heldout_server.app.logs import DATABASES
from heldout_server.app.policies import load_policies
from heldout_server.bank import SqlBank
from heldout_server.checkpoints import SqlCheckpoints, open_source
from heldout_server.config import load_config
from heldout_server.database import Database
from heldout_server.environment import RandomIds, SystemClock
from heldout_server.errors import HeldoutError
from heldout_server.keys import FileKeyRing
from heldout_server.outcomes import SqlOutcomes, schema
from heldout_server.release import ledger
from heldout_server.window import SqlPublications
from lab_texts import POLICY, prompt_rows, write_checkpoint
from served_appliance import BIN, ServedAppliance
from served_appliance import prompt_rows as numbered

PAGE = 4096
HELD = [(half, name) for half, name in DATABASES if name != "audit.db"]
LOGS = [(half, name) for half, name in DATABASES if name == "audit.db"]


async def live(served, rows, checkpoint):
    """Let an appliance go through everything that its databases keep."""
    await served.start()
    tester, trainer = await served.client("bank_tester"), await served.client("trainer")
    await tester.bank.import_prompts(numbered(rows))
    await tester.bank.open_epoch()
    write_checkpoint(served.folder / "checkpoints", checkpoint)
    await served.run_of(checkpoint)
    await trainer.findings.record_score(
        checkpoint=checkpoint, kind=ScoreKind.CAPABILITY, benchmark="swe-bench", value_milli=41_500
    )
    await served.stop()


async def build(root):
    served = ServedAppliance.install(root, policy=POLICY.replace("releases_per_epoch = 3", "releases_per_epoch = 8"))
    await live(served, prompt_rows(), "nova-v1")
    shutil.copytree(served.folder, root / "old")
    await live(served, prompt_rows(harmful=18, benign=12), "nova-v2")
    shutil.copytree(served.folder, root / "new")
    return served


@pytest.fixture(scope="module")
def states(tmp_path_factory):
    """Return an appliance, with a copy of an older and of the newest state beside it."""
    root = tmp_path_factory.mktemp("r")
    return asyncio.run(build(root))


@pytest.fixture
async def newest(states, tmp_path, monkeypatch):
    """Put the newest state back into the appliance's folder; clients remember nothing of what came after it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for half in ("vault", "window"):
        shutil.rmtree(states.folder / half)
        shutil.copytree(states.folder.with_name("new") / half, states.folder / half)
    yield states
    await states.close()


def put_back(served, half, name):
    shutil.copyfile(served.folder.with_name("old") / half / name, served.folder / half / name)


def survey(served):
    return asyncio.run(restoring.survey(load_config(served.folder / "config.toml")))


def accept(served, reason="disk-lost"):
    return asyncio.run(restoring.accept(load_config(served.folder / "config.toml"), reason=reason))


async def refused(served):
    """Start the appliance, which must end by itself with one line, and return that."""
    served.spawn()
    assert await served.ended() == 2, served.said_last()
    (line,) = [line for line in served.said_last() if line.startswith("heldout-server: ")]
    return line


def test_a_stopped_appliance_is_what_its_logs_say(newest):
    found = survey(newest)
    assert (found.restored, found.damaged) == ((), ())
    assert accept(newest).restored == ()


@pytest.mark.parametrize(("half", "name"), HELD)
async def test_an_old_database_stops_the_start_with_one_line(newest, half, name):
    put_back(newest, half, name)
    line = await refused(newest)
    assert f"{name} is an old copy: it has seen" in line
    assert "heldout-server restore" in line


@pytest.mark.parametrize(("half", "name"), LOGS)
async def test_an_old_log_stops_the_start_with_one_line(newest, half, name):
    put_back(newest, half, name)
    assert f"audit-{half}.db is an old copy" in await refused(newest)


async def nothing():
    """Be an import without a row: it looks at what is there, and leaves it."""
    for row in ():
        yield row


async def use(served):
    """Use everything that a look at the start does not read, and return what came of it."""
    config = load_config(served.folder / "config.toml")
    ring = FileKeyRing.open(config.keys.root, config.keys.ring)
    bank = SqlBank.open(config.data.vault / "bank.db", keys=ring, ids=RandomIds())
    outcomes = SqlOutcomes.open(config.data.vault / "outcomes.db", keys=ring, ids=RandomIds(), clock=SystemClock())
    checkpoints = SqlCheckpoints.open(
        config.data.vault / "checkpoints.db",
        keys=ring,
        clock=SystemClock(),
        source=open_source(config.watch.source),
        staging=config.data.staging,
    )
    publications = SqlPublications.open(config.data.window / "published.db", keys=ring)
    try:
        seen = [await bank.stats(), await bank.near_duplicates()]
        seen += [(await bank.get(handle)).draft.text.reveal() for handle in await bank.handles(after="", limit=100)]
        for epoch in await bank.epochs():
            seen += [await bank.members(epoch.epoch_id)]
            seen += [text.reveal() for text in await bank.texts(epoch.epoch_id, start=0, stop=epoch.prompts)]
        for run in await outcomes.list(after="", limit=9):
            seen += [run, tuple(await outcomes.counts(run.run_id))]
            seen += [(await outcomes.response(run.run_id, n)).reveal() for n in range(run.planned_trials)]
            seen += [await outcomes.aside(run.run_id, n) for n in range(run.planned_trials)]
        seen += [await checkpoints.list(after=0, limit=9), await checkpoints.pending()]
        seen += [await publications.releases(after=0, limit=9)]
        seen += [await bank.import_prompts(nothing(), skip_bad=False)]
    finally:
        for room in (bank, outcomes, checkpoints, publications):
            room.close()
    return seen


def differing_pages(served, half, name):
    """Put every page of the old file that differs into the newest in turn, and yield its number."""
    old = (served.folder.with_name("old") / half / name).read_bytes()
    new = (served.folder.with_name("new") / half / name).read_bytes()
    for start in range(0, min(len(old), len(new)), PAGE):
        page = old[start : start + PAGE]
        if page != new[start : start + PAGE]:
            for rest in ("-wal", "-shm"):
                (served.folder / half / f"{name}{rest}").unlink(missing_ok=True)
            (served.folder / half / name).write_bytes(new[:start] + page + new[start + PAGE :])
            yield start // PAGE


def judge_page(served, answers):
    """Say what comes of the page that was put back: found at the start, found at use, or nothing."""
    try:
        found = survey(served)
    except HeldoutError:
        return "start"
    if found.damaged or found.restored:
        return "start"
    try:
        return "harmless" if asyncio.run(use(served)) == answers else "wrong answer"
    except HeldoutError:
        return "use"


def page_table(served, half, name, answers):
    return Counter(judge_page(served, answers) for _ in differing_pages(served, half, name))


@pytest.mark.parametrize(("half", "name"), DATABASES)
def test_every_old_page_is_found_or_changes_no_answer(newest, half, name):
    answers = asyncio.run(use(newest))
    table = page_table(newest, half, name, answers)
    assert table["start"] > 0
    assert table["wrong answer"] == 0, table


async def test_an_accepted_old_ledger_refunds_nothing(newest):
    before = max((await ledger_of(newest)).values())
    put_back(newest, "vault", "releases.db")
    assert max((await ledger_of(newest)).values()) < before
    (found,) = (await asyncio.to_thread(accept, newest)).restored
    assert (found.database, found.cause.value) == ("releases", "old_copy")

    spent = await ledger_of(newest)

    assert set(spent.values()) == {before}  # every unit that the bank ever had
    assert len(spent) == 30
    await newest.start()
    tester, auditor = await newest.client("bank_tester"), await newest.client("auditor")
    assert (await (await newest.client("trainer")).findings.budget()).releases_used == 8
    run = await tester.runs.propose("nova-v2")
    with pytest.raises(BudgetExhausted):
        await tester.runs.start(run.run_id)
    told = [one for one in await events(auditor, "vault") if one["name"] == "restore"]
    assert [(one["details"]["database"], one["details"]["reason"]) for one in told] == [("releases", "disk-lost")]
    assert len([one for one in await events(auditor, "window") if one["name"] == "restore"]) == 1
    await newest.stop()


async def test_an_old_ledger_that_fits_its_old_log_refunds_nothing_either(newest):
    """The vault's folder as a whole is old: nothing in it says so, but the window's log has seen a longer one."""
    for half, name in DATABASES:
        if half == "vault":
            put_back(newest, half, name)
    outcomes = outcomes_of(newest)
    await outcomes.write(lambda connection: connection.execute("UPDATE run SET state = 'running'"))
    outcomes.close()
    found = (await asyncio.to_thread(accept, newest)).restored
    assert "releases" not in {one.database for one in found}
    outcomes = outcomes_of(newest)
    assert await outcomes.read(lambda connection: connection.execute("SELECT cancelled FROM run").fetchall()) == [(1,)]
    outcomes.close()
    budget = load_policies(load_config(newest.folder / "config.toml")).release.budget_nano_rho
    assert set((await ledger_of(newest)).values()) == {budget}


@pytest.mark.parametrize(("half", "name"), [*HELD, *LOGS])
async def test_what_was_accepted_starts_again(newest, half, name):
    put_back(newest, half, name)
    await asyncio.to_thread(accept, newest)
    found = await asyncio.to_thread(survey, newest)
    assert (found.restored, found.damaged) == ((), ())
    await newest.start()
    trainer = await newest.client("trainer")
    assert len(await trainer.findings.releases()) == 2  # what the window had lost is published again
    await newest.stop()
    assert (await asyncio.to_thread(survey, newest)).restored == ()


async def test_a_page_that_was_put_back_is_never_accepted(newest):
    next(page for page in differing_pages(newest, "vault", "releases.db") if page > 0)
    with pytest.raises(HeldoutError, match="nothing was accepted"):
        await asyncio.to_thread(accept, newest)


async def test_a_restore_beside_a_running_appliance_is_refused(newest):
    await newest.start()
    with pytest.raises(HeldoutError):
        await asyncio.to_thread(survey, newest)
    await newest.stop()


async def test_the_command_says_what_it_found_and_accepts_it(newest):
    put_back(newest, "vault", "checkpoints.db")
    code, out, _ = await command(newest, "restore")
    assert code == 1
    assert out.splitlines()[0].split()[:2] == ["checkpoints", "old_copy"]
    assert "--accept" in out
    assert (await command(newest, "restore", "--accept", "two words"))[0] == 2
    assert (await command(newest, "restore", "--accept", "disk-lost"))[0] == 0
    code, out, _ = await command(newest, "restore")
    assert (code, out.strip()) == (0, "every database and log is the newest that the logs know")


async def command(served, *words):
    process = await asyncio.create_subprocess_exec(
        BIN / "heldout-server",
        *words,
        "--config",
        str(served.folder / "config.toml"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def events(auditor, half):
    head = (await auditor.audit.head(half)).head
    return [
        json.loads(entry)
        async for page in auditor.audit.entries(half, start=0, stop=head.size)
        for entry in page.entries
    ]


def outcomes_of(served):
    config = load_config(served.folder / "config.toml")
    key = FileKeyRing.open(config.keys.root, config.keys.ring).database_key("outcomes")
    path = config.data.vault / "outcomes.db"
    return AnchoredDatabase.open(path, key, schema.MIGRATIONS, content=schema.CONTENT, anchor=None)


async def ledger_of(served):
    """Return what every unit has spent."""
    config = load_config(served.folder / "config.toml")
    ring = FileKeyRing.open(config.keys.root, config.keys.ring)
    database = Database.open(config.data.vault / "releases.db", ring.database_key("releases"), ledger.MIGRATIONS)
    try:
        return await database.read(ledger.spent_by_unit)
    finally:
        database.close()
