"""Commands for technique cards: the one text that leaves, written by one person and approved by another."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from heldout.cli.help import TESTERS, Group, examples
from heldout.cli.identifiers import check_identifier
from heldout.cli.session import Json, UsageProblem, session_of
from heldout.cli.suggestions import suggest
from heldout.errors import HeldoutClientError, NotFound, Refused, WrongState

if TYPE_CHECKING:
    from collections.abc import Callable

    from heldout.bank_model import CardHit
    from heldout.client import Client
    from heldout.services.cards import CardRecord

T = TypeVar("T")

TEXTS: Final = ("title", "mechanism", "mitigation")
KEYS: Final = frozenset({*TEXTS, "references"})
LISTED_BY: Final = "heldout cards list"
FORM: Final = 'A card: title = "…", mechanism = "…", references = ["…"], mitigation = "…".'

REASONS: Final = {
    "OWN_CARD": "nobody approves a card of their own: ask somebody else",
    "NOT_THE_APPROVER": "the policy lets another role approve cards: approved_by in release.toml",
    "FOUND_IN_CARD": "not approved: something of a prompt is found in it, see heldout cards show",
    "DIGEST_DIFFERS": "the card is another by now: read it again",
    "CARD_STATE": "that was decided before: see heldout cards list",
}
"""What the appliance's exact reasons mean, for bank testers; others are told less."""

cards = typer.Typer(
    cls=Group, no_args_is_help=True, help="Technique cards: propose, approve and withdraw them, for testers."
)
TechniqueId = Annotated[str, typer.Argument(help="The technique's id.", callback=check_identifier)]
Digest = Annotated[str, typer.Option(help="Only if the card has this SHA-256: that of the text that you read.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.add_typer(cards, name="cards", rich_help_panel=TESTERS)


@cards.command("list", epilog=examples("cards list"))
def list_cards(context: typer.Context, as_json: Json = False) -> None:
    """List the newest card of every technique, and where it stands."""
    from heldout.cli.screens.cards import records_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        records = client.cards.list()
    session.show(records_page(records), as_json=as_json)


@cards.command("show", epilog=examples("cards show persona"))
def show_card(context: typer.Context, technique: TechniqueId, as_json: Json = False) -> None:
    """Show a card, where it stands and, to a bank tester, what of the bank is found in it now."""
    session = session_of(context)
    with session.client() as client:
        record = _get(client, technique)
        hits = _examine(client, record)
    _show(context, record, hits, as_json=as_json)


@cards.command(
    "check", epilog=examples("cards check card.toml", "cards check  # every card that is published", note=FORM)
)
def check_cards(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="A card in TOML; every published card if left out.")] = None,
    as_json: Json = False,
) -> None:
    """Compare a card with every prompt of the bank, before anybody else reads it. Exits with 1 at a hit.

    Found are copies, copies with words changed, encoded or disguised ones, and words that cards give away together.
    Not found are paraphrases and translations: for those a person must read the card.
    """
    from heldout.cli.screens.cards import checked_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        if file is None:
            named = {card.technique: card.texts for card in client.findings.cards()}
        else:
            named = {file.name: read_card(file)}
        found = {name: client.bank.examine_card(**card) for name, card in named.items()}
    session.show(checked_page(found), as_json=as_json)
    if any(found.values()):
        raise typer.Exit(1)


@cards.command("propose", epilog=examples("cards propose persona card.toml", note=FORM))
def propose_card(
    context: typer.Context,
    technique: TechniqueId,
    file: Annotated[Path, typer.Argument(help="The card in TOML.")],
    as_json: Json = False,
) -> None:
    """Hand in a card. It takes the place of the technique's card, whose approval is gone. Exits with 1 at a hit."""
    from heldout.cli.screens.cards import checked_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    card = read_card(file)
    if missing := [key for key in sorted(KEYS) if not card[key]]:
        raise UsageProblem(f"{file}: {missing[0]}: missing or empty")
    with session.client() as client:
        try:
            proposal = client.cards.propose(technique, **card)
        except NotFound as error:
            names = [one.card.technique for one in client.cards.list()]
            hint = suggest(technique, names, listed_by=LISTED_BY)
            raise NotFound(f"there is no technique {technique}{hint}", reason=error.reason) from None
    if proposal.record is None:
        session.show(checked_page({file.name: proposal.hits}), as_json=as_json)
        raise typer.Exit(1)
    _show(context, proposal.record, (), as_json=as_json)


@cards.command(
    "approve", epilog=examples("cards approve persona", "cards approve --shipped  # all that ship with the appliance")
)
def approve_cards(
    context: typer.Context,
    technique: Annotated[str | None, typer.Argument(help="The technique's id.")] = None,
    *,
    digest: Digest = "",
    shipped: Annotated[
        bool, typer.Option("--shipped", help="All proposed cards that ship with the appliance.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Approve and publish a card that somebody else wrote, exactly as it stands: read it before."""
    from heldout.cli.screens.cards import records_page  # noqa: PLC0415 - help must be fast
    from heldout.services.cards import SHIPPED, CardState  # noqa: PLC0415 - likewise

    if shipped == (technique is not None):
        raise UsageProblem("name one technique, or pass --shipped")
    session = session_of(context)
    with session.client() as client:
        if technique is not None:
            _show(context, _approve(client, _get(client, technique), digest), (), as_json=as_json)
            return
        waiting = [one for one in client.cards.list() if one.card.author == SHIPPED and one.state is CardState.PROPOSED]
        records = [_approve(client, one) for one in waiting]
    session.show(records_page(records), as_json=as_json)


@cards.command("refuse", epilog=examples("cards refuse persona"))
def refuse_card(context: typer.Context, technique: TechniqueId, digest: Digest = "", as_json: Json = False) -> None:
    """Refuse a proposed card. Its author may propose another."""
    from heldout.cli.screens.page import Page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        wanted = digest or _get(client, technique).card.digest
        _decide(lambda: client.cards.refuse(technique, digest=wanted))
    said = f"{technique}: refused · receipt verified"
    session.show(Page(lines=(said,), data={"technique": technique, "refused": wanted}), as_json=as_json)


@cards.command("withdraw", epilog=examples("cards withdraw persona"))
def withdraw_card(context: typer.Context, technique: TechniqueId, as_json: Json = False) -> None:
    """Take a card back, published or not. Whoever read it has read it."""
    session = session_of(context)
    with session.client() as client:
        record = _decide(lambda: client.cards.withdraw(technique))
    _show(context, record, (), as_json=as_json)


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


def _get(client: Client, technique: str) -> CardRecord:
    for one in (records := client.cards.list()):
        if one.card.technique == technique:
            return one
    known = [one.card.technique for one in records]
    raise HeldoutClientError(f"there is no card of {technique}{suggest(technique, known, listed_by=LISTED_BY)}")


def _approve(client: Client, record: CardRecord, digest: str = "") -> CardRecord:
    card = record.card
    return _decide(lambda: client.cards.approve(card.technique, digest=digest or card.digest))


def _examine(client: Client, record: CardRecord) -> tuple[CardHit, ...] | None:
    """Return what is found in a card, or None to whoever may not know."""
    try:
        return client.bank.examine_card(**record.card.texts)
    except Refused:
        return None


def _decide(work: Callable[[], T]) -> T:
    """Do what decides a card, and say in words why it is not decided."""
    try:
        return work()
    except WrongState as error:
        if error.reason in REASONS:
            raise WrongState(REASONS[error.reason], reason=error.reason) from None
        raise


def _show(context: typer.Context, record: CardRecord, hits: tuple[CardHit, ...] | None, *, as_json: bool) -> None:
    from heldout.cli.screens.cards import record_page  # noqa: PLC0415 - help must be fast

    session_of(context).show(record_page(record, hits), as_json=as_json)
