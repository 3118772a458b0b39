"""Call with certificates that prove nothing: of another authority, expired, with two names or none."""

from __future__ import annotations

from datetime import timedelta

from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.caller import Certificate
from heldout_server.attack.certificates import another_authority, authority_of
from heldout_server.attack.stage import Stage
from heldout_server.installation.pki import Issued

TRAINER = "spiffe://heldout.example/trainer"
TESTER = "spiffe://heldout.example/bank-tester"
LIST = "/heldout.v1.FindingsService/ListReleases"
HOUR = timedelta(hours=1)
TIMEOUT_S = 5.0


async def run(stage: Stage) -> Finding:
    """Call with each, and with one good certificate to show that the rest could have been answered."""
    own, foreign = authority_of(stage.own_folder), another_authority("heldout")
    wrong: dict[str, Issued | None] = {
        "none": None,
        "of another authority": foreign.issue(TRAINER),
        "of another authority, a tester's": foreign.issue(TESTER),
        "expired": own.issue(TRAINER, begins=-2 * HOUR, ends=-HOUR),
        "of tomorrow": own.issue(TRAINER, begins=HOUR, ends=2 * HOUR),
        "with two names": own.issue(TRAINER, "spiffe://heldout.example/other"),
        "with two names, the second a tester's": own.issue(TRAINER, TESTER),
        "with a name twice": own.issue(TRAINER, TRAINER),
        "with a name in the common name only": own.issue(common_name=TRAINER),
        "of another trust domain": own.issue("spiffe://heldout.example.org/trainer"),
        "with a name that is not listed": own.issue("spiffe://heldout.example/trainer-9"),
        "in another spelling": own.issue("spiffe://heldout.example/Trainer"),
    }
    answered = [name for name, issued in wrong.items() if await _is_answered(stage, issued)]
    good = await _is_answered(stage, own.issue(TRAINER))
    return Finding(
        tried=f"called with {len(wrong)} certificates: {', '.join(wrong)}",
        learned=f"answered: {', '.join(answered) or 'none'}; a good one is {'answered' if good else 'not answered'}",
        held=not answered and good,
    )


async def _is_answered(stage: Stage, issued: Issued | None) -> bool:
    shown = Certificate(
        authority=stage.certificate("trainer").authority,
        certificate=issued.certificate if issued else b"",
        key=issued.key if issued else b"",
    )
    async with stage.caller("trainer", certificate=shown) as caller:
        told = await caller.call(LIST, timeout_s=TIMEOUT_S)
    return told.code == "OK" or bool(told.bodies)


ATTACK = Attack(
    name="wrong-certificates",
    plays=Player.TRAINING_TEAM,
    explains="call with certificates of another authority, out of date, with two names or with none",
    needs=Needs.SHARED,
    run=run,
)
