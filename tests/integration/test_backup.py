"""A backup of a running and of a stopped appliance: encrypted as it is, in both logs, and taken in by restore alone."""

import asyncio
import hashlib
import json
import re
import shutil

import pytest

from heldout.errors import BudgetExhausted, WrongState
from heldout_server.app.logs import DATABASES
from heldout_server.installation import Sharing
from kill_checks import export_of
from lab_texts import POLICY, write_checkpoint
from lab_texts import prompt_rows as prompts
from served_appliance import BIN, SEALED, ServedAppliance, prompt_rows

CANARY = "heliotrope-4417"


async def command(served, *words):
    """Run ``heldout-server`` as an operator does; return its exit code, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        BIN / "heldout-server",
        *map(str, words),
        "--config",
        served.folder / "config.toml",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def put_back(backup, folder):
    """Put the files of a backup where the appliance has its own, as an operator does whose disk is lost."""
    for half, name in DATABASES:
        for end in ("", "-wal", "-shm"):
            (folder / half / f"{name}{end}").unlink(missing_ok=True)
        shutil.copy(backup / half / name, folder / half / name)


async def backups_in(served, half, folder):
    _, _, entries = await export_of(served, half, folder, [])
    return [entry["details"] for entry in entries if entry["name"] == "backup"]


async def test_a_running_appliance_is_copied_without_a_key_or_a_prompt_and_goes_on(served, tmp_path):
    await served.start()
    tester = await served.client("bank_tester")
    await tester.bank.import_prompts(prompt_rows(prompts(canary=CANARY)))
    backup = tmp_path / "monday"
    code, out, err = await command(served, "backup", "--to", backup, "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    manifest = (backup / "backup.json").read_bytes()
    assert told["manifest_sha256"] == hashlib.sha256(manifest).hexdigest()
    for half in ("vault", "window"):
        found = await backups_in(served, half, tmp_path / half)
        assert [(one["manifest_sha256"], one["keys"]) for one in found] == [(told["manifest_sha256"], "left_out")]
    files = sorted(path.relative_to(backup).as_posix() for path in backup.rglob("*") if path.is_file())
    assert files == sorted(["backup.json", *(f"{half}/{name}" for half, name in DATABASES)])
    for name, said in json.loads(manifest)["files"].items():
        content = (backup / name).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (said["sha256"], said["size_bytes"])
        assert (backup / name).stat().st_mode & 0o077 == 0
        assert not content.startswith(b"SQLite format 3")
        assert CANARY.encode() not in content
    code, _, err = await command(served, "backup", "--to", backup)
    assert (code, "never overwritten" in err) == (2, True)
    assert (await tester.bank.stats()).live == 18


async def refused(served):
    """Start the appliance, which must end by itself with one line, and return that."""
    served.spawn()
    assert await served.ended() == 2, served.said_last()
    (line,) = [line for line in served.said_last() if line.startswith("heldout-server: ")]
    return line


async def test_a_backup_that_is_put_back_starts_only_once_it_is_accepted_and_refunds_nothing(
    served, tmp_path, monkeypatch
):
    await served.start()
    tester = await served.client("bank_tester")
    await tester.bank.import_prompts(prompt_rows(prompts()))
    await tester.bank.open_epoch()
    write_checkpoint(served.folder / "checkpoints", "nova-v1")
    await served.run_of("nova-v1")
    code, _, err = await command(served, "backup", "--to", tmp_path / "monday")
    assert code == 0, err
    # What comes after it is forgotten by all that is put back.
    write_checkpoint(served.folder / "checkpoints", "nova-v2")
    await served.run_of("nova-v2")
    await served.stop()
    put_back(tmp_path / "monday", served.folder)
    line = await refused(served)
    for half, name in DATABASES:  # nothing was begun
        assert (served.folder / half / name).read_bytes() == (tmp_path / "monday" / half / name).read_bytes()
    assert re.search(
        r"this is a backup of \d{4}-\d\d-\d\dT\d\d:\d\dZ \(all databases and logs\).*restore .*--accept", line
    ), line
    code, _, err = await command(served, "backup", "--to", tmp_path / "again")
    assert (code, "this is a backup of" in err) == (2, True)
    code, out, _ = await command(served, "restore", "--json")
    found = json.loads(out)
    assert (code, len(found["backup"]), found["accepted"]) == (1, len(DATABASES), False)
    code, out, err = await command(served, "restore", "--accept", "disk-lost")
    assert (code, "every prompt counts as spent" in out) == (0, True), err
    assert (await command(served, "restore"))[0] == 0
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "anew"))  # clients remember a log that is lost
    await served.start()
    tester, trainer = await served.client("bank_tester"), await served.client("trainer")
    budget = await trainer.findings.budget()
    assert (budget.releases_used, budget.releases_payable) == (budget.releases_total, 0)
    run = await tester.runs.propose("nova-v2")
    with pytest.raises(BudgetExhausted):
        await tester.runs.start(run.run_id)
    with pytest.raises(WrongState, match="epoch_unchanged"):
        await tester.bank.open_epoch()
    for half in ("vault", "window"):
        _, _, entries = await export_of(served, half, tmp_path / half, [])
        (told,) = [entry["details"] for entry in entries if entry["name"] == "restore"]
        assert (told["cause"], told["reason"]) == ("backup", "disk-lost")
        assert {one["made"] for one in found["backup"]} == {told["backup_time"]}
    await served.stop()
    await served.start()


async def test_a_single_file_of_a_backup_is_recorded_and_costs_nothing_where_the_log_is_the_newest(served, tmp_path):
    await served.start()
    await served.stop()
    code, _, err = await command(served, "backup", "--to", tmp_path / "monday")
    assert code == 0, err
    shutil.copy(tmp_path / "monday" / "vault" / "checkpoints.db", served.folder / "vault" / "checkpoints.db")
    assert re.search(r"this is a backup of \S+ \(checkpoints\)", await refused(served))
    code, out, _ = await command(served, "restore", "--accept", "disk-lost")
    assert (code, "accepted" in out, "spent" in out) == (0, True, False)
    await served.start()


async def test_a_stopped_appliance_is_copied_too_with_its_keys_where_asked(served, tmp_path):
    await served.start()
    await served.stop()
    code, out, err = await command(served, "backup", "--to", tmp_path / "monday", "--with-keys")
    assert (code, err) == (0, "")
    assert "guard it as the bank" in out
    assert out.startswith(str(tmp_path / "monday"))  # and no line of a log before it
    assert {path.name for path in (tmp_path / "monday" / "keys").iterdir()} == {"root.key", "ring.json"}
    code, _, err = await command(served, "backup", "--to", tmp_path / "none" / "monday")
    assert (code, "no such folder" in err) == (2, True)
    await served.start()
    assert [one["keys"] for one in await backups_in(served, "vault", tmp_path / "export")] == ["included"]


async def test_a_stopped_appliance_with_shares_takes_them_from_files(tmp_path):
    served = ServedAppliance.install(tmp_path, policy=POLICY, sharing=Sharing(shares=3, threshold=2))
    shares = [served.folder / "shares" / f"key-holder-{number}.toml" for number in (1, 2, 3)]
    try:
        await served.start(SEALED)
        for holder in ("key-holder-1", "key-holder-2"):
            code, _, err = await served.ask(holder, "seal", "give-share", served.folder / "shares" / f"{holder}.toml")
            assert code == 0, err
        await served.stop()
    finally:
        await served.close()
    for few in ([], ["--share", shares[0]]):
        code, _, err = await command(served, "backup", "--to", tmp_path / "few", *few)
        assert (code, "of 2 key shares were given" in err) == (2, True)
    code, _, err = await command(served, "backup", "--to", tmp_path / "same", *["--share", shares[0]] * 2)
    assert (code, "the same key share" in err) == (2, True)
    code, _, err = await command(
        served, "backup", "--to", tmp_path / "monday", "--share", shares[0], "--share", shares[2]
    )
    assert code == 0, err
    code, out, _ = await command(served, "restore", "--share", shares[1], "--share", shares[2])
    assert (code, "newest" in out) == (0, True)
