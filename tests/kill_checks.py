"""What no kill -9 may change: verdicts, published bytes, both logs, the ledger. For tests that kill an appliance."""

import asyncio
import hashlib
import json
from dataclasses import dataclass, field

from heldout.findings.model import TableKind
from heldout.verification import LogExport, verify_export
from heldout_proto.v1 import findings_pb2

BENIGN = TableKind.OVER_REFUSAL


@dataclass
class Seen:
    """Hold what was seen of the appliance from the outside, which no restart may take back.

    Attributes:
        documents: exact bytes of each release by run.
        heads: signed tree heads by half, oldest first.
    """

    documents: dict[str, bytes] = field(default_factory=dict)
    heads: dict[str, list[str]] = field(default_factory=lambda: {"vault": [], "window": []})


async def export_of(served, half, folder, earlier):
    """Export a log as an auditor does, and verify it offline against the heads that were seen."""
    auditor = await served.client("auditor")
    head = await auditor.audit.head(half)
    export = LogExport(folder)
    entries = []
    async for page in auditor.audit.entries(half, start=0, stop=head.head.size):
        export.add(page.entries, damaged=page.damaged)
        entries += page.entries
    export.finish(head.note)
    report = await asyncio.to_thread(verify_export, folder, auditor.audit.vkey(half), earlier=earlier)
    return head.note, report, [json.loads(entry) for entry in entries]


async def keep_heads(served, seen):
    auditor = await served.client("auditor")
    for half, heads in seen.heads.items():
        heads.append((await auditor.audit.head(half)).note)


async def documents_of(served):
    """Return the exact bytes of each published release, by run; a run has at most one."""
    trainer = await served.client("trainer")
    found = {}
    for release in await trainer.findings.releases():
        assert release.run_id not in found
        answer = await trainer._caller.unary(
            "FindingsService",
            "GetRelease",
            findings_pb2.GetReleaseRequest(release_id=release.release_id),
            findings_pb2.GetReleaseResponse,
        )
        found[release.run_id] = answer.release.release.SerializeToString(deterministic=True)
    return found


async def check(served, seen, run, figures, folder):
    """Check a published run, and that nothing that was seen before was taken back."""
    tester, trainer = await served.client("bank_tester"), await served.client("trainer")
    # (1) Every trial has exactly one verdict, and it is the one that it has without a crash.
    exact = await tester.runs.results(run.run_id)
    counted = [row for row in exact if row.table in {TableKind.TECHNIQUE, TableKind.STACK, BENIGN}]
    assert sum(row.trials for row in counted) == run.planned_trials
    assert figures is None or exact == figures
    # (2) One release a run, and what was published stays as it was.
    documents = await documents_of(served)
    assert run.run_id in documents
    assert {run_id: documents[run_id] for run_id in seen.documents} == seen.documents
    seen.documents = documents
    # (3) Both logs verify, and go on from every head that was seen.
    for half in ("vault", "window"):
        earlier = seen.heads[half]
        note, report, entries = await export_of(served, half, folder / half, earlier)
        assert report.earlier_heads == len(earlier)
        earlier.append(note)
        if half == "vault":
            leaves = [entry["details"] for entry in entries if entry["name"] == "release"]
    # (4) Each run's release leaves name one release and one document: that which is published.
    told = {(leaf["run_id"], leaf["document_sha256"]) for leaf in leaves}
    assert told == {(run_id, hashlib.sha256(document).hexdigest()) for run_id, document in documents.items()}
    assert len({leaf["release_id"] for leaf in leaves}) == len(documents)
    # (5) The ledger was debited once a release.
    budget = await trainer.findings.budget()
    debits = {True: 0, False: 0}
    for document in documents.values():
        for table in findings_pb2.Release.FromString(document).tables:
            debits[table.kind == findings_pb2.TABLE_KIND_OVER_REFUSAL] += table.debit_nano_rho
    assert budget.releases_used == len(documents)
    assert (budget.benign_spent_nano_rho, budget.harmful_spent_nano_rho) == (debits[True], debits[False])
    return exact
