"""Hear all that a role can be told: every method that reads, asked for everything there is.

What to ask for is read from the contract's descriptors, so that a method that comes later is asked too.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from heldout_proto.v1 import audit_pb2, bank_pb2, options_pb2
from heldout_server.api.contract import methods
from heldout_server.attack.caller import Caller, Told
from heldout_server.attack.stage import PAGE, Stage

OTHERS: Final = ("trainer", "run_tester", "auditor", "operator", "key_holder")
"""Everybody who may not see a prompt."""

READS: Final = re.compile(r"(Get|List|Watch)[A-Z]\w*")
LEAVES: Final = "/heldout.v1.AuditService/ListEntries"
PAGE_LEAVES: Final = 1000
NAMED: Final = 3
"""How many of each kind are asked for by name: the newest runs and releases, the first prompts."""

LOGS: Final = (options_pb2.HALF_VAULT, options_pb2.HALF_WINDOW)


async def known_names(stage: Stage) -> Mapping[str, Sequence[str]]:
    """Return some names that requests ask for, by the field that holds them, as somebody would who knows them all."""
    told = await stage.ask(
        "bank_tester",
        "/heldout.v1.BankService/ListPrompts",
        bank_pb2.ListPromptsRequest(page_size=PAGE).SerializeToString(),
    )
    releases = [one.release.release_id for one in await stage.releases()]
    return {
        "handle": bank_pb2.ListPromptsResponse.FromString(told.body).handles[:NAMED],
        "run_id": [run.run_id for run in await stage.runs()][-NAMED:],
        "release_id": releases[-NAMED:],
    }


async def hear_everything(stage: Stage, role: str, names: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[Told]]:
    """Call every method that reads as a role, for everything there is, and return what was told by method."""
    heard: dict[str, list[Told]] = {}
    async with stage.caller(role) as caller:
        for name, method in methods().items():
            if READS.fullmatch(name.rpartition("/")[2]) and name != LEAVES:
                heard[name] = [await caller.call(name, request) for request in _requests(method.request, names)]
        heard[LEAVES] = [
            told for log in (options_pb2.HALF_VAULT, options_pb2.HALF_WINDOW) async for told in _pages(caller, log)
        ]
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


def _requests(descriptor: Descriptor, names: Mapping[str, Sequence[str]]) -> Iterator[bytes]:
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
    if field.name in names:
        return names[field.name]
    return {"page_size": (PAGE,), "index": (0,), "tree_size": (1,), "old_size": (1,), "new_size": (1,)}.get(
        field.name, ()
    )
