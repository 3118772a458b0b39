"""Propose and start runs by hand, and read what they cost: for attacks on the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from heldout_proto.v1 import checkpoint_pb2, evaluation_pb2, findings_pb2
from heldout_server.attack.caller import Told
from heldout_server.attack.patience import until
from heldout_server.attack.stage import Stage
from heldout_server.errors import ConfigError

EVALUATION = "/heldout.v1.EvaluationService/"
BY_HAND = {"auto_run": "false"}
"""Keys of ``config.toml`` under which no checkpoint is run by itself."""

TESTER = "run_tester"


async def staged(stage: Stage, name: str) -> None:
    """Wait until a checkpoint was noticed."""

    async def look() -> bool:
        told = await stage.ask(TESTER, "/heldout.v1.CheckpointService/ListCheckpoints")
        found = checkpoint_pb2.ListCheckpointsResponse.FromString(told.body).checkpoints
        return any(one.name == name for one in found)

    await until(look)


async def propose(stage: Stage, checkpoint: str, *, role: str = TESTER) -> evaluation_pb2.Run:
    """Propose a run of a checkpoint that is staged.

    Raises:
        ConfigError: it is refused.
    """
    request = evaluation_pb2.ProposeRunRequest(checkpoint=checkpoint)
    told = await stage.ask(role, f"{EVALUATION}ProposeRun", request.SerializeToString())
    if told.code != "OK":
        raise ConfigError(f"a run of {checkpoint} could not be proposed: {told.code}")
    return evaluation_pb2.ProposeRunResponse.FromString(told.body).run


async def start(stage: Stage, run_id: str, *, role: str = TESTER) -> Told:
    """Start a run, and return what came back."""
    request = evaluation_pb2.StartRunRequest(run_id=run_id)
    return await stage.ask(role, f"{EVALUATION}StartRun", request.SerializeToString())


async def approve(stage: Stage, run_id: str, digest: str, *, role: str) -> Told:
    """Approve a manifest, and return what came back."""
    request = evaluation_pb2.ApproveRunRequest(run_id=run_id, manifest_digest=digest)
    return await stage.ask(role, f"{EVALUATION}ApproveRun", request.SerializeToString())


async def cancel(stage: Stage, run_id: str, *, role: str = TESTER) -> Told:
    """Cancel a run, and return what came back."""
    request = evaluation_pb2.CancelRunRequest(run_id=run_id)
    return await stage.ask(role, f"{EVALUATION}CancelRun", request.SerializeToString())


async def run_through(stage: Stage, checkpoint: str) -> Told:
    """Submit a checkpoint, start a run of it, and wait until it is published, unless the start is refused."""
    stage.submit(checkpoint)
    await staged(stage, checkpoint)
    run = await propose(stage, checkpoint)
    told = await start(stage, run.run_id)
    if told.code == "OK":
        await stage.published(checkpoint)
    return told


async def find_run(
    stage: Stage, checkpoint: str, *, state: evaluation_pb2.RunState | None = None
) -> evaluation_pb2.Run:
    """Wait until there is a run of a checkpoint, in that state where one is given, and return it."""

    async def look() -> evaluation_pb2.Run | None:
        found = (run for run in await stage.runs() if run.tested.checkpoint == checkpoint)
        return next((run for run in found if state is None or run.state == state), None)

    return await until(look)


async def settled_budget(stage: Stage, *, used: int) -> findings_pb2.Budget:
    """Wait until the standing budget counts so many releases: it is refreshed a moment after one can be read."""

    async def look() -> findings_pb2.Budget | None:
        budget = await stage.budget()
        return budget if budget.releases_used >= used else None

    return await until(look)


def debited_nano_rho(releases: Sequence[findings_pb2.Release]) -> int:
    """Return what releases say that they debited each harmful unit, in billionths of zCDP rho."""
    return sum(
        table.debit_nano_rho
        for release in releases
        for table in release.tables
        if table.kind != findings_pb2.TABLE_KIND_OVER_REFUSAL
    )
