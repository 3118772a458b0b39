"""``heldout memory``: what is remembered, and a restore that is accepted, without a call."""

import json

import pytest
from client_fakes import IDENTITY

from heldout.errors import VerificationError
from heldout.memory import ClientMemory
from heldout.memory_file import memory_file


@pytest.fixture
def memory(heldout):
    """The memory of the profile's client after its twelfth call."""
    vkeys = heldout.appliance.vkeys
    memory = ClientMemory(memory_file(IDENTITY, vkeys), identity=IDENTITY, vkeys=vkeys)
    log = heldout.appliance.logs["window"]
    log.add("event", "start")
    memory.finish(memory.begin("window"), log.checkpoint(), number=12)
    memory.close()
    return memory


def go_back(memory):
    with pytest.raises(VerificationError):
        memory.refuse("window", "our call number 7 was answered after number 12", memory.head("window"))


def test_it_shows_where_and_what_without_a_call(heldout, memory):
    out = heldout("memory")
    assert "window             1             12" in out
    assert "vault           none           none" in out
    assert memory.file.name in out
    assert heldout.json("memory") == {
        "file": str(memory.file),
        "logs": {"vault": {"entries": 0, "number": 0}, "window": {"entries": 1, "number": 12}},
        "setback": None,
    }
    assert heldout.appliance.calls == []


def test_a_setback_is_shown_and_exits_with_1(heldout, memory):
    go_back(memory)
    out = " ".join(heldout("memory", code=1).split())
    assert "! the appliance went back" in out
    assert "our call number 7 was answered after number 12, in the window's log" in out
    assert "heldout memory --accept-restore" in out


def test_accepting_says_what_and_where_the_evidence_is(heldout, memory):
    go_back(memory)
    out = heldout("memory", "--accept-restore")
    assert "accepted: our call number 7 was answered after number 12" in out
    aside = memory.file.with_name(f"{memory.file.stem}.before-restore-1.json")
    assert aside.name in out
    assert json.loads(aside.read_text())["logs"]["window"]["setback"]["half"] == "window"
    assert "window          none           none" in heldout("memory")
    again = heldout("memory", "--accept-restore", code=1)
    assert again == "heldout: nothing to accept: this client has not seen the appliance go back\n"


def test_a_memory_that_cannot_be_kept_is_said(heldout, tmp_path):
    (tmp_path / "state").write_text("in the way")
    assert "nothing can be remembered" in heldout("memory", code=1)
