"""Whatever happens to an appliance is in its log, and in the words in which auditors read it."""

import asyncio
import re
import shutil
import signal
import sys

import pytest

import stepping_server
from heldout.errors import Unavailable
from heldout_server.installation import Sharing
from kill_checks import export_of
from lab_texts import POLICY
from lab_texts import prompt_rows as prompts
from served_appliance import BIN, SEALED, ServedAppliance, prompt_rows, until

HOLDERS = ("key-holder-1", "key-holder-2")
STEP_S = 3600
OPEN = re.compile(r"^heldout-server: serving", re.MULTILINE)
WORDS = {
    "start_sealed": "event start_sealed",
    "stop_sealed": "event stop_sealed",
    "unseal": "event unseal 2 key-holder-1, key-holder-2",
    "start": "event start",
    "reload": "event reload principals.toml OK",
    "clock": f"event clock {STEP_S}",
    "denials": r"event denials [0-9]+ RATE_LIMITED \S+trainer",
    "backup": "event backup 8 left_out",
    "seal": "event seal spiffe://heldout.example/operator",
    "stop": "event stop",
    "restore": r"event restore bank \w+ disk-lost",
    "policy_refused": "event policy_refused",
}
"""What ``heldout audit tail`` says of each."""


async def command(served, *words):
    """Run ``heldout-server`` as an operator does and return what it said."""
    shares = [word for holder in HOLDERS for word in ("--share", served.folder / "shares" / f"{holder}.toml")]
    process = await asyncio.create_subprocess_exec(
        BIN / "heldout-server",
        *map(str, [*words, *(shares if words[0] == "restore" else ())]),
        "--config",
        served.folder / "config.toml",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def unseal(served):
    for holder in HOLDERS:
        code, _, err = await served.ask(holder, "seal", "give-share", served.folder / "shares" / f"{holder}.toml")
        assert code == 0, err
    await until(lambda: OPEN.search(served.said().rpartition("waiting for shares")[2]))


@pytest.fixture
async def served(tmp_path):
    served = ServedAppliance.install(
        tmp_path, policy=POLICY, sharing=Sharing(shares=3, threshold=2), trainer="{ per_s = 0.01, burst = 2 }"
    )
    served.command = (sys.executable, stepping_server.__file__, tmp_path / "step")
    yield served
    await served.close()


async def make_everything_happen(served, tmp_path):
    # Sealed, stopped while sealed, and opened.
    await served.start(SEALED)
    await served.stop()
    await served.start(SEALED)
    await unseal(served)
    tester = await served.client("bank_tester")
    await tester.bank.import_prompts(prompt_rows(prompts()))
    # Documents read again, and the clock of the machine stepped.
    served.process.send_signal(signal.SIGHUP)
    await until(lambda: "reloaded" in served.said())
    (tmp_path / "step").write_text(str(STEP_S))
    await until(lambda: "clock_step" in served.said())
    # Somebody who asks too often.
    trainer = await served.client("trainer")
    for _ in range(2):
        await trainer.findings.releases()
    with pytest.raises(Unavailable, match="too many"):
        await trainer.findings.releases()
    # A backup; sealed by hand, and opened again.
    code, said = await command(served, "backup", "--to", tmp_path / "monday")
    assert code == 0, said
    await tester.bank.retire((await tester.bank.handles())[:1])
    code, _, err = await served.ask("operator", "seal", "now", "--yes")
    assert code == 0, err
    await until(lambda: SEALED.search(served.said().rpartition("sealing: calls finish")[2]))
    await unseal(served)
    await served.stop()
    # An old copy put back, and accepted.
    for end in ("", "-wal", "-shm"):
        (served.folder / "vault" / f"bank.db{end}").unlink(missing_ok=True)
    shutil.copy(tmp_path / "monday" / "vault" / "bank.db", served.folder / "vault" / "bank.db")
    code, said = await command(served, "restore", "--accept", "disk-lost")
    assert code == 0, said
    # A policy that is not what was signed.
    policy = served.folder / "policy" / "release.toml"
    signed = policy.read_bytes()
    policy.write_bytes(signed + b"\n# more\n")
    served.spawn()
    assert await served.ended() == 2
    policy.write_bytes(signed)
    await served.start(SEALED)
    await unseal(served)


async def test_each_event_is_in_the_log_and_in_the_words_of_show_and_report(served, tmp_path):
    await make_everything_happen(served, tmp_path)
    code, _, err = await served.ask("auditor", "audit", "export", tmp_path / "export")
    assert code == 0, err
    _, _, entries = await export_of(served, "vault", tmp_path / "entries", [])
    _, _, others = await export_of(served, "window", tmp_path / "others", [])
    events = {}
    for log, leaves in (("vault", entries), ("window", others)):
        for index, entry in enumerate(leaves):
            if entry["kind"] == "event":
                events.setdefault(entry["name"], (log, index, entry))
    assert WORDS.keys() <= events.keys()
    code, out, err = await served.ask("auditor", "audit", "report", tmp_path / "export", "--html", tmp_path / "r.html")
    assert code == 0, err
    reported, page = " ".join(out.split()), (tmp_path / "r.html").read_text()
    for name in WORDS:
        log, index, entry = events[name]
        code, out, err = await served.ask("auditor", "audit", "show", index, tmp_path / "export", "--log", log)
        assert code == 0, err
        assert name in out
        for key, value in entry["details"].items():
            assert key in out, (name, key)
            assert str(value if not isinstance(value, list) else value[0])[:20] in out, (name, key)
        assert ("RATE_LIMITED" if name == "denials" else name) in reported
        assert ("RATE_LIMITED" if name == "denials" else name) in page
    lines = []
    for log in ("vault", "window"):
        code, out, err = await served.ask("auditor", "audit", "tail", "--log", log, "-n", "400")
        assert code == 0, err
        lines.append(" ".join(out.split()))
    for words in WORDS.values():
        assert any(re.search(words, said) for said in lines), words
