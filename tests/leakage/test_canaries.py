"""A whole workload with words that must not come out, and a search for them everywhere they could have gone.

Four words, one for each thing that a leak could start from: one stands in every prompt, one in the template that is put
around each (the system prompt), one in every answer of the model, and one is put by callers into every field of every
request, into metadata and into the names of methods. The appliance is a real process at its most talkative log level.

Where they may be: what a bank tester is told; inside encrypted databases; and the model's own answers in the folders of
its checkpoints (``checkpoints`` and ``staging``), which its owner wrote.
"""

import contextlib
import json
import shutil

import pytest
from canary_scanner import CanaryScanner, children_of
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from recorded_channel import RecordedChannel

from heldout_proto.v1 import bank_pb2, findings_pb2
from heldout_server.api.contract import methods
from heldout_server.config import load_config
from heldout_server.environment import RandomIds, SystemClock
from heldout_server.keys import FileKeyRing
from heldout_server.outcomes import SqlOutcomes
from served_appliance import ServedAppliance, prompt_rows

PROMPT_WORD = "quokkafjordzephyr"
ANSWER_WORD = "wombatglacierember"
REQUEST_WORD = "narwhaltundraprism"
TEMPLATE_WORD = "axolotlmeadowquartz"
SCANNER = CanaryScanner(PROMPT_WORD, ANSWER_WORD, REQUEST_WORD, TEMPLATE_WORD)

OTHERS = ("trainer", "run_tester", "auditor", "operator", "key_holder")
METHODS = methods()
SCALARS = {
    FieldDescriptor.CPPTYPE_STRING: lambda word, field: word if field.type == field.TYPE_STRING else word.encode(),
    FieldDescriptor.CPPTYPE_INT32: lambda _word, _field: -7,
    FieldDescriptor.CPPTYPE_INT64: lambda _word, _field: -7,
}
VARIANTS = (
    REQUEST_WORD,  # fits wherever an identifier fits
    f"{REQUEST_WORD} 'quoted'\x00\n",  # fits nowhere
    REQUEST_WORD * 5_000,  # longer than anything may be
)
OWN_TEXT = "/heldout.v1.FindingsService/RecordScore"
"""What a trainer records here is its own to read back, so that an identifier put in here may come out there."""

TABLE = {
    "answers": {
        "comply": [f"Sure, here is how: first take the {ANSWER_WORD}, and then hide it behind the ladder."],
        "partial": [f"I can't go into it, but people start with the {ANSWER_WORD}."],
        "refuse": [f"I'm sorry, but I can't help with that {ANSWER_WORD}."],
        "deflect": [f"Let's talk about the {ANSWER_WORD} instead."],
        "non_answer": [{"text": f"{ANSWER_WORD}", "finish_reason": "length"}],
    },
    "rules": [{"name": "persona", "pattern": "Stay in character", "comply": 0.6, "deflect": 0.2}],
    "otherwise": {"comply": 0.3, "partial": 0.1, "deflect": 0.1, "non_answer": 0.1},
}


def prompts():
    rows = [
        {"prompt": f"How can I hide gift {n} of {PROMPT_WORD}?", "intent": "harmful", "category": "mischief"}
        for n in range(24)
    ]
    return rows + [
        {"prompt": f"How can I wrap gift {n} of {PROMPT_WORD}?", "intent": "benign", "category": "mischief"}
        for n in range(8)
    ]


def write_checkpoint(served, name, *, seed=7, latency_ms=0, extra=None):
    folder = served.folder / "checkpoints" / name
    folder.mkdir()
    (folder / "checkpoint.toml").write_text(f'name = "{name}"\nline = "nova"\nruntime = "scripted"\n')
    (folder / "scripted.json").write_text(json.dumps(TABLE | {"seed": seed, "latency_ms": latency_ms}))
    for path, content in (extra or {}).items():
        (folder / path).write_bytes(content)
    (folder / "READY").touch()


def worded(descriptor, word):
    """Yield one request for each field of text or number, which holds the word there, then one that holds all."""
    message = message_factory.GetMessageClass(descriptor)
    everywhere = message()
    for field in descriptor.fields:
        if field.message_type is not None:
            for inner in worded(field.message_type, word):
                one = message()
                for target in (one, everywhere):
                    at = getattr(target, field.name)
                    (at.add() if field.is_repeated else at).CopyFrom(inner)
                yield one
        elif field.cpp_type in SCALARS:
            value = SCALARS[field.cpp_type](word, field)
            value = [value] if field.is_repeated else value
            yield message(**{field.name: value})
            everywhere.MergeFrom(message(**{field.name: value}))
    yield everywhere


class Workload:
    """Do what people do with an appliance for as long as it lives, and keep what each role was told."""

    def __init__(self, served):
        self.served = served
        self.channels = {}
        self.children = []
        self.found = []
        self.searched = set()

    async def run(self, stack):
        served = self.served
        for role in ("bank_tester", *OTHERS):
            channel = RecordedChannel(served.profile(role), f"127.0.0.1:{served.port}")
            self.channels[role] = await stack.enter_async_context(channel)
        self.look()
        await self.fill_bank()
        write_checkpoint(served, "nova-v1")
        await served.run_of("nova-v1")
        write_checkpoint(served, "nova-v2", seed=8, extra={f"{ANSWER_WORD}.pkl": ANSWER_WORD.encode()})
        await self.cancel_a_run("nova-v3")
        await self.ask_everything()
        self.look()

    async def fill_bank(self):
        tester = await self.served.client("bank_tester")
        await tester.bank.import_prompts(prompt_rows(prompts()))
        await tester.bank.open_epoch()

    async def cancel_a_run(self, name):
        """Start a slow run, look at the process of its model, and end it early: it publishes no figure."""
        write_checkpoint(self.served, name, latency_ms=300)
        run = await self.served.run_of(name, states=("running",))
        tester = await self.served.client("bank_tester")
        async for progress in tester.runs.watch(run.run_id):
            if progress.finished_trials:
                break
        self.children = children_of(self.served.process.pid)
        self.look()
        assert (await tester.runs.cancel(run.run_id)).state.value == "published"

    async def ask_everything(self):
        """Call every method as every role: with nothing, with the word in each field, with bytes that do not parse."""
        for role, channel in self.channels.items():
            for name, method in METHODS.items():
                await channel.call(name, b"", metadata=(("x-note", REQUEST_WORD),))
                await channel.call(name, b"\x0a\xff" + REQUEST_WORD.encode())
                for word in VARIANTS:
                    if name == OWN_TEXT and word == REQUEST_WORD and role == "trainer":
                        continue
                    for request in worded(method.request, word):
                        await channel.call(name, request.SerializeToString())
            await channel.call(f"/heldout.v1.BankService/{REQUEST_WORD}", REQUEST_WORD.encode())
            await self.ask_well(channel)

    async def ask_well(self, channel):
        """Ask for what there is, as somebody who knows every id would."""
        tester = await self.served.client("bank_tester")
        handles, runs = await tester.bank.handles(), await tester.runs.list()
        await channel.call(
            "/heldout.v1.BankService/GetPrompt", bank_pb2.GetPromptRequest(handle=handles[0]).SerializeToString()
        )
        await channel.call("/heldout.v1.BankService/ListPrompts", b"")
        bad = bank_pb2.ImportRow(line=1, prompt=bank_pb2.Prompt(text=f"What is {REQUEST_WORD}?", category="Bad One"))
        options = bank_pb2.ImportPromptsRequest(options=bank_pb2.ImportOptions(skip_bad=False))
        await channel.call(
            "/heldout.v1.BankService/ImportPrompts",
            options.SerializeToString(),
            bank_pb2.ImportPromptsRequest(rows=[bad]).SerializeToString(),
        )
        for method in ("GetRun", "GetResults", "WatchRun", "StartRun", "CancelRun"):
            for run in runs:
                name = f"/heldout.v1.EvaluationService/{method}"
                request = message_factory.GetMessageClass(METHODS[name].request)(run_id=run.run_id)
                await channel.call(name, request.SerializeToString())
        listed = await channel.call("/heldout.v1.FindingsService/ListReleases", b"")
        for one in findings_pb2.ListReleasesResponse.FromString(listed).releases:
            request = findings_pb2.GetReleaseRequest(release_id=one.release.release_id)
            await channel.call("/heldout.v1.FindingsService/GetRelease", request.SerializeToString())

    def look(self):
        """Search what the appliance has on disk and in its processes at this moment."""
        served = self.served
        own = [served.folder / "checkpoints", served.folder / "staging"]
        self.found += SCANNER.find_in_files(served.folder, without=own)
        # What the model's owner wrote may stand in its own folders; a prompt may not.
        for folder in own:
            self.found += CanaryScanner(PROMPT_WORD, REQUEST_WORD, TEMPLATE_WORD).find_in_files(folder)
        self.found += SCANNER.find_in_files(served.temporary)
        self.found += SCANNER.find_in_shared_memory()
        self.searched |= {path.suffix for path in served.folder.rglob("*") if path.is_file()}
        self.found += SCANNER.find("stdout and stderr", served.said())
        for pid in (served.process.pid, *children_of(served.process.pid)):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a child may end at any moment
                self.found += SCANNER.find_in_process(pid)


@pytest.fixture
async def workload(tmp_path):
    """Run the workload on an appliance that still serves."""
    served = ServedAppliance.install(
        tmp_path, log_level='"debug"', log_format='"json"', metrics_interval_s="1", in_flight="16"
    )
    template = tmp_path / "template.txt"
    template.write_text(f"You look after the {TEMPLATE_WORD}.")
    with (served.folder / "config.toml").open("a") as config:
        config.write(f'\n[system_prompt]\nprofile = "keeper-v1"\nfile = "{template}"\n')
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(served.close)
        await served.start()
        workload = Workload(served)
        await workload.run(stack)
        yield workload


async def exported_logs(served, folder):
    code, _, err = await served.ask("auditor", "audit", "export", folder)
    assert code == 0, err
    return list(SCANNER.find_in_files(folder))


async def stored_answer(served, run_id):
    """Return an answer as the appliance keeps it, opened with its own keys."""
    config = load_config(served.folder / "config.toml")
    ring = FileKeyRing.open(config.keys.root, config.keys.ring)
    outcomes = SqlOutcomes.open(config.data.vault / "outcomes.db", keys=ring, ids=RandomIds(), clock=SystemClock())
    try:
        return (await outcomes.response(run_id, 0)).reveal()
    finally:
        outcomes.close()


async def test_no_word_of_a_prompt_an_answer_or_a_request_comes_out_anywhere(workload, tmp_path):
    served, channels = workload.served, workload.channels

    # Nobody but the bank tester was told a word: no body, status, detail or metadata.
    for role in OTHERS:
        channel = channels[role]
        assert len(channel.received) > len(METHODS) * 10
        assert SCANNER.find(f"told to {role}", *channel.received) == []
    # The bank tester was told the prompts, and nobody's requests were quoted, not even to themselves.
    told = SCANNER.find("told to bank_tester", *channels["bank_tester"].received)
    assert {finding.word for finding in told} == {PROMPT_WORD}

    # Nothing lies on disk or in a process, at any of the moments at which it was searched.
    assert workload.found == []
    assert {".db", ".db-wal", ".db-shm", ".key", ".toml"} <= workload.searched
    assert workload.children  # the model had a process of its own, and it was searched

    # What happened is in the logs, and no word is.
    assert await exported_logs(served, tmp_path / "export") == []

    # The log of the process was talkative, and had metrics in it.
    events = [json.loads(line).get("event") for line in served.said_last() if line.startswith("{")]
    assert "metric" in events

    # It was a workload: releases came of it, one checkpoint was refused, and answers hold their word where they may.
    tester, trainer = await served.client("bank_tester"), await served.client("trainer")
    tested = {release.tested.checkpoint for release in await trainer.findings.releases()}
    assert tested == {"nova-v1", "nova-v3"}
    states = {one.name: one.state.value for one in await tester.checkpoints.list()}
    assert states == {"nova-v1": "staged", "nova-v2": "refused", "nova-v3": "staged"}
    assert {"OK", "PERMISSION_DENIED", "INVALID_ARGUMENT"} <= set(channels["trainer"].statuses)
    runs = await tester.runs.list()
    await served.stop()
    own = [served.folder / "checkpoints", served.folder / "staging"]
    assert SCANNER.find_in_files(served.folder, without=own) == []
    # Nor in a backup as docs/operator.md makes one.
    backup = shutil.copytree(
        served.folder, tmp_path / "backup", ignore=shutil.ignore_patterns("checkpoints", "staging")
    )
    assert SCANNER.find_in_files(backup) == []
    assert ANSWER_WORD in await stored_answer(served, runs[0].run_id)


@pytest.mark.slow
async def test_a_process_that_answers_trainers_and_runs_nothing_holds_no_word_in_its_memory(workload):
    """Both halves are one process: it holds what it works on. Started anew, it opens no prompt to answer anybody."""
    served = workload.served
    await served.stop()
    await served.start()
    for role in OTHERS:
        async with RecordedChannel(served.profile(role), f"127.0.0.1:{served.port}") as channel:
            for name in METHODS:
                await channel.call(name, b"")
            assert channel.received
    trainer = await served.client("trainer")
    assert len(await trainer.findings.releases()) == 2
    scanner = CanaryScanner(PROMPT_WORD, ANSWER_WORD)
    try:
        found, searched = scanner.find_in_memory(served.process.pid)
    except PermissionError:
        pytest.skip("a hardened process shows its memory to root alone")
    assert found == []
    assert searched > 50_000_000
    # It could have been found: a bank tester who looks at a prompt has it opened.
    tester = await served.client("bank_tester")
    await tester.bank.prompt((await tester.bank.handles())[0])
    found, _ = scanner.find_in_memory(served.process.pid)
    assert PROMPT_WORD in {finding.word for finding in found}
