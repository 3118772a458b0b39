"""What somebody with a good certificate can throw at the door: odd names, garbage, calls that are taken back."""

import asyncio
import gc
import sys
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import abusing_client
from abusing_client import ABUSES, ROUNDS
from forged_certificates import authority_of, forge, uri
from heldout_server.config.limits import Limits, Rate
from heldout_server.database import Database
from raw_calls import call, channel_with, entries_of

TRAINER = "spiffe://heldout.example/trainer"
RELEASES = "/heldout.v1.FindingsService/ListReleases"
NAMES = st.one_of(
    st.just(uri(TRAINER)),
    st.text("abcdeintrs/:.-", min_size=1, max_size=30).map(lambda text: uri(f"spiffe://{text}")),
    st.text("aeinrt-", min_size=1, max_size=20).map(lambda text: x509.DNSName(f"{text}.example")),
    st.just(x509.RFC822Name("trainer@heldout.example")),
)
ROOM_MIB = 4
"""What gRPC and the allocator may keep of 10,000 calls: some 100 bytes of each, a bare echo server does as well."""


async def test_whatever_names_a_certificate_has_only_one_known_uri_gets_in(lab):
    own, profile, loop = authority_of(lab.folder), lab.profile("trainer"), asyncio.get_running_loop()

    async def code_of(names):
        issued = forge(own, names=names)
        async with channel_with(profile.address, profile.authority, issued.key, issued.certificate) as channel:
            return (await call(channel, RELEASES))[0]

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(NAMES, max_size=3))
    def check(names):
        code = asyncio.run_coroutine_threadsafe(code_of(names), loop).result(20)
        uris = [name.value for name in names if isinstance(name, x509.UniformResourceIdentifier)]
        assert (code is grpc.StatusCode.OK) == (uris == [TRAINER])

    await asyncio.to_thread(check)


@pytest.fixture
async def busy(start_lab, monkeypatch):
    """Run an appliance whose trainers may call as often as they like, and whose databases cache next to nothing."""
    monkeypatch.setitem(Database.open.__func__.__kwdefaults__, "cache_kib", 256)
    return await start_lab(limits=Limits(trainer=Rate(per_s=100_000, burst=1_000_000)))


def memory_mib():
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


@pytest.mark.slow
@pytest.mark.parametrize("abuse", sorted(ABUSES))
async def test_ten_thousand_bad_calls_leave_no_memory_behind_and_no_call_without_its_end(busy, abuse):
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, abusing_client.__file__, busy.profile("trainer").address, busy.folder / "pki", abuse),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )

    async def ten_thousand():
        client.stdin.write(b"go on\n")
        assert await client.stdout.readline() == b"done\n"

    await ten_thousand()
    before, objects = memory_mib(), len(gc.get_objects())
    await ten_thousand()
    grown_mib, new_objects = memory_mib() - before, len(gc.get_objects()) - objects
    client.stdin.close()
    assert await client.wait() == 0
    assert new_objects < ROUNDS / 10
    assert grown_mib < ROOM_MIB
    intents = outcomes = 0
    for entry in await entries_of(busy, "window"):
        intents += entry["kind"] == "intent"
        outcomes += entry["kind"] == "outcome"
    assert intents - outcomes == 1  # the call that reads the log is under way
