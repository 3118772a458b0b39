"""An auditor's afternoon on a real appliance whose policy waits for the shipped witness; offline from the export on."""

import json
import signal
import socket

import pytest

from heldout.witness import write_signer
from lab_texts import POLICY, write_checkpoint
from lab_texts import prompt_rows as prompts
from served_appliance import ServedAppliance, prompt_rows, until


@pytest.fixture
async def served(tmp_path):
    signer = write_signer(tmp_path / "witness.key", name="witness.example/one")
    policy = POLICY + f'\n[witness]\nkeys = ["{signer.key.vkey}"]\nmaximum_age_s = 3600\n'
    served = ServedAppliance.install(tmp_path, policy=policy)
    yield await served.start()
    await served.close()


async def publish(served, tmp_path):
    """Fill the bank, let a checkpoint be tested, and have the shipped witness cosign until its release is out."""
    tester = await served.client("bank_tester")
    await tester.bank.import_prompts(prompt_rows(prompts()))
    await tester.bank.open_epoch()
    write_checkpoint(served.folder / "checkpoints", "nova-v1")
    await until(lambda: "release_waits_for_witness" in served.said(), 60)
    words = ["witness", "run", "--key", tmp_path / "witness.key", "--state", tmp_path / "witness", "--once"]
    assert await said(served, "auditor", *words, "--begin")
    await served.run_of("nova-v1")


async def said(served, role, *words, code=0):
    """Run a command and return what it said on stdout, joined into one line."""
    got, out, err = await served.ask(role, *words)
    assert got == code, (got, out, err)
    assert "Traceback" not in err
    return " ".join((out if code == 0 else out + err).split())


async def test_from_export_to_report(served, tmp_path):
    await publish(served, tmp_path)
    await said(served, "trainer", "findings", "nova-v1")
    assert "refused" in await said(served, "trainer", "bank", "stats", code=1)
    live = await said(served, "auditor", "audit", "verify")
    assert "1 release recorded before it was read" in live
    assert "cosigned by witness.example/one at" in live
    assert live.count("none differs") == 2

    folder = tmp_path / "export"
    await said(served, "auditor", "audit", "export", folder)
    await served.stop()  # nothing is asked from here on
    checked = await said(served, "auditor", "audit", "verify", folder)
    assert "consistent with" in checked
    assert "1 release recorded" in checked
    assert (await said(served, "auditor", "audit", "replay", folder)).count("none differs") == 2
    told = json.loads(await said(served, "auditor", "audit", "report", folder, "--json", "--html", tmp_path / "r.html"))
    assert [release["checkpoint"] for release in told["releases"]] == ["nova-v1"]
    refused = [call for call in told["calls"] if not call["allowed"]]
    assert [(call["method"], call["role"], call["calls"]) for call in refused] == [("GetStats", "trainer", 1)]
    assert {anchor["database"] for anchor in told["anchors"]} >= {"bank", "releases"}
    page = (tmp_path / "r.html").read_text()
    assert "nova-v1" in page
    assert not any(row["prompt"] in page for row in prompts())
    proof = json.loads(await said(served, "auditor", "audit", "prove", "3", folder, "--log", "vault", "--json"))
    (tmp_path / "entry.proof").write_text(proof["proof"])
    assert "included in the signed head" in await said(
        served, "auditor", "audit", "prove", "--check", tmp_path / "entry.proof"
    )


async def test_a_client_s_counters_are_held_against_the_log(served, tmp_path):
    for _ in range(2):
        await said(served, "trainer", "scores", "list")
    assert "refused" in await said(served, "trainer", "bank", "stats", code=1)
    _, _, err = await served.ask("trainer", "scores", "list")
    assert "not made from here" not in err
    elsewhere = await served.client("trainer")  # with a memory of its own
    await elsewhere.findings.scores()
    await elsewhere.findings.scores()
    _, _, err = await served.ask("trainer", "scores", "list")
    assert "note: 2 calls in the window's log (among numbers" in err
    _, _, err = await served.ask("trainer", "scores", "list")
    assert err == ""
    folder = tmp_path / "export"
    await said(served, "auditor", "audit", "export", folder)
    (memory,) = [
        file
        for file in (served.temporary / ".local/state/heldout/clients").glob("*.json")
        if json.loads(file.read_text())["identity"].endswith("/trainer")
    ]
    out = await said(served, "auditor", "audit", "verify", folder, "--counters", memory)
    assert "holds all 7 calls that" in out


async def test_a_log_streams_to_syslog_and_goes_on_after_a_kill(served, tmp_path):
    place, cursor = tmp_path / "log", tmp_path / "cursor"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(place))
        receiver.setblocking(False)
        received = []

        def arrived():
            try:
                while True:
                    received.append(json.loads(receiver.recv(65_536).partition(b"] ")[2]))
            except BlockingIOError:
                return received

        words = ["audit", "tail", "--follow", "--log", "window", "--syslog", f"unix:{place}", "--cursor", cursor]
        follower = await served.spawn_command("auditor", *words, "-n", "1000", "--every", "0.1")
        await said(served, "trainer", "scores", "list")
        await until(lambda: any(each["identity"].endswith("/trainer") for each in arrived()))
        await until(cursor.exists)
        follower.send_signal(signal.SIGKILL)
        await follower.communicate()
        await said(served, "trainer", "scores", "list")
        seen = max(each["index"] for each in arrived())
        follower = await served.spawn_command("auditor", *words, "--every", "0.1")
        await until(
            lambda: sum(each["identity"].endswith("/trainer") for each in arrived() if each["index"] > seen) >= 2
        )
        follower.send_signal(signal.SIGINT)
        await follower.communicate()
        assert follower.returncode == 130
    indices = sorted({each["index"] for each in received if each["identity"].endswith("/trainer")})
    assert len(indices) == 4  # two calls, an intent and an outcome each: none is lost
