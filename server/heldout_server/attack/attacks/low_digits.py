"""Look for what an encoding may hide: low digits, order and number of fields, length, compression."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from google.protobuf.message import Message

from heldout_proto.v1 import findings_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.caller import Caller
from heldout_server.attack.scene import table, try_in_turn
from heldout_server.attack.stage import PAGE, Stage

RELEASES: Final = "/heldout.v1.FindingsService/ListReleases"
CHUNK_BYTES: Final = 65_536


async def run(stage: Stage) -> Finding:
    """Encode each release again from what it says, compare, and count the bytes of an answer on the wire."""
    models = {"digits-not": table(0.0), "digits-yes": table(1.0)}
    await try_in_turn(stage, models)
    releases = await stage.releases()
    hidden = [reason for one in releases for reason in hides(one.release)]
    widths: dict[object, set[object]] = {}
    for one in releases:
        if one.release.full:  # those of another plan, or about another set of prompts, are others by right
            widths.setdefault(plan(one.release), set()).add(width(one.release))
    async with _counting_relay(stage.address) as (address, counted):
        async with Caller(address, stage.certificate("trainer")) as trainer:
            request = findings_pb2.ListReleasesRequest(page_size=PAGE).SerializeToString()
            await trainer.call(RELEASES, request, compressed=True)
            before = counted[0]  # the handshake is over
            told = await trainer.call(RELEASES, request, compressed=True)
        wire = counted[0] - before
    if canonical(findings_pb2.ListReleasesResponse.FromString(told.body)) != told.body:
        hidden.append("a page of releases holds more than its fields, or holds them in another order")
    if wire < len(told.body):
        hidden.append(f"an answer of {len(told.body):,} bytes is compressed to {wire:,}: what compresses tells")
    own = {plan(one.release) for one in releases if one.release.tested.checkpoint in models}
    if len(own) != 1 or any(len(found) != 1 for found in widths.values()):
        hidden.append("full releases of one plan differ in their grids, their widths or the order of their rows")
    return Finding(
        tried=f"encoded {len(releases)} releases again, and counted an answer's bytes on the wire: {wire:,} for "
        f"{len(told.body):,}",
        learned="; ".join(sorted(set(hidden))) or "whole steps of one grid, one order, one encoding, no compression",
        held=not hidden and len(releases) > 1,
    )


def hides(release: findings_pb2.Release) -> list[str]:
    """Return where a release holds more than its figures need: another order, another encoding, figures in a gap."""
    found = []
    if canonical(release) != release.SerializeToString(deterministic=True):
        found.append("a release holds more than its fields")
    if release.padding.strip(b"\0"):
        found.append("the padding of a release is not empty")
    for kind in release.tables:
        if any(row.withheld and row.count for row in kind.rows):
            found.append("a withheld row has a figure")
        if kind.grid_micro <= 0:
            found.append("a table has no grid")
    return found


def canonical(message: Message) -> bytes:
    """Return the one encoding of what the fields of a message say, without any that the contract does not know."""
    copy = type(message)()
    copy.CopyFrom(message)
    copy.DiscardUnknownFields()
    return copy.SerializeToString(deterministic=True)


def plan(release: findings_pb2.Release) -> object:
    """Return what was fixed before a run: its epoch, and which rows it has, in whatever order they come."""
    return release.epoch_id, frozenset((kind.kind, row.key) for kind in release.tables for row in kind.rows)


def width(release: findings_pb2.Release) -> tuple[tuple[object, ...], ...]:
    """Return what the tables of a release are like: kinds, grids, noise, rows, in their order."""
    return tuple(
        (kind.kind, kind.grid_micro, kind.sigma_micro, tuple((row.key, row.units, row.withheld) for row in kind.rows))
        for kind in release.tables
    )


@contextlib.asynccontextmanager
async def _counting_relay(address: str) -> AsyncIterator[tuple[str, list[int]]]:
    """Pass connections on to an address, and yield where, and how many bytes came back so far."""
    host, _, port = address.rpartition(":")
    counted = [0]

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass both ways on until either side ends."""
        there, back = await asyncio.open_connection(host, int(port))

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, *, count: bool) -> None:
            """Pass one way on."""
            with contextlib.suppress(ConnectionError):
                while chunk := await source.read(CHUNK_BYTES):
                    counted[0] += len(chunk) if count else 0
                    target.write(chunk)
                    await target.drain()
            target.close()

        await asyncio.gather(pump(reader, back, count=False), pump(there, writer, count=True))

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", counted


ATTACK = Attack(
    name="low-digits",
    plays=Player.TRAINING_TEAM,
    explains="look for what an encoding may hide: low digits, field order, length, compression",
    needs=Needs.SHARED,
    run=run,
)
