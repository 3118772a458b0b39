"""The cards gate: what it catches of a prompt in the text of a card, what it lets pass, and what it keeps."""

from __future__ import annotations

import base64
import codecs
import dataclasses
import random
import re

import pytest

from card_samples import ordinary_cards, prompt_texts
from heldout_server.bank import SqlBank
from heldout_server.domain import Intent, PromptDraft, SecretText
from heldout_server.ports.bank import DraftRow
from heldout_server.ports.cards import MAX_HITS, CardRule, CardText
from heldout_server.techniques import TechniqueLibrary
from key_ring_fakes import OneSecretKeyRing, RandomIds

PROMPTS = 1_000
TRIED = 3
HOMOGLYPHS = str.maketrans("aceopxyis", "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456\u0455")
LEET = str.maketrans("aeiostl", "4310571")
TEXTS = prompt_texts(PROMPTS)


def every_seventh_word_changed(text):
    return " ".join("something" if place % 7 == 6 else word for place, word in enumerate(text.split()))


def twelve_words(text):
    words = text.split()
    start = (len(words) - 12) // 2
    return " ".join(words[start : start + 12])


DISGUISES = {
    "verbatim": lambda text: text,
    "every 7th word changed": every_seventh_word_changed,
    "a chunk of 12 words": twelve_words,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "a chunk in base64": lambda text: base64.b64encode(twelve_words(text).encode()).decode(),
    "base32": lambda text: base64.b32encode(text.encode()).decode().lower().rstrip("="),
    "a chunk in base32": lambda text: "xyz" + base64.b32encode(twelve_words(text).encode()).decode() + "q",
    "hex": lambda text: text.encode().hex(),
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "reversed": lambda text: text[::-1],
    "homoglyphs": lambda text: text.translate(HOMOGLYPHS),
    "zero-width characters": "\u200b".join,
    "leetspeak": lambda text: text.lower().translate(LEET),
    "other case and punctuation": lambda text: re.sub(r"[ ,?]+", "; ", text.swapcase()),
    "one letter a word": " ".join,
    "percent encoded": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "reversed, then hex": lambda text: text[::-1].encode().hex(),
}


async def open_filled(path, texts):
    """Open a bank with these prompts in it."""

    async def rows():
        for line, text in enumerate(texts, start=1):
            draft = PromptDraft(text=SecretText(text), intent=Intent.HARMFUL, category="mischief")
            yield [DraftRow(line, draft)]

    bank = SqlBank.open(path, keys=OneSecretKeyRing(), ids=RandomIds())
    await bank.import_prompts(rows(), skip_bad=False)
    return bank


@pytest.fixture
async def filled(tmp_path):
    bank = await open_filled(tmp_path / "bank.db", TEXTS)
    yield bank
    bank.close()


def with_inside(card, text):
    """Put a text into the middle of an ordinary card."""
    first, *rest = card.mechanism.split(". ")
    return dataclasses.replace(card, mechanism=". ".join((first, f"For example: {text}", *rest)))


@pytest.mark.parametrize("disguise", DISGUISES)
async def test_a_prompt_in_a_card_is_caught_and_named(filled, disguise):
    draw = random.Random(disguise)  # noqa: S311 - the same prompts every time
    for card, text in zip(ordinary_cards(TRIED, seed=9), draw.sample(TEXTS, TRIED), strict=True):
        (hits,) = await filled.gate.examine([with_inside(card, DISGUISES[disguise](text))])
        assert 0 < len(hits) <= MAX_HITS
        if CardRule.TOO_MANY_READINGS not in {hit.rule for hit in hits}:
            texts = [(await filled.get(hit.handle)).draft.text.reveal() for hit in hits]
            assert text in texts


async def test_words_dripped_two_at_a_time_over_cards_are_caught(filled):
    draw = random.Random(3)  # noqa: S311 - the same prompts every time
    words = " ".join(draw.sample(TEXTS, 10)).split()
    for number, card in enumerate(ordinary_cards(100, seed=4)):
        dripped = " ".join(words[2 * number : 2 * number + 2])
        (hits,) = await filled.gate.admit([with_inside(card, dripped)])
        if hits:
            return
    pytest.fail("a hundred cards gave ten prompts away")


async def test_what_was_admitted_counts_again_after_a_restart(tmp_path):
    """A card that is refused leaves nothing behind, so the next one is judged as if it had not been."""
    path = tmp_path / "bank.db"
    text = TEXTS[0]
    words = text.split()
    bank = await open_filled(path, TEXTS[:50])
    cards = list(ordinary_cards(len(words), seed=5))
    passed = 0
    for card, pair in zip(cards, zip(words[::2], words[1::2], strict=False), strict=False):
        (hits,) = await bank.gate.admit([with_inside(card, " ".join(pair))])
        if hits:
            break
        passed += 1
        bank.close()
        bank = SqlBank.open(path, keys=OneSecretKeyRing(), ids=RandomIds())
    bank.close()
    assert 0 < passed < len(words) // 2


async def test_retired_prompts_are_caught_too(tmp_path):
    bank = await open_filled(tmp_path / "bank.db", TEXTS[:50])
    ((hit, *_),) = await bank.gate.examine([with_inside(next(ordinary_cards(1)), TEXTS[7])])
    handle = hit.handle
    await bank.retire((handle,))
    (hits,) = await bank.gate.examine([with_inside(next(ordinary_cards(1)), TEXTS[7])])
    bank.close()
    assert handle in {hit.handle for hit in hits}


async def test_ordinary_cards_and_those_of_the_library_pass(filled):
    cards = [
        *ordinary_cards(20, seed=6),
        *(
            CardText(title=one.title, mechanism=one.mechanism, references=one.references, mitigation=one.mitigation)
            for one in TechniqueLibrary.standard().cards()
        ),
    ]
    hits = await filled.gate.admit(cards)
    assert [card.title for card, found in zip(cards, hits, strict=True) if found] == []


@pytest.mark.slow
async def test_of_200_ordinary_cards_at_most_two_are_false_alarms(filled):
    hits = await filled.gate.admit(list(ordinary_cards(200)))
    assert sum(bool(found) for found in hits) <= 2


async def test_an_empty_bank_refuses_nothing(tmp_path):
    bank = await open_filled(tmp_path / "bank.db", [])
    assert await bank.gate.examine([next(ordinary_cards(1))]) == ((),)
    bank.close()


async def test_no_word_of_a_prompt_stands_in_the_file_in_plain(tmp_path):
    bank = await open_filled(tmp_path / "bank.db", TEXTS[:50])
    await bank.gate.admit([next(ordinary_cards(1))])
    bank.close()
    for file in tmp_path.iterdir():
        content = file.read_bytes()
        assert not any(word.encode() in content for word in TEXTS[0].split() if len(word) > 5)


async def test_cards_of_one_call_are_judged_as_if_they_came_one_after_the_other(tmp_path):
    """Words that two cards of a batch give away together are found at the later one; the batch is one pass."""
    batch = [with_inside(card, text) for card, text in zip(ordinary_cards(3, seed=8), halves_of(TEXTS[3]), strict=True)]
    found = []
    for name, sizes in (("one", [1, 1, 1]), ("all", [3])):
        bank = await open_filled(tmp_path / f"{name}.db", TEXTS[:50])
        places = iter(batch)
        hits = [hit for size in sizes for hit in await bank.gate.admit([next(places) for _ in range(size)])]
        found.append([sorted({one.rule for one in of_card}) for of_card in hits])
        bank.close()
    assert found[0] == found[1]
    assert found[0][0] == []
    assert any(found[0][1:])


def halves_of(text):
    """Deal the words of a text out to three cards, in pairs."""
    words = text.split()
    pairs = [" ".join(words[place : place + 2]) for place in range(0, len(words), 2)]
    return ["; ".join(pairs[start::3]) for start in range(3)]
