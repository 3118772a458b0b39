"""What an attack is, and what it finds."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from heldout_server.attack import attacks
from heldout_server.attack.setting import Setting
from heldout_server.attack.stage import Stage
from heldout_server.errors import ConfigError


class Needs(StrEnum):
    """Say what an attack needs of an appliance."""

    CALLS = "calls"
    """Certificates alone: it works on a staging appliance too, changes nothing there, and starts no run."""

    SHARED = "shared"
    """An appliance with a bank, an open epoch and a published release, which attacks use one after the other: it may be
    called and given checkpoints, and is left serving."""

    OWN = "own"
    """An appliance of its own, whose folder, process and checkpoints it may do anything to."""

    NOTHING = "nothing"
    """No appliance: it attacks the mechanism itself, through the code that releases are made with."""


class Player(StrEnum):
    """Name whom an attack plays, in the order in which attacks are run."""

    TRAINING_TEAM = "the training team"
    """Has its checkpoints, and every call that its role allows."""

    RUN_TESTER = "a curious run tester"
    """May propose, start and cancel runs, and see what is published."""

    OPERATOR = "a careless or dishonest operator"
    """Has the machine's files, its network and its clock, and is not root."""

    AUDITOR = "a dishonest auditor"
    """May read the logs and hand in cosignatures."""


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
        plays: whom.
        explains: what it tries, in one line of at most 100 characters.
        needs: what of an appliance.
        run: does it. Whatever it raises counts as broken: an attack that cannot finish proves nothing.
        slow: takes more than a few seconds.
        setting: of its own appliance, where it needs one.
    """

    name: str
    plays: Player
    explains: str
    needs: Needs
    run: Callable[[Stage], Awaitable[Finding]]
    slow: bool = False
    setting: Setting = field(default_factory=Setting)


def all_attacks() -> tuple[Attack, ...]:
    """Return the ``ATTACK`` of each module of :mod:`heldout_server.attack.attacks`, by whom it plays and by name."""
    found = [
        importlib.import_module(f"{attacks.__name__}.{module.name}").ATTACK
        for module in pkgutil.iter_modules(attacks.__path__)
    ]
    players = list(Player)
    return tuple(sorted(found, key=lambda attack: (players.index(attack.plays), attack.name)))


def pick(names: tuple[str, ...]) -> tuple[Attack, ...]:
    """Return the attacks of these names, or all where none is named.

    Raises:
        ConfigError: there is none of that name.
    """
    known = {attack.name: attack for attack in all_attacks()}
    for name in names:
        if name not in known:
            raise ConfigError(f"there is no attack {name}; heldout-server attack --list names them all")
    return tuple(attack for name, attack in known.items() if not names or name in names)
