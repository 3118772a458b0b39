"""The rooms of the window half: they answer trainers and auditors from what is published, and reach nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import Final

from heldout_proto.v1 import findings_pb2_grpc
from heldout_server.api.findings import FindingsServicer
from heldout_server.app.half import Ground, Half
from heldout_server.window import SqlPublications, SqlScores, publisher, read_heads

PUBLISHED: Final = "published"
FOLLOW_S: Final = 60.0
"""Seconds between two looks at whether ``published.db`` is still what it was, or further on."""


async def open_half(stack: contextlib.AsyncExitStack, ground: Ground) -> Half:
    """Open the rooms of the window half, and close them when the stack unwinds."""
    folder, ring, book = ground.config.data.window, ground.tools.ring, ground.anchors.books["window"]
    publications = SqlPublications.open(folder / "published.db", keys=ring)
    stack.callback(publications.close)
    scores = SqlScores.open(folder / "window.db", keys=ring, anchor=book.of("window"))
    stack.callback(scores.close)
    findings = FindingsServicer(
        publications=publications, scores=scores, clock=ground.tools.clock, approved=ground.approved
    )
    ground.anchors.join(
        "window",
        leave=scores.leave_heads,
        read=partial(read_heads, folder / "published.db", ring.database_key(PUBLISHED), publisher.MIGRATIONS),
    )

    async def follow() -> None:
        await book.follow(PUBLISHED, await publications.position())

    async def follow_now_and_then() -> None:
        while True:
            await asyncio.sleep(FOLLOW_S)
            await follow()

    async def begin() -> None:
        if not held_to_its_own:
            await follow()

    # In one process with the vault, the vault's log holds its writer to every change.
    held_to_its_own = "vault" in ground.logs
    return Half(
        services=(partial(findings_pb2_grpc.add_FindingsServiceServicer_to_server, findings),),
        begin=begin,
        work={} if held_to_its_own else {"follow": follow_now_and_then},
    )
