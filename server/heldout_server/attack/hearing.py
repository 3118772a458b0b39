"""Hear all that a role can be told: every method that reads, asked for everything there is.

What to ask for is read from the contract's descriptors, and the names that requests ask by from what was answered
before, so that a method that comes later is asked too.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from heldout_proto.v1 import audit_pb2, options_pb2
from heldout_server.api.contract import Method, methods
from heldout_server.attack.caller import Caller, Told
from heldout_server.attack.stage import PAGE, Stage
from heldout_server.domain import IDENTIFIER, Role

OTHERS: Final = tuple(role.value for role in Role if role is not Role.BANK_TESTER)
"""Everybody who may not see a prompt."""

CHANGES: Final = re.compile(
    r"(Add|Approve|Cancel|Give|Import|Open|Preflight|Propose|Record|Refuse|Retire|Revoke|Seal|Start|Withdraw)([A-Z]\w*)?"
)
"""How a method is named that changes something. One that is named in another way is asked."""

LEAVES: Final = "/heldout.v1.AuditService/ListEntries"
PAGE_LEAVES: Final = 1000
NAMED: Final = 3
"""How many of each kind are asked for by name: those that were told last."""

PAGING: Final = frozenset({"page_token"})

LOGS: Final = (options_pb2.HALF_VAULT, options_pb2.HALF_WINDOW)


async def known_names(stage: Stage) -> Mapping[str, Sequence[str]]:
    """Return some names that requests ask for, by the field that holds them, as somebody would who knows them all.

    They are what bank testers and trainers are told by methods that need no name, by the field that it stands in; what
    names a message, its first field, is also known by the name of the message's type.
    """
    found: dict[str, list[str]] = {}
    for role in ("bank_tester", "trainer"):
        async with stage.caller(role) as caller:
            for name, method in reading().items():
                if not method.shape.endswith("stream"):
                    told = await caller.call(name, next(requests(method.request, {})))
                    _learn(message_factory.GetMessageClass(method.response).FromString(told.body), found)
    return {field: [*dict.fromkeys(values)][-NAMED:] for field, values in found.items()}


def reading() -> Mapping[str, Method]:
    """Return the methods of the contract that change nothing, but for the log's own leaves, by full name."""
    return {
        name: method
        for name, method in methods().items()
        if not CHANGES.fullmatch(name.rpartition("/")[2]) and name != LEAVES
    }


def _learn(message: Message, found: dict[str, list[str]]) -> None:
    for field, value in message.ListFields():
        for one in value if field.is_repeated else (value,):
            if field.message_type is not None:
                _learn(one, found)
            elif isinstance(one, str) and IDENTIFIER.fullmatch(one):
                for name in {field.name, field.name.removesuffix("s")}:
                    found.setdefault(name, []).append(one)
                if field.number == 1:
                    found.setdefault(message.DESCRIPTOR.name.lower(), []).append(one)


async def hear_everything(stage: Stage, role: str, names: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[Told]]:
    """Call every method that reads as a role, for everything there is, and return what was told by method."""
    heard: dict[str, list[Told]] = {}
    async with stage.caller(role) as caller:
        for name, method in reading().items():
            heard[name] = await asyncio.gather(
                *(caller.call(name, request) for request in requests(method.request, names))
            )
        heard[LEAVES] = [told for log in LOGS async for told in _pages(caller, log)]
    return heard


async def leaves(stage: Stage, log: options_pb2.Half) -> Sequence[bytes]:
    """Return every leaf of a log as an auditor gets them, oldest first."""
    async with stage.caller("auditor") as caller:
        pages = [audit_pb2.ListEntriesResponse.FromString(told.body) async for told in _pages(caller, log)]
    return tuple(itertools.chain.from_iterable(page.entries for page in pages))


async def _pages(caller: Caller, log: options_pb2.Half) -> AsyncIterator[Told]:
    start = 0
    while True:
        request = audit_pb2.ListEntriesRequest(log=log, start=start, page_size=PAGE_LEAVES)
        told = await caller.call(LEAVES, request.SerializeToString())
        yield told
        page = audit_pb2.ListEntriesResponse.FromString(told.body)
        start += len(page.entries)
        if len(page.entries) < PAGE_LEAVES:
            return


def requests(descriptor: Descriptor, names: Mapping[str, Sequence[str]]) -> Iterator[bytes]:
    """Yield a request for each combination of what its fields may name; one request where nothing is named."""
    chosen = {field.name: _values(field, names) for field in descriptor.fields if _values(field, names)}
    kind = message_factory.GetMessageClass(descriptor)
    for values in itertools.product(*chosen.values()):
        yield kind(**dict(zip(chosen, values, strict=True))).SerializeToString()


def _values(field: FieldDescriptor, names: Mapping[str, Sequence[str]]) -> Sequence[Any]:
    if field.is_repeated or field.message_type is not None:
        return ()
    if field.enum_type is not None:
        return [value.number for value in field.enum_type.values if value.number]
    if field.name in names and field.name not in PAGING:
        return names[field.name]
    return {"page_size": (PAGE,), "index": (0,), "tree_size": (1,), "old_size": (1,), "new_size": (1,)}.get(
        field.name, ()
    )
