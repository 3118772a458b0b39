"""Commands for a training team's own scores, which stand beside the published figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from heldout.cli.help import TRAINERS, Group, examples
from heldout.cli.identifiers import check_identifier, verify_identifier
from heldout.cli.session import Csv, Json, UsageProblem, session_of, write_note
from heldout.cli.suggestions import suggest
from heldout.errors import HeldoutClientError

if TYPE_CHECKING:
    from heldout.findings import ScoreKind

MILLI: Final = 1000
MOST_POINTS: Final = 100

scores = typer.Typer(
    cls=Group, no_args_is_help=True, help="Your own scores, to see safety and capability side by side."
)

CheckpointName = Annotated[str, typer.Argument(help="The checkpoint's name.", callback=check_identifier)]
Benchmark = Annotated[str, typer.Option(help="Its name, such as SWE-bench; capitals make no difference.")]
Kind = Annotated[str, typer.Option(help="capability or internal-safety.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.add_typer(scores, name="scores", rich_help_panel=TRAINERS)


@scores.command("record", epilog=examples("scores record v3 --benchmark swe-bench --value 41.0"))
def record_score(
    context: typer.Context,
    *,
    checkpoint: CheckpointName,
    benchmark: Benchmark,
    value: Annotated[str, typer.Option(help="Per cent, 0 to 100, with up to three decimals.")],
    kind: Kind = "capability",
    as_json: Json = False,
) -> None:
    """Record a score of your own for a checkpoint; it takes the place of an earlier one."""
    from heldout.cli.screens.page import Page, join_parts  # noqa: PLC0415 - help must be fast

    value_milli = _milli(value)
    benchmark, meant = benchmark_name(benchmark), _kind(kind)
    session = session_of(context)
    with session.client() as client:
        client.findings.record_score(checkpoint, benchmark=benchmark, value_milli=value_milli, kind=meant)
        known = list(dict.fromkeys(release.tested.checkpoint for release in client.findings.releases()))
    points = value_milli / MILLI
    session.show(
        Page(
            lines=tuple(join_parts([f"recorded: {checkpoint} {benchmark} {points:g}", "receipt verified"])),
            data={
                "checkpoint": checkpoint,
                "kind": kind,
                "benchmark": benchmark,
                "value": points,
                "released": checkpoint in known,
            },
        ),
        as_json=as_json,
    )
    if checkpoint not in known:
        write_note(f"nothing is published about {checkpoint} yet{suggest(checkpoint, known)}")


@scores.command("remove", epilog=examples("scores remove v3 --benchmark swe-bench"))
def remove_score(
    context: typer.Context,
    *,
    checkpoint: CheckpointName,
    benchmark: Benchmark,
    kind: Kind = "capability",
    as_json: Json = False,
) -> None:
    """Take a score back, for instance one of a misspelt checkpoint. The log keeps that it was recorded."""
    from heldout.cli.screens.page import Page, join_parts  # noqa: PLC0415 - help must be fast

    benchmark, meant = benchmark_name(benchmark), _kind(kind)
    session = session_of(context)
    with session.client() as client:
        if (checkpoint, benchmark, meant) not in {
            (one.checkpoint, one.benchmark, one.kind) for one in client.findings.scores()
        }:
            raise HeldoutClientError(f"there is no {kind} score of {checkpoint} {benchmark}: heldout scores list")
        client.findings.remove_score(checkpoint, benchmark=benchmark, kind=meant)
    session.show(
        Page(
            lines=tuple(join_parts([f"removed: {checkpoint} {benchmark}", "receipt verified"])),
            data={"checkpoint": checkpoint, "kind": kind, "benchmark": benchmark, "removed": True},
        ),
        as_json=as_json,
    )


@scores.command("list", epilog=examples("scores list --csv"))
def list_scores(context: typer.Context, as_json: Json = False, as_csv: Csv = False) -> None:
    """List recorded scores, oldest first."""
    from heldout.cli.screens.findings import scores_page  # noqa: PLC0415 - help must be fast

    session = session_of(context)
    with session.client() as client:
        recorded = client.findings.scores()
    session.show(scores_page(recorded), as_json=as_json, as_csv=as_csv)


def benchmark_name(typed: str) -> str:
    """Return a benchmark's name as it is recorded: screens write ``SWE-bench``, and it is ``swe-bench``.

    Raises:
        UsageProblem: it is no name in small letters either.
    """
    name = typed.lower()
    verify_identifier("--benchmark", name)
    return name


def _kind(kind: str) -> ScoreKind:
    from heldout.findings import ScoreKind  # noqa: PLC0415 - help must be fast

    if kind not in list(ScoreKind):
        raise UsageProblem("--kind is capability or internal-safety")
    return ScoreKind(kind)


def _milli(value: str) -> int:
    """Return per cent as thousandths of a point, exactly."""
    from decimal import Decimal, InvalidOperation  # noqa: PLC0415 - help must be fast

    try:
        points = Decimal(value)
    except InvalidOperation:
        raise UsageProblem("--value is in per cent, such as 41.25") from None
    # The bound comes first: a great exponent would take all memory as a whole number.
    if not points.is_finite() or not 0 <= points <= MOST_POINTS or points * MILLI != int(points * MILLI):
        raise UsageProblem(f"--value is in per cent, 0 to {MOST_POINTS}, with up to three decimals")
    return int(points * MILLI)
