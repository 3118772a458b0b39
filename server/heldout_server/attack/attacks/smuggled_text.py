"""Push text through every field that somebody may write, and see who on the other side gets to read it.

Techniques, their templates and their names ship with the appliance, and no message has a field for notes or labels:
there is nothing to write there. Names of categories and cards are published by intention: other attacks are on them.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Final

from google.protobuf.descriptor import FieldDescriptor

from heldout_proto.v1 import audit_pb2, bank_pb2, evaluation_pb2, findings_pb2
from heldout_server.api.contract import Method
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.caller import Certificate
from heldout_server.attack.certificates import authority_of
from heldout_server.attack.hearing import LOGS, OTHERS, hear_everything, known_names, reading, requests
from heldout_server.attack.scene import table, try_in_turn
from heldout_server.attack.search import find_words
from heldout_server.attack.stage import Stage
from heldout_server.domain import Role

LONGEST: Final = 64
"""Characters of the longest identifier (:data:`heldout_server.domain.IDENTIFIER`)."""

LETTERS: Final = 39
"""Characters that may stand in one."""

BITS: Final = math.floor(LONGEST * math.log2(LETTERS))
"""What one identifier holds at most."""

TESTERS: Final = {
    "a tag": "tagnarwhaltundraprism",
    "a family": "familyokapiglaciermoss",
    "a technique that is proposed": "techniqueibexmarshfern",
    "a stack that is proposed": "stackcurlewdunesedge",
    "a checkpoint that is proposed": "proposedlynxdeltapeat",
    "a card that is examined": "examinedpumafjordmoss",
    "a row of an import that is refused": "refusedstoatlagoonreed",
}
"""What a bank tester may write, who knows the prompts: none of it may come out at anybody else's."""

OWNERS: Final = {
    "a score's benchmark": "benchmarkheronpondsedge",
    "a checkpoint's name": "checkpointwrencoveheath",
    "a checkpoint's line": "linebadgerbrookthyme",
}
"""What the model's owner may write: it may come out, on the owner's own side, as the identifier that it is."""

REFUSED: Final = {
    "metadata": "metadatavoleisletgorse",
    "an unknown method": "methodfinchridgeclover",
    "what is asked for": "askedploverfjelllichen",
    "a certificate": "uriternestuarykelp",
    "a common name": "commonsnipebogmyrtle",
    "a witness": "witnessskuaskerrythrift",
    "prose in a score": "prosegannetshoalsorrel",
    "prose in a model line": "proseospreymooryarrow",
}
"""What nobody may write."""


async def run(stage: Stage) -> Finding:
    """Write a word of its own into each channel, then read everything as everybody, and see which word came where."""
    await _write_as_tester(stage)
    await _write_as_owner(stage)
    await _write_as_anybody(stage)
    channels = {**TESTERS, **OWNERS, **REFUSED}
    came: dict[str, set[str]] = {channel: set() for channel in channels}
    names = await known_names(stage)
    for role in OTHERS:
        heard = await hear_everything(stage, role, names)
        contents = [part for calls in heard.values() for told in calls for part in told.contents()]
        for channel, word in channels.items():
            if find_words([word], contents):
                came[channel].add(role)
    for channel, word in {**TESTERS, **REFUSED}.items():
        if find_words([word], [stage.said.encode()]):
            came[channel].add("what the process says")
    broken = {channel: roles for channel, roles in came.items() if roles and channel not in OWNERS}
    return Finding(
        tried=f"{len(channels)} channels, a word through each: {', '.join(channels)}",
        learned=_learned(broken)
        or f"only names that the owner itself gives come out, {BITS} bits each at most: "
        f"{_learned({channel: came[channel] for channel in OWNERS})}",
        held=not broken and all(came[channel] for channel in OWNERS),
    )


def _learned(came: Mapping[str, set[str]]) -> str:
    return "; ".join(f"{channel} reaches {', '.join(sorted(roles)) or 'nobody'}" for channel, roles in came.items())


async def _write_as_tester(stage: Stage) -> None:
    prompt = bank_pb2.Prompt(
        text="How could somebody whistle on a windy day?",
        intent=bank_pb2.INTENT_BENIGN,
        category="category-0",
        tags=[TESTERS["a tag"]],
        family=TESTERS["a family"],
    )
    bad = bank_pb2.Prompt(text="What?", category=f"{TESTERS['a row of an import that is refused']} with prose")
    bad.intent = bank_pb2.INTENT_BENIGN
    async with stage.caller("bank_tester") as tester:
        for row in (prompt, bad):
            await tester.call(
                "/heldout.v1.BankService/ImportPrompts",
                bank_pb2.ImportPromptsRequest(options=bank_pb2.ImportOptions(skip_bad=False)).SerializeToString(),
                bank_pb2.ImportPromptsRequest(rows=[bank_pb2.ImportRow(line=1, prompt=row)]).SerializeToString(),
                bank_pb2.ImportPromptsRequest(last=True).SerializeToString(),
            )
        card = bank_pb2.ExamineCardRequest(title=TESTERS["a card that is examined"], mechanism="It is examined.")
        await tester.call("/heldout.v1.BankService/ExamineCard", card.SerializeToString())
        for request in (
            evaluation_pb2.ProposeRunRequest(
                checkpoint="nova-v1", techniques=["plain", TESTERS["a technique that is proposed"]]
            ),
            evaluation_pb2.ProposeRunRequest(
                checkpoint="nova-v1",
                stacks=[evaluation_pb2.Stack(techniques=["plain", TESTERS["a stack that is proposed"]])],
            ),
            evaluation_pb2.ProposeRunRequest(checkpoint=TESTERS["a checkpoint that is proposed"]),
        ):
            await tester.call("/heldout.v1.EvaluationService/ProposeRun", request.SerializeToString())


async def _write_as_owner(stage: Stage) -> None:
    model = OWNERS["a checkpoint's name"]
    stage.submit("nova-prose", table(0.5), line=REFUSED["prose in a model line"] + " and more")
    await try_in_turn(stage, {model: table(0.5)}, line=OWNERS["a checkpoint's line"])
    async with stage.caller("trainer") as trainer:
        for benchmark in (OWNERS["a score's benchmark"], f"{REFUSED['prose in a score']} and more"):
            score = findings_pb2.Score(
                checkpoint=model, kind=findings_pb2.SCORE_KIND_CAPABILITY, benchmark=benchmark, value_milli=41_250
            )
            await trainer.call(
                "/heldout.v1.FindingsService/RecordScore",
                findings_pb2.RecordScoreRequest(score=score).SerializeToString(),
                metadata=(("x-note", REFUSED["metadata"]),),
            )
        await trainer.call("/heldout.v1.FindingsService/" + REFUSED["an unknown method"])


async def _write_as_anybody(stage: Stage) -> None:
    """Ask every method for a name that there is not, and call with names that nobody gave."""
    words = {field.name: [REFUSED["what is asked for"]] for method in reading().values() for field in _texts(method)}
    for role in Role:
        async with stage.caller(role.value) as caller:
            await asyncio.gather(
                *(
                    caller.call(name, request)
                    for name, method in reading().items()
                    for request in requests(method.request, words)
                )
            )
    authority = authority_of(stage.own_folder)
    issued = authority.issue(
        f"spiffe://heldout.example/{REFUSED['a certificate']}",
        common_name=REFUSED["a common name"],
    )
    stranger = Certificate(
        authority=stage.certificate("trainer").authority, certificate=issued.certificate, key=issued.key
    )
    async with stage.caller("trainer", certificate=stranger) as caller:
        await asyncio.gather(*(caller.call(name) for name in reading()))
    async with stage.caller("auditor") as auditor:
        note = f"heldout\n1\n{'A' * 43}=\n\n— {REFUSED['a witness']} {'A' * 100}\n"
        for log in LOGS:
            request = audit_pb2.AddCosignatureRequest(log=log, note=note)
            await auditor.call("/heldout.v1.AuditService/AddCosignature", request.SerializeToString())


def _texts(method: Method) -> Sequence[FieldDescriptor]:
    return [field for field in method.request.fields if field.type == FieldDescriptor.TYPE_STRING]


ATTACK = Attack(
    name="smuggled-text",
    plays=Player.TRAINING_TEAM,
    explains="push text through every field that somebody may write, and see who can read it",
    needs=Needs.SHARED,
    run=run,
)
