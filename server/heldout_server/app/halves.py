"""Which halves a process serves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

from heldout_server.app.half import Opener
from heldout_server.config import AnyConfig, Config, load_config, load_window_config

Served: TypeAlias = Literal["both", "vault", "window"]


def load(path: Path, served: Served) -> AnyConfig:
    """Read the config of these halves: ``window.toml`` for a window by itself, else ``config.toml``.

    Raises:
        ConfigError: it cannot be read, or something in it is wrong.
    """
    return load_window_config(path) if served == "window" else load_config(path)


def pick(config: AnyConfig, served: Served = "both") -> Mapping[str, Opener]:
    """Return what opens the halves that are to be served, in the order in which they are opened.

    The code of a half that is not served is not even loaded.
    """
    openers: dict[str, Opener] = {}
    if isinstance(config, Config) and served != "window":
        from heldout_server.app import vault  # noqa: PLC0415 - a window must hold no code that reads a prompt

        openers["vault"] = partial(vault.open_half, config)
    if served != "vault":
        from heldout_server.app import window  # noqa: PLC0415 - as above

        openers["window"] = window.open_half
    return openers
