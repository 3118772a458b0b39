"""Ask with several accounts, so that each gets noise of its own or a budget of its own."""

from __future__ import annotations

from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.caller import Certificate
from heldout_server.attack.certificates import authority_of
from heldout_server.attack.patience import until
from heldout_server.attack.stage import Stage

SECOND = "spiffe://heldout.example/trainer-two"
READERS = ("trainer", "run_tester", "auditor", "bank_tester")
LIST = "/heldout.v1.FindingsService/ListReleases"
BUDGET = "/heldout.v1.FindingsService/GetBudget"


async def run(stage: Stage) -> Finding:
    """Read the releases and the budget with five accounts, two of them trainers, and compare the bytes."""
    principals = stage.own_folder / "policy" / "principals.toml"
    before = principals.read_text()
    principals.write_text(f'{before}\n[[principal]]\nidentity = "{SECOND}"\nrole = "trainer"\n')
    issued = authority_of(stage.own_folder).issue(SECOND)
    second = Certificate(
        authority=stage.certificate("trainer").authority, certificate=issued.certificate, key=issued.key
    )

    async def told_to(role: str, certificate: Certificate | None = None) -> tuple[bytes, bytes] | None:
        async with stage.caller(role, certificate=certificate) as caller:
            listed, budget = await caller.call(LIST), await caller.call(BUDGET)
        return (listed.body, budget.body) if listed.code == budget.code == "OK" else None

    try:
        answers = {await until(lambda: told_to("trainer", second))}  # once the second name is known
        for role in READERS:
            answers.add(await until(lambda role=role: told_to(role)))  # type: ignore[misc]  # a lambda's default
    finally:
        principals.write_text(before)
    return Finding(
        tried=f"read releases and budget with {len(READERS) + 1} accounts, two of them trainers",
        learned=f"{len(answers)} different answer{'' if len(answers) == 1 else 's'}",
        held=len(answers) == 1,
    )


ATTACK = Attack(
    name="two-accounts",
    plays=Player.TRAINING_TEAM,
    explains="ask with several accounts, so that each gets noise or budget of its own",
    needs=Needs.SHARED,
    run=run,
)
