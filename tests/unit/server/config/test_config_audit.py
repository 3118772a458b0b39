import tomllib

import pytest

from heldout_server.config.audit import Audit, read_audit
from heldout_server.config.reader import Reader
from heldout_server.errors import ConfigError


def read(tmp_path, text):
    return read_audit(Reader(tomllib.loads(text), text=text, name="config.toml", folder=tmp_path))


def test_without_the_section_there_is_one_device_and_the_documented_pace(tmp_path):
    assert read(tmp_path, "") == Audit(
        second=None, commit_deadline_s=5.0, sweep_leaves_per_s=5_000.0, sweep_pause_s=60.0
    )


def test_a_second_device_is_a_folder_that_is_there(tmp_path):
    (tmp_path / "mirror").mkdir()
    assert read(tmp_path, '[audit]\nsecond = "mirror"\n').second == tmp_path / "mirror"
    with pytest.raises(ConfigError, match=r"audit\.second: no such folder"):
        read(tmp_path, '[audit]\nsecond = "elsewhere"\n')


@pytest.mark.parametrize("line", ["commit_deadline_s = 0", "sweep_leaves_per_s = 0", "sweep_pause_s = 0.5"])
def test_what_is_out_of_range_is_named(tmp_path, line):
    with pytest.raises(ConfigError, match=f"line 2: audit.{line.split()[0]}: must be a number from"):
        read(tmp_path, f"[audit]\n{line}\n")
