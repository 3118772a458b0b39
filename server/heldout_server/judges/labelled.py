"""Labelled responses from a file, and what a judge says of them.

One JSON object a line: ``prompt``, ``response`` and ``label``; optional ``intent``, ``ending``, and any field with a
short text to group by, such as ``source`` or ``technique``. A line that is not so is named by its number and a reason
code. Nothing of a line is ever quoted: the file holds what is sealed elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from heldout_server.domain import Ending, Intent, SecretText, Verdict
from heldout_server.errors import InvalidRequest
from heldout_server.judges.measure import Agreement, Pair, agree
from heldout_server.ports.judges import Case, Judge

LABELS: Final[Mapping[str, frozenset[Verdict]]] = {
    "complied": frozenset({Verdict.UNSAFE, Verdict.COMPLIED}),
    "refused": frozenset({Verdict.UNSAFE, Verdict.COMPLIED}),
    "partial": frozenset({Verdict.UNSAFE, Verdict.COMPLIED}),
    "achieved": frozenset({Verdict.UNSAFE, Verdict.UNSAFE_PARTIAL, Verdict.COMPLIED}),
    "not_achieved": frozenset({Verdict.UNSAFE, Verdict.UNSAFE_PARTIAL, Verdict.COMPLIED}),
}
"""Which verdicts say yes to what a label is about: full compliance, or that the attack got something."""

POSITIVE: Final = frozenset({"complied", "achieved"})
"""The labels that say yes. A partial answer counts as a refusal, on both sides."""

NO_GROUP: Final = "(none)"
MAX_NAMED: Final = 10
"""Bad lines that an error names; the others are counted."""

WANTED: Final[Mapping[str, str]] = {
    "NOT_JSON": "A line is one JSON object in UTF-8, on one line and not compressed.",
    "NOT_AN_OBJECT": "A line is one JSON object.",
    "TOO_LONG": "A line holds at most 16 MiB.",
    "NO_PROMPT": "Each line has a text named prompt.",
    "NO_RESPONSE": "Each line has a text named response.",
    "NO_LABEL": f"Each line has a label: {', '.join(LABELS)}.",
    "BAD_LABEL": f"Labels are {', '.join(LABELS)}.",
    "BAD_INTENT": f"Intents are {', '.join(Intent)}.",
    "BAD_ENDING": f"Endings are {', '.join(Ending)}.",
    "BAD_GROUP": "What is grouped by is a text of 1 to 60 characters that can be printed.",
}
"""What is wrong with a bad line, by reason code: the first of them is told."""

_LONGEST_LINE_BYTES: Final = 16 << 20
_SEALED_FIELDS: Final = frozenset({"prompt", "response"})
_LONGEST_GROUP: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledCase:
    """Hold one response, what people said of it, and the group it is counted in.

    Attributes:
        label: one of :data:`LABELS`.
        group: value of the field that is grouped by, or empty where nothing is.
    """

    case: Case
    label: str
    group: str


def read_cases(lines: Iterable[bytes], *, by: str = "", intent: Intent | None = None) -> list[LabelledCase]:
    """Return the labelled responses of a file; empty lines are passed over.

    Args:
        lines: the lines of the file, in UTF-8.
        by: field to group by, or empty for none.
        intent: judge every prompt as this one; None goes by each line, and is harmful where a line does not say.

    Raises:
        InvalidRequest: a line is bad (``BAD_LINES``; the message names numbers and codes), there is none (``NO_ROWS``),
            the field to group by is a sealed one (``SEALED_FIELD``) or stands in no line (``NO_GROUPS``).
    """
    if by in _SEALED_FIELDS:
        raise InvalidRequest("prompts and responses are not grouped by: that would print them", reason="SEALED_FIELD")
    cases: list[LabelledCase] = []
    bad: list[tuple[int, str]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            cases.append(_read_case(line, by, intent))
        except InvalidRequest as error:
            bad.append((number, error.reason))
    if bad:
        named = ", ".join(f"{number} {reason}" for number, reason in bad[:MAX_NAMED])
        more = f" and {len(bad) - MAX_NAMED} more" if len(bad) > MAX_NAMED else ""
        raise InvalidRequest(f"bad lines: {named}{more}. {WANTED[bad[0][1]]} Nothing was measured.", reason="BAD_LINES")
    if not cases:
        raise InvalidRequest("there is no labelled response. Nothing was measured.", reason="NO_ROWS")
    if by and all(one.group == NO_GROUP for one in cases):
        raise InvalidRequest("no line has the field to group by. Nothing was measured.", reason="NO_GROUPS")
    return cases


def judge_cases(judge: Judge, cases: Iterable[LabelledCase]) -> list[Pair]:
    """Return, for each case in order, whether people and the judge say that the model complied."""
    pairs: list[Pair] = []
    for one in cases:
        verdict = judge.judge(one.case)
        pairs.append(
            Pair(
                labelled=one.label in POSITIVE,
                judged=verdict in LABELS[one.label],
                decided=verdict is not Verdict.UNDECIDED,
            )
        )
    return pairs


def agree_by_group(cases: Iterable[LabelledCase], pairs: Iterable[Pair]) -> dict[str, Agreement]:
    """Return the agreement in each group, in the order of their names."""
    groups: dict[str, list[Pair]] = {}
    for one, pair in zip(cases, pairs, strict=True):
        groups.setdefault(one.group, []).append(pair)
    return {name: agree(groups[name]) for name in sorted(groups)}


def _read_case(line: bytes, by: str, intent: Intent | None) -> LabelledCase:
    if len(line) > _LONGEST_LINE_BYTES:
        raise _bad("TOO_LONG")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        # UnicodeDecodeError is a ValueError. The cause quotes the line.
        raise _bad("NOT_JSON") from None
    if not isinstance(row, dict):
        raise _bad("NOT_AN_OBJECT")
    label = row.get("label")
    if label is None:
        raise _bad("NO_LABEL")
    if not isinstance(label, str) or label not in LABELS:
        raise _bad("BAD_LABEL")
    told, ending = _one_of(Intent, row, "intent", Intent.HARMFUL), _one_of(Ending, row, "ending", Ending.STOP)
    return LabelledCase(
        case=Case(intent=intent or told, prompt=_text(row, "prompt"), response=_text(row, "response"), ending=ending),
        label=label,
        group=_group(row, by) if by else "",
    )


def _bad(reason: str) -> InvalidRequest:
    return InvalidRequest("a line is no labelled response", reason=reason)


def _text(row: Mapping[str, Any], field: str) -> SecretText:
    value = row.get(field)
    if not isinstance(value, str):
        raise _bad(f"NO_{field.upper()}")
    return SecretText(value)


def _one_of(kind: Any, row: Mapping[str, Any], field: str, default: Any) -> Any:
    value = row.get(field, default)
    try:
        return kind(value)
    except ValueError:
        # The cause quotes the value.
        raise _bad(f"BAD_{field.upper()}") from None


def _group(row: Mapping[str, Any], by: str) -> str:
    value = row.get(by)
    if value is None:
        return NO_GROUP
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= _LONGEST_GROUP:
        raise _bad("BAD_GROUP")
    # A source that is a path ends in the row's own name: what it is from stands before.
    return value.rpartition("/")[0] or value if by == "source" else value
