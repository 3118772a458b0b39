"""The system prompt profile of a deployment is read once, whole, and named by its digest."""

from __future__ import annotations

import hashlib

import pytest

from heldout_server.config.runtimes import SystemPromptFile
from heldout_server.domain import SystemPrompt
from heldout_server.errors import ConfigError
from heldout_server.runtimes import read_system_prompt
from heldout_server.runtimes.system_prompt import MAX_BYTES


def test_none_is_none():
    assert read_system_prompt(SystemPromptFile(profile="", file=None)) == SystemPrompt()


def test_it_is_read_as_it_stands(tmp_path):
    file = tmp_path / "prompt.txt"
    file.write_bytes("Be kind — always.\r\n".encode())
    prompt = read_system_prompt(SystemPromptFile(profile="kind-v1", file=file))
    assert (prompt.profile, prompt.text.reveal()) == ("kind-v1", "Be kind — always.\r\n")
    assert prompt.digest == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a" * (MAX_BYTES + 1)])
def test_what_is_no_text_of_a_sensible_size_is_refused_and_not_quoted(tmp_path, content):
    file = tmp_path / "prompt.txt"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_system_prompt(SystemPromptFile(profile="kind-v1", file=file))
    assert caught.value.reason == "SYSTEM_PROMPT"


def test_a_file_that_is_gone_is_refused(tmp_path):
    with pytest.raises(ConfigError):
        read_system_prompt(SystemPromptFile(profile="kind-v1", file=tmp_path / "gone"))
