"""Two processes and a shared root key: the vault starts sealed, opens and is sealed again; the window goes on."""

import json

import pytest
from test_backup import backups_in, command, put_back, refused

from heldout.errors import Unavailable
from heldout_server.installation import Sharing
from lab_texts import POLICY
from served_appliance import SEALED, SERVING, ServedAppliance, until
from split_appliance import SplitAppliance

HOLDERS = ("key-holder-1", "key-holder-2")


async def unseal(split):
    for holder in HOLDERS:
        code, _, err = await split.ask(holder, "seal", "give-share", split.folder / "shares" / f"{holder}.toml")
        assert code == 0, err
    await until(lambda: SERVING.search(split.said().rpartition("waiting for shares")[2]))


@pytest.fixture
async def split(tmp_path):
    split = SplitAppliance.install(tmp_path, policy=POLICY, sharing=Sharing(shares=3, threshold=2))
    await ServedAppliance.start(split, SEALED)
    yield split
    await split.close()


async def is_answered_by_the_window(split):
    assert await (await split.client("trainer")).findings.releases() == ()
    return (await (await split.client("auditor")).audit.head("window")).head.size


async def test_the_vault_alone_is_sealed_and_the_window_answers_meanwhile(split, tmp_path):
    await unseal(split)
    await split.start_window()
    tester, operator = await split.client("bank_tester"), await split.client("operator")
    size = await is_answered_by_the_window(split)
    assert (await tester.bank.stats()).live == 0
    await operator.seal.seal()
    await until(lambda: SEALED.search(split.said().rpartition("sealing: calls finish")[2]))
    with pytest.raises(Unavailable, match="sealed"):
        await tester.bank.stats()
    assert await is_answered_by_the_window(split) > size
    code, _, err = await command(split, "backup", "--to", tmp_path / "sealed")
    assert (code, "the window half runs, and the vault half is stopped or sealed" in err) == (2, True)
    await unseal(split)
    assert (await tester.bank.stats()).live == 0
    await is_answered_by_the_window(split)
    await split.stop()


async def test_both_halves_refuse_a_backup_until_enough_shares_accept_it(split, tmp_path):
    await unseal(split)
    await split.start_window()
    code, _, err = await command(split, "backup", "--to", tmp_path / "monday")
    assert code == 0, err
    await split.window.stop()
    await ServedAppliance.stop(split)
    put_back(tmp_path / "monday", split.folder)
    assert "this is a backup of" in await refused(split.window)
    await ServedAppliance.start(split, SEALED)
    for holder in HOLDERS:
        code, _, err = await split.ask(holder, "seal", "give-share", split.folder / "shares" / f"{holder}.toml")
    assert code != 0  # what the last share opened does not start
    assert await split.ended() == 2
    assert any("this is a backup of" in line for line in split.said_last())
    shares = [word for holder in HOLDERS for word in ("--share", split.folder / "shares" / f"{holder}.toml")]
    code, out, err = await command(split, "restore", "--accept", "disk-lost", *shares)
    assert (code, "recorded in both logs" in out) == (0, True), err
    await ServedAppliance.start(split, SEALED)
    await unseal(split)
    await split.start_window()
    await split.stop()


async def test_a_running_vault_backs_up_both_halves_and_its_own_log_says_so(split, tmp_path):
    await unseal(split)
    await split.start_window()
    code, out, err = await command(split, "backup", "--to", tmp_path / "monday", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert (told["files"], told["logs"]) == (8, ["vault"])
    found = await backups_in(split, "vault", tmp_path / "vault")
    assert [one["manifest_sha256"] for one in found] == [told["manifest_sha256"]]
    assert await backups_in(split, "window", tmp_path / "window") == []
    await split.window.stop()
    code, out, err = await command(split, "backup", "--to", tmp_path / "tuesday")
    assert (code, err) == (0, "")
    assert "recorded in the log of the vault half" in out
    await ServedAppliance.stop(split)
