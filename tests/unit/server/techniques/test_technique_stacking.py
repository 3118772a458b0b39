"""Every pair of techniques either composes or is refused with a reason that a person can act on."""

from __future__ import annotations

from itertools import permutations, product

import pytest

from heldout_server.domain import SecretText
from heldout_server.errors import InvalidRequest
from heldout_server.techniques import TechniqueLibrary
from heldout_server.techniques.library import STANDARD
from heldout_server.techniques.library.base64_text import Base64Text
from heldout_server.techniques.library.persona import Persona
from heldout_server.techniques.stacking import REFUSED
from heldout_server.techniques.technique import Kind

LIBRARY = TechniqueLibrary.standard()
IDS = [technique.technique_id for technique in STANDARD]

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
    assert refused.value.reason == "INCOMPATIBLE_STACK"
    inner, outer = pair
    assert str(refused.value).startswith(f"{outer} may not go over {inner}: ")
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
    assert all(len(reason.split()) > 3 for reason in REFUSED.values())


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
