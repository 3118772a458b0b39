"""The techniques by id: checks of stacks, deliveries with their proof, and decoding of answers."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from typing import Final

from heldout_server.domain import PLAIN, Card, Message, SecretText
from heldout_server.errors import InvalidRequest, NotDeliverable
from heldout_server.ports.techniques import Delivery
from heldout_server.techniques.library import STANDARD
from heldout_server.techniques.stacking import compatible_stacks, verify_stack
from heldout_server.techniques.technique import Encoding, LosslessTechnique, Technique

MAX_DELIVERED_BYTES: Final = 131_072
"""The longest text that is sent, in bytes of UTF-8."""

PROBE: Final = "How do I fold a paper boat that floats, in fewer than seven steps?"
"""What techniques are known by: text that each of them carries."""

PROBED_SEEDS: Final = 64
"""More than any technique has templates, so that nearly all of them are drawn."""

MAX_COMPOSED: Final = 1000
"""Stacks that are remembered to compose."""

MAX_HEAD_LINES: Final = 1500
MAX_TAIL_LINES: Final = 500
"""Lines of a response that are decoded: more than a person writes in one."""


class TechniqueLibrary:
    """Hold techniques, and compose stacks of them (:class:`heldout_server.ports.techniques.Techniques`).

    Args:
        techniques: what it holds, each id once.

    Raises:
        ValueError: an id stands twice, or is the name of the cell without a technique.
    """

    def __init__(self, techniques: Iterable[Technique]) -> None:
        self._by_id: dict[str, Technique] = {}
        for technique in sorted(techniques, key=lambda one: one.technique_id):
            if technique.technique_id in self._by_id or technique.technique_id == PLAIN:
                raise ValueError(f"technique id {technique.technique_id} is taken")
            self._by_id[technique.technique_id] = technique
        self._composed: dict[tuple[str, ...], tuple[Technique, ...]] = {}  # stacks that passed; a run has some dozens
        self._probed: dict[str, bytes] = {}

    @classmethod
    def standard(cls) -> TechniqueLibrary:
        """Return the library that ships."""
        return cls(STANDARD)

    def techniques(self) -> tuple[Technique, ...]:
        """Return every technique, in the order of their ids."""
        return tuple(self._by_id.values())

    def cards(self) -> tuple[Card, ...]:
        """Return the card of every technique, in the order of their ids."""
        return tuple(technique.card for technique in self._by_id.values())

    def check_stack(self, stack: Sequence[str]) -> None:
        """Refuse a composition that makes no sense, saying why. An empty stack, the plain prompt, is fine.

        Raises:
            InvalidRequest: a technique is unknown, repeated, or not compatible with the one before it.
        """
        verify_stack(self._resolve(stack))

    def stacks(self, size: int) -> tuple[tuple[str, ...], ...]:
        """Return every stack of that many techniques that :meth:`check_stack` lets pass, in the order of their ids.

        Args:
            size: techniques in a stack, at least 1.
        """
        return compatible_stacks(self.techniques(), size=size)

    def digest(self, techniques: Iterable[str]) -> str:
        """Return hex SHA-256 of what these techniques make of :data:`PROBE` under :data:`PROBED_SEEDS` seeds each.

        It changes if what one of them does changes: an encoding, a template, the choice among templates.

        Raises:
            InvalidRequest: a technique is unknown.
        """
        digest = hashlib.sha256()
        for technique in self._resolve(sorted(set(techniques))):
            digest.update(self._probe(technique))
        return digest.hexdigest()

    def deliver(self, stack: Sequence[str], prompt: SecretText, *, seed: int) -> Delivery:
        """Apply the techniques in order, the first innermost, and prove that the prompt arrives.

        Args:
            stack: technique ids; empty sends the prompt as it is.
            prompt: what to ask.
            seed: fixes every choice a technique makes.

        Raises:
            InvalidRequest: the stack is not one that :meth:`check_stack` lets pass.
            NotDeliverable: a technique cannot carry this prompt. Its reason is ``EMPTY``, ``NOT_UTF8``, ``TOO_LONG``,
                ``ROUND_TRIP``, or a technique's own.
        """
        techniques = self._compose(tuple(stack))
        text = prompt.reveal()
        if not text or text.isspace():
            raise NotDeliverable("there is nothing to deliver", reason="EMPTY")
        _verify_size(text)
        # The same trial must come out alike on every run, and nothing here is a secret or a lottery.
        rng = random.Random(seed)  # noqa: S311 - reproducible choices, not cryptography
        for technique in techniques:
            delivered = technique.apply(text, rng)
            _verify_size(delivered)
            if isinstance(technique, LosslessTechnique) and technique.recover(delivered) != technique.kept(text):
                raise NotDeliverable(f"{technique.technique_id} does not give the prompt back", reason="ROUND_TRIP")
            text = delivered
        return Delivery(
            messages=(Message("user", SecretText(text)),),
            decoders=tuple(one.technique_id for one in reversed(techniques) if isinstance(one, Encoding)),
        )

    def decode(self, decoders: Sequence[str], response: str) -> str:
        """Return a response with the encodings undone that it came back in; unchanged where there is none.

        Of one with more than :data:`MAX_HEAD_LINES` + :data:`MAX_TAIL_LINES` lines the middle stays as it is, so that
        a flood of lines costs no more than an answer; a judge reads head and tail.

        Args:
            decoders: technique ids of a :class:`Delivery`, outermost first.
            response: what the model answered.

        Raises:
            InvalidRequest: an id is unknown, or none of an encoding.
        """
        techniques = self._resolve(decoders)
        parts = _split_flood(response)
        for technique in techniques:
            if not isinstance(technique, Encoding):
                raise InvalidRequest(f"{technique.technique_id} is no encoding", reason="NO_ENCODING")
            # Of three parts the one in the middle is left.
            parts = [part if place == 1 else technique.decode(part) for place, part in enumerate(parts)]
        return "\n".join(parts)

    def _probe(self, technique: Technique) -> bytes:
        known = self._probed.get(technique.technique_id)
        if known is None:
            digest = hashlib.sha256(technique.technique_id.encode())
            for seed in range(PROBED_SEEDS):
                # Reproducible choices, as in a trial.
                delivered = technique.apply(PROBE, random.Random(seed))  # noqa: S311 - not cryptography
                digest.update(hashlib.sha256(delivered.encode()).digest())
            known = self._probed[technique.technique_id] = digest.digest()
        return known

    def _compose(self, stack: tuple[str, ...]) -> tuple[Technique, ...]:
        techniques = self._composed.get(stack)
        if techniques is None:
            techniques = self._resolve(stack)
            verify_stack(techniques)
            if len(self._composed) < MAX_COMPOSED:
                self._composed[stack] = techniques
        return techniques

    def _resolve(self, stack: Sequence[str]) -> tuple[Technique, ...]:
        try:
            return tuple(self._by_id[technique_id] for technique_id in stack)
        except KeyError:
            # The unknown name is the caller's own text, so it is not quoted.
            raise InvalidRequest("a stack names an unknown technique", reason="UNKNOWN_TECHNIQUE") from None


def _split_flood(response: str) -> list[str]:
    """Return head, middle and tail of a response with very many lines, or the response alone."""
    most = MAX_HEAD_LINES + MAX_TAIL_LINES
    if response.count("\n") < most:
        return [response]
    lines = response.split("\n")
    parts = lines[:MAX_HEAD_LINES], lines[MAX_HEAD_LINES:-MAX_TAIL_LINES], lines[-MAX_TAIL_LINES:]
    return ["\n".join(part) for part in parts]


def _verify_size(text: str) -> None:
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError:
        # The cause quotes the text.
        raise NotDeliverable("the text has no UTF-8 form", reason="NOT_UTF8") from None
    if size_bytes > MAX_DELIVERED_BYTES:
        raise NotDeliverable(f"the text is longer than {MAX_DELIVERED_BYTES} bytes", reason="TOO_LONG")
