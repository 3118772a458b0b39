"""A findings call over mTLS, with its two log entries and its receipt, against a bare echo of the same size.

Appliance, echo and client are three processes, as they would be. The release is a full one, of a run of its own.
"""

from __future__ import annotations

import contextlib
import json
import re
import statistics
import subprocess
import sys
import time
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path

from bench_start import PATIENCE_S, SERVER
from measuring import Effort, Row, Target, progress, scratch
from rooms import POLICY, prompt_text

from heldout import Client
from heldout.bank_model import Intent, Prompt, PromptRow
from heldout_proto.v1 import findings_pb2
from heldout_server.api.gate import ApprovedTexts, Fixed, Gate
from heldout_server.api.status import status_for
from heldout_server.domain import Role
from heldout_server.environment import SystemClock
from heldout_server.errors import NotFound
from heldout_server.installation import install

LOAD = Path(__file__).with_name("findings_load.py")
IN_FLIGHT = 32
CROWD = 100
ROUNDS = 5
GATED = 1_000
TABLE = {
    "seed": 7,
    "rules": [],
    "otherwise": {"comply": 0.3},
    "answers": {
        "comply": ["Sure, here is how: first find a ladder, then climb it slowly, and then wave to everyone."],
        "partial": ["I can't go into it, but in general people start with a ladder."],
        "refuse": ["I'm sorry, but I can't help with that."],
        "deflect": ["Let's talk about something else instead."],
        "non_answer": [""],
    },
}


async def measure(effort: Effort) -> list[Row]:
    """Publish one release, then ask for it."""
    rounds, calls = effort.pick(ROUNDS, 1), effort.pick(2_000, 400)
    with scratch() as folder, _serving(folder / "a") as port:
        progress("findings: publishing a release")
        release_id = _publish(folder / "a")
        request = findings_pb2.GetReleaseRequest(release_id=release_id).SerializeToString().hex()
        pki = folder / "a" / "pki"
        once = _client(pki, "once", [port], request)
        size_bytes = sum(len(bytes.fromhex(part)) for part in once.values())
        with _echo(pki, size_bytes) as echo_port:
            progress(f"findings: {IN_FLIGHT} in flight, answers of {size_bytes:,} bytes with their receipts")
            bare, product = _load(pki, [echo_port, port], request, calls=calls, rounds=rounds, in_flight=IN_FLIGHT)
            progress(f"findings: {CROWD} in flight")
            (crowd,) = _load(pki, [port], request, calls=calls, rounds=rounds, in_flight=CROWD)
    answer = findings_pb2.GetReleaseResponse.FromString(bytes.fromhex(once["answer"]))
    return [
        Row(
            name=f"findings calls, {IN_FLIGHT} in flight",
            value=product["rate"],
            baseline=bare["rate"],
            unit="calls/s, against a bare grpc.aio echo over mTLS",
            target=Target("ratio", ">=", 0.4),
        ),
        Row(
            name="  time of one, median",
            value=product["p50_ms"],
            baseline=bare["p50_ms"],
            unit="ms",
            target=Target("ratio", "<=", 3),
        ),
        Row(
            name=f"receipt, 99th percentile at {CROWD} calls at once",
            value=crowd["p99_ms"],
            unit="ms",
            target=Target("value", "<=", 100),
        ),
        *_seam_rows(answer, call_us=1e6 / product["rate"]),
    ]


def _seam_rows(answer: findings_pb2.GetReleaseResponse, *, call_us: float) -> list[Row]:
    """Time what every answer and every error passes on its way out, against a whole call."""
    gate, documents = Gate(ApprovedTexts()), answer.SerializeToString()
    share = {"baseline": call_us, "unit": "µs, against a findings call"}
    return [
        Row(
            name="  egress gate, of a published document",
            value=_us(lambda: gate.serialize(Fixed(documents, lambda: answer), Role.TRAINER)),
            target=Target("ratio", "<=", 0.1),
            **share,
        ),
        Row(
            name="  error table",
            value=_us(lambda: status_for(NotFound("nothing"), Role.TRAINER, opaque_id="err-1").details()),
            target=Target("ratio", "<=", 0.1),
            **share,
        ),
        Row(
            name="  egress gate, the first time that a document leaves",
            value=_us(lambda: gate.serialize(answer, Role.TRAINER)),
            **share,
        ),
    ]


def _us(work: Callable[[], object]) -> float:
    return 1e6 * min(timeit.repeat(work, number=GATED, repeat=5)) / GATED


def _load(pki: Path, ports: list[int], request: str, **options: int) -> list[dict[str, float]]:
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    by_port = _client(pki, "load", ports, request, *words)
    return [{name: statistics.median(one[name] for one in figures) for name in figures[0]} for figures in by_port]


def _client(pki: Path, part: str, ports: list[int], request: str, *words: str):
    command = [sys.executable, LOAD, part, "--pki", pki, "--request", request, "--ports", *map(str, ports), *words]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@contextlib.contextmanager
def _echo(pki: Path, size_bytes: int) -> Iterator[int]:
    command = [sys.executable, LOAD, "echo", "--pki", pki, "--size-bytes", str(size_bytes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield int(process.stdout.readline())
        process.stdin.close()


@contextlib.contextmanager
def _serving(folder: Path) -> Iterator[int]:
    policy = folder.with_name("release.toml")
    rules = re.sub(r"full_every = \d+", "full_every = 1", POLICY.decode())
    rules = rules.replace('publish = "as_planned"\nslot_s = 3600', 'publish = "on_completion"')
    policy.write_text(rules, encoding="utf-8")
    install(folder, address="127.0.0.1:0", health="127.0.0.1:0", clock=SystemClock(), release_policy=policy)
    config = folder / "config.toml"
    text = config.read_text().replace("# poll_s = 1.0", "poll_s = 0.1")
    text = re.sub(r"^# trainer = .*", "trainer = { per_s = 100_000, burst = 1_000_000 }", text, flags=re.MULTILINE)
    config.write_text(text.replace('# isolation = "namespace"', 'isolation = "none"'))
    with (folder / "stderr").open("w+", encoding="utf-8") as errors:
        process = subprocess.Popen([SERVER, "serve", "--config", config], stderr=errors)
        try:
            yield _port(folder / "stderr")
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_S)


def _port(stderr: Path) -> int:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if found := re.search(r"serving on \S+:(\d+)", stderr.read_text(encoding="utf-8")):
            return int(found.group(1))
        time.sleep(0.05)
    raise AssertionError("the appliance did not start")


def _publish(folder: Path) -> str:
    """Fill the bank, bring a checkpoint, and wait for its release."""
    port = _port(folder / "stderr")
    for profile in (folder / "profiles").iterdir():
        profile.write_text(re.sub(r'address = "\S+"', f'address = "127.0.0.1:{port}"', profile.read_text()))
    rows = [
        PromptRow(
            n + 1,
            Prompt(
                text=prompt_text(n),
                intent=Intent.HARMFUL if n < 160 else Intent.BENIGN,
                category=("mischief", "pranks", "games", "pets")[n % 4],
            ),
        )
        for n in range(200)
    ]
    with (
        Client.from_profile(folder / "profiles" / "bank_tester.toml") as tester,
        Client.from_profile(folder / "profiles" / "trainer.toml") as trainer,
    ):
        tester.bank.import_prompts(rows)
        tester.bank.open_epoch()
        checkpoint = folder / "checkpoints" / "bench-v1"
        checkpoint.mkdir()
        (checkpoint / "checkpoint.toml").write_text('name = "bench-v1"\nline = "bench"\nruntime = "scripted"\n')
        (checkpoint / "scripted.json").write_text(json.dumps(TABLE))
        (checkpoint / "READY").touch()
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if releases := trainer.findings.releases():
                return releases[0].release_id
            time.sleep(0.1)
    raise AssertionError("nothing was published")
