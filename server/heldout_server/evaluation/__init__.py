"""Evaluation: from a proposed run to complete outcomes, and on to the release desk.

It writes manifests, waits for approvals, tries every trial of the plan once, and hands the run over. It refuses to
aggregate, to decide what leaves, and to let one prompt's trial touch another's: it meets the bank, the runtimes, the
techniques, the judge, the outcomes and the desk through their ports alone.

In the order in which a run meets them::

    evaluation    the door: propose, approve, submit, start, cancel, resume
    terms         what config and policy say of every run
    proposals     its manifest, and whether that is still what would be written
    approvals     who approved it, for this run or for later ones too
    examination   a few harmless questions before it starts, one checkpoint at a time; asked by preflight
    timetable     its slot, and the moments until then
    execution     its turn: a job each, one after another
    pipeline      its way in numbered steps: read this first
    plan          which trials there are
    assignments   which of them comes next, with its prompt; tally says which are done
    trials        the loop that works them off, through a runtime that may die
    trying        one trial: compose, ask, read
    batching      many tried ones, judged and stored together; judging is where no process of its own judges
    reports       how far it is, and what came of it
    events        what the log is told of it
"""

from heldout_server.evaluation.evaluation import Evaluation
from heldout_server.evaluation.plan import Plan, Trial
from heldout_server.evaluation.terms import Terms

__all__ = ["Evaluation", "Plan", "Terms", "Trial"]
