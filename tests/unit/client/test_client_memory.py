"""What a client remembers from one process to the next, and what it then refuses or names."""

import json
import multiprocessing
import os

import pytest
from client_fakes import IDENTITY, FakeAppliance

from heldout.errors import NotFound, ProfileError, Unavailable, VerificationError
from heldout.memory import ClientMemory
from heldout.memory_file import memory_file
from heldout_proto.v1 import findings_pb2, seal_pb2

BUDGET = findings_pb2.GetBudgetResponse(budget=findings_pb2.Budget(epoch_id="epoch-1", releases_used=2))
METHOD = "/heldout.v1.FindingsService/GetBudget"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "state" / "me.json"


def appliance_with(**options):
    return FakeAppliance(answers={"GetBudget": BUDGET, "ListCards": findings_pb2.ListCardsResponse()}, **options)


async def ask(appliance, file):
    """Ask once, as a process of its own would, and return the client."""
    async with appliance.client(file) as client:
        await client.findings.budget()
    return client


def call_elsewhere(appliance, calls=1):
    """Have our identity call from somewhere that keeps another memory."""
    for _ in range(calls):
        appliance.logs["window"].add("intent", METHOD, identity=IDENTITY, role="trainer", decision="allow")


async def test_a_new_process_refuses_an_old_answer_with_its_old_receipt(file):
    appliance, kept = appliance_with(), []
    appliance.alter = lambda answer: kept.append(answer) or answer
    await ask(appliance, file)
    appliance.alter = lambda answer: kept[0]
    with pytest.raises(VerificationError, match="our call number 1 was answered again"):
        await ask(appliance, file)


async def test_a_new_process_notices_a_log_that_shrank_and_says_what_a_restore_needs(file):
    appliance = appliance_with()
    await ask(appliance, file)
    await ask(appliance, file)
    del appliance.logs["window"].leaves[:]
    with pytest.raises(
        VerificationError, match=r"a head of 2 entries came after one of 4.*names the entry.*--accept-restore"
    ):
        await ask(appliance, file)


async def test_a_new_process_notices_another_log_of_the_same_size(file):
    appliance = appliance_with()
    client = await ask(appliance, file)
    size = client.memory.size("window")
    log = appliance.logs["window"]
    log.leaves[0] = log.leaves[0].replace(b"1795572840", b"1795572900")
    with pytest.raises(VerificationError, match=f"two heads of {size} entries"):
        client.memory.keep("window", log.checkpoint())


async def test_an_auditor_has_it_proved_once_that_the_log_continues_what_it_remembers(file):
    appliance = appliance_with(role="auditor")
    await ask(appliance, file)
    assert proofs(appliance) == 0
    async with appliance.client(file) as client:
        await client.findings.budget()
        await client.findings.budget()
    assert proofs(appliance) == 1


async def test_an_auditor_refuses_a_longer_log_that_does_not_continue_the_remembered_one(file):
    appliance = appliance_with(role="auditor")
    await ask(appliance, file)
    log = appliance.logs["window"]
    log.leaves[0] = log.leaves[0].replace(b"1795572840", b"1795572900")
    with pytest.raises(VerificationError, match="does not continue"):
        await ask(appliance, file)


async def test_nobody_else_asks_for_proofs(file):
    appliance = appliance_with()
    await ask(appliance, file)
    await ask(appliance, file)
    assert proofs(appliance) == 0


async def test_a_head_of_the_other_log_is_held_against_the_remembered_one_too(file):
    appliance = appliance_with(role="auditor")
    for _ in range(3):
        appliance.logs["vault"].add("event", "start")
    async with appliance.client(file) as client:
        assert (await client.audit.head("vault")).head.size == 3
    appliance.logs["vault"].leaves.pop()
    async with appliance.client(file) as client:
        with pytest.raises(VerificationError, match="head of 2 entries came after one of 3"):
            await client.audit.head("vault")


async def test_an_auditor_has_it_proved_that_the_other_log_continues_too(file):
    appliance = appliance_with(role="auditor")
    for _ in range(3):
        appliance.logs["vault"].add("event", "start")
    async with appliance.client(file) as client:
        await client.audit.head("vault")
    appliance.logs["vault"].leaves.pop()
    for _ in range(3):
        appliance.logs["vault"].add("event", "stop")
    async with appliance.client(file) as client:
        with pytest.raises(VerificationError, match="does not continue"):
            await client.audit.head("vault")


def proofs(appliance):
    return sum(name.endswith("/GetConsistencyProof") for name, _ in appliance.calls)


async def test_calls_that_were_not_made_from_here_are_named_once(file):
    appliance = appliance_with()
    await ask(appliance, file)
    call_elsewhere(appliance, 2)
    client = await ask(appliance, file)
    (gap,) = client.memory.gaps
    assert (gap.half, gap.calls, gap.first, gap.last) == ("window", 2, 2, 3)
    assert str(gap) == (
        "2 calls in the window's log (among numbers 2 to 3) not made from here: another user of this certificate?"
    )
    assert (await ask(appliance, file)).memory.gaps == ()


async def test_what_came_before_the_first_answer_is_nobodys_gap(file):
    appliance = appliance_with()
    call_elsewhere(appliance, 5)
    assert (await ask(appliance, file)).memory.gaps == ()


async def test_calls_of_ours_without_an_answer_explain_their_numbers_and_no_more(file):
    appliance = appliance_with()
    await ask(appliance, file)
    appliance.answers["ListCards"] = NotFound("none", reason="NOT_FOUND")
    async with appliance.client(file) as client:
        with pytest.raises(NotFound):
            await client.findings.cards()
    assert (await ask(appliance, file)).memory.gaps == ()
    async with appliance.client(file) as client:
        with pytest.raises(NotFound):
            await client.findings.cards()
    call_elsewhere(appliance)
    (gap,) = (await ask(appliance, file)).memory.gaps
    assert gap.calls == 1


async def test_a_call_that_never_arrived_explains_no_later_gap(file):
    appliance = appliance_with()
    memory = remember(appliance, file)
    memory.fail(memory.begin("window"))  # no number was given out
    memory.close()
    await ask(appliance, file)
    call_elsewhere(appliance)
    assert len((await ask(appliance, file)).memory.gaps) == 1


async def test_a_failed_call_right_behind_an_answer_is_not_forgotten_with_those_before_it(file):
    appliance = appliance_with()
    memory = remember(appliance, file)
    for number in (1, 2):
        answered(memory, appliance, memory.begin("window"), number)  # within one turn of the file
    memory.fail(memory.begin("window"))
    memory.close()
    memory = remember(appliance, file)
    answered(memory, appliance, memory.begin("window"), 4)
    assert memory.gaps == ()


@pytest.mark.parametrize("reason", ["UNKNOWN_METHOD", "UNIMPLEMENTED"])
async def test_a_call_that_the_other_half_took_explains_a_number_in_its_log(file, reason):
    appliance = appliance_with()
    appliance.answers["GetSealStatus"] = seal_pb2.GetSealStatusResponse(
        status=seal_pb2.SealStatus(state=seal_pb2.SEAL_STATE_OPEN, provider=seal_pb2.KEY_PROVIDER_FILE)
    )
    async with appliance.client(file) as client:
        await client.seal.status()
        appliance.answers["GetBudget"] = Unavailable("not of this half", reason=reason)
        with pytest.raises(Unavailable):
            await client.findings.budget()
        appliance.logs["vault"].add("intent", "unknown-method", identity=IDENTITY)
    async with appliance.client(file) as client:
        await client.seal.status()
    assert client.memory.gaps == ()


def test_a_call_that_was_cut_off_explains_its_number(file):
    appliance = appliance_with()
    memory = remember(appliance, file)
    answered(memory, appliance, memory.begin("window"), 1)
    memory.begin("window")
    memory.close()  # as an interrupt does
    memory = remember(appliance, file)
    answered(memory, appliance, memory.begin("window"), 3)
    assert memory.gaps == ()


def remember(appliance, file):
    return ClientMemory(file, identity=IDENTITY, vkeys=appliance.vkeys)


def answered(memory, appliance, call, number):
    memory.finish(call, appliance.logs["window"].checkpoint(), number=number)


def test_answers_out_of_order_leave_no_gap(file):
    appliance = appliance_with()
    memory = remember(appliance, file)
    for numbers in ((3, 4, 1, 2), (7, 5, 6)):
        calls = [memory.begin("window") for _ in numbers]
        for call, number in zip(calls, numbers, strict=True):
            answered(memory, appliance, call, number)
    assert memory.gaps == ()


def test_a_call_under_way_in_another_process_is_no_gap_and_a_dead_one_is_none_either(file):
    appliance = appliance_with()
    first, second = remember(appliance, file), remember(appliance, file)
    answered(first, appliance, first.begin("window"), 1)
    slow = first.begin("window")
    answered(second, appliance, second.begin("window"), 3)
    assert second.gaps == ()
    answered(first, appliance, slow, 2)
    assert first.gaps == ()
    document = json.loads(file.read_text())
    assert document["logs"]["window"]["missing"] == []
    document["open"] = {f"{dead_process()}-0": {"window": 1}}
    file.write_text(json.dumps(document))
    third = remember(appliance, file)
    answered(third, appliance, third.begin("window"), 5)
    assert third.gaps == ()


def dead_process():
    process = multiprocessing.get_context("spawn").Process(target=int)
    process.start()
    process.join()
    return process.pid


def _count_many(file, vkeys, note, numbers):
    memory = ClientMemory(file, identity=IDENTITY, vkeys=vkeys)
    for number in numbers:
        memory.finish(memory.begin("window"), note, number=number)
    memory.close()


def test_two_processes_share_one_memory(file):
    appliance = appliance_with()
    appliance.logs["window"].add("event", "start")
    spawn = multiprocessing.get_context("spawn")
    note = appliance.logs["window"].checkpoint()
    workers = [
        spawn.Process(target=_count_many, args=(file, appliance.vkeys, note, range(first, 101, 2))) for first in (1, 2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    memory = remember(appliance, file)
    document = json.loads(file.read_text())
    assert document["logs"]["window"]["number"] == 100
    assert document["open"] == {}
    answered(memory, appliance, memory.begin("window"), 101)
    assert memory.gaps == ()


async def test_the_file_is_its_owners_alone(file):
    await ask(appliance_with(), file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert sorted(each.name for each in file.parent.iterdir()) == ["me.json", "me.json.lock"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"identity": "x"}'])
async def test_a_damaged_memory_is_not_begun_anew_without_a_word(file, content):
    appliance = appliance_with()
    await ask(appliance, file)
    file.write_bytes(content)
    with pytest.raises(ProfileError, match=r"me\.json: is damaged"):
        appliance.client(file)


async def test_a_head_that_was_changed_in_the_file_is_not_believed(file):
    appliance = appliance_with()
    await ask(appliance, file)
    file.write_text(file.read_text().replace("lab/window\\n2\\n", "lab/window\\n1\\n"))
    with pytest.raises(ProfileError, match="damaged"):
        appliance.client(file)


async def test_the_memory_of_somebody_else_is_refused(file):
    await ask(appliance_with(), file)
    with pytest.raises(ProfileError, match="another identity"):
        ClientMemory(file, identity="spiffe://heldout.example/other", vkeys=appliance_with().vkeys)


async def test_a_client_that_cannot_remember_works_and_says_so(tmp_path):
    (tmp_path / "state").write_text("in the way")
    client = await ask(appliance_with(), tmp_path / "state" / "me.json")
    assert client.memory.failure.startswith(f"{tmp_path / 'state'}: ")


def test_each_identity_and_appliance_has_a_file_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    vkeys = appliance_with().vkeys
    files = {
        memory_file(IDENTITY, vkeys),
        memory_file("spiffe://heldout.example/other", vkeys),
        memory_file(IDENTITY, vkeys | {"vault": vkeys["window"]}),
    }
    assert len(files) == 3
    assert all(file.parent == tmp_path / "heldout" / "clients" for file in files)
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert memory_file(IDENTITY, vkeys).is_relative_to(tmp_path / ".local" / "state")


def test_a_killed_writer_leaves_the_old_memory_whole(file, monkeypatch):
    appliance = appliance_with()
    memory = remember(appliance, file)
    before = file.read_bytes()

    def fail(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(KeyboardInterrupt):
        memory.begin("window")
    assert file.read_bytes() == before
