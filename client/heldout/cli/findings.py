"""Commands for whoever reads findings: trainers above all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from heldout.cli.help import TRAINERS, Group, examples
from heldout.cli.scores import benchmark_name
from heldout.cli.session import Csv, Json, RatesCsv, RatesJson, UsageProblem, session_of, write_note
from heldout.cli.suggestions import list_names, suggest
from heldout.errors import HeldoutClientError, NotFound, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heldout.client import Client
    from heldout.findings import Budget, Release

NO_BUDGET: Final = "nothing to show yet (no epoch is open), or not for this certificate. The refusal is in the log."

techniques = typer.Typer(
    cls=Group, no_args_is_help=True, help="What the attack techniques are, and what helps against them."
)


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command("findings", rich_help_panel=TRAINERS, epilog=examples("findings v3"))(show_findings)
    app.command("compare", rich_help_panel=TRAINERS, epilog=examples("compare v3 v4"))(show_comparison)
    app.command(
        "trend",
        rich_help_panel=TRAINERS,
        epilog=examples("trend nova-lite", "trend nova-lite --html trend.html  # to look at, and to pass on"),
    )(show_trend)
    app.command("budget", rich_help_panel=TRAINERS, epilog=examples("budget --json"))(show_budget)
    app.add_typer(techniques, name="techniques", rich_help_panel=TRAINERS)


def show_findings(
    context: typer.Context,
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint or a release; the newest release if left out.")] = "",
    as_json: RatesJson = False,
    as_csv: RatesCsv = False,
) -> None:
    """Show a release: attack success by technique, over-refusal, with intervals."""
    from heldout.cli.screens.findings import release_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        releases = client.findings.releases()
    picked = _pick(releases, checkpoint)
    others = [one for one in _named(releases, picked.tested.checkpoint) if one is not picked]
    session.show(release_page(picked, others=others), as_json=as_json, as_csv=as_csv)


def show_comparison(
    context: typer.Context,
    before: Annotated[str, typer.Argument(help="The earlier checkpoint or release.")],
    after: Annotated[str, typer.Argument(help="The later one.")],
    as_json: RatesJson = False,
    as_csv: RatesCsv = False,
) -> None:
    """Compare two checkpoints in four words: worse, better, no change beyond X, cannot tell."""
    from heldout.cli.screens.compare import comparison_page  # noqa: PLC0415 - help must be fast
    from heldout.findings import compare_releases  # noqa: PLC0415 - likewise

    session = session_of(context)
    with session.client() as client:
        releases = client.findings.releases()
    comparison = compare_releases(*_pick_pair(releases, before, after))
    session.show(comparison_page(comparison, among=releases), as_json=as_json, as_csv=as_csv)


def show_trend(
    context: typer.Context,
    *,
    line: Annotated[str, typer.Argument(help="A model line; may be left out if there is one.")] = "",
    benchmark: Annotated[str, typer.Option(help="Whose capability scores to show; SWE-bench if there are any.")] = "",
    html: Annotated[Path | None, typer.Option(help="Write one self-contained HTML page with charts, too.")] = None,
    as_json: RatesJson = False,
    as_csv: RatesCsv = False,
) -> None:
    """Show a model line over its checkpoints: attack success, over-refusal, capability."""
    from heldout.cli.screens.trend import pick_benchmark, trend_page  # noqa: PLC0415 - help must be fast
    from heldout.findings import build_trend  # noqa: PLC0415 - likewise

    asked = benchmark_name(benchmark) if benchmark else ""
    session = session_of(context)
    with session.client() as client:
        releases = client.findings.releases()
        recorded = client.findings.scores()
        budget = _budget(client)
    trend = build_trend(_pick_line(releases, line), releases, recorded)
    shown = asked or pick_benchmark(trend)
    if html is not None:
        from heldout.cli.screens.trend_html import trend_html  # noqa: PLC0415 - help must be fast

        html.write_text(trend_html(trend, benchmark=shown), encoding="utf-8")
    page = trend_page(trend, benchmark=shown, budget=budget, written=html)
    session.show(page, as_json=as_json, as_csv=as_csv)
    scored = list(dict.fromkeys(name for point in trend.points for name in point.capability))
    if asked and asked not in scored:
        write_note(f"no checkpoint of {trend.line} has a capability score of {asked}{suggest(asked, scored)}")


def show_budget(context: typer.Context, as_json: Json = False, as_csv: Csv = False) -> None:
    """Show what the privacy budget has left, and what its spend lets out."""
    from heldout.cli.screens.budget import budget_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        try:
            budget = client.findings.budget()
        except NotFound as error:
            raise NotFound("nothing to show yet: no epoch is open", reason=error.reason) from None
        except Refused as error:
            # The appliance does not tell the two apart, so neither can we.
            raise Refused(NO_BUDGET, reason=error.reason) from None
        head = client.findings.receipt_head()
    session.show(budget_page(budget, head=head), as_json=as_json, as_csv=as_csv)


@techniques.command("list", epilog=examples("techniques list"))
def list_techniques(context: typer.Context, as_json: Json = False) -> None:
    """List the technique cards."""
    from heldout.cli.screens.findings import cards_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        cards = client.findings.cards()
    session.show(cards_page(cards), as_json=as_json)


@techniques.command("show", epilog=examples("techniques show persona", "techniques show base64+persona"))
def show_technique(
    context: typer.Context,
    technique: Annotated[str, typer.Argument(help="Its id; a stack shows the card of each of its techniques.")],
    as_json: Json = False,
) -> None:
    """Show one technique: how it works, references, what helps against it."""
    from heldout.cli.screens.findings import card_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        cards = {card.technique: card for card in client.findings.cards()}
    wanted = technique.split("+")
    for one in wanted:
        if one not in cards:
            hint = suggest(one, list(cards), listed_by="heldout techniques list")
            raise HeldoutClientError(f"there is no card of {one}{hint}")
    session.show(card_page(*(cards[one] for one in wanted)), as_json=as_json)


def _pick(releases: Sequence[Release], name: str) -> Release:
    """Return the newest release of a checkpoint, or the release of this id, or the newest of all."""
    if not releases:
        raise HeldoutClientError("nothing is published yet")
    named = _named(releases, name) if name else releases
    if named:
        return named[-1]
    known = list(dict.fromkeys(release.tested.checkpoint for release in releases))
    raise HeldoutClientError(f"nothing is published about {name}{suggest(name, known)}")


def _pick_pair(releases: Sequence[Release], before: str, after: str) -> tuple[Release, Release]:
    """Return the newest two releases of these names that can be compared; if none can, the newest two."""
    from heldout.findings.compare import why_not_comparable  # noqa: PLC0415 - help must be fast

    newest = _pick(releases, before), _pick(releases, after)
    pairs = (
        (first, second)
        for second in reversed(_named(releases, after))
        for first in reversed(_named(releases, before))
        if why_not_comparable(first, second) is None and first is not second
    )
    pair = next(pairs, None) or _newest_two(releases, before, after) or newest
    if pair[0] is pair[1]:
        raise HeldoutClientError(f"{before} was tested once only: name another checkpoint, or test it again")
    # Of one checkpoint tested twice the earlier comes first, as it does in a trend.
    return pair if before != after or releases.index(pair[0]) < releases.index(pair[1]) else (pair[1], pair[0])


def _newest_two(releases: Sequence[Release], before: str, after: str) -> tuple[Release, Release] | None:
    """Return the newest two releases that two names mean, if they are not one: to say why they cannot be compared."""
    return next(
        (
            (first, second)
            for second in reversed(_named(releases, after))
            for first in reversed(_named(releases, before))
            if first is not second
        ),
        None,
    )


def _named(releases: Sequence[Release], name: str) -> Sequence[Release]:
    """Return the releases about a checkpoint, or that of an id, or of a label such as ``v1#3`` or ``v1#2.3``."""
    return [
        release
        for release in releases
        if name
        in {
            release.tested.checkpoint,
            release.release_id,
            f"{release.tested.checkpoint}#{release.number}",
            f"{release.tested.checkpoint}#{release.epoch_number}.{release.number}",
        }
    ]


def _pick_line(releases: Sequence[Release], line: str) -> str:
    from heldout.findings.trend import list_lines  # noqa: PLC0415 - help must be fast

    known = list_lines(releases)
    if not known:
        raise HeldoutClientError("nothing is published yet")
    if line in known:
        return line
    if not line and len(known) == 1:
        return known[0]
    if not line:
        raise UsageProblem(f"which line? {list_names(known)}")
    raise HeldoutClientError(f"nothing is published about the line {line}{suggest(line, known)}")


def _budget(client: Client) -> Budget | None:
    try:
        return client.findings.budget()
    except (NotFound, Refused):
        return None  # there is none yet; only a bank tester is told apart from a refusal
