"""The process that judges apart: ``python -m heldout_server.judges.child``.

It reads frames of cases from standard input and writes a frame of verdicts for each to standard output, until its
input ends: so it ends with whoever started it, however that ends. It opens no file and no socket, and says nothing
else to anybody. What it holds is what the vault holds, under the same user, and it writes no core dump.

A frame is its length in bytes, 4 bytes big-endian, and JSON in UTF-8.
"""

from __future__ import annotations

import json
import sys
from typing import Any, BinaryIO, Final

from heldout_server.domain import Ending, Intent, SecretText
from heldout_server.hardening.process import end_with_parent, harden_process
from heldout_server.judges.patterns import PatternJudge
from heldout_server.ports.judges import Case, Judge

LENGTH_BYTES: Final = 4
FAILED: Final = ""
"""Stands for the verdict on a case over which the judge raised an exception."""


def encode_frame(content: object) -> bytes:
    """Return a frame. Lone surrogates pass, as JSON has them."""
    body = json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def decode_body(body: bytes) -> Any:
    """Return what is in a frame."""
    return json.loads(body.decode("utf-8", "surrogatepass"))


def judge_frame(judge: Judge, cases: list[list[str]]) -> list[str]:
    """Return the verdict on each case, or :data:`FAILED`."""
    verdicts = []
    for intent, ending, prompt, response in cases:
        case = Case(
            intent=Intent(intent), ending=Ending(ending), prompt=SecretText(prompt), response=SecretText(response)
        )
        try:
            verdicts.append(judge.judge(case).value)
        except Exception:  # noqa: BLE001 - whoever asked looks at this case again, and reports what is raised
            verdicts.append(FAILED)
    return verdicts


def serve(judge: Judge, source: BinaryIO, target: BinaryIO) -> None:
    """Say which judge this is, then judge frame after frame until the source ends."""
    target.write(encode_frame(judge.digest))
    target.flush()
    while len(length := source.read(LENGTH_BYTES)) == LENGTH_BYTES:
        cases = decode_body(source.read(int.from_bytes(length, "big")))
        target.write(encode_frame(judge_frame(judge, cases)))
        target.flush()


if __name__ == "__main__":
    end_with_parent()
    harden_process()
    serve(PatternJudge(), sys.stdin.buffer, sys.stdout.buffer)
