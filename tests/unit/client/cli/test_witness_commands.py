"""The witness as typed: its key, its work, and what an auditor then sees of it."""

import hashlib
import tomllib

import pytest
from auditor_fakes import make_auditable

from heldout.cli import run
from heldout.errors import InvalidRequest, Unavailable
from heldout.verification.cosignature import WitnessKey, cosigned_at
from heldout_proto.v1 import audit_pb2

NAME = "witness.example/one"


@pytest.fixture
def audited(heldout, published):
    make_auditable(heldout.appliance)
    heldout.appliance.answers["AddCosignature"] = audit_pb2.AddCosignatureResponse(tree_size=1)
    return heldout


@pytest.fixture
def witness(audited, tmp_path):
    """Run the witness with its own key and state."""
    vkey = audited.json("witness", "keygen", str(tmp_path / "witness.key"), "--name", NAME)["vkey"]

    def work(*words, code=0):
        place = ["--key", str(tmp_path / "witness.key"), "--state", str(tmp_path / "witness")]
        return audited("witness", "run", *place, "--once", *words, code=code)

    work.vkey = vkey
    return work


def handed_in(appliance):
    requests = [body for name, body in appliance.calls if name.endswith("/AddCosignature")]
    return [audit_pb2.AddCosignatureRequest.FromString(body) for body in requests]


def test_the_public_key_is_printed_for_the_policy(audited, tmp_path):
    out = audited("witness", "keygen", str(tmp_path / "k"), "--name", NAME)
    section = tomllib.loads(out[out.index("[witness]") :])["witness"]
    assert WitnessKey.parse(section["keys"][0]).name == NAME
    assert section["maximum_age_s"] == 86_400
    assert "exists" in audited("witness", "keygen", str(tmp_path / "k"), "--name", NAME, code=1)


def test_both_logs_are_cosigned_and_handed_in(audited, witness, tmp_path):
    assert "begin with --begin" in witness(code=1)
    out = witness("--begin", "--out", str(tmp_path / "out"))
    assert out.count(" entries cosigned, ") == 2
    notes = [request.note for request in handed_in(audited.appliance)]
    key = WitnessKey.parse(witness.vkey)
    assert [cosigned_at(note, key) > 0 for note in notes] == [True, True]
    assert {file.read_text() for file in (tmp_path / "out").iterdir()} == set(notes)
    assert "cosigned" in witness("--log", "window", "--keep")
    assert len(handed_in(audited.appliance)) == 2
    assert "--log is" in witness("--log", "x", code=2)


def test_a_fork_is_not_cosigned_and_nothing_is_handed_in(audited, witness, tmp_path):
    witness("--begin")
    vault = audited.appliance.logs["vault"]
    vault.leaves[0] = vault.leaves[0].replace(b"1795572840", b"1795572900")
    vault.add("event", "stop")
    before = len(handed_in(audited.appliance))
    assert "Not cosigned; kept as evidence" in witness("--log", "vault", code=1)
    assert len(handed_in(audited.appliance)) == before
    assert list((tmp_path / "witness").glob("*.fork-*"))


def test_an_appliance_that_does_not_trust_it_is_told_of_and_the_rest_is_done(audited, witness):
    audited.appliance.answers["AddCosignature"] = InvalidRequest("no", reason="INVALID_REQUEST")
    assert "cosigned" in witness("--begin")
    assert audited.notes.count("does not name this witness") == 2
    audited.appliance.answers["AddCosignature"] = Unavailable("of another version", reason="UNKNOWN_METHOD")
    assert "cosigned" in witness()
    assert "of another version" in audited.notes
    audited.appliance.answers["AddCosignature"] = Unavailable("away", reason="UNREACHABLE")
    assert "away" in witness(code=1)


def test_it_goes_on_looking_and_waits_longer_while_nobody_answers(audited, witness, tmp_path, capsys):
    witness("--begin")
    honest, pauses = audited.appliance.answers["GetTreeHead"], []

    def pause(seconds):
        pauses.append(seconds)
        audited.appliance.answers["GetTreeHead"] = honest if len(pauses) == 2 else Unavailable("away", reason="X")
        if len(pauses) == 3:
            raise KeyboardInterrupt

    capsys.readouterr()
    code = run(
        ["--profile", str(audited.profile), "witness", "run", "--key", str(tmp_path / "witness.key"), "--state",
         str(tmp_path / "witness"), "--every", "5"],
        connector=lambda _profile: audited.appliance.blocking_client(),
        pause=pause,
    )  # fmt: skip
    assert (code, pauses) == (130, [5.0, 10.0, 5.0])
    assert "note: away; again in 10 s" in capsys.readouterr().err


# What an auditor sees


@pytest.fixture
def trusting(audited, witness):
    """Have the policy in force name the witness, and hand out what it signed."""
    document = f'bits_per_prompt = 8\n[witness]\nkeys = ["{witness.vkey}"]\nmaximum_age_s = 86400\n'.encode()
    policy = audited.appliance.answers["GetPolicy"]
    old, policy.release_toml = policy.policy_digest, document
    policy.policy_digest = hashlib.sha256(document).hexdigest()
    for log in audited.appliance.logs.values():
        log.leaves = [leaf.replace(old.encode(), policy.policy_digest.encode()) for leaf in log.leaves]
    audited.appliance.decided["policy_digest"] = policy.policy_digest
    honest = audited.appliance.answers["GetTreeHead"]

    def head(request):
        answer = honest(request)
        asked = audit_pb2.GetTreeHeadRequest.FromString(request).log
        notes = [each.note for each in handed_in(audited.appliance) if each.log == asked]
        answer.cosigned_checkpoint = notes[-1] if notes else ""
        return answer

    audited.appliance.answers["GetTreeHead"] = head
    return audited


def test_an_auditor_sees_who_cosigned_and_who_did_not(trusting, witness):
    assert trusting("audit", "verify").count("! no cosignature of a trusted witness (policy allows 24 h)") == 2
    witness("--begin")
    out = " ".join(trusting("audit", "verify").split())
    assert out.count(f"cosigned by {NAME} at ") == 2
    assert "policy allows" not in out
    trusting.appliance.logs["vault"].add(
        "intent", "/a/B", identity="x", role="auditor", decision="allow", rules=[], policy_digest="p"
    )
    late = trusting.appliance.logs["vault"].leaves
    late[-1] = late[-1].replace(b"1795572840", b"4000000020")
    assert "! last cosigned by" in " ".join(trusting("audit", "verify", code=1).split())


def test_a_cosigned_head_must_be_of_the_log_too(trusting, witness, tmp_path):
    witness("--begin")
    vault = trusting.appliance.logs["vault"]
    vault.leaves[1] = vault.leaves[1].replace(b"1795572840", b"1795572900")
    for _ in range(3):
        vault.add("event", "stop")
    folder = tmp_path / "export"
    trusting("audit", "export", str(folder))
    assert "do not hash to the root" in trusting("audit", "verify", str(folder), code=1)
