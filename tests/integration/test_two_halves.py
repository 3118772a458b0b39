"""The vault and the window as two processes that share nothing but the window's folder."""

import dataclasses
import re
import shutil
from pathlib import Path

import pytest

from heldout import AsyncClient
from heldout.errors import CallError, Refused
from heldout.services.findings import ScoreKind
from heldout_server.app import restoring
from heldout_server.config import load_config
from kill_checks import Seen, check
from lab_texts import POLICY, prompt_rows, write_checkpoint
from served_appliance import prompt_rows as numbered
from served_appliance import until
from split_appliance import SplitAppliance

VAULT_ROOMS = {"bank", "checkpoints", "evaluation", "judges", "outcomes", "release", "runtimes", "techniques", "watch"}
IMPORTED = re.compile(r"^import time:.*\| +heldout_server\.(\w+)", re.MULTILINE)


@pytest.fixture
async def split(tmp_path, monkeypatch):
    """Install an appliance whose halves a test starts as two processes."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    split = SplitAppliance.install(tmp_path, policy=POLICY)
    yield split
    await split.close()


async def fill(split):
    tester = await split.client("bank_tester")
    await tester.bank.import_prompts(numbered(prompt_rows()))
    await tester.bank.open_epoch()


async def publish(split, name):
    """Let a checkpoint appear, and wait until its run is published."""
    write_checkpoint(split.folder / "checkpoints", name)
    return await split.run_of(name)


async def record_score(client):
    await client.findings.record_score(
        checkpoint="nova-v1", kind=ScoreKind.CAPABILITY, benchmark="swe-bench", value_milli=41_500
    )


def open_files(pid):
    return {str(one.readlink()) for one in (Path("/proc") / str(pid) / "fd").iterdir() if one.is_symlink()}


async def test_a_run_is_published_by_one_process_and_read_from_the_other(split, tmp_path):
    for process in (split, split.window):
        process.environment["PYTHONPROFILEIMPORTTIME"] = "1"
    await split.start()
    await fill(split)
    run = await publish(split, "nova-v1")
    await check(split, Seen(), run, None, tmp_path / "export")
    trainer = await split.client("trainer")
    assert len(await trainer.findings.cards()) > 0
    await record_score(trainer)
    assert [score.value_milli for score in await trainer.findings.scores()] == [41_500]

    # What the window has open, and the code that it holds after all this.
    for kept in (split.folder / "vault", split.folder / "keys", split.folder / "staging"):
        assert not [one for one in open_files(split.window.process.pid) if one.startswith(str(kept))]
    assert [one for one in open_files(split.process.pid) if one.startswith(str(split.folder / "vault"))]
    await split.stop()
    assert not VAULT_ROOMS & set(IMPORTED.findall(split.window.said()))
    assert set(IMPORTED.findall(split.said())) >= VAULT_ROOMS
    assert "window" in IMPORTED.findall(split.window.said())


async def test_the_window_answers_where_nothing_of_the_vault_can_be_reached(split):
    await split.start()
    await fill(split)
    await publish(split, "nova-v1")
    await split.stop()
    away = split.folder.with_name("away")
    away.mkdir()
    for name in ("vault", "staging", "config.toml", "keys/root.key", "keys/ring.json"):
        shutil.move(split.folder / name, away / Path(name).name)
    await split.window.start()
    trainer = await split.client("trainer")
    assert len(await trainer.findings.releases()) == 1
    await record_score(trainer)
    await split.forget_clients()
    await split.window.stop()


async def test_each_half_answers_what_is_its_own(split):
    await split.start()
    turned = {"address": f"127.0.0.1:{split.window.port}", "window_address": f"127.0.0.1:{split.port}"}
    for role, ask in (
        ("bank_tester", lambda client: client.bank.stats()),
        ("trainer", lambda client: client.findings.releases()),
        ("auditor", lambda client: client.audit.head("vault")),
    ):
        await ask(await split.client(role))
        async with AsyncClient.from_profile(dataclasses.replace(split.profile(role), **turned)) as client:
            with pytest.raises(CallError):
                await ask(client)
    await split.stop()


async def test_an_auditor_reads_both_logs_with_one_profile(split, tmp_path):
    await split.start()
    await record_score(await split.client("trainer"))
    for words in (("verify",), ("replay",), ("export", tmp_path / "export"), ("tail", "--log", "vault")):
        code, out, err = await split.ask("auditor", "audit", *words)
        assert code == 0, out + err
    await split.stop()


async def test_a_revoked_identity_is_refused_by_both(split):
    await split.start()
    clients = {
        "auditor": lambda client: client.audit.policy(),
        "run_tester": lambda client: client.runs.list(),
    }
    asked = {role: await split.client(role) for role in clients}
    for role, ask in clients.items():
        await ask(asked[role])
    document = split.folder / "policy" / "principals.toml"
    for role in clients:
        entries = document.read_text().split("[[principal]]")
        document.write_text("[[principal]]".join(one for one in entries if f'role = "{role}"' not in one))

    async def refused(role):
        try:
            await clients[role](asked[role])
        except Refused:
            return True
        return False

    for role in clients:
        await until(lambda role=role: refused(role))
    await split.stop()


async def test_a_window_before_any_vault_says_what_to_start_first(split):
    split.window.spawn()
    assert await split.window.ended() == 2
    (line,) = [line for line in split.window.said_last() if line.startswith("heldout-server: ")]
    assert "Start that first" in line


async def ends_with_a_line(process):
    process.spawn()
    assert await process.ended() == 2, process.said_last()
    (line,) = [line for line in process.said_last() if line.startswith("heldout-server: ")]
    return line


async def test_old_files_are_found_by_the_half_that_knows_better(split):
    await split.start()
    await fill(split)
    await publish(split, "nova-v1")
    await split.stop()
    old = split.folder.with_name("old")
    for half in ("vault", "window"):
        shutil.copytree(split.folder / half, old / half)
    await split.start()
    await record_score(await split.client("trainer"))
    await publish(split, "nova-v2")
    await split.window.stop()
    await split.window.start()  # which looks at what is published since
    await split.stop()
    new = split.folder.with_name("new")
    for half in ("vault", "window"):
        shutil.copytree(split.folder / half, new / half)

    def put_back(*names):
        for half in ("vault", "window"):
            shutil.rmtree(split.folder / half)
            shutil.copytree(new / half, split.folder / half)
        for name in names:
            shutil.copyfile(old / name, split.folder / name)

    # What the vault wrote is old: the window knows without the vault, and the vault by its log.
    put_back("window/published.db")
    assert "is an old copy" in await ends_with_a_line(split.window)
    assert "published.db is an old copy" in await ends_with_a_line(split)
    await restoring.accept(load_config(split.folder / "config.toml"), reason="disk-lost")
    shutil.rmtree(split.folder.with_name("state"))  # what clients remember of before
    await split.start()
    assert len(await (await split.client("trainer")).findings.releases()) == 2  # what was lost is published again
    await split.stop()
    # The window's whole folder is old: its own databases agree, and the vault has seen its log stand further on.
    put_back(*(f"window/{name}" for name in ("audit.db", "window.db")))
    assert "audit-window.db is an old copy" in await ends_with_a_line(split)
    # The vault's log is old, and the window left word of how far it was.
    put_back("vault/audit.db")
    assert "old copy" in await ends_with_a_line(split)
    # What the window left is gone.
    put_back()
    for rest in ("", "-wal", "-shm"):
        (split.folder / "window" / f"window.db{rest}").unlink(missing_ok=True)
    assert "is gone" in await ends_with_a_line(split)
    put_back()
    await split.start()
    await split.stop()
