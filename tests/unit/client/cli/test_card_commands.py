"""``heldout cards``: cards compared with the bank, proposed, read and decided."""

from __future__ import annotations

import pytest
from client_fakes import make_card

from heldout import errors
from heldout_proto.v1 import bank_pb2, card_pb2

CARD = 'title = "Persona"\nmechanism = "It plays a part."\nreferences = ["A paper"]\nmitigation = "Train."\n'
HIT = bank_pb2.CardHit(rule=bank_pb2.CARD_RULE_WORD_RUNS, handle="prompt-4f0c")


def test_a_card_that_gives_nothing_away(published, tmp_path):
    published.appliance.answers["ExamineCard"] = bank_pb2.ExamineCardResponse()
    file = tmp_path / "card.toml"
    file.write_text(CARD)
    out = published("cards", "check", str(file))
    assert "1 card checked" in out
    assert "a paraphrase or a translation is not found" in out


def test_a_card_that_gives_a_prompt_away_names_it_and_is_exit_code_1(published, tmp_path):
    published.appliance.answers["ExamineCard"] = bank_pb2.ExamineCardResponse(hits=[HIT])
    file = tmp_path / "card.toml"
    file.write_text(CARD)
    out = published("cards", "check", str(file), code=1)
    assert "card.toml" in out
    assert "word-runs" in out
    assert "prompt-4f0c" in out


def test_without_a_file_every_published_card_is_checked(published):
    published.appliance.answers["ExamineCard"] = bank_pb2.ExamineCardResponse()
    found = published.json("cards", "check")
    assert [one["card"] for one in found["cards"]] == ["base64", "persona"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("title = ", "not TOML"),
        ("titel = 'x'", "titel"),
        ("title = 3", "title: must be a text"),
        ("references = 'x'", "references: must be a list"),
        ("references = [1]", "references: must be a list"),
    ],
)
def test_a_file_that_is_no_card_is_one_line(published, tmp_path, content, said):
    file = tmp_path / "card.toml"
    file.write_text(content)
    assert said in published("cards", "check", str(file), code=2)


def test_a_file_that_is_not_there(published, tmp_path):
    assert "No such file" in published("cards", "check", str(tmp_path / "none.toml"), code=2)


ANA = "spiffe://heldout.example/ana"


def record(technique="persona", state=card_pb2.CARD_STATE_PROPOSED, **fields):
    fields = {"author": ANA, "approved_by": "", **fields}
    return card_pb2.CardRecord(card=make_card(technique, **fields), state=state, proposed_s=60)


def requests(command, name):
    kind = getattr(card_pb2, f"{name}Request")
    return [kind.FromString(sent) for method, sent in command.appliance.calls if method.endswith(f"/{name}")]


@pytest.fixture
def cards(published):
    published.appliance.answers |= {
        "ListCardRecords": card_pb2.ListCardRecordsResponse(
            cards=[record("base64", author="heldout"), record(), record("rot13", card_pb2.CARD_STATE_WITHHELD)]
        ),
        "ExamineCard": bank_pb2.ExamineCardResponse(),
        "ApproveCard": lambda request: card_pb2.ApproveCardResponse(
            card=record(
                card_pb2.ApproveCardRequest.FromString(request).technique,
                card_pb2.CARD_STATE_APPROVED,
                approved_by="spiffe://heldout.example/ben",
            )
        ),
        "RefuseCard": card_pb2.RefuseCardResponse(),
        "WithdrawCard": card_pb2.WithdrawCardResponse(card=record(state=card_pb2.CARD_STATE_WITHDRAWN)),
    }
    return published


def card_file(tmp_path, content=CARD):
    file = tmp_path / "card.toml"
    file.write_text(content)
    return str(file)


def test_cards_are_listed_with_where_they_stand(cards):
    out = cards("cards", "list")
    assert "persona    proposed  ana" in out
    assert "rot13      withheld" in out
    assert [one["state"] for one in cards.json("cards", "list")] == ["proposed", "proposed", "withheld"]


def test_a_card_is_shown_with_what_is_found_in_it_now(cards):
    cards.appliance.answers["ExamineCard"] = bank_pb2.ExamineCardResponse(hits=[HIT])
    out = cards("cards", "show", "persona")
    assert "It works." in out
    assert "word-runs  prompt-4f0c" in out
    assert cards.json("cards", "show", "persona")["hits"] == [{"rule": "word-runs", "handle": "prompt-4f0c"}]


def test_whoever_may_not_know_is_told_nothing_of_the_bank(cards):
    cards.appliance.answers["ExamineCard"] = errors.Refused("no", reason="REFUSED")
    assert "found" not in cards("cards", "show", "persona")
    assert "hits" not in cards.json("cards", "show", "persona")


def test_a_card_that_is_not_there_is_one_line_that_suggests(cards):
    assert "there is no card of personna; did you mean persona?" in cards("cards", "show", "personna", code=1)


def test_a_card_is_handed_in(cards, tmp_path):
    cards.appliance.answers["ProposeCard"] = card_pb2.ProposeCardResponse(card=record())
    assert "proposed · written by" in cards("cards", "propose", "persona", card_file(tmp_path))
    (request,) = requests(cards, "ProposeCard")
    assert (request.technique, request.title, list(request.references)) == ("persona", "Persona", ["A paper"])


def test_a_card_in_which_something_is_found_is_not_kept_and_exit_code_1(cards, tmp_path):
    cards.appliance.answers["ProposeCard"] = card_pb2.ProposeCardResponse(hits=[HIT])
    assert "prompt-4f0c" in cards("cards", "propose", "persona", card_file(tmp_path), code=1)


def test_a_card_without_a_text_is_not_sent(cards, tmp_path):
    assert "mechanism: missing or empty" in cards(
        "cards", "propose", "persona", card_file(tmp_path, "title = 'x'\nreferences=['y']\nmitigation='z'"), code=2
    )
    assert requests(cards, "ProposeCard") == []


def test_an_approval_names_the_digest_that_was_shown_or_given(cards):
    assert "approved by spiffe://heldout.example/ben" in cards("cards", "approve", "persona")
    cards("cards", "approve", "persona", "--digest", "d" * 64)
    assert [one.digest for one in requests(cards, "ApproveCard")] == [record().card.digest, "d" * 64]


def test_shipped_cards_are_approved_in_one_step_and_no_other_is(cards):
    cards("cards", "approve", "--shipped")
    assert [one.technique for one in requests(cards, "ApproveCard")] == ["base64"]
    assert "name one technique, or pass --shipped" in cards("cards", "approve", code=2)


@pytest.mark.parametrize(
    ("reason", "said"),
    [("OWN_CARD", "nobody approves a card of their own"), ("FOUND_IN_CARD", "something of a prompt is found in it")],
)
def test_why_a_card_is_not_approved_is_said_in_words(cards, reason, said):
    cards.appliance.answers["ApproveCard"] = errors.WrongState("no", reason=reason)
    assert said in cards("cards", "approve", "persona", code=1)


def test_a_card_is_refused_and_another_withdrawn(cards):
    assert "persona: refused" in cards("cards", "refuse", "persona")
    assert "withdrawn" in cards("cards", "withdraw", "persona")


def test_a_card_whose_text_is_not_that_of_its_digest_is_not_shown(cards):
    forged = record()
    forged.card.mechanism = "Something else."
    cards.appliance.answers["ListCardRecords"] = card_pb2.ListCardRecordsResponse(cards=[forged])
    assert "not what its digest says" in cards("cards", "list", code=1)
