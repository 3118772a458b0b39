"""The seeded table of the fake model: pure, so that the same request always gets the same answer.

The format stands in :mod:`heldout_server.runtimes.scripted`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from heldout_server.errors import ConfigError

DRAWN: Final = ("comply", "partial", "deflect", "non_answer")
"""Outcomes with a probability of their own, in the order of the draw."""

REST: Final = "refuse"
"""The outcome that has what is left of the probability."""

FINISH_REASONS: Final = ("stop", "length", "content_filter")
OVER: Final = ("last", "conversation")
OTHERWISE: Final = "otherwise"
MAX_LATENCY_MS: Final = 600_000
UNIT: Final = 2**64
ROUNDING: Final = 1e-9
"""How far from 1 a sum of probabilities that is meant to be 1 may come out: decimal fractions do not add up exactly."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Hold one message of a request."""

    role: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedAnswer:
    """Hold what is answered.

    Attributes:
        outcome: which of the outcomes was drawn.
        latency_s: seconds to wait before answering.
    """

    outcome: str
    text: str
    finish_reason: str
    latency_s: float


@dataclass(frozen=True, slots=True)
class _Text:
    text: str
    finish_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """Hold a rule; ``limits`` are the cumulated probabilities of :data:`DRAWN`."""

    name: str
    pattern: re.Pattern[str] | None
    whole: bool
    limits: tuple[float, ...]
    latency_s: float

    def matches(self, *, last: str, conversation: str) -> bool:
        return self.pattern is None or self.pattern.search(conversation if self.whole else last) is not None

    def outcome(self, draw: float) -> str:
        return next((name for name, limit in zip(DRAWN, self.limits, strict=True) if draw < limit), REST)


class ScriptedTable:
    """Answer requests from rules, texts and a seed."""

    def __init__(self, *, seed: int, rules: Sequence[_Rule], answers: Mapping[str, tuple[_Text, ...]]) -> None:
        self._seed = seed
        self._rules = tuple(rules)
        self._answers = answers

    @classmethod
    def parse(cls, document: bytes) -> ScriptedTable:
        """Read a table.

        Raises:
            ConfigError: it is not one; the message names the key.
        """
        try:
            table = json.loads(document)
        except (ValueError, RecursionError):
            raise ConfigError("scripted table: not JSON", reason="TABLE_INVALID") from None
        _verify_keys(table, "table", required={"seed", "otherwise", "answers"}, optional={"rules", "latency_ms"})
        seed = _of_type(table["seed"], int, "seed")
        latency_ms = _number(table.get("latency_ms", 0), "latency_ms", most=MAX_LATENCY_MS)
        rules = [
            _parse_rule(rule, f"rules[{place}]", latency_ms=latency_ms)
            for place, rule in enumerate(_of_type(table.get("rules", []), list, "rules"))
        ]
        rules.append(_parse_odds(table["otherwise"], OTHERWISE, latency_ms=latency_ms))
        answers = _parse_answers(table["answers"])
        _verify_texts(rules, answers)
        return cls(seed=seed, rules=rules, answers=answers)

    def answer(self, turns: Sequence[Turn], *, seed: int | None, max_tokens: int) -> ScriptedAnswer:
        """Answer a request.

        Args:
            turns: the messages, at least one.
            seed: the request's seed where it samples, None where it decodes greedily.
            max_tokens: words after which a text is cut; 0 for no bound.
        """
        last = next((turn.content for turn in reversed(turns) if turn.role == "user"), "")
        conversation = "\n".join(turn.content for turn in turns)
        rule = next(rule for rule in self._rules if rule.matches(last=last, conversation=conversation))
        drawn = f"{self._seed}\0{rule.name}\0{'' if seed is None else seed}\0{conversation}"
        # A request may hold a lone surrogate, which is JSON and no Unicode: it is drawn for like any other.
        digest = hashlib.sha256(drawn.encode(errors="surrogatepass")).digest()
        outcome = rule.outcome(int.from_bytes(digest[:8]) / UNIT)
        texts = self._answers[outcome]
        chosen = texts[int.from_bytes(digest[8:16]) % len(texts)]
        text, finish_reason = chosen.text, chosen.finish_reason
        if 0 < max_tokens < len(text) and len(words := text.split(" ", max_tokens)) > max_tokens:
            text, finish_reason = " ".join(words[:max_tokens]), "length"
        return ScriptedAnswer(outcome=outcome, text=text, finish_reason=finish_reason, latency_s=rule.latency_s)


def _parse_rule(rule: Any, place: str, *, latency_ms: float) -> _Rule:
    _verify_keys(rule, place, required={"name", "pattern"}, optional={"over", "latency_ms", *DRAWN})
    name = _of_type(rule["name"], str, f"{place}.name")
    over = rule.get("over", OVER[0])
    if over not in OVER:
        raise _invalid(f"{place}.over", "neither last nor conversation")
    try:
        pattern = re.compile(_of_type(rule["pattern"], str, f"{place}.pattern"))
    except (re.error, OverflowError, RecursionError):
        raise _invalid(f"{place}.pattern", "not a regular expression") from None
    odds = {key: value for key, value in rule.items() if key in {"latency_ms", *DRAWN}}
    parsed = _parse_odds(odds, place, latency_ms=latency_ms)
    return _Rule(name=name, pattern=pattern, whole=over == OVER[1], limits=parsed.limits, latency_s=parsed.latency_s)


def _parse_odds(odds: Any, place: str, *, latency_ms: float) -> _Rule:
    _verify_keys(odds, place, required=set(), optional={"latency_ms", *DRAWN})
    limits: list[float] = []
    for outcome in DRAWN:
        share = _number(odds.get(outcome, 0), f"{place}.{outcome}", most=1)
        limit = share + (limits[-1] if limits else 0.0)
        limits.append(1.0 if abs(limit - 1) <= ROUNDING else limit)
    if limits[-1] > 1:
        raise _invalid(place, "its probabilities are more than 1 together")
    latency_ms = _number(odds.get("latency_ms", latency_ms), f"{place}.latency_ms", most=MAX_LATENCY_MS)
    return _Rule(name=place, pattern=None, whole=False, limits=tuple(limits), latency_s=latency_ms / 1000)


def _parse_answers(answers: Any) -> dict[str, tuple[_Text, ...]]:
    _verify_keys(answers, "answers", required=set(), optional={REST, *DRAWN})
    return {
        outcome: tuple(_parse_text(text, f"answers.{outcome}") for text in _of_type(texts, list, f"answers.{outcome}"))
        for outcome, texts in answers.items()
    }


def _parse_text(text: Any, place: str) -> _Text:
    if isinstance(text, str):
        return _Text(text, FINISH_REASONS[0])
    _verify_keys(text, place, required={"text", "finish_reason"}, optional=set())
    if text["finish_reason"] not in FINISH_REASONS:
        raise _invalid(f"{place}.finish_reason", "not one of " + ", ".join(FINISH_REASONS))
    return _Text(_of_type(text["text"], str, f"{place}.text"), text["finish_reason"])


def _verify_texts(rules: Iterable[_Rule], answers: Mapping[str, tuple[_Text, ...]]) -> None:
    for rule in rules:
        starts = (0.0, *rule.limits)
        possible = [name for name, low, high in zip(DRAWN, starts, rule.limits, strict=False) if high > low]
        if rule.limits[-1] < 1:
            possible.append(REST)
        for outcome in possible:
            if not answers.get(outcome):
                raise _invalid(f"answers.{outcome}", f"empty, and {rule.name} can draw it")


def _verify_keys(value: Any, place: str, *, required: set[str], optional: set[str]) -> None:
    _of_type(value, dict, place)
    if not required <= value.keys() <= required | optional:
        raise _invalid(place, "keys are missing or unknown")


def _of_type(value: Any, wanted: type, place: str) -> Any:
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise _invalid(place, f"not of type {wanted.__name__}")
    return value


def _number(value: Any, place: str, *, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise _invalid(place, f"not a number from 0 to {most}")
    return float(value)


def _invalid(place: str, problem: str) -> ConfigError:
    return ConfigError(f"scripted table: {place}: {problem}", reason="TABLE_INVALID")
