"""Who gets in over real mTLS, and who does not: certificates of every wrong kind, revoked names, reloaded ones."""

import asyncio
import itertools
from datetime import timedelta

import grpc
import pytest
from cryptography import x509

from forged_certificates import authority_of, forge, uri
from heldout_server.app.tools import Environment
from heldout_server.environment import SystemClock
from heldout_server.installation.pki import Authority
from raw_calls import call, channel_of, channel_with, entries_of, events_of
from served_appliance import until

TRAINER = "spiffe://heldout.example/trainer"
RELEASES = "/heldout.v1.FindingsService/ListReleases"
PRINCIPALS = "principals.toml"
DAY_S = 86_400
HOUR = timedelta(hours=1)
REFUSED = (grpc.StatusCode.PERMISSION_DENIED, "REFUSED")
IN = grpc.StatusCode.OK


async def called(lab, issued, *, authority=None):
    """Call with a certificate and return the code and the reason."""
    profile = lab.profile("trainer")
    async with channel_with(profile.address, profile.authority, issued.key, issued.certificate) as channel:
        return (await call(channel, RELEASES))[:2]


WRONG_NAMES = {
    "a role in the common name only": {"common_name": TRAINER, "names": ()},
    "a role in the common name and a DNS name": {"common_name": "trainer", "names": (x509.DNSName("trainer"),)},
    "the identity as a DNS name": {"names": (x509.DNSName("heldout.example"),)},
    "two URIs, the first known": {"names": (uri(TRAINER), uri("spiffe://heldout.example/other"))},
    "two URIs, the second known": {"names": (uri("spiffe://heldout.example/other"), uri(TRAINER))},
    "the same URI twice": {"names": (uri(TRAINER), uri(TRAINER))},
    "another trust domain": {"names": (uri("spiffe://heldout.example.org/trainer"),)},
    "a name that is not listed": {"names": (uri("spiffe://heldout.example/trainer2"),)},
    "another spelling": {"names": (uri("spiffe://heldout.example/Trainer"),)},
    "a trailing slash": {"names": (uri(TRAINER + "/"),)},
    "no name but another's": {"common_name": "x", "names": ()},
}


async def test_a_good_certificate_gets_in(lab):
    assert await called(lab, forge(authority_of(lab.folder), names=[uri(TRAINER)])) == (IN, "")
    assert await called(lab, forge(authority_of(lab.folder), names=[uri(TRAINER), x509.DNSName("a.example")])) == (
        IN,
        "",
    )


async def test_whoever_has_not_exactly_one_known_uri_name_is_refused_and_recorded_as_unknown(lab):
    for kind, parts in WRONG_NAMES.items():
        assert await called(lab, forge(authority_of(lab.folder), **parts)) == REFUSED, kind
    intents = [
        entry
        for entry in await entries_of(lab, "window")
        if entry["kind"] == "intent" and entry["identity"] == "unknown"
    ]
    assert len(intents) == len(WRONG_NAMES)
    assert {entry["details"]["decision"] for entry in intents} == {"deny"}


@pytest.mark.parametrize(
    "forged",
    [
        lambda own: forge(own, names=[uri(TRAINER)], begins=-2 * HOUR, ends=-HOUR),
        lambda own: forge(own, names=[uri(TRAINER)], begins=HOUR, ends=2 * HOUR),
        lambda _own: forge(Authority("heldout", now_s=SystemClock().now_s()).itself(), names=[uri(TRAINER)]),
        lambda own: forge(same_subject(own), names=[uri(TRAINER)]),
    ],
    ids=["expired", "not yet valid", "unknown authority", "an authority of the same name"],
)
async def test_a_certificate_that_does_not_verify_ends_in_the_handshake(lab, forged):
    code, _ = await called(lab, forged(authority_of(lab.folder)))
    assert code is grpc.StatusCode.UNAVAILABLE
    assert not any(entry["identity"] == "unknown" for entry in await entries_of(lab, "window"))


def same_subject(own):
    """Return a rogue authority with the subject of the real one."""
    name = x509.load_pem_x509_certificate(own.certificate).subject
    rogue = Authority(name.rfc4514_string().removeprefix("CN="), now_s=SystemClock().now_s()).itself()
    assert x509.load_pem_x509_certificate(rogue.certificate).subject == name
    return rogue


def rewrite(path, text):
    """Write a file as an operator should: beside it, then in its place."""
    beside = path.with_suffix(".new")
    beside.write_bytes(text if isinstance(text, bytes) else text.encode())
    beside.chmod(path.stat().st_mode)
    beside.replace(path)


def without(text, identity):
    """Return ``principals.toml`` without one entry."""
    head, *entries = text.split("[[principal]]")
    return "[[principal]]".join([head, *(entry for entry in entries if f'"{identity}"' not in entry)])


async def reloads(lab, document, status, count=1, half="window"):
    """Return the events about a document that was taken (OK) or not (REFUSED), once there are so many."""

    async def there():
        found = [
            event
            for event in await events_of(lab, half, "reload")
            if (event["document"], event["status"]) == (document, status)
        ]
        return found if len(found) >= count else None

    return await until(there)


async def test_a_revoked_identity_is_refused_on_its_open_connection_and_both_logs_say_since_when(lab):
    path = lab.config.policy.folder / PRINCIPALS
    before = path.read_text()
    async with channel_of(lab, "trainer") as channel:
        assert (await call(channel, RELEASES))[0] is IN
        rewrite(path, without(before, TRAINER))
        lab.running.reload.set()
        await reloads(lab, PRINCIPALS, "OK")
        assert (await call(channel, RELEASES))[:2] == REFUSED
        rewrite(path, before)
        await reloads(lab, PRINCIPALS, "OK", 2)  # it is noticed without being told
        assert (await call(channel, RELEASES))[0] is IN
    window, vault = [await reloads(lab, PRINCIPALS, "OK", 2, half) for half in ("window", "vault")]
    assert window == vault
    first, second = window
    start = (await events_of(lab, "window", "start"))[0]
    assert first["principals_digest"] != start["principals_digest"] == second["principals_digest"]
    assert first["authorization_digest"] == start["authorization_digest"]


BAD_PRINCIPALS = {
    "not TOML": lambda text: text + "[[",
    "cut off": lambda text: text[: len(text) // 2].rpartition('"')[0],
    "nobody": lambda text: text.partition("[[principal]]")[0],
    "a trainer who is a bank tester too": lambda text: (
        text + f'\n[[principal]]\nidentity = "{TRAINER}"\nrole = "bank_tester"\n'
    ),
    "not UTF-8": lambda _text: b"\xff\xfe",
}


async def test_principals_that_do_not_hold_are_not_taken_and_the_log_says_why(lab):
    path = lab.config.policy.folder / PRINCIPALS
    good = path.read_text()
    for count, bad in enumerate(BAD_PRINCIPALS.values(), start=1):
        rewrite(path, bad(good))
        lab.running.reload.set()
        found = await reloads(lab, PRINCIPALS, "REFUSED", count)
    assert {event["reason"] for event in found} == {"POLICY", "CONFIG"}
    start = (await events_of(lab, "window", "start"))[0]
    assert {event["principals_digest"] for event in found} == {start["principals_digest"]}  # what is still in force
    separated = next(event for event in found if event.get("key") == "identity")
    assert separated["line"] > good.count("\n")
    async with channel_of(lab, "trainer") as channel:
        assert (await call(channel, RELEASES))[0] is IN


async def test_an_auditor_gets_the_principals_that_are_in_force(lab):
    auditor = await lab.client("auditor")
    policy = await auditor.audit.policy()
    assert policy.principals_toml == (lab.config.policy.folder / PRINCIPALS).read_bytes()


async def test_certificates_are_exchanged_under_load_and_no_call_is_lost(lab):
    """A new authority, server certificate and key: old connections go on, and new ones meet the new certificate."""
    tls = lab.config.tls
    old, old_profile = authority_of(lab.folder), lab.profile("trainer")
    old_authority = old_profile.authority
    renewed = Authority("heldout-2", now_s=SystemClock().now_s())
    server = renewed.issue_server("heldout", [x509.DNSName("localhost")])
    stop, codes = asyncio.Event(), []

    async def ask_on():
        async with channel_of(lab, "trainer") as channel:
            while not stop.is_set():
                codes.append((await call(channel, RELEASES))[0])

    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(ask_on())
        await until(lambda: len(codes) > 20)
        rewrite(tls.certificate, server.certificate)
        lab.running.reload.set()  # half-way: the key is another's, and nothing is taken
        await reloads(lab, "certificates", "REFUSED")
        rewrite(tls.key, server.key)
        rewrite(tls.ca, old.certificate + renewed.itself().certificate)
        lab.running.reload.set()
        await reloads(lab, "certificates", "OK")
        newcomer = renewed.issue_client("trainer", TRAINER)
        async with channel_with(
            old_profile.address, renewed.itself().certificate, newcomer.key, newcomer.certificate
        ) as channel:
            assert (await call(channel, RELEASES))[0] is IN
        async with channel_with(
            old_profile.address, old_authority, old_profile.key, old_profile.certificate
        ) as channel:
            assert (await call(channel, RELEASES))[0] is grpc.StatusCode.UNAVAILABLE  # it trusts the old server alone
        done = len(codes)
        await until(lambda: len(codes) > done + 20)
        stop.set()
    assert set(codes) == {IN}


async def test_counters_of_an_identity_have_no_gap_and_its_outcomes_carry_them(lab):
    async with channel_of(lab, "trainer") as channel:
        for _ in range(5):
            await call(channel, RELEASES)
    entries = await entries_of(lab, "window")
    intents = {n: entry for n, entry in enumerate(entries) if entry["kind"] == "intent"}
    outcomes = [entry for entry in entries if entry["kind"] == "outcome"]
    own = [entry["counter"] for entry in intents.values() if entry["identity"] == TRAINER]
    assert own == list(itertools.islice(itertools.count(1), len(own)))
    assert len(own) == 5
    for outcome in outcomes:
        intent = intents[outcome["details"]["intent"]]
        assert outcome["details"]["counter"] == intent["counter"]
        assert outcome["identity"] == intent["identity"]


class SteppedClock(SystemClock):
    """Be ahead of the machine's wall clock."""

    ahead_s = 0.0

    def now_s(self):
        return super().now_s() + self.ahead_s


async def test_a_day_forward_and_back_is_in_both_logs_and_stops_no_call(start_lab):
    stepped = SteppedClock()
    lab = await start_lab(environment=Environment(clock=stepped))
    async with channel_of(lab, "trainer") as channel:
        for count, step_s in enumerate((DAY_S, -DAY_S), start=1):
            stepped.ahead_s += step_s
            await steps_of(lab, "vault", count)
            assert (await call(channel, RELEASES))[0] is IN
    for half in ("window", "vault"):
        assert await steps_of(lab, half, 2) == [DAY_S, -DAY_S]


async def steps_of(lab, half, count):
    """Return the recorded steps of the clock, once there are so many."""

    async def there():
        found = [event["step_s"] for event in await events_of(lab, half, "clock")]
        return found if len(found) >= count else None

    return await until(there)
