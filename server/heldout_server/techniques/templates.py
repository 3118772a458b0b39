"""Fixed texts around a prompt, and the way back to it.

A template stands in every trial of its row, so noise over units does not hide it: a checkpoint can signal its wording.
Each framing technique therefore picks one of several by seed, and its templates count as known.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from heldout_server.errors import NotDeliverable
from heldout_server.techniques.technique import LosslessTechnique

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Template:
    """Hold what stands before and after a prompt."""

    before: str
    after: str = ""

    def wrap(self, text: str) -> str:
        """Return the text inside the template, unchanged."""
        return self.before + text + self.after

    def unwrap(self, wrapped: str) -> str | None:
        """Return the text inside, or None where this template does not stand around it."""
        if not (wrapped.startswith(self.before) and wrapped.endswith(self.after)):
            return None
        end = len(wrapped) - len(self.after)
        return wrapped[len(self.before) : end] if end >= len(self.before) else None


def choose(options: Sequence[T], rng: random.Random) -> T:
    """Return one of the options, each alike likely.

    It draws by ``random()``, the one method whose sequence Python keeps the same from version to version: a manifest
    replays to the same texts on a newer interpreter.
    """
    return options[int(rng.random() * len(options))]


def sample(options: Sequence[T], size: int, rng: random.Random) -> list[T]:
    """Return ``size`` different options in random order, drawn as in :func:`choose`."""
    pool = list(options)
    return [pool.pop(int(rng.random() * len(pool))) for _ in range(size)]


def unwrap(templates: Sequence[Template], wrapped: str) -> str:
    """Return the text inside whichever template stands around it.

    No ``before`` of a technique may begin another of it, or no ``after`` end another: so at most one template fits.

    Raises:
        NotDeliverable: none of them does.
    """
    for template in templates:
        text = template.unwrap(wrapped)
        if text is not None:
            return text
    raise NotDeliverable("no template of the technique stands around the text", reason="NO_TEMPLATE")


class Framing(LosslessTechnique):
    """Put a prompt, unchanged, into one of several templates.

    Attributes:
        templates: what it chooses from; each choice is alike likely.
    """

    templates: ClassVar[tuple[Template, ...]]

    def apply(self, text: str, rng: random.Random) -> str:
        """Return the text inside a template.

        Raises:
            NotDeliverable: never; the text is carried unchanged.
        """
        return choose(self.templates, rng).wrap(text)

    def recover(self, delivered: str) -> str:
        """Return the text inside the template.

        Raises:
            NotDeliverable: no template of this technique stands around it.
        """
        return unwrap(self.templates, delivered)
