"""Let a prompt out in the names of categories, which are published: whole in one name, and word by word over epochs."""

from __future__ import annotations

import base64
import codecs
from collections.abc import Mapping, Sequence
from typing import Final

from heldout_proto.v1 import bank_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.furnishing import mild_prompts
from heldout_server.attack.stage import PAGE, Stage
from heldout_server.errors import ConfigError

WORDS: Final = ("fetch", "seventeen", "quilted", "marmalade", "jars", "past", "lighthouse", "keepers")
PROMPT: Final = f"{' '.join(WORDS)}?".capitalize()
NAME: Final = "-".join(WORDS)
BEGINNING: Final = "fetch seventeen quilted marmalade"
SPELLINGS: Final[Mapping[str, str]] = {
    "plain": NAME,
    "backwards": NAME[::-1],
    "words backwards": ".".join(reversed(WORDS)),
    "run together": "".join(WORDS),
    "rot13": codecs.encode(NAME, "rot13"),
    "hex": BEGINNING[:32].encode().hex(),
    "base32": base64.b32encode(BEGINNING.encode()).decode().rstrip("=").lower(),
}
"""Names that say the prompt, or as much of it as 64 letters hold."""

A_NAME: Final = 2
"""Words of the prompt in each name of the drip."""

AN_EPOCH: Final = 2
"""New categories in each of its epochs."""

MANY: Final = 12
"""Prompts that come with them: enough of each that its row is not withheld."""

MOST: Final = 0.85
"""Share of a prompt's words that may be out (rule ``words_over_cards`` of the gate)."""


async def run(stage: Stage) -> Finding:
    """Import under such names, open epochs, and read the names of rows as a trainer."""
    rows = [{"text": PROMPT, "category": "plain-one"}]
    rows += [
        {"text": f"How could {n} brothers whistle?", "category": name} for n, name in enumerate(SPELLINGS.values())
    ]
    await stage.import_prompts(rows)
    refused = await _open(stage)
    whole = [spelling for spelling, name in SPELLINGS.items() if name not in refused]
    await _retire(stage, await _handles(stage))

    names = ["-".join(WORDS[at : at + A_NAME]) for at in range(0, len(WORDS), A_NAME)]
    drips = [names[at : at + AN_EPOCH] for at in range(0, len(names), AN_EPOCH)]
    await stage.import_prompts(mild_prompts(harmful=24, benign=8))
    for number, drip in enumerate(drips):
        before = set(await _handles(stage))
        await stage.import_prompts(
            [{"text": f"How could song {len(before)} be {n}?", "category": drip[n % len(drip)]} for n in range(MANY)]
        )
        if await _open(stage):
            await _retire(stage, [one for one in await _handles(stage) if one not in before])
            break
        stage.submit(f"nova-v{number}")
        await stage.published(f"nova-v{number}")
    told = {row.key for one in await stage.releases() for table in one.release.tables for row in table.rows}
    out = [word for name in names if name in told for word in name.split("-")]
    share = len(out) / len(WORDS)
    return Finding(
        tried=f"a prompt in the name of one category, in {len(SPELLINGS)} spellings; then its {len(WORDS)} words over "
        f"{len(names)} names, {AN_EPOCH} in each of {len(drips)} epochs",
        learned=f"{', '.join(whole) or 'none'} of the spellings; {share:.0%} of its words, {A_NAME} to a name",
        held=not whole and 0 < share < MOST,
    )


async def _open(stage: Stage) -> set[str]:
    """Open an epoch, and return the names of categories for which it was not opened.

    Raises:
        ConfigError: it was not opened for another reason, so that this shows nothing.
    """
    told = await stage.open_epoch()
    answer = bank_pb2.OpenEpochResponse.FromString(told.body)
    if told.code != "OK" or answer.gaps:
        raise ConfigError(f"an epoch could not be opened: {told.code}, {len(answer.gaps)} gaps")
    return {hit.category for hit in answer.categories}


async def _handles(stage: Stage) -> Sequence[str]:
    request = bank_pb2.ListPromptsRequest(page_size=PAGE).SerializeToString()
    told = await stage.ask("bank_tester", "/heldout.v1.BankService/ListPrompts", request)
    return bank_pb2.ListPromptsResponse.FromString(told.body).handles


async def _retire(stage: Stage, handles: Sequence[str]) -> None:
    request = bank_pb2.RetirePromptsRequest(handles=handles).SerializeToString()
    await stage.ask("bank_tester", "/heldout.v1.BankService/RetirePrompts", request)


ATTACK = Attack(
    name="drip-over-categories",
    plays=Player.TRAINING_TEAM,
    explains="let a prompt out in the names of categories: whole, encoded, and word by word over epochs",
    needs=Needs.OWN,
    run=run,
    slow=True,
)
