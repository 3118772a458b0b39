"""Change the release policy without the bank tester's key."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.stage import Stage
from heldout_server.installation.pki import private_pem
from heldout_server.keys import sign_policy


async def run(stage: Stage) -> Finding:
    """Put each wrong document in place and start; then the right one again."""
    await stage.stop()
    policy = stage.own_folder / "policy" / "release.toml"
    signature = policy.with_name("release.toml.sig")
    document, good = policy.read_bytes(), signature.read_bytes()
    wider = document.replace(b"bits_per_prompt = 8", b"bits_per_prompt = 800")
    own_key = private_pem(Ed25519PrivateKey.generate())
    tries: dict[str, tuple[bytes | None, bytes | None]] = {
        "edited": (wider, good),
        "a comment added": (document + b"# harmless\n", good),
        "signed by the operator": (wider, sign_policy(wider, own_key)),
        "unsigned": (wider, None),
        "an empty signature": (document, b""),
        "gone": (None, good),
    }
    started = []
    for name, (content, signed) in tries.items():
        for path, data in ((policy, content), (signature, signed)):
            path.unlink(missing_ok=True)
            if data is not None:
                path.write_bytes(data)
        if not await stage.try_start():
            started.append(name)
            await stage.stop()
    policy.write_bytes(document)
    signature.write_bytes(good)
    last = await stage.try_start()
    return Finding(
        tried=f"started with a release policy that is {', '.join(tries)}",
        learned=f"started with: {', '.join(started) or 'none'}; with the signed one it {last or 'starts'}",
        held=not started and not last,
    )


ATTACK = Attack(
    name="policy-edited",
    plays=Player.OPERATOR,
    explains="edit the release policy, take its signature away, or sign it with another key",
    needs=Needs.OWN,
    run=run,
)
