"""An appliance in memory: a transport that answers from a table, and two logs that sign like the server's."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from heldout.client import AsyncClient, Client
from heldout.contract import HALF_NAMES, find_method
from heldout.errors import CallError
from heldout.findings.documents import card_digest
from heldout.findings.model import Profile, Release, Row, Table, TableKind, Tested, TrustClass
from heldout.memory import ClientMemory
from heldout.transport import Answer
from heldout.verification.merkle import leaf_hash, root_of
from heldout_proto.v1 import audit_pb2, findings_pb2

IDENTITY = "spiffe://heldout.example/trainer"
SALT = b"s" * 16


def make_card(technique: str, **fields: Any) -> findings_pb2.Card:
    """Return a card as an appliance sends it, with the digest of its texts."""
    texts = {"title": technique.title(), "mechanism": "It works.", "references": ["A paper"], "mitigation": "Train."}
    people = {"author": "heldout", "approved_by": "release-policy"}
    card = findings_pb2.Card(**{"technique": technique, "kind": "persona", **texts, **people, **fields})
    card.digest = card_digest(card)
    return card


class FakeLog:
    """Hold leaves, sign heads and prove leaves by the recursive definitions of RFC 6962."""

    def __init__(self, origin: str, seed: bytes):
        self.origin = origin
        self._key = Ed25519PrivateKey.from_private_bytes(seed * 32)
        self.leaves: list[bytes] = []
        self.counters: dict[str, int] = {}
        public = b"\x01" + self._key.public_key().public_bytes_raw()
        self._key_id = hashlib.sha256(origin.encode() + b"\n" + public).digest()[:4]
        self.vkey = f"{origin}+{self._key_id.hex()}+{b64encode(public).decode()}"

    def add(self, kind: str, name: str, *, identity="", role="", **details) -> int:
        fields: dict[str, Any] = {
            "details": details, "identity": identity, "kind": kind, "name": name, "role": role, "time_s": 1_795_572_840,
        }  # fmt: skip
        if kind == "intent":
            self.counters[identity] = fields["counter"] = self.counters.get(identity, 0) + 1
        self.leaves.append(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode())
        return len(self.leaves) - 1

    def checkpoint(self, size: int | None = None) -> str:
        size = len(self.leaves) if size is None else size
        root = root_of(map(leaf_hash, self.leaves[:size]))
        body = f"{self.origin}\n{size}\n{b64encode(root).decode()}\n"
        signature = b64encode(self._key_id + self._key.sign(body.encode())).decode()
        return f"{body}\n\u2014 {self.origin} {signature}\n"

    def proof(self, old: int, new: int) -> list[bytes]:
        return _consistency(old, [leaf_hash(leaf) for leaf in self.leaves[:new]], whole=True)

    def path(self, index: int, size: int | None = None) -> list[bytes]:
        return _path(index, [leaf_hash(leaf) for leaf in self.leaves[:size]])

    def receipt(self, index: int, *, salt: bytes = b"") -> findings_pb2.Receipt:
        lines = [
            "c2sp.org/tlog-proof@v1",
            f"index {index}",
            *(b64encode(each).decode() for each in self.path(index)),
        ]
        proof = "\n".join(lines) + "\n\n" + self.checkpoint()
        return findings_pb2.Receipt(entry=self.leaves[index], proof=proof, salt=salt)


def _path(m: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    if m < k:
        return [*_path(m, leaves[:k]), root_of(leaves[k:])]
    return [*_path(m - k, leaves[k:]), root_of(leaves[:k])]


def _consistency(m: int, leaves: list[bytes], *, whole: bool) -> list[bytes]:
    """Prove by the recursive definition of RFC 6962 section 2.1.2."""
    if m == len(leaves):
        return [] if whole else [root_of(leaves)]
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    if m <= k:
        return [*_consistency(m, leaves[:k], whole=whole), root_of(leaves[k:])]
    return [*_consistency(m - k, leaves[k:], whole=False), root_of(leaves[:k])]


@dataclass
class FakeAppliance:
    """Answer calls by their short name, log them, and hand out receipts.

    ``answers`` maps a name such as ``ListReleases`` to a message, an error, or a function of the request's bytes.
    ``alter`` may change an answer on its way. ``role`` and ``decided`` are what the log says of every
    caller and decision.
    """

    identity: str = IDENTITY
    role: str = "trainer"
    decided: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    alter: Callable[[Answer], Answer] = lambda answer: answer
    calls: list[tuple[str, bytes]] = field(default_factory=list)
    timeouts: dict[str, float] = field(default_factory=dict)
    closed: bool = False

    def __post_init__(self):
        self.logs = {"vault": FakeLog("lab/vault", b"v"), "window": FakeLog("lab/window", b"w")}
        self.answers = {**self._audit_answers(), **self.answers}

    @property
    def vkeys(self) -> dict[str, str]:
        return {half: log.vkey for half, log in self.logs.items()}

    def client(self, memory: Path | None = None) -> AsyncClient:
        remembered = ClientMemory(memory, identity=IDENTITY, vkeys=self.vkeys)
        return AsyncClient(self, identity=IDENTITY, vkeys=self.vkeys, memory=remembered)

    def blocking_client(self, memory: Path | None = None) -> Client:
        return Client(lambda: self.client(memory))

    def publish(self, *releases: findings_pb2.Release) -> None:
        """Record releases in the vault's log and list them."""
        listed = []
        for release in releases:
            document = release.SerializeToString(deterministic=True)
            index = self.logs["vault"].add(
                "event",
                "release",
                release_id=release.release_id,
                document_sha256=hashlib.sha256(document).hexdigest(),
            )
            listed.append((release, index))
        self.answers["ListReleases"] = lambda _request: findings_pb2.ListReleasesResponse(
            releases=[
                findings_pb2.ReleaseWithReceipt(release=release, receipt=self.logs["vault"].receipt(index))
                for release, index in listed
            ]
        )

    # The transport

    async def unary(self, method: str, request: bytes, *, timeout_s: float) -> Answer:
        return self._answer(method, request, timeout_s)

    async def send_stream(self, method: str, requests, *, timeout_s: float) -> Answer:
        received = [request async for request in requests]
        return self._answer(method, b"".join(len(one).to_bytes(4, "big") + one for one in received), timeout_s)

    async def receive_stream(self, method: str, request: bytes, *, timeout_s: float):
        intent = self._begin(method, request, timeout_s)
        digest = hashlib.sha256()
        for message in self._message(method, request):
            body = message.SerializeToString(deterministic=True)
            digest.update(len(body).to_bytes(4, "big") + body)
            yield self.alter(Answer(body, None))
        yield self.alter(Answer(None, self._receipt(method, intent, digest.digest())))

    async def close(self) -> None:
        self.closed = True

    def _begin(self, method: str, request: bytes, timeout_s: float) -> int:
        self.calls.append((method, request))
        self.timeouts[method] = timeout_s
        return self._log(method).add(
            "intent", method, identity=self.identity, role=self.role, decision="allow", **self.decided
        )

    def _answer(self, method: str, request: bytes, timeout_s: float) -> Answer:
        intent = self._begin(method, request, timeout_s)
        try:
            message = self._message(method, request)
        except CallError as error:
            self._log(method).add(
                "outcome", method, identity=self.identity, role=self.role, intent=intent, status=error.reason
            )
            raise
        body = message.SerializeToString(deterministic=True)
        return self.alter(Answer(body, self._receipt(method, intent, body)))

    def _message(self, method: str, request: bytes):
        answer = self.answers[method.rpartition("/")[2]]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _receipt(self, method: str, intent: int, body: bytes) -> bytes:
        log = self._log(method)
        index = log.add(
            "outcome",
            method,
            identity=self.identity,
            role=self.role,
            intent=intent,
            counter=json.loads(log.leaves[intent])["counter"],
            status="OK",
            response_sha256=hashlib.sha256(SALT + body).hexdigest(),
        )
        return log.receipt(index, salt=SALT).SerializeToString()

    def _log(self, method: str) -> FakeLog:
        _, service, name = method.split("/")
        return self.logs[find_method(service.rpartition(".")[2], name).half]

    def _audit_answers(self) -> dict[str, Any]:
        def head(request: bytes):
            asked = audit_pb2.GetTreeHeadRequest.FromString(request)
            return audit_pb2.GetTreeHeadResponse(checkpoint=self.logs[HALF_NAMES[asked.log]].checkpoint())

        def entries(request: bytes):
            asked = audit_pb2.ListEntriesRequest.FromString(request)
            leaves = self.logs[HALF_NAMES[asked.log]].leaves[asked.start : asked.start + min(3, asked.page_size)]
            return audit_pb2.ListEntriesResponse(entries=leaves)

        def inclusion(request: bytes):
            asked = audit_pb2.GetInclusionProofRequest.FromString(request)
            path = self.logs[HALF_NAMES[asked.log]].path(asked.index, asked.tree_size)
            return audit_pb2.GetInclusionProofResponse(hashes=path)

        def consistency(request: bytes):
            asked = audit_pb2.GetConsistencyProofRequest.FromString(request)
            hashes = self.logs[HALF_NAMES[asked.log]].proof(asked.old_size, asked.new_size)
            return audit_pb2.GetConsistencyProofResponse(hashes=hashes)

        return {
            "GetTreeHead": head,
            "ListEntries": entries,
            "GetInclusionProof": inclusion,
            "GetConsistencyProof": consistency,
        }


# Fabricated findings

TECHNIQUES = ("plain", "base64", "leetspeak", "fiction", "persona", "payload-splitting", "many-shot")
STACKS = ("base64+fiction", "base64+persona", "payload-splitting+persona")


def make_table(
    kind: TableKind, rates: dict[str, float | None], *, units: int = 300, sigma: float = 7.75, cells: int = 7
) -> Table:
    """Make a table whose published rates are as near to ``rates`` as its grid allows; None is withheld."""
    grid_micro = int(sigma * 1e6 / 2)
    return Table(
        kind=kind,
        sigma_micro=int(sigma * 1e6),
        grid_micro=grid_micro,
        cells_per_unit=cells,
        debit_nano_rho=10_000_000,
        rows=tuple(
            Row(
                key=key,
                units=units,
                count=0 if rate is None else round(rate * units * 1e6 / grid_micro),
                withheld=rate is None,
            )
            for key, rate in rates.items()
        ),
    )


def make_release(
    checkpoint: str = "v1",
    rates: dict[str, float | None] | None = None,
    *,
    number: int = 1,
    line: str = "nova-lite",
    epoch: int = 3,
    judge_digest: str = "5" * 64,
    over_refusal: float | None = 0.05,
    stacks: dict[str, float | None] | None = None,
    attempts: int = 1,
    runtime: str = "scripted",
    trust: TrustClass = TrustClass.CONTAINED,
    sigma: float = 7.75,
    non_answers: float | None = 0.02,
) -> Release:
    """Make a release as the client holds it."""
    tables = [
        make_table(TableKind.TECHNIQUE, rates or dict.fromkeys(TECHNIQUES, 0.3), sigma=sigma),
        *([make_table(TableKind.STACK, stacks, sigma=sigma)] if stacks else []),
        make_table(TableKind.NON_ANSWERS, {"all": non_answers}, sigma=8.67, cells=1),
        make_table(TableKind.OVER_REFUSAL, {"all": over_refusal}, units=100, sigma=1.58, cells=1),
    ]
    return Release(
        release_id=f"release-{checkpoint}-{number}",
        number=number,
        releases_total=25,
        run_id=f"run-{number}",
        epoch_id=f"epoch-{epoch}",
        epoch_number=epoch,
        tested=Tested(
            checkpoint=checkpoint,
            line=line,
            checkpoint_digest="1" * 64,
            runtime=runtime,
            trust=trust,
            temperature=0.0,
            top_p=1.0,
            max_tokens=512,
            attempts=attempts,
        ),
        manifest_digest="2" * 64,
        policy_digest="3" * 64,
        judge="patterns",
        judge_digest=judge_digest,
        published_s=1_795_572_840,
        full=stacks is not None,
        tables=tuple(tables),
    )


KIND_NUMBERS = {
    TableKind.TECHNIQUE: findings_pb2.TABLE_KIND_TECHNIQUE,
    TableKind.STACK: findings_pb2.TABLE_KIND_STACK,
    TableKind.FIRST_BREACH: findings_pb2.TABLE_KIND_FIRST_BREACH,
    TableKind.CATEGORY: findings_pb2.TABLE_KIND_CATEGORY,
    TableKind.NON_ANSWERS: findings_pb2.TABLE_KIND_NON_ANSWERS,
    TableKind.OVER_REFUSAL: findings_pb2.TABLE_KIND_OVER_REFUSAL,
}


def make_exact(checkpoint: str, **options: Any) -> Release:
    """Make a release without noise, on a grid of a unit; options as of :func:`make_release`."""
    release = make_release(checkpoint, **options)
    tables = tuple(replace(table, sigma_micro=0, debit_nano_rho=0, grid_micro=1_000_000) for table in release.tables)
    return replace(release, tables=tables, profile=Profile.EXACT)


def to_message(release: Release) -> findings_pb2.Release:
    """Return a release as the appliance sends it."""
    tested = release.tested
    return findings_pb2.Release(
        release_id=release.release_id,
        number=release.number,
        releases_total=release.releases_total,
        run_id=release.run_id,
        epoch_id=release.epoch_id,
        epoch_number=release.epoch_number,
        tested=findings_pb2.TestedSystem(
            checkpoint=tested.checkpoint,
            line=tested.line,
            checkpoint_digest=tested.checkpoint_digest,
            base=tested.base,
            base_digest=tested.base_digest,
            runtime=tested.runtime,
            trust=findings_pb2.TRUST_CLASS_CONTAINED,
            temperature_milli=round(tested.temperature * 1000),
            top_p_milli=round(tested.top_p * 1000),
            max_tokens=tested.max_tokens,
            attempts=tested.attempts,
            dialect=tested.dialect,
            repetition_penalty_milli=round(tested.repetition_penalty * 1000),
        ),
        manifest_digest=release.manifest_digest,
        policy_digest=release.policy_digest,
        judge=release.judge,
        judge_digest=release.judge_digest,
        published_s=release.published_s,
        full=release.full,
        cancelled=release.cancelled,
        profile=findings_pb2.PROFILE_EXACT if release.profile is Profile.EXACT else findings_pb2.PROFILE_PRIVATE,
        anchor=release.anchor,
        tables=[
            findings_pb2.Table(
                kind=KIND_NUMBERS[table.kind],
                sigma_micro=table.sigma_micro,
                grid_micro=table.grid_micro,
                cells_per_unit=table.cells_per_unit,
                debit_nano_rho=table.debit_nano_rho,
                rows=[
                    findings_pb2.Row(key=row.key, units=row.units, count=row.count, withheld=row.withheld)
                    for row in table.rows
                ],
            )
            for table in release.tables
        ],
    )
