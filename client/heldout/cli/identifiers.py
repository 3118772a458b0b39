"""Names as the appliance takes them, checked before anything is sent: it says only that some field is not right."""

from __future__ import annotations

from typing import Final, TypeVar

import typer

from heldout.cli.session import UsageProblem

V = TypeVar("V", str, "list[str] | None")

RULE: Final = "1 to 64 of a-z 0-9 . _ -, a letter or a digit first"


def check_identifier(parameter: typer.CallbackParam, value: V) -> V:
    """Return what was given for a parameter, one name or several; an empty name is one that was not given.

    Raises:
        UsageProblem: one of them is no identifier; the message names the parameter, the rule, and what may be meant.
    """
    named = [value] if isinstance(value, str) else value or []
    for one in named:
        if one:
            verify_identifier(label_of(parameter), one)
    return value


def label_of(parameter: typer.CallbackParam) -> str:
    """Return what the help calls a parameter: ``CHECKPOINT``, ``--benchmark``."""
    return (
        parameter.opts[0]
        if parameter.param_type_name == "option"
        else (parameter.metavar or parameter.name or "").upper()
    )


def verify_identifier(label: str, name: str) -> None:
    """Check one name.

    Raises:
        UsageProblem: it is no identifier.
    """
    from heldout.bank_files.fields import IDENTIFIER, slug  # noqa: PLC0415 - help must be fast

    if IDENTIFIER.fullmatch(name) is None:
        like = slug(name)
        hint = f"; did you mean {like}?" if like else ""
        raise UsageProblem(f"{label}: {name[:80]} is not a name: {RULE}{hint}")
