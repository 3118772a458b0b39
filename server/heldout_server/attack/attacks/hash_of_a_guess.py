"""Confirm a guessed prompt: hash it in every way that comes to mind, and look for the hash in what can be seen."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from heldout_proto.v1 import bank_pb2
from heldout_server.attack.attack import Attack, Finding, Needs, Player
from heldout_server.attack.hearing import OTHERS, hear_everything, known_names
from heldout_server.attack.stage import Stage

GUESS: Final = "How could somebody hide the last gift under a quilted umbrella?"
IMPORT: Final = "/heldout.v1.BankService/ImportPrompts"
PREFIX_BYTES: Final = 8
"""A digest is found by its beginning: what is longer by chance, happens once in 10^13 looks of this size."""

ALGORITHMS: Final = ("md5", "sha1", "sha256", "sha384", "sha512", "sha3_256", "blake2b", "blake2s")
HEX: Final = re.compile(rb"[0-9a-f]{16,}")
BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]{11,}")
WORD: Final = re.compile(rb"[a-z0-9][a-z0-9._/:-]{3,127}")
SALT_DIGITS: Final = 32
SALT_BYTES: Final = 16


async def run(stage: Stage) -> Finding:
    """Have a bank tester import one prompt that the attacker guessed, and see if anything tells that it is there."""
    row = bank_pb2.ImportRow(
        line=1, prompt=bank_pb2.Prompt(text=GUESS, intent=bank_pb2.INTENT_HARMFUL, category="category-0")
    )
    requests = [
        one.SerializeToString()
        for one in (
            bank_pb2.ImportPromptsRequest(options=bank_pb2.ImportOptions(skip_bad=False)),
            bank_pb2.ImportPromptsRequest(rows=[row]),
            bank_pb2.ImportPromptsRequest(last=True),
        )
    ]
    async with stage.caller("bank_tester") as tester:
        await tester.call(IMPORT, *requests)
    framed = b"".join(len(one).to_bytes(4, "big") + one for one in requests)
    inputs = [
        *texts(GUESS),
        row.prompt.SerializeToString(),
        row.SerializeToString(),
        *requests,
        framed,
        hashlib.sha256(framed).digest(),
    ]
    seen = [await _told(stage, role) for role in OTHERS] + [[stage.said.encode()]]
    contents = list(itertools.chain.from_iterable(seen))
    found = confirm(inputs, contents)
    return Finding(
        tried=f"{len(inputs)} forms of a prompt, hashed plain, under every visible salt and under every visible word, "
        f"against {sum(map(len, contents)):,} bytes",
        learned="; ".join(found) or "no digest of it",
        held=not found,
    )


def texts(guess: str) -> Iterator[bytes]:
    """Yield the forms in which a text might have been hashed."""
    for text in (guess, guess.lower(), guess + "\n", " ".join(guess.lower().split()), json.dumps({"text": guess})):
        yield text.encode()
    yield guess.encode("utf-16-le")


def confirm(inputs: Iterable[bytes], contents: Iterable[bytes]) -> tuple[str, ...]:
    """Return which digests of which input stand in the contents, raw, in hex or in base64, whole or cut.

    Args:
        inputs: what might have been hashed.
        contents: all that the attacker saw; salts and keys are looked for in it too.
    """
    seen, salts, words = _look(contents)
    found: set[str] = set()
    for number, one in enumerate(inputs):
        found |= {f"{how} of form {number}" for how, digest in _digests(one, salts, words) if digest in seen}
    return tuple(sorted(found))


def _digests(one: bytes, salts: frozenset[bytes], words: frozenset[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield how an input may be hashed, and the first bytes of the digest."""
    for algorithm in ALGORITHMS:
        once = hashlib.new(algorithm, one).digest()
        yield algorithm, once[:PREFIX_BYTES]
        yield f"{algorithm} twice", hashlib.new(algorithm, once).digest()[:PREFIX_BYTES]
        yield f"{algorithm} of a Merkle leaf", hashlib.new(algorithm, b"\0" + one).digest()[:PREFIX_BYTES]
    yield "crc32 and adler32", zlib.crc32(one).to_bytes(4, "big") + zlib.adler32(one).to_bytes(4, "big")
    for salt in salts | words:
        yield "sha256 with a salt before it", hashlib.sha256(salt + one).digest()[:PREFIX_BYTES]
        yield "sha256 with a salt after it", hashlib.sha256(one + salt).digest()[:PREFIX_BYTES]
        yield "hmac under something visible", hmac.digest(salt, one, "sha256")[:PREFIX_BYTES]


def _look(contents: Iterable[bytes]) -> tuple[frozenset[bytes], frozenset[bytes], frozenset[bytes]]:
    """Return every piece that could begin a digest, all that could be a salt, and all that could be a public key."""
    seen: set[bytes] = set()
    salts: set[bytes] = {b""}
    words: set[bytes] = set()
    for content in contents:
        _take(seen, content)
        for run in HEX.findall(content):
            for at in (0, 1):
                _take(seen, bytes.fromhex(run[at : at + (len(run) - at) // 2 * 2].decode()))
            if len(run) >= SALT_DIGITS:
                salts.add(bytes.fromhex(run[:SALT_DIGITS].decode()))
        for run in BASE64.findall(content):
            for at in range(4):
                piece = run[at : at + (len(run) - at) // 4 * 4].translate(bytes.maketrans(b"-_", b"+/"))
                _take(seen, base64.b64decode(piece))
        if len(content) == SALT_BYTES:
            salts.add(content)
        words.update(word for word in WORD.findall(content) if not HEX.fullmatch(word))
    return frozenset(seen), frozenset(salts), frozenset(words)


def _take(seen: set[bytes], raw: bytes) -> None:
    seen.update(raw[at : at + PREFIX_BYTES] for at in range(len(raw) - PREFIX_BYTES + 1))


async def _told(stage: Stage, role: str) -> list[bytes]:
    heard = await hear_everything(stage, role, await known_names(stage))
    return [part for calls in heard.values() for told in calls for part in told.contents()]


ATTACK = Attack(
    name="hash-of-a-guess",
    plays=Player.AUDITOR,
    explains="hash a guessed prompt in many ways, and look for it in every digest that can be seen",
    needs=Needs.SHARED,
    run=run,
)
