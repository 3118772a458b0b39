"""``heldout bank check-card``: does the text of a technique card give a prompt away?"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from heldout.cli.session import Json, UsageProblem, session_of

TEXTS: Final = ("title", "mechanism", "mitigation")
KEYS: Final = frozenset({*TEXTS, "references"})


def register(bank: typer.Typer) -> None:
    """Add the command to those of the bank."""
    bank.command(
        "check-card",
        epilog="Examples: heldout bank check-card card.toml · all cards that are published: heldout bank check-card. "
        'A card: title = "…", mechanism = "…", references = ["…"], mitigation = "…".',
    )(check_card)


def check_card(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="A card in TOML; every published card if left out.")] = None,
    as_json: Json = False,
) -> None:
    """Compare a technique card with every prompt of the bank, before anybody else reads it. Exits with 1 at a hit.

    Found are copies, copies with words changed, encoded or disguised ones, and words that cards give away together.
    Not found are paraphrases and translations: for those a person must read the card.
    """
    from heldout.cli.screens.cards import checked_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        if file is None:
            named: dict[str, dict[str, Any]] = {
                card.technique: {
                    "title": card.title,
                    "mechanism": card.mechanism,
                    "references": card.references,
                    "mitigation": card.mitigation,
                }
                for card in client.findings.cards()
            }
        else:
            named = {file.name: read_card(file)}
        found = {name: client.bank.examine_card(**card) for name, card in named.items()}
    session.show(checked_page(found), as_json=as_json)
    if any(found.values()):
        raise typer.Exit(1)


def read_card(file: Path) -> dict[str, Any]:
    """Return the texts of a card.

    Raises:
        UsageProblem: the file cannot be read, or is no card.
    """
    try:
        card = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageProblem(f"{file}: {error.strerror}") from None
    except ValueError:
        raise UsageProblem(f"{file}: not TOML in UTF-8") from None
    if unknown := card.keys() - KEYS:
        raise UsageProblem(f"{file}: {min(unknown)}: a card has {', '.join(sorted(KEYS))}")
    for key in TEXTS:
        if not isinstance(card.setdefault(key, ""), str):
            raise UsageProblem(f"{file}: {key}: must be a text")
    references = card.setdefault("references", [])
    if not isinstance(references, list) or not all(isinstance(one, str) for one in references):
        raise UsageProblem(f"{file}: references: must be a list of texts")
    return card
