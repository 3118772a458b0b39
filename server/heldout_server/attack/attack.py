"""What an attack is, and what it finds."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from heldout_server.attack import attacks
from heldout_server.errors import ConfigError

if TYPE_CHECKING:
    from heldout_server.attack.stage import Stage


class Needs(StrEnum):
    """Say what an attack needs of an appliance."""

    CALLS = "calls"
    """Certificates alone: it works on a staging appliance too, changes nothing there, and starts no run."""

    OWN = "own"
    """An appliance of its own, whose folder, process and checkpoints it may do anything to."""

    NOTHING = "nothing"
    """No appliance: it attacks the mechanism itself, through the code that releases are made with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Say what came of an attack.

    Attributes:
        tried: what was done, with figures.
        learned: what the attacker has from it.
        held: the boundary held.
    """

    tried: str
    learned: str
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """Describe an attack.

    Attributes:
        name: an identifier.
        explains: what it tries, in one line of at most 100 characters.
        needs: what of an appliance.
        run: does it. Whatever it raises counts as broken: an attack that cannot finish proves nothing.
        slow: takes more than a few seconds.
    """

    name: str
    explains: str
    needs: Needs
    run: Callable[[Stage], Awaitable[Finding]]
    slow: bool = False


def all_attacks() -> tuple[Attack, ...]:
    """Return every attack, by name: the ``ATTACK`` of each module of :mod:`heldout_server.attack.attacks`."""
    found = [
        importlib.import_module(f"{attacks.__name__}.{module.name}").ATTACK
        for module in pkgutil.iter_modules(attacks.__path__)
    ]
    return tuple(sorted(found, key=lambda attack: attack.name))


def pick(names: tuple[str, ...]) -> tuple[Attack, ...]:
    """Return the attacks of these names, or all where none is named.

    Raises:
        ConfigError: there is none of that name.
    """
    known = {attack.name: attack for attack in all_attacks()}
    for name in names:
        if name not in known:
            raise ConfigError(f"there is no attack {name}; heldout-server attack --list names them all")
    return tuple(known[name] for name in names) or tuple(known.values())
