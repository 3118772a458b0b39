"""Texts that say nearly the same, known by keyed sketches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout_server.bank import near, studies
from heldout_server.bank.sketch import BANDS, NEAR, PLACES, SKETCH_BYTES, band_of, similarity, sketch
from heldout_server.domain import SecretText
from heldout_server.ports.bank import NearPair, NearPairs, NearRows

NONE = NearRows(rows=(), total=0)
KEY = bytes(range(32))
HAT = "How do I fold a paper hat for my little sister out of an old newspaper without any glue at all please"
HAT_AGAIN = HAT.replace("please", "today")
CAKE = "Which flour should I take for a plain sponge cake that has to be ready before the guests come at four"


def number(text, key=KEY):
    return int.from_bytes(sketch(SecretText(text), key))


def alike(one, other):
    return similarity(number(one), number(other))


def test_the_same_words_are_the_same_whatever_stands_between_them():
    assert alike(HAT, HAT.upper().replace(" ", ",  ") + "!") == 1


def test_a_changed_word_is_near_and_another_text_is_not():
    assert NEAR <= alike(HAT, HAT_AGAIN) < 1
    assert alike(HAT, CAKE) < 0.2


def test_scripts_without_blanks_are_cut_into_characters():
    text = "折り紙の帽子を新聞紙で作る方法を教えてくださいお願いします"
    assert alike(text, text + "ね") >= NEAR
    assert alike(text, text[::-1]) < 0.2


def test_under_another_key_the_same_text_has_an_unrelated_sketch():
    assert similarity(number(HAT), number(HAT, bytes(32))) < 0.2


@given(st.text(min_size=1, max_size=200))
def test_any_text_has_a_sketch_that_is_like_itself(text):
    sketched = sketch(SecretText(text), KEY)
    assert len(sketched) == SKETCH_BYTES
    assert similarity(int.from_bytes(sketched), int.from_bytes(sketched)) == 1


@given(*[st.lists(st.integers(0, 3), min_size=PLACES, max_size=PLACES)] * 2)
def test_places_are_compared_one_by_one(one, other):
    """Differences of every kind: in the top bit of a place, in others, and in neighbours."""
    kinds = (0x0000, 0x8000, 0x7FFF, 0x0001)
    first, second = (int.from_bytes(b"".join(kinds[kind].to_bytes(2) for kind in places)) for places in (one, other))
    assert similarity(first, second) == sum(a == b for a, b in zip(one, other, strict=True)) / PLACES


def test_long_texts_are_looked_at_up_to_a_bound():
    long = " ".join(f"w{number}" for number in range(5000))
    assert alike(long, long + " and much more") == 1


def test_near_texts_share_a_band():
    one, other = (sketch(SecretText(text), KEY) for text in (HAT, HAT_AGAIN))
    assert any(band_of(one, band) == band_of(other, band) for band in range(BANDS))


@pytest.fixture
async def stocked(bank, make, rows):
    await bank.import_prompts(rows([make(HAT), make(CAKE)]), skip_bad=False)
    return bank


async def handle_of(bank, text):
    for handle in await bank.handles(after="", limit=100):
        if (await bank.get(handle)).draft.text.reveal() == text:
            return handle
    raise AssertionError("no such prompt")


async def test_an_import_names_the_prompt_that_a_row_is_like(stocked, make, rows):
    hat = await handle_of(stocked, HAT)
    report = await stocked.import_prompts(rows([make("Something else entirely"), make(HAT_AGAIN)]), skip_bad=False)
    assert report.imported == 2
    found = await stocked.near_rows(report)
    assert found.total == 1
    (row,) = found.rows
    assert (row.line, row.handle) == (2, hat)
    assert NEAR <= row.similarity <= 1


async def test_rows_of_one_import_are_compared_too(bank, make, rows):
    report = await bank.import_prompts(rows([make(HAT), make(CAKE), make(HAT_AGAIN)]), skip_bad=False)
    found = await bank.near_rows(report)
    assert [(row.line, row.handle) for row in found.rows] == [(3, await handle_of(bank, HAT))]


async def test_an_exact_duplicate_is_none_and_a_retired_prompt_is_not_named(stocked, make, rows):
    assert await stocked.near_rows(await stocked.import_prompts(rows([make(HAT)]), skip_bad=False)) == NONE
    await stocked.retire([await handle_of(stocked, HAT)])
    report = await stocked.import_prompts(rows([make(HAT_AGAIN)]), skip_bad=False)
    assert await stocked.near_rows(report) == NONE
    assert await stocked.near_duplicates() == NearPairs(pairs=(), total=0)


async def test_an_import_that_leaves_nothing_is_like_nothing(stocked, make, rows):
    report = await stocked.import_prompts(rows([make(HAT_AGAIN), make("")]), skip_bad=False)
    assert report.imported == 0
    assert await stocked.near_rows(report) == NONE


async def test_pairs_are_listed_most_alike_first_and_bounded(stocked, make, rows, monkeypatch):
    nearer = HAT + "!?"
    await stocked.import_prompts(rows([make(HAT_AGAIN), make(nearer)]), skip_bad=False)
    found = await stocked.near_duplicates()
    assert found.total == 3
    same = NearPair(first=await handle_of(stocked, HAT), second=await handle_of(stocked, nearer), similarity=1.0)
    assert same in found.pairs
    assert [pair.similarity for pair in found.pairs] == sorted((pair.similarity for pair in found.pairs), reverse=True)
    monkeypatch.setattr(studies, "MAX_NEAR", 1)
    found = await stocked.near_duplicates()
    assert (len(found.pairs), found.total) == (1, 3)


async def test_a_crowd_that_is_all_alike_is_compared_with_its_first(bank, make, rows, monkeypatch):
    monkeypatch.setattr(near, "MAX_BUCKET", 2)
    crowd = [make(HAT + "!" * count) for count in range(6)]
    report = await bank.import_prompts(rows(crowd), skip_bad=False)
    assert (await bank.near_rows(report)).total == 5
    assert (await bank.near_duplicates()).total == 5


async def test_pairs_outlive_a_restart(path, open_bank, make, rows):
    bank = open_bank()
    await bank.import_prompts(rows([make(HAT), make(HAT_AGAIN)]), skip_bad=False)
    bank.close()
    assert (await open_bank().near_duplicates()).total == 1


async def test_a_search_that_was_broken_off_is_carried_on(path, open_bank, make, rows, monkeypatch):
    """Each shard is durable by itself; what is missing is learnt at the next question."""
    bank = open_bank()
    await bank.import_prompts(rows([make(CAKE)]), skip_bad=False)
    await bank.near_duplicates()
    report = await bank.import_prompts(rows([make(HAT), make(HAT_AGAIN)]), skip_bad=False)

    def breaks(*_):
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(studies, "sketch", breaks)
        with pytest.raises(RuntimeError):
            await bank.near_rows(report)
    assert (await bank.stats()).unstudied == 2
    bank.close()
    again = open_bank()
    assert (await again.near_duplicates()).total == 1
    assert (await again.stats()).unstudied == 0
