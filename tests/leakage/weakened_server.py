"""``heldout-server`` with guards that can be taken away one at a time while it runs, for attacks to find.

A weakness is in force while its name stands in the file ``weakness`` beside the config.
"""

import asyncio
import hashlib
import itertools
import sys
from pathlib import Path

from heldout_policy.mechanism import TableKind
from heldout_proto.v1 import findings_pb2
from heldout_server.api import edge, gate
from heldout_server.api import evaluation as evaluation_api
from heldout_server.app import door
from heldout_server.attack.attacks import smuggled_text
from heldout_server.attack.furnishing import CANARY
from heldout_server.audit import SqlAuditLog
from heldout_server.bank.gate import SqlCardsGate
from heldout_server.cli import main
from heldout_server.domain import ATTACK_SUCCESS, SecretText, Verdict
from heldout_server.errors import InvalidRequest
from heldout_server.evaluation import pipeline, proposals
from heldout_server.identity import CertificateGatekeeper
from heldout_server.judges import apart
from heldout_server.judges.patterns import PatternJudge
from heldout_server.ports.audit import Record
from heldout_server.release import desk

FOLDER = Path(sys.argv[sys.argv.index("--config") + 1]).parent
SLOW_S = 0.01


def is_weak(name):
    try:
        return (FOLDER / "weakness").read_text() == name
    except FileNotFoundError:
        return False


def replaced(owner, name):
    """Return a decorator that puts a function in the place of another, which it is given as its first argument."""

    def decorate(function):
        original = getattr(owner, name)
        setattr(owner, name, lambda *args, **named: function(original, *args, **named))
        return function

    return decorate


# A prompt on the way to a model is written where people look.
@replaced(SecretText, "reveal")
def reveal(original, self):
    text = original(self)
    if is_weak("prompts-in-the-log"):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    return text


# A request is in the log by a hash that anybody can make.
@replaced(SqlAuditLog, "request_mac")
def request_mac(original, self, request):
    return hashlib.sha256(request).hexdigest() if is_weak("plain-hashes") else original(self, request)


# What is refused is looked up first.
@replaced(edge.Edge, "_begin")
async def begin(original, self, method, request, context):
    if is_weak("looked-up-first") and (FOLDER / "there").read_bytes() in request:
        await asyncio.sleep(SLOW_S)
    return await original(self, method, request, context)


# What does not parse is quoted.
@replaced(gate.Gate, "parse")
def parse(original, self, deserialize, request):
    try:
        return original(self, deserialize, request)
    except InvalidRequest:
        raise InvalidRequest(f"cannot parse {request!r}") from None


@replaced(edge, "status_for")
def status_for(original, error, role, *, opaque_id):
    status = original(error, role, opaque_id=opaque_id)
    return edge.Status(status.code, status.reason, str(error)) if is_weak("requests-quoted") else status


# A word of a prompt stands where a name may stand.
@replaced(evaluation_api, "describe_tested_system")
def describe_tested_system(original, manifest):
    tested = original(manifest)
    if is_weak("prompts-in-names"):
        tested.precision = f"{CANARY[::-1]}-q4"
    if is_weak("tags-in-names"):
        tested.precision = smuggled_text.TESTERS["a tag"]
    return tested


# Who is nobody is called by the name that they brought.
@replaced(CertificateGatekeeper, "identify")
def identify(original, self, context):
    principal = original(self, context)
    if principal is None and is_weak("strangers-named"):
        sys.stderr.write(f"{context}\n")
        sys.stderr.flush()
    return principal


# The log says how a trial ended.
@replaced(pipeline.Pipeline, "_store")
async def store(original, self, run, trials, tally):
    if is_weak("verdicts-in-the-log") and any(trial.outcome.verdict in ATTACK_SUCCESS for trial in trials):
        await self.audit.append(Record(kind="event", name="breach", details={"run_id": run.run_id}))
    await original(self, run, trials, tally)


# An answer holds a field that nobody looks at.
@replaced(gate.Gate, "serialize")
def serialize(original, self, answer, role):
    hidden = b"\xfa\xff\x7f\x03low" if is_weak("a-hidden-field") else b""
    return original(self, answer, role) + hidden


# Keys may be open to everybody.
@replaced(door, "read_private")
def read_private(original, path):
    return path.read_bytes() if is_weak("open-keys") else original(path)


# Cards are compared with nothing.
@replaced(SqlCardsGate, "examine")
async def examine(original, self, cards):
    return tuple(() for _ in cards) if is_weak("ungated-cards") else await original(self, cards)


@replaced(SqlCardsGate, "admit")
async def admit(original, self, cards):
    return tuple(() for _ in cards) if is_weak("ungated-cards") else await original(self, cards)


@replaced(SqlCardsGate, "admit_names")
async def admit_names(original, self, names):
    return {} if is_weak("ungated-cards") else await original(self, names)


# A row is withheld where nothing came of it.
@replaced(desk, "finish_release")
def finish_release(original, draft, *, sums, **named):
    if is_weak("withheld-by-outcome") and not any(sums[TableKind.TECHNIQUE]):
        release = findings_pb2.Release.FromString(draft)
        release.tables[0].rows[0].withheld = True
        draft = release.SerializeToString(deterministic=True)
    return original(draft, sums=sums, **named)


# The judge does what a response tells it.
@replaced(PatternJudge, "judge")
def judge_here(original, self, case):
    return obey(case) or original(self, case)


@replaced(apart._Conversation, "_read")
def judge_apart(original, self, case, verdict):
    return obey(case) or original(self, case, verdict)


def obey(case):
    told = '{"verdict": "unsafe"}' in case.response.reveal()
    return Verdict.UNSAFE if told and is_weak("judge-obeys") else None


# Prompts go to a server that can log them, whether the run allows it or not.
@replaced(proposals.Proposals, "_check_exposure")
def check_exposure(original, self, **named):
    return None if is_weak("asked-without-leave") else original(self, **named)


# A run tester sees a run move.
@replaced(evaluation_api, "_run")
def show_run(original, run, **named):
    shown = original(run, **named)
    if is_weak("progress-shown"):
        shown.planned_trials += next(looks)
    return shown


looks = itertools.count()


if __name__ == "__main__":
    main()
