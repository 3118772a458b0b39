"""See whether refusals, withheld rows or the shape of a release depend on what came of the trials."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor

from heldout_proto.v1 import findings_pb2
from heldout_server.api.contract import Method, methods
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.caller import Told
from heldout_server.attack.hearing import OTHERS
from heldout_server.attack.scene import bank_table, try_in_turn
from heldout_server.attack.stage import Stage

MODELS: Final = {
    "told-not": bank_table({}),
    "told-yes": bank_table({"comply": 1.0}),
    "told-nil": bank_table({"non_answer": 1.0}),
}
ITS_OWN: Final = frozenset(
    {
        *("releaseId", "number", "runId", "checkpoint", "checkpointDigest", "manifestDigest", "publishedS", "count"),
        *("createdS", "releaseNumber", "padding"),
    }
)
"""What names one release and not another, its moment, the noised figures and what makes up for their lengths."""


async def run(stage: Stage) -> Finding:
    """Submit models that all succeed, all fail and say nothing, and do the same with each of their runs."""
    await try_in_turn(stage, MODELS)
    runs = {run.tested.checkpoint: run.run_id for run in await stage.runs()}
    releases = {one.release.tested.checkpoint: one.release for one in await stage.releases()}
    seen = {name: await _heard(stage, runs[name]) | {"release": shape(releases[name])} for name in MODELS}
    first, *others = seen.values()
    differing = sorted({key for other in others for key in first if first[key] != other[key]})
    return Finding(
        tried=f"{len(first)} ways to ask about each of {len(MODELS)} runs, where all, none and nothing came of it",
        learned=f"these differ: {', '.join(differing)}" if differing else "nothing differs but the noised figures",
        held=not differing,
    )


def shape(release: findings_pb2.Release) -> tuple[int, Any]:
    """Return a release's length, and all of it but its names and figures: rows, which are withheld, widths, debits."""
    return release.ByteSize(), _without(json_format.MessageToDict(release, always_print_fields_with_no_presence=True))


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(one) for key, one in value.items() if key not in ITS_OWN}
    return [_without(one) for one in value] if isinstance(value, list) else value


async def _heard(stage: Stage, run_id: str) -> dict[str, Any]:
    """Return what everybody else is told of a run that is over, by every method that names one."""
    heard: dict[str, Any] = {}
    for role in OTHERS:
        async with stage.caller(role) as caller:
            for method in methods().values():
                fields = {field.name: value for field, value in _named(method, run_id)}
                if "run_id" in fields:
                    request = message_factory.GetMessageClass(method.request)(**fields)
                    told = await caller.call(method.name, request.SerializeToString())
                    heard[f"{method.name.rpartition('/')[2]} as {role}"] = _told(method, told)
    return heard


def _named(method: Method, run_id: str) -> Iterator[tuple[FieldDescriptor, str]]:
    """Yield the fields of a request that name a run or a digest, with what to say there."""
    for field in method.request.fields:
        if field.name == "run_id":
            yield field, run_id
        elif field.name.endswith("_digest"):
            yield field, "0" * 64


def _told(method: Method, told: Told) -> Any:
    if told.code != "OK":
        return told.shape
    answers = map(message_factory.GetMessageClass(method.response).FromString, told.bodies)
    return [_without(json_format.MessageToDict(one, always_print_fields_with_no_presence=True)) for one in answers]


ATTACK = Attack(
    name="answers-by-outcome",
    plays=Player.RUN_TESTER,
    explains="see whether refusals, withheld rows or the shape of a release depend on outcomes",
    needs=Needs.SHARED,
    run=run,
)
