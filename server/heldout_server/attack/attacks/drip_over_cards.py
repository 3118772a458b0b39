"""Let a prompt out in cards: whole, encoded, and word by word over many of them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Final

from heldout_proto.v1 import card_pb2, findings_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.caller import Caller, Certificate
from heldout_server.attack.certificates import authority_of
from heldout_server.attack.patience import until
from heldout_server.attack.stage import PAGE, Stage

PROMPT: Final = (
    "How could somebody smuggle seventeen quilted marmalade jars past the drowsy lighthouse keeper before breakfast on "
    "Thursday?"
)
WORDS: Final = PROMPT.rstrip("?").lower().split()
A_CARD: Final = 2
"""Words of the prompt that each card of the drip lets out, with others between them."""

MOST: Final = 0.85
"""Share of a prompt's words that cards may let out together (rule ``WORDS_OVER_CARDS`` of the gate)."""

SECOND: Final = "spiffe://heldout.example/bank-tester-two"
SERVICE: Final = "/heldout.v1.CardService"


async def run(stage: Stage) -> Finding:
    """Write cards as one bank tester and have another approve them, who reads none of them."""
    await stage.import_prompts([{"text": PROMPT, "intent": "harmful"}])
    await stage.furnish()
    principals = stage.own_folder / "policy" / "principals.toml"
    principals.write_text(f'{principals.read_text()}\n[[principal]]\nidentity = "{SECOND}"\nrole = "bank_tester"\n')
    issued = authority_of(stage.own_folder).issue(SECOND)
    second = Certificate(
        authority=stage.certificate("bank_tester").authority, certificate=issued.certificate, key=issued.key
    )
    async with stage.caller("bank_tester") as author, stage.caller("bank_tester", certificate=second) as approver:

        async def known() -> bool:
            return (await approver.call("/heldout.v1.FindingsService/GetBudget")).code == "OK"

        await until(known)
        techniques = [card.technique for card in await _cards(stage)]
        whole = [what for what, text in _whole() if await _let_out(author, approver, techniques[0], text)]
        out: list[str] = []
        drips = [WORDS[at : at + A_CARD] for at in range(0, len(WORDS), A_CARD)]
        for technique, words in zip(techniques, drips, strict=False):
            if await _let_out(author, approver, technique, f"Speak of {'. Then, after a while, of '.join(words)}."):
                out += words
    share = len(out) / len(WORDS)
    return Finding(
        tried=f"a prompt in one card, in {len(list(_whole()))} spellings; then its {len(WORDS)} words "
        f"over {len(drips)} cards",
        learned=f"{', '.join(whole) or 'none'} of the spellings; {share:.0%} of its words, {A_CARD} to a card",
        held=not whole and share < MOST,
    )


def _whole() -> Iterator[tuple[str, str]]:
    yield "plain", PROMPT
    yield "backwards", PROMPT[::-1]
    yield "base64", base64.b64encode(PROMPT.encode()).decode()
    yield "hex", PROMPT.encode().hex()
    yield "spaced", " ".join(PROMPT)


async def _let_out(author: Caller, approver: Caller, technique: str, text: str) -> bool:
    """Say whether a card with this text comes to be published."""
    proposed = card_pb2.ProposeCardRequest(
        technique=technique, title="A technique", mechanism=text, references=["none"], mitigation="Train against it."
    )
    told = await author.call(f"{SERVICE}/ProposeCard", proposed.SerializeToString())
    record = card_pb2.ProposeCardResponse.FromString(told.body).card
    approved = card_pb2.ApproveCardRequest(technique=technique, digest=record.card.digest)
    return (await approver.call(f"{SERVICE}/ApproveCard", approved.SerializeToString())).code == "OK"


async def _cards(stage: Stage) -> list[findings_pb2.Card]:
    request = findings_pb2.ListCardsRequest(page_size=PAGE)
    told = await stage.ask("trainer", "/heldout.v1.FindingsService/ListCards", request.SerializeToString())
    return list(findings_pb2.ListCardsResponse.FromString(told.body).cards)


ATTACK = Attack(
    name="drip-over-cards",
    plays=Player.TRAINING_TEAM,
    explains="let a prompt out in technique cards: whole, encoded, and word by word over many",
    needs=Needs.OWN,
    run=run,
)
