"""A client in a process of its own that makes bad calls: gRPC's own client keeps a kilobyte of each call taken back.

It is started with the address, the folder of certificates, and which abuse; each line on standard input is answered
with one on standard output once so many more calls were made.
"""

import asyncio
import sys
from pathlib import Path

import grpc

from raw_calls import call, channel_with

ROUNDS = 10_000
AT_ONCE = 40
RELEASES = "/heldout.v1.FindingsService/ListReleases"
SCORE = "/heldout.v1.FindingsService/RecordScore"


async def garbage(channel):
    """Send what does not parse."""
    code, reason, _ = await call(channel, SCORE, b"\xff" * 11, timeout_s=30)
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")


async def taken_back(channel):
    """Call, and go away at once."""
    going = channel.unary_unary(RELEASES)(b"", timeout=30)
    await asyncio.sleep(0)
    going.cancel()


async def unknown(channel):
    """Call what does not exist."""
    code, _, _ = await call(channel, "/heldout.v1.FindingsService/DumpEverything", timeout_s=30)
    assert code is grpc.StatusCode.UNIMPLEMENTED


ABUSES = {one.__name__: one for one in (garbage, taken_back, unknown)}


async def main(address, pki, abuse):
    """Abuse an appliance, round after round, until standard input ends."""
    authority, key, certificate = [(Path(pki) / name).read_bytes() for name in ("ca.pem", "trainer.key", "trainer.pem")]
    async with channel_with(address, authority, key, certificate) as channel:
        while await asyncio.to_thread(sys.stdin.readline):
            for _ in range(ROUNDS // AT_ONCE):
                await asyncio.gather(*(ABUSES[abuse](channel) for _ in range(AT_ONCE)))
                await call(channel, RELEASES)  # which comes after them: nothing piles up
            sys.stdout.write("done\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
