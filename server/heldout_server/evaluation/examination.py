"""Examine a checkpoint before its run starts, or when a tester asks: on the record."""

from __future__ import annotations

import structlog

from heldout_server.domain import Preflight, Sampling
from heldout_server.evaluation.events import preflight_event
from heldout_server.evaluation.preflight import examine
from heldout_server.evaluation.proposals import Proposals
from heldout_server.ports.audit import AuditLog

_log = structlog.get_logger("evaluation")


class Examination:
    """Ask checkpoints a few harmless questions.

    Args:
        proposals: knows the checkpoints, what serves them, and the terms.
        audit: the vault's log.
    """

    def __init__(self, proposals: Proposals, *, audit: AuditLog) -> None:
        self._proposals = proposals
        self._audit = audit

    async def question(self, name: str, sampling: Sampling, *, timeout_s: float, run_id: str = "") -> Preflight:
        """Check that a checkpoint is what was staged, ask it the questions, and log what came of them.

        Args:
            name: of the checkpoint.
            sampling: what every request asks for.
            timeout_s: seconds that one answer may take.
            run_id: the run that is about to start; empty for none.

        Raises:
            NotFound: there is no such checkpoint.
            WrongState: it was refused, or nothing serves it.
            IntegrityError: it is not what was staged.
            StorageError: the log cannot be written.
        """
        checkpoint, runtime = await self._proposals.find_served(name)
        await self._proposals.checkpoints.verify(checkpoint)
        report = await examine(runtime, checkpoint, sampling, self._proposals.terms.system.text, timeout_s=timeout_s)
        await self._audit.append(preflight_event(name, report, run_id=run_id))
        if report.findings:
            _log.warning("preflight", checkpoint=name, findings=tuple(finding.value for finding in report.findings))
        return report
