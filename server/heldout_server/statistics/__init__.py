"""Statistics: exact figures and their intervals, for bank testers alone. Pure.

It sees positions, cells, enums and counts: it refuses to know a prompt, a response, a runtime or a judge, and nothing
that it computes reaches anyone but a bank tester. Everybody else's figures come from the release desk.
"""

from heldout_server.statistics.exact import exact_rows
from heldout_server.statistics.intervals import Interval, cluster_interval

__all__ = ["Interval", "cluster_interval", "exact_rows"]
