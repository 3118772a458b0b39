"""An appliance that went back: found by the numbers of our calls, remembered, and accepted by a person alone."""

import copy
import json

import pytest
from client_fakes import IDENTITY, FakeAppliance

from heldout.errors import ProfileError, VerificationError
from heldout.memory import ClientMemory
from heldout_proto.v1 import findings_pb2

ANSWERS = {
    "GetBudget": findings_pb2.GetBudgetResponse(budget=findings_pb2.Budget(epoch_id="epoch-1", releases_used=2)),
    "ListCards": findings_pb2.ListCardsResponse(),
}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "me.json"


@pytest.fixture
def appliance():
    return FakeAppliance(answers=ANSWERS)


async def ask(appliance, file):
    async with appliance.client(file) as client:
        await client.findings.budget()
    return client


async def restored(appliance, file, *, calls=3, since=0):
    """Answer calls, go back to a copy that was taken before them, and let others make the log grow."""
    await ask(appliance, file)
    image = copy.deepcopy(appliance.logs)
    for _ in range(calls):
        await ask(appliance, file)
    appliance.logs = image
    for _ in range(since):
        appliance.logs["window"].add("event", "start")


async def test_a_number_that_was_answered_before_shows_a_restore_in_a_log_that_has_grown_past_what_was_seen(
    appliance, file
):
    await restored(appliance, file, since=20)
    with pytest.raises(VerificationError) as refused:
        await ask(appliance, file)
    assert "our call number 2 was answered after number 4, in the window's log" in str(refused.value)
    assert "--accept-restore" in str(refused.value)
    assert "\n" not in str(refused.value)


async def test_it_is_said_of_every_later_call_without_asking_however_far_the_log_has_come(appliance, file):
    await restored(appliance, file)
    with pytest.raises(VerificationError) as first:
        await ask(appliance, file)
    for _ in range(50):
        appliance.logs["window"].add("intent", "x", identity=IDENTITY)
    asked = len(appliance.calls)
    async with appliance.client(file) as client:
        for call in (client.findings.budget, client.findings.cards, client.seal.status):
            with pytest.raises(VerificationError) as again:
                await call()
            assert str(again.value) == str(first.value)
    assert len(appliance.calls) == asked


async def test_a_client_that_is_at_work_meanwhile_finds_it_too(appliance, file):
    async with appliance.client(file) as client:
        await client.findings.budget()
        image = copy.deepcopy(appliance.logs)
        await client.findings.budget()
        appliance.logs = image
        for _ in range(20):
            appliance.logs["window"].add("event", "start")
        with pytest.raises(VerificationError, match="number 2 was answered again"):
            await client.findings.budget()


async def test_another_process_that_is_at_work_hears_of_it(appliance, file):
    async with appliance.client(file) as elsewhere:
        await restored(appliance, file)
        with pytest.raises(VerificationError):
            await ask(appliance, file)
        asked = len(appliance.calls)
        with pytest.raises(VerificationError, match="went back"):
            await elsewhere.findings.budget()
    assert len(appliance.calls) == asked


async def test_a_fork_at_the_remembered_size_is_remembered_once_the_log_has_grown(appliance, file):
    client = await ask(appliance, file)
    forked = copy.deepcopy(appliance.logs["window"])
    forked.leaves[0] = forked.leaves[0].replace(b"1795572840", b"1795572900")
    with pytest.raises(VerificationError, match="two heads of 2 entries"):
        client.memory.keep("window", forked.checkpoint())
    with pytest.raises(VerificationError, match="two heads of 2 entries"):
        await ask(appliance, file)


async def test_an_auditor_keeps_what_was_not_proved(file):
    appliance = FakeAppliance(answers=ANSWERS, role="auditor")
    await ask(appliance, file)
    log = appliance.logs["window"]
    log.leaves[0] = log.leaves[0].replace(b"1795572840", b"1795572900")
    for _ in range(2):
        with pytest.raises(VerificationError, match="does not continue"):
            await ask(appliance, file)


async def test_both_signed_heads_are_kept_as_evidence(appliance, file):
    client = await ask(appliance, file)
    before = client.memory.head("window")
    await restored(appliance, file)
    with pytest.raises(VerificationError):
        await ask(appliance, file)
    setback = json.loads(file.read_text())["logs"]["window"]["setback"]
    assert setback["before"] != before
    for note in (setback["before"], setback["after"]):
        assert note.startswith("lab/window\n")
    file.write_text(file.read_text().replace(setback["after"].split("\n")[2], "A" * 43 + "="))
    with pytest.raises(ProfileError, match="damaged"):
        appliance.client(file)


async def test_once_it_is_accepted_calls_go_on_and_what_was_known_lies_beside(appliance, file):
    await restored(appliance, file)
    with pytest.raises(VerificationError):
        await ask(appliance, file)
    known = file.read_bytes()
    aside = remember(appliance, file).accept_restore()
    assert aside == file.with_name("me.before-restore-1.json")
    assert aside.read_bytes() == known
    for _ in range(2):
        assert (await ask(appliance, file)).memory.gaps == ()
    await restored(appliance, file)
    with pytest.raises(VerificationError, match="went back"):
        await ask(appliance, file)
    assert remember(appliance, file).accept_restore() == file.with_name("me.before-restore-2.json")


async def test_a_process_that_knew_more_than_the_restore_does_not_bring_it_back(appliance, file):
    elsewhere = remember(appliance, file)
    await restored(appliance, file)
    elsewhere.finish(elsewhere.begin("window"), appliance.logs["window"].checkpoint(), number=9)
    with pytest.raises(VerificationError):
        await ask(appliance, file)
    remember(appliance, file).accept_restore()
    elsewhere.close()
    assert (await ask(appliance, file)).memory.number("window") == 3


def remember(appliance, file):
    return ClientMemory(file, identity=IDENTITY, vkeys=appliance.vkeys)
