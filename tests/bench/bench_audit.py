"""The log: durable appends, a check of all of it from the outside, and proofs in a large tree."""

from __future__ import annotations

import asyncio
import random
import statistics
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from measuring import Effort, Row, Stopwatch, Target, progress, scratch

from heldout.verification import LogExport, verify_export
from heldout_server.audit import SqlAuditLog
from heldout_server.environment import SystemClock
from heldout_server.ports.audit import Record

METHOD = "/heldout.v1.FindingsService/GetRelease"
IDENTITY = "spiffe://heldout.example/trainer"
APPENDERS = 256
GROUP_CALLS = 5_000
PAGE = 1_000
ROUNDS = 3
PROOFS = 500


async def measure(effort: Effort) -> list[Row]:
    """Append as calls do, to one device and to two, then grow the tree in large groups."""
    large = effort.pick(1_000_000, 50_000)
    with scratch() as folder:
        rates = []
        for second in (None, folder / "second.db"):
            log = await _open(folder / f"appended-{second is None}.db", second=second)
            taken = []
            for number in range(1, effort.pick(ROUNDS, 1) + 1):
                progress(f"audit: appending, round {number}")
                taken.append(await _append_rate(log, leaves=effort.pick(20_000, 4_000)))
            await log.close()
            rates.append(statistics.median(taken))

        log = await _open(folder / "large.db")
        await _grow(log, to=large)
        verify_s = await _verify_s(log, folder / "export", rounds=effort.pick(ROUNDS, 1))
        proof_ms = await _proof_ms(log)
        await log.close()
    return [
        Row(
            name=f"audit: durable appends, {APPENDERS} waiting at a time",
            value=rates[0],
            unit="leaves/s",
            target=Target("value", ">=", 5_000),
        ),
        Row(name="  the same, to two devices", value=rates[1], unit="leaves/s"),
        Row(
            name=f"audit: check of an exported log of {large:,} leaves",
            value=large / statistics.median(verify_s),
            unit="leaves/s",
            target=Target("value", ">=", 200_000),
        ),
        Row(
            name="  the same, in seconds",
            value=statistics.median(verify_s),
            unit="s",
            target=Target("value", "<=", 5),
        ),
        Row(
            name=f"audit: inclusion proof among {large:,} leaves, median",
            value=statistics.median(proof_ms),
            unit="ms",
            target=Target("value", "<=", 1),
        ),
        Row(name="  the same, 99th percentile", value=statistics.quantiles(proof_ms, n=100)[98], unit="ms"),
    ]


def intent(number: int) -> Record:
    """Return the record that comes before a call, as the edge writes it."""
    return Record(
        kind="intent",
        name=METHOD,
        identity=IDENTITY,
        role="trainer",
        details={
            "request_mac": f"{number:064x}",
            "decision": "allow",
            "rules": ("findings-readers",),
            "policy_digest": "d" * 64,
        },
    )


def outcome(number: int, *, of: int) -> Record:
    """Return the record that comes after it."""
    details = {"intent": of, "status": "OK", "response_sha256": f"{number:064x}"}
    return Record(kind="outcome", name=METHOD, identity=IDENTITY, role="trainer", details=details)


async def _open(path: Path, *, second: Path | None = None) -> SqlAuditLog:
    return await SqlAuditLog.open(
        path,
        key=b"k" * 32,
        origin="bench/window",
        signing_key=Ed25519PrivateKey.from_private_bytes(b"s" * 32),
        mac_key=b"m" * 32,
        clock=SystemClock(),
        second=second,
    )


async def _append_rate(log: SqlAuditLog, *, leaves: int) -> float:
    numbers = iter(range(leaves // 2))

    async def work() -> None:
        for number in numbers:
            logged = await log.append(intent(number))
            await log.append(outcome(number, of=logged.index))

    watch = Stopwatch()
    async with asyncio.TaskGroup() as group:
        for _ in range(APPENDERS):
            group.create_task(work())
    return leaves / watch.seconds()


async def _grow(log: SqlAuditLog, *, to: int) -> None:
    """Append large groups of calls, each an intent and its outcome."""
    while log.size < to:
        progress(f"audit: {log.size:,} of {to:,} leaves")
        first = log.size
        group = []
        for index in range(first, min(first + 2 * GROUP_CALLS, to), 2):
            group += [log.append(intent(index)), log.append(outcome(index, of=index))]
        await asyncio.gather(*group)


async def _verify_s(log: SqlAuditLog, folder: Path, *, rounds: int) -> list[float]:
    """Export the log as the client's command does, and time the check, with as many processes as it starts itself."""
    progress("audit: exporting")
    export = LogExport(folder)
    for start in range(0, log.size, PAGE):
        export.add(await log.entries(start=start, limit=PAGE))
    export.finish(log.checkpoint())
    taken = []
    for number in range(1, rounds + 1):
        progress(f"audit: verifying, round {number}")
        watch = Stopwatch()
        report = verify_export(folder, log.verifier_key)
        taken.append(watch.seconds())
        assert report.size == log.size
    return taken


async def _proof_ms(log: SqlAuditLog) -> list[float]:
    progress("audit: proofs")
    draw = random.Random(7)  # noqa: S311 - the same leaves every time, not cryptography
    taken = []
    for _ in range(PROOFS):
        index = draw.randrange(log.size)
        watch = Stopwatch()
        proof = await log.inclusion_proof(index=index, size=log.size)
        taken.append(1_000 * watch.seconds())
        assert proof
    return taken
