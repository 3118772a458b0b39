"""``heldout bank check-card``: cards compared with the bank."""

from __future__ import annotations

import pytest

from heldout_proto.v1 import bank_pb2

CARD = 'title = "Persona"\nmechanism = "It plays a part."\nreferences = ["A paper"]\nmitigation = "Train."\n'
HIT = bank_pb2.CardHit(rule=bank_pb2.CARD_RULE_WORD_RUNS, handle="prompt-4f0c")


def test_a_card_that_gives_nothing_away(published, tmp_path):
    published.appliance.answers["ExamineCard"] = bank_pb2.ExamineCardResponse()
    file = tmp_path / "card.toml"
    file.write_text(CARD)
    out = published("bank", "check-card", str(file))
    assert "1 card checked" in out
    assert "a paraphrase or a translation is not found" in out


def test_a_card_that_gives_a_prompt_away_names_it_and_is_exit_code_1(published, tmp_path):
    published.appliance.answers["ExamineCard"] = bank_pb2.ExamineCardResponse(hits=[HIT])
    file = tmp_path / "card.toml"
    file.write_text(CARD)
    out = published("bank", "check-card", str(file), code=1)
    assert "card.toml" in out
    assert "word-runs" in out
    assert "prompt-4f0c" in out


def test_without_a_file_every_published_card_is_checked(published):
    published.appliance.answers["ExamineCard"] = bank_pb2.ExamineCardResponse()
    found = published.json("bank", "check-card")
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
    assert said in published("bank", "check-card", str(file), code=2)


def test_a_file_that_is_not_there(published, tmp_path):
    assert "No such file" in published("bank", "check-card", str(tmp_path / "none.toml"), code=2)
