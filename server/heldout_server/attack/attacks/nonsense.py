"""Send nonsense everywhere, and see whether an error, a service of gRPC's own or the health server says something."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

import grpc

from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.caller import Metadata, Told, every_method
from heldout_server.attack.search import find_words
from heldout_server.attack.stage import Stage

WORD: Final = "narwhaltundraprism"
NONSENSE: Final = (
    b"\x0a\xff" + WORD.encode(),
    b"\x0a" + bytes([len(WORD)]) + WORD.encode(),  # a field 1 that fits wherever a string does
    b"\xfa\xff\xff\xff\x0f" + bytes([len(WORD)]) + WORD.encode(),  # a field that nothing knows
    (f"{WORD} 'quoted'\x00\n" * 500).encode(),
)
NOTES: Final[tuple[Metadata, ...]] = ((("x-note", WORD), ("heldout-receipt-bin", WORD.encode())), ())
FOREIGN: Final = (
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "/grpc.channelz.v1.Channelz/GetServers",
    "/grpc.health.v1.Health/Check",
    f"/heldout.v1.BankService/{WORD}",
    f"/{WORD}",
)
HEALTH: Final = (b"", b"\x0a\x17heldout.v1.BankService", b"\x0a" + bytes([len(WORD)]) + WORD.encode())
INSIDE: Final = re.compile(r"[A-Za-z_]+(?:Error|Exception)\b|Traceback|\.py\b|0x[0-9a-f]{6,}|\bUnexpected <class")
"""What an exception's own text looks like."""

SERVICES: Final = 8
"""Kinds of answers that the health server may have in all: of its two states, two kinds of call and one refusal."""


async def run(stage: Stage) -> Finding:
    """Call every method and some foreign ones with what cannot be parsed, as three roles, and the health server."""
    told: list[Told] = []
    for role in ("trainer", "run_tester", "bank_tester"):
        async with stage.caller(role) as caller:
            for method in (*every_method(), *FOREIGN):
                told += await asyncio.gather(
                    *(caller.call(method, request, metadata=note) for request in NONSENSE for note in NOTES)
                )
    foreign = await _foreign(stage)
    healthy = [answer async for answer in _health(stage)]
    said = [part for one in told for part in one.contents()] + healthy
    found = [*find_words([WORD], said), *speaking(one.details for one in told)]
    opened = [name for name, one in foreign.items() if one.code != "UNIMPLEMENTED"]
    return Finding(
        tried=f"{len(told)} malformed calls with notes in their metadata; {len(FOREIGN)} methods that are not ours; "
        f"{len(healthy)} questions to the health server",
        learned="; ".join([*found, *(f"{name} answers" for name in opened)])
        or f"{len({one.details for one in told})} fixed texts, none of which quotes or tells a type",
        held=not found and not opened and len(set(healthy)) <= SERVICES,
    )


def speaking(details: Iterable[str]) -> list[str]:
    """Return the texts that speak of the inside: a type, a file, an address."""
    return sorted({text for text in details if INSIDE.search(text)})


async def _foreign(stage: Stage) -> dict[str, Told]:
    async with stage.caller("trainer") as caller:
        return {method: await caller.call(method, b"") for method in FOREIGN}


async def _health(stage: Stage) -> AsyncIterator[bytes]:
    """Yield what the health server answers, which has no TLS and asks for no certificate."""
    address = stage.process.health_address
    async with grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        for method in ("/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/List", *FOREIGN[:3], *every_method()):
            for request in HEALTH:
                try:
                    call: Any = channel.unary_unary(method)
                    yield await call(request, timeout=5)
                except grpc.aio.AioRpcError as error:
                    yield (error.details() or "").encode()


ATTACK = Attack(
    name="nonsense",
    plays=Player.TRAINING_TEAM,
    explains="send what cannot be parsed everywhere, and ask reflection, channelz and health",
    needs=Needs.SHARED,
    run=run,
)
