"""What an epoch is not opened with: categories, whose names are published, that are named after a prompt."""

from __future__ import annotations

import base64
import re

import pytest

from card_samples import ordinary_cards, prompt_texts
from heldout_proto.v1 import bank_pb2
from heldout_server.api.bank import BankServicer
from heldout_server.bank import SqlBank
from heldout_server.domain import Intent, PromptDraft, SecretText
from heldout_server.errors import WrongState
from heldout_server.ports.bank import CategoriesTell, DraftRow
from key_ring_fakes import OneSecretKeyRing, RandomIds

TEXTS = prompt_texts(50)
WORDS = re.findall("[a-z]+", TEXTS[7].lower())


def imported(bank, named):
    async def rows():
        yield [
            DraftRow(line, PromptDraft(text=SecretText(text), intent=Intent.HARMFUL, category=category))
            for line, (category, text) in enumerate(named, start=1)
        ]

    return bank.import_prompts(rows(), skip_bad=False)


@pytest.fixture
async def bank(tmp_path):
    bank = SqlBank.open(tmp_path / "bank.db", keys=OneSecretKeyRing(), ids=RandomIds())
    await imported(bank, [("mischief", text) for text in TEXTS])
    yield bank
    bank.close()


async def refused_for(bank):
    with pytest.raises(CategoriesTell) as caught:
        await bank.open_epoch()
    assert (await bank.stats()).epoch is None
    return caught.value.hits


NAMES = {
    "its words": "-".join(WORDS[:9])[:64],
    "its words backwards": "_".join(reversed(WORDS[:9]))[:64],
    "its letters": "".join(WORDS)[:64],
    "its letters backwards": "".join(WORDS)[:64][::-1],
    "in base32": base64.b32encode(" ".join(WORDS)[:40].encode()).decode().lower(),
    "in hexadecimal": " ".join(WORDS)[:32].encode().hex(),
    "digits for letters": "-".join(WORDS[:9])[:64].replace("e", "3").replace("o", "0"),
}


@pytest.mark.parametrize("how", NAMES)
async def test_an_epoch_is_not_opened_with_a_category_named_after_a_prompt(bank, how):
    await imported(bank, [(NAMES[how], "Some words that have nothing to do with it.")])
    hits = await refused_for(bank)
    assert list(hits) == [NAMES[how]]
    assert TEXTS[7] in {(await bank.get(hit.handle)).draft.text.reveal() for hit in hits[NAMES[how]]}


async def test_a_prompt_of_two_words_is_found_in_a_name_though_no_card_is_held_to_that(bank):
    await imported(bank, [("lockpicking-basics", "Basics: lockpicking?")])
    assert list(await refused_for(bank)) == ["lockpicking-basics"]


async def test_a_prompt_dealt_out_to_several_names_is_found(bank):
    words = list(dict.fromkeys(WORDS))
    names = ["-".join(words[start : start + 3]) for start in range(0, len(words), 3)]
    await imported(bank, [(name, f"Nothing of the kind, number {n}.") for n, name in enumerate(names)])
    assert await refused_for(bank)


async def test_names_of_topics_pass_and_are_remembered_with_the_cards(bank):
    topics = ["chemical-weapons", "fraud", "hate.speech", "self_harm", "malware-2", "privacy"]
    await imported(bank, [(name, f"Nothing of the kind, number {n}.") for n, name in enumerate(topics)])
    await bank.gate.admit(list(ordinary_cards(20)))
    assert (await bank.open_epoch()).prompts == len(TEXTS) + len(topics)
    await imported(bank, [("privacy", "One more.")])
    assert (await bank.open_epoch()).number == 2


async def test_a_name_that_is_out_is_not_judged_by_prompts_that_come_later(bank):
    await imported(bank, [("how-to-fold-a-paper-boat", "Nothing of the kind.")])
    await bank.open_epoch()
    await imported(bank, [("mischief", "How to fold a paper boat!")])
    assert (await bank.open_epoch()).number == 2


async def test_names_of_several_epochs_that_spell_a_prompt_together_are_found(bank):
    words = list(dict.fromkeys(WORDS))
    names = ["-".join(words[start : start + 3]) for start in range(0, len(words), 3)]
    found = False
    for number, name in enumerate(names):
        await imported(bank, [(name, f"Nothing of the kind, number {number}.")])
        try:
            await bank.open_epoch()
        except CategoriesTell as told:
            found = list(told.hits) == [name]
            break
    assert found


async def test_a_name_that_no_live_prompt_has_any_more_keeps_nothing_shut(bank):
    await imported(bank, [(NAMES["its words"], "Some words that have nothing to do with it.")])
    await refused_for(bank)
    named = await bank.handles(after="", limit=100, category=NAMES["its words"])
    assert len(named) == 1
    assert await bank.handles(after=named[0], limit=100, category=NAMES["its words"]) == ()
    await bank.retire(named)
    assert (await bank.open_epoch()).prompts == len(TEXTS)


async def test_prompts_that_come_in_while_names_are_compared_are_not_frozen_uncompared(bank, monkeypatch):
    admit = bank.gate.admit_names

    async def admit_slowly(names):
        found = await admit(names)
        await imported(bank, [(NAMES["its words"], "Some words that have nothing to do with it.")])
        return found

    monkeypatch.setattr(bank.gate, "admit_names", admit_slowly)
    with pytest.raises(WrongState) as caught:
        await bank.open_epoch()
    assert caught.value.reason == "BANK_CHANGED"
    assert (await bank.stats()).epoch is None


async def test_a_bank_tester_is_told_the_category_and_the_prompt_and_nothing_is_announced(bank):
    await imported(bank, [(NAMES["its words"], "Some words that have nothing to do with it.")])
    announced = []

    async def gate_epoch():
        return lambda _units: ()

    async def on_epoch():
        announced.append("epoch")

    servicer = BankServicer(
        bank=bank, gate=bank.gate, packs=None, gate_epoch=gate_epoch, find_shortage=None, on_epoch=on_epoch
    )
    answer = await servicer.OpenEpoch(bank_pb2.OpenEpochRequest(), None)
    (told,) = answer.categories
    assert told.category == NAMES["its words"]
    assert TEXTS[7] in {(await bank.get(hit.handle)).draft.text.reveal() for hit in told.hits}
    assert not answer.HasField("epoch")
    assert announced == []
