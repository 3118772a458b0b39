"""kill -9 in more than two hundred rounds: at random moments of a run, and at every place where something is stored.

The noise is known, and the model answers the same prompts alike whatever the checkpoint is called. So each round's
release must be, byte for byte, the one that the same appliance published undisturbed, but for its names and its minute.
Meanwhile people ask. The table goes to the terminal and to ``build/kill-rounds.txt``.
"""

import asyncio
import contextlib
import dataclasses
import itertools
import random
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import mortal_server
from heldout import AsyncClient
from heldout.errors import HeldoutClientError
from heldout_proto.v1 import findings_pb2
from kill_checks import Seen, check, documents_of, keep_heads
from lab_texts import POLICY, TABLE, write_checkpoint
from lab_texts import prompt_rows as prompts
from served_appliance import ServedAppliance, prompt_rows, seconds_since, until

ROUNDS = 12
"""Rounds of one appliance; all of them have to fit into the time that one test may take."""

RANDOM = "while trials run, any moment"
APPLIANCES = {RANDOM: 9, "as verdicts are stored": 1} | {
    moment: 2 for moment in mortal_server.PLACES if moment != "as verdicts are stored"
}
REDRAWN = {"drawn", "bytes_uncommitted"}
"""Places at which noise was drawn and nothing of it was stored: there it is drawn again, and nowhere else."""

SLOW_TABLE = TABLE | {"latency_ms": 40}
TABLE_FILE = Path(__file__).resolve().parents[2] / "build" / "kill-rounds.txt"


@dataclass
class Found:
    """Count what was seen at one class of moments."""

    rounds: int = 0
    trials: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def found(request):
    """Collect what all rounds found, and print it at the end."""
    found = {moment: Found() for moment in APPLIANCES}
    yield found
    rows = [f"{'killed':<30}{'rounds':>7}{'verdicts':>10}{'releases':>10}{'s a round':>11}  found"]
    for moment, one in found.items():
        if one.rounds:
            said = "; ".join(one.problems) or "nothing lost, doubled or changed"
            pace = one.seconds / one.rounds
            rows.append(f"{moment:<30}{one.rounds:>7}{one.trials:>10,}{one.rounds:>10}{pace:>11.1f}  {said}")
    rounds = sum(one.rounds for one in found.values())
    rows.append(f"{'all':<30}{rounds:>7}{sum(one.trials for one in found.values()):>10,}{rounds:>10}")
    TABLE_FILE.parent.mkdir(exist_ok=True)
    TABLE_FILE.write_text("\n".join(rows) + "\n")
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("\n" + TABLE_FILE.read_text())  # noqa: T201 - the table is what this test is for


@dataclass
class Killed:
    """Hold an appliance that is killed again and again, and what its undisturbed run gave.

    Attributes:
        figures: exact results.
        document: the release, without what names it.
        draws: how often noise was drawn.
        took_s: seconds from the checkpoint to the release.
    """

    served: ServedAppliance
    folder: Path
    seen: Seen = field(default_factory=Seen)
    figures: object = None
    document: bytes = b""
    draws: int = 0
    took_s: float = 0.0

    @property
    def order(self):
        return self.folder / "die"

    def drawn(self):
        return len((self.folder / "draws").read_text().splitlines())

    def write_checkpoint(self, name):
        write_checkpoint(self.served.folder / "checkpoints", name, table=SLOW_TABLE)

    async def run_undisturbed(self):
        began = time.monotonic()
        self.write_checkpoint("nova-v0")
        run = await self.served.run_of("nova-v0")
        self.took_s, self.draws = seconds_since(began), self.drawn()
        self.figures = await check(self.served, self.seen, run, None, self.folder / "export-0")
        self.document = without_names(self.seen.documents[run.run_id])

    async def kill_once(self, name, *, place, moment_s, alive):
        """Let a checkpoint appear, let the appliance end at a place or a moment, start it again, and check it all."""
        drawn = self.drawn()
        await keep_heads(self.served, self.seen)
        began = time.monotonic()
        if place:
            self.order.write_text(f"{place} {alive}")
        self.write_checkpoint(name)
        if place:
            assert await self.served.ended(30) == -signal.SIGKILL
            await self.served.forget_clients()
        else:
            await until(lambda: seconds_since(began) >= moment_s, moment_s + 5)
            await self.served.kill()
        await self.served.start()
        self.seen.documents |= await documents_of(self.served)
        run = await self.served.run_of(name)
        await check(self.served, self.seen, run, self.figures, self.folder / f"export-{name}")
        assert without_names(self.seen.documents[run.run_id]) == self.document, "other bytes were published"
        again = self.drawn() - drawn
        fewest, most = (2, 2) if place in REDRAWN else (1, 1 if place else 2)
        assert fewest * self.draws <= again <= most * self.draws, f"noise was drawn {again} times"
        return run


def without_names(document):
    """Return a release without what differs between two undisturbed runs as well."""
    release = findings_pb2.Release.FromString(document)
    for name in ("release_id", "run_id", "number", "published_s", "manifest_digest"):
        release.ClearField(name)
    release.tested.ClearField("checkpoint")
    release.tested.ClearField("checkpoint_digest")
    return release.SerializeToString(deterministic=True)


async def keep_asking(served, role, ask):
    """Ask without end, as people do; an appliance that is away is asked again."""
    while True:
        profile = dataclasses.replace(served.profile(role), address=f"127.0.0.1:{served.port}")
        with contextlib.suppress(HeldoutClientError):
            async with AsyncClient.from_profile(profile) as client:
                while True:
                    await ask(client)
                    await asyncio.sleep(0.1)
        await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def load_on(served):
    """Have a trainer and a run tester ask meanwhile."""
    asking = [
        asyncio.create_task(keep_asking(served, "trainer", lambda client: client.findings.budget())),
        asyncio.create_task(keep_asking(served, "run_tester", lambda client: client.runs.list())),
    ]
    try:
        yield
    finally:
        for one in asking:
            one.cancel()
        await asyncio.wait(asking)


@contextlib.asynccontextmanager
async def installed(folder):
    policy = POLICY.replace("releases_per_epoch = 3", f"releases_per_epoch = {ROUNDS + 1}")
    served = ServedAppliance.install(folder, policy=policy, in_flight="8")
    served.command = (sys.executable, mortal_server.__file__, folder)
    try:
        await served.start()
        tester = await served.client("bank_tester")
        await tester.bank.import_prompts(prompt_rows(prompts()))
        await tester.bank.open_epoch()
        yield Killed(served, folder)
    finally:
        await served.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "appliance"), [(moment, number) for moment, count in APPLIANCES.items() for number in range(count)]
)
async def test_nothing_is_lost_doubled_or_changed_by_kill_9(tmp_path, found, moment, appliance):
    counted = found[moment]
    places = itertools.cycle(mortal_server.PLACES.get(moment, [""]))
    async with installed(tmp_path) as killed:
        await killed.run_undisturbed()
        async with load_on(killed.served):
            for number in range(1, ROUNDS + 1):
                place, began = next(places), time.monotonic()
                # Each round has a stretch of the run of its own, and a random moment in it.
                moment_s = killed.took_s * (number - random.random()) / ROUNDS  # noqa: S311 - a moment, not a secret
                alive = number % 3 if place.startswith("batch") else 0
                try:
                    run = await killed.kill_once(f"nova-v{number}", place=place, moment_s=moment_s, alive=alive)
                except (AssertionError, TimeoutError) as error:
                    counted.problems.append(f"round {number} {place}: {str(error).partition(chr(10))[0]}")
                    raise
                counted.rounds += 1
                counted.trials += run.planned_trials
                counted.seconds += seconds_since(began)
        await killed.served.stop()
