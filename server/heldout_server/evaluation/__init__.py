"""Evaluation: from a proposed run to complete outcomes, and on to the release desk.

It writes manifests, waits for approvals, tries every trial of the plan once, and hands the run over. It refuses to
aggregate, to decide what leaves, and to let one prompt's trial touch another's: it meets the bank, the runtimes, the
techniques, the judge, the outcomes and the desk through their ports alone.
"""

from heldout_server.evaluation.evaluation import Evaluation
from heldout_server.evaluation.plan import Plan, Trial

__all__ = ["Evaluation", "Plan", "Trial"]
