"""The rooms of the window half: they answer trainers and auditors from what is published, and reach nothing else."""

from __future__ import annotations

import contextlib
from functools import partial

from heldout_proto.v1 import findings_pb2_grpc
from heldout_server.api.findings import FindingsServicer
from heldout_server.app.half import Ground, Half
from heldout_server.window import SqlPublications, SqlScores


async def open_half(stack: contextlib.AsyncExitStack, ground: Ground) -> Half:
    """Open the rooms of the window half, and close them when the stack unwinds."""
    folder, tools = ground.config.data.window, ground.tools
    publications = SqlPublications.open(folder / "published.db", keys=tools.ring)
    stack.callback(publications.close)
    scores = SqlScores.open(folder / "window.db", keys=tools.ring, anchor=ground.anchors.books["window"].of("window"))
    stack.callback(scores.close)
    findings = FindingsServicer(publications=publications, scores=scores, clock=tools.clock, approved=ground.approved)

    async def begin() -> None:
        pass  # nothing was left undone: what is published stands, and scores are recorded in one step

    return Half(
        services=(partial(findings_pb2_grpc.add_FindingsServiceServicer_to_server, findings),),
        begin=begin,
        work={},
    )
