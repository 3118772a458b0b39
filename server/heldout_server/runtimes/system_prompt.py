"""Read the system prompt profile that a deployment puts before every prompt."""

from __future__ import annotations

import hashlib
from typing import Final

from heldout_server.config.runtimes import SystemPromptFile
from heldout_server.domain import SecretText, SystemPrompt
from heldout_server.errors import ConfigError

MAX_BYTES: Final = 256 * 1024


def read_system_prompt(named: SystemPromptFile) -> SystemPrompt:
    """Return the system prompt that the config names, or none.

    Raises:
        ConfigError: the file cannot be read, is empty, too large, or not UTF-8.
    """
    if named.file is None:
        return SystemPrompt()
    try:
        with named.file.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{named.file}: {type(error).__name__}", reason="SYSTEM_PROMPT") from None
    if not text or len(content) > MAX_BYTES:
        raise ConfigError(f"{named.file}: must hold 1 to {MAX_BYTES} bytes", reason="SYSTEM_PROMPT")
    return SystemPrompt(profile=named.profile, digest=hashlib.sha256(content).hexdigest(), text=SecretText(text))
