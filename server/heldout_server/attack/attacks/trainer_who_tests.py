"""Give one identity two roles, above all trainer and bank tester."""

from __future__ import annotations

from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.patience import until
from heldout_server.attack.stage import Stage

TRAINER = "spiffe://heldout.example/trainer"
STATS = "/heldout.v1.BankService/GetStats"
LIST = "/heldout.v1.FindingsService/ListReleases"


async def run(stage: Stage) -> Finding:
    """Write such principals while the appliance runs, and start it with them."""
    principals = stage.own_folder / "policy" / "principals.toml"
    good = principals.read_text()
    second = '\n[[principal]]\nidentity = "{}"\nrole = "{}"\n'
    tries = {
        "a trainer who is a bank tester too": good + second.format(TRAINER, "bank_tester"),
        "a bank tester who is a trainer too": good + second.format("spiffe://heldout.example/bank-tester", "trainer"),
        "one name twice in one role": good + second.format(TRAINER, "trainer"),
        "a trainer with both roles in a list": good.replace('role = "trainer"', 'role = ["trainer", "bank_tester"]'),
    }
    taken = []
    for count, (name, document) in enumerate(tries.items(), start=1):
        principals.write_text(document)
        await until(lambda count=count: _refusals(stage, count))  # type: ignore[misc]  # a lambda's default
        if (await stage.ask("trainer", STATS)).code != "PERMISSION_DENIED":
            taken.append(f"{name} (while it runs)")
    still = (await stage.ask("trainer", LIST)).code
    await stage.stop()
    for name, document in tries.items():
        principals.write_text(document)
        if not await stage.try_start():
            taken.append(name)
            await stage.stop()
    principals.write_text(good)
    return Finding(
        tried=f"wrote principals with {', '.join(tries)}: while it runs, and before a start",
        learned=f"taken: {', '.join(taken) or 'none'}; meanwhile a trainer is answered as before",
        held=not taken and still == "OK",
    )


async def _refusals(stage: Stage, count: int) -> bool:
    """Say whether so many changes were looked at and not taken, or the newest was taken."""
    return stage.said.count("reload_refused") >= count or "reloaded" in stage.said


ATTACK = Attack(
    name="trainer-who-tests",
    plays=Player.OPERATOR,
    explains="give one identity two roles, above all those of a trainer and of a bank tester",
    needs=Needs.OWN,
    run=run,
)
