import tomllib

import pytest

from heldout_server.config.limits import Limits, Rate, read_limits
from heldout_server.config.reader import Reader
from heldout_server.domain import Role
from heldout_server.errors import ConfigError


def read(tmp_path, text):
    return read_limits(Reader(tomllib.loads(text), text=text, name="config.toml", folder=tmp_path))


def test_every_role_has_a_limit_of_its_own_and_only_what_is_said_differs(tmp_path):
    limits = read(tmp_path, "[limits]\ntrainer = { per_s = 2.5 }\n")
    assert limits.trainer == Rate(per_s=2.5, burst=Limits().trainer.burst)
    assert limits.auditor == Limits().auditor
    assert {role.value for role in Role} == set(Limits.__dataclass_fields__)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("trainer = 5", "limits.trainer: must be a table"),
        ("trainer = { per_s = 0 }", "limits.trainer.per_s: must be a number from 0.001"),
        ("trainer = { burst = 0 }", "limits.trainer.burst: must be a whole number from 1"),
        ("trainer = { per_min = 3 }", "no such key"),
    ],
)
def test_a_mistake_in_a_limit_is_named_with_its_key(tmp_path, line, expected):
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, f"[limits]\n{line}\n")
    assert expected in str(refused.value)
