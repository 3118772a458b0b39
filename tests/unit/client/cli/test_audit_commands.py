"""Commands for auditors: what holds, and what is caught."""

import hashlib

import pytest

from heldout.cli.verifying import _own_call
from heldout.verification import ExportReport
from heldout_proto.v1 import audit_pb2


@pytest.fixture
def audited(published):
    published("budget")
    published("findings")
    document = b"bits_per_prompt = 8\n"
    published.appliance.answers["GetPolicy"] = audit_pb2.GetPolicyResponse(
        release_toml=document, authorization_cedar=b"permit();", policy_digest=hashlib.sha256(document).hexdigest()
    )
    return published


def test_the_live_logs_verify_and_go_on_verifying(audited):
    out = audited("audit", "verify")
    assert out.count("✓ every entry hashes to the signed head") == 2
    assert "✓ 4 releases recorded before they were read" in out
    assert "seen before" not in out
    assert "✓ consistent with the head seen before" in audited("audit", "verify")
    assert "✓ consistent with the 2 heads seen before" in audited("audit", "verify")
    assert all(log["verified"] for log in audited.json("audit", "verify")["logs"])


def test_a_verification_names_its_own_call(audited):
    out = audited("audit", "verify")
    index = out.partition("own call for the head (entry ")[2].partition(")")[0]
    window = out.partition("log lab/window")[2]
    assert f"{int(index) + 1} entries" in window
    own = [log["own_intent"] for log in audited.json("audit", "verify")["logs"]]
    assert own[0] is None
    assert own[1] is not None


def test_a_call_of_somebody_else_is_not_taken_for_its_own(audited):
    window = audited.appliance.logs["window"]
    window.add("intent", "/heldout.v1.AuditService/GetTreeHead", identity="spiffe://x/other", role="auditor")
    report = ExportReport(
        origin="lab/window",
        size=len(window.leaves),
        root="",
        intents=1,
        outcomes=0,
        events=0,
        open_intents=(len(window.leaves) - 1,),
        counters={},
        releases=(),
        earlier_heads=0,
    )
    assert _own_call(report, window.leaves[-1], "spiffe://x/me") is None
    assert _own_call(report, window.leaves[-1], "spiffe://x/other") == len(window.leaves) - 1


def test_a_head_that_a_trainer_was_given_is_held_against_the_log(audited, tmp_path):
    file = tmp_path / "head.txt"
    file.write_text(audited.json("budget")["log_head"].rstrip("\n"))
    assert "✓ consistent with the head seen before" in audited("audit", "verify", "--head", str(file))
    folder = tmp_path / "export"
    audited("audit", "export", str(folder))
    assert "newer" not in audited("audit", "verify", str(folder), "--head", str(file))
    file.write_text(audited.json("budget")["log_head"])
    assert "newer than this export" in audited("audit", "verify", str(folder), "--head", str(file))


def test_a_head_of_another_log_under_the_same_key_is_caught(audited, tmp_path):
    """The trainer is shown one log, the auditor another: both are signed, and each is whole."""
    file = tmp_path / "head.txt"
    file.write_text(audited.json("budget")["log_head"])
    window = audited.appliance.logs["window"]
    window.leaves[0] = window.leaves[0].replace(b"1795572840", b"1795572900")
    assert "✓" in audited("audit", "verify")
    assert "do not hash to the root that was signed" in audited("audit", "verify", "--head", str(file), code=1)
    file.write_text("other/window\n1\n")
    assert "holds no head of a log" in audited("audit", "verify", "--head", str(file), code=2)


def test_a_log_that_was_rewritten_between_two_looks_is_caught(audited):
    audited("audit", "verify")
    vault = audited.appliance.logs["vault"]
    vault.leaves[0] = vault.leaves[0].replace(b"1795572840", b"1795572900")
    assert "does not verify" in audited("audit", "verify", code=1)


def test_a_release_that_the_log_does_not_hold_is_caught(audited):
    """Its own receipt is good, but the log that is given out is another one."""
    vault = audited.appliance.logs["vault"]
    honest = audited.appliance.answers["ListReleases"](b"")
    audited.appliance.answers["ListReleases"] = honest
    vault.leaves = vault.leaves[:2]
    assert "a head of 2 entries came after one of 4" in audited("audit", "verify", code=1)
    for _ in range(3):
        vault.add("event", "start")
    assert "do not hash to the root that was signed" in audited("audit", "verify", code=1)


def test_an_export_verifies_offline_and_not_after_a_change(audited, tmp_path):
    folder = tmp_path / "export"
    assert "lab/vault: 4 entries" in audited("audit", "export", str(folder))
    audited.appliance.answers.clear()  # nothing is asked from here on
    calls = len(audited.appliance.calls)
    assert audited("audit", "verify", str(folder)).count("✓ every entry") == 2
    assert "only one of the two logs is here" in audited("audit", "verify", str(folder / "vault"))
    assert len(audited.appliance.calls) == calls
    bundle = next((folder / "window" / "tile" / "entries").rglob("*.p/*"))
    bundle.write_bytes(bundle.read_bytes().replace(b"allow", b"denyx"))
    assert "does not verify" in audited("audit", "verify", str(folder), code=1)


def test_an_export_of_another_appliance_or_of_nothing(audited, tmp_path):
    folder = tmp_path / "export"
    audited("audit", "export", str(folder))
    note = folder / "vault" / "checkpoint"
    note.write_text(note.read_text().replace("lab/vault", "other/vault"))
    assert "not a log of this profile" in audited("audit", "verify", str(folder), code=1)
    assert "no such folder" in audited("audit", "verify", str(tmp_path / "none"), code=2)
    (tmp_path / "empty").mkdir()
    assert "holds no exported log" in audited("audit", "verify", str(tmp_path / "empty"), code=2)
    assert "is not empty" in audited("audit", "export", str(folder), code=1)


def test_heads_that_cannot_be_kept_are_said(audited, tmp_path):
    (tmp_path / "state").mkdir(exist_ok=True)
    (tmp_path / "state" / "heldout").write_text("in the way")
    assert "! this head could not be kept" in audited("audit", "verify")


def test_single_entries_and_the_policy(audited):
    assert "release-v1-1" in audited("audit", "tail", "--log", "vault", "-n", "5")
    assert len(audited.json("audit", "tail", "-n", "3")) == 3
    assert "included in the signed head" in audited("audit", "show", "0", "--log", "vault")
    assert "0 to " in audited("audit", "show", "999", code=1)
    assert "bits_per_prompt = 8" in audited("audit", "policy")
    assert "--log is vault or window" in audited("audit", "tail", "--log", "x", code=2)


def test_an_entry_whose_proof_is_wrong(audited):
    audited.appliance.answers["GetInclusionProof"] = audit_pb2.GetInclusionProofResponse(hashes=[b"x" * 32])
    assert "does not verify" in audited("audit", "show", "0", "--log", "vault", code=1)


def test_the_tail_of_an_export_is_shown_once_it_verifies(audited, tmp_path):
    folder = tmp_path / "export"
    audited("audit", "export", str(folder))
    assert "release-v1-1" in audited("audit", "tail", str(folder), "--log", "vault", "-n", "5")
    assert len(audited.json("audit", "tail", str(folder), "-n", "2")) == 2
    bundle = next(path for path in sorted((folder / "vault").rglob("entries/**/*")) if path.is_file())
    content = bytearray(bundle.read_bytes())
    content[-2] ^= 1
    bundle.write_bytes(bytes(content))
    assert "does not verify" in audited("audit", "tail", str(folder), "--log", "vault", code=1)
