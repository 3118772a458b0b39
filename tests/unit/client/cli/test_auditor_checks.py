"""The auditor's checks as typed: replay, proofs, two exports, a client's counters, and the way to a SIEM."""

import json
import shutil
import socket

import pytest
from auditor_fakes import CEDAR, PRINCIPALS, digest, make_auditable
from client_fakes import IDENTITY

from heldout.cli import run
from heldout.siem import SinkError, SyslogSink

WINDOW_CALL = "/heldout.v1.FindingsService/GetBudget"


@pytest.fixture
def audited(heldout, published):
    make_auditable(heldout.appliance)
    return heldout


@pytest.fixture
def exported(audited, tmp_path):
    audited("audit", "export", str(tmp_path / "export"))
    return tmp_path / "export"


def call(appliance, **details):
    """Record a call of somebody in the window's log."""
    said = {"identity": IDENTITY, "role": "auditor", "decision": "allow"} | appliance.decided | details
    return appliance.logs["window"].add("intent", WINDOW_CALL, **said)


def vkeys(appliance):
    return [word for vkey in appliance.vkeys.values() for word in ("--vkey", vkey)]


# Decisions


def test_every_decision_is_replayed_live_and_offline(audited, exported):
    assert audited("audit", "replay").count("none differs") == 2
    out = audited("audit", "replay", str(exported))
    assert "log lab/window" in out
    assert out.count("✓") == 2
    assert "decisions replayed under" in audited("audit", "verify", str(exported))


def test_a_decision_that_differs_is_named_and_exit_code_1(audited, tmp_path):
    index = call(audited.appliance, decision="deny", rules=[])
    out = audited("audit", "replay", code=1)
    assert f"entry {index}: spiffe://heldout.example/trainer GetBudget" in out
    assert "recorded: deny · by the documents: allow by everybody" in out
    assert "1 of " in audited("audit", "verify", code=1)


def test_documents_that_are_missing_are_no_success(audited, exported, tmp_path):
    shutil.move(exported / "policy", tmp_path / "older")
    out = audited("audit", "replay", str(exported), code=1)
    assert "decisions by a document that is not here" in out
    assert "none differs" in audited("audit", "replay", str(exported), "--policy", str(tmp_path / "older"))
    data = audited.json("audit", "replay", str(exported), "--policy", str(tmp_path / "older"))
    assert data["lab/window"]["complete"] is True
    assert data["lab/window"]["missing"] == {}


def test_a_document_that_was_changed_is_not_the_one_that_the_log_names(audited, exported):
    for file in (exported / "policy").glob("*.cedar"):
        file.write_bytes(CEDAR.replace(b"permit", b"forbid"))
    assert "not here" in audited("audit", "replay", str(exported), code=1)


# Without a profile


def test_offline_no_certificate_is_needed(audited, exported, capsys):
    keys = vkeys(audited.appliance)
    for words in (["verify"], ["replay"], ["report"], ["tail"], ["show", "0"], ["prove", "0"]):
        place = [str(exported)]
        assert run(["audit", *words, *place, *keys]) == 0, capsys.readouterr()
    capsys.readouterr()
    assert run(["audit", "verify", str(exported), "--vkey", "nonsense"]) == 2
    assert "--vkey: " in capsys.readouterr().err


# One entry, for somebody else


def test_an_entry_is_shown_and_proved_live_and_offline(audited, exported, tmp_path):
    for place in ([], [str(exported)]):
        assert "included in the signed head" in audited("audit", "show", "1", *place, "--log", "vault")
        proof = audited.json("audit", "prove", "1", *place, "--log", "vault")["proof"]
        file = tmp_path / "entry.proof"
        file.write_text(proof)
        assert '"index": 1' in audited("audit", "prove", "--check", str(file))
        file.write_text(proof.replace("index 1", "index 0"))
        assert "does not verify" in audited("audit", "prove", "--check", str(file), code=1)
        assert "0 to " in audited("audit", "show", "999", *place, code=1)
    assert "name the entry" in audited("audit", "prove", code=2)
    assert "name the entry" in audited("audit", "prove", "1", "--check", str(file), code=2)
    file.write_text(proof.replace("lab/vault", "other/vault"))
    assert "is not of a log" in audited("audit", "prove", "--check", str(file), code=2)
    shutil.rmtree(exported / "vault")
    assert "holds no log of the vault" in audited("audit", "show", "0", str(exported), "--log", "vault", code=2)


# Two exports


def test_two_exports_are_one_history_or_a_fork(audited, exported, tmp_path):
    later = tmp_path / "later"
    audited("audit", "export", str(later))
    out = " ".join(audited("audit", "verify", str(later), "--against", str(exported)).split())
    assert "✓ lab/vault: one history" in out
    assert "both end at the same entry" in out
    assert "more" in out.partition("✓ lab/window: one history")[2]
    log = audited.appliance.logs["window"]
    log.leaves[3] = log.leaves[3].replace(b"1795572840", b"1795572900")
    forked = tmp_path / "forked"
    shutil.rmtree(tmp_path / "state", ignore_errors=True)  # what this machine saw would find it too
    audited("audit", "export", str(forked))
    out = audited("audit", "verify", str(forked), "--against", str(exported), code=1)
    assert "lab/window forked: entry 3 is one in" in out
    assert "need an export" in audited("audit", "verify", "--against", str(exported), code=2)
    shutil.rmtree(exported / "vault")
    shutil.rmtree(exported / "window")
    shutil.copytree(later / "vault", exported / "vault")
    assert "holds no log that is in" in audited(
        "audit", "verify", str(later / "window"), "--against", str(exported), code=2
    )


# A client's counters


@pytest.fixture
def memory(audited, tmp_path):
    """The memory of a client that was answered twice."""
    file = tmp_path / "memory.json"
    with audited.appliance.blocking_client(file) as client:
        client.findings.budget()
        client.findings.budget()
    return file


def test_an_export_holds_every_call_that_a_client_counted(audited, memory, tmp_path):
    folder = tmp_path / "export"
    audited("audit", "export", str(folder))
    out = audited("audit", "verify", str(folder), "--counters", str(memory))
    assert "✓ lab/window: holds all 2 calls that spiffe://heldout.example/trainer" in out
    assert "later, or made elsewhere" in out
    document = json.loads(memory.read_text())
    document["logs"]["window"]["number"] = 99
    memory.write_text(json.dumps(document))
    out = audited("audit", "verify", str(folder), "--counters", str(memory), code=1)
    assert "was answered call 99, and this log has" in out


def test_an_older_export_says_nothing_of_later_calls(audited, exported, memory):
    document = json.loads(memory.read_text())
    document["logs"]["window"]["number"] = 99
    memory.write_text(json.dumps(document))
    assert "take a newer export" in audited("audit", "verify", str(exported), "--counters", str(memory)).replace(
        "\n   ", " "
    )


def test_the_head_that_a_client_was_shown_is_held_against_the_export(audited, memory, tmp_path):
    log = audited.appliance.logs["window"]
    log.leaves[0] = log.leaves[0].replace(b"1795572840", b"1795572900")
    audited("audit", "export", str(tmp_path / "export"))
    out = audited("audit", "verify", str(tmp_path / "export"), "--counters", str(memory), code=1)
    assert "do not hash to the root that was signed" in out


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"identity": "x", "vkeys": {}, "logs": {"vault": 3}}'])
def test_what_is_no_memory_of_a_client_is_said(audited, exported, tmp_path, content):
    file = tmp_path / "other.json"
    file.write_text(content)
    assert "is not the memory of a client" in audited("audit", "verify", str(exported), "--counters", str(file), code=2)


# Following


def follow(heldout, *words, looks=1, meanwhile=lambda: None):
    """Follow for so many looks, with something happening between them, and return how it ended."""
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == looks:
            raise KeyboardInterrupt
        meanwhile()

    code = run(
        ["--profile", str(heldout.profile), "audit", "tail", "--follow", *words],
        connector=lambda _profile: heldout.appliance.blocking_client(),
        pause=pause,
    )
    return code, pauses


def test_new_entries_are_shown_as_they_come_without_our_own_calls(audited, capsys):
    capsys.readouterr()

    def grow():
        call(audited.appliance, identity="spiffe://heldout.example/other")

    code, _ = follow(audited, "-n", "1", looks=3, meanwhile=grow)
    out = capsys.readouterr().out
    assert code == 130
    assert out.count("other  GetBudget allow") == 2
    assert "GetTreeHead" not in out
    follow(audited, "-n", "1", "--own", "--json", looks=2)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["index"] for line in lines] == list(range(lines[0]["index"], lines[0]["index"] + len(lines)))
    assert any(line["name"].endswith("/GetTreeHead") for line in lines)


def test_a_cursor_goes_on_where_the_last_one_ended(audited, tmp_path, capsys):
    cursor = tmp_path / "cursor"
    words = ["--log", "vault", "--cursor", str(cursor), "--json"]
    follow(audited, "-n", "2", *words)
    size = len(audited.appliance.logs["vault"].leaves)
    assert json.loads(cursor.read_text()) == {"log": "lab/vault", "next": size}
    capsys.readouterr()
    audited.appliance.logs["vault"].add("event", "stop")
    follow(audited, *words)
    assert [json.loads(line)["index"] for line in capsys.readouterr().out.splitlines()] == [size]
    cursor.write_text('{"log": "lab/other", "next": 3}')
    assert "is no cursor of lab/vault" in audited("audit", "tail", "--follow", *words[:-1], code=2)


def test_entries_reach_a_siem_and_come_again_after_a_failure(audited, tmp_path, monkeypatch, capsys):
    honest, sent = SyslogSink.send, []

    def failing(self, entries, *, origin):
        sent.append([entry.index for entry in entries])
        if len(sent) == 1:
            raise SinkError("syslog: down")
        honest(self, entries, origin=origin)

    monkeypatch.setattr(SyslogSink, "send", failing)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "log"))
        server.settimeout(5)
        capsys.readouterr()
        _, pauses = follow(
            audited, "-n", "2", "--log", "vault", "--syslog", f"unix:{tmp_path / 'log'}", "--every", "3", looks=2
        )
        assert sent[0] == sent[1]
        assert [json.loads(server.recv(9000).decode().partition("] ")[2])["index"] for _ in sent[1]] == sent[1]
    assert pauses == [6.0, 3.0]
    assert "note: syslog: down; again in 6 s, from entry" in capsys.readouterr().err


def test_what_does_not_go_together_is_said(audited, exported):
    assert "does not grow" in audited("audit", "tail", str(exported), "--follow", code=2)
    assert "with a cursor each" in audited("audit", "tail", "--syslog", "udp://x", "--otlp", "http://x", code=2)
    assert "a syslog target is" in audited("audit", "tail", "--syslog", "x", code=1)
    assert "an OTLP collector is" in audited("audit", "tail", "--otlp", "x", code=1)


def test_the_principals_are_part_of_the_policy(audited):
    out = audited("audit", "policy")
    assert f"principals.toml, SHA-256 {digest(PRINCIPALS)[:12]}" in out


def test_a_changed_entry_is_named_with_its_log(audited, tmp_path):
    folder = tmp_path / "export"
    audited("audit", "export", str(folder))
    (bundle,) = (file for file in (folder / "vault" / "tile" / "entries").rglob("*") if file.is_file())
    content = bytearray(bundle.read_bytes())
    second = 2 + int.from_bytes(content[:2], "big")  # behind the first: two bytes of length, then the leaf
    content[second + 10] ^= 1
    bundle.write_bytes(content)
    assert "does not verify: lab/vault: entry 1 is not what" in audited("audit", "verify", str(folder), code=1)
