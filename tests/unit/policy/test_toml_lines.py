import tomllib

import pytest

from heldout_policy.toml_lines import find_line, syntax_error_place

TEXT = """\
top = 1

[first] # a comment
key = 2
  indented = 3
# key = 4

[[many]]
key = 5
[[many]]
other = 6
key = 7
[after.dotted]
key = 8
"""


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ({"key": "top"}, 1),
        ({"key": "key"}, None),
        ({"table": "first"}, 3),
        ({"table": "first", "key": "key"}, 4),
        ({"table": "first", "key": "indented"}, 5),
        ({"table": "first", "key": "missing"}, 3),
        ({"table": "many", "key": "key"}, 9),
        ({"table": "many", "key": "key", "occurrence": 2}, 12),
        ({"table": "many", "occurrence": 2}, 10),
        ({"table": "many", "key": "key", "occurrence": 3}, None),
        ({"table": "after.dotted", "key": "key"}, 14),
        ({"table": "nowhere", "key": "key"}, None),
    ],
)
def test_a_key_is_found_in_its_table_alone(where, line):
    assert find_line(TEXT, **where) == line


def test_the_place_of_a_syntax_error_is_taken_out_of_its_message():
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads("a = 1\nb = = 2\n")
    assert syntax_error_place(caught.value) == (2, "invalid value")


def test_a_syntax_error_without_a_place_has_no_line():
    assert syntax_error_place(tomllib.TOMLDecodeError("Odd")) == (None, "odd")
