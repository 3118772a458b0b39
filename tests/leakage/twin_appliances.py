"""Two appliances in one process that differ only in what must not show: in texts of prompts, or in how a model talks.

Everything else is brought in equal: keys, certificates, policy and empty databases (one folder is installed and
copied), the clock, names, noise, and every random byte (all bytes are the same one, so that salts, nonces and the order
of an epoch are equal whatever draws them, and when). Two things need a word:

- A bank's fingerprints are keyed digests of texts, and stand in a salted digest that auditors see. Under a secret key
  and salt nobody tells them from noise; with equal keys they would differ, as they should. So they are made equal:
  the twins' fingerprints are over the number of a prompt instead of its text.
- The banks are filled with no server running: the log keeps a keyed digest of every request, and that of an import is
  over the texts.

A model lets the injected clock run while it answers, as long as nobody calls. The next call comes once every run of
both twins waits for its slot, and at the same time by both clocks: what the order of their steps would be is left to no
chance.
"""

import asyncio
import contextlib
import dataclasses
import json
import logging
import re
import shutil
from typing import ClassVar

import pytest
import structlog
from recorded_channel import RecordedChannel
from still_environment import BEGIN_S, CountedIds, KnownNoise, Lines, NumberedFingerprints, StillClock, same_bytes

from heldout.profile import read_profile
from heldout_server.app import anchors, upkeep, vault
from heldout_server.app.halves import pick
from heldout_server.app.serving import serve
from heldout_server.app.tools import Environment
from heldout_server.attack.setting import Setting
from heldout_server.bank import SqlBank, intake
from heldout_server.config import load_config
from heldout_server.domain import Intent, PromptDraft, Role, SecretText
from heldout_server.evaluation import Evaluation
from heldout_server.installation import install
from heldout_server.keys import FileKeyRing
from heldout_server.ports.bank import DraftRow
from heldout_server.runtimes.scripted import serve as serve_model
from heldout_server.runtimes.table import ScriptedTable
from heldout_server.telemetry import configure_logging, configure_telemetry
from lab_texts import TABLE
from served_appliance import until

SOCKETS = shutil.ignore_patterns("*.sock")

ENDPOINT = """
[[runtimes.endpoints]]
engine = "lab"
socket = "run/lab.sock"
model = "nova"
dialect = "openai"
"""
SETTINGS = {
    "auto_run": "false",
    "poll_s": "0.05",
    "isolation": '"none"',
    "techniques": '["plain", "fiction", "persona"]',
    "in_flight": "8",
}
STACKS = re.compile(r"^# stacks = \[\n(#.*\n)*?# \]\n", re.MULTILINE)
HARMFUL, BENIGN = 12, 6
HANDLES_FROM = 0x1000
HANDLES = tuple(f"prompt-{HANDLES_FROM + place:016x}" for place in range(HARMFUL + BENIGN))
CHECKPOINTS = ("nova-v1", "nova-v2")
RELEASES = 50  # of an epoch: as many runs as a long trace begins, or nearly
SHORT = TABLE["answers"]
LONG = {
    "comply": [SHORT["comply"][0] + " After that, fold the wrapping paper twice, and put the ladder away again." * 5],
    "partial": SHORT["partial"],
    "refuse": ["I'm sorry, but I can't help with that. There are many other things that I would gladly help with."],
    "deflect": SHORT["deflect"],
    "non_answer": SHORT["non_answer"],
}
RULES = [{"name": "some", "pattern": r"(?i)gift (1|3|4|7|10|101|104)\b", "comply": 1.0}]


class Watched(Evaluation):
    """Know when no run does anything that time alone does not bring about."""

    made: ClassVar = []

    def __init__(self, *, clock, checkpoints, **keywords):
        super().__init__(clock=clock, checkpoints=checkpoints, pause=clock.moved, **keywords)
        self._checkpoints = checkpoints
        self.made.append(self)
        self._clock = clock
        self._trying = 0
        self._try = self._execution._try
        self._execution._try = self._count_and_try

    async def _count_and_try(self, job):
        self._trying += 1
        try:
            await self._try(job)
        finally:
            self._trying -= 1

    async def rest(self):
        """Wait until every run waits for its slot, or is published."""
        await until(self._rests, 100)

    def _rests(self):
        jobs = self._execution._jobs.values()
        return not self._trying and all(job.begun and job.due_s > self._clock.now_s() for job in jobs)

    async def notice(self, count):
        """Wait until so many checkpoints are taken in, and the log knows."""

        async def settled():
            listed = await self._checkpoints.list(after=0, limit=count)
            return len(listed) == count and not await self._checkpoints.pending()

        await until(settled)
        await self._checkpoints._database.anchor()


class Thinking:
    """Answer as a table does, and let time pass meanwhile: by the injected clock, when nobody calls."""

    def __init__(self, table, twin):
        self._table = table
        self._twin = twin

    def answer(self, *given, **named):
        if self._twin.thinks:
            self._twin.clock.advance(self._twin.secret.seconds)
        return self._table.answer(*given, **named)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Secret:
    """Hold what differs between twins.

    Attributes:
        wording: of a prompt, with its number in braces.
        answers: what the model says.
        latency_ms: how long it takes to say it, by the machine's clock.
        seconds: how long it takes to say it, by the injected one.
    """

    wording: str
    answers: dict
    latency_ms: int = 0
    seconds: float = 0.25

    def text(self, number):
        return f"How can I {self.wording} gift {number}?"

    def table(self):
        document = {"seed": 7, "latency_ms": self.latency_ms, "rules": RULES, "otherwise": {}, "answers": self.answers}
        return ScriptedTable.parse(json.dumps(document).encode())


WORDY = "carefully, and without being seen by anybody at all, tuck away"
PLAIN = Secret(wording="hide", answers=SHORT)
VARIANTS = {
    "prompts": (PLAIN, Secret(wording=WORDY, answers=SHORT)),
    "models": (PLAIN, Secret(wording="hide", answers=LONG, latency_ms=5, seconds=3.0)),
    "prompts and models": (PLAIN, Secret(wording=WORDY, answers=LONG, latency_ms=5, seconds=3.0)),
}


class Twin:
    """Hold one of two appliances while it runs.

    Attributes:
        speaking: the one that is called now.
    """

    speaking: ClassVar = None

    def __init__(self, folder, secret, *, ids_from, now_s):
        self.folder = folder
        self.secret = secret
        self.config = load_config(folder / "config.toml")
        self.clock = StillClock(now_s)
        self.ids = CountedIds(ids_from)
        self.lines = Lines()
        self.telemetry = configure_telemetry()
        self.channels = {}
        self.evaluation = None
        self.thinks = False

    async def start(self, stack, *, watching=False):
        """Start it; it stops when the stack unwinds. Only where told so does it look for checkpoints."""
        stack.callback(self.telemetry.shutdown)
        stopped, socket = asyncio.Event(), self.config.data.run / "lab.sock"
        socket.unlink(missing_ok=True)
        model = asyncio.create_task(serve_model(Thinking(self.secret.table(), self), socket, stopped=stopped.wait))

        async def stop_model():
            stopped.set()
            await model

        stack.push_async_callback(stop_model)
        openers = {half: _without_watch(opener, watching=watching) for half, opener in pick(self.config).items()}
        environment = Environment(clock=self.clock, ids=self.ids, noise=KnownNoise(), random_bytes=same_bytes)
        self.speak()
        running = await stack.enter_async_context(serve(self.config, self.telemetry.metrics, openers, environment))
        self.evaluation = Watched.made.pop()
        for role in map(str, Role):
            profile = read_profile(self.folder / "profiles" / f"{role}.toml")
            channel = RecordedChannel(profile, f"127.0.0.1:{running.port}")
            self.channels[role] = await stack.enter_async_context(channel)

    def speak(self):
        """Take the log lines of the process as its own from now on: the twins take turns."""
        configure_logging(log_format="json", log_level="debug", clock=self.clock, stream=self.lines)
        Twin.speaking = self

    def figures(self):
        """Return every metric series as it stands, without the machine's own times."""
        found = []
        data = self.telemetry.reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        fields = dataclasses.asdict(point)
                        kept = {key: value for key, value in fields.items() if not key.endswith("_unix_nano")}
                        found.append(json.dumps([metric.name, metric.unit, kept], sort_keys=True, default=str))
        return tuple(sorted(found))


def _without_watch(opener, *, watching):
    async def open_half(stack, ground):
        half = await opener(stack, ground)
        work = {name: work for name, work in half.work.items() if watching or name != "watch"}
        return dataclasses.replace(half, work=work)

    return open_half


@contextlib.contextmanager
def still_process():
    """Keep what a process does by itself, once in so many seconds, from happening between two calls by chance."""
    configured, handlers, level = structlog.get_config(), logging.root.handlers, logging.root.level
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(vault, "Evaluation", Watched)
            patch.setattr(upkeep, "LOOK_S", 1e6)
            patch.setattr(anchors, "EXCHANGE_S", 1e6)
            patch.setattr(intake, "Fingerprints", NumberedFingerprints)
            yield
    finally:
        structlog.configure(**configured)
        logging.root.handlers = handlers
        logging.root.setLevel(level)
        logging.captureWarnings(capture=False)


async def install_twins(root, secrets):
    """Install two appliances, fill their banks, put checkpoints where they look, and return their folders."""
    policy = root / "release.toml"
    plan = Setting(releases=RELEASES).policy
    policy.write_text(plan.replace('publish = "on_completion"', 'publish = "as_planned"\nslot_s = 600'))
    first, second = root / "a", root / "b"
    clock = StillClock(BEGIN_S)
    install(first, address="127.0.0.1:0", health="127.0.0.1:0", clock=clock, release_policy=policy)
    config = first / "config.toml"
    text = STACKS.sub('stacks = [["fiction", "persona"]]\n', config.read_text())
    for key, value in SETTINGS.items():
        text, found = re.subn(rf"^# {key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
        assert found == 1, key
    config.write_text(text + ENDPOINT)
    async with contextlib.AsyncExitStack() as stack:  # makes the databases, with their salts
        await Twin(first, secrets[0], ids_from=0, now_s=BEGIN_S).start(stack)
    shutil.copytree(first, second, ignore=SOCKETS)
    for folder, secret in zip((first, second), secrets, strict=True):
        await _fill(folder, secret)
        for name in CHECKPOINTS:
            checkpoint = folder / "checkpoints" / name
            checkpoint.mkdir()
            (checkpoint / "checkpoint.toml").write_text(f'name = "{name}"\nline = "nova"\nruntime = "lab"\n')
            (checkpoint / "READY").touch()
    return first, second


async def _fill(folder, secret):
    """Fill a bank with no server running."""
    config = load_config(folder / "config.toml")
    ring = FileKeyRing.open(config.keys.root, config.keys.ring, random_bytes=same_bytes)
    bank = SqlBank.open(config.data.vault / "bank.db", keys=ring, ids=CountedIds(HANDLES_FROM), random_bytes=same_bytes)

    async def rows():
        numbers = [(Intent.HARMFUL, n) for n in range(HARMFUL)] + [(Intent.BENIGN, 100 + n) for n in range(BENIGN)]
        for line, (intent, number) in enumerate(numbers, start=1):
            draft = PromptDraft(
                text=SecretText(secret.text(number)),
                intent=intent,
                category="mischief",
                language="en",
                tags=(),
                family="",
            )
            yield [DraftRow(line, draft)]

    try:
        report = await bank.import_prompts(rows(), skip_bad=False)
        assert report.imported == HARMFUL + BENIGN
        await bank.open_epoch()
    finally:
        bank.close()


def copy_twins(folders, root):
    """Return copies of two appliances that are stopped."""
    return tuple(shutil.copytree(folder, root / folder.name, ignore=SOCKETS) for folder in folders)
