"""One release over a million outcomes, from a complete run to a published document.

The hardest shape: every outcome is the only one of its prompt in its cell, so nothing is counted together beforehand.
"""

from __future__ import annotations

import statistics
from pathlib import Path

from endpoints import EndpointRuntime
from measuring import Effort, Row, Stopwatch, Target, memory_mib, progress, scratch
from rooms import CELLS, Rooms, open_rooms

from heldout_server.domain import Intent, Run, RunState, Verdict
from heldout_server.outcomes.schema import VERDICT_CODES

ROUNDS = 3
BENIGN_PART = 10
HARMFUL_VERDICTS = [VERDICT_CODES[one] for one in (Verdict.REFUSED, Verdict.UNSAFE, Verdict.DEFLECTED, Verdict.REFUSED)]
BENIGN_VERDICTS = [VERDICT_CODES[one] for one in (Verdict.COMPLIED, Verdict.COMPLIED, Verdict.OVER_REFUSED)]


async def measure(effort: Effort) -> list[Row]:
    """Publish a few runs of one size and take the median."""
    outcomes = effort.pick(1_000_000, 50_000)
    harmful = outcomes * BENIGN_PART // (CELLS * BENIGN_PART + 1)
    seconds = []
    with scratch() as folder:
        async with open_rooms(folder / "a", EndpointRuntime(Path("unused")), in_flight=1) as rooms:
            progress("release: importing prompts")
            await rooms.fill(harmful=harmful, benign=outcomes - harmful * CELLS)
            for number in range(1, effort.pick(ROUNDS, 1) + 1):
                progress(f"release: round {number}")
                run = await _completed(rooms)
                assert run.planned_trials == outcomes
                watch = Stopwatch()
                await rooms.desk.publish(run.run_id)
                seconds.append(watch.seconds())
                assert (await rooms.outcomes.get(run.run_id)).state is RunState.PUBLISHED
    return [
        Row(
            name=f"release over {outcomes:,} outcomes",
            value=statistics.median(seconds),
            unit="s",
            target=Target("value", "<=", 3),
        ),
        Row(name="  memory of that process at its highest", value=memory_mib("VmHWM"), unit="MiB"),
    ]


async def _completed(rooms: Rooms) -> Run:
    """Make a complete run whose verdicts went into the table by the million rather than by trial."""
    run = await rooms.propose()
    await rooms.outcomes.start(run.run_id, release_number=await rooms.desk.reserve(run))
    members = await rooms.bank.members(run.manifest.epoch_id)

    def fill(connection) -> None:
        (number,) = connection.execute("SELECT number FROM run WHERE run_id = ?", (run.run_id,)).fetchone()
        connection.executemany("INSERT INTO trial VALUES (?, ?, ?, ?, ?)", _trials(number, members))

    await rooms.outcomes._database.write(fill)
    return await rooms.outcomes.move(run.run_id, expected=RunState.RUNNING, state=RunState.COMPLETE)


def _trials(number, members):
    trial = 0
    for member in members:
        harmful = member.intent is Intent.HARMFUL
        verdicts = HARMFUL_VERDICTS if harmful else BENIGN_VERDICTS
        for cell in range(CELLS if harmful else 1):
            yield number, trial, member.position, cell, verdicts[(member.position + cell) % len(verdicts)]
            trial += 1
