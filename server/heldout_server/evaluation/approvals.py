"""Approvals of manifests: each is in the log before it counts.

A person approves the digest of one manifest. A standing approval is of a template, a manifest without its checkpoint:
it also holds for the runs that the appliance proposes by itself of every later checkpoint of that line.
"""

from __future__ import annotations

from heldout_server.domain import Run
from heldout_server.errors import NotFound
from heldout_server.evaluation.events import approval_event, revocation_event
from heldout_server.ports.audit import AuditLog
from heldout_server.ports.environment import Clock
from heldout_server.ports.outcomes import Outcomes, StandingApproval


class Approvals:
    """Give approvals and take them back.

    Args:
        outcomes: keeps them.
        audit: the vault's log.
        clock: dates a standing one.
    """

    def __init__(self, outcomes: Outcomes, *, audit: AuditLog, clock: Clock) -> None:
        self._outcomes = outcomes
        self._audit = audit
        self._clock = clock

    async def give(self, run: Run, *, identity: str, standing: bool) -> Run:
        """Log and record an approval of a run's digest, and with ``standing`` of its template, and return the run.

        Raises:
            WrongState: the run was started or dropped meanwhile.
        """
        await self._audit.append(approval_event(run, identity=identity, action="standing" if standing else "given"))
        if standing:
            await self._outcomes.put_standing(
                StandingApproval(
                    template=run.template,
                    line=run.manifest.line,
                    identity=identity,
                    run_id=run.run_id,
                    given_s=int(self._clock.now_s()),
                )
            )
        return await self._outcomes.approve(run.run_id, identity=identity, digest=run.digest)

    async def give_as_standing(self, run: Run) -> None:
        """Approve a run, that the appliance proposed by itself, in the name of all who approved its template."""
        for one in await self._outcomes.standing():
            if one.template == run.template and one.identity not in run.approvals:
                await self._audit.append(approval_event(run, identity=one.identity, action="by_standing"))
                await self._outcomes.approve(
                    run.run_id, identity=one.identity, digest=run.digest, template=one.template
                )

    async def revoke(self, template: str, *, identity: str) -> None:
        """Take the standing approvals of a template back, whoever gave them, and those of runs that did not start.

        Raises:
            NotFound: there is none.
        """
        if all(one.template != template for one in await self._outcomes.standing()):
            raise NotFound("there is no such standing approval", reason="NO_SUCH_APPROVAL")
        await self._audit.append(revocation_event(template, identity=identity))
        await self._outcomes.drop_standing(template)
