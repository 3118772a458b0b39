"""Trials a second through the whole pipeline, and its memory.

Everything but the model is real: bank, techniques, client, judge, sealed store, release desk and log. Time runs from
the start of a run until its last verdict is durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

from endpoints import EndpointRuntime, answering_at_once, answering_late, bare_rate
from measuring import Effort, Row, Target, child_memory_mib, memory_mib, progress, scratch, take_turns
from rooms import CELLS, POLL_S, Rooms, open_rooms, prompt_text

from heldout_server.config.appliance import DEFAULT_STACKS, DEFAULT_TECHNIQUES
from heldout_server.domain import PLAIN, SecretText
from heldout_server.techniques import TechniqueLibrary

AT_ONCE_IN_FLIGHT = 64
LATE_IN_FLIGHT = 500
DELAY_S = 0.2
ROUNDS = 5
BENIGN_PART = 10


async def measure(effort: Effort) -> list[Row]:
    """Measure with an endpoint that answers at once, then with one that takes 200 ms."""
    rounds = effort.pick(ROUNDS, 1)
    harmful = effort.pick(1600, 100)
    bodies = request_bodies()
    rows = []
    with scratch() as folder:
        async with (
            answering_at_once(folder) as (socket, server),
            _filled(folder / "a", socket, harmful=harmful, in_flight=AT_ONCE_IN_FLIGHT) as rooms,
        ):

            async def bare() -> float:
                return await bare_rate(socket, bodies, in_flight=AT_ONCE_IN_FLIGHT, requests=harmful * CELLS)

            at_once, bare_at_once = await take_turns(
                rooms.trials_per_s, bare, rounds=rounds, what=f"trials, {server} answers at once"
            )
        rows.append(
            Row(
                name=f"trials, endpoint answers at once ({server}), 64 in flight",
                value=at_once,
                baseline=bare_at_once,
                unit="trials/s, against requests/s of a bare aiohttp loop",
                target=Target("ratio", ">=", 0.4),
            )
        )
        harmful = effort.pick(1000, 200)
        async with (
            answering_late(folder, delay_s=DELAY_S) as socket,
            _filled(folder / "b", socket, harmful=harmful, in_flight=LATE_IN_FLIGHT) as rooms,
        ):

            async def bare_late() -> float:
                return await bare_rate(socket, bodies, in_flight=LATE_IN_FLIGHT, requests=harmful * CELLS)

            late, bare_late_rate = await take_turns(
                rooms.trials_per_s, bare_late, rounds=max(1, rounds // 2), what="trials, endpoint takes 200 ms"
            )
        allowed = min(LATE_IN_FLIGHT / DELAY_S, at_once)
        rows += [
            Row(
                name="trials, endpoint takes 200 ms, 500 in flight",
                value=late,
                baseline=allowed,
                unit="trials/s, against what latency and the row above allow",
                target=Target("ratio", ">=", 0.8),
            ),
            Row(
                name="  the same against a bare aiohttp loop",
                value=late,
                baseline=bare_late_rate,
                unit="trials/s, against requests/s",
            ),
        ]
    return rows


async def measure_memory(effort: Effort) -> list[Row]:
    """Compare the memory of this process after the first trials of a run, through the rest, and at its end."""
    early, planned = effort.pick(10_000, 1_000), effort.pick(200_000, 6_000)
    with scratch() as folder:
        async with (
            answering_at_once(folder) as (socket, _),
            _filled(folder / "a", socket, harmful=-(-planned // CELLS), in_flight=AT_ONCE_IN_FLIGHT) as rooms,
        ):
            run = await rooms.propose()
            await rooms.evaluation.start(run.run_id)
            job = rooms.evaluation._execution.find(run.run_id)
            assert job is not None
            early_mib = highest_mib = judge_mib = 0.0
            shown = 0
            while (finished := job.tally.finished) < run.planned_trials:
                assert not job.ended.is_set(), job.failure
                await asyncio.sleep(POLL_S)
                if finished >= early:
                    highest_mib = max(highest_mib, memory_mib())
                    early_mib = early_mib or highest_mib
                    judge_mib = max(judge_mib, child_memory_mib("heldout_server.judges.child"))
                if finished >= shown:
                    progress(f"memory: {finished:,} of {run.planned_trials:,} trials, {memory_mib():.0f} MiB")
                    shown += planned // 10
            await job.ended.wait()
            assert not job.failure
            highest_of_all_mib = memory_mib("VmHWM")
            await rooms.verify_answered(run)
    return [
        Row(
            name=f"memory over {planned:,} trials, against that at {early:,}",
            value=highest_mib,
            baseline=early_mib,
            unit="MiB",
            target=Target("ratio", "<=", 1.1),
        ),
        Row(name="  the judge's process beside it, at its highest", value=judge_mib, unit="MiB"),
        Row(
            name="memory at its highest, publication included",
            value=highest_of_all_mib,
            unit="MiB",
            target=Target("value", "<=", 400),
        ),
    ]


@contextlib.asynccontextmanager
async def _filled(folder: Path, socket: Path, *, harmful: int, in_flight: int) -> AsyncIterator[Rooms]:
    async with open_rooms(folder, EndpointRuntime(socket, most=in_flight), in_flight=in_flight) as rooms:
        await rooms.fill(harmful=harmful, benign=harmful // BENIGN_PART)
        yield rooms


def request_bodies(prompts: int = 100) -> list[bytes]:
    """Return requests such as a run of the standing plan sends."""
    library = TechniqueLibrary.standard()
    cells = [() if name == PLAIN else (name,) for name in DEFAULT_TECHNIQUES] + list(DEFAULT_STACKS)
    return [
        json.dumps(
            {
                "model": "bench",
                "messages": [
                    {"role": one.role, "content": one.content.reveal()}
                    for one in library.deliver(cell, SecretText(prompt_text(number)), seed=number).messages
                ],
                "temperature": 0.0,
                "top_p": 1.0,
                "max_tokens": 512,
                "seed": number,
                "n": 1,
                "stream": False,
            }
        ).encode()
        for number in range(prompts)
        for cell in cells
    ]
