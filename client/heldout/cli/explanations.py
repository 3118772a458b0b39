"""Say why a tester's command was not done, from what that tester may see anyway.

The appliance tells a bank tester the exact reason, and everybody else only that something is not in the right state:
what a refusal says must not depend on what only the bank tester may know. Nothing is asked of it here but what the
same person reads in ``run show``, ``checkpoints`` and ``techniques list``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from heldout.cli.suggestions import suggest
from heldout.errors import CallError, HeldoutClientError, WrongState

if TYPE_CHECKING:
    from heldout.client import Client

PLAIN: Final = "plain"
UNTOLD_STATE: Final = "WRONG_STATE"
"""The reason of a refusal that says no more: an exact one stands in its place."""

IN_TIME: Final = {
    "start": ("proposed",),
    "approve": ("proposed",),
    "cancel": ("proposed", "running"),
}
"""In which states a run can be started, approved or cancelled."""


def explain_run(client: Client, run_id: str, verb: str, error: WrongState) -> None:
    """Say in which state a run is, where that is why it was refused.

    Args:
        client: asks for the run.
        run_id: the run.
        verb: what was to be done: ``start``, ``approve`` or ``cancel``.
        error: the refusal.

    Raises:
        WrongState: the run is in a state in which that cannot be done, its checkpoint says nothing, or nobody approved
            it. Nothing is raised where the reason does not show.
    """
    if error.reason not in {UNTOLD_STATE, "NOTHING_ANSWERED"}:
        return
    run = client.runs.get(run_id)
    if error.reason == UNTOLD_STATE and run.state.value not in IN_TIME[verb]:
        state = f"{run.state.value}{', cancelled' if run.cancelled else ''}"
        raise WrongState(f"{run_id} is {state}: it is too late to {verb} it", reason=error.reason) from None
    if verb != "start" or run.state.value != "proposed":
        return
    if run.preflight is not None and not run.preflight.answered:
        raise WrongState(
            f"the checkpoint said nothing when it was asked, and nothing was spent: heldout run show {run_id}",
            reason=error.reason,
        ) from None
    if error.reason == UNTOLD_STATE and not run.approvals:
        raise WrongState(
            f"not started, and nothing was spent: nobody has approved it: heldout run approve {run_id}",
            reason=error.reason,
        ) from None


def explain_proposal(client: Client, name: str, error: WrongState) -> None:
    """Say why nothing can be proposed of a checkpoint, where the list of checkpoints shows it.

    Raises:
        WrongState: it was refused, nothing serves it, or what else it can be.
    """
    if error.reason == UNTOLD_STATE:
        _explain_listed(client, name, error)
        message = f"no epoch is open, or an exposed runtime serves {name} and --allow-exposed is missing"
        raise WrongState(message, reason=error.reason) from None


def explain_preflight(client: Client, name: str, error: WrongState) -> None:
    """Say why a checkpoint is not asked anything, where the list of checkpoints shows it.

    Raises:
        WrongState: it was refused, or nothing serves it. Nothing is raised where that is not so.
    """
    if error.reason == UNTOLD_STATE:
        _explain_listed(client, name, error)


def _explain_listed(client: Client, name: str, error: WrongState) -> None:
    known = next((one for one in client.checkpoints.list() if one.name == name), None)
    if known is not None and known.reason:
        what = "cannot run" if known.digest else "was refused"
        message = f"{name} {what} ({known.reason}): heldout checkpoints says what to change"
        raise WrongState(message, reason=error.reason) from None


def explain_plan(client: Client, techniques: Sequence[str]) -> None:
    """Say which technique there is not: the appliance says only that something is not right.

    Raises:
        HeldoutClientError: there is such a one.
    """
    try:
        known = [PLAIN, *(card.technique for card in client.findings.cards())]
    except CallError:
        return  # then the appliance's own words stand
    for one in techniques:
        if one not in known:
            hint = suggest(one, known, listed_by="heldout techniques list")
            raise HeldoutClientError(f"there is no technique {one}{hint}")
