"""An appliance whose root key is shared: sealed at the start, opened by people, closed again, and all of it logged."""

import asyncio
import base64
import dataclasses
import json
import subprocess
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from heldout.errors import InvalidRequest, Refused, Unavailable, WrongState
from heldout.key_share import read_key_share
from heldout_server.api.contract import methods
from heldout_server.installation import Sharing
from heldout_server.keys.shamir import combine
from kill_checks import export_of
from lab_texts import POLICY, write_checkpoint
from lab_texts import prompt_rows as prompts
from raw_calls import call, channel_with
from served_appliance import BIN, SEALED, ServedAppliance, prompt_rows, until

HOLDERS = ("key-holder-1", "key-holder-2", "key-holder-3")
IDENTITY = "spiffe://heldout.example/{}"


@pytest.fixture
async def sealed(tmp_path):
    served = ServedAppliance.install(tmp_path, policy=POLICY, sharing=Sharing(shares=3, threshold=2))
    await served.start(SEALED)
    yield served
    await served.close()


def share_of(served, holder):
    return read_key_share(served.folder / "shares" / f"{holder}.toml")


async def give(served, holder, share=None):
    client = await served.client(holder)
    return await client.seal.give_share(share_of(served, share or holder))


async def give_wrong(served, holder):
    share = share_of(served, holder)
    value = bytes([share.value[0] ^ 1, *share.value[1:]])
    await (await served.client(holder)).seal.give_share(dataclasses.replace(share, value=value))


async def unseal(served):
    for holder in HOLDERS[:2]:
        status = await give(served, holder)
    return status


async def is_serving(served):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{served.health_port}") as channel:
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        except grpc.aio.AioRpcError:  # between the two doors
            return False
    return answer.status == health_pb2.HealthCheckResponse.SERVING


def open_databases(served):
    """Return the databases that the process has open."""
    links = (link.readlink() for link in Path(f"/proc/{served.process.pid}/fd").iterdir() if link.is_symlink())
    return sorted({link.name for link in links if link.suffix == ".db"})


async def vault_entries(served, folder):
    _, _, entries = await export_of(served, "vault", folder, [])
    return entries


async def test_a_sealed_appliance_serves_nothing_but_its_seal_and_opens_nothing(sealed):
    assert not await is_serving(sealed)
    for role in ("trainer", "bank_tester", "auditor", "operator"):
        profile = sealed.profile(role)
        async with channel_with(profile.address, profile.authority, profile.key, profile.certificate) as channel:
            for name in methods():
                code, reason, _ = await call(channel, name, b"")
                if not name.startswith("/heldout.v1.SealService/"):
                    assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "SEALED"), (role, name)
    assert open_databases(sealed) == []
    trainer = await sealed.client("trainer")
    with pytest.raises(Unavailable, match="sealed"):
        await trainer.findings.releases()
    with pytest.raises(Refused):
        await trainer.seal.status()


async def test_the_root_key_is_written_nowhere(sealed):
    shares = [share_of(sealed, holder) for holder in HOLDERS]
    root = bytes(combine({share.number: share.value for share in shares[:2]}))
    assert root == bytes(combine({share.number: share.value for share in shares[1:]}))
    await unseal(sealed)
    spellings = (root, root.hex().encode(), base64.b64encode(root), base64.urlsafe_b64encode(root))
    files = [path for path in sealed.folder.parent.rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        content = path.read_bytes()
        assert not any(spelling in content for spelling in spellings), path


async def test_shares_of_different_people_open_it_and_the_log_says_who_gave_what(sealed, tmp_path):
    with pytest.raises(Refused):
        await (await sealed.client("operator")).seal.give_share(share_of(sealed, "key-holder-1"))
    first = await give(sealed, "key-holder-1")
    assert (first.sealed, first.given_by) == (True, (IDENTITY.format("key-holder-1"),))
    # A person counts once, and so does a share.
    with pytest.raises(WrongState):
        await give(sealed, "key-holder-1", "key-holder-2")
    with pytest.raises(WrongState):
        await give(sealed, "key-holder-2", "key-holder-1")
    with pytest.raises(InvalidRequest):
        await give_wrong(sealed, "key-holder-2")
    assert not await is_serving(sealed)
    last = await give(sealed, "key-holder-2")
    # The last answer comes once all is open and logged: what follows it needs no waiting but for the port.
    assert (last.sealed, len(last.given_by)) == (False, 2)
    await until(lambda: is_serving(sealed))
    entries = await vault_entries(sealed, tmp_path / "export")
    assert [entries[0]["name"], entries[1]["name"]] == ["start", "start_sealed"]
    told = [
        (entry["identity"].rpartition("/")[2], entry["details"]["status"])
        for entry in entries
        if entry["kind"] == "outcome" and entry["name"].endswith("/GiveShare")
    ]
    assert told == [
        ("operator", "REFUSED"),
        ("key-holder-1", "OK"),
        ("key-holder-1", "WRONG_STATE"),
        ("key-holder-2", "WRONG_STATE"),
        ("key-holder-2", "INVALID_REQUEST"),
        ("key-holder-2", "OK"),
    ]
    unsealed = next(entry for entry in entries if entry["name"] == "unseal")
    assert unsealed["details"]["given_by"] == [IDENTITY.format(one) for one in HOLDERS[:2]]
    assert unsealed["details"]["kept_signed"] == "yes"  # by the key that the installation left
    anchor = next(index for index, entry in enumerate(entries) if entry["name"] == "anchor")
    assert entries.index(unsealed) < anchor  # before any database was touched
    assert not (sealed.folder / "vault" / "sealed-calls.jsonl").exists()


async def test_attempts_are_limited_and_outlive_a_restart(sealed, tmp_path):
    with pytest.raises(InvalidRequest):
        await give_wrong(sealed, "key-holder-1")
    await give(sealed, "key-holder-1")
    for _ in range(3):
        with pytest.raises(WrongState):
            await give(sealed, "key-holder-1")
    with pytest.raises(Unavailable, match="too many"):
        await give(sealed, "key-holder-1")
    await sealed.stop()
    await sealed.start(SEALED)
    await unseal(sealed)
    await until(lambda: is_serving(sealed))
    entries = await vault_entries(sealed, tmp_path / "export")
    assert [entry["name"] for entry in entries if entry["name"].endswith("_sealed")] == [
        "start_sealed",
        "stop_sealed",
        "start_sealed",
    ]
    told = [one["details"]["status"] for one in entries if one["kind"] == "outcome" and HOLDERS[0] in one["identity"]]
    assert told == ["INVALID_REQUEST", "OK", *["WRONG_STATE"] * 3, "OK"]


async def test_sealing_is_logged_closes_everything_and_a_run_goes_on_once_it_is_open_again(sealed, tmp_path):
    await unseal(sealed)
    await until(lambda: is_serving(sealed))
    tester, operator = await sealed.client("bank_tester"), await sealed.client("operator")
    await tester.bank.import_prompts(prompt_rows(prompts()))
    await tester.bank.open_epoch()
    write_checkpoint(sealed.folder / "checkpoints", "nova-1")
    await sealed.run_of("nova-1", states=("running", "complete", "published"))
    status = await operator.seal.seal()
    assert status.threshold == 2

    async def closed():
        try:
            return (await operator.seal.status()).sealed
        except Unavailable:  # between the two doors
            return False

    await until(closed)
    assert open_databases(sealed) == []
    assert not await is_serving(sealed)
    with pytest.raises(WrongState):
        await operator.seal.seal()
    assert sealed.process.poll() is None
    await unseal(sealed)
    await until(lambda: is_serving(sealed))
    await sealed.run_of("nova-1")
    entries = await vault_entries(sealed, tmp_path / "export")
    seal = next(index for index, entry in enumerate(entries) if entry["name"] == "seal")
    assert entries[seal]["details"]["by"] == IDENTITY.format("operator")
    after = [entry["name"] for entry in entries[seal:] if entry["kind"] == "event"]
    assert after.index("stop") < after.index("start") < after.index("unseal")


async def test_the_commands_say_it_in_words(sealed):
    shares = sealed.folder / "shares"
    code, out, _ = await sealed.ask("operator", "seal", "status")
    assert (code, out.split(",")[0]) == (0, "sealed: 0 of 2 shares given (of 3 in all")
    foreign = (shares / "key-holder-1.toml").read_text().replace("shares-", "shares-0")
    other = shares / "foreign.toml"
    other.write_text(foreign)
    other.chmod(0o600)
    code, _, err = await sealed.ask("key-holder-1", "seal", "give-share", other)
    assert (code, "whole key share" in err) == (2, True)
    (shares / "key-holder-2.toml").chmod(0o644)
    code, _, err = await sealed.ask("key-holder-2", "seal", "give-share", shares / "key-holder-2.toml")
    assert (code, "chmod 600" in err) == (2, True)
    (shares / "key-holder-2.toml").chmod(0o600)
    for holder in HOLDERS[:2]:
        code, out, err = await sealed.ask(holder, "seal", "give-share", shares / f"{holder}.toml", "--json")
        assert (code, err) == (0, "")
        assert base64.b64encode(share_of(sealed, holder).value).decode() not in out
    assert json.loads(out)["sealed"] is False
    await until(lambda: is_serving(sealed))
    code, out, _ = await sealed.ask("operator", "seal", "now", "--yes")
    assert (code, out.startswith("sealing")) == (0, True)


async def test_new_shares_open_it_and_those_of_before_do_not(sealed, tmp_path):
    await unseal(sealed)
    await until(lambda: is_serving(sealed))
    folder, to = sealed.folder, tmp_path / "new"
    old = [f"--share={folder / 'shares' / f'{holder}.toml'}" for holder in HOLDERS[1:]]
    words = ["keys", "reshare", *old, "--shares", "2", "--threshold", "2", "--to", to, "-c", folder / "config.toml"]
    said = await asyncio.to_thread(subprocess.run, [BIN / "heldout-server", *words], capture_output=True, text=True)
    assert (said.returncode, to.exists()) == (2, False)
    assert "another process has this log open" in said.stderr
    await sealed.stop()
    said = await asyncio.to_thread(subprocess.run, [BIN / "heldout-server", *words], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert "2 of them open the bank" in said.stdout
    await sealed.start(SEALED)
    with pytest.raises(InvalidRequest):
        await give(sealed, "key-holder-1")
    for number, holder in enumerate(HOLDERS[:2], start=1):
        share = read_key_share(to / f"share-{number}.toml")
        status = await (await sealed.client(holder)).seal.give_share(share)
    assert not status.sealed
    await until(lambda: is_serving(sealed))
    entries = await vault_entries(sealed, tmp_path / "export")
    reshared = next(entry for entry in entries if entry["name"] == "reshare")
    assert reshared["details"] == {"share_set": status.share_set, "shares": 2, "threshold": 2}
    unsealings = [entry["details"] for entry in entries if entry["name"] == "unseal"]
    assert [details["kept_signed"] for details in unsealings] == ["yes", "yes"]  # the key of kept calls opens still
