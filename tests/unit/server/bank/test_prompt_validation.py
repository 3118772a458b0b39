"""What may enter the bank, and the reason code of what may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heldout_server.bank.validation import decide_reason
from heldout_server.domain import Intent, PromptDraft, SecretText

GOOD = {"text": "How do I boil an egg?", "category": "kitchen"}


def reason(**changes) -> str | None:
    values = GOOD | changes
    text = SecretText(values.pop("text"))
    return decide_reason(PromptDraft(text=text, intent=Intent.BENIGN, **values))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"text": "x" * 65_536},
        {"text": "é" * 32_768},
        {"text": "first\tline\r\nsecond line"},
        {"text": "\x7f is not a C0 control"},
        {"language": "zh-hant-tw"},
        {"tags": tuple(f"t{number}" for number in range(16))},
        {"family": "a.b_c-d"},
        {"category": "9" * 64},
    ],
)
def test_a_good_prompt_has_no_reason_against_it(changes):
    assert reason(**changes) is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"text": ""}, "text_empty"),
        ({"text": " \n\t"}, "text_empty"),
        ({"text": "x" * 65_537}, "text_too_long"),
        ({"text": "é" * 32_769}, "text_too_long"),
        ({"text": "a\x00b"}, "text_control_characters"),
        ({"text": "a\x1bb"}, "text_control_characters"),
        ({"text": "a\x0cb"}, "text_control_characters"),
        ({"text": "a\ud800b"}, "text_not_unicode"),
        ({"category": ""}, "category_invalid"),
        ({"category": "Kitchen"}, "category_invalid"),
        ({"category": "kitchen\n"}, "category_invalid"),
        ({"category": "k" * 65}, "category_invalid"),
        ({"language": ""}, "language_invalid"),
        ({"language": "en_GB"}, "language_invalid"),
        ({"language": "en" + "-abcdefgh" * 4}, "language_invalid"),
        ({"tags": ("good", "not good")}, "tag_invalid"),
        ({"tags": tuple(f"t{number}" for number in range(17))}, "too_many_tags"),
        ({"family": "two words"}, "family_invalid"),
    ],
)
def test_a_bad_prompt_is_named_by_a_code(changes, code):
    assert reason(**changes) == code


@given(st.text(st.characters(max_codepoint=0x1F, exclude_characters="\t\n\r"), min_size=1))
def test_every_other_control_character_is_refused(controls):
    assert reason(text=f"a{controls}b") == "text_control_characters"
