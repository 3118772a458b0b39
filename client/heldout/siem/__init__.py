"""Entries of a log on their way to a SIEM: each is verified first, sent in order, and sent again if in doubt."""

from heldout.siem.follower import Follower
from heldout.siem.otlp import OtlpSink
from heldout.siem.sink import Sink, SinkError
from heldout.siem.syslog import SyslogSink, parse_target

__all__ = ["Follower", "OtlpSink", "Sink", "SinkError", "SyslogSink", "parse_target"]
