"""Cards are the one text about a technique that leaves: complete, public, and short."""

from __future__ import annotations

import re
import sys

import pytest

from heldout_server.domain import IDENTIFIER
from heldout_server.techniques import TechniqueLibrary
from heldout_server.techniques.library import STANDARD
from heldout_server.techniques.library.many_shot import DEMONSTRATIONS

CARDS = TechniqueLibrary.standard().cards()
PUBLIC_SOURCE = re.compile(r"\((?:19|20)\d\d\), (?:arXiv:\d{4}\.\d{5}|[A-Z][\w ,]+ \d{4})\Z")

pytestmark = pytest.mark.parametrize("card", CARDS, ids=lambda card: card.technique)


def texts(card):
    return (card.title, card.mechanism, card.mitigation, *card.references)


def test_a_card_names_its_technique_by_identifiers(card):
    assert all(IDENTIFIER.fullmatch(name) for name in (card.technique, card.family, card.kind))


def test_every_field_of_a_card_says_something_and_is_short(card):
    assert card.references
    assert all(5 <= len(text) <= 1_200 for text in texts(card))
    assert min(len(card.mechanism), len(card.mitigation)) > 200


def test_a_card_holds_plain_printable_text(card):
    assert all(text.isprintable() and text == text.strip() and "  " not in text for text in texts(card))


def test_references_are_public_sources(card):
    assert all(PUBLIC_SOURCE.search(reference) for reference in card.references)


def test_a_card_quotes_no_template(card):
    modules = {sys.modules[type(one).__module__] for one in STANDARD}
    templates = [template for module in modules for template in getattr(module, "TEMPLATES", ())]
    assert len(templates) > 40
    wordings = [part.strip() for one in templates for part in (one.before, one.after) if len(part.strip()) > 15]
    wordings += [question for question, _ in DEMONSTRATIONS]
    assert not [wording for wording in wordings for text in texts(card) if wording in text]
