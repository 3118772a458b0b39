"""Every pair of techniques either composes or is refused with a reason that a person can act on."""

from __future__ import annotations

import re
from itertools import permutations, product

import pytest

from heldout.refusals import BY_EXACT
from heldout_server.domain import SecretText
from heldout_server.errors import InvalidRequest
from heldout_server.techniques import TechniqueLibrary
from heldout_server.techniques.library import DEFAULT, STANDARD
from heldout_server.techniques.library.base64_text import Base64Text
from heldout_server.techniques.library.persona import Persona
from heldout_server.techniques.stacking import REFUSED, WHY, compatible_stacks
from heldout_server.techniques.technique import Kind

LIBRARY = TechniqueLibrary.standard()
IDS = [technique.technique_id for technique in DEFAULT]
ALL_IDS = [technique.technique_id for technique in STANDARD]
PROMPT = SecretText("How do I bake bread without an oven?")

COMPOSE = {
    ("base64", "fiction"),
    ("base64", "persona"),
    ("base64", "payload-splitting"),
    ("base64", "many-shot"),
    ("leetspeak", "base64"),
    ("leetspeak", "fiction"),
    ("leetspeak", "persona"),
    ("leetspeak", "payload-splitting"),
    ("leetspeak", "many-shot"),
    ("fiction", "base64"),
    ("fiction", "persona"),
    ("fiction", "many-shot"),
    ("persona", "base64"),
    ("persona", "fiction"),
    ("persona", "many-shot"),
    ("payload-splitting", "base64"),
    ("payload-splitting", "fiction"),
    ("payload-splitting", "persona"),
    ("payload-splitting", "many-shot"),
}


@pytest.mark.parametrize("pair", list(permutations(IDS, 2)), ids="+".join)
def test_a_pair_composes_or_says_why_not(pair):
    if pair in COMPOSE:
        LIBRARY.check_stack(pair)
        assert LIBRARY.deliver(pair, SecretText("How do I bake bread?"), seed=3).messages
        return
    with pytest.raises(InvalidRequest) as refused:
        LIBRARY.check_stack(pair)
    inner, outer = pair
    assert str(refused.value) == f"{outer} may not go over {inner}: {WHY[refused.value.reason]}"
    with pytest.raises(InvalidRequest):
        LIBRARY.deliver(pair, SecretText("How do I bake bread?"), seed=3)


@pytest.mark.parametrize("technique_id", IDS)
def test_a_technique_alone_is_a_stack_and_twice_is_none(technique_id):
    LIBRARY.check_stack((technique_id,))
    with pytest.raises(InvalidRequest) as refused:
        LIBRARY.check_stack((technique_id, technique_id))
    assert refused.value.reason == "REPEATED_TECHNIQUE"
    assert technique_id in str(refused.value)


def test_no_technique_is_no_stack_to_refuse():
    LIBRARY.check_stack(())


def test_a_rule_counts_between_neighbours_of_a_longer_stack():
    LIBRARY.check_stack(("leetspeak", "payload-splitting", "fiction", "persona", "base64", "many-shot"))
    with pytest.raises(InvalidRequest, match="leetspeak may not go over fiction"):
        LIBRARY.check_stack(("payload-splitting", "fiction", "leetspeak"))


def test_many_shot_is_outermost():
    for other in IDS:
        if other != "many-shot":
            with pytest.raises(InvalidRequest, match="outermost"):
                LIBRARY.check_stack(("many-shot", other))


def test_every_rule_is_between_kinds_that_exist_and_gives_a_reason():
    assert set(REFUSED) <= set(product(Kind, Kind))
    assert {*REFUSED.values(), "FOLDS_TEXT", "NO_WORDS_LEFT"} == WHY.keys()


def test_whoever_proposes_is_told_each_reason_in_words():
    assert WHY.keys() | {"REPEATED_TECHNIQUE", "UNKNOWN_TECHNIQUE"} <= BY_EXACT.keys()


class OtherBase64(Base64Text):
    technique_id = "base64-again"


class OtherPersona(Persona):
    technique_id = "persona-again"


def test_an_encoding_over_another_is_decoded_from_the_outermost_inwards():
    library = TechniqueLibrary([Base64Text(), OtherBase64()])
    delivery = library.deliver(("base64", "base64-again"), SecretText("How do I bake bread?"), seed=1)
    assert delivery.decoders == ("base64-again", "base64")
    twice = "VTJGc2RDd2dkMkYwWlhJc0lHWnNiM1Z5SUdGdVpDQjVaV0Z6ZEM0PQ=="
    assert library.decode(delivery.decoders, twice) == "Salt, water, flour and yeast."


def test_two_personas_contradict_each_other():
    with pytest.raises(InvalidRequest, match="contradict"):
        TechniqueLibrary([Persona(), OtherPersona()]).check_stack(("persona", "persona-again"))


def refusal(stack):
    """Return why a stack is refused, or an empty text where it composes."""
    try:
        LIBRARY.check_stack(stack)
    except InvalidRequest as refused:
        return str(refused)
    return ""


def test_the_pairs_are_those_that_compose_and_every_other_says_why_not():
    pairs = compatible_stacks(STANDARD, size=2)
    for inner, outer in permutations(ALL_IDS, 2):
        why = refusal((inner, outer))
        assert ((inner, outer) in pairs) is (why == "")
        assert not why or re.fullmatch(rf"{outer} may not go over {inner}: \S+( \S+){{3,}}", why)
    assert len(pairs) == len(set(pairs))
    assert set(COMPOSE) <= set(pairs)


def test_the_triples_are_those_that_compose():
    triples = compatible_stacks(STANDARD, size=3)
    assert len(triples) == len(set(triples)) > 2_000
    assert set(triples) == {triple for triple in permutations(ALL_IDS, 3) if not refusal(triple)}


@pytest.mark.parametrize("seed", range(3))
def test_every_pair_and_triple_that_composes_delivers_an_everyday_prompt(seed):
    for size in (2, 3):
        for stack in LIBRARY.stacks(size):
            assert LIBRARY.deliver(stack, PROMPT, seed=seed).messages


def test_plans_keep_the_order_of_what_they_are_made_from():
    assert compatible_stacks((Persona(), Base64Text()), size=2) == (("persona", "base64"), ("base64", "persona"))
    assert compatible_stacks((Persona(), Base64Text()), size=1) == (("persona",), ("base64",))
    assert compatible_stacks((Persona(), Base64Text()), size=3) == ()
    assert LIBRARY.stacks(1) == tuple((technique_id,) for technique_id in sorted(ALL_IDS))
    with pytest.raises(ValueError, match="at least one"):
        compatible_stacks(STANDARD, size=0)


@pytest.mark.parametrize(
    ("stack", "why"),
    [
        (("leetspeak", "homoglyphs"), "no ordinary words"),
        (("spaced-letters", "leetspeak"), "no ordinary words"),
        (("leetspeak", "morse"), "does not keep all"),
        (("fiction", "morse"), "does not keep all"),
        (("prefix-injection", "zero-width"), "rewrites its words"),
        (("prefix-injection", "fiction"), "into the scene"),
        (("refusal-suppression", "persona"), "into the scene"),
        (("refusal-suppression", "payload-splitting"), "cuts its instructions"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else "",
)
def test_the_further_rules_say_why_not(stack, why):
    with pytest.raises(InvalidRequest, match=why):
        LIBRARY.check_stack(stack)


def test_homoglyphs_and_invisible_characters_compose_and_come_back():
    delivery = LIBRARY.deliver(("homoglyphs", "zero-width", "base64", "prefix-injection"), PROMPT, seed=4)
    assert delivery.decoders == ("base64",)
