"""``heldout-server policy``: read a release policy, see what it would tell, and sign it. No appliance is needed."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from heldout_policy.errors import PolicyError
from heldout_policy.mechanism import Side
from heldout_policy.release_policy import NANO, ReleasePolicy, parse_release_policy, policy_digest
from heldout_policy.schedule import STRIKES, run_time_s
from heldout_server.app.documents import decode_document, read_document, write_document
from heldout_server.cli.options import AsJson, examples

if TYPE_CHECKING:
    from heldout_policy.planning import EpochShape, Outlook, TableOutlook

app = typer.Typer(help="Read, plan with, and sign the release policy.", no_args_is_help=True)

WIDTH: Final = 80
EXIT_UNREADABLE: Final = 1
SECONDS_PER_HOUR: Final = 3600

Document = Annotated[Path, typer.Argument(help="A release.toml.", metavar="RELEASE.toml")]


@app.command("sign", epilog=examples("policy sign policy/release.toml --key policy_signer.key"))
def sign(
    document: Annotated[Path, typer.Argument(help="The release.toml that was read and is agreed to.")],
    key: Annotated[Path, typer.Option(help="The bank tester's Ed25519 private key, PEM.")],
    as_json: AsJson = False,
) -> None:
    """Sign a release policy: without a good signature nothing leaves."""
    from heldout_server.keys import sign_policy

    content, _ = _read_policy(document)
    signature = document.with_name(document.name + ".sig")
    write_document(signature, sign_policy(content, read_document(key)))
    digest = policy_digest(content)
    if as_json:
        typer.echo(json.dumps({"document": str(document), "signature": str(signature), "digest": digest}))
        return
    typer.echo(f"signed {document}: {digest}")


@app.command("explain", epilog=examples("policy explain policy/release.toml"))
def explain(document: Document, as_json: AsJson = False) -> None:
    """Say in plain words what a release policy lets out.

    The page also says how much can be learnt, who decides, and what the policy does not protect.
    """
    from heldout_policy.explanation import explain as explain_policy

    content, policy = _read_policy(document)
    sections = explain_policy(policy)
    if as_json:
        document_json = {heading: list(sentences) for heading, sentences in sections}
        typer.echo(json.dumps({"digest": policy_digest(content), "profile": policy.profile, "says": document_json}))
        return
    typer.echo(f"{document.name}, profile {policy.profile}, digest {policy_digest(content)[:16]}…")
    for heading, sentences in sections:
        typer.echo(f"\n{heading}")
        for sentence in sentences:
            typer.echo(textwrap.fill(sentence, WIDTH, initial_indent="  - ", subsequent_indent="    "))


@app.command(
    "plan",
    epilog=examples(
        "policy plan release.toml --units 300 --stacks 30",
        "policy plan release.toml --units 750 --releases 50 --json",
    ),
)
def plan(
    document: Document,
    units: Annotated[int, typer.Option(min=1, help="Harmful units of the epoch.")] = 300,
    benign: Annotated[int, typer.Option(min=0, help="Benign units of the epoch.")] = 100,
    techniques: Annotated[int, typer.Option(min=1, help="Techniques tried alone, plain among them.")] = 12,
    stacks: Annotated[int, typer.Option(min=0, help="Stacks of techniques.")] = 30,
    categories: Annotated[int, typer.Option(min=1, help="Categories of prompts.")] = 8,
    releases: Annotated[int | None, typer.Option(min=1, help="Releases an epoch, instead of the policy's.")] = None,
    prompts_per_unit: Annotated[int, typer.Option(min=1, help="Prompts of a scenario family.")] = 1,
    attempts: Annotated[int, typer.Option(min=1, help="Trials of each prompt in each cell.")] = 1,
    tokens_per_trial: Annotated[int, typer.Option(min=1, help="Tokens of a prompt and its answer.")] = 500,
    tokens_per_second: Annotated[int, typer.Option(min=1, help="What the runtime serves, all requests.")] = 2000,
    in_flight: Annotated[int, typer.Option(min=1, help="Trials at a time, as in config.toml.")] = 64,
    deadline_s: Annotated[float, typer.Option(min=0.1, help="Of one trial, as in config.toml.")] = 30.0,
    start_s: Annotated[float, typer.Option(min=0, help="What the runtime may take to come up.")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Say what an epoch could tell under a policy.

    The page gives widths, bits, what can be told apart, hours and tokens.

    Exits with 1 where a table has rows that nobody could read, and says what would mend it.
    """
    from heldout_policy.planning import EpochShape, plan_epoch, units_for, with_releases

    _, policy = _read_policy(document)
    if releases is not None:
        policy = with_releases(policy, releases)
    shape = EpochShape(
        harmful_units=units,
        benign_units=benign,
        techniques=techniques,
        stacks=stacks,
        categories=categories,
        prompts_per_unit=prompts_per_unit,
        attempts=attempts,
    )
    outlook = plan_epoch(policy, shape)
    needed = {table.name: units_for(policy, shape, table.name) for table in outlook.unreadable}
    effort = _effort(shape, outlook, tokens_per_trial=tokens_per_trial, tokens_per_second=tokens_per_second)
    effort |= _time_given(shape, in_flight=in_flight, deadline_s=deadline_s, start_s=start_s)
    if as_json:
        typer.echo(json.dumps(_as_object(outlook, effort, needed)))
    else:
        for line in _plan_lines(policy, shape, outlook, effort, needed):
            typer.echo(line)
    if needed:
        raise typer.Exit(EXIT_UNREADABLE)


def _effort(
    shape: EpochShape, outlook: Outlook, *, tokens_per_trial: int, tokens_per_second: int
) -> dict[str, int | float]:
    tokens = shape.trials * tokens_per_trial
    return {
        "trials_per_run": shape.trials,
        "tokens_per_run": tokens,
        "hours_per_run": tokens / tokens_per_second / SECONDS_PER_HOUR,
        "tokens_per_epoch": tokens * outlook.releases,
        "hours_per_epoch": tokens * outlook.releases / tokens_per_second / SECONDS_PER_HOUR,
        "tokens_per_second": tokens_per_second,
    }


def _time_given(shape: EpochShape, *, in_flight: int, deadline_s: float, start_s: float) -> dict[str, int | float]:
    """Return what a run's slot follows from: what is fixed before it, and nothing of how fast the checkpoint is."""
    units = shape.harmful_units + shape.benign_units
    return {
        "in_flight": in_flight,
        "deadline_s": deadline_s,
        "start_s": start_s,
        "given_s": run_time_s(
            trials=shape.trials, units=units, width=in_flight, deadline_s=deadline_s, start_s=start_s
        ),
    }


def _plan_lines(
    policy: ReleasePolicy,
    shape: EpochShape,
    outlook: Outlook,
    effort: Mapping[str, int | float],
    needed: Mapping[str, int],
) -> Iterator[str]:
    yield (
        f"{shape.harmful_units:,} harmful and {shape.benign_units:,} benign units, {shape.techniques} techniques,"
        f" {shape.stacks} stacks, {shape.categories} categories"
    )
    of_a_line = " of a line" if policy.lines else ""
    full = "all of them" if policy.full_every == 1 else f"one in {policy.full_every}{of_a_line}"
    yield f"{outlook.releases} releases, {full} full; half-widths at 95 %, in points"
    yield ""
    yield f"{'':<14}{'releases':>9}{'rows':>6}{'units':>7}{'sigma':>8}{'noise':>8}{'and sampling':>14}{'change':>9}"
    for table in outlook.tables:
        yield _table_line(table)
    for hidden in outlook.withheld:
        yield (
            f"{hidden.name.replace('_', '-'):<14}withheld: {hidden.units:,} units in a row, and the policy wants"
            f" {policy.minimum_units_per_cell:,}"
        )
    yield ""
    yield "change: what two checkpoints on the same units must differ by to be told apart."
    yield "and sampling: noise, and that the units stand for prompts like these.\n"
    yield from _exact_lines(outlook) if policy.exact else _claim_lines(policy, outlook)
    yield (
        f"a run: {effort['trials_per_run']:,} trials, {effort['tokens_per_run']:,} tokens,"
        f" {effort['hours_per_run']:.1f} h at {effort['tokens_per_second']:,} tokens/s"
    )
    yield from _publication_lines(policy, shape, effort, releases=outlook.releases)
    yield f"the epoch: {effort['tokens_per_epoch']:,} tokens, {effort['hours_per_epoch']:.0f} h of serving"
    for table in outlook.unreadable:
        yield ""
        yield f"refused: nobody could read the {table.name.replace('_', '-')} table:"
        yield f"  a change would have to pass {table.change * 100:.0f} points."
        yield f"  take {needed[table.name]:,} units, or fewer rows (families of techniques first) or fewer releases"


def _publication_lines(
    policy: ReleasePolicy, shape: EpochShape, effort: Mapping[str, int | float], *, releases: int
) -> Iterator[str]:
    if not policy.schedule.is_planned:
        yield "  it publishes when it is complete: the moment tells how long it took"
        return
    slot_s = policy.schedule.slot_s
    waits_s = policy.schedule.next_slot(effort["given_s"] + policy.schedule.closing_s)
    said = (
        f"it publishes at a slot, one every {slot_s:,} s: within {(waits_s + slot_s) / SECONDS_PER_HOUR:,.1f} h and not"
        f" before {effort['given_s'] / SECONDS_PER_HOUR:,.1f} h, however fast the checkpoint is. That is the time for"
        f" all trials, {effort['in_flight']:,} at once, and {STRIKES} more of each of"
        f" {shape.harmful_units + shape.benign_units:,} units alone, {effort['deadline_s']:g} s each; see --deadline-s."
        f" {releases} runs follow one another in {waits_s * releases / SECONDS_PER_HOUR:,.0f} h."
    )
    yield from textwrap.wrap(said, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _exact_lines(outlook: Outlook) -> Iterator[str]:
    yield from textwrap.wrap(
        "! exact profile: no noise. One row answers one yes/no question about one unit for certain; all releases"
        f" together tell up to {outlook.exact_bits or 0:,} bits of one unit, one a row.",
        WIDTH,
        subsequent_indent="  ",
    )


def _claim_lines(policy: ReleasePolicy, outlook: Outlook) -> Iterator[str]:
    for side, name in ((Side.HARMFUL, "harmful"), (Side.BENIGN, "benign")):
        claims = outlook.claims[side]
        yield (
            f"a {name} unit spends rho {outlook.spent_nano_rho[side] / NANO:.3f}"
            f" of {policy.budget_nano_rho / NANO:.3f}: {claims.tight_bits:.1f} bits on average"
            f" ({claims.general_bits:.1f}),"
        )
        yield f"  one yes/no question right at most {claims.one_question_accuracy:.1%}"
    if outlook.payable["pair"] < outlook.releases:
        yield f"a harmful and benign look-alike pair pays both sides, and ends after {outlook.payable['pair']} releases"
    if policy.anchors_per_epoch:
        yield f"{policy.anchors_per_epoch} more may restate an earlier checkpoint, paid from the reserve"


def _table_line(table: TableOutlook) -> str:
    withheld = f"  {table.withheld} withheld" if table.withheld else ""
    return (
        f"{table.name.replace('_', '-'):<14}{table.releases:>9}{table.rows:>6}{table.units:>7,}{table.sigma:>8.2f}"
        f"{table.noise * 100:>8.1f}{table.noise_and_sampling * 100:>14.1f}{table.change * 100:>9.1f}{withheld}"
    )


def _as_object(outlook: Outlook, effort: Mapping[str, int | float], needed: Mapping[str, int]) -> dict[str, Any]:
    return {
        "releases": outlook.releases,
        "payable": dict(outlook.payable),
        "tables": [
            {
                "name": table.name,
                "releases": table.releases,
                "rows": table.rows,
                "units": table.units,
                "withheld": table.withheld,
                "sigma_units": table.sigma,
                "noise_points": table.noise * 100,
                "noise_and_sampling_points": table.noise_and_sampling * 100,
                "change_points": table.change * 100,
                "readable": table.readable,
                "units_needed": needed.get(table.name),
            }
            for table in outlook.tables
        ],
        "withheld": [{"name": hidden.name, "units": hidden.units} for hidden in outlook.withheld],
        "exact_bits_of_one_unit_at_most": outlook.exact_bits,
        **({} if outlook.exact_bits is not None else _claims_object(outlook)),
        "effort": dict(effort),
    }


def _claims_object(outlook: Outlook) -> dict[str, Any]:
    return {
        "rho": {side.value: spent / NANO for side, spent in outlook.spent_nano_rho.items()},
        "bits": {side.value: claims.tight_bits for side, claims in outlook.claims.items()},
        "one_question_accuracy": {side.value: claims.one_question_accuracy for side, claims in outlook.claims.items()},
    }


def _read_policy(path: Path) -> tuple[bytes, ReleasePolicy]:
    content = read_document(path)
    try:
        return content, parse_release_policy(decode_document(content, path))
    except PolicyError as error:  # which calls the document what it is called in an appliance
        raise PolicyError(error.message, document=path.name, line=error.line, key=error.key) from None
