"""Limits and counted denials, end to end: what a caller is told, and what is left of it in the log."""

import grpc

from forged_certificates import authority_of, forge
from heldout_server.api import denials
from heldout_server.config.limits import Limits, Rate
from raw_calls import call, channel_of, channel_with, entries_of, events_of

RELEASES = "/heldout.v1.FindingsService/ListReleases"
STATS = "/heldout.v1.BankService/GetStats"
SELDOM = Rate(per_s=0.01, burst=3)


async def test_a_limited_call_has_no_entry_no_number_and_no_receipt_and_is_counted(start_lab):
    lab = await start_lab(limits=Limits(trainer=SELDOM))
    async with channel_of(lab, "trainer") as channel:
        codes = [(await call(channel, RELEASES))[:2] for _ in range(8)]
    limited = (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert codes == [(grpc.StatusCode.OK, "")] * 3 + [limited] * 5
    mine = [entry for entry in await entries_of(lab, "window") if entry["role"] == "trainer"]
    assert [entry["counter"] for entry in mine if entry["kind"] == "intent"] == [1, 2, 3]
    assert len(mine) == 6


async def test_a_flood_of_refused_calls_leaves_a_handful_of_entries_and_their_count_at_the_stop(start_lab, monkeypatch):
    monkeypatch.setattr(denials.Denials.__init__, "__defaults__", (SELDOM,))
    lab = await start_lab()
    stranger, profile = forge(authority_of(lab.folder), names=()), lab.profile("trainer")
    async with (
        channel_of(lab, "trainer") as known,
        channel_with(profile.address, profile.authority, stranger.key, stranger.certificate) as unknown,
    ):
        for channel in (known, unknown):
            for _ in range(20):
                assert (await call(channel, STATS))[1] == "REFUSED"
    denied = [one for one in await entries_of(lab, "vault") if one["name"] == STATS and one["kind"] == "intent"]
    assert len(denied) == 2 * SELDOM.burst
    await lab.stack.aclose()

    lab = await start_lab()
    counted = {event["caller"]: event for event in await events_of(lab, "vault", "denials")}
    assert {caller: event["count"] for caller, event in counted.items()} == {
        "spiffe://heldout.example/trainer": 17,
        "unknown": 17,
    }
    assert {event["reason"] for event in counted.values()} == {"REFUSED"}
    names = [entry["name"] for entry in await entries_of(lab, "vault")]
    assert names.index("denials") < names.index("stop")
