"""Put an older policy back, which the bank tester did sign, and which tells more than the one in force since."""

from __future__ import annotations

from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.policies import policy_of, put_signed
from heldout_server.attack.stage import Stage


async def run(stage: Stage) -> Finding:
    """Start with a wide policy, have a narrower one signed and start with it, then put the wide one back."""
    await stage.furnish()
    wide = policy_of(stage).read_bytes()
    signature = policy_of(stage).with_name("release.toml.sig")
    signed = signature.read_bytes()
    await stage.stop()
    put_signed(stage, bits=4)
    narrow, narrowly_signed = policy_of(stage).read_bytes(), signature.read_bytes()
    await stage.start()
    await stage.stop()

    policy_of(stage).write_bytes(wide)
    signature.write_bytes(signed)
    said = await stage.try_start()
    await stage.stop()
    policy_of(stage).write_bytes(narrow)
    signature.write_bytes(narrowly_signed)
    last = await stage.try_start()
    return Finding(
        tried="had a policy with 4 bits signed after one with 8, and put the one with 8 back with its own signature",
        learned=f"{said or 'it starts with the older policy'}; with the newer one it {last or 'starts'}",
        held=bool(said) and not last,
    )


ATTACK = Attack(
    name="policy-downgraded",
    plays=Player.OPERATOR,
    explains="put an older, wider policy back, which the bank tester did sign",
    needs=Needs.OWN,
    run=run,
)
