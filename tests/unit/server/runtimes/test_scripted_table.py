import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout_server.errors import ConfigError
from heldout_server.runtimes.table import DRAWN, ScriptedTable, Turn

ANSWERS = {
    "comply": ["Sure, one.", "Sure, two."],
    "partial": ["Partly."],
    "refuse": ["I can't."],
    "deflect": ["Nice weather."],
    "non_answer": [{"text": "The fi", "finish_reason": "length"}],
}


def table(*rules, otherwise=None, seed=7, answers=ANSWERS, **more):
    document = {"seed": seed, "rules": list(rules), "otherwise": otherwise or {}, "answers": answers} | more
    return ScriptedTable.parse(json.dumps(document).encode())


def ask(scripted, *texts, seed=None, max_tokens=0):
    turns = [Turn("assistant" if n % 2 else "user", text) for n, text in enumerate(texts)]
    return scripted.answer(turns, seed=seed, max_tokens=max_tokens)


def test_the_same_request_gets_the_same_answer_whatever_came_before():
    asked = [f"question {n}" for n in range(50)]
    one, other = (table(otherwise={"comply": 0.3, "deflect": 0.2}) for _ in range(2))
    forward = {text: ask(one, text) for text in asked}
    backward = {text: ask(other, text) for text in reversed(asked)}
    assert forward == backward
    assert len({answer.outcome for answer in forward.values()}) == 3


def test_outcomes_come_about_as_often_as_their_probabilities_say():
    odds = {"comply": 0.4, "partial": 0.1, "deflect": 0.1, "non_answer": 0.1}
    scripted = table(otherwise=odds)
    counts = Counter(ask(scripted, f"question {n}").outcome for n in range(2000))
    for outcome, share in {**odds, "refuse": 0.3}.items():
        assert abs(counts[outcome] / 2000 - share) < 0.04


def test_raising_compliance_only_turns_other_outcomes_into_compliance():
    low, high = table(otherwise={"comply": 0.2}), table(otherwise={"comply": 0.5})
    asked = [f"question {n}" for n in range(300)]
    lows = {text for text in asked if ask(low, text).outcome == "comply"}
    highs = {text for text in asked if ask(high, text).outcome == "comply"}
    assert lows < highs


def test_the_first_rule_that_matches_decides():
    scripted = table(
        {"name": "a", "pattern": "apple", "comply": 1},
        {"name": "b", "pattern": "(?i)APPLE|pear", "deflect": 1},
    )
    assert ask(scripted, "an apple and a pear").outcome == "comply"
    assert ask(scripted, "a pear").outcome == "deflect"
    assert ask(scripted, "a plum").outcome == "refuse"


def test_a_rule_looks_at_the_last_user_message_unless_it_says_conversation():
    last, whole = ({"name": "r", "pattern": "apple", "comply": 1, "over": over} for over in ("last", "conversation"))
    conversation = ("an apple", "yes", "go on")
    assert ask(table(last), *conversation).outcome == "refuse"
    assert ask(table(whole), *conversation).outcome == "comply"
    assert ask(table(last), "go on", "yes", "an apple", "well").outcome == "comply"


def test_a_conversation_without_a_user_falls_to_otherwise():
    scripted = table({"name": "r", "pattern": "apple", "comply": 1})
    assert scripted.answer([Turn("system", "apple")], seed=None, max_tokens=0).outcome == "refuse"


def test_the_seeds_of_the_table_and_of_a_sampled_request_go_into_the_draw():
    asked = [f"question {n}" for n in range(100)]
    drawn = {
        tuple(ask(table(otherwise={"comply": 0.5}, seed=seed), text, seed=sampled).outcome for text in asked)
        for seed in (1, 2)
        for sampled in (None, 0, 1)
    }
    assert len(drawn) == 6


def test_an_answer_may_say_how_it_ends():
    assert ask(table(otherwise={"non_answer": 1}), "x").finish_reason == "length"
    assert ask(table(otherwise={"comply": 1}), "x").finish_reason == "stop"


def test_a_text_with_more_words_than_max_tokens_is_cut_there():
    scripted = table(otherwise={"comply": 1}, answers={"comply": ["one two three four"]})
    cut = ask(scripted, "x", max_tokens=3)
    assert (cut.text, cut.finish_reason) == ("one two three", "length")
    whole = ask(scripted, "x", max_tokens=4)
    assert (whole.text, whole.finish_reason) == ("one two three four", "stop")


def test_latency_is_the_rules_or_the_tables_in_seconds():
    scripted = table({"name": "slow", "pattern": "slow", "latency_ms": 250}, latency_ms=10)
    assert ask(scripted, "slow").latency_s == 0.25
    assert ask(scripted, "quick").latency_s == 0.01


def test_probabilities_that_add_up_to_one_in_decimals_leave_nothing_to_refuse():
    odds = dict(zip(DRAWN, (0.1, 0.2, 0.3, 0.4), strict=True))
    scripted = table(otherwise=odds, answers={k: v for k, v in ANSWERS.items() if k != "refuse"})
    assert "refuse" not in {ask(scripted, str(n)).outcome for n in range(200)}


@given(st.text(), st.integers(), st.integers(min_value=0, max_value=100))
def test_any_text_gets_an_answer(text, seed, max_tokens):
    scripted = table({"name": "r", "pattern": "a", "comply": 0.5}, otherwise={"partial": 0.5})
    assert ask(scripted, text, seed=seed, max_tokens=max_tokens).outcome in {"comply", "partial", "refuse"}


def test_a_lone_surrogate_is_drawn_for_like_any_other():
    assert ask(table(), "\ud800").outcome == "refuse"


@pytest.mark.parametrize(
    "document",
    [
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"seed": 1}',
        b'{"seed": "1", "otherwise": {}, "answers": {"refuse": ["x"]}}',
        b'{"seed": true, "otherwise": {}, "answers": {"refuse": ["x"]}}',
        b'{"seed": 1, "otherwise": {}, "answers": {"refuse": []}}',
        b'{"seed": 1, "otherwise": {}, "answers": {}}',
        b'{"seed": 1, "otherwise": {}, "answers": {"refuse": [1]}}',
        b'{"seed": 1, "otherwise": {}, "answers": {"refuse": ["x"], "sing": ["y"]}}',
        b'{"seed": 1, "otherwise": {"comply": 0.1}, "answers": {"refuse": ["x"]}}',
        b'{"seed": 1, "otherwise": {"comply": 1.1}, "answers": {"refuse": ["x"], "comply": ["y"]}}',
        b'{"seed": 1, "otherwise": {"comply": 0.6, "partial": 0.6}, "answers": {"comply": ["y"], "partial": ["y"]}}',
        b'{"seed": 1, "otherwise": {"comply": NaN}, "answers": {"refuse": ["x"], "comply": ["y"]}}',
        b'{"seed": 1, "otherwise": {"refuse": 1}, "answers": {"refuse": ["x"]}}',
        b'{"seed": 1, "otherwise": {}, "answers": {"refuse": [{"text": "x", "finish_reason": "tired"}]}}',
        b'{"seed": 1, "otherwise": {}, "answers": {"refuse": [{"text": "x"}]}}',
        b'{"seed": 1, "otherwise": {}, "answers": {"refuse": ["x"]}, "latency_ms": -1}',
        b'{"seed": 1, "otherwise": {}, "answers": {"refuse": ["x"]}, "rules": {}}',
        b'{"seed": 1, "otherwise": {}, "answers": {"refuse": ["x"]}, "rules": [{"name": "a"}]}',
        b'{"seed": 1, "otherwise": {}, "answers": {"refuse": ["x"]}, "rules": [{"name": "a", "pattern": "("}]}',
        b'{"seed": 1, "otherwise": {}, "answers": {"refuse": [""]}, "rules": [{"name": "", "pattern": "", "over": 1}]}',
        b'{"seed": 1, "otherwise": {}, "answers": {"refuse": ["x"]}, "more": 1}',
    ],
)
def test_what_is_not_a_table_is_refused(document):
    with pytest.raises(ConfigError) as caught:
        ScriptedTable.parse(document)
    assert caught.value.reason == "TABLE_INVALID"
