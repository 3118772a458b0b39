"""What people do with an appliance for as long as it lives, with faults, and with words that must not come out.

The words: one stands in every prompt, one in the template that is put around each (the system prompt), one in every
answer of the model, and one is put by callers into every field of every request, into metadata and into the names of
methods. What is called, and with what, follows from the contract's descriptors.
"""

import asyncio
import contextlib
import json
import random
import signal
from pathlib import Path

from aiohttp import web
from call_traces import Seen, make_call, make_message
from canary_scanner import CanaryScanner, children_of, core_files
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from recorded_channel import RecordedChannel

from heldout_proto.v1 import bank_pb2, findings_pb2
from heldout_server.api.contract import methods
from heldout_server.domain import Role
from served_appliance import prompt_rows, until

PROMPT_WORD = "quokkafjordzephyr"
ANSWER_WORD = "wombatglacierember"
REQUEST_WORD = "narwhaltundraprism"
TEMPLATE_WORD = "axolotlmeadowquartz"
SCANNER = CanaryScanner(PROMPT_WORD, ANSWER_WORD, REQUEST_WORD, TEMPLATE_WORD)

OTHERS = tuple(role.value for role in Role if role is not Role.BANK_TESTER)
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
GENERATED_CALLS = 300
FAILING_SOCKET = "run/failing.sock"
FAILING = f"""
[[runtimes.endpoints]]
engine = "failing"
socket = "{FAILING_SOCKET}"
model = "nova"
dialect = "openai"
"""
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


def write_checkpoint(served, name, *, seed=7, latency_ms=0, runtime="scripted", extra=None):
    folder = served.folder / "checkpoints" / name
    folder.mkdir()
    (folder / "checkpoint.toml").write_text(f'name = "{name}"\nline = "nova"\nruntime = "{runtime}"\n')
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
        self.cores = []
        self.searched = set()

    async def run(self, stack):
        served = self.served
        await self.fill_bank()
        await self.kill_in_a_run("nova-v1")
        for role in ("bank_tester", *OTHERS):
            channel = RecordedChannel(served.profile(role), f"127.0.0.1:{served.port}")
            self.channels[role] = await stack.enter_async_context(channel)
        self.look()
        await served.run_of("nova-v1")
        await self.run_on_an_endpoint_that_fails("nova-v4")
        write_checkpoint(served, "nova-v2", seed=8, extra={f"{ANSWER_WORD}.pkl": ANSWER_WORD.encode()})
        await self.cancel_a_run("nova-v3")
        await self.ask_everything()
        await self.ask_what_is_generated()
        self.look()

    async def kill_in_a_run(self, name):
        """End the process while it asks a model, by SIGABRT, which can leave a core file, and start it anew."""
        write_checkpoint(self.served, name, latency_ms=50)
        run = await self.served.run_of(name, states=("running",))
        tester = await self.served.client("bank_tester")
        async for progress in tester.runs.watch(run.run_id):
            if progress.finished_trials:
                break
        self.look()
        await self.served.forget_clients()
        self.served.process.send_signal(signal.SIGABRT)
        await self.served.ended()
        self.look()
        await self.served.start()

    async def run_on_an_endpoint_that_fails(self, name):
        """Run on a server that answers each prompt with an error which says back all that it was sent."""

        async def answer(request):
            asked = (await request.read()).decode()
            if "gift" in asked:
                error = {"message": asked + ANSWER_WORD, "code": ANSWER_WORD}
                return web.json_response({"error": error}, status=400, headers={"x-said": ANSWER_WORD})
            message = {"role": "assistant", "content": f"I can't help with that {ANSWER_WORD}."}
            return web.json_response({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.UnixSite(runner, str(self.served.folder / FAILING_SOCKET)).start()
            write_checkpoint(self.served, name, runtime="failing")
            tester = await self.served.client("bank_tester")

            async def is_staged():
                return any(one.name == name for one in await tester.checkpoints.list())

            await until(is_staged)
            await tester.runs.start((await tester.runs.propose(name, allow_exposed=True)).run_id)
            await self.served.run_of(name)
        finally:
            await runner.cleanup()
            (self.served.folder / FAILING_SOCKET).unlink()

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
        """Call every method as every role: with nothing, with the word in each field, with bytes that do not parse.

        The requests of a method go out together, so that their entries share the commits of the logs.
        """
        for role, channel in self.channels.items():
            for name, method in METHODS.items():
                words = [word for word in VARIANTS if (role, name, word) != ("trainer", OWN_TEXT, REQUEST_WORD)]
                requests = [one.SerializeToString() for word in words for one in worded(method.request, word)]
                await asyncio.gather(
                    channel.call(name, b"", metadata=(("x-note", REQUEST_WORD),)),
                    channel.call(name, b"\x0a\xff" + REQUEST_WORD.encode()),
                    *(channel.call(name, request) for request in requests),
                )
            await channel.call(f"/heldout.v1.BankService/{REQUEST_WORD}", REQUEST_WORD.encode())
            await self.ask_well(channel)

    async def ask_what_is_generated(self):
        """Make calls as a curious caller would: drawn from the descriptors, with what was answered before."""
        choose = random.Random(5).choice  # noqa: S311 - a workload that can be repeated
        seen = Seen()
        for _ in range(GENERATED_CALLS):
            call = make_call(choose, seen)
            told = await self.channels[call.role].tell(call.method, *call.requests)
            seen.learn(call.method, told.bodies)
        for name, method in METHODS.items():  # and the bank tester once each, well
            request = make_message(method.request, choose, seen, valid=True)
            await self.channels["bank_tester"].tell(name, request.SerializeToString())

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
        card = bank_pb2.ExamineCardRequest(title="A card", mechanism=f"Ask how to hide gift 1 of {PROMPT_WORD}.")
        await channel.call("/heldout.v1.BankService/ExamineCard", card.SerializeToString())
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
        self.cores += core_files(Path.cwd(), served.folder, served.temporary)
        self.searched |= {path.suffix for path in served.folder.rglob("*") if path.is_file()}
        self.found += SCANNER.find("stdout and stderr", served.said())
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # one may end at any moment
            for pid in (served.process.pid, *children_of(served.process.pid)):
                self.found += SCANNER.find_in_process(pid)
