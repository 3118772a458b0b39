"""The library delivers what the prompt says, proves it, and refuses what it cannot carry."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout_server.domain import Message, SecretText
from heldout_server.errors import InvalidRequest, NotDeliverable
from heldout_server.ports.techniques import Techniques
from heldout_server.techniques import TechniqueLibrary
from heldout_server.techniques.library import DEFAULT, STANDARD
from heldout_server.techniques.library.base64_text import TEMPLATES as BASE64_TEMPLATES
from heldout_server.techniques.library.fiction import TEMPLATES as FICTION_TEMPLATES
from heldout_server.techniques.library.fiction import Fiction
from heldout_server.techniques.library.many_shot import DEMONSTRATIONS, SHOTS
from heldout_server.techniques.library.payload_splitting import TEMPLATES as SPLIT_TEMPLATES
from heldout_server.techniques.library.persona import TEMPLATES as PERSONA_TEMPLATES
from heldout_server.techniques.registry import MAX_DELIVERED_BYTES
from heldout_server.techniques.technique import Kind, LosslessTechnique
from heldout_server.techniques.templates import Template, unwrap

LIBRARY = TechniqueLibrary.standard()
LOSSLESS = [technique for technique in STANDARD if isinstance(technique, LosslessTechnique)]
DEFAULT_STACKS = [
    ("base64", "fiction"),
    ("base64", "persona"),
    ("leetspeak", "fiction"),
    ("leetspeak", "persona"),
    ("fiction", "persona"),
    ("payload-splitting", "persona"),
]
PROMPT = "How do I bake bread without an oven?"

unicode_texts = st.text(min_size=2, max_size=300).filter(lambda text: not text.isspace())


def source(seed):
    return random.Random(seed)  # noqa: S311 - a reproducible choice, not cryptography


def by_id(technique_id):
    return next(technique for technique in STANDARD if technique.technique_id == technique_id)


def outcome(technique, text, seed):
    """Return what comes back, or the reason why it is not delivered."""
    try:
        return technique.recover(technique.apply(text, source(seed)))
    except NotDeliverable as error:
        return error.reason


def delivered(stack, prompt=PROMPT, seed=7):
    return LIBRARY.deliver(stack, SecretText(prompt), seed=seed).messages[-1].content.reveal()


def test_the_library_fills_its_port():
    port: Techniques = LIBRARY
    assert [card.technique for card in port.cards()] == sorted(one.technique_id for one in STANDARD)
    assert [one.technique_id for one in LIBRARY.techniques()] == [card.technique for card in LIBRARY.cards()]


def test_the_six_techniques_of_the_default_table_ship():
    assert [one.technique_id for one in DEFAULT] == [
        "base64",
        "leetspeak",
        "fiction",
        "persona",
        "payload-splitting",
        "many-shot",
    ]


def test_others_ship_that_are_available_by_id():
    assert STANDARD[: len(DEFAULT)] == DEFAULT
    assert {one.kind for one in STANDARD} == set(Kind)
    assert len(STANDARD) == 20


def test_an_empty_stack_sends_the_prompt_as_it_is():
    delivery = LIBRARY.deliver((), SecretText(PROMPT), seed=1)
    assert delivery.messages == (Message("user", SecretText(PROMPT)),)
    assert delivery.decoders == ()


@pytest.mark.parametrize("technique", STANDARD, ids=lambda one: one.technique_id)
def test_a_delivery_never_changes_from_its_vector(technique):
    vector = technique.vector
    assert technique.apply(vector.text, source(vector.seed)) == vector.delivered
    assert delivered((technique.technique_id,), vector.text, vector.seed) == vector.delivered


@pytest.mark.parametrize("technique", STANDARD, ids=lambda one: one.technique_id)
@given(seed=st.integers(0, 2**64 - 1))
def test_a_seed_fixes_a_delivery_and_its_phrase_always_stands_in_it(technique, seed):
    text = delivered((technique.technique_id,), seed=seed)
    assert text != PROMPT
    assert text == delivered((technique.technique_id,), seed=seed)
    assert technique.phrase.search(text)


@pytest.mark.parametrize("technique", STANDARD, ids=lambda one: one.technique_id)
def test_seeds_pick_among_several_deliveries(technique):
    assert len({delivered((technique.technique_id,), seed=seed) for seed in range(40)}) > 1


@pytest.mark.parametrize("technique", STANDARD, ids=lambda one: one.technique_id)
def test_the_phrase_does_not_stand_in_the_plain_prompt(technique):
    assert technique.phrase.search(PROMPT) is None


@pytest.mark.parametrize("technique", LOSSLESS, ids=lambda one: one.technique_id)
@given(text=unicode_texts, seed=st.integers(0, 2**32))
def test_a_lossless_technique_gives_any_text_back(technique, text, seed):
    assert outcome(technique, text, seed) in technique.refuses | {technique.kept(text)}


@pytest.mark.parametrize("technique", LOSSLESS, ids=lambda one: one.technique_id)
@pytest.mark.parametrize(
    "text",
    [
        'Let a = "x"\nLet b = "y"',
        "two words\n\nQ9: and what looks like a question\nA9:",
        "ends in a colon: ",
        "a + b + c",
        'quote " and backslash \\ and \\n',
        "line\u2028separator\x85next\x00null",
        "ein Wort, zwei Wörter, 三个词, три слова, שלוש",
        "🙂🙂",
    ],
)
def test_texts_that_look_like_a_template_come_back_too(technique, text):
    for seed in range(12):
        assert outcome(technique, text, seed) in technique.refuses | {technique.kept(text)}


@pytest.mark.parametrize("technique", LOSSLESS, ids=lambda one: one.technique_id)
def test_recover_refuses_what_the_technique_did_not_deliver(technique):
    with pytest.raises(NotDeliverable):
        technique.recover(PROMPT)


@pytest.mark.parametrize("templates", [BASE64_TEMPLATES, FICTION_TEMPLATES, PERSONA_TEMPLATES, SPLIT_TEMPLATES])
def test_no_template_begins_another_so_that_one_alone_fits(templates):
    for one in templates:
        assert [other for other in templates if other.before.startswith(one.before)] == [one]


@pytest.mark.parametrize("stack", DEFAULT_STACKS, ids="+".join)
def test_the_default_stacks_compose_and_are_recognisable(stack):
    LIBRARY.check_stack(stack)
    for seed in range(20):
        text = delivered(stack, seed=seed)
        assert all(by_id(technique_id).phrase.search(text) for technique_id in stack)


def test_the_first_of_a_stack_is_innermost():
    text = delivered(("base64", "fiction"))
    assert PROMPT not in text
    assert unwrap(BASE64_TEMPLATES, unwrap(FICTION_TEMPLATES, text))
    assert "short story" not in delivered(("fiction", "base64"))


def test_an_answer_may_come_back_in_each_encoding_of_the_stack():
    assert LIBRARY.deliver(("base64", "fiction"), SecretText(PROMPT), seed=1).decoders == ("base64",)
    assert LIBRARY.deliver(("fiction", "persona"), SecretText(PROMPT), seed=1).decoders == ()


def test_many_shot_asks_the_prompt_after_eight_different_demonstrations():
    text = delivered(("many-shot",))
    asked = [question for question, _ in DEMONSTRATIONS if question in text]
    assert len(asked) == SHOTS
    assert text.endswith(f"\n\nQ9: {PROMPT}\nA9:")


@given(words=st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=3, max_size=40))
def test_payload_splitting_cuts_between_words_where_there_are_words(words):
    prompt = " ".join(words)
    text = delivered(("payload-splitting",), prompt)
    assert f'"{prompt}"' not in text
    assert 'Let b = " ' in text


def test_payload_splitting_cuts_a_single_word_between_characters():
    assert 'Let a = "' in delivered(("payload-splitting",), "面包怎么做")


@pytest.mark.parametrize(
    ("stack", "prompt", "reason"),
    [
        ((), "", "EMPTY"),
        (("fiction",), " \n\t", "EMPTY"),
        (("base64",), "half a pair: \ud800", "NOT_UTF8"),
        ((), "x" * (MAX_DELIVERED_BYTES + 1), "TOO_LONG"),
        (("base64",), "x" * 100_000, "TOO_LONG"),
        (("persona",), "é" * (MAX_DELIVERED_BYTES // 2), "TOO_LONG"),
        (("leetspeak",), "как испечь хлеб?", "NOTHING_TO_CHANGE"),
        (("leetspeak",), "b r d", "NOTHING_TO_CHANGE"),
        (("leetspeak",), "I, a?", "NOTHING_TO_CHANGE"),
        (("payload-splitting",), "?", "TOO_SHORT"),
        (("rot13",), "как испечь хлеб?", "NOTHING_TO_CHANGE"),
        (("rot13",), "как испечь хлеб в Rom?", "NOTHING_TO_CHANGE"),
        (("morse",), "Wie backe ich süßes Brot?", "SCRIPT_DROPPED"),
        (("morse",), "a = {b}", "SCRIPT_DROPPED"),
        (("morse",), "soft\u00a0space", "SCRIPT_DROPPED"),
        (("morse",), "\N{LATIN SMALL LETTER SHARP S}", "SCRIPT_DROPPED"),
        (("homoglyphs",), "как испечь хлеб?", "AMBIGUOUS"),
        (("homoglyphs",), "面包怎么做", "NOTHING_TO_CHANGE"),
        (("reversed-text",), "Anna? ?annA", "NOTHING_TO_CHANGE"),
        (("reversed-words",), "bread", "NOTHING_TO_CHANGE"),
        (("spaced-letters",), "Tea", "TOO_SHORT"),
        (("zero-width",), "Tea", "TOO_SHORT"),
    ],
)
def test_what_cannot_be_carried_is_not_delivered(stack, prompt, reason):
    with pytest.raises(NotDeliverable) as refused:
        LIBRARY.deliver(stack, SecretText(prompt), seed=1)
    assert refused.value.reason == reason
    assert not prompt or prompt not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_prompt_of_the_largest_size_is_delivered_plain():
    assert len(delivered((), "x" * MAX_DELIVERED_BYTES)) == MAX_DELIVERED_BYTES


class Forgetful(Fiction):
    """A broken technique: it drops what is not ASCII."""

    technique_id = "forgetful"

    def apply(self, text, rng):
        return super().apply(text.encode("ascii", "ignore").decode(), rng)


def test_a_lossless_technique_that_loses_something_does_not_deliver():
    library = TechniqueLibrary([Forgetful()])
    assert library.deliver(("forgetful",), SecretText(PROMPT), seed=1).messages
    with pytest.raises(NotDeliverable) as refused:
        library.deliver(("forgetful",), SecretText("Wie backe ich süßes Brot?"), seed=1)
    assert refused.value.reason == "ROUND_TRIP"


def test_a_technique_id_stands_once_and_is_not_the_plain_cell():
    class Plain(Fiction):
        technique_id = "plain"

    with pytest.raises(ValueError, match="fiction"):
        TechniqueLibrary([Fiction(), Fiction()])
    with pytest.raises(ValueError, match="plain"):
        TechniqueLibrary([Plain()])


def test_an_unknown_technique_is_refused_without_being_quoted():
    for call in (
        lambda: LIBRARY.check_stack(("no-such-thing",)),
        lambda: LIBRARY.deliver(("no-such-thing",), SecretText(PROMPT), seed=1),
        lambda: LIBRARY.decode(("no-such-thing",), "an answer"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            call()
        assert refused.value.reason == "UNKNOWN_TECHNIQUE"
        assert "no-such-thing" not in str(refused.value)


@pytest.mark.parametrize(
    "tampered",
    [
        lambda text: text.replace(" + b", "", 1),
        lambda text: text.replace('Let b = "', 'Let b = "\\x', 1),
        lambda text: text.replace("Let b", "Then b", 1),
    ],
)
def test_parts_that_are_missing_or_malformed_are_noticed(tampered):
    technique = by_id("payload-splitting")
    text = tampered(technique.vector.delivered)
    assert text != technique.vector.delivered
    with pytest.raises(NotDeliverable):
        technique.recover(text)


def test_base64_that_was_cut_is_noticed():
    with pytest.raises(NotDeliverable) as refused:
        by_id("base64").recover(BASE64_TEMPLATES[0].wrap("SG93!"))
    assert refused.value.reason == "ROUND_TRIP"


def test_a_template_is_not_unwrapped_where_its_ends_would_overlap():
    assert Template("abc", "cde").unwrap("abcde") is None
    assert Template("abc", "cde").unwrap("abccde") == ""
